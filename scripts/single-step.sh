#!/usr/bin/env bash
# Kills a party at every instruction of what it does with a ring or an array, and lets
# another one recover: nothing is lost, nothing torn, nothing leaked.
#
#   scripts/single-step.sh [SCENE...]
#
#   scripts/single-step.sh            all scenes
#   scripts/single-step.sh write      those whose name contains `write`
#
# Builds tests/single_step in release mode and runs it on every instruction; of an attach,
# on those that change the segment (`cargo test` does that for all scenes). Prints the
# number of kills, the instructions of the cycle and the time for each scene; exits 1 at
# the first promise broken, and says after which instruction.
# Takes some minutes; needs a system that allows ptrace(2).
#
# Leaves nothing behind, also on Ctrl-C.

me=single-step
# shellcheck source=scripts/measure.bash
. "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/measure.bash"

scenes=()
while [ $# -gt 0 ] && [[ $1 != -* ]]; do scenes+=("$1"); shift; done
options '' "$@"
have cargo || fail 'cargo is missing: https://rustup.rs'
prepare
build_test single_step

"$test" --ignored "${scenes[@]}" &
children=("$!")
prefix=test-$!
wait "$!" || fail 'a promise was broken, or something is in the way: see above'
children=()
