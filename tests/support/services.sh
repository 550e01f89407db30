#!/usr/bin/env bash
# PostgreSQL, Redis and RabbitMQ from Debian, for tests and for trying out: each on a free loopback
# port, in a folder of its own below DIR, with a random password and a pid file of its own.
#   services.sh start [--owner PID] DIR [postgres] [redis] [rabbitmq]    those named, or all three
#   services.sh stop DIR [which...]     in peace; the data stays, and so does the port
#   services.sh kill DIR which...       SIGKILL, the server and all its processes; then start again
#   services.sh freeze DIR which...     SIGSTOP: connected, but silent; `thaw` lets them go on
#   services.sh remove DIR              stop, then delete the folder
#   services.sh env DIR                 what to export, as shell text
#   services.sh status DIR              a line a server; fails when one does not run
# With --owner the servers stop when that process ends, however it ends. Nothing is ended or deleted
# that this script did not start. As root the servers run as the users that Debian gave them.
set -euo pipefail
# shellcheck source=tests/support/pids.sh
source "$(dirname "${BASH_SOURCE[0]}")/pids.sh"

all=(postgres redis rabbitmq)
marker=.souk-services
shop_modules=(user product order payment notification)
# Below the range that the kernel gives to outgoing connections.
first_port=20000
port_count=12000
start_limit_s=90
stop_limit_s=30

die() {
    echo "services: $*" >&2
    exit 1
}

usage() {
    sed -nE '2,/^set /{/^set /d; s/^# ?//p}' "$0" >&2
    exit 2
}

random_text() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# --- files of a server: NAME.port and NAME.pid in $dir, everything else in $home/NAME ---

has() { [[ -s $dir/$1.port ]]; }
port_of() { cat "$dir/$1.port"; }
secret() { cat "$dir/$1.secret"; }

# --- who runs them ---

as() {
    local name=$1
    shift
    if ((EUID == 0)); then
        exec setpriv --reuid="$name" --regid="$name" --init-groups "$@"
    fi
    exec "$@"
}

user_of() {
    case $1 in
        postgres | redis | rabbitmq) echo "$1" ;;
        *) die "no server '$1'; there are: ${all[*]}" ;;
    esac
}

own() {
    if ((EUID == 0)); then chown -R "$(user_of "$1"):" "${@:2}"; fi
}

# In a session of its own, so that a Ctrl-C at a terminal is not for it, with no file of ours open.
# Its pid is in $launched. $1 is the server, $2 its log.
launch() {
    local name=$1 log=$2
    shift 2
    (
        exec </dev/null >>"$log" 2>&1 9>&-
        cd "$home/$name"
        as "$(user_of "$name")" setsid "$@"
    ) &
    launched=$!
}

# --- ports ---

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    local port try
    for ((try = 0; try < 200; ++try)); do
        port=$((first_port + SRANDOM % port_count))
        answers "$port" || {
            echo "$port"
            return
        }
    done
    die 'no free port found'
}

# --- PostgreSQL ---

postgres_bin() {
    local newest
    newest=$(find /usr/lib/postgresql -maxdepth 1 -name '[0-9]*' 2>/dev/null | sort -V | tail -n 1)
    [[ -n $newest ]] || die 'PostgreSQL is not installed: .ci/deps servers'
    echo "$newest/bin"
}

# A killed server that nobody waited for (a container without an init) still counts as running to
# PostgreSQL. What is gone without a trace it judges itself.
forget_zombie() {
    local pid
    [[ -s $1 ]] || return 0
    read -r pid <"$1"
    if [[ -e /proc/$pid ]] && ! started_at "$pid" >/dev/null; then rm "$1"; fi
}

launch_postgres() {
    local bin port=$1
    bin=$(postgres_bin)
    if [[ ! -s $home/postgres/data/PG_VERSION ]]; then
        rm -rf "$home/postgres/data"
        secret admin >"$home/postgres/password"
        own postgres "$home/postgres"
        (as postgres "$bin/initdb" -D "$home/postgres/data" --username=postgres --encoding=UTF8 \
            --locale=C.UTF-8 --auth=scram-sha-256 --pwfile="$home/postgres/password" --no-sync \
            9>&-) >>"$home/postgres/log" 2>&1 || return
        rm "$home/postgres/password"
        cat >>"$home/postgres/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = 128MB
fsync = on
max_wal_size = 512MB
log_line_prefix = '%m [%p] %q%u@%d '
CONF
    fi
    forget_zombie "$home/postgres/data/postmaster.pid"
    launch postgres "$home/postgres/log" "$bin/postgres" -D "$home/postgres/data" -p "$port"
}

