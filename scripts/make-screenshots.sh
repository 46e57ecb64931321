#!/usr/bin/env bash
# Makes the pictures of the main pages in a folder: both languages, on a wide screen and on a telephone.
#
#   scripts/make-screenshots.sh [FOLDER]     default: docs/pictures
set -euo pipefail
cd "$(dirname "$0")/.."
FRONTROW_PICTURES=$(realpath -m "${1:-docs/pictures}")
export FRONTROW_PICTURES
mkdir -p "$FRONTROW_PICTURES"
cargo nextest run --locked -p frontrow --test browser --run-ignored only pictures_of_a_sale
