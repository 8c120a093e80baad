#!/usr/bin/env bash
# Everything that docs/benchmarks.md tells, measured again. Run it on a quiet machine; it takes some half an
# hour, and builds the programs of other libraries first, as far as they can be built here.
#
#   scripts/bench.sh [FOLDER] [OPTION...]     the folder is made; options go to `postbox bench`: --quick
#
# What is there afterwards:
#   targets.json, targets.md, targets.html    what is to be reached, beside what it is measured against
#   bench.json, bench.html                    every mechanism over payloads, with plots
#   calls.md                                  system calls per message
#   ratios.txt                                cargo bench -p postbox: kernel, latency, stream
#   compare.txt                               a real file over every mechanism
#   machine.txt                               on what, when, and how far apart the cores were
#   peers.log                                 which other libraries could not be built, and why
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-target/bench}
[ "$#" -gt 0 ] && shift
mkdir -p "$folder"
cargo build --release --quiet
postbox=${CARGO_TARGET_DIR:-target}/release/postbox

step() {
    echo "== [$SECONDS s] $*"
}

{
    uname -srm
    grep -m 1 '^model name' /proc/cpuinfo || true
    echo "cores: $(nproc)"
    date -u '+%Y-%m-%d %H:%M UTC'
    git log -1 --format='commit %h' 2>/dev/null || true
    # How far apart the cores are now: one way of a cache line.
    "$postbox" bench --quick --rounds 3 --mechanism shm --payload 64 --metric latency
} >"$folder/machine.txt"
cat "$folder/machine.txt"

step "other libraries"
scripts/peers.sh >"$folder/peers.log" 2>&1 || echo "some are missing: see $folder/peers.log"
programs=${CARGO_TARGET_DIR:-target}/peers/release
peers=()
compgen -G "$programs/postbox-peer-*" >/dev/null && peers=(--peers "$programs")

step "targets"
"$postbox" bench --targets "${peers[@]}" --json --markdown "$folder/targets.md" --html "$folder/targets.html" "$@" \
    >"$folder/targets.json"
cat "$folder/targets.md"

step "every mechanism over payloads"
"$postbox" bench "${peers[@]}" --json --html "$folder/bench.html" "$@" >"$folder/bench.json"

step "system calls per message"
scripts/calls.sh | tee "$folder/calls.md"

step "ratios"
cargo bench --quiet -p postbox --bench ratios | tee "$folder/ratios.txt"

step "a file over every mechanism"
# The file many times over, so that starting the processes does not count.
"$postbox" compare Cargo.lock --repeat "${REPEAT:-100}" | tee "$folder/compare.txt"

step "all of it is in $folder"
