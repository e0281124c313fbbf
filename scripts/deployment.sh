#!/usr/bin/env bash
# deployment.sh FOLDER: makes what the tests on a cluster install, in FOLDER: the renderings of scripts/manifests.sh, helm, and in image/ the
# archive of an image for this machine, tagged "e2e". Where no image can be built, FOLDER/unable says why.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:?the folder to leave it in}
scripts/manifests.sh "$out"
ln build/tools/helm "$out/helm" 2>/dev/null || cp build/tools/helm "$out/helm"
if ! command -v buildah >/dev/null; then
  echo "no image: needs Debian's package buildah" >"$out/unable"
  exit 0
fi
if [ "$(id -u)" != 0 ]; then
  echo "no image: needs root" >"$out/unable"
  exit 0
fi
PLATFORMS=linux/$(go env GOARCH) VERSION=e2e scripts/image.sh "$out/image" >/dev/null
