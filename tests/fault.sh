#!/bin/sh
# Runs every fault test in full and writes what came of it into docs/durability.md. FAULT_ROUNDS says how often (200; with
# less than 100, only some of the calls, bits and bytes are tried), FAULT_EVENTS how many events ten subscribers follow (1000000).
set -eu
cd "$(dirname "$0")/.."
export FAULT_ROUNDS="${FAULT_ROUNDS:-200}" FAULT_EVENTS="${FAULT_EVENTS:-1000000}"
FAULT_REPORT=$(mktemp)
export FAULT_REPORT
trap 'rm -f "$FAULT_REPORT"' EXIT

cargo test --locked --no-fail-fast -p tidewire-log --test model --test disk --test damage --test scrub --test subscribers -- --nocapture
cargo test --locked -p tidewire-tests --test suite -- --nocapture kill::
echo "| kill -9 of the server | $FAULT_ROUNDS rounds of each test in tests/kill | everything acknowledged by broker, HTTP and flows is there |" \
    >>"$FAULT_REPORT"

page=docs/durability.md
{
    sed '/^<!-- results -->$/q' $page
    echo "Run of $(date -u +%Y-%m-%d) with FAULT_ROUNDS=$FAULT_ROUNDS."
    echo
    echo "| Fault | What was done | What came of it |"
    echo "|---|---|---|"
    sort "$FAULT_REPORT"
    sed -n '/^<!-- end of results -->$/,$p' $page
} >"$FAULT_REPORT.page"
mv "$FAULT_REPORT.page" $page
sed -n '/^<!-- results -->$/,/^<!-- end of results -->$/p' $page
