#!/usr/bin/env bash
# How long the drawing of a hall of 50,000 seats takes in headless Chromium: the first picture, a frame of a pan, seats
# that change. Needs Chromium and Node.js. Figures: docs/benchmarks.md.
#
# usage: scripts/bench-hall.sh [rounds]
set -euo pipefail
cd "$(dirname "$0")/.."

ROUNDS=${1:-5}
SECONDS_MAX=120

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || { echo "Chromium is missing." >&2; exit 1; }
command -v node >/dev/null || { echo "Node.js is missing." >&2; exit 1; }

profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
for round in $(seq "$ROUNDS"); do
  # The server of the page starts the browser, prints what the page reports and ends both.
  timeout "$SECONDS_MAX" node scripts/hall-bench/serve.mjs "$chromium" "$profile/$round"
done
