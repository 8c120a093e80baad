#!/usr/bin/env bash
# Builds the programs that measure other libraries beside Postbox (bin/peers/README.md), all or those that are named,
# each by itself: what cannot be built here is told, and does not keep the others from it.
#
#   scripts/peers.sh                      all of them
#   scripts/peers.sh iceoryx2 zeromq      these
set -euo pipefail
cd "$(dirname "$0")/.."

# libzmq is built from its source, which comes with its crate. The other peers are Rust alone.
if ! command -v c++ >/dev/null; then
    echo "zeromq takes a C++ compiler: apt-get install g++" >&2
fi

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/peers"
peers=("$@")
[ "${#peers[@]}" -gt 0 ] || peers=(iceoryx2 shmem-ipc ipc-channel zeromq crossbeam-channel rtrb)
lacking=()
for peer in "${peers[@]}"; do
    echo "== $peer"
    cargo build --release --locked --manifest-path bin/peers/Cargo.toml --features "$peer" --bin "postbox-peer-$peer" ||
        lacking+=("$peer")
done

echo
echo "Now, on a quiet machine:"
echo "  cargo run --release -- bench --mechanism shm --peers $CARGO_TARGET_DIR/release"
if [ "${#lacking[@]}" -gt 0 ]; then
    echo "not built: ${lacking[*]}" >&2
    exit 1
fi
