# shellcheck shell=bash
# Sourced: which process a file names, by pid and start time, so that a reused pid is not taken for it.

# When process $1 started. A zombie, which only its parent can clear away, is gone.
started_at() {
    local stat fields
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -ra fields <<<"${stat##*) }"
    [[ ${fields[0]} != Z ]] || return 1
    echo "${fields[19]}"
}

# The pid in file $1 when that process still runs.
running() {
    local pid started
    [[ -s $1 ]] || return 1
    read -r pid started <"$1"
    [[ $(started_at "$pid") == "$started" ]] || return 1
    echo "$pid"
}

# Writes process $2 to file $1, in one step.
remember() {
    echo "$2 $(started_at "$2" || echo gone)" >"$1.new"
    mv "$1.new" "$1"
}
