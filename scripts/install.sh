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
#   share/shmkit/installed          what was installed, for --uninstall
#
# Installing again replaces what is there, and removes what an earlier version had
# and this one has not. --uninstall removes exactly what was installed, and the
# directories that were made for it, if nothing else is in them. The variable
# DESTDIR, for those who make packages, is put before DIR. Prints each change.
# Needs coreutils, and to build a Rust toolchain.
set -euo pipefail

repository=$(dirname "$(dirname "$(realpath -- "${BASH_SOURCE[0]}")")")
prefix=$HOME/.local
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
root=${DESTDIR:-}$prefix
# A file, or (with a slash at its end) a directory, a line; all below $root.
list=share/shmkit/installed

# Removes a file or a directory of the list.
discard() {
    case $1 in
    */) rmdir -- "$root/$1" 2>/dev/null || return 0 ;;
    *)
        [ -e "$root/$1" ] || [ -L "$root/$1" ] || return 0
        rm -f -- "$root/$1"
        ;;
    esac
    printf 'removed %s\n' "$root/${1#/}"
}

if [ -n "$uninstall" ]; then
    [ -f "$root/$list" ] || fail "$root: nothing was installed here by this script; is --prefix right?"
    mapfile -t installed <"$root/$list"
    # What lies deeper comes later in the list.
    for ((at = ${#installed[@]} - 1; at >= 0; at--)); do
        discard "${installed[at]}"
    done
    exit
fi

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
if [ -z "$shm" ]; then
    command -v cargo >/dev/null || fail 'cargo: not found; install Rust, or give a binary by --shm PATH'
    (cd "$repository" && cargo build --release --locked)
    shm=${CARGO_TARGET_DIR:-target}/release/shm
    case $shm in /*) ;; *) shm=$repository/$shm ;; esac
fi
[ -x "$shm" ] || fail "$shm: no program"

# All of it first, so that a failure leaves what was there.
stage=$work/stage
mkdir -p "$stage"/{bin,share/man,share/bash-completion/completions,share/zsh/site-functions,share/fish/vendor_completions.d}
cp -- "$shm" "$stage/bin/shm"
"$shm" man --out "$stage/share/man/man1"
"$shm" completions bash >"$stage/share/bash-completion/completions/shm"
"$shm" completions zsh >"$stage/share/zsh/site-functions/_shm"
"$shm" completions fish >"$stage/share/fish/vendor_completions.d/shm.fish"
mapfile -t files < <(cd "$stage" && find . -type f -printf '%P\n' | LC_ALL=C sort)

before=()
[ ! -f "$root/$list" ] || mapfile -t before <"$root/$list"
for path in "${files[@]}"; do
    [ ! -e "$root/$path" ] || [[ " ${before[*]} " == *" $path "* ]] ||
        fail "$root/$path: is there, and not from here; remove it, or choose another --prefix"
done

# The directories that are made: now, and by those before us. / is $root itself.
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
printf '%s\n' "${made[@]}" "$list" "${files[@]}" | sed '/^$/d' >"$work/list"
{
    cat "$work/list"
    [ ${#before[@]} = 0 ] || printf '%s\n' "${before[@]}" | { grep -vxFf "$work/list" || true; }
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
    grep -qxF -- "$path" "$work/list" || discard "$path"
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
