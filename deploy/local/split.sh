#!/usr/bin/env bash
# The split shop on this machine: six processes of one binary on PostgreSQL, Redis and RabbitMQ of
# their own, everything in one folder, on loopback only, believing each other by certificates.
#   split.sh run DIR                 start, show warnings, tell who ends; ^C or SIGTERM stops all
#   split.sh start DIR               start what does not run, in the background
#   split.sh restart DIR MODULE      a successor takes the module over; or start it when it ended
#   split.sh stop DIR                the six, then the servers, in order; the data stays
#   split.sh remove DIR              stop, then delete the folder
#   split.sh status DIR              a line a process; fails when one is not ready
# Before DIR, with start and run:
#   --offset N    to every port, so that several shops fit on a machine; `free`: a fresh one
#   --owner PID   remove everything when that process ends, however it ends
# SOUK names the binary (build/release/souk). DIR/env is what an operator's commands need:
#   source DIR/env; souk verify
# Ports and who calls whom come from `souk topology --json`. Nothing is ended that is not in DIR/pids.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
services=$root/tests/support/services.sh
# shellcheck source=tests/support/pids.sh
source "$root/tests/support/pids.sh"
souk=$(readlink -f "${SOUK:-$root/build/${PRESET:-release}/souk}")
marker=.souk-split
ready_limit_s=60
stop_limit_s=40 # souk gives itself 15 s after its drain wait
highest_offset=1700

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' dim='' red='' green='' plain=''
fi

die() {
    echo "split: $*" >&2
    exit 1
}

usage() {
    sed -nE '2,/^set /{/^set /d; s/^# ?//p}' "$0" >&2
    exit 2
}

say() { echo "split: $*"; }

# --- which process is which: DIR/pids/ROLE holds a pid and when it started ---

pid_of() { running "$dir/pids/$1"; }

# --- the table ---

declare -A service port internal_port metrics_port calls
roles=() # peers before those that call them

