#!/usr/bin/env bash
# Attacks a box office of its own and says whether it held. Needs bash, curl, sqlite3 and python3.
#
#   scripts/attack.sh [PROGRAM]     default: target/release/frontrow, else target/debug/frontrow
#
# The server, its data and every attacker are this script's own, on the loopback address, in a temporary folder. Every
# attack is bounded in count and time, and everything is stopped at the end by process id. The attacks that need no
# load, and those over PostgreSQL and Redis, are tests (docs/promises.md names them).
set -euo pipefail
cd "$(dirname "$0")/.."

PROGRAM=${1:-}
if [ -z "$PROGRAM" ]; then
  PROGRAM=target/release/frontrow
  [ -x "$PROGRAM" ] || PROGRAM=target/debug/frontrow
fi
for needed in "$PROGRAM" curl sqlite3 python3; do
  command -v "$needed" >/dev/null || { echo "attack: $needed is missing" >&2; exit 2; }
done

folder=$(mktemp -d "${TMPDIR:-/tmp}/frontrow-attack.XXXXXX")
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap cleanup EXIT
ulimit -n 8192 2>/dev/null || true

passed=0 failed=0
# says WHAT HELD [DETAIL]: one line an attack.
says() {
  if [ "$2" = yes ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  printf '%-6s %s%s\n' "$([ "$2" = yes ] && echo held || echo BROKEN)" "$1" "${3:+: $3}"
}

# On a port that the system gives it.
start() {
  "$PROGRAM" serve --data "$folder/data" --listen 127.0.0.1:0 --log-format text "$@" >"$folder/out" 2>"$folder/log" &
  server=$!
  for _ in $(seq 600); do
    PORT=$(sed -n 's#^Frontrow serves http://127.0.0.1:##p' "$folder/out")
    [ -z "$PORT" ] || ! curl -sf -o /dev/null "http://127.0.0.1:$PORT/readyz" || return 0
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  echo "attack: the server does not start" >&2
  cat "$folder/log" >&2
  exit 2
}
stop() {
  kill "$server" && wait "$server" || true
  server=
}

export PORT=

cat >"$folder/attack.py" <<'PY'
"""What the attackers do. Each function prints 'yes' or 'no', and what was seen."""
import http.client, json, os, socket, statistics, sys, threading, time, uuid

PORT, HOST = int(os.environ["PORT"]), "127.0.0.1"
PASSWORD = "front-row-demo"
SECONDS = 5


def call(method, path, body=None, session=None, token=None, key=True, address=None, timeout=30):
    source = (address, 0) if address else None
    link = http.client.HTTPConnection(HOST, PORT, timeout=timeout, source_address=source)
    headers = {"Content-Type": "application/json"}
    if session:
        headers["Authorization"] = "Bearer " + session
    if token:
        headers["Queue-Token"] = token
    if key and method in ("POST", "PATCH") and session:
        headers["Idempotency-Key"] = str(uuid.uuid4())
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    link.request(method, "/api/v1" + path, text, headers)
    answer = link.getresponse()
    data = answer.read()
    link.close()
    try:
        return answer.status, json.loads(data) if data else None
    except ValueError:
        return answer.status, None


def buyer(name, address=None):
    email = f"{name}-{uuid.uuid4().hex[:8]}@example.com"
    status, _ = call("POST", "/users", {"name": name, "email": email, "password": PASSWORD}, address=address)
    assert status == 201, status
    status, session = call("POST", "/sessions", {"email": email, "password": PASSWORD}, address=address)
    assert status in (200, 201), status
    return email, session["session_token"]


def turn(session, concert=1):
    _, joined = call("POST", "/queue/tokens", {"concert_id": concert}, session)
    token = joined["token"]
    for _ in range(200):
        _, place = call("GET", f"/queue/tokens/{token}/position")
        if place["status"] == "offered":
            call("PATCH", f"/queue/tokens/{token}/activate", session=session)
        if place["status"] == "active":
            return token
        time.sleep(0.05)
    raise SystemExit("no turn came")


def pace(work, seconds=SECONDS):
    """The median time of one call after the other, in milliseconds."""
    times, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        work()
        times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)


def meanwhile(work, attackers):
    """How much slower an honest buyer's call becomes while the attackers are at it."""
    quiet = pace(work)
    stop = threading.Event()

    def again(attack):
        while not stop.is_set():
            try:
                attack()
            except OSError:
                pass

    threads = [threading.Thread(target=again, args=(attack,), daemon=True) for attack in attackers]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    busy = pace(work)
    stop.set()
    for thread in threads:
        thread.join(timeout=10)
    return quiet, busy


