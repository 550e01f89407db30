#!/usr/bin/env bash
# A fresh shop in a folder of its own, half a year of trade through it, its books judged, the shop
# stopped. Called by `make replay` with FILE (the data set), STACK (embedded; servers: PostgreSQL,
# Redis and RabbitMQ, started for it and stopped after; split: six processes on such servers) and JSON
# (where the report goes, optional); PRESET chooses the build (release). Exits non-zero when a figure
# differs.
set -euo pipefail
cd "$(dirname "$0")/../.."

file=${FILE:?FILE is the data set: make replay FILE=path/to/online-retail.csv.gz}
stack=${STACK:-embedded}
souk=$(readlink -f "${SOUK:-build/${PRESET:-release}/souk}")

if [[ $stack != embedded && $stack != servers && $stack != split ]]; then
    echo "replay: no stack '$stack'; there are: embedded, servers, split" >&2
    exit 2
fi
# Servers that the caller's own shop uses are none of ours.
unset DATABASE_URL REDIS_URL RABBITMQ_URL

data=$(mktemp -d "${TMPDIR:-/tmp}/souk-replay.XXXXXX")
server=
stop() {
    if [[ -n $server ]]; then
        kill -TERM "$server" 2>/dev/null || :
        wait "$server" || :
    fi
    [[ ! -d $data/split ]] || deploy/local/split.sh remove "$data/split"
    [[ ! -d $data/services ]] || tests/support/services.sh remove "$data/services"
    rm -rf "$data"
}
trap stop EXIT

step() { echo "replay: $*" >&2; }

seed_importer() {
    "$souk" seed "$@" --account importer@shop.example --role importer \
        --credentials "$data/importer.json"
}

start_whole() {
    if [[ $stack == servers ]]; then
        step 'PostgreSQL, Redis and RabbitMQ of its own'
        chmod 0711 "$data" # the servers are other users when this one is root
        tests/support/services.sh start --owner $$ "$data/services" >&2
        # shellcheck source=/dev/null
        source "$data/services/env"
        "$souk" doctor --data "$data/shop" >&2
    fi
    step "a fresh shop in $data"
    seed_importer --data "$data/shop"
    "$souk" serve --data "$data/shop" --port 0 --metrics-port 0 --set http.access_log=false \
        >"$data/serve.log" 2>&1 &
    server=$!
    for ((try = 0; ; ++try)); do
        if [[ -s $data/shop/souk.json ]]; then
            break
        elif ((try == 200)) || ! kill -0 "$server" 2>/dev/null; then
            echo 'replay: the shop did not start:' >&2
            cat "$data/serve.log" >&2
            exit 1
        fi
        sleep 0.05
    done
    port=$(sed -nE 's/.*"port":([0-9]+).*/\1/p' "$data/shop/souk.json")
    operator=(--data "$data/shop")
}

start_split() {
    step "a fresh shop of six processes, with servers of its own, in $data"
    chmod 0711 "$data"
    SOUK=$souk SOUK__HTTP__ACCESS_LOG=false \
        deploy/local/split.sh start --owner $$ --offset free "$data/split" >&2
    # shellcheck source=/dev/null
    source "$data/split/env" # the operator's: where the six are, and a certificate
    operator=()
    seed_importer
    port=$(sed -nE 's/.*"port":([0-9]+).*/\1/p' "$data/split/gateway/souk.json")
}

if [[ $stack == split ]]; then start_split; else start_whole; fi
shop=(--url "http://127.0.0.1:$port" --credentials "$data/importer.json")

"$souk" import online-retail "$file" "${shop[@]}"
if [[ -n ${JSON:-} ]]; then
    "$souk" replay online-retail "$file" "${shop[@]}" --report "$JSON"
else
    "$souk" replay online-retail "$file" "${shop[@]}"
fi
step 'the books, judged over all modules'
"$souk" verify "${operator[@]}" --settle 60
