#!/usr/bin/env bash
# A net that never caught anything proves nothing: each patch of scripts/broken breaks the code in one
# way, and the test that it names must notice.
#
#   scripts/broken.sh [PATTERN]      those whose name contains PATTERN; all of them without
#
# A patch scripts/broken/NN-name.patch begins with two lines, and goes on as `git diff` writes it:
#
#   # test: COMMAND                  run in the root of the broken tree; must fail there
#   # caught by: CASE                what must be among the failures: a part of what the command prints
#
# 01 to 19 are caught by the walk over all steps, 20 to 39 by loom and the model, 40 to 59 by the walk
# over naming. Everything happens in a worktree of its own, with a target folder of its own, which stays
# for the next time. Exits with 1 if anything was not caught.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}/broken
tree=$(mktemp -d)/tree
git worktree add --quiet --detach "$tree" HEAD
trap 'git worktree remove --force "$tree"; rmdir "$(dirname "$tree")"' EXIT
# What is not committed yet is part of what is looked at.
git diff --binary HEAD | git -C "$tree" apply --allow-empty

# Each run is bounded, and seen in full where it surprises.
log=$(mktemp)
missed=0
count=0
for patch in scripts/broken/*"${1:-}"*.patch; do
    command=$(sed -n 's/^# test: //p' "$patch" | head -1)
    case=$(sed -n 's/^# caught by: //p' "$patch" | head -1)
    name=$(basename "$patch" .patch)
    count=$((count + 1))
    if ! git -C "$tree" apply "$root/$patch" 2> "$log"; then
        printf '%-50s NOT CAUGHT: the patch does not fit the code\n' "$name"
        missed=$((missed + 1))
        continue
    fi
    if (cd "$tree" && CARGO_TARGET_DIR=$target timeout 900 bash -c "$command") > "$log" 2>&1; then
        printf '%-50s NOT CAUGHT: the command succeeds\n' "$name"
        missed=$((missed + 1))
    elif ! grep -qF -- "$case" "$log"; then
        printf '%-50s NOT CAUGHT by "%s", but this failed:\n' "$name" "$case"
        tail -20 "$log"
        missed=$((missed + 1))
    else
        printf '%-50s caught\n' "$name"
    fi
    git -C "$tree" apply --reverse "$root/$patch"
done
rm -f "$log"
echo "$((count - missed)) of $count caught"
[ "$missed" -eq 0 ]
