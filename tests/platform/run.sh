#!/usr/bin/env bash
# The checks of what surrounds the binary. Each phase of the platform has a file phase_NN.sh beside
# this one, which calls `check` once a claim:
#
#     check LEVEL TOOL 'what is claimed' function
#
#   LEVEL   real      the real software ran it
#           emulated  a named stand-in for what cannot be had here
#           static    parsed and checked only
#   function          succeeds, fails, or calls `skip 'reason'`; what it prints is shown when it fails
#
# Each leaves a record in build/platform/evidence.jsonl, so that what the documents claim can be made
# from what ran. Run some only: tests/platform/run.sh 01 06
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$PWD/build/platform
evidence=$out/evidence.jsonl
mkdir -p "$out"
: >"$evidence"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

passed=0 failed=0 skipped=0
phase=

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
else
    green='' red='' yellow='' plain=''
fi

skip() {
    echo "$*" >"$scratch/skip-reason"
    exit 77
}

json() { node -p 'JSON.stringify(process.argv[1])' -- "$1"; }

check() {
    local level=$1 tool=$2 claim=$3 body=$4
    local log=$scratch/log start=$SECONDS status=0 result
    rm -f "$scratch/skip-reason"
    # In a subshell that is no condition, or errexit would not hold inside the check.
    set +e
    (
        set -e
        "$body"
    ) >"$log" 2>&1 </dev/null
    status=$?
    set -e

    local took=$((SECONDS - start))
    if ((status == 0)); then
        result=passed passed=$((passed + 1))
        echo "  ${green}ok${plain}       $claim (${took} s)"
    # A check that happens to exit with 77 gave no reason, so it failed.
    elif ((status == 77)) && [[ -s $scratch/skip-reason ]]; then
        result=skipped skipped=$((skipped + 1))
        echo "  ${yellow}SKIPPED${plain}  $claim: $(<"$scratch/skip-reason")"
    else
        result=failed failed=$((failed + 1))
        echo "  ${red}FAILED${plain}   $claim (${took} s)"
        sed 's/^/           /' "$log"
    fi

    local version=unknown
    [[ ! $("$tool" --version 2>/dev/null) =~ [0-9]+(\.[0-9]+)+ ]] || version=${BASH_REMATCH[0]}
    printf '{"phase":"%s","claim":%s,"level":"%s","tool":%s,"version":%s,"command":%s,"result":"%s"}\n' \
        "$phase" "$(json "$claim")" "$level" "$(json "$tool")" "$(json "$version")" \
        "$(json "tests/platform/run.sh $phase")" "$result" >>"$evidence"
}

phases=("$@")
if ((${#phases[@]} == 0)); then
    for file in tests/platform/phase_*.sh; do
        file=${file##*/phase_}
        phases+=("${file%.sh}")
    done
fi

for phase in "${phases[@]}"; do
    [[ -f tests/platform/phase_$phase.sh ]] || {
        echo "platform: there is no phase_$phase.sh" >&2
        exit 2
    }
    echo "phase $phase"
    # shellcheck source=/dev/null
    source "tests/platform/phase_$phase.sh"
done

summary="$passed passed, $failed failed"
((skipped == 0)) || summary+=", $skipped skipped"
echo
echo "$summary"
((failed == 0 && passed > 0))
