#!/usr/bin/env bash
# The tests of hostile segments at full length: every byte with all 256 values,
# 100,000 headers and descriptions that lie, words changed under load for
# minutes. `cargo test --test hostile` is the short form.
#
#   scripts/hostile.sh [TEST...]
#
# Arguments are passed on as filters: scripts/hostile.sh bytes
#
# Prints how many visits were made and how they ended, and its time. The
# status is not 0 if anybody died, hung or said the wrong thing; the test then
# names the byte and the value.
set -euo pipefail

case ${1-} in
    -h | --help) sed -n '2,/^set -/{/^set -/d; s/^# \{0,1\}//; p}' "$0"; exit 0 ;;
esac
cd "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/.."
# Release for its speed; with the checks of a debug build.
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/hostile
begun=$SECONDS
SHMKIT_HOSTILE=all cargo test --release --locked --test hostile -- --nocapture "$@"
printf 'hostile: %s s\n' $((SECONDS - begun))
