# The image is one static program on nothing. `make image` builds it: the programs are made before, so that no stage pulls a base.
FROM scratch

ARG TARGETOS
ARG TARGETARCH
ARG VERSION
ARG REVISION
ARG CREATED

LABEL org.opencontainers.image.title="nodevitals" \
      org.opencontainers.image.description="A node's statistics, as a kubelet serves them" \
      org.opencontainers.image.source="https://github.com/nodevitals/nodevitals" \
      org.opencontainers.image.documentation="https://github.com/nodevitals/nodevitals/blob/main/docs/install.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

COPY ${TARGETOS}/${TARGETARCH}/nodevitals /nodevitals

# Nobody's, by number: there is no passwd file to look a name up in. The manifests say where root's is needed, and why.
USER 65532:65532
EXPOSE 10250
ENTRYPOINT ["/nodevitals"]
