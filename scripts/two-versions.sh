#!/usr/bin/env bash
# Builds the program of an earlier commit, and replaces its instances with this version's during a sale.
#
#   scripts/two-versions.sh            the last commit before the newest step of the PostgreSQL schema
#   scripts/two-versions.sh COMMIT     another one
set -euo pipefail
cd "$(dirname "$0")/.."

is_on_postgres() { git ls-tree -r --name-only "$1" | grep -q '/postgres\.rs$'; }

if [ $# -gt 0 ]; then
  commit=$(git rev-parse --verify "$1^{commit}")
else
  newest=$(git log -1 --format=%H --diff-filter=A -- crates/storage/migrations/postgres migrations/postgres)
  commit=$(git rev-parse --verify --quiet "$newest^" || true)
fi
if [ -z "$commit" ] || ! is_on_postgres "$commit"; then
  echo "There is no version before this one that runs over PostgreSQL."
  exit 0
fi

source=$(mktemp -d)
trap 'git worktree remove --force "$source/before" 2>/dev/null || true; rm -rf "$source"' EXIT
git worktree add --quiet --detach "$source/before" "$commit"
target=$PWD/target/before
echo "Before: $(git log -1 --format='%h %s' "$commit")"
(cd "$source/before" && CARGO_TARGET_DIR="$target" cargo build --locked --package frontrow --bin frontrow)

FRONTROW_TEST_BEFORE="$target/debug/frontrow" \
  cargo nextest run --locked --test multi_process -E 'test(versions::)'
