#!/usr/bin/env bash
# System calls per message, of Postbox and of bare loops, as a table in Markdown.
#
#   scripts/calls.sh [MESSAGES]      POSTBOX=FILE: that program, and nothing is built
#
# Each exchange runs with so many messages and with twice as many: the difference is what messages take, and
# not what starting takes. The kernel counts (perf stat and its trace points), which holds nobody up; where it
# may not, strace does, which makes both sides slow and therefore wait more often. Counts are no times: they
# hold on a busy machine, too, where somebody waits now and then for a partner that does not run.
set -euo pipefail
cd "$(dirname "$0")/.."

messages=${1:-100000}
postbox=${POSTBOX:-${CARGO_TARGET_DIR:-target}/release/postbox}
[ -n "${POSTBOX:-}" ] || cargo build --release --quiet

sends="write writev pwritev2 sendto sendmsg sendmmsg mq_timedsend"
takes="read readv preadv2 recvfrom recvmsg recvmmsg mq_timedreceive"
waits="poll ppoll epoll_wait epoll_pwait epoll_pwait2 futex"

events=raw_syscalls:sys_enter
for call in $sends $takes $waits; do
    events+=,syscalls:sys_enter_$call
done

counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

# Lines of a call and its number, of all processes of that exchange; `all` is their sum.
if perf stat -x, -o "$counts" -e "$events" true 2>/dev/null; then
    counter="perf stat"
    count() {
        perf stat -x, -o "$counts" -e "$events" -- "$postbox" exchange "$@"
        awk -F, '/sys_enter/ { sub(/.*sys_enter_?/, "", $3); print ($3 == "" ? "all" : $3), $1 }' "$counts"
    }
elif command -v strace >/dev/null; then
    counter="strace"
    count() {
        strace -f -c -o "$counts" "$postbox" exchange "$@"
        awk '$1 ~ /^[0-9.]+$/ && $NF != "total" { print $NF, $4; all += $4 } END { print "all", all }' "$counts"
    }
else
    echo "neither perf with its trace points nor strace is there: nobody can count" >&2
    exit 1
fi

# One row: what it is, the messages of one unit, and the exchange.
row() {
    local what=$1 each=$2
    shift 2
    { count "$1" "$2" "$3" "$messages" "${@:4}" | sed 's/^/once /'
      count "$1" "$2" "$3" "$((2 * messages))" "${@:4}" | sed 's/^/twice /'; } |
        awk -v what="$what" -v messages="$((each * messages))" \
            -v sends=" $sends " -v takes=" $takes " -v waits=" $waits " '
            { number = ($1 == "twice" ? 1 : -1) * $3 / messages }
            $2 == "all" { all += number; next }
            index(sends, " " $2 " ") { sent += number }
            index(takes, " " $2 " ") { taken += number }
            index(waits, " " $2 " ") { waited += number }
            # What the start takes differs a little from run to run. Nothing at all is no count.
            function shown(number) { return sprintf("%.3f", number < 0.0005 ? 0 : number) }
            END { if (!all) exit 1
                  print "| " what " | " shown(sent) " | " shown(taken) " | " shown(waited) " | " \
                  shown(all - sent - taken - waited) " | " shown(all) " |" }'
}

echo "Counted by $counter, $messages messages of 64 bytes, $(uname -sr), $(date -u '+%Y-%m-%d')."
echo
echo "| mechanism | exchange | by | sends | takes | waits | others | all |"
echo "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
for mechanism in pipe socket mqueue shm; do
    stream="$mechanism | stream"
    row "$stream | Postbox, \`Adaptive\`" 1 "$mechanism" ours stream
    row "$stream | Postbox, \`Block\`" 1 "$mechanism" ours stream --wait block
    [ "$mechanism" = shm ] || row "$stream | bare loop" 1 "$mechanism" bare stream
    row "$mechanism | batches of 64 | Postbox, \`Adaptive\`" 1 "$mechanism" ours batch
    for cores in different same; do
        trips="$mechanism | ping-pong, $cores core$([ $cores = same ] || echo s)"
        row "$trips | Postbox, \`Adaptive\`" 2 "$mechanism" ours ping-pong --cores $cores
        row "$trips | Postbox, \`Block\`" 2 "$mechanism" ours ping-pong --cores $cores --wait block
        [ "$mechanism" = shm ] && continue
        row "$trips | bare loop, polled" 2 "$mechanism" polled ping-pong --cores $cores
        row "$trips | bare loop" 2 "$mechanism" bare ping-pong --cores $cores
    done
done
