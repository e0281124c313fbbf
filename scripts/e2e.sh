#!/usr/bin/env bash
# e2e.sh [REGEXP]: runs the tests of e2e/ against a real one-node Kubernetes: in the emulated machine with cgroup v2, and on this host where
# it allows that. REGEXP is go test's -run.
#
#   E2E_VM=0     not in the emulated machine
#   E2E_HOST=    1: on this host, or fail; 0: not there; else: if it can
#   E2E_TOGETHER=1  in both places at the same time, where this host can
#
# Of the last run, build/e2e/vm and build/e2e/host keep output.log, the tests' own words, and logs/NAME.log, a component's.
# The first run builds Kubernetes, some fifteen minutes on two cores; the programs stay in ~/.cache/nodevitals/e2e.
# The last line tells how many seconds the tests took in each place.
# With CHECKS=FILE it leaves the results that are not a test's there, for test.sh to sum up.
set -euo pipefail
cd "$(dirname "$0")/.."

only=${1:-.}
failed=0
export CGO_ENABLED=0 # the same program whatever C library either side has
programs=$(go -C e2e run ./build)

# result pass|fail|skip NAME REASON
result() {
  [ -z "${CHECKS:-}" ] || printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$CHECKS"
  [ "$1" = pass ] || echo "$1: $2: $3"
  [ "$1" != fail ] || failed=1
}

# All that is made of this checkout: both places get links to it.
mkdir -p build/e2e
made=$(mktemp -d "$PWD/build/e2e/made.XXXXXX")
trap 'rm -rf "$made"' EXIT
go build -trimpath -o "$made/bin/nodevitals" ./cmd/nodevitals
go -C e2e build -trimpath -ldflags='-s -w' -o "$made/bin/app" ./app
go -C e2e test -c -ldflags='-s -w' -o "$made/bin/e2e.test" .
scripts/deployment.sh "$made/deploy"

# prepare PLACE makes build/e2e/PLACE anew. Only one run at a time may have it.
prepare() {
  out=$PWD/build/e2e/$1
  exec 9>"build/e2e/$1.lock"
  flock -n 9 || { echo "e2e.sh: another run is at it: build/e2e/$1.lock is held" >&2; exit 1; }
  rm -rf "$out"
  mkdir -p "$out"
  cp -Rl "$made/." "$out/"
}

# settings FOLDER PROGRAMS prints what the tests are told, with FOLDER as build/e2e/PLACE.
settings() {
  printf 'export NODEVITALS_BINARY=%q/bin/nodevitals NODEVITALS_E2E_APP=%q/bin/app NODEVITALS_E2E_LOGS=%q/logs NODEVITALS_E2E_PROGRAMS=%q\n' \
    "$1" "$1" "$1" "$2"
  printf 'export NODEVITALS_E2E_DEPLOY=%q/deploy\n' "$1"
}

# How long the tests took, by place, for the last line: nothing fails by it.
took=

# finish PLACE WHERE STATUS START sums up what one run left, which began at that second.
finish() {
  rm -rf "${out:?}/bin" "$out/programs"
  [ "$3" = 3 ] || took+="${took:+, }$((SECONDS - $4))s $2"
  case $3 in
  0) result pass "e2e $2" "" ;;
  3) result skip "e2e $2" "$(tail -n 1 "$out/output.log" | sed 's/^vm.sh: //')" ;;
  124) result fail "e2e $2" "stopped after its time: see build/e2e/$1" ;;
  *) result fail "e2e $2" "status $3: see build/e2e/$1/output.log, and logs/ beside it" ;;
  esac
}

in_machine() {
  local status=0 start there=$programs minutes=28
  # Where no host has taken what is slow off it, the machine has all to do.
  [ "$ran_on_host" = 1 ] || minutes=75
  [ "$niceness" = 0 ] || minutes=45
  prepare vm
  # Programs run from the cache, unless the machine cannot see it: its /tmp and /run are its own.
  case $(realpath "$programs") in
  /tmp/* | /run/* | /dev/shm/*)
    there=/vmout/programs
    cp -R "$programs" "$out/programs" ;;
  esac
  {
    echo '#!/bin/bash'
    # In the checkout's place is the documentation that tests read.
    printf 'cd %q || exit 1\nmodprobe -a veth overlay\n' "$PWD/e2e"
    settings /vmout "$there"
    [ "$ran_on_host" = 0 ] || echo 'export NODEVITALS_E2E_ELSEWHERE=1'
    printf 'exec /vmout/bin/e2e.test -test.v -test.run=%q -test.timeout=%dm\n' "$only" "$((minutes - 3))"
  } >"$out/run"
  chmod 755 "$out/run"
  # One machine at a time: each takes two processors for itself. The live tests may still be in theirs.
  exec 7>build/machine.lock
  flock -w 3600 7 || { result fail "e2e on cgroup v2 (emulated machine)" "another machine did not end: build/machine.lock is held"; return; }
  start=$SECONDS
  # Nothing in the machine is timed: what runs beside it on this host has the processors first.
  VM_CGROUP=2 VM_MEM=${VM_MEM:-6G} VM_TIMEOUT=${VM_TIMEOUT:-$((60 * minutes))} VM_OUT=$out nice -n "$niceness" scripts/vm.sh /vmout/run 2>&1 |
    tee "$out/output.log" || status=${PIPESTATUS[0]}
  finish vm "on cgroup v2 (emulated machine)" "$status" "$start"
}

on_host() {
  local status=0 start reason
  prepare host
  start=$SECONDS
  (
    eval "$(settings "$out" "$programs")"
    cd e2e
    exec "$out/bin/e2e.test" -test.v -test.run="$only" -test.parallel=4 -test.timeout=45m
  ) 2>&1 | tee "$out/output.log" || status=${PIPESTATUS[0]}
  reason=$(grep -m 1 -o 'no cluster can be brought up here: .*' "$out/output.log" || true)
  if [ "$status" = 0 ] && [ -n "$reason" ]; then
    rm -rf "${out:?}/bin"
    if [ "${E2E_HOST:-}" = 1 ]; then result fail "e2e on this host" "$reason"; else result skip "e2e on this host" "$reason"; fi
    return
  fi
  ran_on_host=1
  finish host "on this host" "$status" "$start"
}

# together runs the tests in both places at once, and tells those of the host when they are done.
together() {
  local host words=build/e2e/host.words
  (on_host; echo "$took" >"$made/took"; exit "$failed") >"$words" 2>&1 &
  host=$!
  ran_on_host=1 niceness=10
  in_machine
  wait "$host" || failed=1
  cat "$words"
  took+=", $(cat "$made/took" 2>/dev/null)"
}

# The host first, or at the same time: what is the same on both versions of cgroups, and slow, need not run in the machine as well.
ran_on_host=0 niceness=0
if [ -n "${E2E_TOGETHER:-}" ] && [ "${E2E_HOST:-}" != 0 ] && [ "${E2E_VM:-}" != 0 ] && [ -z "$(NODEVITALS_E2E_UNABLE=1 "$made/bin/e2e.test")" ]; then
  together
else
  [ "${E2E_HOST:-}" = 0 ] || on_host
  [ "${E2E_VM:-}" = 0 ] || in_machine
fi
[ -z "$took" ] || echo "e2e: the tests took $took"
[ -n "${CHECKS:-}" ] || exit "$failed"