def holder():
    _, session = buyer("Honest")
    token = turn(session)
    seats = call("GET", "/concerts/1/seats")[1]["seats"]
    seats = [seat["seat_id"] for seat in seats if seat["status"] == "available"]
    taken = iter(range(10**9))

    def balance():
        status, _ = call("GET", "/points", session=session)
        assert status in (200, 429), status

    def hold():
        # Refused or not, it is decided in a transaction.
        status, _ = call("POST", "/reservations", {"seat_id": seats[next(taken) % len(seats)]}, session, token)
        assert status in (201, 403, 409), status

    return balance, hold


def long_lists():
    _, command = holder()
    _, session = buyer("Attacker")
    _, joined = call("POST", "/queue/tokens", {"concert_id": 2}, session)
    # As many as a body may carry.
    body = {"seat_ids": list(range(100, 1600))}
    statuses = set()

    def attack():
        statuses.add(call("POST", "/reservations", body, session, joined["token"])[0])

    quiet, busy = meanwhile(command, [attack] * 2)
    print("yes" if busy < 10 * max(quiet, 1) and not statuses & {500, 503} else "no",
          f"another buyer's hold {quiet:.1f} ms, during the attack {busy:.1f} ms; answered {sorted(statuses)}")


def resident():
    pid = os.environ["SERVER"]
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))


def served_elsewhere():
    """What a reader at another address is answered meanwhile."""
    try:
        return call("GET", "/concerts", address="127.0.0.99", timeout=5)[0]
    except OSError as error:
        return str(error)


def metric(name):
    link = http.client.HTTPConnection(HOST, PORT, timeout=30, source_address=("127.0.0.98", 0))
    link.request("GET", "/metrics")
    lines = link.getresponse().read().decode().splitlines()
    link.close()
    return int(next(line.split()[1] for line in lines if line.startswith(name + " ")))


