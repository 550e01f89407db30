#!/usr/bin/env bash
# The version before this one must work on this one's schema: during a rolling update it does. A shop
# of the version PREVIOUS (a commit; the newest tag v*) trades while this version's `souk migrate`
# brings its databases forward, is killed, starts again on the newer schema and trades on; then this
# version takes over. The books are judged each time. On the stack STACK (servers or embedded).
# NEW is this version's binary. Exits 77, and says so, when no version has been tagged yet.
set -euo pipefail
cd "$(dirname "$0")/../.."

new=${NEW:-$PWD/build/dev/souk}
stack=${STACK:-servers}
previous=${PREVIOUS:-$(git describe --tags --match 'v*' --abbrev=0 'HEAD^' 2>/dev/null || :)}
[[ -n $previous ]] || {
    echo 'no version has been tagged yet (PREVIOUS=<commit> names one)'
    exit 77
}
commit=$(git rev-parse --verify "$previous^{commit}")

work=$(mktemp -d "${TMPDIR:-/tmp}/souk-previous.XXXXXX")
server=
finish() {
    if [[ -n $server ]]; then
        kill -KILL "$server" 2>/dev/null || :
        wait "$server" 2>/dev/null || :
    fi
    if [[ $stack == servers ]]; then
        tests/support/services.sh remove "$work/servers" || :
    fi
    rm -rf "$work"
}
trap finish EXIT

# The binary of the previous version, built once into a cache.
build_previous() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/souk-previous/$commit
    old=$cache/souk
    [[ ! -x $old ]] || return 0
    mkdir -p "$work/source" "$cache"
    git archive "$commit" | tar -x -C "$work/source"
    (cd "$work/source" && .ci/build release)
    cp "$work/source/build/release/souk" "$old.new"
    mv "$old.new" "$old"
}

# trade FILE COUNT: a file of COUNT sales; a longer one begins with those of a shorter one.
trade() {
    {
        echo 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country'
        for ((i = 0; i < $2; ++i)); do
            echo "$((536365 + i)),$((20000 + i % 7)),MUG,$((1 + i % 5)),2011-01-$((10 + i % 9)) 10:00:00,1.25,$((12346 + i % 11)),United Kingdom"
        done
    } >"$1"
}

start() {
    rm -f "$work/shop/souk.json"
    "$1" serve --data "$work/shop" --port 0 --metrics-port 0 --set http.access_log=false \
        >>"$work/log" 2>&1 &
    server=$!
    local try
    for ((try = 0; ; ++try)); do
        [[ ! -s $work/shop/souk.json ]] || break
        if ((try == 400)) || ! kill -0 "$server" 2>/dev/null; then
            echo "$1 did not start:" >&2
            cat "$work/log" >&2
            exit 1
        fi
        sleep 0.05
    done
    local port
    port=$(sed -nE 's/.*"port":([0-9]+).*/\1/p' "$work/shop/souk.json")
    shop=(--url "http://127.0.0.1:$port" --credentials "$work/importer.json")
}

end() {
    kill "-$1" "$server"
    wait "$server" 2>/dev/null || :
    server=
}

# trade_with BINARY COUNT: so many sales in all through the shop that runs, by BINARY's own commands.
trade_with() {
    trade "$work/trade-$2.csv" "$2"
    "$1" import online-retail "$work/trade-$2.csv" "${shop[@]}"
    "$1" replay online-retail "$work/trade-$2.csv" "${shop[@]}"
    "$1" verify --data "$work/shop" --settle 60
}

build_previous
if [[ $stack == servers ]]; then
    tests/support/services.sh start "$work/servers" >/dev/null
    set -a
    # shellcheck disable=SC1091
    source "$work/servers/env"
    set +a
fi
"$old" seed --data "$work/shop" --account importer@shop.example --role importer \
    --credentials "$work/importer.json"
start "$old"
trade_with "$old" 40
if [[ $stack == embedded ]]; then
    end TERM # the folder belongs to one process at a time
    "$new" migrate --data "$work/shop"
    start "$old"
else
    "$new" migrate --data "$work/migrator"
fi
trade_with "$old" 80
end KILL
start "$old"
trade_with "$old" 120
end TERM
start "$new"
trade_with "$new" 160
end TERM
