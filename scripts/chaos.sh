#!/usr/bin/env bash
# Kills writers and readers of rings, again and again, and proves that nothing is lost.
#
#   scripts/chaos.sh [KILLS] [--seed SEED]
#
# Four writers and four readers at a time; every 5 to 50 ms one is killed with SIGKILL
# and replaced (10,000 KILLS unless told otherwise), and others are stopped and resumed.
# First queues, then as often broadcast rings, whose writers wait in one and drop the
# oldest in the next. Rings of 2, 3, 8 and 64 nodes of 1K, 64K and 4M, up to 100 kills
# each. Ledgers outside the rings say afterwards whether anything was lost, torn, doubled
# without a reason or put out of order, missed by a reader that was not told so, or stood
# still for 2 s; tests/chaos.rs says how.
#
# Prints a line for each ring, and in the end kills, stops, rings, items, items that came
# twice, the longest stall, the time and the seed; the exit status is 0 if no promise was
# broken. The same SEED makes the same choices. 10,000 kills take about 6 minutes for
# each of the two and, at most, 400 MiB of /dev/shm. Needs a Rust toolchain; leaves nothing behind, also on
# Ctrl-C. The time for which the machine itself stood still is allowed for, and printed.

me=chaos
# shellcheck source=scripts/measure.bash
. "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/measure.bash"

kills=10000
seed=
if [[ ${1-} != -* ]]; then kills=${1-$kills}; shift $(($# > 0)); fi
options 'seed' "$@"
[ ${#rest[@]} = 0 ] || fail "${rest[0]}: no such argument (--help)"
[[ $kills =~ ^[1-9][0-9]*$ ]] || fail "$kills: not a number of kills"
[[ $seed =~ ^[0-9]*$ ]] || fail "--seed $seed: not a number"
# The ledgers in memory: a slow disk must not look like a stall.
TMPDIR=/dev/shm
prepare

build_test chaos
note "$kills kills, on $(machine)"
export TMPDIR=$work SHMKIT_CHAOS_KILLS=$kills SHMKIT_CHAOS_STALL_MS=2000
if [ -n "$seed" ]; then export SHMKIT_CHAOS_SEED=$seed; fi
"$test" --nocapture --test-threads=1 killed_and_stopped &
children+=($!)
prefix=test-$!
wait "$!" || fail "a promise was broken, or something is in the way: see above"
