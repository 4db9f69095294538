#!/usr/bin/env bash
# Kills a party at every instruction of what it does with a ring or an array, and lets
# another one recover: nothing is lost, nothing torn, nothing leaked.
#
#   scripts/single-step.sh [SCENE...]
#
#   scripts/single-step.sh            all scenes
#   scripts/single-step.sh write      those whose name contains `write`
#
# Builds tests/single_step in release mode and runs it on every instruction (`cargo test`
# runs a sample). Prints the number of kills, the instructions of the cycle and the time
# for each scene; exits 1 at the first promise broken, and says after which instruction.
# Takes some minutes; needs a system that allows ptrace(2).
set -euo pipefail
case ${1-} in
    -h | --help) sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    -*) printf 'single-step: %s: no such option (--help)\n' "$1" >&2; exit 1 ;;
esac
cd "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/.."

command -v cargo >/dev/null || { echo 'single-step: cargo is missing: https://rustup.rs' >&2; exit 1; }
scope=/proc/sys/kernel/yama/ptrace_scope
if [ -e "$scope" ] && [ "$(<"$scope")" = 3 ]; then
    echo "single-step: ptrace is switched off here ($scope is 3)" >&2
    exit 1
fi
cargo test --release --locked --quiet --test single_step -- --ignored "$@"
