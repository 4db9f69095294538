#!/usr/bin/env bash
# A long load: many more parties than processors, every byte checked.
#
#   scripts/load.sh [SECONDS] [--shm PATH]         default: 600
#
# 1. 16 writers and 16 readers over one ring for SECONDS, `shm bench --verify` (and a short
#    1 x 1 before and after, for the ratio): nothing lost, nothing wrong, at least half
#    the rate of 1 x 1, and memory that does not grow: the resident memory of all workers is
#    looked at each second.
# 2. 1,000,000 ping-pongs over rings of two nodes: no wait may be ended by its time slice
#    instead of a signal (tests/ping_pong.rs).
#
# Prints counts and times. Exits 1 if any of that does not hold.

me=load
# shellcheck source=scripts/measure.bash
. "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/measure.bash"

seconds=600
if [[ ${1-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
options 'shm' "$@"
[ "$seconds" -ge 5 ] || fail "$seconds: at least 5 seconds"
have cargo || fail 'cargo is missing: https://rustup.rs'
prepare

short=$((seconds < 40 ? seconds / 4 : 10))
failures=0

wrong() {
    note "FAILED: $*"
    failures=$((failures + 1))
}

# column NAME REPORT: of the only row of a report; nothing if there is none
column() {
    [ -s "$work/$2" ] || return 0
    awk -F, -v name="$1" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i }
        NR == 2 { print $at }' "$work/$2"
}

# begin REPORT WRITERS READERS SECONDS: in the background; its process is $bench
begin() {
    "$shm" bench -n 20 -b 64K -w "$2" -r "$3" -d "$4s" --repeat 1 --verify \
        --baseline none --format csv -o "$work/$1" 2>"$work/$1.log" &
    bench=$!
    children=("$bench")
}

# finish REPORT: waits for it, and says what is wrong with it
finish() {
    local status=0
    wait "$bench" || status=$?
    children=()
    [ "$status" = 0 ] || wrong "$1: ended with $status: $(<"$work/$1.log")"
    [ "$(column verified "$1")" = true ] || wrong "$1: not verified"
    [ "$(column diff_final "$1")" = 0 ] || wrong "$1: nodes were left unread"
}

# resident PID: kilobytes of all its children together, once all 32 are there
resident() {
    local pids files
    read -ra pids < <(cat "/proc/$1/task/"*/children | tr -d '\n')
    files=("${pids[@]/#//proc/}")
    files=("${files[@]/%//status}")
    [ ${#files[@]} = 32 ] || return 0
    { cat "${files[@]}" || true; } | awk '/^VmRSS/ { sum += $2; n++ } END { if (n == 32) print sum }'
}

# highest: of the numbers on stdin
highest() { sort -g | tail -n 1; }

# --- 16 x 16 ----------------------------------------------------------------

printf '%s\n\n' "$(machine)"
begin before 1 1 "$short"
finish before
begun=$SECONDS
begin many 16 16 "$seconds"
: >"$work/memory"
while kill -0 "$bench" 2>/dev/null; do
    resident "$bench" 2>/dev/null >>"$work/memory" || true
    sleep 1
done
finish many
took=$((SECONDS - begun))
begin after 1 1 "$short"
finish after

column mb_per_s before >>"$work/single"
column mb_per_s after >>"$work/single"
rate=$(column mb_per_s many)
ratio=$(ratio "$rate" "$(median single)")
printf '16 x 16: %s messages, %s bytes, in %s s\n' \
    "$(column nodes_moved many)" "$(column bytes many)" "$took"
printf '         %.0f MB/s; 1 x 1 before and after: %.0f and %.0f MB/s; ratio %s\n' \
    "$rate" "$(column mb_per_s before)" "$(column mb_per_s after)" "$ratio"
awk -v r="$ratio" 'BEGIN { exit !(r >= 0.5) }' || wrong "the ratio is below 0.5"

# The first look finds pages that nobody has touched yet, the last one workers that have
# unmapped their ring: so it is the highest of the first quarter and of the last.
looks=$(wc -l <"$work/memory")
quarter=$(((looks + 3) / 4))
if [ "$looks" -ge 3 ]; then
    first=$(head -n "$quarter" "$work/memory" | highest)
    last=$(tail -n "$quarter" "$work/memory" | highest)
    printf '         resident memory of 32 workers: %s KiB, and %s KiB at the end (%s looks)\n' \
        "$first" "$last" "$looks"
    [ "$last" -le $((first + first / 50 + 1024)) ] || wrong 'memory grows'
else
    wrong 'nobody could look at the workers'
fi

# --- ping-pong --------------------------------------------------------------

build_test ping_pong
begun=$SECONDS
"$test" --ignored --nocapture >"$work/ping-pong" 2>&1 &
children=("$!")
prefix=test-$!
if wait "$!"; then
    grep -E 'exchanges' "$work/ping-pong"
else
    cat "$work/ping-pong" >&2
    wrong 'ping-pong'
fi
children=()
printf '         in %s s\n' $((SECONDS - begun))

[ "$failures" = 0 ] || fail "$failures failures"
printf '\nall held, in %s s\n' "$SECONDS"
