#!/usr/bin/env bash
# What the edge and the split cost, side by side: the same GET to the whole shop in one process, to a
# module's process through the gateway, and to that process itself; peers by a shared key (wrk has no
# client certificate), and once more through the gateway with certificates on both sides. Every round
# asks all of them in turn, so that what else the machine does meets all alike; the report compares
# medians of rounds. Everything runs on one set of servers of its own and is removed at the end.
#   run.sh [--seconds N] [--rounds N] [--json FILE]     seconds a measurement (1), rounds (3)
# CPU is what /proc counts of each process while its requests run.
set -euo pipefail
cd "$(dirname "$0")/../.."

souk=$(readlink -f "${SOUK:-build/${PRESET:-release}/souk}")
seconds=1 rounds=3 report=
# At saturation, and at a fixed moderate rate: 16 connections that pause 20 ms are 800 requests/s.
busy_connections=32
calm_connections=16 calm_pause_ms=20

die() {
    echo "bench: $*" >&2
    exit 1
}

while (($# > 0)); do
    case $1 in
        --seconds) seconds=$2 ;;
        --rounds) rounds=$2 ;;
        --json) report=$2 ;;
        *)
            sed -nE '2,/^set /{/^set /d; s/^# ?//p}' "$0" >&2
            exit 2
            ;;
    esac
    shift 2
done
[[ -x $souk ]] || die 'there is no binary: make build'

unset DATABASE_URL REDIS_URL RABBITMQ_URL
umask 077
dir=$(mktemp -d "${TMPDIR:-/tmp}/souk-bench.XXXXXX")
chmod 0711 "$dir"
declare -A pids=()
stop() {
    local name
    for name in "${!pids[@]}"; do kill -TERM "${pids[$name]}" 2>/dev/null || :; done
    for name in "${!pids[@]}"; do wait "${pids[$name]}" 2>/dev/null || :; done
    [[ ! -d $dir/services ]] || tests/support/services.sh remove "$dir/services"
    rm -rf "$dir"
}
trap stop EXIT

step() { echo "bench: $*" >&2; }

# --- the processes: NAME is a way to run (whole, key, tls) and, where split, the module ---

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

next_port=14000 # below the servers' range, above what a shop on this machine has
free_port() {
    while answers "$next_port"; do next_port=$((next_port + 1)); done
    port=$next_port
    next_port=$((next_port + 1))
}

# launch NAME ARGUMENT...   environment: what the caller exported in its subshell
launch() {
    local name=$1
    shift
    "$souk" serve --data "$dir/$name" --set data.shared="$dir/shared" --metrics-port 0 \
        --set http.access_log=false --set gateway.browse_per_minute=60000000 "$@" \
        </dev/null >"$dir/$name.log" 2>&1 &
    pids[$name]=$!
}

await() {
    local name=$1 try
    for ((try = 0; ; ++try)); do
        if [[ -s $dir/$name/souk.json ]]; then break; fi
        if ((try == 600)) || ! kill -0 "${pids[$name]}" 2>/dev/null; then
            cat "$dir/$name.log" >&2
            die "$name did not start"
        fi
        sleep 0.05
    done
}

declare -A internal=()
credentials_of() { # WAY ROLE
    if [[ $1 == key ]]; then
        export SOUK__INTERNAL__SHARED_KEY_FILE=$dir/peer.key
    else
        export SOUK__INTERNAL__CA_FILE=$dir/certs/ca.crt
        export SOUK__INTERNAL__CERTIFICATE_FILE=$dir/certs/$2.crt
        export SOUK__INTERNAL__KEY_FILE=$dir/certs/$2.key
    fi
    if [[ $2 == gateway ]]; then
        export SOUK__INTERNAL__IDENTITY_KEY_FILE=$dir/certs/identity.key
    else
        export SOUK__INTERNAL__IDENTITY_PUBLIC_FILE=$dir/certs/identity.pub
    fi
}

forget_credentials() { unset "${!SOUK__INTERNAL__@}" "${!SOUK__PEERS__@}"; }

start_split() { # WAY
    local way=$1 role scheme=https
    [[ $way == tls ]] || scheme=http
    for role in user product; do
        free_port
        internal[$way-$role]=$port
        credentials_of "$way" "$role"
        launch "$way-$role" --modules="$role" --port 0 --set internal.port="$port"
        forget_credentials
    done
    await "$way-user"
    await "$way-product"
    credentials_of "$way" gateway
    # Of the others nothing is asked.
    for role in user product order payment notification; do
        export "SOUK__PEERS__${role^^}=$scheme://127.0.0.1:${internal[$way-$role]:-1}"
    done
    launch "$way-gateway" --modules=gateway --port 0
    forget_credentials
    await "$way-gateway"
}

port_of() { jq .port "$dir/$1/souk.json"; }

# --- requests ---

base64url() { base64 -w0 | tr '+/' '-_' | tr -d '='; }

