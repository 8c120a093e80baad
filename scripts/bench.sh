#!/usr/bin/env bash
# What it costs: ratios to bare system calls, then the mechanisms side by side. Run it on a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/.."

uname -srm
cargo bench -p postbox --bench ratios
echo
# The file many times over, so that starting the processes does not count.
cargo run --release --quiet -- compare Cargo.lock --repeat "${REPEAT:-100}"
