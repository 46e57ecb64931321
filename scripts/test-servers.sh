#!/usr/bin/env bash
# Starts the servers that the tests share, one PostgreSQL and one Redis a run, each on a free port of the loopback
# address with its files in a temporary folder. nextest runs this before the tests (.config/nextest.toml) and hands
# what stands in $NEXTEST_ENV to each of them. A watcher stops the servers, by process id, when the run is over,
# however it ended.
#
# By hand: scripts/test-servers.sh PID prints the variables and keeps the servers while process PID lives.
#
# FRONTROW_TEST_POSTGRES_BIN names the folder of another PostgreSQL's programs than Debian's.
set -euo pipefail

RUN_PID=${1:-$PPID}
TRIES=20
START_SECONDS=60
# Below what systems give to outgoing connections.
PORT_MIN=15000
PORT_COUNT=15000

fail() {
  echo "test-servers: $*" >&2
  exit 1
}

# Debian keeps a folder a version.
newest_postgres() {
  find /usr/lib/postgresql -mindepth 3 -maxdepth 3 -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1 | xargs -r dirname
}

POSTGRES_BIN=${FRONTROW_TEST_POSTGRES_BIN:-$(newest_postgres)}
[ -n "$POSTGRES_BIN" ] || fail "PostgreSQL is missing: apt-get install postgresql"
[ -x "$POSTGRES_BIN/initdb" ] || fail "$POSTGRES_BIN has no initdb"
command -v redis-server >/dev/null || fail "Redis is missing: apt-get install redis-server"

folder=$(mktemp -d "${TMPDIR:-/tmp}/frontrow-tests.XXXXXX")
chmod 755 "$folder"

# PostgreSQL refuses to run as root: then it runs as the user that Debian's package makes, or as nobody.
as_user=()
if [ "$(id -u)" -eq 0 ]; then
  user=$(id -u postgres >/dev/null 2>&1 && echo postgres || echo nobody)
  as_user=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups --)
  install -d -o "$user" -m 700 "$folder/postgres"
else
  install -d -m 700 "$folder/postgres"
fi

a_port() { echo $((PORT_MIN + (RANDOM * 32768 + RANDOM) % PORT_COUNT)); }

run_postgres() { (cd "$folder/postgres" && "${as_user[@]}" env -u LD_PRELOAD "$@"); }

start_postgres() {
  local data="$folder/postgres/data" log="$folder/postgres/log"
  run_postgres "$POSTGRES_BIN/initdb" --pgdata="$data" --username=postgres --auth=trust --encoding=UTF8 \
    --locale=C --no-instructions >"$folder/initdb.log" 2>&1 || {
    cat "$folder/initdb.log" >&2
    return 1
  }
  # Durability stays as the program demands it. Many tests run at once, each with pools of its own.
  cat >>"$data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$folder/postgres'
max_connections = 400
shared_buffers = 128MB
max_wal_size = 4GB
max_prepared_transactions = 0
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track_utility = off
log_min_messages = warning
CONF
  # Some builds come without the contributed modules.
  [ -e "$("$POSTGRES_BIN/pg_config" --pkglibdir 2>/dev/null || echo "$POSTGRES_BIN/../lib/postgresql")/pg_stat_statements.so" ] ||
    sed -i '/pg_stat_statements/d' "$data/postgresql.conf"
  for _ in $(seq "$TRIES"); do
    postgres_port=$(a_port)
    if run_postgres "$POSTGRES_BIN/pg_ctl" --pgdata="$data" --log="$log" --wait --timeout="$START_SECONDS" --silent \
      --options="-p $postgres_port" start >/dev/null 2>&1; then
      return 0
    fi
    grep -q "Address already in use" "$log" || break
  done
  cat "$log" >&2
  return 1
}

start_redis() {
  install -d -m 700 "$folder/redis"
  for _ in $(seq "$TRIES"); do
    redis_port=$(a_port)
    (cd "$folder/redis" && exec setsid redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no \
      --dir "$folder/redis" --logfile "$folder/redis/log" --pidfile "$folder/redis/pid" --daemonize yes) >/dev/null
    for _ in $(seq 100); do
      if grep -q "Ready to accept connections" "$folder/redis/log" 2>/dev/null && [ -s "$folder/redis/pid" ]; then
        return 0
      fi
      grep -q "Address already in use\|Failed listening" "$folder/redis/log" 2>/dev/null && break
      sleep 0.05
    done
    rm -f "$folder/redis/log"
  done
  return 1
}

stop() {
  local postgres redis
  postgres=$(head -n 1 "$folder/postgres/data/postmaster.pid" 2>/dev/null || true)
  redis=$(cat "$folder/redis/pid" 2>/dev/null || true)
  # SIGQUIT: at once, nothing of it is kept.
  [ -z "$postgres" ] || kill -QUIT "$postgres" 2>/dev/null || true
  [ -z "$redis" ] || kill -KILL "$redis" 2>/dev/null || true
  for _ in $(seq 100); do
    [ -n "$postgres" ] && kill -0 "$postgres" 2>/dev/null || break
    sleep 0.05
  done
  rm -rf "$folder"
}

# When the run's process began: its number may be given to another one later.
began() { cut -d ' ' -f 22 "/proc/$RUN_PID/stat" 2>/dev/null || true; }

watch() {
  trap '' INT TERM HUP
  while [ -d "$folder" ] && kill -0 "$RUN_PID" 2>/dev/null && [ "$(began)" = "$run_began" ]; do sleep 0.5; done
  stop
}
run_began=$(began)
export -f watch stop began
export RUN_PID run_began folder
# In a session of its own: it must outlive what ends the run. It watches from before the first server.
setsid bash -c watch </dev/null >/dev/null 2>&1 &

trap 'stop; fail "the servers did not start"' ERR
start_postgres
start_redis
trap - ERR

cat >>"${NEXTEST_ENV:-/dev/stdout}" <<ENV
FRONTROW_TEST_POSTGRES=postgres://postgres@127.0.0.1:$postgres_port/postgres
FRONTROW_TEST_POSTGRES_BIN=$POSTGRES_BIN
FRONTROW_TEST_REDIS=redis://127.0.0.1:$redis_port
FRONTROW_TEST_FOLDER=$folder
ENV
