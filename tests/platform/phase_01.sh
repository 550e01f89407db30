#!/usr/bin/env bash
# Phase 1, foundation: what the project installs exists, its scripts are sound, and the commit hooks
# work in a fresh checkout as they do for a person. Sourced by run.sh.
# shellcheck disable=SC2154  # $scratch comes from run.sh
set -euo pipefail

unknown_to_apt() {
    local group wanted
    wanted=$(for group in build lint servers guard split bench platform npm; do .ci/deps --list "$group"; done | sort -u)
    # About a name that it never heard of, apt says nothing at all: hence the comparison.
    comm -23 <(echo "$wanted") <(xargs apt-cache policy <<<"$wanted" |
        awk '/^[^ ]/ { name = substr($1, 1, length($1) - 1) }
             /Candidate:/ && $2 != "(none)" { print name }' | sort -u)
}

packages_exist() {
    command -v apt-cache >/dev/null || skip 'not a Debian machine'
    local unknown
    unknown=$(unknown_to_apt)
    [[ -n $unknown ]] || return 0
    # The lists of a new machine may be empty or old.
    ((EUID == 0)) || skip "apt does not know ${unknown//$'\n'/ }, and only root can fetch newer lists"
    apt-get update || skip 'the package lists cannot be fetched'
    unknown=$(unknown_to_apt)
    [[ -z $unknown ]] || {
        echo "no candidate in apt: ${unknown//$'\n'/ }"
        return 1
    }
}

deps_are_silent() {
    local said
    said=$(.ci/deps build lint npm)
    [[ -z $said ]] || {
        echo "a second .ci/deps still says: $said"
        return 1
    }
}

scripts_are_sound() { .ci/lint shell; }

scripts_are_executable() {
    local file faults=0
    while IFS= read -r file; do
        [[ -x $file ]] || {
            echo "not executable: $file"
            faults=1
        }
    done < <(git grep -lIE '^#!' -- .ci .husky 'tests/*.sh' | sort -u)
    ((faults == 0))
}

help_names_each_target() {
    local text target
    text=$(make help)
    for target in build run replay test test-platform bench lint format clean help; do
        grep -qE "^  $target " <<<"$text" || {
            echo "make help does not name $target"
            return 1
        }
    done
}

# Without a repository, as in an unpacked archive or a container: the hooks can't be installed, and
# that must stop nothing.
tooling_installs_without_git() {
    local copy=$scratch/checkout
    mkdir "$copy"
    cp -R package.json package-lock.json .npmrc .commitlintrc.mjs .husky .clang-format "$copy"
    rm -rf "$copy/.husky/_"
    cd "$copy"
    npm ci --loglevel=error
    [[ ! -e .husky/_ ]]
}

in_fresh_repository() {
    [[ -d $scratch/checkout/node_modules ]] || skip 'the commit tooling did not install'
    # Git tells its hooks, and so whoever runs this from one, which repository is meant.
    unset "${!GIT_@}" HUSKY
    cd "$scratch/checkout"
    export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
    export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.com
    export GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.com
    [[ -d .git ]] || git init -q -b main
    npm run --silent prepare
    [[ $(git config core.hooksPath) == .husky/_ ]]
}

refuses() {
    local reason=$1
    shift
    if "$@" >said 2>&1; then
        echo "was accepted: $*"
        return 1
    fi
    cat said
    grep -qF "$reason" said
}

hooks_judge_messages() {
    in_fresh_repository
    refuses '[type-empty]' git commit --allow-empty -m 'updated stuff'
    refuses '[scope-empty]' git commit --allow-empty -m 'docs: add project README'
    git commit --allow-empty -m 'docs(docs): add project README'
    [[ $(git rev-list --count HEAD) == 1 ]]
}

hooks_judge_format() {
    command -v clang-format-16 >/dev/null || skip 'clang-format-16 is not installed'
    in_fresh_repository
    local before
    before=$(git rev-list --count --all)
    echo 'int   main( ){return 0;}' >main.cpp
    git add main.cpp
    refuses 'make format' git commit -m 'feat(core): answer nothing'
    clang-format-16 -i main.cpp
    git add main.cpp
    git commit -m 'feat(core): answer nothing'
    (($(git rev-list --count --all) == before + 1))
}

check real apt-get 'each Debian package that .ci/deps names can be installed' packages_exist
check real dpkg-query '.ci/deps says nothing when all is there' deps_are_silent
check static shellcheck 'shellcheck finds nothing in the shell scripts' scripts_are_sound
check static git 'scripts can be executed' scripts_are_executable
check real make 'make help names each target' help_names_each_target
check real npm 'npm ci works in a checkout without .git' tooling_installs_without_git
check real git 'husky refuses a malformed message and lets a good one pass' hooks_judge_messages
check real git 'the pre-commit hook refuses what is not formatted' hooks_judge_format
