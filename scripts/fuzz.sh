#!/usr/bin/env bash
# Fuzzes every target of tests/fuzz for so many seconds each (60), or those that are named after.
# Needs a nightly toolchain and cargo-fuzz. What it finds beyond the first inputs stays in the target folder.
#
#   scripts/fuzz.sh 120 envelope registrar
set -euo pipefail
cd "$(dirname "$0")/.."

seconds="${1:-60}"
shift || true
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"
cargo="cargo +nightly fuzz"
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets < <($cargo list --fuzz-dir tests/fuzz)
for target in "${targets[@]}"; do
    echo "== $target"
    found="$CARGO_TARGET_DIR/found/$target"
    mkdir -p "$found"
    status=0
    $cargo run --fuzz-dir tests/fuzz "$target" "$found" "tests/fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -print_final_stats=1 >"$found.log" 2>&1 || status=$?
    grep -E "stat::(number_of_executed_units|peak_rss_mb)|SUMMARY|panicked|Test unit" "$found.log" || true
    [ "$status" = 0 ] || { tail -40 "$found.log"; exit "$status"; }
done
