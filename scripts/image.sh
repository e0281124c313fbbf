#!/usr/bin/env bash
# image.sh [FOLDER]: builds the container image and leaves it in FOLDER (default build/image), which is made anew, as
#
#   nodevitals-VERSION-image.tar   an OCI archive of all platforms, for `ctr images import`, `skopeo copy` or `podman load`
#   digest                         the digest of its index, as a registry will show it
#
# Two builds of one commit give the same archive, byte for byte. No registry is asked and no engine need run: Debian's buildah does it.
#
#   PLATFORMS=linux/amd64,linux/arm64
#   IMAGE=ghcr.io/nodevitals/nodevitals   the name, to which the version is the tag
#   VERSION= REVISION= SOURCE_DATE_EPOCH= of the release; by default what git says of the commit
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/version.sh
. scripts/version.sh

out=${1:-build/image}
platforms=${PLATFORMS:-linux/amd64,linux/arm64}
name=${IMAGE:-ghcr.io/nodevitals/nodevitals}:$VERSION
command -v buildah >/dev/null || { echo "image.sh: buildah is missing: apt-get install buildah" >&2; exit 1; }

# The folder's name is no part of the image, nor who may read what is left on this machine.
umask 022
rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

for platform in ${platforms//,/ }; do
  GOOS=${platform%%/*} GOARCH=${platform#*/} make --no-print-directory build BINARY="$work/context/$platform/nodevitals"
done

# A store of its own: nothing is left among the images of whoever builds.
export BUILDAH_ISOLATION=chroot
image() { buildah --root "$work/root" --runroot "$work/run" --storage-driver vfs "$@"; }
build() {
  # One by one: together they would be listed in the order in which they happen to end.
  for platform in ${platforms//,/ }; do
    image bud --platform "$platform" --timestamp "$SOURCE_DATE_EPOCH" --manifest "$name" \
      --build-arg VERSION="$VERSION" --build-arg REVISION="$REVISION" \
      --build-arg CREATED="$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" \
      --file Dockerfile "$work/context" || return
  done
  image manifest push --all --quiet "$name" "oci:$work/layout:$name"
}
build >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

# containerd looks for a name of its own.
sed -i "s|\"annotations\":{|&\"io.containerd.image.name\":\"$name\",|" "$work/layout/index.json"
grep -q '"io.containerd.image.name"' "$work/layout/index.json"
sed 's/.*"digest":"\(sha256:[0-9a-f]*\)".*/\1/' "$work/layout/index.json" >"$out/digest"
tar -C "$work/layout" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
  --format=ustar -cf "$out/nodevitals-$VERSION-image.tar" blobs index.json oci-layout
echo "$name@$(cat "$out/digest")"
