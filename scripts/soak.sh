#!/usr/bin/env bash
# Runs `postbox chaos` over all mechanisms and namings in turns for SECONDS of traffic (default
# 3600), and samples what it holds on to: memory, descriptors and shared memory must not grow.
#
#   scripts/soak.sh [SECONDS [LOG]]        SEED=7 scripts/soak.sh 600 soak.log
#
# LOG (default soak.log) gets a line every 10 s. Ends with 0 if the contract was kept and everything
# stayed flat, with 1 otherwise. On a machine that is busy with other things: nice scripts/soak.sh
set -euo pipefail

seconds=${1:-3600}
log=${2:-soak.log}
every=${EVERY:-10}
if ! [[ $seconds =~ ^[0-9]+$ ]] || ((seconds < 20)); then
    echo "usage: scripts/soak.sh [SECONDS [LOG]], at least 20 seconds" >&2
    exit 2
fi
cd "$(dirname "$0")/.."
if [[ -z ${POSTBOX:-} ]]; then
    cargo build --quiet --release -p postbox-cli
    POSTBOX=${CARGO_TARGET_DIR:-target}/release/postbox
fi

# Each quarter of the time has whole passes over everything, so that quarters can be compared.
passes=$((seconds >= 1600 ? 8 : 4))
# Four mechanisms share a pass.
each=$(awk "BEGIN { print $seconds / $passes / 4 }")
# Freed memory goes back to the system at once: what is sampled is what is held.
export MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=1048576
result=$(mktemp)
"$POSTBOX" chaos --passes "$passes" --seconds "$each" ${SEED:+--seed "$SEED"} >"$result" &
chaos=$!
trap 'kill -TERM $chaos 2>/dev/null || true; wait $chaos 2>/dev/null || true; rm -f "$result"' EXIT

# The ledger and its victims.
family() {
    echo "$chaos"
    cat /proc/"$chaos"/task/*/children 2>/dev/null || true
}

# Resident: anonymous memory of the ledger, and of all together; KiB.
anonymous() {
    # Some may be gone by now.
    { cat "${@/#//proc/}" 2>/dev/null || true; } | awk '/^RssAnon:/ { sum += $2 } END { print sum + 0 }'
}

sample() {
    local pids statuses=() fds=()
    read -r -d '' -a pids < <(family) || true
    for pid in "${pids[@]}"; do
        statuses+=("$pid/status")
        fds+=("/proc/$pid/fd")
    done
    local ledger all descriptors shared
    ledger=$(anonymous "$chaos/status")
    all=$(anonymous "${statuses[@]}")
    descriptors=$(find "/proc/$chaos/fd" -mindepth 1 2>/dev/null | wc -l)
    # Memory of channels, each once: bytes that are backed, and that there could be at most.
    shared=$(find "${fds[@]}" -lname '*memfd:postbox*' -exec stat -L -c '%i %b %s' {} + 2>/dev/null |
        sort -u | awk '{ used += $2 / 2; size += $3 / 1024; n++ } END { print used + 0, size + 0, n + 0 }')
    echo "$(($(date +%s) - begin)) $ledger $all $descriptors $shared"
}

begin=$(date +%s)
echo "# seconds  ledger_KiB  all_KiB  descriptors  channels_used_KiB  channels_size_KiB  channels" >"$log"
while kill -0 "$chaos" 2>/dev/null; do
    sample >>"$log" || true
    sleep "$every"
done
code=0
wait "$chaos" || code=$?
cat "$result"

# For each column: the means of the first and last quarter, and the slope of the line through all
# samples, as what it adds in an hour. Flat is what ends no more than a tenth (and a little for small
# numbers) above where it began. Of the ledger alone the medians: one that other programs keep from the processor
# has much to read for a moment, and it is one process from the beginning to the end.
awk -v code="$code" '
    # Of v[column, from..to].
    function median(column, from, to,    sorted, count, i, j) {
        count = 0
        for (i = from; i <= to; i++) {
            for (j = ++count; j > 1 && sorted[j - 1] > v[column, i]; j--) sorted[j] = sorted[j - 1]
            sorted[j] = v[column, i]
        }
        return (sorted[int((count + 1) / 2)] + sorted[int(count / 2) + 1]) / 2
    }
    /^#/ { next }
    { n++; t[n] = $1; for (c = 2; c <= 5; c++) v[c, n] = $c }
    END {
        split("- ledger_KiB all_KiB descriptors channels_used_KiB", name, " ")
        slack[2] = 2048; slack[3] = 8192; slack[4] = 8; slack[5] = 65536
        bad = n < 8
        if (bad) print "too few samples to tell"
        for (c = 2; c <= 5 && !bad; c++) {
            q = int(n / 4); first = last = sx = sy = sxx = sxy = 0
            for (i = 1; i <= n; i++) {
                if (i <= q) first += v[c, i] / q
                if (i > n - q) last += v[c, i] / q
                sx += t[i]; sy += v[c, i]; sxx += t[i] * t[i]; sxy += t[i] * v[c, i]
            }
            if (c == 2) { first = median(c, 1, q); last = median(c, n - q + 1, n) }
            slope = (n * sxy - sx * sy) / (n * sxx - sx * sx)
            flat = last <= first * 1.1 + slack[c]
            grown += !flat
            printf "%-18s first quarter %10.0f  last quarter %10.0f  %+10.0f an hour  %s\n", \
                name[c], first, last, slope * 3600, flat ? "flat" : "GROWN"
        }
        printf "%d samples; chaos ended with %d\n", n, code
        exit(bad || grown || code != 0)
    }' "$log"
