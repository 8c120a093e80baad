#!/usr/bin/env bash
# The tests of hostile members, the rings and the library, under AddressSanitizer. Needs a nightly toolchain; with
# its component rust-src the standard library is checked too. With a target folder of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

host="$(rustc +nightly -vV | sed -n 's/^host: //p')"
export RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=address"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/asan"
# Forked children end by _exit: what they leave is no leak. A test's process is judged by others.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0:abort_on_error=1:allocator_may_return_null=0}"

build=()
sources="$(rustc +nightly --print sysroot)/lib/rustlib/src/rust/library"
if [ -d "$sources" ] && cargo +nightly fetch --manifest-path "$sources/Cargo.toml" --offline >/dev/null 2>&1; then
    build=(-Zbuild-std)
fi
echo "== AddressSanitizer on $host ${build[*]:-(the standard library as it comes)}"
run() {
    cargo +nightly test --target "$host" "${build[@]}" "$@"
}
run -p postbox-ring --lib
run -p postbox-sys --lib
run -p postbox --lib
run -p postbox-tests --test scribbler
echo "== AddressSanitizer found nothing"
