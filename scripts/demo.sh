#!/usr/bin/env bash
# Streams a file through shared memory, from one process to another.
#
#   scripts/demo.sh          a file of 1 GiB, made for the purpose
#   scripts/demo.sh FILE     a file of yours
#
# Builds `shm`, makes a ring, starts a writer and then a reader, compares what
# arrived with what was sent, and removes all it has made, also on Ctrl-C.
# Needs a Rust toolchain and coreutils, twice the file's size in $TMPDIR (once,
# for a FILE of yours), and 1 MiB of /dev/shm. Prints to stdout, progress to
# stderr.
set -euo pipefail

size_by_default=$((1 << 30))
nodes=8
node_size=128K
ring=shmkit-demo-$$
work=
writer=

bold='' dim='' off=''
if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' off=$'\e[0m'; fi

fail() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

heading() {
    printf '\n%s%s%s\n' "$bold" "$1" "$off"
}

# Prints a command as one would type it.
typed() {
    printf '%s  $ %s%s\n' "$dim" "$*" "$off"
}

indented() {
    sed 's/^/  /'
}

clean_up() {
    local status=$?
    trap '' INT TERM
    trap - EXIT
    if [ -n "$writer" ]; then
        kill "$writer" 2>/dev/null || true
        wait "$writer" 2>/dev/null || true
    fi
    if [ -e "/dev/shm/$ring" ]; then shm remove --force "$ring" >/dev/null 2>&1 || true; fi
    if [ -n "$work" ]; then rm -rf "$work"; fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

case ${1-} in
    -h | --help) sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    -*) fail "$1: no such option; give a FILE or nothing" ;;
esac
[ $# -le 1 ] || fail "one FILE or none, not $#"

# What is to be sent, before the project's own directory becomes the current one.
input=
if [ $# -eq 1 ]; then
    [ -f "$1" ] || fail "$1: not a file"
    [ -r "$1" ] || fail "$1: cannot be read"
    [ -s "$1" ] || fail "$1: is empty; there is nothing to see"
    input=$(realpath -- "$1")
fi
project=$(cd "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/.." && pwd)

heading 'Build'
typed cargo build --release
quiet=--quiet
if [ -t 2 ]; then quiet=; fi
cargo build --release $quiet --bin shm --manifest-path "$project/Cargo.toml" || fail 'the build failed'
target=${CARGO_TARGET_DIR:-$project/target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
PATH=$target/release:$PATH
printf '  %s\n' "$(shm --version)"

work=$(mktemp -d "${TMPDIR:-/tmp}/shmkit-demo.XXXXXX")
cd "$work"
copies=1
bytes=$size_by_default
if [ -n "$input" ]; then bytes=$(stat -c %s -- "$input"); else copies=2; fi
free=$(($(df -Pk . | awk 'NR == 2 { print $4 }') * 1024))
if [ "$free" -lt $((bytes * copies)) ]; then
    fail "$work: $((bytes * copies >> 20)) MiB needed, $((free >> 20)) MiB free; set TMPDIR to a roomier place"
fi

heading 'A file'
if [ -z "$input" ]; then
    typed "head -c $bytes /dev/urandom > input"
    head -c "$bytes" /dev/urandom >input
    input=input
fi
printf '  %s bytes\n' "$bytes"

heading 'A ring'
typed "shm create ring $ring -n $nodes -b $node_size"
shm create ring "$ring" -n "$nodes" -b "$node_size" 2>&1 | indented

heading 'A writer, and nobody who reads: it fills the ring and waits'
typed "shm write $ring $input --stats &"
shm write "$ring" "$input" --stats --quiet 2>writer.log &
writer=$!
for _ in {1..50}; do
    if shm inspect "$ring" --json | grep -Eq "\"diff_nodes\": ?$nodes,|\"state\": ?\"ended\""; then break; fi
    sleep 0.1
done
typed "shm inspect $ring"
shm inspect "$ring" | indented

heading 'A reader: the stream begins to flow'
typed "shm read $ring -o copy --stats"
# Nothing for a minute means that the writer has failed: better an end than a hang.
shm read "$ring" -o copy --stats --progress --timeout 1m || fail "the reader ended with $?"
wait "$writer" || fail "the writer ended with $?: $(<writer.log)"
writer=
cat writer.log >&2

heading 'Is it the same?'
typed "cmp $input copy"
cmp -- "$input" copy || fail 'the copy differs'
printf '  yes: all %s bytes\n' "$bytes"
rm -f copy

heading 'Once more, without a disk behind it: BLAKE3 at both ends, in node memory'
typed "shm write $ring $input --hash & shm read $ring --hash -o /dev/null"
shm write "$ring" "$input" --hash --stats --quiet 2>writer.log &
writer=$!
status=0
shm read "$ring" -o /dev/null --hash --stats --quiet --timeout 1m 2>reader.log || status=$?
[ "$status" = 0 ] || fail "the reader ended with $status: $(<reader.log)"
wait "$writer" || fail "the writer ended with $?: $(<writer.log)"
writer=
cat writer.log reader.log | indented
hash_of() { grep -Eo '\b[0-9a-f]{64}\b' "$1"; }
[ "$(hash_of writer.log)" = "$(hash_of reader.log)" ] || fail 'the two ends differ'

heading 'Remove'
typed "shm remove $ring"
shm remove "$ring" 2>&1 | indented
printf '  nothing is left behind\n'
