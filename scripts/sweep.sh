#!/usr/bin/env bash
# The bandwidth of rings on this machine, as data and as a picture.
#
#   scripts/sweep.sh [--out DIR] [--shm PATH] [-- ARGUMENTS OF shm bench]
#
#   scripts/sweep.sh                                  2 to 50 nodes of 1K and 1M, 1 or 2
#                                                     writers and readers
#   scripts/sweep.sh -- -n 8 -b 4K,64K,1M -w 1,2,4    another grid
#
# Measures once (shm bench; `--sweep` unless there are ARGUMENTS) and leaves in DIR
# (default: sweep-DATE in the current directory):
#
#   sweep.json   all there is to know; the other files are made of it
#   sweep.csv    the same for spreadsheets
#   sweep.md     tables to read
#   sweep.svg    the chart
#
# Then it shows two ways to get at the figures: with jq, and with Python. The exit
# status is that of shm bench: 1 if a row failed, which is marked then, and 130 after
# Ctrl-C, with the rows that are done.

me=sweep
# shellcheck source=scripts/measure.bash
. "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")/measure.bash"

out=
options 'out shm' "$@"
[ ${#rest[@]} -gt 0 ] || rest=(--sweep)
[ -n "$out" ] || out=sweep-$(date +%Y-%m-%d-%H%M%S)
made=
[ -d "$out" ] || made=$out
mkdir -p -- "$out" || fail "$out: cannot make this directory"
prepare

status=0
# Ctrl-C is shm's: it ends the sweep and writes what there is.
trap : INT
"$shm" bench --format json -o "$work/sweep.json" "${rest[@]}" || status=$?
trap 'exit 130' INT
# Rows that failed are in the report, too.
if ! [ -s "$work/sweep.json" ]; then
    note "shm bench: ended with $status and no report"
    if [ -n "$made" ]; then rmdir -- "$made"; fi
    exit "$((status ? status : 1))"
fi
json=$out/sweep.json
mv -- "$work/sweep.json" "$json"
"$shm" bench --from "$json" --format csv -o "$out/sweep.csv"
"$shm" bench --from "$json" --format markdown -o "$out/sweep.md" --chart "$out/sweep.svg"
note "sweep.json, sweep.csv, sweep.md and sweep.svg are in $out"

# example COMMAND...: shows it as one would type it, and what it prints
example() {
    printf '\n$ %s\n' "$2"
    (cd "$out" && bash -c "$2") || fail "this example of $1 failed"
}

if have jq; then
    # shellcheck disable=SC2016 # expanded by jq
    example jq "jq -r '.runs[] | select(.failed == null)
        | [.nodes, .node_size, .writers, .readers, (.mb_per_s | round), .fraction_of_pipeline]
        | @tsv' sweep.json | sort -t \$'\\t' -k5,5nr | head -n 3"
else
    note 'jq is not installed: no example'
fi
if have python3; then
    example Python "python3 - <<'END'
import json
for run in json.load(open('sweep.json'))['runs']:
    if run['writers'] == run['readers'] == 1 and run['fraction_of_pipeline']:
        print('%(nodes)3d x %(node_size)7d  %(mb_per_s)8.0f MB/s  %(fraction_of_pipeline).2f' % run)
END"
else
    note 'python3 is not installed: no example'
fi
exit "$status"
