#!/usr/bin/env bash
# Checks the API's description and the API against it. The description: swagger-parser, Redocly and Spectral, from npm.
# The API: schemathesis, from PyPI, which sends what the description allows and what it does not, and compares every
# answer with it, but for streams of events, which do not end. The server is a demo of this script's own on a free port of the loopback address, with its data in a
# temporary folder, and is stopped by process id. Says what was NOT CHECKED for want of a tool.
#
#   scripts/check-api.sh [PROGRAM]     default: target/debug/frontrow, built anew
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/from-npm.sh

SWAGGER_PARSER=13.1.0
REDOCLY=2.77.0
SPECTRAL=6.16.3
LINTERS_NODE_MAJOR_MIN=22
# With everything that it needs, since what is sent depends on that, too.
REQUIREMENTS=scripts/schemathesis/requirements.txt
SCHEMATHESIS=$(sed -n 's/^schemathesis==//p' "$REQUIREMENTS")
# Of a tenth of a second.
START_TRIES=900
INSTALL_SECONDS=300
LINT_SECONDS=120
# For each of the two callers, a buyer and an operator.
RUN_SECONDS=1200
# Seeds choose what is sent. The same seed sends the same.
BUYER_SEED=1 OPERATOR_SEED=12
EXAMPLES=${FRONTROW_API_EXAMPLES:-15}

step() { printf '\n== %s\n' "$*"; }
missing() { echo "NOT CHECKED: $*"; }
have() { command -v "$1" >/dev/null 2>&1; }

PROGRAM=${1:-}
if [ -z "$PROGRAM" ]; then
  cargo build --quiet --locked --bin frontrow
  PROGRAM=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/frontrow
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/frontrow-api.XXXXXX")
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# Limits on how often one caller may ask, and on how much it may top up, are settings and not of the description.
RAISED=(
  --login-per-minute-per-account 100000 --login-per-minute-per-address 100000
  --requests-per-second-per-user 100000 --request-burst-per-user 100000
  --changes-per-hour-per-user 1000000 --holds-per-hour-per-user 1000000
  --reads-per-second-per-user 100000 --reads-per-second-per-address 100000 --polls-per-second-per-token 100000
  --joins-per-address 0 --joins-per-network 0
  --holds-per-turn 1000 --max-seats-per-user 1000 --top-up-max 1000000000000 --balance-max 1000000000000
)

"$PROGRAM" serve --demo --data "$work/data" --listen 127.0.0.1:0 --log-format text "${RAISED[@]}" >"$work/out" 2>"$work/log" &
server=$!
API=
for _ in $(seq "$START_TRIES"); do
  API=$(sed -n 's/^Frontrow serves //p' "$work/out")
  [ -z "$API" ] || break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
[ -n "$API" ] || { echo "check-api: the server does not start" >&2; cat "$work/log" >&2; exit 1; }
curl -sf "$API/openapi.json" -o "$work/openapi.json"

step "the API's description"
if from_npm "$work/npm" "$LINTERS_NODE_MAJOR_MIN" \
  "@apidevtools/swagger-parser@$SWAGGER_PARSER" "@redocly/cli@$REDOCLY" "@stoplight/spectral-cli@$SPECTRAL"; then
  cp scripts/openapi-lint/redocly.yaml scripts/openapi-lint/spectral.yaml "$work/npm/"
  (
    cd "$work/npm"
    export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true
    echo "swagger-parser $SWAGGER_PARSER"
    timeout "$LINT_SECONDS" node -e '
      require("@apidevtools/swagger-parser").validate(process.argv[1]).then(
        () => console.log("ok"),
        (error) => { console.error(error.message); process.exit(1); })' "$work/openapi.json"
    echo "Redocly $REDOCLY"
    timeout "$LINT_SECONDS" redocly lint --config redocly.yaml --max-problems 20 "$work/openapi.json"
    echo "Spectral $SPECTRAL"
    timeout "$LINT_SECONDS" spectral lint --quiet --fail-severity hint --ruleset spectral.yaml "$work/openapi.json"
    echo ok
  )
else
  missing "the linters could not be had from npm"
fi

step "the API against its description"
if have python3 && python3 -m venv "$work/venv" 2>/dev/null &&
  timeout "$INSTALL_SECONDS" "$work/venv/bin/pip" --quiet --disable-pip-version-check install -r "$REQUIREMENTS"; then
  export FRONTROW_API=$API SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$PWD/scripts/schemathesis PYTHONDONTWRITEBYTECODE=1
  for caller in "buyer $BUYER_SEED" "operator $OPERATOR_SEED"; do
    read -r role seed <<<"$caller"
    echo "schemathesis $SCHEMATHESIS as $role, seed $seed, $EXAMPLES examples of each kind"
    which=(--exclude-tag operator)
    [ "$role" = buyer ] || which=(--include-tag operator)
    (cd "$work" && timeout "$RUN_SECONDS" venv/bin/schemathesis --no-color \
      --config-file "$OLDPWD/scripts/schemathesis/schemathesis.toml" run "$API/openapi.json" \
      --seed "$seed" --max-examples "$EXAMPLES" --exclude-path-regex '/events$' "${which[@]}" >"$work/$role.txt" 2>&1) ||
      { tail -n 200 "$work/$role.txt"; exit 1; }
    tail -n 25 "$work/$role.txt"
  done
  kill -0 "$server" || { echo "check-api: the server is gone" >&2; cat "$work/log" >&2; exit 1; }
  kill "$server" && wait "$server" || true
  server=
  "$PROGRAM" check --data "$work/data"
else
  missing "schemathesis could not be had from PyPI"
fi
