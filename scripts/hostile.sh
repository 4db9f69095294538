#!/usr/bin/env bash
# The tests of hostile segments at full length: every byte with all 256 values,
# 100,000 headers and descriptions that lie, words changed under load for
# minutes. `cargo test --test hostile` is the short form.
#
#   scripts/hostile.sh [TEST...]
#
# Arguments are passed on as filters: scripts/hostile.sh bytes
#
# Prints how many visits were made (about 10 million) and how they ended, and its time:
# about a quarter of an hour on two processors that have nothing else to do.
# The status is not 0 if anybody died, hung or said the wrong thing; the test then
# names the byte and the value. Leaves nothing behind, also on Ctrl-C.
set -euo pipefail

case ${1-} in
    -h | --help) sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
cd "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/.."

test=
work=$(mktemp -d)
clean_up() {
    local status=$?
    trap '' INT TERM
    trap - EXIT
    if [ -n "$test" ]; then
        # Its children in their roles die with it, and all names begin with its number.
        kill "$test" 2>/dev/null || true
        wait "$test" 2>/dev/null || true
        rm -rf /dev/shm/test-"$test"-*
    fi
    rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Release for its speed; with the checks of a debug build.
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/hostile
program=$(cargo test --release --locked --test hostile --no-run --message-format json |
    sed -n 's/.*"executable":"\([^"]*\/hostile-[^"]*\)".*/\1/p')
begun=$SECONDS
SHMKIT_HOSTILE=all TMPDIR=$work "$program" --nocapture "$@" &
test=$!
wait "$test"
printf 'hostile: %s s\n' $((SECONDS - begun))
