#!/bin/sh
# Boots Fallow in QEMU, or tests it: see --help. Finds a cargo (or installs Debian's), builds xtask
# and hands over to it.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
want=95 # rustc 1.95 or newer

say() { echo "run-qemu.sh: $*" >&2; }

# The first cargo that is new enough, Debian's before rustup's: it has its rust-src beside it.
find_cargo() {
    for cargo in /usr/bin/cargo cargo; do
        minor=$("$cargo" --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p') || continue
        [ "${minor:-0}" -ge "$want" ] && return 0
    done
    return 1
}

packages=$(sed '/^#/d' "$root/xtask/debian-packages" | tr '\n' ' ')

# Installs Debian's packages, if we may.
setup() {
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here; wanted, by Debian's names: $packages"
        return 2
    elif [ "$(id -u)" = 0 ]; then
        sudo=
    elif sudo -n true 2>/dev/null; then
        sudo="sudo -n"
    else
        say "as root, please: apt-get update && apt-get install --no-install-recommends $packages"
        return 2
    fi
    say "installing what is missing of: $packages"
    # A person may watch apt; a log needs only what went wrong.
    log=$(mktemp)
    if [ -t 2 ]; then out=/dev/stderr; else out=$log; fi
    $sudo apt-get update >"$out" 2>&1 || say "apt-get update failed; trying with what apt knows"
    # A QEMU tool from elsewhere that does not go with Debian's QEMU may be replaced, nothing else removed.
    keep=--no-remove
    # shellcheck disable=SC2086  # a list of words
    gone=$(apt-get install --simulate --no-install-recommends $packages 2>/dev/null | sed -n 's/^Remv \([^ ]*\).*/\1/p')
    if [ -n "$gone" ] && [ -z "$(echo "$gone" | grep -v '^qemu-')" ]; then
        say "removing $(echo "$gone" | tr '\n' ' ')first: of another version than Debian's QEMU"
        keep=
    fi
    # shellcheck disable=SC2086  # all are lists of words
    if ! $sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes $keep \
        --no-install-recommends $packages >"$out" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        say "apt-get could not install them (its last words are above)"
        return 2
    fi
    rm -f "$log"
}

case ${1-} in
setup)
    setup
    exit
    ;;
-h | --help) # before anything is installed
    cat "$root/xtask/help.txt"
    exit
    ;;
esac
if ! find_cargo || ! command -v cc >/dev/null; then
    command -v cc >/dev/null && have="a C compiler" || have="no C compiler"
    find_cargo && have="$have, $cargo" || have="$have, no cargo"
    say "found $have; wanted: a C compiler, cargo 1.$want or newer"
    if [ "${1-}" = doctor ]; then
        say "all that is wanted, as Debian's packages: $packages"
        exit 2
    fi
    setup || exit
    if ! find_cargo; then
        say "Debian's cargo is older than 1.$want here: is its security archive in /etc/apt/sources.list?"
        exit 2
    fi
fi
case $cargo in /usr/bin/*) export RUSTC=/usr/bin/rustc ;; esac
xtask=$root/target/debug/xtask
quiet=--quiet
if [ ! -x "$xtask" ]; then
    say "building xtask, the first time only"
    quiet=
fi
# Asking cargo would mean waiting for whoever builds at the moment.
if [ -n "$quiet" ] && [ -z "$(find "$root/xtask" "$root/Cargo.lock" -newer "$xtask" -print -quit)" ]; then
    exec "$xtask" "$@"
fi
"$cargo" build $quiet --manifest-path "$root/Cargo.toml" --target-dir "$root/target" --package xtask >&2 || exit 2
touch "$xtask" # cargo leaves it alone if only dates have changed
exec "$xtask" "$@"