read_topology() {
    local role name public internal metrics peers listed=()
    while IFS='|' read -r role name public internal metrics peers; do
        service[$role]=$name
        port[$role]=$((public + offset))
        internal_port[$role]=$((internal == 0 ? 0 : internal + offset))
        metrics_port[$role]=$((metrics + offset))
        calls[$role]=$peers
        listed+=("$role")
    done < <("$souk" topology --json | jq -r '.modules[] | [.name, .service, .port,
        .internal_port, .metrics_port, (.calls | join(" "))] | map(tostring) | join("|")')
    ((${#listed[@]} > 1)) || die "$souk topology --json names no modules"
    roles=()
    while ((${#roles[@]} < ${#listed[@]})); do
        for role in "${listed[@]}"; do
            if ! among "$role" "${roles[@]}" && all_among "${calls[$role]}" "${roles[@]}"; then
                roles+=("$role")
            fi
        done
    done
}

among() {
    local wanted=$1 one
    shift
    for one in "$@"; do [[ $one != "$wanted" ]] || return 0; done
    return 1
}

all_among() {
    local wanted one
    read -ra wanted <<<"$1"
    shift
    for one in "${wanted[@]}"; do among "$one" "$@" || return 1; done
}

url_of() {
    if ((${internal_port[$1]} > 0)); then
        echo "https://127.0.0.1:${internal_port[$1]}"
    else
        echo "http://127.0.0.1:${port[$1]}"
    fi
}

# --- ports ---

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

ports_of() {
    echo "${port[$1]}" "${metrics_port[$1]}"
    ((${internal_port[$1]} == 0)) || echo "${internal_port[$1]}"
}

# Sets `taken` to the first port of the named roles that somebody has.
ports_are_free() {
    local role number
    for role in "$@"; do
        for number in $(ports_of "$role"); do
            ! answers "$number" || {
                taken=$number
                return 1
            }
        done
    done
}

read_offset() {
    offset=0
    [[ ! -s $dir/offset ]] || offset=$(<"$dir/offset")
    read_topology
}

choose_offset() {
    local asked=$1 before=$offset try role
    if [[ -z $asked || $asked == "$before" ]] || [[ $asked == free && -s $dir/offset ]]; then
        return
    fi
    for role in "${roles[@]}"; do
        ! pid_of "$role" >/dev/null || die "${service[$role]} runs: stop the shop to change its ports"
    done
    if [[ $asked == free ]]; then
        for ((try = 0; ; ++try)); do
            ((try < 50)) || die 'no free ports found'
            offset=$((1 + SRANDOM % highest_offset))
            read_topology
            if ports_are_free "${roles[@]}"; then break; fi
        done
    elif [[ $asked =~ ^[0-9]{1,4}$ ]] && ((asked <= highest_offset)); then
        offset=$asked
        read_topology
    else
        die "--offset takes a number up to $highest_offset, or: free"
    fi
    echo "$offset" >"$dir/offset"
}

# --- one process ---

# What role $1 adds to the environment, as shell text: where its peers are, which keys are its own.
settings_of() {
    local peer certs=$dir/certs
    for peer in "${roles[@]}"; do
        ((${internal_port[$peer]} == 0)) ||
            echo "export SOUK__PEERS__${peer^^}='$(url_of "$peer")'"
    done
    echo "export SOUK__INTERNAL__CA_FILE='$certs/ca.crt'"
    echo "export SOUK__INTERNAL__CERTIFICATE_FILE='$certs/$1.crt'"
    echo "export SOUK__INTERNAL__KEY_FILE='$certs/$1.key'"
    case $1 in
        gateway) echo "export SOUK__INTERNAL__IDENTITY_KEY_FILE='$certs/identity.key'" ;;
        operator) echo "export SOUK__DATA__DIR='$dir/operator'" ;;
        *) echo "export SOUK__INTERNAL__IDENTITY_PUBLIC_FILE='$certs/identity.pub'" ;;
    esac
}

# In a session of its own, so that a Ctrl-C at a terminal is not for it, with no file of ours open.
# Its pid is in $launched.
launch() {
    local role=$1 internal=()
    shift
    ((${internal_port[$role]} == 0)) || internal=(--set "internal.port=${internal_port[$role]}")
    (
        exec </dev/null >>"$dir/logs/$role.log" 2>&1 6>&- 7>&- 8>&- 9>&-
        # shellcheck source=/dev/null
        source "$dir/services/env"
        # shellcheck source=/dev/null
        source <(settings_of "$role")
        exec setsid "$souk" serve --modules="$role" --data "$(data_of "$role")" \
            --port "${port[$role]}" --metrics-port "${metrics_port[$role]}" "${internal[@]}" "$@"
    ) &
    launched=$!
}

# As short as it can be from here.
shown() { realpath -m --relative-base="$PWD" "$1"; }

# Short, because the path of a socket in it may have 107 bytes.
data_of() { shown "$dir/$1"; }

is_ready() {
    "$souk" healthcheck --url "http://127.0.0.1:${metrics_port[$1]}/health/ready" >/dev/null 2>&1
}

await_ready() {
    local role=$1 end=$((SECONDS + ready_limit_s))
    until is_ready "$role"; do
        pid_of "$role" >/dev/null || fail_start "$role" 'ended before it was ready'
        ((SECONDS < end)) || fail_start "$role" "is not ready after $ready_limit_s s"
        sleep 0.05
    done
}

fail_start() {
    echo "${red}split:${plain} ${service[$1]} $2; the end of $(shown "$dir/logs/$1.log"):" >&2
    tail -n 15 "$dir/logs/$1.log" >&2
    exit 1
}

start_one() {
    pid_of "$1" >/dev/null && return
    launch "$1"
    remember "$dir/pids/$1" "$launched"
}

show_one() {
    printf '%s%-21s%s %-26s %smetrics http://127.0.0.1:%s/metrics, pid %s%s\n' "$bold" \
        "${service[$1]}" "$plain" "$(url_of "$1")" "$dim" "${metrics_port[$1]}" "$(pid_of "$1")" "$plain"
}

stop_one() {
    local pid end=$((SECONDS + stop_limit_s))
    pid=$(pid_of "$1") || {
        rm -f "$dir/pids/$1"
        return 0
    }
    kill -TERM "$pid" 2>/dev/null || :
    while pid_of "$1" >/dev/null; do
        if ((SECONDS > end)); then
            echo "split: ${service[$1]} did not stop within $stop_limit_s s and was killed" >&2
            kill -KILL "$pid" 2>/dev/null || :
            end=$((SECONDS + stop_limit_s))
        fi
        sleep 0.02
    done
    rm -f "$dir/pids/$1"
}

# --- all of them ---

start_servers() {
    # As root they run as Debian's users, who must be able to pass.
    chmod 0711 "$dir"
    "$services" start "$dir/services" 6>&- 7>&- 8>&- 9>&-
}

# Removes everything when process $1 has ended; a zombie has.
guard() {
    # shellcheck disable=SC2016 # for the inner shell
    setsid bash -c '
        while read -r stat <"/proc/$1/stat" && [[ ${stat##*) } != Z* ]]; do sleep 1; done
        [[ ! -e $3 ]] || exec "$2" remove "$3"' _ "$1" "$0" "$dir" </dev/null >/dev/null 2>&1 8>&- 9>&- &
}

# Without the servers' passwords: an operator asks the six.
write_env() {
    settings_of operator >"$dir/env.new"
    mv "$dir/env.new" "$dir/env"
}

start_all() {
    local role
    for role in "${roles[@]}"; do
        ! pid_of "$role" >/dev/null || continue
        ports_are_free "$role" ||
            die "port $taken, which is for ${service[$role]}, is taken; choose others: OFFSET=100"
    done
    start_servers
    mkdir -p "$dir/operator"
    "$souk" dev-certs "$dir/certs" >/dev/null
    write_env
    for role in "${roles[@]}"; do start_one "$role"; done
    for role in "${roles[@]}"; do await_ready "$role"; done
    for role in "${roles[@]}"; do show_one "$role"; done
}

# Those that call before those that are called, so that nobody misses a peer while it drains.
stop_all() {
    local index
    for ((index = ${#roles[@]} - 1; index >= 0; --index)); do stop_one "${roles[index]}"; done
    [[ ! -e $dir/services ]] || "$services" stop "$dir/services" 9>&- 8>&-
}

status() {
    local role faults=0
    for role in "${roles[@]}"; do
        if ! pid_of "$role" >/dev/null; then
            echo "${service[$role]} does not run"
            faults=1
        elif ! is_ready "$role"; then
            echo "${service[$role]} runs, pid $(pid_of "$role"), and is not ready"
            faults=1
        else
            show_one "$role"
        fi
    done
    "$services" status "$dir/services" || faults=1
    return "$faults"
}

restart() {
    local role=$1 old
    among "$role" "${roles[@]}" || die "no module '$role'; there are: ${roles[*]}"
    if old=$(pid_of "$role"); then
        say "${service[$role]}: a successor takes over from pid $old"
        launch "$role" --takeover
        await_takeover "$role" "$old" "$launched"
    else
        say "${service[$role]} does not run: it is started"
        start_one "$role"
    fi
    await_ready "$role"
    show_one "$role"
}

await_takeover() {
    local role=$1 old=$2 fresh=$3 end=$((SECONDS + ready_limit_s + stop_limit_s))
    while [[ $(pid_of "$role") == "$old" ]]; do
        started_at "$fresh" >/dev/null || fail_start "$role" "goes on as pid $old: its successor ended"
        ((SECONDS < end)) || fail_start "$role" "did not hand over to pid $fresh"
        sleep 0.02
    done
    remember "$dir/pids/$role" "$fresh"
}

# --- in the foreground ---

# Warnings and worse of all six, with the name before them. Outlives the Ctrl-C that stops them.
follow_logs() {
    local role files=()
    for role in "${roles[@]}"; do files+=("$dir/logs/$role.log"); done
    (
        trap '' INT
        tail -n 0 -F --pid=$$ "${files[@]}" 2>/dev/null |
            jq -Rrn --unbuffered --arg red "$red" --arg plain "$plain" \
                -f "$root/deploy/local/warnings.jq"
    ) 6>&- 7>&- 8>&- 9>&- &
    follower=$!
}

# Tells once of each process that ended by itself. One that is being replaced is not among them: who
# replaces it holds the lock.
watch() {
    local role pid started
    declare -A told=()
    while sleep 0.3 & wait $!; do
        flock -n 9 || continue
        for role in "${roles[@]}"; do
            pid_of "$role" >/dev/null && continue
            [[ -s $dir/pids/$role ]] || continue
            read -r pid started <"$dir/pids/$role"
            [[ ${told[$role]:-} != "$pid $started" ]] || continue
            told[$role]="$pid $started"
            echo "${red}split:${plain} ${service[$role]} (pid $pid) has ended$(how_ended "$pid"). The" \
                "others go on. Its log: $(shown "$dir/logs/$role.log")"
            echo "split: to start it again, in another terminal: ${bold}$(restart_line "$role")${plain}"
        done
        flock -u 9
    done 2>/dev/null # the shell would tell of a killed child in its own words
}

# Only of those that this shell started itself.
how_ended() {
    local code=0
    wait "$1" 2>/dev/null || code=$?
    case $code in
        127) ;;
        0) echo ' in order' ;;
        *)
            if ((code > 128)); then
                echo ", killed by SIG$(kill -l $((code - 128)))"
            else
                echo " with exit code $code"
            fi
            ;;
    esac
}

restart_line() {
    if [[ $dir == "$root/.souk-split" ]]; then
        echo "make restart-split MODULE=$1"
    else
        echo "deploy/local/split.sh restart $dir $1"
    fi
}

fill_when_empty() {
    local shop=http://127.0.0.1:${port[gateway]} page
    page=$(curl -fsS --max-time 10 "$shop/api/products?limit=1")
    [[ $(jq '.data | length' <<<"$page") == 0 ]] || return 0
    # shellcheck source=/dev/null
    (source "$dir/env" && "$souk" seed --demo)
}

greet() {
    local shop=http://127.0.0.1:${port[gateway]}
    echo
    echo "${green}The shop is ready${plain} at ${bold}$shop${plain} (data and logs in $(shown "$dir"))"
    echo
    echo "${dim}To place an order, paste this into another terminal:${plain}"
    echo
    sed "s|^SHOP=.*|SHOP=$shop|" "$root/deploy/local/session.txt"
    echo
    echo "${dim}Replace a process by a new one, under load or not:${plain}  $(restart_line order)"
    echo "${dim}Commands of an operator, in another terminal:${plain}       source $(shown "$dir/env"); $(shown "$souk") verify"
    echo "${dim}Stop everything, with the data kept:${plain}                ^C"
    echo
}

run() {
    follower=
    # A ^C may come where output is turned away, and what it says is for the terminal.
    exec 6>&1 7>&2
    trap leave EXIT
    trap 'exit 0' INT TERM
    # The terminal is gone, and with it where to say anything.
    trap 'exec 6>>"$dir/logs/split.log" 7>&6; exit 0' HUP
    start_all
    fill_when_empty
    greet
    follow_logs
    flock -u 9
    watch
}

# shellcheck disable=SC2317 # called by a trap
leave() {
    local code=$?
    trap '' INT TERM HUP
    exec >&6 2>&7
    echo
    say 'stopping the six, then the servers (a moment)'
    flock 9
    stop_all || code=1
    [[ -z $follower ]] || kill "$follower" 2>/dev/null || :
    ((code != 0)) || say "stopped; the data is in $(shown "$dir")"
    exit "$code"
}

# --- the command line ---

asked_offset=
owner_pid=
(($# > 1)) || usage
command=$1
shift
case $command in
    run | start | restart | stop | remove | status) ;;
    *) usage ;;
esac
while [[ ${1:-} == --* ]]; do
    case $1 in
        --offset) asked_offset=${2:-} ;;
        --owner) owner_pid=${2:-} ;;
        *) usage ;;
    esac
    shift 2
done
(($# > 0)) || usage
[[ -x $souk ]] || die 'there is no binary: make build'
umask 077
if [[ $command == run || $command == start ]]; then
    mkdir -p "$1/pids" "$1/logs"
    : >"$1/$marker"
elif [[ ! -e $1/$marker ]]; then
    die "$1 is no folder of a split shop; make it with: $0 start $1"
fi
dir=$(readlink -f "$1")
if [[ $command == run ]]; then
    exec 8>"$dir/run.lock"
    flock -n 8 || die "the shop in $dir runs already, in another terminal"
fi
exec 9>"$dir/lock"
flock 9
read_offset
case $command in
    run)
        choose_offset "$asked_offset"
        run
        ;;
    start)
        choose_offset "$asked_offset"
        [[ -z $owner_pid ]] || guard "$owner_pid"
        start_all
        ;;
    restart)
        [[ -n ${2:-} ]] || die "restart which? ${roles[*]}"
        restart "$2"
        ;;
    stop) stop_all ;;
    status) status ;;
    remove)
        stop_all
        [[ ! -e $dir/services ]] || "$services" remove "$dir/services" 9>&-
        rm -rf "$dir"
        ;;
esac
