# shellcheck shell=bash
# What the scripts that measure have in common. Sourced, not run, by a script that
# has set $me to its name; `options` reads its command line, `prepare` gets it ready.
#
#   $shm      the program
#   $test     a test of it, for those that need one
#   $work     a directory that is removed at the end, also on Ctrl-C
#   $prefix   begins the names of all rings; those that are left are removed, too
#   $cpu      the first processor that we may use
#
# Figures are kept as $work/NAME, a number a line: a NAME per variant, a line per
# round.
set -euo pipefail
export LC_ALL=C

: "${me:?}"
shm=
test=
work=
cpu=
prefix=shmkit-$me-$$
# Processes of ours that may still run.
children=()
project=$(cd "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/.." && pwd)

fail() {
    printf '%s: %s\n' "$me" "$*" >&2
    exit 1
}

note() {
    printf '%s: %s\n' "$me" "$*" >&2
}

have() { command -v "$1" >/dev/null; }

clean_up() {
    local status=$? child ring
    trap '' INT TERM
    trap - EXIT
    for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
    # Whoever is still attached to a ring of ours ends when it is gone.
    for ring in /dev/shm/"$prefix"-*; do
        if [ -e "$ring" ]; then "$shm" remove --force "${ring##*/}" >/dev/null 2>&1 || true; fi
    done
    wait 2>/dev/null || true
    rm -f /dev/shm/"$prefix"-sink
    if [ -n "$work" ]; then rm -rf "$work"; fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# options "NAMES" ARGUMENTS...: sets each $NAME from `--NAME VALUE`; `--help` prints
# the comment at the script's top; what follows `--` goes to the array $rest
options() {
    local names=" $1 "
    rest=()
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            -h | --help) sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
            --) shift; rest=("$@"); break ;;
            --*)
                [[ $names == *" ${1#--} "* ]] || fail "$1: no such option (--help)"
                [ $# -ge 2 ] || fail "$1 needs a value"
                printf -v "${1#--}" %s "$2"
                shift 2
                ;;
            *) fail "$1: no such argument (--help)" ;;
        esac
    done
}

# prepare: builds shm unless $shm is one, and makes $work
prepare() {
    if [ -z "$shm" ]; then
        (cd "$project" && cargo build --release --quiet --bin shm)
        shm=${CARGO_TARGET_DIR:-target}/release/shm
        [[ $shm == /* ]] || shm=$project/$shm
    fi
    if [ -d "$shm" ] || ! [ -x "$shm" ]; then fail "$shm: not a program"; fi
    shm=$(realpath -- "$shm")
    cpu=$(awk '/^Cpus_allowed_list/ { split($2, list, /[-,]/); print list[1] }' /proc/self/status)
    work=$(mktemp -d "${TMPDIR:-/tmp}/shmkit-$me.XXXXXX")
}

# build_test NAME: builds tests/NAME in release mode; its program is $test
build_test() {
    note 'building the tests'
    (cd "$project" && cargo test --release --locked --quiet --test "$1" --no-run \
        --message-format json) >"$work/build"
    test=$(sed -n "s/.*\"executable\":\"\([^\"]*\/$1-[^\"]*\)\".*/\1/p" "$work/build")
    [ -x "$test" ] || fail 'cargo did not say where the test is'
}

# machine: on what, for headings
machine() {
    local model
    model=$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)
    printf '%s, %s processors, Linux %s' "${model:-$(uname -m)}" "$(nproc)" "$(uname -r)"
}

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

# decimals VALUE: with two, or - for nothing
decimals() {
    awk -v v="$1" 'BEGIN { if (v == "") print "-"; else printf "%.2f", v }'
}

# ratio A B: of two figures, or - without both
ratio() {
    awk -v a="$1" -v b="$2" 'BEGIN {
        if (a == "" || b == "" || b == 0) print "-"; else printf "%.2f", a / b }'
}

# timed NAME BYTES COMMAND...: runs it and adds its GB/s to $work/NAME
timed() {
    local name=$1 bytes=$2 begun ended
    shift 2
    begun=$(date +%s%N)
    "$@" || fail "$name: ended with $?"
    ended=$(date +%s%N)
    awk -v b="$bytes" -v t="$((ended - begun))" 'BEGIN { print b / t }' >>"$work/$name"
}

# pinned COMMAND...: all of it on one processor
pinned() {
    (
        taskset -cp "$cpu" "$BASHPID" >/dev/null
        "$@"
    )
}
