#!/usr/bin/env bash
# Measures shm on this machine, beside what it is to be compared with.
#
#   scripts/figures.sh [--size 4G] [--rounds 5] [--rings "8x128K 20x64K 4x1M"]
#                      [--array 1G] [--only pipes|lines|arrays|bench|idle] [--shm PATH]
#
# Prints Markdown. Figures of memory differ between machines, and on one machine
# from minute to minute, so what counts are the ratios: the rounds take turns
# through all variants, and each figure is the median of its rounds.
#
#   pipes   a file in page cache through `shm write` and `shm read`, against cat
#           and others (scripts/compare.sh)
#   lines   ten million lines of 80 bytes through `shm write --lines`, against pipes
#   arrays  raw bytes through `shm read` and `shm write` of an array, against cat
#           of a file that size; ten million f64 as text, against seq
#   bench   rings from small to large against the ideal pipeline (shm bench)
#   idle    memory beyond the segment, CPU of blocked participants, inspect
#
# Needs the file's size in $TMPDIR and as much memory again for its page cache;
# for arrays, twice the array's size in /dev/shm.
# Removes all it has made, also on Ctrl-C. Leave the machine alone meanwhile.

me=figures
# shellcheck source=scripts/measure.bash
. "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/measure.bash"

size=4G
array=1G
rounds=5
rings='8x128K 20x64K 4x1M'
only=
options 'size array rounds rings only shm' "$@"
[ ${#rest[@]} = 0 ] || fail "${rest[0]}: no such argument (--help)"
case $only in
    '' | pipes | lines | arrays | bench | idle) ;;
    *) fail '--only pipes, lines, arrays, bench or idle' ;;
esac
[[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "--rounds $rounds: not a number"
array_bytes=$(numfmt --from=iec "$array") || fail "--array $array: not a size"
prepare

wanted() { [ -z "$only" ] || [ "$only" = "$1" ]; }

pipes() {
    "$project/scripts/compare.sh" --size "$size" --rounds "$rounds" --rings "$rings" --shm "$shm" |
        sed 's/^## /### /'
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

# --- lines ------------------------------------------------------------------

# A ring that is there for one file; the reader ends with its writer.
ringed() {
    "$shm" create ring "$prefix-lines" >/dev/null 2>&1
    "$shm" read "$prefix-lines" --quiet >/dev/null &
    children=($!)
    "$shm" write "$prefix-lines" "$@" --quiet <"$file"
    wait "${children[0]}" || fail "shm read ended with $?"
    children=()
    "$shm" remove "$prefix-lines" >/dev/null 2>&1
}

lines() {
    local round numbers=10000000
    file=$work/file
    note 'lines'
    { yes "$(printf '%079d' 0)" || true; } | head -n "$numbers" >"$file"
    for ((round = 1; round <= rounds; round++)); do
        timed lines-cat "${numbers}000" to_cat cat_file
        timed lines-wc "${numbers}000" wc -l <"$file" >/dev/null
        timed lines-ring "${numbers}000" ringed --lines
        timed bytes-ring "${numbers}000" ringed
    done
    rm -f "$file"
    printf '\n### Ten million lines of 80 bytes, millions of lines a second\n\n'
    printf '| | shm | beside it | ratio |\n|---|---|---|---|\n'
    # shellcheck disable=SC2016 # backquotes for Markdown
    {
        pair '`shm write --lines <F`, `shm read`; the same without `--lines`' lines-ring bytes-ring
        pair '... `cat F` to a pipe with `cat >/dev/null`' lines-ring lines-cat
        pair '... `wc -l <F`' lines-ring lines-wc
    }
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
    printf '| %s | %.3g | %.3g | %s |\n' "$1" "$(median "$2")" "$(median "$3")" "$(ratio "$(median "$2")" "$(median "$3")")"
}

arrays() {
    local bytes=$array_bytes sink=/dev/shm/$prefix-sink round kind numbers=10000000
    make_file
    "$shm" create array "$prefix-bytes" --type u8 --len "$bytes"
    write_array bytes
    for ((round = 1; round <= rounds; round++)); do
        note "arrays, round $round of $rounds"
        rm -f "$sink"
        timed cat-null "$bytes" to_null cat_file
        timed read-null "$bytes" to_null read_array bytes raw
        timed cat-pipe "$bytes" to_cat cat_file
        timed read-pipe "$bytes" to_cat read_array bytes raw
        timed cat-new "$bytes" to_sink cat_file
        rm -f "$sink"
        timed read-new "$bytes" to_sink read_array bytes raw
        timed cat-over "$bytes" over_sink cat_file
        timed write "$bytes" write_array bytes
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
        timed seq-whole "$bytes" to_null seq "$numbers"
        timed text-whole "$bytes" to_null read_array whole text
        timed seq-halves "$bytes" to_null seq 0.5 "$numbers"
        timed text-halves "$bytes" to_null read_array halves text
        timed text-digits "$bytes" to_null read_array digits text
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

# --- the library's ring -----------------------------------------------------

# swept TITLE ARGUMENTS-OF-BENCH...
swept() {
    printf '\n### %s\n\n' "$1"
    "$shm" bench --format markdown --repeat "$rounds" --baseline pipeline "${@:2}" ||
        fail "shm bench ${*:2}: ended with $?"
}

bench() {
    note 'shm bench'
    swept 'Rings in two processes, against the ideal pipeline' \
        -n 2,5,20,50 -b 64,1K,4K,16K,64K,1M
    swept 'Several writers and readers' -n 20 -b 1K,64K,1M -w 1,2,4 -r 1,2,4
    swept 'There and back' -n 20 -b 64 --wait futex,spin --latency
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
printf '%s, medians of %s\n\n' "$(machine)" "$rounds"
if wanted pipes; then pipes; fi
if wanted lines; then lines; fi
if wanted arrays; then arrays; fi
if wanted bench; then bench; fi
if wanted idle; then idle; fi
