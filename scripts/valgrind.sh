#!/usr/bin/env bash
# Valgrind's memcheck over the command line.
#
#   scripts/valgrind.sh [--shm PATH]
#
# Creates, writes, reads, inspects, lists, locks and removes a ring, an array and a buffer,
# each command under memcheck: an invalid read or write, a use of what was never set, a block
# that is lost, is an error; there must be none. What comes out is compared with what went
# in. (Valgrind's processor has no AVX-512; `shm` asks, and copies without.)
#
# Builds a `shm` of its own, which asks libc where the vDSO is: by itself, rustix asks the
# kernel, and the kernel does not know that under valgrind there is none. Needs valgrind.
# Takes a minute or two, and the build. Prints the number of commands and the time.

me=valgrind
# shellcheck source=scripts/measure.bash
. "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/measure.bash"
options 'shm' "$@"
have valgrind || fail 'valgrind is missing: apt install valgrind'
if [ -z "$shm" ]; then
    have cargo || fail 'cargo is missing: https://rustup.rs'
    target=$(realpath -m -- "${CARGO_TARGET_DIR:-$project/target}/valgrind")
    (cd "$project" && CARGO_TARGET_DIR=$target \
        cargo build --locked --quiet --features rustix/use-libc-auxv --bin shm)
    shm=$target/debug/shm
fi
prepare
cd "$work"

# under COMMAND...: `shm COMMAND...` under memcheck; fails if it, or memcheck, does
under() {
    local status=0
    valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
        --log-file="$work/log.%p" "$shm" "$@" || status=$?
    [ "$status" = 0 ] || fail "shm $*: ended with $status
$(cat "$work"/log.*)"
}

ring=$prefix-ring array=$prefix-array buffer=$prefix-buffer
head -c 3000000 /dev/urandom >input

printf '== ring\n'
under create ring "$ring" -n 4 -b 64K
under write "$ring" input --hash --stats --quiet 2>written &
children=("$!")
under read "$ring" -o output --hash --quiet --timeout 1m 2>got
wait "${children[0]}" || fail 'the writer failed'
children=()
cmp input output
# In order of commands, so that nobody waits.
seq 1 9 | under write "$ring"
under inspect "$ring" >text
under inspect "$ring" --json --nodes >json
under inspect "$ring" --data >hex
under read "$ring" --no-wait >output
cmp <(seq 1 9) output

printf '== array\n'
under create array "$array" --type 'id:u32,at:[f32;3],ok:bool' --len 50
echo '[{"id":7,"at":[1.5,2,3],"ok":true}]' | under write "$array" --format json --at 3
for format in text json csv raw; do
    under read "$array" --format "$format" >"array.$format"
    under write "$array" --format "$format" <"array.$format"
    under read "$array" --format "$format" >again
    cmp "array.$format" again
done
under create array "$array-f64" --type '[f64;2]' --len 50
under write "$array-f64" 1.5 2.5 3.5 4.5
under read "$array-f64" --format npy >array.npy
under write "$array-f64" --format npy <array.npy
under remove "$array-f64"
under inspect "$array" --json >json
under lock "$array" --write --timeout 1m -- true
under lock "$array" --read -- true

printf '== buffer\n'
under create buffer "$buffer" --size 1M
head -c 70000 input >part
under write "$buffer" part --at 100
under read "$buffer" --at 100 --count 70000 >output
cmp part output
under inspect "$buffer" --data >hex
under lock "$buffer" --write -- true

printf '== all\n'
under list >text
under list --json >json
grep -q "$ring" text || fail 'the list lacks the ring'
under remove "$ring" "$array" "$buffer"
under bench -n 2 -b 4K -d 20ms --repeat 1 --baseline none --verify --threads >text

logs=(log.*)
bad=0
for log in "${logs[@]}"; do
    if [ -s "$log" ]; then
        cat "$log" >&2
        bad=$((bad + 1))
    fi
done
[ "$bad" = 0 ] || fail "memcheck said something of $bad commands"
printf '\n%s commands, no errors, in %s s\n' "${#logs[@]}" "$SECONDS"
