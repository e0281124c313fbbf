#!/usr/bin/env bash
# bench.sh: what nodevitals costs beside a kubelet, cAdvisor's library as standalone cAdvisor runs it, and the bare reads of the same
# files, in turns in one run: on a real one-node Kubernetes with pods, and then alone with more and more made cgroups. It prints tables,
# leaves build/bench/result.json, compares with docs/performance.json, and exits 1 if something is worse than there.
#
#   BENCH_PODS=110     pods of two containers; 0 leaves the cluster out (emulated: 20)
#   BENCH_ROUNDS=5     rounds of turns (emulated: 3)
#   BENCH_MINUTES=2    minutes of the realistic schedule (emulated: 1)
#   BENCH_GROWTH=      numbers of made cgroups, such as 10,443; empty for none (10,50,110,250,500,1000,1600,4000; emulated: 10,110,500,1000)
#   BENCH_STEPS=       numbers of made cgroups for the steps within one process ("10 443"; emulated: 200)
#   BENCH_RECORD=1     keeps the results in docs/: performance.json, performance.svg and the tables of performance.md
#   BENCH_VM=1         in the emulated machine with cgroup v2, whose times mean nothing and whose ratios little; nothing is compared
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/build/bench
export CGO_ENABLED=0 # the same programs whatever C library either side has
rm -rf "$out"
mkdir -p "$out"
programs=$(go -C e2e run ./build)
go build -trimpath -tags grpcnotrace -ldflags='-s -w' -o "$out/nodevitals" ./cmd/nodevitals
go -C bench/cadvisor build -trimpath -ldflags='-s -w' -o "$out/cadvisor" .
go -C e2e build -trimpath -ldflags='-s -w' -o "$out/app" ./app
go -C e2e build -trimpath -ldflags='-s -w' -o "$out/bench" ./bench
go -C e2e build -trimpath -ldflags='-s -w' -o "$out/reads" ./bench/reads
go test -c -ldflags='-s -w' -o "$out/bench.test" ./bench

# measure FOLDER PROGRAMS ARG… prints the command that measures, with FOLDER as build/bench.
measure() {
  local folder=$1 programs=$2
  shift 2
  printf '%q ' "$folder/bench" "-nodevitals=$folder/nodevitals" "-cadvisor=$folder/cadvisor" "-reads=$folder/reads" "-app=$folder/app" \
    "-programs=$programs" "-logs=$folder/logs" "-out=$folder/result.json" "$@"
}

if [ -n "${BENCH_VM:-}" ]; then
  # Programs run from the cache, unless the machine cannot see it: its /tmp and /run are its own.
  there=$programs
  case $(realpath "$programs") in
  /tmp/* | /run/* | /dev/shm/*)
    there=/vmout/programs
    cp -R "$programs" "$out/programs" ;;
  esac
  {
    echo '#!/bin/bash'
    printf 'cd %q || exit 1\nmodprobe -a veth overlay\nulimit -n 200000\ntouch /vmout/steps.json\n' "$PWD/bench"
    # With 60 pods on v2 the instances of inotify that one user may have by default, 128, were used up.
    echo 'sysctl -qw fs.inotify.max_user_instances=8192'
    for count in ${BENCH_STEPS-200}; do
      printf 'NODEVITALS_BENCH=%q NODEVITALS_BENCH_STEPS=/vmout/steps.json /vmout/bench.test -test.run=^TestTable$ -test.timeout=20m\n' "$count"
    done
    printf 'exec '
    measure /vmout "$there" -whole-machine "-pods=${BENCH_PODS:-20}" "-rounds=${BENCH_ROUNDS:-3}" \
      "-minutes=${BENCH_MINUTES:-1}" "-growth=${BENCH_GROWTH-10,110,500,1000}" -steps=/vmout/steps.json
  } >"$out/run"
  chmod 755 "$out/run"
  VM_CGROUP=2 VM_MEM=${VM_MEM:-6G} VM_TIMEOUT=${VM_TIMEOUT:-3600} VM_OUT=$out scripts/vm.sh /vmout/run
  exit
fi

for count in ${BENCH_STEPS-10 443}; do
  (cd bench && NODEVITALS_BENCH=$count NODEVITALS_BENCH_STEPS=$out/steps.json "$out/bench.test" -test.run '^TestTable$' -test.timeout 20m)
done
touch "$out/steps.json"
record=()
[ -z "${BENCH_RECORD:-}" ] || record=(-record)
eval "exec $(measure "$out" "$programs" "-pods=${BENCH_PODS:-110}" "-rounds=${BENCH_ROUNDS:-5}" "-minutes=${BENCH_MINUTES:-2}" \
  "-growth=${BENCH_GROWTH-10,50,110,250,500,1000,1600,4000}" "-steps=$out/steps.json" -recorded=docs/performance.json \
  -page=docs/performance.md -plot=docs/performance.svg "${record[@]}")"
