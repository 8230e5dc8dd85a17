#!/bin/sh
# Runs all tests on a Debian 12 machine with Rust and gcc; installs what else they need.
set -eu
cd "$(dirname "$0")"

command -v cargo >/dev/null || {
    echo "test.sh: cargo is missing; install Rust (https://rustup.rs), then run this again" >&2
    exit 1
}

missing=
# need COMMAND PACKAGE
need() {
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need gcc gcc
need g++ g++
need make make
need addr2line binutils
need git git
need perl perl
need python3 python3
need sqlite3 sqlite3
need valgrind valgrind
need xz xz-utils
# The page of reports: made with Node, tried in a browser.
need node nodejs
need npm npm
need chromium chromium
# Headers and the static libc for the target programs.
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"

if [ -n "$missing" ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    if ! command -v apt-get >/dev/null || { [ -n "$sudo" ] && ! command -v sudo >/dev/null; }; then
        echo "test.sh: please install:$missing" >&2
        exit 1
    fi
    echo "test.sh: installing:$missing"
    # shellcheck disable=SC2086 # one word per package
    { $sudo apt-get update -qq &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } || {
        echo "test.sh: could not install:$missing" >&2
        exit 1
    }
fi

exec cargo xtask test
