#!/usr/bin/env bash
# A file through two processes: `shm write` and `shm read` against what else there is.
#
#   scripts/compare.sh [--size 4G] [--rounds 5] [--rings "8x128K 20x64K 4x1M"]
#                      [--shm PATH] [--placement default|one|both]
#
# Prints Markdown. The rivals are `cat | cat`, `pv`, `mbuffer` and `dd`; those that
# are not installed are skipped, and said to be. The file is in page cache, and the
# last process writes to /dev/null. Everybody runs as the system places them, and
# then all on one core, which is where plain pipes are fastest: no wake-up has to
# cross to another core.
#
# First each variant's bytes are compared with the file. Then the rounds take turns
# through all variants; each figure is the median of its rounds, in GB/s: 10^9
# payload bytes a second, each counted once, from the start of the first command
# to the end of the last. Figures differ between machines, and on one machine from
# minute to minute: what counts are the ratios.
#
# Needs the file's size in $TMPDIR and as much memory again for its page cache.
# Removes all it has made, also on Ctrl-C. Leave the machine alone meanwhile.

me=compare
# shellcheck source=scripts/measure.bash
. "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/measure.bash"

size=4G
rounds=5
rings='8x128K 20x64K 4x1M'
placement=both
options 'size rounds rings shm placement' "$@"
[ ${#rest[@]} = 0 ] || fail "${rest[0]}: no such argument (--help)"
[[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "--rounds $rounds: not a number"
case $placement in default | one | both) ;; *) fail '--placement default, one or both' ;; esac
for ring in $rings; do
    [[ $ring =~ ^[0-9]+x[0-9]+[KMG]?$ ]] || fail "--rings $ring: expected NODESxSIZE, as in 8x128K"
done
bytes=$(numfmt --from=iec "$size") || fail "--size $size: not a size"
[ "$bytes" -gt 0 ] || fail '--size 0: nothing to measure'
if [ "$placement" != default ] && ! have taskset; then
    [ "$placement" = both ] || fail '--placement one: taskset is not installed'
    note 'taskset is not installed: only the default placement'
    placement=default
fi
prepare

# --- the variants: each brings $file to stdout ------------------------------

one_process() { cat "$file"; }
# shellcheck disable=SC2002 # it is the cat that is measured
cat_cat() { cat "$file" | cat; }
# shellcheck disable=SC2002
cat_pv_cat() { cat "$file" | pv -q | cat; }
# shellcheck disable=SC2002
cat_mbuffer_cat() { cat "$file" | mbuffer -q -m 64M -s 1M | cat; }
dd_dd() { dd if="$file" bs=1M status=none | dd bs=1M iflag=fullblock status=none; }

# through RING ARGUMENTS-OF-READ...
through() {
    local ring=$prefix-$1 status=0 writer
    shift
    "$shm" write "$ring" "$file" --quiet &
    writer=$!
    "$shm" read "$ring" --quiet "$@" || status=$?
    wait "$writer" || status=$?
    return "$status"
}
ring_read() { through "$1"; }
ring_cat() { through "$1" | cat; }
# The hash goes to stderr; its cost is what is wanted.
ring_hash() { through "$1" --hash 2>/dev/null; }

# In the order of the table: a name, a title, a command.
names=() titles=() commands=()
variant() {
    names+=("$1")
    titles+=("$2")
    commands+=("${*:3}")
}
# rival PROGRAM NAME TITLE COMMAND...: if it is installed
rival() {
    if have "$1"; then variant "${@:2}"; else note "$1 is not installed: skipped"; fi
}
# shellcheck disable=SC2016 # backquotes for Markdown
{
    variant one-process '`cat F`, one process' one_process
    variant cat '`cat F \| cat`' cat_cat
    rival pv pv '`cat F \| pv -q \| cat`' cat_pv_cat
    rival mbuffer mbuffer '`cat F \| mbuffer -q -m 64M -s 1M \| cat`' cat_mbuffer_cat
    rival dd dd '`dd if=F bs=1M \| dd bs=1M`' dd_dd
    for ring in $rings; do
        variant "cat-$ring" "$ring: \`shm write F\`, \`shm read \\| cat\`" ring_cat "$ring"
        variant "read-$ring" "$ring: \`shm write F\`, \`shm read\`" ring_read "$ring"
        variant "hash-$ring" "$ring: the same, the reader with \`--hash\`" ring_hash "$ring"
    done
}

# --- measuring --------------------------------------------------------------

file=$work/file
note "making a file of $size in $work"
head -c $((64 << 20)) /dev/urandom >"$work/block"
for ((i = 0; i < (bytes + (64 << 20) - 1) >> 26; i++)); do
    # Blocks that differ: one that got lost or came twice would be seen.
    printf 'block %09d\n' "$i"
    tail -c +17 "$work/block"
done | head -c "$bytes" >"$file" || [ "$(stat -c %s "$file")" = "$bytes" ]
rm -f "$work/block"
for ring in $rings; do
    "$shm" create ring "$prefix-$ring" -n "${ring%x*}" -b "${ring#*x}" >/dev/null
done

for i in "${!names[@]}"; do
    # shellcheck disable=SC2086 # a function and its arguments
    ${commands[i]} | cmp - "$file" || fail "${names[i]}: not the bytes of the file"
done
note "the bytes of all ${#names[@]} variants are those of the file"

measured() { "$@" >/dev/null; }
for ((round = 1; round <= rounds; round++)); do
    note "round $round of $rounds"
    for i in "${!names[@]}"; do
        # shellcheck disable=SC2086
        {
            [ "$placement" = one ] || timed "${names[i]}" "$bytes" measured ${commands[i]}
            [ "$placement" = default ] || timed "${names[i]}-on-one" "$bytes" measured pinned ${commands[i]}
        }
    done
done

# --- the table --------------------------------------------------------------

# best A B: the larger of two figures
best() { printf '%s\n' "$@" | sort -gr | head -n 1; }

pipe=$(median cat)
pipe_on_one=$(median cat-on-one)
pipe_best=$(best "$pipe" "$pipe_on_one")
limit=$(best "$(median one-process)" "$(median one-process-on-one)")

printf '## A file of %s through two processes\n\n' "$size"
printf '%s, on %s. GB/s, medians of %s.\n\n' "$(date +%Y-%m-%d)" "$(machine)" "$rounds"
columns=()
[ "$placement" = one ] || columns+=('GB/s' 'lowest to highest' '/ pipe')
[ "$placement" = default ] || columns+=('on one core' 'lowest to highest' '/ pipe on one core')
[ "$placement" != both ] || columns+=('best / best pipe')
columns+=('best / one process')
printf '| |'
printf ' %s |' "${columns[@]}"
printf '\n|---|'
printf -- '---:|%.0s' "${columns[@]}"
printf '\n'
for i in "${!names[@]}"; do
    here=$(median "${names[i]}")
    on_one=$(median "${names[i]}-on-one")
    top=$(best "$here" "$on_one")
    cells=("${titles[i]}")
    [ "$placement" = one ] ||
        cells+=("$(decimals "$here")" "$(spread "${names[i]}")" "$(ratio "$here" "$pipe")")
    [ "$placement" = default ] ||
        cells+=("$(decimals "$on_one")" "$(spread "${names[i]}-on-one")" "$(ratio "$on_one" "$pipe_on_one")")
    [ "$placement" != both ] || cells+=("$(ratio "$top" "$pipe_best")")
    cells+=("$(ratio "$top" "$limit")")
    printf '|'
    printf ' %s |' "${cells[@]}"
    printf '\n'
done
# shellcheck disable=SC2016 # backquotes for Markdown
printf '\n%s\n%s\n' 'The pipe is `cat F | cat`. Writing to /dev/null looks at no byte; with `--hash` the reader looks' \
    'at each of them, in node memory.'
