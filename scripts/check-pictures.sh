#!/usr/bin/env bash
# Parses every Mermaid picture of the documents with Mermaid itself, from npm, without a browser. Says NOT CHECKED if it
# cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/from-npm.sh

MERMAID=11.17.2
# The page that Mermaid wants to be on.
JSDOM=26.1.0
NODE_MAJOR_MIN=20

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! from_npm "$work/npm" "$NODE_MAJOR_MIN" "mermaid@$MERMAID" "jsdom@$JSDOM"; then
  echo "NOT CHECKED: Mermaid could not be had from npm"
  exit 0
fi
cat >"$work/npm/parse.mjs" <<'SCRIPT'
import fs from "node:fs";
import { JSDOM } from "jsdom";

globalThis.window = new JSDOM("").window;
globalThis.document = window.document;
const { default: mermaid } = await import("mermaid");
let count = 0;
for (const file of process.argv.slice(2)) {
  for (const { 1: picture, index, input } of fs.readFileSync(file, "utf8").matchAll(/^```mermaid\n(.*?)^```/gms)) {
    count += 1;
    await mermaid.parse(picture).catch((error) => {
      console.error(`${file}, the picture at line ${input.slice(0, index).split("\n").length}: ${error.message}`);
      process.exitCode = 1;
    });
  }
}
console.log(`${count} pictures`);
SCRIPT
git ls-files -z '*.md' | xargs -0 node "$work/npm/parse.mjs"
