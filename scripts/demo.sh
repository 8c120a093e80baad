#!/usr/bin/env bash
# The programs at work: a file between processes over every mechanism; a mailbox and its consumers;
# two processes that name each other.
#
#   scripts/demo.sh [FILE]        the file defaults to Cargo.lock
set -euo pipefail
cd "$(dirname "$0")/.."

file=${1:-Cargo.lock}
cargo build --release --quiet
export PATH="${CARGO_TARGET_DIR:-$PWD/target}/release:$PATH"
POSTBOX_DIR=$(mktemp -d)
export POSTBOX_DIR
trap 'rm -rf "$POSTBOX_DIR"' EXIT

show() {
    printf '\n$ postbox compare %s\n' "$*"
    postbox compare "$@"
}

echo "Every line of $file, one producer and one consumer:"
show "$file"

echo
echo "Two producers, three consumers; rendezvous, a queue of 100, and no bound:"
show "$file" --producers 2 --consumers 3 --capacity 0 --capacity 100 --capacity unbounded

echo
echo "Synchronous sends: the receipts say who took how many:"
show "$file" --consumers 3 --deliver

echo
echo "From standard input, in pieces of 64 KiB, as JSON:"
printf '\n$ postbox compare - --records bytes:65536 --mechanism shm --json < %s\n' "$file"
postbox compare - --records bytes:65536 --mechanism shm --json < "$file"

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

echo
echo "A mailbox that belongs to nobody in particular, and three consumers at it:"
run postbox mailbox create jobs --receivers members
for name in anna ben carla; do
    consumer --mailbox jobs --as "$name" --until-drained >/dev/null &
done
run producer --mailbox jobs --as dora "$file"
wait
run postbox mailbox list
run postbox mailbox destroy jobs

echo
echo "Two processes that name each other:"
postbox receive --as bob --from alice &
run postbox send --to bob --as alice --timeout 10 "the link between us made itself"
wait
run postbox doctor
