#!/usr/bin/env bash
# Measures shm on this machine, beside what it is to be compared with.
#
#   scripts/figures.sh [--size 4G] [--rounds 5] [--rings "8x128K 20x64K 4x1M"]
#                      [--array 1G] [--only pipes|arrays|bench|idle] [--shm PATH]
#
# Prints Markdown. Figures of memory differ between machines, and on one machine
# from minute to minute, so what counts are the ratios: the rounds take turns
# through all variants, and each figure is the median of its rounds. GB/s are
# 10^9 payload bytes a second, each byte counted once, from the start of the
# commands to the end of the last.
#
#   pipes   a file in page cache through `shm write` and `shm read`, against cat
#   arrays  raw bytes through `shm read` and `shm write` of an array, against cat
#           of a file that size; ten million f64 as text, against seq
#   bench   the library's ring against the ideal pipeline, its lock against
#           raw_sync's (cargo bench)
#   idle    memory beyond the segment, CPU of blocked participants, inspect
#
# Needs the file's size in $TMPDIR and as much memory again for its page cache;
# for arrays, twice the array's size in /dev/shm.
# Removes all it has made, also on Ctrl-C. Leave the machine alone meanwhile.
set -euo pipefail
export LC_ALL=C

size=4G
array=1G
rounds=5
rings='8x128K 20x64K 4x1M'
only=
shm=
prefix=shmkit-figures-$$
sink=/dev/shm/shmkit-figures-sink-$$
work=
children=()

fail() {
    printf 'figures: %s\n' "$*" >&2
    exit 1
}

note() {
    printf 'figures: %s\n' "$*" >&2
}

clean_up() {
    local status=$? child ring
    trap '' INT TERM
    trap - EXIT
    for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
    for ring in /dev/shm/"$prefix"-*; do
        if [ -e "$ring" ]; then "$shm" remove --force "${ring##*/}" >/dev/null 2>&1 || true; fi
    done
    wait 2>/dev/null || true
    rm -f "$sink"
    if [ -n "$work" ]; then rm -rf "$work"; fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        --size | --array | --rounds | --rings | --only | --shm)
            [ $# -ge 2 ] || fail "$1 needs a value"
            printf -v "${1#--}" %s "$2"
            shift 2
            ;;
        *) fail "$1: no such option (--help)" ;;
    esac
