#!/usr/bin/env bash
# Checks the scripts of the pages: their JSDoc types, strictly, with TypeScript, and their tests, with Node. Installs
# axe-core beside, for the browser tests. The tools come from npm; says what was NOT CHECKED if they cannot be had.
#
#   scripts/check-pages.sh [FOLDER]     FOLDER, which stays, gets the tools: FOLDER/node_modules/axe-core/axe.min.js
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/from-npm.sh

TYPESCRIPT=5.9.3
AXE=4.14.1
# Its test runner finds files by pattern.
NODE_MAJOR_MIN=22

folder=${1:-}
if [ -z "$folder" ]; then
  folder=$(mktemp -d "${TMPDIR:-/tmp}/frontrow-pages.XXXXXX")
  trap 'rm -rf "$folder"' EXIT
fi
if ! from_npm "$folder" "$NODE_MAJOR_MIN" "typescript@$TYPESCRIPT" "axe-core@$AXE"; then
  echo "NOT CHECKED: the scripts of the pages, and the pages by axe-core: npm did not give the tools."
  exit 0
fi
tsc --project crates/web/tsconfig.json
echo "TypeScript $TYPESCRIPT finds no fault in the scripts of the pages."
node --test 'crates/web/assets-tests/*.test.js' 'crates/charts/assets-tests/*.test.js'
