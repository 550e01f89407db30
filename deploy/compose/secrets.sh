#!/usr/bin/env bash
# Makes what compose.yaml reads as secrets, random, in deploy/compose/secrets (or the folder named);
# what is there is left as it is. The folder is yours alone (0700). The files in it can be read by
# all, because compose shows a container the file with the mode that it has here, and the servers run
# as users of their own.
set -euo pipefail
dir=${1:-$(dirname "$0")/secrets}
modules=(user product order payment notification)

random_text() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

# put FILE TEXT
put() {
    [[ ! -s $dir/$1 ]] || return 0
    printf '%s\n' "$2" >"$dir/$1.new"
    chmod 0444 "$dir/$1.new"
    mv "$dir/$1.new" "$dir/$1"
}

umask 077
mkdir -p "$dir"
chmod 0700 "$dir"
put postgres_admin "$(random_text)"
for module in "${modules[@]}"; do put "postgres_$module" "$(random_text)"; done
put redis "$(random_text)"
put redis.conf "requirepass $(<"$dir/redis")"
put rabbitmq "$(random_text)"
put rabbitmq.conf "default_user = souk
default_pass = $(<"$dir/rabbitmq")"
echo "secrets: $(find "$dir" -type f | wc -l) files in $dir"
