#!/usr/bin/env bash
# Installs `shm`, its manual pages and its completions; or removes them again.
#
#   scripts/install.sh [--prefix DIR] [--shm PATH]
#   scripts/install.sh --uninstall [--prefix DIR]
#
# Builds the release, unless --shm says which binary to install, and puts under
# DIR (by default ~/.local, or /usr/local for root):
#
#   bin/shm
#   share/man/man1/shm*.1
#   share/bash-completion/completions/shm
#   share/zsh/site-functions/_shm
#   share/fish/vendor_completions.d/shm.fish
#   share/shmkit/installed          what was installed, and its checksums
#
# Installing again replaces what is there, and removes what an earlier version had
# and this one has not. --uninstall removes exactly what was installed, and the
# directories that were made for it, if nothing else is in them. A file that somebody
# has changed or replaced since is not overwritten, and not removed. The variable
# DESTDIR, for those who make packages, is put before DIR. Prints each change.
# Needs coreutils, and to build a Rust toolchain.
set -euo pipefail
# What is installed is for everybody to read.
umask 022

repository=$(dirname "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")")
prefix=${HOME:+$HOME/.local}
[ "$(id -u)" != 0 ] || prefix=/usr/local
shm=
uninstall=
work=

fail() {
    printf 'install: %s\n' "$1" >&2
    exit "${2:-1}"
}

usage() {
    sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "${BASH_SOURCE[0]}"
}

while [ $# -gt 0 ]; do
    case $1 in
    --prefix | --shm)
        [ $# -ge 2 ] || fail "$1: needs a value; see --help" 2
        [ "$1" != --prefix ] || prefix=$2
        [ "$1" != --shm ] || shm=$2
        shift
        ;;
    --prefix=*) prefix=${1#*=} ;;
    --shm=*) shm=${1#*=} ;;
    --uninstall) uninstall=yes ;;
    -h | --help)
        usage
        exit
        ;;
    *) fail "$1: no such option; see --help" 2 ;;
    esac
    shift
done
case $prefix in
/*) ;;
?*) prefix=$PWD/$prefix ;;
*) fail '--prefix: needs a directory' 2 ;;
esac
while [[ $prefix == ?*/ ]]; do prefix=${prefix%/}; done
case ${shm:-/} in /*) ;; *) shm=$PWD/$shm ;; esac
root=${DESTDIR:-}$prefix
# A line each: a file's checksum and its path below $root, as sha256sum(1) has them; or
# `-  ` and a directory with a slash at its end (`/` is $root, `../` what it is in), or
# this list. What lies deeper comes later.
list=share/shmkit/installed

# Where an entry of the list is.
place() {
    local above=$root entry=$1
    while [[ $entry == ../* ]]; do
        above=$(dirname -- "$above")
        entry=${entry#../}
    done
    printf '%s\n' "${above%/}/${entry#/}"
}

# Whether a file is what the list FILE says was installed.
is_ours() {
    local path=$1 sum
    [ -f "$root/$path" ] && [ ! -L "$root/$path" ] || return 1
    sum=$(sha256sum <"$root/$path") && grep -qxF -- "${sum%% *}  $path" "$2"
}

# Removes a file or a directory of the list FILE.
discard() {
    local place
    place=$(place "$1")
    case $1 in
    */) rmdir -- "$place" 2>/dev/null || return 0 ;;
    *)
        [ -e "$place" ] || [ -L "$place" ] || return 0
        [ "$1" = "$list" ] || is_ours "$1" "$2" || {
            printf 'kept %s: changed since it was installed\n' "$place"
            return 0
        }
        rm -f -- "$place"
        ;;
    esac
    printf 'removed %s\n' "$place"
}

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
: >"$work/before"
[ ! -f "$root/$list" ] || cp -- "$root/$list" "$work/before"
mapfile -t before < <(sed 's/^[^ ]*  //' "$work/before")

