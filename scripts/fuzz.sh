#!/usr/bin/env bash
# Fuzzes what reads bytes that others have made, with libFuzzer and
# AddressSanitizer, one target after the other.
#
#   scripts/fuzz.sh [SECONDS] [TARGET...]
#
# SECONDS for each target (60). The targets, all in tests/fuzz:
#
#   header        160 bytes as a header, in a file of any size
#   element_type  a text as the description of an element
#   segment       a whole segment, changed in places: looked at, attached to, used
#
# Prints for each how many inputs were tried and how much of the code they
# reached (cov: edges, ft: features), and at the end the sums. What was found
# is written to tests/fuzz/artifacts, and the status is then 1. What was learnt
# stays in tests/fuzz/corpus, and the next run begins there. To look at a
# finding again, pass it to the target: tests/fuzz/target/*/release/TARGET FILE.
#
# Needs a nightly toolchain (rustup toolchain install nightly), and calls it
# directly: cargo-fuzz is not needed. (`cargo fuzz run --fuzz-dir tests/fuzz
# TARGET` does the same.) The first build takes some three minutes.
set -euo pipefail

fail() { printf 'fuzz: %s\n' "$*" >&2; exit 2; }

case ${1-} in
    -h | --help) sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
seconds=60
if [[ ${1-} =~ ^[0-9]+$ ]]; then seconds=$1; shift; fi
all=(header element_type segment)
targets=("$@")
[ $# -gt 0 ] || targets=("${all[@]}")
for target in "${targets[@]}"; do
    [[ " ${all[*]} " == *" $target "* ]] || fail "$target: no such target; there are ${all[*]}"
done

cd "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/../tests/fuzz"
cargo +nightly --version >/dev/null 2>&1 ||
    fail 'no nightly toolchain: rustup toolchain install nightly'
# With --target the flags are not those of build scripts and macros.
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
sancov='-Cllvm-args=-sanitizer-coverage'
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module $sancov-level=4 \
$sancov-inline-8bit-counters $sancov-pc-table $sancov-trace-compares \
-Zsanitizer=address -Ccodegen-units=1 -Cdebug-assertions" \
    cargo +nightly build --release --locked --target "$host"

fuzzer=''
log=$(mktemp)
# shellcheck disable=SC2317,SC2329 # called by the trap
clean() {
    [ -z "$fuzzer" ] || { kill "$fuzzer" 2>/dev/null || true; rm -f "/dev/shm/fuzz-$fuzzer"; }
    rm -f "$log"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

found=0
sum=0
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    status=0
    # A unit that takes 10 s is a finding: nothing here may hang or spin.
    seeds=()
    [ ! -d "seeds/$target" ] || seeds=("seeds/$target")
    ASAN_OPTIONS=detect_leaks=0 "target/$host/release/$target" "corpus/$target" "${seeds[@]}" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="artifacts/$target/" >"$log" 2>&1 &
    fuzzer=$!
    wait "$fuzzer" || status=$?
    rm -f "/dev/shm/fuzz-$fuzzer"
    fuzzer=''
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    reached=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1 || true)
    printf '%-13s %12s inputs  %s  %s s\n' "$target" "${runs:-0}" "$reached" "$seconds"
    sum=$((sum + ${runs:-0}))
    if [ "$status" != 0 ]; then
        found=$((found + 1))
        printf 'fuzz: %s: a finding (status %s):\n' "$target" "$status" >&2
        grep -v '^#' "$log" | tail -n 40 >&2
    fi
done
printf '%-13s %12s inputs, %s findings\n' 'all' "$sum" "$found"
[ "$found" = 0 ]