ready_postgres() { "$(postgres_bin)/pg_isready" -q -h 127.0.0.1 -p "$1"; }

admin_sql() {
    PGPASSWORD=$(secret admin) psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(port_of postgres)" \
        -U postgres -d postgres
}

# A role a module that owns a database of its own, which no other may enter; souk_test is for tests
# that want a schema only.
prepare_postgres() {
    [[ ! -e $home/postgres/prepared ]] || return 0
    local password name
    password=$(secret modules)
    for name in "${shop_modules[@]}" test; do
        # Left over when an earlier start was interrupted.
        echo "DROP DATABASE IF EXISTS souk_$name;"
        echo "DROP ROLE IF EXISTS souk_$name;"
        echo "CREATE ROLE souk_$name LOGIN PASSWORD '$password';"
        echo "CREATE DATABASE souk_$name OWNER souk_$name;"
        echo "REVOKE ALL ON DATABASE souk_$name FROM PUBLIC;"
    done | admin_sql 2> >(grep -v '^NOTICE' >&2) || return
    : >"$home/postgres/prepared"
}

# --- Redis ---

launch_redis() {
    command -v redis-server >/dev/null || die 'Redis is not installed: .ci/deps servers'
    cat >"$home/redis/redis.conf" <<CONF
bind 127.0.0.1
port $1
requirepass $(secret redis)
dir $home/redis
maxmemory 256mb
maxmemory-policy allkeys-lru
save ""
CONF
    own redis "$home/redis"
    launch redis "$home/redis/log" redis-server "$home/redis/redis.conf"
}

# One line of the answer, because a server that still loads refuses.
ready_redis() {
    local line
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf 'AUTH %s\r\n' "$(secret redis)" >&3
    read -r -t 5 line <&3 || line=
    exec 3>&-
    [[ $line == +OK* ]]
} 2>/dev/null

prepare_redis() { :; }

# --- RabbitMQ, with an epmd of its own ---

start_epmd() {
    local port pid try
    if running "$dir/epmd.pid" >/dev/null; then return; fi
    for ((try = 0; try < 5; ++try)); do
        port=$(free_port)
        launch rabbitmq "$home/rabbitmq/epmd.log" epmd -address 127.0.0.1 -port "$port"
        pid=$launched
        while started_at "$pid" >/dev/null; do
            if answers "$port"; then
                remember "$dir/epmd.pid" "$pid"
                echo "$port" >"$dir/epmd.port"
                return
            fi
            sleep 0.02
        done
    done
    cat "$home/rabbitmq/epmd.log" >&2
    die 'epmd does not start'
}

launch_rabbitmq() {
    local port=$1 base=$home/rabbitmq server=/usr/lib/rabbitmq/bin/rabbitmq-server
    [[ -x $server ]] || die 'RabbitMQ is not installed: .ci/deps servers'
    cat >"$base/rabbitmq.conf" <<CONF
listeners.tcp.default = 127.0.0.1:$port
default_user = souk
default_pass = $(secret rabbitmq)
log.console = false
log.file = rabbit.log
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 67108864
CONF
    echo '[].' >"$base/enabled_plugins"
    : >"$base/env.conf"
    own rabbitmq "$base"
    start_epmd
    # A script that waits for the virtual machine. On a small machine its schedulers must not spin.
    launch rabbitmq "$base/log" env -i PATH="$PATH" LANG=C.UTF-8 HOME="$base" \
        RABBITMQ_NODENAME="souk-$port@localhost" RABBITMQ_NODE_PORT="$port" \
        RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_DIST_PORT="$(free_port)" \
        ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$(port_of epmd)" \
        RABBITMQ_CONF_ENV_FILE="$base/env.conf" RABBITMQ_CONFIG_FILE="$base/rabbitmq.conf" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$base/enabled_plugins" RABBITMQ_PID_FILE="$base/pid" \
        RABBITMQ_MNESIA_BASE="$base/data" RABBITMQ_LOG_BASE="$base" \
        RABBITMQ_GENERATED_CONFIG_DIR="$base/generated" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}' \
        "$server"
}

# The broker speaks first: Connection.Start, a method frame (1) on channel 0.
ready_rabbitmq() {
    local first
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf 'AMQP\x00\x00\x09\x01' >&3
    first=$(timeout 5 head -c 1 <&3 | od -An -tx1)
    exec 3>&-
    [[ $first == ' 01' ]]
} 2>/dev/null

prepare_rabbitmq() { :; }

# --- all of them ---

