#!/usr/bin/env bash
# Does each contract suite catch a driver that breaks its contract? Breaks one driver at a time in this
# tree, builds, expects the suite to fail, and puts the file back. Takes some minutes; `make test` does
# not run it. Some only: tests/support/plant.sh sqlite redis. Needs what `make test` needs, and no
# uncommitted changes in the drivers' files.
set -euo pipefail
cd "$(dirname "$0")/../.."

services=$(mktemp -d "${TMPDIR:-/tmp}/souk-plant.XXXXXX")
build=${BUILD:-build/dev}
planted=
put_back() { [[ -z $planted ]] || git checkout -q -- "$planted"; planted=; }
trap 'put_back; tests/support/services.sh remove "$services" >/dev/null || :' EXIT
missed=0

# plant NAME FILE OLD NEW FILTER: with NEW in the place of OLD, contract FILTER must fail.
plant() {
    local name=$1 file=$2 old=$3 new=$4 filter=$5 content
    [[ $wanted == *" $name "* ]] || return 0
    git diff --quiet -- "$file" || { echo "plant: $file has uncommitted changes" >&2; exit 2; }
    content=$(<"$file")
    [[ $content == *"$old"* ]] || { echo "plant: $name: $file has changed, mend this script" >&2; exit 2; }
    planted=$file
    printf '%s\n' "${content/"$old"/"$new"}" >"$file"
    cmake --build "$build" --target contract >"$services/build.log" 2>&1 || {
        cat "$services/build.log" >&2
        exit 2
    }
    if SOUK_TEST_SERVICES=$services timeout 300 "$build/tests/contract" "$filter" >"$services/out" 2>&1; then
        echo "MISSED   $name"
        missed=1
    else
        echo "caught   $name: $(grep -aE '^test cases:|SIG[A-Z]+' "$services/out" | tail -n 1)"
    fi
    put_back
}

wanted=" ${*:-sqlite postgres memory redis embedded rabbitmq} "
tests/support/services.sh start "$services" >/dev/null
plant sqlite src/database/sqlite/writer.cpp 'if (!result || failure)
        if (auto undone' 'if (failure)
        if (auto undone' 'database:*'
plant postgres src/database/postgres/worker.cpp 'ask_bounded(rollback_statement,' \
    'ask_bounded(commit_statement,' 'database:*'
plant memory src/cache/memory_rate_limiter.cpp 'owed + token <= capacity' 'owed <= capacity' '[contract]'
plant redis src/cache/redis/scripts.cpp 'out + 1 <= limit + nothing' 'out <= limit + nothing' '[contract]'
plant embedded src/events/inbox.cpp 'if ((*inserted)[i].affected() == 0) continue;' '' '[bus]'
# shellcheck disable=SC2016 # SQL's own parameters
plant rabbitmq src/events/rabbitmq/relay_store.cpp 'AND fence = $5)"};' 'AND fence = $5 OR true)"};' 'rabbitmq:*'
cmake --build "$build" --target contract >/dev/null
exit "$missed"
