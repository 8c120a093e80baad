#!/usr/bin/env bash
# Everything that is checked before a change goes in, and Miri where a nightly toolchain has it.
set -euo pipefail
cd "$(dirname "$0")/.."

.ci/run

if cargo +nightly miri --version >/dev/null 2>&1; then
    echo "== Miri: the rings and the shared buffer"
    # Isolation off: proptest looks at the clock and at the environment.
    export MIRIFLAGS="${MIRIFLAGS:-} -Zmiri-disable-isolation"
    cargo +nightly miri test -p postbox-ring --lib --tests
    cargo +nightly miri test -p postbox --lib buffer::
else
    echo "== Miri: left out (rustup toolchain install nightly --component miri,rust-src)"
fi
echo "== all is well"