# Starts $1 on port $2; 0 when it answers, 1 when the port was taken by another, 2 when it failed.
try_start() {
    local name=$1 port=$2 end=$((SECONDS + start_limit_s))
    answers "$port" && return 1
    : >>"$home/$name/log"
    local from
    from=$(wc -c <"$home/$name/log")
    own "$name" "$home/$name/log"
    "launch_$name" "$port" || return 2
    remember "$dir/$name.pid" "$launched" || return 2
    while running "$dir/$name.pid" >/dev/null; do
        if ("ready_$name" "$port"); then return 0; fi
        if ((SECONDS > end)); then
            kill_now "$name"
            return 2
        fi
        sleep 0.05
    done
    if tail -c "+$((from + 1))" "$home/$name/log" | grep -qiE 'address already in use|eaddrinuse'; then
        return 1
    fi
    return 2
}

start_one() {
    local name=$1 port outcome try again=
    if running "$dir/$name.pid" >/dev/null; then
        echo "services: $name runs already, port $(port_of "$name")"
        return
    fi
    mkdir -p "$home/$name"
    chmod 0700 "$home/$name"
    own "$name" "$home/$name"
    # Whoever knew it before finds it again where it was.
    if has "$name"; then again=yes; fi
    port=$( (has "$name" && port_of "$name") || free_port)
    for try in 1 2 3 4 5; do
        outcome=0
        try_start "$name" "$port" || outcome=$?
        if ((outcome == 0)); then
            echo "$port" >"$dir/$name.port"
            "prepare_$name" || die "$name: cannot be prepared"
            echo "services: $name answers, port $port"
            return
        fi
        if [[ -n $again ]]; then
            ((outcome == 1)) || {
                echo "services: $name did not start on its port $port (try $try)" >&2
                tail -n 5 "$home/$name/log" >&2
            }
            sleep 0.5
        else
            ((outcome == 1)) || break
            ((try == 5)) || port=$(free_port)
        fi
    done
    ((outcome != 1)) || die "$name: port $port is taken by another process: end that, then try again"
    tail -n 30 "$home/$name/log" >&2
    die "$name does not start; its log is $home/$name/log"
}

# The process and all below it; stopped first, so that it cannot make more meanwhile.
kill_now() {
    local pid
    pid=$(running "$dir/$1.pid") || return 0
    kill_tree "$pid"
    while running "$dir/$1.pid" >/dev/null; do sleep 0.01; done
    # What it had started may take a moment longer to let go of the port.
    local end=$((SECONDS + stop_limit_s))
    while has "$1" && answers "$(port_of "$1")" && ((SECONDS < end)); do sleep 0.02; done
    rm -f "$dir/$1.pid"
}

kill_tree() {
    local child children=()
    kill -STOP "$1" 2>/dev/null || return 0
    mapfile -t children < <(cat "/proc/$1/task/"*/children 2>/dev/null | tr ' ' '\n' | sed '/^$/d')
    for child in "${children[@]}"; do kill_tree "$child"; done
    kill -KILL "$1" 2>/dev/null || :
}

stop_one() {
    local name=$1 pid signal=TERM end=$((SECONDS + stop_limit_s))
    pid=$(running "$dir/$name.pid") || {
        rm -f "$dir/$name.pid"
        return 0
    }
    [[ $name != postgres ]] || signal=INT # ends sessions instead of waiting for them
    kill "-$signal" "$pid" 2>/dev/null || :
    while running "$dir/$name.pid" >/dev/null; do
        if ((SECONDS > end)); then
            echo "services: $name does not stop within $stop_limit_s s: killed" >&2
            kill_now "$name"
        fi
        sleep 0.02
    done
    rm -f "$dir/$name.pid"
    if [[ $name == rabbitmq ]]; then stop_one epmd; fi
    [[ $name == epmd ]] || echo "services: $name stopped"
}

# Runs $1 for each of the other arguments at the same time.
each() {
    local what=$1 name pids=() faults=0
    shift
    for name in "$@"; do
        "$what" "$name" &
        pids+=("$!")
    done
    for name in "${pids[@]}"; do wait "$name" || faults=1; done
    return "$faults"
}

write_env() {
    local host=127.0.0.1 role='souk_{module}'
    {
        echo "# written by tests/support/services.sh for $dir"
        if has postgres; then
            local port
            port=$(port_of postgres)
            echo "export DATABASE_URL='postgresql://$role:$(secret modules)@$host:$port/$role'"
            echo "export SOUK_POSTGRES_ADMIN_URL='postgresql://postgres:$(secret admin)@$host:$port/postgres'"
        fi
        if has redis; then
            echo "export REDIS_URL='redis://:$(secret redis)@$host:$(port_of redis)/0'"
        fi
        if has rabbitmq; then
            echo "export RABBITMQ_URL='amqp://souk:$(secret rabbitmq)@$host:$(port_of rabbitmq)/%2F'"
        fi
    } >"$dir/env.new"
    mv "$dir/env.new" "$dir/env"
}

