#!/usr/bin/env bash
# The whole walk: a death and a standstill at the first, the second and the last time at every step, in
# every play, on every mechanism. Says at the end how many there were.
#
#   scripts/walk.sh [PLAY]      those plays whose name contains PLAY
set -euo pipefail
cd "$(dirname "$0")/.."

tally=$(mktemp)
trap 'rm -f "$tally"' EXIT
# Six times as much as a case has by default, and so much time it may take.
export POSTBOX_WALK=all POSTBOX_WALK_TALLY=$tally POSTBOX_PATIENCE=${POSTBOX_PATIENCE:-900}
cargo test --package postbox-tests --test steps -- "$@"
awk -F'[: ]+' '{ for (i = 1; i < NF; i++) if ($(i + 1) == "fates") fates += $i; plays++ }
    END { printf "%d fates in %d plays\n", fates, plays }' "$tally"
