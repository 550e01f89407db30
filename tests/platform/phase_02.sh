#!/usr/bin/env bash
# Phase 2, the application: what holds between versions of it. Sourced by run.sh.
set -euo pipefail

previous_on_next_schema() {
    local status=0 said
    [[ -n ${PREVIOUS:-} ]] || git describe --tags --match 'v*' --abbrev=0 'HEAD^' >/dev/null 2>&1 ||
        skip 'no version has been tagged yet'
    make build PRESET=release >/dev/null
    said=$(NEW=$PWD/build/release/souk STACK=$1 tests/support/previous_version.sh 2>&1) || status=$?
    echo "$said"
    ((status != 77)) || skip "$said"
    return "$status"
}
previous_on_next_schema_embedded() { previous_on_next_schema embedded; }
previous_on_next_schema_servers() { previous_on_next_schema servers; }

check real git 'the version before this one trades on this schema (SQLite)' previous_on_next_schema_embedded
check real git 'the version before this one trades on this schema (PostgreSQL)' previous_on_next_schema_servers
