#!/usr/bin/env bash
# lint.sh: every static check, one after the other, so that one run shows all there is to mend. Exits 1 if any failed.
# With CHECKS=FILE it leaves the results there, for test.sh to sum up, and exits 0.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

tools=$PWD/build/tools
checks=${CHECKS:-build/lint.checks}
mkdir -p "$(dirname "$checks")"
[ -n "${CHECKS:-}" ] || : >"$checks"

# result ACTION NAME REASON keeps one line: pass, fail or skip.
result() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$checks"; }

# check NAME COMMAND… passes if the command does.
check() {
  local name=$1
  shift
  echo "lint: $name"
  if "$@"; then result pass "$name" ""; else result fail "$name" "see its words above"; fi
}

unformatted() {
  local files
  files=$("$tools/gofumpt" -l .) || return 1
  [ -z "$files" ] && return 0
  echo "not formatted; run build/tools/gofumpt -w on:"
  echo "$files"
  return 1
}

# vulnerabilities fails on a finding. The database is a public service: a network that keeps it out is no fault of the code.
vulnerabilities() {
  local log=build/govulncheck.log status=0 reason
  echo "lint: govulncheck"
  timeout 300 "$tools/govulncheck" ./... >"$log" 2>&1 || status=$?
  if [ "$status" = 0 ]; then
    result pass govulncheck ""
  elif [ "$status" = 124 ] || grep -q 'fetching vulnerabilities' "$log"; then
    reason=$(grep -m 1 'fetching vulnerabilities' "$log" | grep -o '[^:]*$' | sed 's/^ *//')
    result skip govulncheck "its database cannot be reached from this network: ${reason:-no answer in 300 s}"
  else
    cat "$log"
    result fail govulncheck "see its words above"
  fi
}

check gofumpt unformatted
check "go vet" go vet ./...
check "go vet (tools)" go -C tools vet ./...
check "go vet (monitoring)" go -C tools/monitoring vet ./...
check "go vet (e2e)" go -C e2e vet ./...
check golangci-lint "$tools/golangci-lint" run ./...
check "golangci-lint (e2e)" env -C e2e "$tools/golangci-lint" run --config ../.golangci.yml ./...
check "golangci-lint (monitoring)" env -C tools/monitoring "$tools/golangci-lint" run --config ../../.golangci.yml ./...
if command -v shellcheck >/dev/null; then
  check shellcheck shellcheck .ci/run scripts/*.sh
else
  result skip shellcheck "it is not installed, and Debian's package could not be had"
fi
vulnerabilities

[ -n "${CHECKS:-}" ] || "$tools/testreport" sum "$checks"