done
case $only in '' | pipes | arrays | bench | idle) ;; *) fail "--only pipes, arrays, bench or idle" ;; esac
[[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "--rounds $rounds: not a number"
for ring in $rings; do
    [[ $ring =~ ^[0-9]+x[0-9]+[KMG]?$ ]] || fail "--rings $ring: expected NODESxSIZE, as in 8x128K"
done
bytes=$(numfmt --from=iec "$size") || fail "--size $size: not a size"
array_bytes=$(numfmt --from=iec "$array") || fail "--array $array: not a size"

project=$(cd "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/.." && pwd)
cd "$project"
if [ -z "$shm" ]; then
    cargo build --release --quiet --bin shm
    target=${CARGO_TARGET_DIR:-target}
    shm=$(realpath -- "$target/release/shm")
fi
[ -x "$shm" ] || fail "$shm: not a program"
cpu=$(awk '/^Cpus_allowed_list/ { split($2, list, /[-,]/); print list[1] }' /proc/self/status)
work=$(mktemp -d "${TMPDIR:-/tmp}/shmkit-figures.XXXXXX")

# --- arithmetic -------------------------------------------------------------

# median NAME: of the numbers in $work/NAME, one a line; nothing if there is none
median() {
    [ -s "$work/$1" ] || return 0
    sort -g "$work/$1" | awk '{ v[NR] = $1 } END {
        print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# spread NAME: lowest to highest
spread() {
    sort -g "$work/$1" | awk '{ v[NR] = $1 } END { printf "%.2f to %.2f", v[1], v[NR] }'
}

# ratio A B: of the two medians
ratio() {
    awk -v a="$(median "$1")" -v b="$(median "$2")" 'BEGIN {
        if (a == "" || b == "" || b == 0) print "-"; else printf "%.2f", a / b }'
}

# timed NAME COMMAND...: runs it and adds its GB/s to $work/NAME
timed() {
    local name=$1 begun ended
    shift
    begun=$(date +%s%N)
    "$@" || fail "$name: ended with $?"
    ended=$(date +%s%N)
    awk -v b="$bytes" -v t="$((ended - begun))" 'BEGIN { print b / t }' >>"$work/$name"
}

# --- a file through two processes -------------------------------------------

# shellcheck disable=SC2002 # it is the cat that is measured
through_pipe() { cat "$file" | cat >/dev/null; }
through_pipe_on_one_core() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    taskset -c "$cpu" sh -c 'cat "$1" | cat >/dev/null' sh "$file"
}
one_process() { cat "$file" >/dev/null; }

# through_ring RING ARGUMENTS-OF-READ...: to nowhere, or to cat
through_ring() {
    local ring=$prefix-$1 status=0
    shift
    "$shm" write "$ring" "$file" --quiet &
    children=($!)
    "$shm" read "$ring" --quiet "$@" || status=$?
    wait "${children[0]}" || status=$?
    children=()
    return "$status"
}
through_ring_to_cat() { through_ring "$1" | cat >/dev/null; }
# The hash goes to stderr; its cost is what is wanted.
through_ring_hashed() { through_ring "$1" -o /dev/null --hash 2>/dev/null; }

row() {
    printf '| %s | %.2f | %s | %s | %s | %s |\n' "$1" "$(median "$2")" "$(spread "$2")" \
        "$(ratio "$2" pipe)" "$(ratio "$2" pipe-on-one-core)" "$(ratio "$2" one-process)"
}

# make_file: $bytes bytes that do not compress, in page cache
make_file() {
    local i
    file=$work/file
    note "making a file of $bytes bytes in $work"
    head -c $((64 << 20)) /dev/urandom >"$work/block"
    for ((i = 0; i < (bytes + (64 << 20) - 1) >> 26; i++)); do cat "$work/block"; done |
        head -c "$bytes" >"$file"
    rm -f "$work/block"
    cat "$file" >/dev/null
}

pipes() {
    local ring round
    make_file
    for ring in $rings; do
        "$shm" create ring "$prefix-$ring" -n "${ring%x*}" -b "${ring#*x}" >/dev/null 2>&1
    done
    for ((round = 1; round <= rounds; round++)); do
        note "pipes, round $round of $rounds"
        timed pipe through_pipe
        if command -v taskset >/dev/null; then timed pipe-on-one-core through_pipe_on_one_core; fi
        timed one-process one_process
        for ring in $rings; do
            timed "cat-$ring" through_ring_to_cat "$ring"
            timed "null-$ring" through_ring "$ring" -o /dev/null
            timed "hash-$ring" through_ring_hashed "$ring"
        done
    done
    printf '\n### A file of %s in page cache\n\n' "$size"
    printf 'Writing to /dev/null copies nothing, so a reader that only does that never looks at the\n'
    printf 'bytes; with --hash it reads every one of them, in node memory.\n\n'
    printf '| | GB/s | lowest to highest | / pipe | / pipe on one core | / one process |\n'
    printf '|---|---|---|---|---|---|\n'
    # shellcheck disable=SC2016 # backquotes for Markdown
    {
        row 'pipe: `cat F \| cat >/dev/null`' pipe
        if [ -s "$work/pipe-on-one-core" ]; then row "pipe on one core: \`taskset -c $cpu\`" pipe-on-one-core; fi
        row 'one process: `cat F >/dev/null`' one-process
    }
    for ring in $rings; do
        row "ring $ring: \`shm write\`, \`shm read \\| cat >/dev/null\`" "cat-$ring"
        row "ring $ring: \`shm write\`, \`shm read -o /dev/null\`" "null-$ring"
        row "ring $ring: the same with \`--hash\`" "hash-$ring"
        "$shm" remove "$prefix-$ring" >/dev/null 2>&1
    done
    rm -f "$file"
}

# --- arrays -----------------------------------------------------------------

to_sink() { "$@" >"$sink"; }
# Over what is there already, as an array's memory is: the sink is not cut.
over_sink() { "$@" 1<>"$sink"; }
to_null() { "$@" >/dev/null; }
to_cat() { "$@" | cat >/dev/null; }
cat_file() { cat "$file"; }
read_array() { "$shm" read "$prefix-$1" --quiet --format "$2"; }
write_array() { "$shm" write "$prefix-$1" --quiet --format raw <"$file"; }

# pair WHAT OURS THEIRS: a row of two medians, and of the ratio between them
pair() {
    printf '| %s | %.3g | %.3g | %s |\n' "$1" "$(median "$2")" "$(median "$3")" "$(ratio "$2" "$3")"
}

arrays() {
    local bytes=$array_bytes round kind numbers=10000000
    make_file
    "$shm" create array "$prefix-bytes" --type u8 --len "$bytes"
    write_array bytes
    for ((round = 1; round <= rounds; round++)); do
        note "arrays, round $round of $rounds"
        rm -f "$sink"
        timed cat-null to_null cat_file
        timed read-null to_null read_array bytes raw
        timed cat-pipe to_cat cat_file
        timed read-pipe to_cat read_array bytes raw
        timed cat-new to_sink cat_file
        rm -f "$sink"
        timed read-new to_sink read_array bytes raw
        timed cat-over over_sink cat_file
        timed write write_array bytes
    done
    cmp "$file" <(read_array bytes raw) || fail 'the array is not the file'
    rm -f "$file" "$sink"
    "$shm" remove "$prefix-bytes"
    printf '\n### Raw bytes of an array of %s, against cat of a file that size in page cache\n\n' "$array"
    printf 'GB/s. Nobody looks at what is written to /dev/null, so there shm read copies nothing.\n\n'
    printf '| | shm | cat | ratio |\n|---|---|---|---|\n'
    # shellcheck disable=SC2016 # backquotes for Markdown
    {
        pair '`shm read --format raw`, `cat F`, to /dev/null' read-null cat-null
        pair '... to a pipe with `cat >/dev/null`' read-pipe cat-pipe
        pair '... to a new file in /dev/shm' read-new cat-new
        pair '`shm write --format raw <F`, `cat F` to a new file in /dev/shm' write cat-new
        pair '... `cat F` over a file in /dev/shm that is there' write cat-over
    }

    bytes=${numbers}000 # what is counted now, in millions a second
    for kind in whole halves digits; do "$shm" create array "$prefix-$kind" --type f64 --len "$numbers"; done
    seq "$numbers" | "$shm" write "$prefix-whole" --quiet
    seq 0.5 "$numbers" | "$shm" write "$prefix-halves" --quiet
    # Numbers between 0 and 1 that need all of their 16 or 17 digits.
    awk -v n="$numbers" 'BEGIN { srand(1); for (i = 0; i < n; i++) printf "%.17g\n", rand() + rand() / 4294967296 }' |
        "$shm" write "$prefix-digits" --quiet
    for ((round = 1; round <= rounds; round++)); do
        note "text, round $round of $rounds"
        timed seq-whole to_null seq "$numbers"
        timed text-whole to_null read_array whole text
        timed seq-halves to_null seq 0.5 "$numbers"
        timed text-halves to_null read_array halves text
        timed text-digits to_null read_array digits text
    done
    "$shm" remove "$prefix-whole" "$prefix-halves" "$prefix-digits"
    printf '\n### Ten million f64 as text, against seq printing as many numbers\n\n'
    printf 'Millions of numbers a second.\n\n'
    printf '| | shm | seq | ratio |\n|---|---|---|---|\n'
    # shellcheck disable=SC2016 # backquotes for Markdown
    {
        pair 'whole numbers, `1.0` to `10000000.0`; `seq 10000000`, which prints integers' text-whole seq-whole
        pair 'from `0.5` to `9999999.5`; `seq 0.5 10000000`, which prints the same' text-halves seq-halves
        pair 'between 0 and 1, 17 digits; `seq 0.5 10000000`' text-digits seq-halves
    }
}

# --- the library's ring and lock --------------------------------------------

bench() {
    note "cargo bench --bench ring"
    printf '\n### The ring in two processes, against the ideal pipeline\n\n'
    cargo bench --quiet --bench ring -- --rounds "$rounds" --markdown
    note "cargo bench --bench lock"
    printf '\n### Taking and giving back the lock\n\n'
    cargo bench --quiet --bench lock
}

# --- idle -------------------------------------------------------------------

# ticks PID: processor time used by all its threads, in clock ticks
ticks() { sed 's/^.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

# beyond PID: resident KiB that are not a segment's
beyond() {
    awk '/^[0-9a-f]+-[0-9a-f]+ / { segment = ($6 ~ "^/dev/shm/") }
         /^Rss:/ && !segment { sum += $2 } END { print sum + 0 }' "/proc/$1/smaps"
}

# watch WHAT PID: a row for a participant that is blocked
watch() {
    local before seconds=5
    sleep 1
    before=$(ticks "$2")
    sleep "$seconds"
    awk -v what="$1" -v used=$(($(ticks "$2") - before)) -v hz="$(getconf CLK_TCK)" \
        -v s="$seconds" -v kib="$(beyond "$2")" \
        'BEGIN { printf "| %s | %.1f | %.2f |\n", what, kib / 1024, 100 * used / hz / s }'
}

# finish PID: ends a child of ours, whatever it is doing
finish() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

idle() {
    local ring=$prefix-idle begun ended runs=50 i
    note "blocked participants"
    "$shm" create ring "$ring" -n 20 -b 1M >/dev/null 2>&1
    printf '\n### Blocked participants of a ring of 20 x 1 MiB\n\n'
    printf '| | MiB resident beyond the segment | %% of a core |\n|---|---|---|\n'

    "$shm" read "$ring" -o /dev/null --quiet &
    children=($!)
    watch 'reader, before the first writer' "${children[0]}"
    finish "${children[0]}"

    mkfifo "$work/fifo"
    "$shm" write "$ring" "$work/fifo" --quiet &
    children=($!)
    exec 9>"$work/fifo"
    head -c 1M /dev/zero >&9
    watch 'writer, its input silent' "${children[0]}"
    finish "${children[0]}"
    exec 9>&-

    # The reader's own reader takes 256 MiB and stops: everybody behind it is full.
    "$shm" write "$ring" /dev/zero --quiet &
    children=($!)
    { "$shm" read "$ring" --quiet & echo $! >"$work/reader"; wait; } |
        { head -c 256M >/dev/null; sleep 600 & echo $! >"$work/stopped"; wait; } &
    children+=($!)
    for ((i = 0; i < 100; i++)); do
        if [ -s "$work/stopped" ] && [ -s "$work/reader" ]; then break; fi
        sleep 0.1
    done
    [ -s "$work/stopped" ] || fail 'the stream did not get under way'
    children+=("$(<"$work/reader")" "$(<"$work/stopped")")
    watch 'writer after 256 MiB, the ring full' "${children[0]}"
    watch 'reader after 256 MiB, its output full' "${children[2]}"
    finish "${children[0]}"
    kill "${children[2]}" "${children[3]}" 2>/dev/null || true
    wait "${children[1]}" 2>/dev/null || true
    children=()
    "$shm" remove --force "$ring" >/dev/null 2>&1

    "$shm" create ring "$ring" -n 20 >/dev/null 2>&1
    begun=$(date +%s%N)
    for ((i = 0; i < runs; i++)); do "$shm" inspect "$ring" >/dev/null; done
    ended=$(date +%s%N)
    # shellcheck disable=SC2016 # backquotes for Markdown
    awk -v t=$((ended - begun)) -v n="$runs" 'BEGIN {
        printf "\n`shm inspect` of a ring of 20 nodes, from start to exit: %.1f ms (mean of %d)\n", t / n / 1e6, n }'
    "$shm" remove "$ring" >/dev/null 2>&1
}

printf '## Figures of shm on %s\n\n' "$(date +%Y-%m-%d)"
printf '%s, %s processors, Linux %s, medians of %s\n' \
    "$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" "$(uname -r)" "$rounds"
if [ -z "$only" ] || [ "$only" = pipes ]; then pipes; fi
if [ -z "$only" ] || [ "$only" = arrays ]; then arrays; fi
if [ -z "$only" ] || [ "$only" = bench ]; then bench; fi
if [ -z "$only" ] || [ "$only" = idle ]; then idle; fi
