-- The tables of a box office.
--
-- Instants are microseconds since 1970-01-01T00:00:00Z, money is whole won, UUIDs are 16 bytes.
-- The constraints make the impossible impossible even where a rule has a bug: one live reservation per seat,
-- one payment per reservation, one live token per user and room, no negative balance, a history that only grows.
-- Lists of words are written with OR: an IN list of more than two costs a temporary table on every write.

CREATE TABLE "user" (
    user_id       BLOB NOT NULL PRIMARY KEY CONSTRAINT user_id_is_a_uuid CHECK (length(user_id) = 16),
    name          TEXT NOT NULL,
    email         TEXT NOT NULL CONSTRAINT user_email_unique UNIQUE,
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL CONSTRAINT user_role CHECK (role IN ('buyer', 'operator')),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    secret_hash BLOB NOT NULL PRIMARY KEY CONSTRAINT session_hash_is_sha256 CHECK (length(secret_hash) = 32),
    user_id     BLOB NOT NULL REFERENCES "user" (user_id),
    role        TEXT NOT NULL CONSTRAINT session_role CHECK (role IN ('buyer', 'operator')),
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX session_by_end ON session (expires_at);

-- A waiting room: 0 is the house room, any other number is that of the concert whose own room it is.
CREATE TABLE room (
    room_id          INTEGER NOT NULL PRIMARY KEY,
    max_active       INTEGER NOT NULL CONSTRAINT room_max_active CHECK (max_active >= 0),
    admit_per_minute INTEGER CONSTRAINT room_admit_per_minute CHECK (admit_per_minute > 0),
    gate             TEXT NOT NULL CONSTRAINT room_gate CHECK (gate IN ('open', 'paused')),
    message          TEXT,
    cursor           INTEGER NOT NULL,
    epoch            INTEGER NOT NULL,
    no_show_ppm      INTEGER NOT NULL,
    credit_ppm       INTEGER NOT NULL,
    credit_at        INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    -- The highest position given, kept apart from the tokens so that it never falls back.
    last_position    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The caps that rooms have had, and from when: the audit of the books compares the active tokens with them.
CREATE TABLE room_cap (
    room_id    INTEGER NOT NULL REFERENCES room (room_id),
    max_active INTEGER NOT NULL,
    since      INTEGER NOT NULL
) STRICT;

CREATE TRIGGER room_cap_is_not_updated BEFORE UPDATE ON room_cap
BEGIN SELECT raise(ABORT, 'room_cap is append-only'); END;
CREATE TRIGGER room_cap_is_not_deleted BEFORE DELETE ON room_cap
BEGIN SELECT raise(ABORT, 'room_cap is append-only'); END;

CREATE TABLE waiting_token (
    room_id      INTEGER NOT NULL REFERENCES room (room_id),
    position     INTEGER NOT NULL CONSTRAINT token_position CHECK (position >= 1),
    user_id      BLOB NOT NULL REFERENCES "user" (user_id),
    status       TEXT NOT NULL CONSTRAINT token_status CHECK (
        status = 'waiting' OR status = 'active' OR status = 'ended' OR status = 'offered' OR status = 'dormant'
        OR status = 'missed'),
    issued_at    INTEGER NOT NULL,
    activated_at INTEGER,
    -- What the state lasts until: none while waiting and when ended.
    deadline     INTEGER CONSTRAINT token_deadline CHECK ((deadline IS NULL) = (status IN ('waiting', 'ended'))),
    expired_at   INTEGER CONSTRAINT token_expired_at CHECK ((expired_at IS NULL) = (status <> 'ended')),
    end_reason   TEXT CONSTRAINT token_end_reason CHECK (
        end_reason = 'paid' OR end_reason = 'left' OR end_reason = 'expired'),
    token        TEXT GENERATED ALWAYS AS (room_id || '-' || position) VIRTUAL,
    PRIMARY KEY (room_id, position)
) STRICT, WITHOUT ROWID;

-- One live token per user and room; also finds the live tokens of a user.
CREATE UNIQUE INDEX one_live_token_per_user_and_room ON waiting_token (user_id, room_id) WHERE status <> 'ended';
-- The head of a line, and the whole line when a view is built.
CREATE INDEX token_in_line ON waiting_token (room_id, position) WHERE status = 'waiting';
-- Every token with a deadline: counts the active, finds the due.
CREATE INDEX token_by_deadline ON waiting_token (room_id, status, deadline) WHERE deadline IS NOT NULL;

CREATE TABLE concert (
    concert_id   INTEGER NOT NULL PRIMARY KEY,
    title        TEXT NOT NULL,
    artist       TEXT NOT NULL,
    venue        TEXT NOT NULL,
    time_zone    TEXT NOT NULL,
    -- Local to the venue: yyyy-mm-dd, hh:mm:ss.
    concert_date TEXT NOT NULL,
    start_time   TEXT NOT NULL,
    end_time     TEXT NOT NULL,
    starts_at    INTEGER NOT NULL,
    base_price   INTEGER NOT NULL CONSTRAINT concert_base_price CHECK (base_price >= 0),
    opens_at     INTEGER NOT NULL,
    closes_at    INTEGER NOT NULL CONSTRAINT concert_opens_before_it_closes CHECK (opens_at < closes_at),
    room_id      INTEGER NOT NULL REFERENCES room (room_id)
        CONSTRAINT concert_room CHECK (room_id IN (0, concert_id)),
    status       TEXT NOT NULL CONSTRAINT concert_status CHECK (status IN ('scheduled', 'closed')),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE seat (
    seat_id        INTEGER NOT NULL PRIMARY KEY,
    concert_id     INTEGER NOT NULL REFERENCES concert (concert_id),
    seat_number    INTEGER NOT NULL CONSTRAINT seat_number_from_one CHECK (seat_number >= 1),
    price          INTEGER NOT NULL CONSTRAINT seat_price CHECK (price > 0),
    status         TEXT NOT NULL CONSTRAINT seat_status CHECK (
        status = 'available' OR status = 'held' OR status = 'sold' OR status = 'blocked'),
    -- The reservation that has the seat. No foreign key: the two tables would refer to each other.
    reservation_id INTEGER CONSTRAINT seat_reservation CHECK (
        (reservation_id IS NOT NULL) = (status IN ('held', 'sold'))),
    blocked_reason TEXT,
    section        TEXT NOT NULL,
    "row"          TEXT NOT NULL,
    grade          TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    CONSTRAINT seat_number_unique UNIQUE (concert_id, seat_number)
) STRICT;

CREATE TABLE reservation (
    reservation_id INTEGER NOT NULL PRIMARY KEY,
    user_id        BLOB NOT NULL REFERENCES "user" (user_id),
    concert_id     INTEGER NOT NULL REFERENCES concert (concert_id),
    seat_id        INTEGER NOT NULL REFERENCES seat (seat_id),
    seat_number    INTEGER NOT NULL,
    price          INTEGER NOT NULL CONSTRAINT reservation_price CHECK (price > 0),
    status         TEXT NOT NULL CONSTRAINT reservation_status CHECK (
        status = 'pending' OR status = 'confirmed' OR status = 'expired' OR status = 'cancelled'
        OR status = 'refunded'),
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    confirmed_at   INTEGER CONSTRAINT reservation_confirmed_at CHECK (
        (confirmed_at IS NOT NULL) = (status IN ('confirmed', 'refunded'))),
    closed_at      INTEGER CONSTRAINT reservation_closed_at CHECK (
        (closed_at IS NULL) = (status IN ('pending', 'confirmed')))
) STRICT;

CREATE UNIQUE INDEX one_live_reservation_per_seat ON reservation (seat_id) WHERE status IN ('pending', 'confirmed');
-- A user's reservations; the live ones are those without an end, so that a long history costs a hold nothing.
CREATE INDEX reservation_by_user ON reservation (user_id, closed_at);
CREATE INDEX reservation_by_expiry ON reservation (expires_at) WHERE status = 'pending';

CREATE TABLE payment (
    payment_id     INTEGER NOT NULL PRIMARY KEY,
    user_id        BLOB NOT NULL REFERENCES "user" (user_id),
    -- A reservation is paid once or never: a refunded one cannot be paid again.
    reservation_id INTEGER NOT NULL CONSTRAINT one_payment_per_reservation UNIQUE REFERENCES reservation (reservation_id),
    amount         INTEGER NOT NULL CONSTRAINT payment_amount CHECK (amount > 0),
    status         TEXT NOT NULL CONSTRAINT payment_status CHECK (status IN ('completed', 'refunded')),
    paid_at        INTEGER NOT NULL,
    refunded_at    INTEGER CONSTRAINT payment_refunded_at CHECK ((refunded_at IS NOT NULL) = (status = 'refunded')),
    created_at     INTEGER NOT NULL
) STRICT;

CREATE INDEX payment_by_user ON payment (user_id);

CREATE TABLE point (
    point_id     INTEGER NOT NULL PRIMARY KEY,
    user_id      BLOB NOT NULL CONSTRAINT one_account_per_user UNIQUE REFERENCES "user" (user_id),
    amount       INTEGER NOT NULL CONSTRAINT balance_is_not_negative CHECK (amount >= 0),
    version      INTEGER NOT NULL CONSTRAINT point_version CHECK (version >= 1),
    last_updated INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE point_history (
    history_id    INTEGER NOT NULL PRIMARY KEY,
    user_id       BLOB NOT NULL REFERENCES "user" (user_id),
    amount        INTEGER NOT NULL,
    type          TEXT NOT NULL CONSTRAINT history_type CHECK (type = 'use' OR type = 'charge' OR type = 'refund'),
    description   TEXT NOT NULL,
    balance_after INTEGER NOT NULL CONSTRAINT history_balance_is_not_negative CHECK (balance_after >= 0),
    version       INTEGER NOT NULL CONSTRAINT history_version CHECK (version >= 1),
    payment_id    INTEGER REFERENCES payment (payment_id)
        CONSTRAINT history_payment CHECK ((payment_id IS NULL) = (type = 'charge')),
    reference     TEXT,
    created_at    INTEGER NOT NULL,
    CONSTRAINT history_sign CHECK (amount <> 0 AND (amount < 0) = (type = 'use')),
    CONSTRAINT one_entry_per_version UNIQUE (user_id, version)
) STRICT;

CREATE UNIQUE INDEX one_entry_per_payment_and_type ON point_history (payment_id, type) WHERE payment_id IS NOT NULL;
CREATE UNIQUE INDEX one_charge_per_reference ON point_history (reference) WHERE reference IS NOT NULL;

CREATE TRIGGER point_history_is_not_updated BEFORE UPDATE ON point_history
BEGIN SELECT raise(ABORT, 'point_history is append-only'); END;
CREATE TRIGGER point_history_is_not_deleted BEFORE DELETE ON point_history
BEGIN SELECT raise(ABORT, 'point_history is append-only'); END;

-- Answers kept under idempotency keys. The order of the rows is the order of time, so the oldest are pruned from
-- the front; only the small index on the random keys is written all over.
CREATE TABLE idempotency (
    id          INTEGER NOT NULL PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    key         BLOB NOT NULL CONSTRAINT idempotency_key_unique UNIQUE,
    fingerprint BLOB NOT NULL,
    answer      TEXT NOT NULL
) STRICT;

-- The actor has no foreign key: the log outlives everything it speaks of.
CREATE TABLE audit_log (
    audit_id   INTEGER NOT NULL PRIMARY KEY,
    actor      BLOB,
    action     TEXT NOT NULL,
    object     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TRIGGER audit_log_is_not_updated BEFORE UPDATE ON audit_log
BEGIN SELECT raise(ABORT, 'audit_log is append-only'); END;
CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON audit_log
BEGIN SELECT raise(ABORT, 'audit_log is append-only'); END;

-- The latest time that anything was decided at: the store's clock never goes back behind it.
CREATE TABLE clock (
    id         INTEGER NOT NULL PRIMARY KEY CONSTRAINT clock_is_one_row CHECK (id = 1),
    high_water INTEGER NOT NULL
) STRICT;
