#!/usr/bin/env bash
# Every use of unsafe in the library, by file and line, with the reason that stands above it; and how many in each
# file, as docs/security.md lists them.
set -euo pipefail
cd "$(dirname "$0")/.."

find crates -path '*/src/*.rs' | sort | xargs awk '
    FNR == 1 { reason = "" }
    /^[ \t]*\/\/ SAFETY:/ { reason = $0; sub(/^[ \t]*\/\/ SAFETY: */, "", reason); more = 1; next }
    more && /^[ \t]*\/\/ / { rest = $0; sub(/^[ \t]*\/\/ */, "", rest); reason = reason " " rest; next }
    { more = 0; code = $0; sub(/\/\/.*/, "", code) }
    code ~ /(^|[^A-Za-z0-9_])unsafe +(\{|impl|fn|trait|extern)/ {
        count[FILENAME]++
        if (reason == "") reason = "(its contract stands in its documentation)"
        printf "%s:%d: %s\n", FILENAME, FNR, reason
        reason = ""
    }
    END { print ""; for (file in count) printf "%4d %s\n", count[file], file | "sort -k2" }
'
