#!/usr/bin/env bash
# manifests.sh FOLDER: renders each choice of manifests/testdata/choices, by kustomize and by helm, for whoever checks or applies it. FOLDER
# is made anew and gets
#
#   CHOICE.kustomize.yaml, CHOICE.helm.yaml
#   crds/*.yaml   the definitions of the Prometheus Operator's resources
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:?the folder to render to}
make -s build/tools/.deploy >&2
rm -rf "$out"
mkdir -p "$out/crds"

for choice in manifests/testdata/choices/*/; do
  name=$(basename "$choice")
  build/tools/kustomize build "$choice" >"$out/$name.kustomize.yaml"
  build/tools/helm template nodevitals charts/nodevitals --namespace nodevitals --values "$choice/values.yaml" >"$out/$name.helm.yaml"
done

operator=github.com/prometheus-operator/prometheus-operator
go -C tools/crds mod download "$operator"
for kind in servicemonitors podmonitors prometheusrules; do
  install -m 644 "$(go -C tools/crds list -m -f '{{.Dir}}' "$operator")/example/prometheus-operator-crd/monitoring.coreos.com_$kind.yaml" "$out/crds/"
done
