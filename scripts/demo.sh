#!/usr/bin/env bash
# The program at work: a file between processes, over every mechanism, in several ways.
#
#   scripts/demo.sh [FILE]        the file defaults to Cargo.lock
set -euo pipefail
cd "$(dirname "$0")/.."

file=${1:-Cargo.lock}
cargo build --release --quiet

show() {
    printf '\n$ postbox compare %s\n' "$*"
    cargo run --release --quiet -- compare "$@"
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
cargo run --release --quiet -- compare - --records bytes:65536 --mechanism shm --json < "$file"