# The servers' users must be able to reach their folders; below a home directory they cannot.
find_home() {
    home=$dir/servers
    if [[ ! -e $home ]]; then
        rm -f "$home"
        mkdir "$home"
        chmod 0711 "$dir" "$home"
    fi
    if ((EUID == 0)) && [[ ! -L $home ]] && ! (as postgres test -x "$home"); then
        rmdir "$home"
        local elsewhere
        elsewhere=$(mktemp -d "${TMPDIR:-/tmp}/souk-services.XXXXXX")
        chmod 0711 "$elsewhere"
        ln -s "$elsewhere" "$home"
    fi
    home=$(readlink -f "$home")
}

# Ends the servers when process $1 has ended; a zombie has.
guard() {
    # shellcheck disable=SC2016 # for the inner shell
    setsid bash -c '
        while read -r stat <"/proc/$1/stat" && [[ ${stat##*) } != Z* ]]; do sleep 1; done
        exec "$2" remove "$3"' _ "$1" "$0" "$dir" </dev/null >/dev/null 2>&1 9>&- &
}

start() {
    local owner=
    if [[ ${1:-} == --owner ]]; then
        owner=${2:-}
        shift 2
    fi
    (($# > 0)) || usage
    mkdir -p "$1"
    open "$1"
    shift
    (($# > 0)) || set -- "${all[@]}"
    local name
    for name in "$@"; do user_of "$name" >/dev/null; done
    : >"$dir/$marker"
    for name in admin modules redis rabbitmq; do
        [[ -s $dir/$name.secret ]] || random_text >"$dir/$name.secret"
    done
    [[ -z $owner ]] || guard "$owner"
    each start_one "$@"
    write_env
}

# Sets dir and home; one command at a time for a folder.
open() {
    [[ -d $1 ]] || die "no folder $1"
    dir=$(readlink -f "$1")
    umask 077
    exec 9>"$dir/lock"
    flock 9
    find_home
}

existing() {
    (($# > 0)) || usage
    [[ -e $1/$marker ]] || die "$1 is no folder of services; make it with: $0 start $1"
    open "$1"
}

chosen() {
    local name
    for name in "$@"; do user_of "$name" >/dev/null; done
    if (($# > 0)); then each stop_one "$@"; else each stop_one "${all[@]}"; fi
}

remove() {
    local elsewhere=
    [[ ! -L $dir/servers ]] || elsewhere=$home
    chosen >/dev/null
    rm -rf "$dir"
    [[ -z $elsewhere ]] || rm -rf "$elsewhere"
}

status() {
    local name faults=0
    for name in "${all[@]}"; do
        has "$name" || continue
        if running "$dir/$name.pid" >/dev/null && ("ready_$name" "$(port_of "$name")"); then
            echo "$name answers, port $(port_of "$name"), pid $(running "$dir/$name.pid")"
        else
            echo "$name does not run"
            faults=1
        fi
    done
    return "$faults"
}

kill_all() {
    (($# > 0)) || usage
    local name
    for name in "$@"; do user_of "$name" >/dev/null; done
    for name in "$@"; do kill_now "$name"; done
}

# signal_all SIGNAL NAME...
signal_all() {
    (($# > 1)) || usage
    local signal=$1 name pid
    shift
    for name in "$@"; do
        user_of "$name" >/dev/null
        pid=$(running "$dir/$name.pid") || die "$name does not run"
        signal_tree "$signal" "$pid"
    done
}

signal_tree() {
    local child children=()
    kill "-$1" "$2" 2>/dev/null || return 0
    mapfile -t children < <(cat "/proc/$2/task/"*/children 2>/dev/null | tr ' ' '\n' | sed '/^$/d')
    for child in "${children[@]}"; do signal_tree "$1" "$child"; done
}

(($# > 1)) || usage
command=$1
shift
case $command in
    start)
        start "$@"
        exit
        ;;
    stop | kill | freeze | thaw | remove | status | env) ;;
    *) usage ;;
esac
existing "$1"
shift
case $command in
    stop) chosen "$@" ;;
    kill) kill_all "$@" ;;
    freeze) signal_all STOP "$@" ;;
    thaw) signal_all CONT "$@" ;;
    remove) remove ;;
    status) status ;;
    env) cat "$dir/env" ;;
esac
