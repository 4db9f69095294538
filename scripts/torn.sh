#!/usr/bin/env bash
# Hunts for torn messages in broadcast rings whose writers drop the oldest.
#
#   scripts/torn.sh [SECONDS]
#
# Rings of two and three nodes of 64 bytes and 64K, a quarter of SECONDS each (60 unless
# told otherwise). Two writers drop the oldest as fast as they can; three readers look at
# each message where it lies, byte by byte, dwell on it, and look again; one claims three
# at a time. Each of them must have got or been told to have missed all that was written.
#
# Prints how much was written, looked at and missed; the exit status is 0 if nothing was
# torn. Needs a Rust toolchain; leaves nothing behind, also on Ctrl-C.

me=torn
# shellcheck source=scripts/measure.bash
. "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/measure.bash"

seconds=60
if [[ ${1-} != -* ]]; then seconds=${1-$seconds}; shift $(($# > 0)); fi
options '' "$@"
[ ${#rest[@]} = 0 ] || fail "${rest[0]}: no such argument (--help)"
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "$seconds: not a number of seconds"
prepare

build_test broadcast
note "$seconds s, on $(machine)"
export SHMKIT_TORN_SECONDS=$seconds
"$test" --nocapture torn:: &
children+=($!)
prefix=test-$!
wait "$!" || fail "a promise was broken, or something is in the way: see above"