def unfinished_bodies(count=3000):
    """Bodies of all but a few bytes of what one may have, more than all may take together (17 MiB: see below). One for
    which there is no room is read and dropped, so that its connection goes on, and is answered at its end."""
    links, before, cut = [], resident(), 0
    head = ("POST /api/v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            "Content-Length: 8192\r\n\r\n").encode()
    body = b'{"email":"'.ljust(8192, b"a")
    for _ in range(count):
        try:
            link = socket.create_connection((HOST, PORT), timeout=20)
            link.sendall(head + body[:8000])
            links.append(link)
        except OSError:
            cut += 1
    time.sleep(1)
    grown, kept = resident() - before, metric("frontrow_bodies_in_flight_bytes")
    served = served_elsewhere()
    answers = []
    for link in links:
        try:
            link.sendall(body[8000:])
            answers.append(link.recv(12)[9:])
        except OSError:
            cut += 1
        link.close()
    refused = answers.count(b"503")
    bounded = 8 * 2**20 < kept <= 17 * 2**20 and 0 < refused < count - 1000 and cut == 0
    print("yes" if bounded and grown < 200 and served == 200 else "no",
          f"of {count} bodies {kept >> 20} MiB were kept and {refused} were answered 503 ({cut} cut), which took {grown} MB; "
          f"another address was answered {served}")


def idle_connections(count=6000):
    links = []
    for _ in range(count):
        try:
            links.append(socket.create_connection((HOST, PORT), timeout=2))
        except OSError:
            break
    time.sleep(1)
    alive = 0
    for link in links:
        link.setblocking(False)
        try:
            alive += link.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            alive += 1
        except OSError:
            pass
    served = served_elsewhere()
    for link in links:
        link.close()
    print("yes" if alive < count and served == 200 else "no",
          f"one address keeps {alive} of {count} connections; another address was answered {served}")


def unread_answers(count=300):
    links, before = [], socket_pages()
    for _ in range(count):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            link.connect((HOST, PORT))
            link.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
        except OSError:
            continue
        links.append(link)
    time.sleep(2)
    grown = (socket_pages() - before) * 4 // 1024
    for link in links:
        link.close()
    print("yes" if grown < count else "no", f"{count} readers that do not read took {grown} MB of the kernel's memory")


def socket_pages():
    with open("/proc/net/sockstat") as lines:
        words = next(line for line in lines if line.startswith("TCP:")).split()
    return int(words[words.index("mem") + 1])


def joins_again(count=300):
    _, session = buyer("Collector")
    call("POST", "/queue/tokens", {"concert_id": 3}, session)
    statuses = [call("POST", "/queue/tokens", {"concert_id": 3}, session)[0] for _ in range(count)]
    print("yes" if statuses.count(200) == count else "no", f"{statuses.count(200)} of {count} were answered 200")


def locked_out():
    email, _ = buyer("Owner", address="127.0.0.50")
    wrong = [call("POST", "/sessions", {"email": email, "password": "wrong-wrong-1"}, address="127.0.0.60")[0]
             for _ in range(20)]
    right = [call("POST", "/sessions", {"email": email, "password": PASSWORD}, address="127.0.0.50")[0]
             for _ in range(8)]
    print("yes" if all(status in (200, 201) for status in right) and 429 in wrong else "no",
          f"twenty wrong tries from elsewhere {sorted(set(wrong))}, then the owner's right ones {sorted(set(right))}")


def many_behind_one_address(count=40):
    statuses = []
    for number in range(count):
        email = f"neighbour-{number}-{uuid.uuid4().hex[:8]}@example.com"
        statuses.append(call("POST", "/users", {"name": "N", "email": email, "password": PASSWORD},
                             address="127.0.0.70")[0])
        statuses.append(call("POST", "/sessions", {"email": email, "password": PASSWORD}, address="127.0.0.70")[0])
    refused = sum(status == 429 for status in statuses)
    print("yes" if refused == 0 else "no", f"{refused} of {len(statuses)} registrations and sign-ins were refused")


def early_answers(count=100):
    head = (b"POST /api/v1/payments HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 21\r\n\r\n")
    broken = 0
    for _ in range(count):
        with socket.create_connection((HOST, PORT), timeout=5) as link:
            try:
                link.sendall(head)
                time.sleep(0.005)
                link.sendall(b'{"reservation_id": 1}')
                said = link.recv(4096)
                if b"connection: close" in said.lower():
                    continue
                link.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                broken += not link.recv(4096).startswith(b"HTTP/1.1 200")
            except OSError:
                broken += 1
    print("yes" if broken == 0 else "no", f"{broken} of {count} requests after a refusal were broken")


def reads():
    balance, _ = holder()
    _, session = buyer("Reader")
    statuses = set()

    def attack():
        statuses.add(call("GET", "/reservations", session=session)[0])

    quiet, busy = meanwhile(balance, [attack] * 16)
    print("yes" if 429 in statuses else "no",
          f"another buyer's balance {quiet:.1f} ms, during the attack {busy:.1f} ms; answered {sorted(statuses)}")


globals()[sys.argv[1]]()
PY

# attack NAME WHAT: runs one attack and says how it went.
attack() {
  local said
  said=$(SERVER=$server timeout 120 python3 "$folder/attack.py" "$1" 2>&1 | tail -n 1) || true
  says "$2" "${said%% *}" "${said#* }"
}

# Without the limits by user, which would end this attack sooner.
unlimited=()
for flag in requests-per-second-per-user request-burst-per-user changes-per-hour-per-user holds-per-hour-per-user; do
  ! "$PROGRAM" serve --help | grep -q -- "--$flag " || unlimited+=("--$flag" 100000)
done
start --demo "${unlimited[@]}"
attack long_lists "lists of 1,500 ids hold no other buyer up"
before=$(sqlite3 "$folder/data/frontrow.db" "SELECT count(*) FROM idempotency")
attack joins_again "joining again with new keys is answered with the place"
kept=$(($(sqlite3 "$folder/data/frontrow.db" "SELECT count(*) FROM idempotency") - before))
says "joining again with new keys stores nothing" "$([ "$kept" -le 1 ] && echo yes || echo no)" "$kept answers kept of 300"
stop
# Without the limits by address, which would keep most of these bodies from being read.
start --demo --max-connections-per-address 0 --login-per-minute-per-address 100000 --bodies-in-flight-mib 17
attack unfinished_bodies "unfinished bodies are bounded in all"
stop
start --demo
attack locked_out "wrong tries do not keep the owner from signing in"
attack many_behind_one_address "forty people behind one address sign in within a minute"
attack reads "reads have a limit"
attack early_answers "a refusal before the body does not break the next request"
attack unread_answers "answers that nothing reads are bounded"
attack idle_connections "one address cannot have all connections"

# The file goes away under the running server.
mv "$folder/data/frontrow.db" "$folder/elsewhere.db"
sleep 12
ready=$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/readyz")
says "a server whose file was moved away is not ready" "$([ "$ready" = 503 ] && echo yes || echo no)" "/readyz says $ready"
stop
rm -rf "$folder/data"

# The published password of the demo.
start --demo
stop
start
demo=$(curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/api/v1/sessions" -H 'Content-Type: application/json' \
  -d '{"email":"operator@frontrow.example","password":"front-row-demo"}')
says "the demo's operator cannot sign in without --demo" "$([ "$demo" != 201 ] && [ "$demo" != 200 ] && echo yes || echo no)" "answered $demo"

# Another user has registered the operator's address first.
curl -s -o /dev/null "http://127.0.0.1:$PORT/api/v1/users" -H 'Content-Type: application/json' \
  -d '{"name":"Early","email":"ops@venue.example","password":"early-bird-password"}'
code=0
echo the-operators-own-secret | "$PROGRAM" operator add --email ops@venue.example --name Ops --data "$folder/data" >"$folder/add" 2>&1 || code=$?
says "an address that another user registered is not promoted" "$([ "$code" -ne 0 ] && echo yes || echo no)" "exit status $code"
stop

code=0
"$PROGRAM" check --data "$folder/data" >"$folder/check" 2>&1 || code=$?
says "the books are in order" "$([ "$code" -eq 0 ] && echo yes || echo no)"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
