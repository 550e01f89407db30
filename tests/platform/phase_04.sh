#!/usr/bin/env bash
# Phase 4, one flag splits it: the compose file and the image say what the binary says, and the split
# shop on this machine does what README.md promises. Sourced by run.sh.
# shellcheck disable=SC2154  # $scratch comes from run.sh
set -euo pipefail

compose=deploy/compose/compose.yaml
python=/usr/bin/python3 # Debian's, which has Debian's PyYAML

topology_of_the_binary() {
    [[ -s $scratch/topology.json ]] || {
        make build PRESET=release >/dev/null
        build/release/souk topology --json >"$scratch/topology.json"
    }
}

need_yaml() {
    "$python" -c 'import yaml' 2>/dev/null || skip 'there is no PyYAML: apt-get install python3-yaml'
}

compose_agrees() {
    need_yaml
    topology_of_the_binary
    "$python" tests/platform/compose_check.py "${1:-$compose}" "$scratch/topology.json"
}

# Each line takes one promise away: what sed does to the file, and what the check then has to say.
compose_violations() {
    cat <<'LIST'
s/order-service:13003/order-service:13004/            notification-service: peers
s/product-service:/produkt-service:/                  product-service: is missing
s/cap_drop: [[]ALL]/cap_drop: []/                     order-service: cap_drop
s/read_only: true/read_only: false/                   redis: read_only
s/"10001:10001"/"0:0"/                                user-service: runs as root
s/modules=payment/modules=payment,order/              payment-service: command
s/souk, healthcheck/souk, version/                    order-service: its health check
s/inside: {internal: true}/inside: {}/                networks: the inner one
s/profiles: [[]whole]/profiles: [split]/              whole: profiles
s/image: postgres:15/image: postgres/                 postgres: the image
s/order.key/gateway.key/                              order-service: internal.key_file
s/[[]postgres_order, /[postgres_user, /               order-service: database secrets
s/hostname: rabbitmq/ports: ["5672:5672"]/            rabbitmq: published ports
s/  SOUK__PEERS__PAYMENT.*//                          order-service: peers
s|://souk_{module}@|://souk_{module}:geheim@|         user-service: SOUK__POSTGRES__URL holds a password
LIST
}

compose_check_bites() {
    need_yaml
    topology_of_the_binary
    local line edit wanted said faults=0
    while IFS= read -r line; do
        edit=${line%%  +( )*} wanted=${line##*  }
        sed "$edit" "$compose" >"$scratch/planted.yaml"
        if cmp -s "$compose" "$scratch/planted.yaml"; then
            echo "nothing was planted: $edit"
            faults=1
        fi
        if said=$(compose_agrees "$scratch/planted.yaml"); then
            echo "planted '$edit', and it was accepted"
            faults=1
        fi
        if [[ -z $wanted || $said != *"$wanted"* ]]; then
            echo "planted '$edit', expected '$wanted', heard: ${said:-nothing}"
            faults=1
        fi
    done < <(compose_violations)
    ((faults == 0))
}

compose_is_well_formed() {
    command -v docker-compose >/dev/null || skip 'there is no docker-compose: apt-get install docker-compose'
    docker-compose -f "$compose" --profile whole --profile split config -q
}

# A line a process of souk: its name, then its environment.
environments() {
    "$python" -c 'import sys, yaml
for name, service in yaml.safe_load(open(sys.argv[1]))["services"].items():
    if service["image"].startswith("souk:"):
        print(name, *(f"{key}={value}" for key, value in service.get("environment", {}).items()))' "$1"
}

compose_settings_are_known() {
    need_yaml
    topology_of_the_binary
    local name settings count=0
    while read -r name settings; do
        # shellcheck disable=SC2086 # none has a space in it
        env -i $settings build/release/souk config check || {
            echo "$name: that is no configuration"
            return 1
        }
        count=$((count + 1))
    done < <(environments "$compose")
    ((count == 8))
    ! env -i SOUK__INTERNAL__ADRESS=0.0.0.0 build/release/souk config check
}

compose_secrets_are_there() {
    local wanted made
    need_yaml
    (
        umask 022
        deploy/compose/secrets.sh "$scratch/secrets"
    )
    [[ $(stat -c %a "$scratch/secrets") == 700 ]]
    wanted=$("$python" -c 'import sys, yaml
for secret in yaml.safe_load(open(sys.argv[1]))["secrets"].values():
    print(secret["file"].removeprefix("secrets/"))' "$compose" | sort)
    made=$(find "$scratch/secrets" -type f -printf '%f\n' | sort)
    diff <(echo "$wanted") <(echo "$made")
    cp -a "$scratch/secrets" "$scratch/secrets.before"
    deploy/compose/secrets.sh "$scratch/secrets"
    diff -r "$scratch/secrets.before" "$scratch/secrets"
}

# What `ldd` sees of the binary itself; the rest comes with these.
linked_packages() {
    local library
    objdump -p build/release/souk | awk '$1 == "NEEDED" { print $2 }' | while IFS= read -r library; do
        dpkg-query -S "*/$library" | cut -d: -f1
    done | sort -u
}

image_has_what_is_linked() {
    command -v dpkg-query >/dev/null || skip 'not a Debian machine'
    [[ $(. /etc/os-release && echo "$VERSION_ID") == 12 ]] || skip 'not the Debian of the image'
    topology_of_the_binary
    local listed
    listed=$(sed -n '/^FROM.*slim$/,$p' Dockerfile | grep -oE '\b(lib[a-z0-9.+-]+|zlib1g)\b' |
        grep -vxE 'lib(/.*)?' | sort -u)
    diff <(linked_packages) <(echo "$listed")
}

image_copies_what_is_there() {
    local path
    while IFS= read -r path; do
        [[ -e $path ]] || {
            echo "Dockerfile copies $path, which is not there"
            return 1
        }
        grep -qxF "!${path%%/*}" .dockerignore || {
            echo ".dockerignore leaves out $path"
            return 1
        }
    done < <(awk '$1 == "COPY" && $2 !~ /^--from/ { for (i = 2; i < NF; ++i) print $i }' Dockerfile)
}

# Succeeds when file $1 holds the text $2 within a minute.
says() {
    local try
    for ((try = 0; try < 600; ++try)); do
        if grep -qF -- "$2" "$1"; then return; fi
        sleep 0.1
    done
    echo "within a minute nobody said: $2"
    cat "$1"
    return 1
}

pid_in() { cut -d' ' -f1 "$1"; }

# A zombie, which only its parent can clear away, is gone.
gone() {
    local stat
    ! { read -r stat <"/proc/$1/stat"; } 2>/dev/null || [[ ${stat##*) } == Z* ]]
}

# The session that was printed, pasted: an order that is paid.
session_works() {
    sed -n '/^SHOP=/,/^done$/p' "$1" >"$scratch/session.sh"
    [[ $(bash "$scratch/session.sh") == *'"status":"paid"'* ]]
}

nothing_leaks() {
    local dir=$1 said=$2 secret name found
    for secret in "$dir"/services/*.secret "$dir"/certs/*.key; do
        name=$(grep -v -- ----- "$secret" | head -n 1)
        # 1: not found. More: it could not look, which is no good news.
        found=$(grep -lF -e "$name" "$said" "$dir"/logs/*.log) || (($? == 1)) || {
            echo "the logs in $dir/logs cannot be searched"
            return 1
        }
        [[ -z $found ]] || {
            echo "${secret##*/} is in $found"
            return 1
        }
        while IFS= read -r found; do
            ! tr '\0' ' ' <"/proc/$found/cmdline" | grep -qF -e "$name" || {
                echo "${secret##*/} is on the command line of $found"
                return 1
            }
        done < <(cut -d' ' -f1 "$dir"/pids/*)
    done
    found=$(find "$dir" -path "$dir/services" -prune -o -type f -perm /077 -print)
    [[ -z $found ]] || {
        echo "open to others: $found"
        return 1
    }
}

split_shop_lives() {
    command -v jq >/dev/null || skip 'there is no jq: .ci/deps split'
    command -v rabbitmq-server >/dev/null || skip 'there are no servers: .ci/deps servers'
    topology_of_the_binary
    local dir=$scratch/split said=$scratch/said shop pid role before
    # shellcheck disable=SC2064 # now
    trap "deploy/local/split.sh remove '$dir'" EXIT
    deploy/local/split.sh run --offset free "$dir" >"$said" 2>&1 &
    shop=$!
    says "$said" 'Stop everything'
    session_works "$said"

    # One that dies is named; the line that is offered starts it again.
    kill -KILL "$(pid_in "$dir/pids/payment")"
    says "$said" 'payment-service (pid'
    says "$said" 'killed by SIGKILL'
    eval "$(sed -n 's/.*in another terminal: //p' "$said" | tail -n 1)"
    session_works "$said"

    for role in user order gateway; do
        before=$(pid_in "$dir/pids/$role")
        deploy/local/split.sh restart "$dir" "$role"
        pid=$(pid_in "$dir/pids/$role")
        [[ $pid != "$before" ]]
        gone "$before"
    done
    session_works "$said"
    nothing_leaks "$dir" "$said"
    cut -d' ' -f1 "$dir"/pids/* "$dir"/services/*.pid >"$scratch/pids"

    kill -TERM "$shop"
    wait "$shop"
    says "$said" 'split: stopped; the data is in'
    while IFS= read -r pid; do
        gone "$pid" || {
            echo "$pid still runs after the stop"
            return 1
        }
    done <"$scratch/pids"

    # The data is there again, and the books agree.
    deploy/local/split.sh start "$dir"
    # shellcheck source=/dev/null
    (source "$dir/env" && build/release/souk verify --settle 30 --json >"$scratch/books.json")
    jq -e '.agrees and .counts.orders_paid == 3' "$scratch/books.json"
}

demo_and_split_say_the_same() {
    topology_of_the_binary
    local dir=$scratch/demo said=$scratch/demo.out pid
    build/release/souk serve --demo --data "$dir" --port 0 --metrics-port 0 >"$said" 2>&1 &
    pid=$!
    # shellcheck disable=SC2064 # now
    trap "kill $pid" EXIT
    says "$said" 'done'
    diff <(sed -n '/^STAMP=/,/^done$/p' "$said") <(sed -n '/^STAMP=/,/^done$/p' deploy/local/session.txt)
}

shopt -s extglob
check static python3 'the compose file says what souk topology says' compose_agrees
check static python3 'a fault planted in the compose file is found' compose_check_bites
check static docker-compose 'docker-compose reads the compose file' compose_is_well_formed
check real bash 'souk knows each setting in the compose file' compose_settings_are_known
check real bash 'secrets.sh makes the secrets that the compose file reads, once' compose_secrets_are_there
check static dpkg-query 'the image installs what the binary is linked with' image_has_what_is_linked
check static docker 'the Dockerfile copies what is there and not ignored' image_copies_what_is_there
check real bash 'make run-split: six processes, a death, restarts, a stop, and the data is there' split_shop_lives
check real bash 'run-split prints the session of souk serve --demo' demo_and_split_say_the_same
