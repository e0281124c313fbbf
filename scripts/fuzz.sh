#!/usr/bin/env bash
# fuzz.sh: runs every fuzz target of the module for FUZZTIME (10000x: so many inputs), one by one. A new failing input is kept in the package's testdata/fuzz.
# With CHECKS=FILE it leaves the results there, for test.sh to sum up, and exits 0; without, it exits 1 if a target failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

time=${FUZZTIME:-10000x} failed=0
log=build/fuzz.log
mkdir -p build

result() { [ -z "${CHECKS:-}" ] || printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$CHECKS"; }

# go test -list prints the names of a package's targets, then a line "ok PACKAGE TIME".
if ! targets=$(go test -list '^Fuzz' ./... 2>"$log" | awk '/^Fuzz/ {name[++n] = $1} /^ok/ {for (i = 1; i <= n; i++) print $2, name[i]; n = 0}'); then
  cat "$log"
  result fail "fuzz targets" "a package does not build"
  failed=1
fi
while read -r package target; do
  [ -n "$target" ] || continue
  if go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" >"$log" 2>&1; then
    echo "ok   fuzz $package.$target $time: $(grep -o 'execs: [0-9]*' "$log" | tail -n 1)"
    result pass "fuzz $package.$target" ""
  else
    cat "$log"
    result fail "fuzz $package.$target" "see its words above"
    failed=1
  fi
done <<<"$targets"
[ -n "${CHECKS:-}" ] || exit "$failed"
