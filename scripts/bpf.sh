#!/usr/bin/env bash
# bpf.sh: makes collector/cgroup/bpf/walk.bpf.o of its C source, with Debian's clang. The object is committed, so that building
# the agent needs no clang; it runs on every kernel and little-endian processor, whose structures it is fitted to when it is loaded.
# With --check it compares instead, and fails if the committed object is not what this clang makes of the source.
set -euo pipefail
cd "$(dirname "$0")/../collector/cgroup/bpf"

for tool in clang llvm-strip; do
  command -v "$tool" >/dev/null || { echo "bpf.sh: $tool is missing: apt-get install clang llvm libbpf-dev" >&2; exit 1; }
done
[ -e /usr/include/bpf/bpf_helpers.h ] || { echo "bpf.sh: bpf/bpf_helpers.h is missing: apt-get install libbpf-dev" >&2; exit 1; }

made=$(mktemp)
trap 'rm -f "$made"' EXIT
clang -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -fdebug-prefix-map="$PWD=." -I"/usr/include/$(uname -m)-linux-gnu" \
  -c walk.bpf.c -o "$made"
llvm-strip -g "$made"
if [ "${1:-}" = --check ]; then
  cmp "$made" walk.bpf.o || { echo "bpf.sh: walk.bpf.o is not what $(clang --version | head -n 1) makes of walk.bpf.c: make bpf" >&2; exit 1; }
else
  install -m 644 "$made" walk.bpf.o
fi
