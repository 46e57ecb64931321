#!/usr/bin/env bash
# Everything that must hold before a change is taken: format, lints, documentation, dependencies, tests.
# Needs Rust and a C compiler; installs cargo-nextest and cargo-deny with cargo where they are missing.
# The tests come last, so that the output ends with their summary.
set -euo pipefail
cd "$(dirname "$0")/.."

NEXTEST_VERSION=0.9.143
DENY_VERSION=0.20.2
# The advisory database comes from GitHub: where that is out of reach, the rest is still checked.
ADVISORY_FETCH_SECONDS=120

step() { printf '\n== %s\n' "$*"; }

have() { cargo "$1" --version >/dev/null 2>&1; }

step "tools"
have nextest || cargo install --locked "cargo-nextest@$NEXTEST_VERSION"
have deny || cargo install --locked "cargo-deny@$DENY_VERSION"
cargo --version
cargo nextest --version | head -n 1
cargo deny --version

step "format"
cargo fmt --all --check

step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

step "examples in the documentation"
cargo test --workspace --doc --locked

step "dependencies: bans, licences, sources"
cargo deny --locked check bans licenses sources

step "dependencies: advisories"
if timeout "$ADVISORY_FETCH_SECONDS" cargo deny --locked fetch db; then
  cargo deny --locked check --disable-fetch advisories
else
  echo "NOT CHECKED: the advisory database could not be fetched."
fi

step "tests"
cargo nextest run --workspace --locked
