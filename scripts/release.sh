#!/usr/bin/env bash
# release.sh [FOLDER]: makes what a release consists of and leaves it in FOLDER (default build/release), which is made anew:
#
#   nodevitals-VERSION-linux-ARCH.tar.gz     the program with its license, for amd64 and arm64
#   nodevitals-VERSION-linux-ARCH.cdx.json   what it was made of (CycloneDX)
#   nodevitals-VERSION-image.tar             the image of both, an OCI archive
#   nodevitals-VERSION-manifests.yaml        the default overlay, for kubectl apply
#   nodevitals-VERSION-seccomp.json          the profile that the component "seccomp" and the chart's seccompProfile name
#   nodevitals-CHARTVERSION.tgz              the Helm chart
#   SHA256SUMS                               of all these
#
# VERSION is the tag of the commit: v1.2.3, which chart, manifests and CHANGELOG.md must have as theirs. Of a commit without a tag it makes a
# snapshot, by git's name for the commit. Two runs on one commit give the same files. Nothing is asked from elsewhere once the tools and
# modules are there, and nothing is published.
#
#   TOOLS=   folder of the tools of tools/deploy; by default they are built into build/tools
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/version.sh
. scripts/version.sh

out=${1:-build/release}
fail() { echo "release.sh: $*" >&2; exit 1; }

if [ -z "${TOOLS:-}" ]; then
  make -s build/tools/.deploy
  TOOLS=$PWD/build/tools
fi

# check_version holds everything that names the release to the tag.
check_version() {
  local wrong=()
  grep -qx "version: ${VERSION#v}" charts/nodevitals/Chart.yaml || wrong+=("version in charts/nodevitals/Chart.yaml")
  grep -qx "appVersion: $VERSION" charts/nodevitals/Chart.yaml || wrong+=("appVersion in charts/nodevitals/Chart.yaml")
  grep -qx "    newTag: $VERSION" manifests/base/kustomization.yaml || wrong+=("newTag in manifests/base/kustomization.yaml")
  grep -qx "## $VERSION" CHANGELOG.md || wrong+=("a section of CHANGELOG.md")
  [ ${#wrong[@]} = 0 ] || fail "the tag is $VERSION, and these are not of that version: $(printf '%s; ' "${wrong[@]}")change them, commit, and move the tag"
}

case $VERSION in
v[0-9]*-dirty) fail "$VERSION: there are changes that are not committed; commit them, or set VERSION to try it out" ;;
v[0-9]*-[0-9]*-g*) chart=${VERSION#v} ;; # commits after a tag
v[0-9]*)
  check_version
  chart=${VERSION#v} ;;
*) chart=0.0.0-g$VERSION ;;
esac

umask 022
rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# pack FILE FOLDER NAME… makes an archive that depends on the files' content alone.
pack() {
  local file=$1 folder=$2
  shift 2
  tar -C "$folder" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar -cf - "$@" |
    gzip -n9 >"$file"
}

for arch in amd64 arm64; do
  name=nodevitals-$VERSION-linux-$arch
  mkdir -p "$work/$arch"
  GOOS=linux GOARCH=$arch make -s build BINARY="$work/$arch/nodevitals"
  cp LICENSE "$work/$arch/"
  pack "$out/$name.tar.gz" "$work/$arch" LICENSE nodevitals
  "$TOOLS/cyclonedx-gomod" bin -json -std -noserial -notimestamp -version "$VERSION" -output "$out/$name.cdx.json" "$work/$arch/nodevitals" \
    2>"$work/log" || { cat "$work/log" >&2; fail "the list of what $name is made of could not be had"; }
done

scripts/image.sh "$work/image" >/dev/null
cp "$work/image/nodevitals-$VERSION-image.tar" "$out/"

"$TOOLS/kustomize" build manifests/overlays/beside-kubelet |
  sed "s|\(image: ghcr.io/nodevitals/nodevitals:\).*|\1$VERSION|" >"$out/nodevitals-$VERSION-manifests.yaml"
grep -q "image: ghcr.io/nodevitals/nodevitals:$VERSION\$" "$out/nodevitals-$VERSION-manifests.yaml" || fail "the manifests do not name the image"

install -m 644 manifests/components/seccomp/nodevitals.json "$out/nodevitals-$VERSION-seccomp.json"

# helm notes the time of packing, so its package is packed once more.
mkdir "$work/chart" "$work/packed"
"$TOOLS/helm" package --version "$chart" --app-version "$VERSION" --destination "$work/packed" charts/nodevitals >/dev/null
tar -C "$work/chart" -xzf "$work/packed/nodevitals-$chart.tgz"
pack "$out/nodevitals-$chart.tgz" "$work/chart" nodevitals

rm -rf "$work"
(cd "$out" && sha256sum -- * >"$work.sums" && mv "$work.sums" SHA256SUMS)
echo "$out"
cat "$out/SHA256SUMS"
