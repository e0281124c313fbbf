#!/usr/bin/env bash
# test.sh: make test. Goes on after a failure, so that one run tells all, and sums up in its last lines: what failed, what
# was not run here and why, and the counts. Exits 1 if anything failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

results=$PWD/build/test
rm -rf "$results"
mkdir -p "$results"
export CHECKS=$results/checks
: >"$CHECKS"

# stage NAME COMMAND… runs one part and notes its time.
stage() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@"
  printf '%s %ss, ' "$name" "$((SECONDS - start))" >>"$results/times"
}

# gotest FILE ARG… runs go test and keeps its events in FILE.
gotest() {
  local file=$1 status
  shift
  go "$@" | build/tools/testreport watch "$file"
  status=${PIPESTATUS[0]}
  # No test has failed, and yet go test did: it could not even start.
  if [ "$status" != 0 ] && ! grep -q '"Action":"fail"' "$file"; then
    printf 'fail\tgo %s\tsee its words above\n' "$*" >>"$CHECKS"
  fi
}

unit() {
  local race=(-race)
  if ! command -v "$(go env CC)" >/dev/null; then
    race=()
    printf 'skip\trace detector\tno C compiler (%s): tests ran without it\n' "$(go env CC)" >>"$CHECKS"
  fi
  gotest "$results/unit.json" test -json "${race[@]}" ./...
  gotest "$results/tools.json" -C tools test -json ./...
  gotest "$results/monitoring.json" -C tools/monitoring test -json ./...
  gotest "$results/e2e-unit.json" -C e2e test -json ./bench/... ./build ./cluster ./compare ./prometheus ./workload
}

live() {
  # Nothing in the machine is timed; what runs beside it on this host has the processors first.
  if ! nice -n 10 scripts/live.sh; then
    printf 'fail\tlive tests in the emulated machine\tcould not be set up\n' >>"$CHECKS"
  fi
  cp build/vm/*.json "$results/" 2>/dev/null || true # none, where no machine ran
}

# e2e runs the agent beside a real kubelet, in the emulated machine and on this host if that can.
e2e() {
  if ! E2E_TOGETHER=1 scripts/e2e.sh >"$results/e2e.log" 2>&1; then
    printf 'fail\te2e\tcould not be set up: see build/test/e2e.log\n' >>"$CHECKS"
    tail -n 30 "$results/e2e.log"
  else
    grep '^e2e: the tests took' "$results/e2e.log" || true # none, where they ran nowhere
  fi
  local place
  for place in vm host; do
    [ -e "build/e2e/$place/output.log" ] || continue
    echo "e2e ($place)"
    go tool test2json -p "$(go list -m)/e2e" <"build/e2e/$place/output.log" | build/tools/testreport watch "$results/e2e-$place.json"
  done
}

stage setup scripts/setup.sh
stage tools make --no-print-directory build/tools/.built
stage lint scripts/lint.sh
stage unit unit
stage fuzz scripts/fuzz.sh
trap 'trap - INT TERM; kill 0' INT TERM # the machine in the background as well
# Together: two emulated machines, one after the other, are at work while the tests of e2e on this host wait most of the time.
stage live live >"$results/live.log" 2>&1 &
stage e2e e2e
wait
cat "$results/live.log"

echo "== result"
echo "took $(cat "$results/times")in all ${SECONDS}s"
build/tools/testreport sum "$CHECKS" "$results"/*.json
