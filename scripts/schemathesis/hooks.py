"""What schemathesis must know of the API beside its description: who signs in, which numbers there are, and what only
the server can make up."""

import base64
import functools
import itertools
import json
import os
import time
import unicodedata
import urllib.error
import urllib.request
import uuid

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode

API = os.environ["FRONTROW_API"]
PASSWORD = "front-row-demo"
# Concerts 2 to 6 of the demo are open and share the house room; each has fifty seats. Concert 1 has a room of its own.
CONCERTS, SEATS, ROOMS = range(1, 8), range(51, 301), (0, 1, 7)
SEATS_PER_CONCERT = 50
FRESH = itertools.count(1_000)
OPENS_AT, CLOSES_AT = "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"
FAR_AHEAD = "2099-01-01T00:00:00Z"


def call(method, path, body=None, session=None):
    """The status and the body of a request that is none of the test's."""
    headers = {"Content-Type": "application/json"}
    if session:
        headers["Authorization"] = "Bearer " + session
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(API + "/api/v1" + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def cursor(key):
    return base64.urlsafe_b64encode(str(key).encode()).decode().rstrip("=")


# The formats that are the API's own. A cursor is opaque: it can only come from the server, as these could.
schemathesis.openapi.format("cursor", st.integers(1, 500).map(cursor))
schemathesis.openapi.format("cursor-of-concerts", st.integers(1, 500).map(lambda key: cursor(f"1803898800000000.{key}")))
schemathesis.openapi.format("cursor-of-users", st.uuids().map(cursor))
schemathesis.openapi.format("time-local", st.times().map(lambda time: time.strftime("%H:%M:%S")))
ZONES = ["Asia/Seoul", "Europe/Berlin", "America/New_York", "UTC"]
schemathesis.openapi.format("time-zone", st.sampled_from(ZONES))


class Account:
    """A user who is signed in whenever that is needed."""

    def __init__(self, email):
        self.email, self.session = email, None

    def signed_in(self):
        if self.session is None or call("GET", "/users/me", session=self.session)[0] != 200:
            status, opened = call("POST", "/sessions", {"email": self.email, "password": PASSWORD})
            if status != 201:
                # Another password, or erased: a new account takes its place.
                self.email = f"guest-{uuid.uuid4()}@example.com"
                call("POST", "/users", {"name": "Guest", "email": self.email, "password": PASSWORD})
                opened = call("POST", "/sessions", {"email": self.email, "password": PASSWORD})[1]
            self.session = opened["session_token"]
        return self.session


BUYER, OPERATOR = Account("buyer@frontrow.example"), Account("operator@frontrow.example")
# Signs out, changes passwords, is locked and erased, while the buyer goes on.
GUEST = Account("guest@example.com")
OF_GUESTS_PLACE = ("remove_from_line", "block_from_line")
OF_FRESH_SEATS = ("change_seats", "remove_seats")
BY_GUEST = ("sign_out", "sign_out_everywhere", "erase_me", "change_password")


def caller_of(case):
    if operation_of(case) in BY_GUEST:
        return GUEST
    return OPERATOR if "operator" in (case.operation.tags or []) else BUYER


def operation_of(case):
    return case.operation.definition.raw.get("operationId")


def active_token(room=None):
    """A queue token of the buyer that may hold and pay, of a concert's own room or of the house room."""
    session = BUYER.signed_in()
    for _ in range(200):
        token = call("POST", "/queue/tokens", room or {}, session)[1]
        if token["status"] == "active":
            return token["token"]
        call("PATCH", f"/queue/tokens/{token['token']}/activate", session=session)
        time.sleep(0.05)
    raise SystemExit("no turn came")


def newest(case, path, name, asked):
    """The number of something that the caller has, or the one that was asked for."""
    prefix = "/operator" if caller_of(case) is OPERATOR else ""
    items = call("GET", f"{prefix}{path}?limit=1", session=caller_of(case).signed_in())[1]["items"]
    return items[0][name] if items else asked


@schemathesis.auth(refresh_interval=None)
class Session:
    def get(self, case, context):
        return caller_of(case).signed_in()

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


def held():
    """The number of a new reservation of the buyer; none if no seat can be held."""
    for _ in range(5):
        seat = one_of(SEATS, 47 * next(FRESH))
        request = urllib.request.Request(
            API + "/api/v1/reservations",
            json.dumps({"seat_id": seat}).encode(),
            {"Content-Type": "application/json", "Authorization": "Bearer " + BUYER.signed_in(), "Queue-Token": active_token()},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())["reservation_id"]
        except urllib.error.HTTPError:
            continue
    return None


def with_balance(user):
    return call("GET", f"/operator/users/{user}", session=OPERATOR.signed_in())[1]["balance"]["balance"]


def adjust(user, amount):
    order = {"amount": amount, "reason": "A chargeback", "reference": str(uuid.uuid4())}
    return call("POST", f"/operator/users/{user}/adjustments", order, OPERATOR.signed_in())[1]


def open_debt():
    """The number of a new debt of the guest, whose balance covers it."""
    guest = guest_id()
    owed = 5
    debt = adjust(guest, -with_balance(guest) - owed)["debt"]["debt_id"]
    adjust(guest, owed)
    return debt


@functools.cache
def scratch_concert():
    """The number of a concert with a room of its own, of which nothing else is known to the tests."""
    draft = {
        "title": "Scratch", "artist": "Scratch", "venue": "Scratch", "time_zone": "UTC", "concert_date": "2028-06-01",
        "start_time": "20:00", "end_time": "22:00", "base_price": 1000, "opens_at": OPENS_AT,
        "own_room_max_active": 100,
    }
    return call("POST", "/operator/concerts", draft, OPERATOR.signed_in())[1]["concert_id"]


def fresh_seats(count):
    """The numbers of new seats of that concert."""
    numbers = [next(FRESH) for _ in range(count)]
    body = {"range": {"from": numbers[0], "to": numbers[-1]}}
    added = call("POST", f"/operator/concerts/{scratch_concert()}/seats", body, OPERATOR.signed_in())[1]
    return list(range(added["first_seat_id"], added["first_seat_id"] + count))


def of_sale(path, body):
    """What the buyer gets for this, in the sale of that concert."""
    token = active_token({"concert_id": scratch_concert()})
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + BUYER.signed_in(), "Queue-Token": token}
    request = urllib.request.Request(API + "/api/v1" + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def fresh_reservation():
    """The number of a new reservation that an operator may cancel."""
    return of_sale("/reservations", {"seat_id": fresh_seats(1)[0]})["reservation_id"]


def fresh_payment():
    """The number of a new payment that an operator may refund."""
    return of_sale("/payments", {"reservation_id": fresh_reservation()})["payment_id"]


def reset_secret():
    """The secret of a new reset link of the guest."""
    guest = guest_id()
    return call("POST", f"/operator/users/{guest}/reset-links", session=OPERATOR.signed_in())[1]["secret"]


def one_of(numbers, asked):
    return numbers[asked % len(numbers)] if isinstance(asked, int) else asked


def whole(value):
    """With 1 for 1.0: to JSON Schema that is a whole number, to the API it is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


def hidden(character):
    """Whether a text may have the character between some neighbours only, or never though the pattern cannot say so: the
    pattern knows no characters beyond U+FFFF, and of the marks on letters the commonest."""
    code = ord(character)
    return (
        code in (0x200C, 0x200D)
        or 0xFE00 <= code <= 0xFE0F
        or 0x1BCA0 <= code <= 0x1BCA3
        or 0x1D173 <= code <= 0x1D17A
        or 0xE0000 <= code <= 0xE0FFF
        or unicodedata.category(character).startswith("M")
    )


def shown(value):
    """A body without such characters."""
    if isinstance(value, str):
        text = "".join(character for character in value if not hidden(character))
        return text if text.strip() or not value else "x"
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    return value


def guest_id():
    return call("GET", "/users/me", session=GUEST.signed_in())[1]["user_id"]


def in_path(case, name, asked):
    if operation_of(case) in OF_FRESH_SEATS:
        return scratch_concert()
    if name == "debt_id":
        return open_debt()
    if operation_of(case) == "cancel_for_user":
        return fresh_reservation()
    if operation_of(case) == "refund_for_user":
        return fresh_payment()
    if name == "concert_id":
        return one_of(CONCERTS, asked)
    if name == "room_id":
        return one_of(ROOMS, asked)
    if name == "reservation_id":
        return newest(case, "/reservations", name, asked)
    if name == "payment_id":
        return newest(case, "/payments", name, asked)
    if name == "user_id":
        return guest_id()
    if name == "token":
        return active_token()
    return asked


def in_body(case, body):
    """A body that keeps the rules over several of its fields, and names what there is."""
    body = shown(whole(body))
    if not isinstance(body, dict):
        return body
    operation = operation_of(case)
    if "seat_id" in body:
        body["seat_id"] = one_of(SEATS, body["seat_id"])
    if operation in OF_FRESH_SEATS:
        # A printed number is given to one seat.
        count = 1 if body.get("number") is not None else min(len(body["seat_ids"]), SEATS_PER_CONCERT)
        body["seat_ids"] = fresh_seats(count)
    elif "seat_ids" in body:
        # All of one concert.
        first = one_of(SEATS, body["seat_ids"][0]) - 1
        first -= first % SEATS_PER_CONCERT
        body["seat_ids"] = [first + 1 + at for at in range(min(len(body["seat_ids"]), SEATS_PER_CONCERT))]
    if "reservation_id" in body:
        body["reservation_id"] = held() or body["reservation_id"]
    if operation == "update_concert":
        # A room is given once, before the sale.
        body.pop("own_room_max_active", None)
    if operation == "change_seats" and not any(value is not None for field, value in body.items() if field != "seat_ids"):
        # Something is changed: null is nothing.
        body["grade"] = "R"
    if operation == "reset_password":
        body["secret"] = reset_secret()
    if operation in ("change_password", "erase_me"):
        body["old_password" if operation == "change_password" else "password"] = PASSWORD
    if "time_zone" in body and body["time_zone"] not in ZONES:
        body["time_zone"] = ZONES[0]
    if isinstance(body.get("concert_id"), int):
        body["concert_id"] = one_of(CONCERTS, body["concert_id"])
    if operation in OF_GUESTS_PLACE:
        body["user_id"] = guest_id()
        if body.get("until") is not None:
            body["until"] = FAR_AHEAD
    if operation == "top_up":
        # A top-up of the own account has no reference; an operator's for another account has one.
        body.pop("user_id", None)
        body.pop("reference", None)
        body["amount"] = 1 + body["amount"] % 1_000_000
    if operation in ("create_concert", "update_concert"):
        for field, moment in (("opens_at", OPENS_AT), ("closes_at", CLOSES_AT)):
            if body.get(field) is not None:
                body[field] = moment
        if body.get("concert_date") is not None:
            body["concert_date"] = f"{2028 + int(body['concert_date'][:4]) % 50}-06-{body['concert_date'][8:]}".replace("-31", "-30")
    if isinstance(body.get("range"), dict):
        body["range"]["to"] = body["range"]["from"] = next(FRESH)
    for seat in body.get("seats", []):
        seat["seat_number"] = next(FRESH)
    return body


def is_right(case, location):
    """Whether this part of a request is one that the description allows."""
    part = case.meta.components.get(location)
    return part is None or part.mode == GenerationMode.POSITIVE


def in_headers(case):
    for name in list(case.headers or {}):
        if name.lower() == "idempotency-key":
            case.headers[name] = str(uuid.uuid4())
        elif name.lower() == "queue-token":
            case.headers[name] = active_token()


def too_long_still(value):
    """A body whose texts are as long after the server has taken away the blanks around them, which no schema can say."""
    if isinstance(value, str) and value.strip():
        before, behind = len(value) - len(value.lstrip()), len(value) - len(value.rstrip())
        return "x" * before + value.strip() + "x" * behind
    if isinstance(value, list):
        return [too_long_still(item) for item in value]
    if isinstance(value, dict):
        return {name: too_long_still(item) for name, item in value.items()}
    return value


@schemathesis.hook
def before_call(context, case, kwargs):
    """Requests that are meant to be right name what there is; those that are meant to be wrong stay as they are."""
    if case.meta is None:
        return
    for name, value in list((case.query or {}).items()):
        # A query field without a value is ignored: what is meant to be wrong is wrong otherwise.
        if case.meta.generation.mode == GenerationMode.NEGATIVE and value in ("", [""], [], None):
            case.query[name] = "!"
        # Dates begin with 1970.
        if case.meta.generation.mode == GenerationMode.POSITIVE and name in ("from", "to") and str(value) < "1970":
            case.query[name] = "1970-01-01"
    # What is wrong with another part is found only behind a path to something that there is.
    if is_right(case, ParameterLocation.PATH):
        for name in list(case.path_parameters or {}):
            case.path_parameters[name] = in_path(case, name, case.path_parameters[name])
    if case.meta.generation.mode != GenerationMode.POSITIVE:
        if is_right(case, ParameterLocation.HEADER):
            in_headers(case)
        case.body = too_long_still(case.body)
        return
    in_headers(case)
    if operation_of(case) == "find_users" and "user_id" in (case.query or {}):
        # One of the two is sent.
        case.query.pop("text", None)
    if isinstance(case.body, dict):
        case.body = in_body(case, case.body)