# What the gateway would say of the customer, signed with its key; holds for 30 s.
identity_token() {
    local now kid x signed
    now=$(date +%s)
    [[ -s $dir/identity.der ]] || {
        (
            printf '\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20'
            (tr -d '\n=' <"$dir/certs/identity.key" | tr -- '-_' '+/' && printf '=') | base64 -d
        ) >"$dir/identity.der"
    }
    x=$(openssl pkey -inform DER -in "$dir/identity.der" -pubout -outform DER | tail -c 32 | base64url)
    kid=$(printf '{"crv":"Ed25519","kty":"OKP","x":"%s"}' "$x" | openssl dgst -sha256 -binary | base64url)
    signed=$(printf '{"alg":"EdDSA","kid":"%s","typ":"souk-internal+jwt"}' "$kid" | base64url).$(
        printf '{"iss":"souk","aud":"souk-internal","sub":"%s","sid":"%s","roles":%s,"iat":%d,"exp":%d}' \
            "$subject" "$session" "$roles" "$now" $((now + 30)) | base64url
    )
    printf '%s' "$signed" >"$dir/signed"
    echo "$signed.$(openssl pkeyutl -sign -rawin -keyform DER -inkey "$dir/identity.der" \
        -in "$dir/signed" | base64url)"
}

register() {
    local answer claims
    answer=$(printf '{"email":"bench@example.com","name":"Bench","password":"a long bench password"}' |
        curl -fsS "http://127.0.0.1:$(port_of whole)/api/users/register" \
            -H 'Content-Type: application/json' --data-binary @-)
    access_token=$(jq -r .access_token <<<"$answer")
    claims=$(cut -d. -f2 <<<"$access_token" | tr -- '-_' '+/')
    while ((${#claims} % 4)); do claims+='='; done
    claims=$(base64 -d <<<"$claims")
    subject=$(jq -r .sub <<<"$claims") session=$(jq -r .sid <<<"$claims")
    roles=$(jq -c .roles <<<"$claims")
}

# wrk's line for one measurement: measure WAY REQUEST CONNECTIONS PAUSE
measure() {
    local way=$1 request=$2 connections=$3 pause=$4 target fields='' path
    case $request in
        product) path=/api/products/$product ;;
        list) path='/api/products?limit=20' ;;
        me) path=/api/users/me ;;
    esac
    case $way in
        whole) target=$(port_of whole) ;;
        direct)
            target=${internal[key-product]}
            [[ $request != me ]] || target=${internal[key-user]}
            fields="Souk-Peer-Key: $(<"$dir/peer.key")"
            ;;
        gateway) target=$(port_of key-gateway) ;;
        gateway-tls) target=$(port_of tls-gateway) ;;
    esac
    if [[ $request == me && $way == direct ]]; then
        fields+=$'\n'"Souk-Identity: $(identity_token)"
    elif [[ $request == me ]]; then
        fields="Authorization: Bearer $access_token"
    fi
    BENCH_PATH=$path BENCH_FIELDS=$fields BENCH_PAUSE_MS=$pause wrk -t 1 -c "$connections" \
        -d "${seconds}s" -s tests/bench/load.lua "http://127.0.0.1:$target" | tail -n 1
}

# The processes that a request of this way passes.
passed_by() { # WAY REQUEST
    local module=product
    [[ $2 != me ]] || module=user
    case $1 in
        whole) echo whole ;;
        direct) echo "key-$module" ;;
        gateway) echo "key-gateway key-$module" ;;
        gateway-tls) echo "tls-gateway tls-$module" ;;
    esac
}

# Nanoseconds that the threads of a process have run; %d would stop at 2^31 in mawk.
cpu_ns() { cat "/proc/${pids[$1]}/task/"*/schedstat | awk '{ sum += $1 } END { printf "%.0f", sum }'; }

# A line of JSON: measured WAY REQUEST LOAD CONNECTIONS PAUSE
measured() {
    local way=$1 request=$2 load=$3 name line names=()
    local -A before=()
    read -ra names <<<"$(passed_by "$way" "$request")"
    for name in "${names[@]}"; do before[$name]=$(cpu_ns "$name"); done
    line=$(measure "$way" "$request" "$4" "$5")
    jq -e '.faults == 0 and .requests > 0' <<<"$line" >/dev/null ||
        die "$way $request: answers other than 200, or none: $line"
    for name in "${names[@]}"; do
        line=$(jq -c --arg role "${name#*-}" --argjson ns $(($(cpu_ns "$name") - before[$name])) \
            '.cpu_us[$role] = $ns / 1000 / .requests' <<<"$line")
    done
    jq -c --arg way "$way" --arg request "$request" --arg load "$load" \
        '{way: $way, request: $request, load: $load} + .' <<<"$line"
}

step 'servers of its own'
tests/support/services.sh start --owner $$ "$dir/services" >&2
# shellcheck source=/dev/null
source "$dir/services/env"
"$souk" dev-certs "$dir/certs" >/dev/null
openssl rand 32 | base64url >"$dir/peer.key"
step 'the whole shop, and the parts that are asked, twice'
free_port
launch whole --port "$port"
await whole
"$souk" seed --demo --data "$dir/whole" >&2
start_split key
start_split tls
register
product=$(curl -fsS "http://127.0.0.1:$(port_of whole)/api/products?limit=1" | jq -r '.data[0].id')

step "$rounds rounds of 24 measurements, $seconds s each"
lines=$dir/lines
for ((round = 1; round <= rounds; ++round)); do
    for request in product list me; do
        for way in whole direct gateway gateway-tls; do
            measured "$way" "$request" saturation "$busy_connections" 0 >>"$lines"
            measured "$way" "$request" moderate "$calm_connections" "$calm_pause_ms" >>"$lines"
        done
    done
done

jq -s --argjson seconds "$seconds" --argjson rounds "$rounds" --argjson cores "$(nproc)" \
    --arg version "$("$souk" version)" -f tests/bench/report.jq "$lines" >"$dir/report.json"
[[ -z $report ]] || cp "$dir/report.json" "$report"
jq -r -f tests/bench/table.jq "$dir/report.json"
