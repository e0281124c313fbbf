#!/usr/bin/env bash
# live.sh [REGEXP]: runs the tests of the packages that read a real kernel on the cgroup version that this machine does not have, in
# the emulated machine of vm.sh. VM_CGROUP=1 or 2 chooses a version. REGEXP is go test's -run.
# What happened is kept in build/vm/: .log has the machine's words, NAME.log a package's, NAME.json its events.
# With CHECKS=FILE it leaves the results that are not a test's there, for test.sh to sum up.
set -euo pipefail
cd "$(dirname "$0")/.."

# FOLDER, or FOLDER=REGEXP for a package of which only some tests read the kernel.
packages=${LIVE_PACKAGES:?the packages to run, by folder: make live sets it}
out=$PWD/build/vm
other=2
[ ! -e /sys/fs/cgroup/cgroup.controllers ] || other=1
export VM_CGROUP=${VM_CGROUP:-$other} VM_OUT=$out
name="live tests on cgroup v$VM_CGROUP (emulated machine)"

result() {
  [ -z "${CHECKS:-}" ] || printf '%s\t%s\t%s\n' "$1" "$name" "$2" >>"$CHECKS"
  [ "$1" = pass ] || echo "$1: $name: $2"
}

# One machine at a time: each takes two processors for itself.
mkdir -p build
exec 7>build/machine.lock
flock -w 3600 7 || { echo "live.sh: another emulated machine did not end: build/machine.lock is held" >&2; exit 1; }
rm -rf "$out"
mkdir -p "$out"
module=$(go list -m)
export CGO_ENABLED=0 # the same program whatever C library either side has
go build -trimpath -tags grpcnotrace -o "$out/nodevitals" ./cmd/nodevitals
# commands ENTRY prints how the machine runs one package's tests: in a copy of its place, from the shared folder, because a checkout's own build/ may
# be hidden there.
commands() {
  local entry=$1 package=${1%%=*} only=$regexp
  case $entry in *=*) only=${regexp:-${entry#*=}} ;; esac
  [ -n "$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}tests{{end}}' "./$package")" ] || return 0
  mkdir -p "$out/tree/$package"
  go test -c -ldflags='-s -w' -o "$out/tree/$package/live.test" "./$package"
  printf 'SECONDS=0; cd /vmout/tree/%q && ./live.test -test.v=test2json -test.run=%q -test.timeout=20m >/vmout/%q.log 2>&1\n' \
    "$package" "${only:-.}" "${package//\//-}"
  # shellcheck disable=SC2016 # the machine is to expand them
  printf 'echo "%s: exit status $? after $SECONDS s"\n' "$package"
  # Once more with the reader in the kernel, which cgroup v2 alone has.
  case " ${READER_PACKAGES:-} " in *" $package "*) [ "$VM_CGROUP" = 2 ] || return 0 ;; *) return 0 ;; esac
  printf 'SECONDS=0; cd /vmout/tree/%q && NODEVITALS_READER=bpf ./live.test -test.v=test2json -test.run=%q -test.timeout=20m >/vmout/%q-bpf.log 2>&1\n' \
    "$package" "${only:-.}" "${package//\//-}"
  # shellcheck disable=SC2016 # the machine is to expand them
  printf 'echo "%s, reader in the kernel: exit status $? after $SECONDS s"\n' "$package"
}

regexp=${1:-}
{
  echo '#!/bin/bash'
  echo 'export NODEVITALS_BINARY=/vmout/nodevitals'
  echo 'modprobe brd rd_nr=1 rd_size=32768' # a block device for the tests of the io controller
  # The agent's own tests take as long as all others: they run beside them, as the machine has two processors.
  for entry in $packages; do
    case $entry in cmd/*) echo '{ true'; commands "$entry"; echo '} &' ;; esac
  done
  for entry in $packages; do
    case $entry in cmd/*) ;; *) commands "$entry" ;; esac
  done
  echo wait
} >"$out/run"
chmod 755 "$out/run"
cp ./*.md "$out/tree/"
# What tests read besides: recordings, the documentation that some hold to its word, and the seccomp profile.
find . -path ./build -prune -o -type d \( -name testdata -o -path ./docs -o -path ./manifests/components \) -print | while read -r folder; do
  mkdir -p "$out/tree/$folder"
  cp -R "$folder/." "$out/tree/$folder/"
  find "$out/tree/$folder" -name "*.go" -delete # they would be packages of this module
done

status=0
scripts/vm.sh /vmout/run || status=$?
for entry in $packages; do
  package=${entry%%=*}
  for log in "$out/${package//\//-}.log" "$out/${package//\//-}-bpf.log"; do
    [ ! -e "$log" ] || go tool test2json -p "$module/$package" <"$log" | build/tools/testreport watch "${log%.log}.json"
  done
done
case $status in
0) result pass "" ;;
3) result skip "$(tail -n 1 "$out/.log" | sed 's/^vm.sh: //')" ;;
124) result fail "stopped after its time: see build/vm" ;;
*) result fail "the machine ended early, status $status: see build/vm" ;;
esac

# Once more, briefly, on a kernel that keeps no pressure: what the first machine cannot show.
[ "$status" != 3 ] && [ -z "${1:-}" ] || exit 0
name="pressure switched off (emulated machine, cgroup v2, psi=0)"
mkdir -p "$out/psi"
{
  echo '#!/bin/bash'
  echo 'cd /vmout && ./live.test -test.v=test2json -test.run=^TestPressureOff$ >/vmout/pressure.log 2>&1'
} >"$out/psi/run"
chmod 755 "$out/psi/run"
cp "$out/tree/collector/cgroup/live.test" "$out/psi/"
if VM_CGROUP=2 VM_APPEND=psi=0 VM_OUT=$out/psi scripts/vm.sh /vmout/run && grep -q -- '--- PASS: TestPressureOff' "$out/psi/pressure.log"; then
  result pass ""
else
  result fail "see build/vm/psi"
fi
