#!/usr/bin/env bash
# ThreadSanitizer over the tests that run writers and readers as threads.
#
#   scripts/tsan.sh
#
# A data race is a report; there must be none. The tests in src/ring/threads.rs and
# src/lock/tests.rs share one mapping between their threads, for a race between two
# mappings of the same memory is one that ThreadSanitizer cannot see. The standard library is
# built with it. Needs a nightly toolchain with rust-src:
#
#   rustup toolchain install nightly --component rust-src
#
# Takes a few minutes, most of it building. Prints each part with its tests and its time.
set -euo pipefail
cd "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/.."
case ${1-} in
    '') ;;
    -h | --help) sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) printf 'tsan: %s: no such argument (--help)\n' "$1" >&2; exit 1 ;;
esac

if ! sysroot=$(rustc +nightly --print sysroot 2>/dev/null) ||
    ! [ -d "$sysroot/lib/rustlib/src/rust/library" ]; then
    echo 'tsan: missing: rustup toolchain install nightly --component rust-src' >&2
    exit 1
fi
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
export RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=thread"
export TSAN_OPTIONS="${TSAN_OPTIONS:-} halt_on_error=1"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/tsan

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# part TITLE CARGO'S ARGUMENTS... -- TESTS' ARGUMENTS...
part() {
    local title=$1 begun=$SECONDS passed
    shift
    printf '== %s\n' "$title"
    if ! cargo +nightly test --locked --quiet -Zbuild-std --target "$host" "$@" >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
    passed=$(awk '/^test result: ok/ { sum += $4 } END { print sum + 0 }' "$log")
    [ "$passed" -gt 0 ] || { echo "tsan: $title: no test ran" >&2; exit 1; }
    printf -- '-- %s tests, no report, %s s\n' "$passed" $((SECONDS - begun))
}

part 'rings and locks, one mapping' --lib -- ring::threads lock::tests segment::tests::membership
part 'the library, as programs use it' --test library --test array_library
printf '\nno reports, in %s s\n' "$SECONDS"