if [ -n "$uninstall" ]; then
    [ -f "$root/$list" ] || fail "$root: nothing was installed here by this script; is --prefix right?"
    for ((at = ${#before[@]} - 1; at >= 0; at--)); do
        discard "${before[at]}" "$work/before"
    done
    exit
fi

if [ -z "$shm" ]; then
    command -v cargo >/dev/null || fail 'cargo: not found; install Rust, or give a binary by --shm PATH'
    # Where it lies depends on the user's settings: target directory, platform.
    built=$(cd "$repository" && cargo build --release --locked --message-format json-render-diagnostics)
    shm=$(sed -n 's/.*"name":"shm".*"executable":"\([^"]*\)".*/\1/p' <<<"$built" | tail -n 1)
fi
{ [ -f "$shm" ] && [ -x "$shm" ]; } || fail "$shm: no program"

# All of it first, so that a failure leaves what was there.
stage=$work/stage
mkdir -p "$stage"/{bin,share/man,share/bash-completion/completions,share/zsh/site-functions,share/fish/vendor_completions.d}
cp -- "$shm" "$stage/bin/shm"
"$shm" man --out "$stage/share/man/man1"
"$shm" completions bash >"$stage/share/bash-completion/completions/shm"
"$shm" completions zsh >"$stage/share/zsh/site-functions/_shm"
"$shm" completions fish >"$stage/share/fish/vendor_completions.d/shm.fish"
mapfile -t files < <(cd "$stage" && find . -type f -printf '%P\n' | LC_ALL=C sort)

for path in "${files[@]}"; do
    { [ ! -e "$root/$path" ] && [ ! -L "$root/$path" ]; } || is_ours "$path" "$work/before" ||
        fail "$root/$path: is there, and not from here; remove it, or choose another --prefix"
done

# The directories that are made: now, and by those before us.
made=()
for path in "${before[@]}"; do
    case $path in */) made+=("$path") ;; esac
done
make() {
    [ -d "$root/$1" ] || {
        mkdir -p -- "$root/$1" 2>/dev/null || fail "$root/$1: cannot make this directory"
        [[ " ${made[*]} " == *" $1 "* ]] || made+=("$1")
    }
}
above=../
until [ -d "$(place "$above")" ]; do
    made=("$above" "${made[@]}")
    above+=../
done
make /
[ -w "$root" ] || fail "$root: not yours to write to; use sudo, or another --prefix"
for path in "${files[@]}" "$list"; do
    parent=
    while [[ $path == */* ]]; do
        parent+=${path%%/*}/
        path=${path#*/}
        make "$parent"
    done
done
# The list before what it lists: whatever happens, --uninstall finds all of it.
{
    [ ${#made[@]} = 0 ] || printf -- '-  %s\n' "${made[@]}"
    printf -- '-  %s\n' "$list"
    (cd "$stage" && sha256sum -- "${files[@]}")
} >"$work/list"
{
    cat "$work/list"
    grep -vxFf "$work/list" "$work/before" || true
} >"$work/both"
install -m 644 -- "$work/both" "$root/$list"
for path in "${files[@]}"; do
    mode=644
    [ "$path" != bin/shm ] || mode=755
    if cmp -s -- "$stage/$path" "$root/$path"; then
        printf 'unchanged %s\n' "$root/$path"
    else
        install -m "$mode" -- "$stage/$path" "$root/$path"
        printf 'installed %s\n' "$root/$path"
    fi
done
for path in "${before[@]}"; do
    [[ $path == */ || $path == "$list" || -e $stage/$path ]] || discard "$path" "$work/before"
done
install -m 644 -- "$work/list" "$root/$list"

[ -z "${DESTDIR:-}" ] || exit 0
case :$PATH: in
*":$prefix/bin:"*) ;;
*) printf 'note: %s is not in your PATH\n' "$prefix/bin" ;;
esac
if [ "$prefix" != /usr/local ] && [ "$prefix" != /usr ]; then
    printf 'note: zsh completes with it if ~/.zshrc has, before compinit: fpath+=(%s)\n' \
        "$prefix/share/zsh/site-functions"
fi
