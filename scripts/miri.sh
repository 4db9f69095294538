#!/usr/bin/env bash
# Miri over what needs no mapping: the ring's protocol, words and layout, the lock's
# protocol, headers and element types. (The command line has no unsafe code.)
#
#   scripts/miri.sh
#
# Undefined behaviour (of which a data race is one kind) and leaks in the tests below are
# reports; there must be none. Writers and readers run as threads over a ring on the heap
# (src/ring/threads.rs), several times with other interleavings. Needs a nightly
# toolchain with miri and rust-src:
#
#   rustup toolchain install nightly --component miri --component rust-src
#
# Takes some minutes, most of it building. Prints each part with its tests and its time.
set -euo pipefail
cd "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/.."
case ${1-} in
    '') ;;
    -h | --help) sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) printf 'miri: %s: no such argument (--help)\n' "$1" >&2; exit 1 ;;
esac

if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo 'miri: missing: rustup toolchain install nightly --component miri --component rust-src' >&2
    exit 1
fi

# Isolation hides clocks and the environment; tests have deadlines, proptest reads its settings.
# rustix hands futex(2) a number as a pointer, which is a warning otherwise.
export MIRIFLAGS="${MIRIFLAGS:-} -Zmiri-disable-isolation -Zmiri-permissive-provenance"
# A few cases of each property: it is not values that Miri looks for.
export PROPTEST_CASES=${PROPTEST_CASES:-3} PROPTEST_DISABLE_FAILURE_PERSISTENCE=1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/miri

# part TITLE CARGO'S ARGUMENTS... -- FILTERS...: each of them must name a test
part() {
    local title=$1 begun=$SECONDS passed filter what=()
    shift
    while [ "$1" != -- ]; do what+=("$1"); shift; done
    shift
    printf '== %s\n' "$title"
    under_miri "${what[@]}" -- --list
    for filter; do
        grep -q "$filter.*: test\$" "$log" ||
            { echo "miri: $title: there is no test called $filter" >&2; exit 1; }
    done
    under_miri "${what[@]}" -- "$@"
    passed=$(awk '/^test result: ok/ { sum += $4 } END { print sum + 0 }' "$log")
    [ "$passed" -gt 0 ] || { echo "miri: $title: no test ran" >&2; exit 1; }
    printf -- '-- %s tests, no report, %s s\n' "$passed" $((SECONDS - begun))
}

# under_miri ARGUMENTS OF cargo test...: what it prints goes to $log
under_miri() {
    cargo +nightly miri test --locked --quiet "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

part 'protocols, layouts, element types, headers' --lib -- \
    ring::tests ring::broadcast::tests ring::layout ring::geometry array::description array::element \
    array::record segment::header segment::name sync::wait
for seed in 1 2 3 4; do
    MIRIFLAGS="$MIRIFLAGS -Zmiri-seed=$seed" \
        part "writers and readers as threads, seed $seed" --lib -- ring::threads lock::threads
done
printf '\nno reports, in %s s\n' "$SECONDS"
