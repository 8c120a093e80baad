#!/usr/bin/env bash
# A net that never caught anything proves nothing: each patch of scripts/broken breaks the code in one
# way, and the test that it names must notice.
#
#   scripts/broken.sh [PREFIX]       those whose name begins with PREFIX; all of them without
#   scripts/broken.sh --table        what is broken and what catches it, as docs/faults.md has it
#
# A patch scripts/broken/NN-name.patch begins with three lines, and goes on as `git diff` writes it:
#
#   # SENTENCE                       what is broken
#   # test: COMMAND                  run in the root of the broken tree; must fail there
#   # caught by: WORDS               what must be among the failures: a part of what the command prints
#
# 01 to 19 are caught by the walk over all steps; 20 to 39 by loom and the model; 40 to 49 by the walk over
# naming; 50 to 59 by loom on who meets whom and on pairs, save 57 by a unit test and 59 by the walk; 60 to 69
# by the tests of batches and the plays of packets, save 69 by a unit test; 70 to 79 by those of hostile members; 80 to 89 by loom, the
# tests of the rings and the conformance suite on sleeping; 90 to 96 by those of shortages; 97 to 99, of pairs, by a unit
# test, loom and the walk.
#
# Everything happens in a copy of the tree, with a target folder beside it that stays for the next time.
# Exits with 1 if anything was not caught, with 2 if there is nothing of that name.
set -euo pipefail
shopt -s nullglob
cd "$(dirname "$0")/.."

# What a patch says of itself.
said() { sed -n "s/^# $1: //p" "$2" | head -1; }

if [ "${1:-}" = --table ]; then
    printf '| | what is broken | which case catches it |\n| --- | --- | --- |\n'
    for patch in scripts/broken/*.patch; do
        name=$(basename "$patch")
        # The case is what the command asks for, unless it asks for several.
        case=$(said 'caught by' "$patch")
        [[ $case == *::* ]] || case=$(said test "$patch" | sed "s/.* -- //; s/--exact //; s/[\"']//g")
        printf '| %s | %s | %s |\n' "${name%%-*}" "$(sed -n '1s/^# \(.*\)\.$/\1/p' "$patch")" "$case"
    done
    exit
fi

patches=(scripts/broken/"${1:-}"*.patch)
[ ${#patches[@]} -gt 0 ] || { echo "no patch in scripts/broken begins with '$1'" >&2; exit 2; }

# What is broken may show now and then alone, and must not be given a second chance.
export POSTBOX_ONCE=1

root=$PWD
base=${CARGO_TARGET_DIR:-$root/target}/broken
mkdir -p "$base"
base=$(cd "$base" && pwd)
tree=$base/tree
exec 9> "$base/lock"
flock --nonblock 9 || { echo "another scripts/broken.sh is at work in $base" >&2; exit 2; }

# Always in the same place, or cargo would take each copy for other packages. With times of its own: what
# was built of a broken file is never taken for newer than the file that replaces it. A repository of its own,
# since inside of another one `git apply` looks at that one's paths.
log=$(mktemp)
trap 'rm -rf "$tree" "$log"' EXIT
trap 'exit 130' INT TERM
rm -rf "$tree"
mkdir "$tree"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [ ! -e "$file" ] || printf '%s\0' "$file"
done | tar --null --files-from=- --create | tar --extract --touch --directory "$tree"
git init --quiet "$tree"

# Runs the test of a patch on the broken tree; prints what came of it, and is true if it was caught.
is_caught() {
    local command words status=0
    command=$(said test "$1") words=$(said 'caught by' "$1")
    # A case that hangs is ended by its watchdog; this is for what has none.
    (cd "$tree" && CARGO_TARGET_DIR=$base/target timeout 900 bash -c "$command") > "$log" 2>&1 9>&- || status=$?
    if [ "$status" -eq 0 ]; then
        echo 'NOT CAUGHT: the test succeeds'
    elif grep -q 'could not compile' "$log"; then
        echo 'NOT CAUGHT: what is broken does not compile'
    # Not in what went well, nor in the command itself. (No `-q`, which would leave the first grep a broken pipe.)
    elif grep -v -e ' \.\.\. ok$' -e "process didn't exit successfully" "$log" | grep -F -- "$words" > /dev/null; then
        echo 'caught'
        return
    else
        printf 'NOT CAUGHT by "%s", but this failed:\n' "$words"
    fi
    tail -20 "$log"
    return 1
}

missed=0
for patch in "${patches[@]}"; do
    printf '%-55s ' "$(basename "$patch" .patch)"
    if git -C "$tree" apply "$root/$patch" 2> "$log"; then
        is_caught "$patch" || missed=$((missed + 1))
        git -C "$tree" apply --reverse "$root/$patch"
    else
        echo 'NOT CAUGHT: the patch does not fit the code'
        missed=$((missed + 1))
    fi
done
echo "$((${#patches[@]} - missed)) of ${#patches[@]} caught"
[ "$missed" -eq 0 ]
