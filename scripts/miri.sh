#!/usr/bin/env bash
# Miri over postbox-ring: undefined behaviour, data races and stale loads in the rings, the logs and the words of
# a channel, on heap memory that stands in for a mapping. Some minutes.
#
#   scripts/miri.sh [FILTER …]      needs: rustup toolchain install nightly --component miri
#   MIRI_SEEDS=0..8                 that many schedules of each test instead of one
set -euo pipefail
cd "$(dirname "$0")/.."

export MIRIFLAGS="${MIRIFLAGS:-}${MIRI_SEEDS:+ -Zmiri-many-seeds=$MIRI_SEEDS}"
# Folders of its own: Miri builds everything anew.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri"
cargo +nightly miri test -p postbox-ring --lib --test stress -- "$@"
