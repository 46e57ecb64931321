-- The tables of a box office.
--
-- Instants are microseconds since 1970-01-01T00:00:00Z, money is whole won.
-- The constraints rule out impossible states even if a rule has a bug: one live reservation per seat,
-- one payment per reservation, one live token per user and room, no negative balance, a history that only grows.
--
-- Rows that are updated all the time (seats, points, rooms, a reservation that is paid, the deadlines of active
-- tokens) are in no index, and their pages keep free space, so that an update writes one row and no index (a
-- "heap-only" update).

-- Ids. A batch reserves as many as it may need; gaps are allowed except for seats, whose ids are drawn under a lock.
CREATE SEQUENCE concert_ids;
CREATE SEQUENCE seat_ids;
CREATE SEQUENCE reservation_ids;
CREATE SEQUENCE payment_ids;
CREATE SEQUENCE point_ids;
CREATE SEQUENCE history_ids;
CREATE SEQUENCE audit_ids;
CREATE SEQUENCE debt_ids;
-- Rooms without a concert, counted from above the numbers of concerts.
CREATE SEQUENCE room_ids;
CREATE SEQUENCE event_ids;

-- References of the tables that grow with the sale are checked once a statement, for all its new rows together, by a
-- trigger of each table. A declared foreign key looks up and locks one row for each new row, which costs a third of a
-- hold; the checks here cost a fifth of that and lock nothing. They are as strict: no row that is referred to is ever
-- removed and no key is ever changed: `stays` enforces that. Each reference is looked up by a subquery of its own
-- through an index: without statistics a server would hash or read the whole referenced table.
CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % stay, and so do their keys', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- Stops a batch of which an update did not find all its rows: the commit is sent together with the update, so the
-- program could not stop it any more.
CREATE FUNCTION all_found(updated bigint, expected bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF updated <> expected THEN
        RAISE EXCEPTION 'an update found % of % rows', updated, expected USING ERRCODE = 'integrity_constraint_violation';
    END IF;
END $$;

-- The clock of the box office, in microseconds.
CREATE FUNCTION clock_micros() RETURNS bigint LANGUAGE sql VOLATILE
RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- Which box office this is: one row, written when it is opened for the first time.
CREATE TABLE office (
    one        boolean NOT NULL DEFAULT true CONSTRAINT office_is_one_row PRIMARY KEY CHECK (one),
    office_id  uuid    NOT NULL DEFAULT gen_random_uuid(),
    created_at bigint  NOT NULL,
    -- The time of the last note of an instance that the box office works; null before the first has served.
    alive_at   bigint
);

-- Outages: periods without decisions, and by how much each extended the deadlines that were live at its start.
CREATE TABLE outage (
    from_at bigint NOT NULL PRIMARY KEY,
    to_at   bigint NOT NULL CONSTRAINT outage_ends_after_it_began CHECK (to_at > from_at),
    grace   bigint NOT NULL CONSTRAINT outage_grace CHECK (grace > 0)
);

-- The keys that sign queue tokens, the same for all instances. The one that signs is that with the latest
-- `signs_from` that has come; a new one lets some time pass first, so that all instances know it by then.
CREATE TABLE token_key (
    key_id     smallint NOT NULL PRIMARY KEY CONSTRAINT token_key_id_is_a_byte CHECK (key_id BETWEEN 0 AND 255),
    secret     bytea    NOT NULL CONSTRAINT token_key_secret_is_32_bytes CHECK (octet_length(secret) = 32),
    created_at bigint   NOT NULL,
    signs_from bigint   NOT NULL,
    -- From then on tokens signed with it are refused.
    retired_at bigint
);

CREATE TABLE "user" (
    user_id       uuid   NOT NULL PRIMARY KEY,
    name          text   NOT NULL,
    email         text   NOT NULL CONSTRAINT user_email_unique UNIQUE,
    password_hash text   NOT NULL,
    role          text   NOT NULL CONSTRAINT user_role CHECK (role IN ('buyer', 'operator', 'viewer')),
    created_at    bigint NOT NULL,
    updated_at    bigint NOT NULL,
    status        text   NOT NULL DEFAULT 'active'
        CONSTRAINT user_status CHECK (status IN ('active', 'locked', 'erased')),
    -- How often all sessions of the user were ended: earlier proofs of identity are invalid after it.
    sign_in_epoch bigint NOT NULL DEFAULT 0,
    -- Updated once a day at most.
    signed_in_at  bigint NOT NULL DEFAULT 0,
    -- When the user proved to read the letters to the e-mail address.
    email_confirmed_at bigint
);

-- Operators find a user by the start of the address, of the name, or of the part by which people are called. None of
-- these is in a row that a sign-in updates.
CREATE INDEX user_by_email ON "user" (email COLLATE "C");
CREATE INDEX user_by_name ON "user" (lower(name COLLATE "C"));
CREATE INDEX user_by_later_name ON "user" (
    lower(CASE WHEN strpos(name, ' ') > 0 THEN substr(name, strpos(name, ' ') + 1) ELSE substr(name, 2) END
        COLLATE "C"));

CREATE TRIGGER user_stays BEFORE DELETE OR TRUNCATE OR UPDATE OF user_id ON "user" EXECUTE FUNCTION stays();

CREATE TABLE session (
    secret_hash bytea  NOT NULL PRIMARY KEY CONSTRAINT session_hash_is_sha256 CHECK (octet_length(secret_hash) = 32),
    user_id     uuid   NOT NULL REFERENCES "user" (user_id),
    role        text   NOT NULL CONSTRAINT session_role CHECK (role IN ('buyer', 'operator', 'viewer')),
    expires_at  bigint NOT NULL,
    created_at  bigint NOT NULL,
    -- The program that opened it, as far as that is known.
    client      text
);

CREATE INDEX session_by_end ON session (expires_at);
CREATE INDEX session_by_user ON session (user_id, created_at);

-- Links that stand for a user: one that sets a new password, and one that confirms the address, at most.
CREATE TABLE account_link (
    user_id     uuid   NOT NULL REFERENCES "user" (user_id),
    kind        text   NOT NULL CONSTRAINT account_link_kind CHECK (kind IN ('password_reset', 'email_confirmation')),
    secret_hash bytea  NOT NULL CONSTRAINT account_link_hash_is_sha256 CHECK (octet_length(secret_hash) = 32),
    epoch       bigint NOT NULL,
    expires_at  bigint NOT NULL,
    PRIMARY KEY (user_id, kind)
);

CREATE INDEX account_link_by_end ON account_link (expires_at);

-- Second factors of operators and viewers: codes of an authenticator app.
CREATE TABLE second_factor (
    user_id      uuid   NOT NULL PRIMARY KEY REFERENCES "user" (user_id),
    -- Shared with the app; none if the user does not want to be asked for a second factor.
    secret       bytea  CONSTRAINT second_factor_secret_has_20_bytes CHECK (octet_length(secret) = 20),
    -- Since when it is in force; none before a code proved that the app has the secret.
    confirmed_at bigint CONSTRAINT second_factor_confirmed CHECK (confirmed_at IS NULL OR secret IS NOT NULL),
    -- The step of the last code that was used.
    last_step    bigint NOT NULL,
    -- SHA-256 of each recovery code that was not used, one after the other.
    recovery     bytea  NOT NULL CONSTRAINT second_factor_recovery CHECK (
        octet_length(recovery) % 32 = 0 AND octet_length(recovery) <= 320),
    -- Wrong codes since the last right one, and when the last of them came.
    wrong_codes  bigint NOT NULL CONSTRAINT second_factor_wrong_codes CHECK (wrong_codes >= 0),
    wrong_at     bigint,
    updated_at   bigint NOT NULL
);

-- Whether there is an operator is asked at every start.
CREATE INDEX user_operators ON "user" (user_id) WHERE role = 'operator';

-- A waiting room: 0 is the house room, a number up to 1,000,000,000 is that of the concert whose own room it is, one up to
-- 2,000,000,000 is a room without a concert, in front of another site, and one above a lane beside the line of one of
-- these, at 2,000,000,000 plus 16 times its number.
CREATE TABLE room (
    room_id          bigint NOT NULL PRIMARY KEY,
    max_active       bigint NOT NULL CONSTRAINT room_max_active CHECK (max_active >= 0),
    admit_per_minute bigint CONSTRAINT room_admit_per_minute CHECK (admit_per_minute > 0),
    gate             text   NOT NULL CONSTRAINT room_gate CHECK (gate IN ('open', 'paused')),
    message          text,
    cursor           bigint NOT NULL,
    epoch            bigint NOT NULL,
    no_show_ppm      bigint NOT NULL,
    credit_ppm       bigint NOT NULL,
    credit_at        bigint NOT NULL,
    -- The fence of the leader that last moved the line.
    fence            bigint NOT NULL,
    -- When the sale of the concert opens whose own room it is, and when that sale is over; of a room without a concert
    -- when it opens, and when it was closed.
    opens_at         bigint,
    closes_at        bigint,
    -- The other site, and where a turn leads.
    site_name        text,
    turn_url         text CONSTRAINT room_site CHECK (
        (site_name IS NULL) = (turn_url IS NULL) AND (room_id > 1000000000 OR site_name IS NULL)
        AND (room_id NOT BETWEEN 1000000001 AND 2000000000 OR site_name IS NOT NULL)),
    updated_at       bigint NOT NULL,
    -- How the line begins: in order of coming, or with the draw of a lobby, and how far that is.
    draw_phase       text   NOT NULL DEFAULT 'none' CONSTRAINT room_draw_phase CHECK (
        draw_phase IN ('none', 'lobby', 'sealed', 'placing', 'placed')),
    -- The highest position that was given before the lobby was sealed, how many entries were drawn, how many of them
    -- have their places, and the last of these.
    draw_last        bigint NOT NULL DEFAULT 0 CONSTRAINT room_draw_last CHECK (draw_last >= 0),
    draw_entries     bigint NOT NULL DEFAULT 0 CONSTRAINT room_draw_entries CHECK (
        draw_entries BETWEEN 0 AND draw_last),
    draw_placed      bigint NOT NULL DEFAULT 0 CONSTRAINT room_draw_placed CHECK (
        draw_placed BETWEEN 0 AND draw_entries),
    draw_placed_entry bigint NOT NULL DEFAULT 0 CONSTRAINT room_draw_placed_entry CHECK (
        draw_placed_entry BETWEEN 0 AND draw_last),
    -- How much of the house's budget is the room's, beside the others; of the house room how many tokens may be active in
    -- all rooms together.
    weight           bigint NOT NULL DEFAULT 1 CONSTRAINT room_weight CHECK (weight BETWEEN 1 AND 100),
    house_budget     bigint CONSTRAINT room_house_budget CHECK (
        house_budget IS NULL OR (room_id = 0 AND house_budget > 0)),
    -- The line's share just now of the places and of the rate; none if it shares with no other. And since when.
    allotment        bigint CONSTRAINT room_allotment CHECK (allotment >= 0),
    rate_share       bigint CONSTRAINT room_rate_share CHECK (rate_share >= 0),
    allotted_at      bigint NOT NULL DEFAULT 0,
    -- When the places of the house were last shared by its budget.
    shared_at        bigint CONSTRAINT room_shared_at CHECK (shared_at IS NULL OR room_id = 0),
    -- Of a lane: its part of the places in per cent, and whether it takes new tokens.
    lane_share       bigint CONSTRAINT room_lane_share CHECK (lane_share BETWEEN 1 AND 50),
    lane_entry       text   CONSTRAINT room_lane CHECK (
        (room_id > 2000000000) = (lane_share IS NOT NULL) AND (lane_share IS NULL) = (lane_entry IS NULL)
        AND (lane_entry IS NULL OR lane_entry IN ('open', 'ended'))),
    -- How many tokens of the room are active and offered, once the rows of room_departure are added. Changed only
    -- under the row's lock.
    active           bigint NOT NULL DEFAULT 0 CONSTRAINT room_active CHECK (active >= 0),
    offered          bigint NOT NULL DEFAULT 0 CONSTRAINT room_offered CHECK (offered >= 0),
    -- What became of all its tokens, also of those whose rows are removed, once the rows of room_departure are added.
    count_admitted      bigint NOT NULL DEFAULT 0 CONSTRAINT room_count_admitted CHECK (count_admitted >= 0),
    count_turns_passed  bigint NOT NULL DEFAULT 0 CONSTRAINT room_count_turns_passed CHECK (count_turns_passed >= 0),
    count_paid          bigint NOT NULL DEFAULT 0 CONSTRAINT room_count_paid CHECK (count_paid >= 0),
    count_left          bigint NOT NULL DEFAULT 0 CONSTRAINT room_count_left CHECK (count_left >= 0),
    count_expired       bigint NOT NULL DEFAULT 0 CONSTRAINT room_count_expired CHECK (count_expired >= 0),
    count_missed_out    bigint NOT NULL DEFAULT 0 CONSTRAINT room_count_missed_out CHECK (count_missed_out >= 0),
    count_drawn         bigint NOT NULL DEFAULT 0 CONSTRAINT room_count_drawn CHECK (count_drawn >= 0),
    count_removed       bigint NOT NULL DEFAULT 0 CONSTRAINT room_count_removed CHECK (count_removed >= 0),
    count_closed        bigint NOT NULL DEFAULT 0 CONSTRAINT room_count_closed CHECK (count_closed >= 0),
    -- Turns that passed unresponsive tokens, the most that were active at once, the highest cap under which a token was
    -- activated, and the most that an activation was beyond the cap.
    peak_passed_over    bigint NOT NULL DEFAULT 0 CONSTRAINT room_peak_passed_over CHECK (peak_passed_over >= 0),
    peak_active         bigint NOT NULL DEFAULT 0 CONSTRAINT room_peak_active CHECK (peak_active >= 0),
    peak_cap            bigint NOT NULL DEFAULT 0 CONSTRAINT room_peak_cap CHECK (peak_cap >= 0),
    peak_overshoot      bigint NOT NULL DEFAULT 0 CONSTRAINT room_peak_overshoot CHECK (peak_overshoot >= 0),
    -- Whether counts and peaks are those of all tokens of the line, or lack those from before they were kept.
    counted_from        text NOT NULL DEFAULT 'start' CONSTRAINT room_counted_from CHECK (
        counted_from IN ('start', 'later'))
) WITH (fillfactor = 20);

-- Changes of a room's counts since its row was written: a payment, or a leaving user, must not wait for the lock of the
-- row, which offers and claims wait for. The next transaction that locks the room adds these to its row and
-- removes them.
CREATE TABLE room_departure (
    room_id bigint NOT NULL, -- room
    active  bigint NOT NULL,
    offered bigint NOT NULL,
    count_admitted      bigint NOT NULL DEFAULT 0,
    count_turns_passed  bigint NOT NULL DEFAULT 0,
    count_paid          bigint NOT NULL DEFAULT 0,
    count_left          bigint NOT NULL DEFAULT 0,
    count_expired       bigint NOT NULL DEFAULT 0,
    count_missed_out    bigint NOT NULL DEFAULT 0,
    count_drawn         bigint NOT NULL DEFAULT 0,
    count_removed       bigint NOT NULL DEFAULT 0,
    count_closed        bigint NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

CREATE INDEX room_departure_by_room ON room_departure (room_id);

-- A room's positions come from a sequence of its own, room_position_<room_id>: joining a line locks nothing, and no
-- position is ever issued twice. pg_sequence_last_value() returns the highest one issued.
CREATE FUNCTION room_gets_positions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE SEQUENCE %I', 'room_position_' || NEW.room_id);
    RETURN NULL;
END $$;
CREATE TRIGGER room_gets_positions AFTER INSERT ON room FOR EACH ROW EXECUTE FUNCTION room_gets_positions();

CREATE TRIGGER room_stays BEFORE DELETE OR TRUNCATE OR UPDATE OF room_id ON room EXECUTE FUNCTION stays();

-- Reserves as many positions as a room has given, behind them. Returns the highest that was given before. To alter a
-- sequence waits for all transactions that have drawn from it, and those that draw meanwhile wait for this one: so
-- each position up to the returned one has its row, or never gets one.
CREATE FUNCTION reserve_behind_entries(room_id bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    name text := 'room_position_' || room_id;
    last bigint;
BEGIN
    EXECUTE format('ALTER SEQUENCE %I NO CYCLE', name);
    EXECUTE format('SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM %I', name) INTO last;
    EXECUTE format('ALTER SEQUENCE %I RESTART WITH %s', name, 2 * last + 1);
    RETURN last;
END $$;

-- The draws of lobbies.
CREATE TABLE draw (
    room_id         bigint NOT NULL PRIMARY KEY REFERENCES room (room_id),
    -- Published after the draw; its hash before.
    secret          bytea  NOT NULL CONSTRAINT draw_secret_has_32_bytes CHECK (octet_length(secret) = 32),
    begun_at        bigint NOT NULL,
    -- The chain of the beacon, and for how many microseconds the draw waits for its round.
    chain_hash      bytea  NOT NULL CONSTRAINT draw_chain_hash_has_32_bytes CHECK (octet_length(chain_hash) = 32),
    chain_key       bytea  NOT NULL CONSTRAINT draw_chain_key_has_96_bytes CHECK (octet_length(chain_key) = 96),
    chain_genesis   bigint NOT NULL CONSTRAINT draw_chain_genesis CHECK (chain_genesis >= 0),
    chain_period    bigint NOT NULL CONSTRAINT draw_chain_period CHECK (chain_period > 0),
    patience        bigint NOT NULL CONSTRAINT draw_patience CHECK (patience >= 0),
    -- When the entries were fixed; the entries, a bit for each position; the root of their tree; the beacon's round.
    sealed_at       bigint,
    entered         bytea  CONSTRAINT draw_entered CHECK ((entered IS NULL) = (sealed_at IS NULL)),
    root            bytea  CONSTRAINT draw_root_has_32_bytes CHECK (
        (root IS NULL) = (sealed_at IS NULL) AND coalesce(octet_length(root), 32) = 32),
    round           bigint CONSTRAINT draw_round CHECK ((round IS NULL) = (sealed_at IS NULL)),
    -- When the order was drawn; the round's signature, if that was handed in; the seed.
    drawn_at        bigint CONSTRAINT draw_drawn_at CHECK (drawn_at IS NULL OR sealed_at IS NOT NULL),
    signature       bytea  CONSTRAINT draw_signature_has_48_bytes CHECK (
        signature IS NULL OR (drawn_at IS NOT NULL AND octet_length(signature) = 48)),
    seed            bytea  CONSTRAINT draw_seed_has_32_bytes CHECK (
        (seed IS NULL) = (drawn_at IS NULL) AND coalesce(octet_length(seed), 32) = 32)
);

-- Users whom operators keep out of a line. Changed under the lock on the user; a block excludes the joins of its room by
-- an advisory lock, which every join shares.
CREATE TABLE line_block (
    user_id    uuid   NOT NULL REFERENCES "user" (user_id),
    room_id    bigint NOT NULL REFERENCES room (room_id),
    reason     text   NOT NULL CONSTRAINT line_block_reason CHECK (reason <> ''),
    -- The operator; none for the box office itself.
    blocked_by uuid,
    since      bigint NOT NULL,
    -- None for until an operator lifts it.
    until      bigint CONSTRAINT line_block_until CHECK (until > since),
    PRIMARY KEY (user_id, room_id)
);

CREATE INDEX line_block_of_room ON line_block ((room_id + 0), user_id);
CREATE INDEX line_block_by_end ON line_block (until) WHERE until IS NOT NULL;

-- What the leader of a line has measured and told, for the next start. Nothing is decided by it.
CREATE TABLE line_record (
    room_id  bigint NOT NULL PRIMARY KEY REFERENCES room (room_id),
    epoch    bigint NOT NULL,
    saved_at bigint NOT NULL,
    -- In a form that its first byte tells.
    record   bytea  NOT NULL CONSTRAINT line_record_size CHECK (octet_length(record) BETWEEN 1 AND 524288)
);

CREATE INDEX line_record_by_time ON line_record (saved_at);

-- Accounts that may join a lane. Changed under the locks on the user and on the lane's room.
CREATE TABLE lane_guest (
    user_id  uuid   NOT NULL REFERENCES "user" (user_id),
    room_id  bigint NOT NULL REFERENCES room (room_id) CONSTRAINT lane_guest_room CHECK (room_id > 2000000000),
    -- The operator; none for the box office itself.
    added_by uuid,
    added_at bigint NOT NULL,
    PRIMARY KEY (user_id, room_id)
);

CREATE INDEX lane_guest_of_lane ON lane_guest ((room_id + 0), user_id);

-- The caps that rooms have had, and from when: the audit of the books compares the active tokens with them.
CREATE TABLE room_cap (
    room_id    bigint NOT NULL REFERENCES room (room_id),
    max_active bigint NOT NULL,
    since      bigint NOT NULL
);

CREATE TRIGGER room_cap_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON room_cap
EXECUTE FUNCTION is_append_only();

CREATE TABLE waiting_token (
    room_id      bigint NOT NULL, -- room
    position     bigint NOT NULL CONSTRAINT token_position CHECK (position >= 1),
    user_id      uuid   NOT NULL, -- "user"
    status       text   NOT NULL CONSTRAINT token_status CHECK (
        status IN ('waiting', 'offered', 'active', 'dormant', 'missed', 'ended')),
    issued_at    bigint NOT NULL,
    activated_at bigint,
    -- The end of the state, if it is offered, missed or dormant.
    deadline     bigint CONSTRAINT token_deadline CHECK (
        (deadline IS NOT NULL) = (status IN ('offered', 'dormant', 'missed'))),
    -- The end of the state, if it is active. Apart from the other deadlines because it moves with every hold
    -- and every sign of life, and must not write an index.
    active_until bigint CONSTRAINT token_active_until CHECK ((active_until IS NOT NULL) = (status = 'active')),
    -- When an active token is next checked for its end: never later than the end, and moved on by that check alone. So
    -- overdue tokens are found by an index that a sign of life does not write.
    due_from     bigint CONSTRAINT token_due_from CHECK (
        (due_from IS NOT NULL) = (status = 'active') AND due_from <= active_until),
    -- When it was claimed while the room was full: such tokens are activated in this order.
    claimed_at   bigint CONSTRAINT token_claimed_at CHECK (claimed_at IS NULL OR status = 'offered'),
    -- The deadline that it gets back if its client is heard of, after that has gone away.
    back_until   bigint CONSTRAINT token_back_until CHECK (
        back_until IS NULL OR (status IN ('offered', 'active') AND back_until > coalesce(active_until, deadline))),
    expired_at   bigint CONSTRAINT token_expired_at CHECK ((expired_at IS NOT NULL) = (status = 'ended')),
    end_reason   text   CONSTRAINT token_end_reason CHECK (
        end_reason IN ('paid', 'left', 'expired', 'missed', 'concert_over', 'drawn', 'removed', 'room_closed')),
    -- The turns that it let pass, and the holds that were made with it.
    turns_passed integer NOT NULL DEFAULT 0 CONSTRAINT token_turns_passed CHECK (turns_passed >= 0),
    holds        integer NOT NULL DEFAULT 0 CONSTRAINT token_holds CHECK (holds >= 0),
    PRIMARY KEY (room_id, position)
) WITH (fillfactor = 70);

-- The key finds a token by its position, and no other index may be used for that; every other query must not use the
-- key, since it would scan all tokens that the room ever had. A server whose statistics are of an empty line, of
-- a full one or of an ended sale estimates the same cost for both. So the other indexes name the columns of the key as sums,
-- and a query that is meant for them writes `room_id + 0`. The same holds for the other tables below.
--
-- One live token per user in a general line and its lanes; also finds the live tokens of a user. A live one is one without an end: no
-- query for waiting or active tokens has that condition, which would lead it to this index.
CREATE UNIQUE INDEX one_live_token_per_user_and_room ON waiting_token (
    user_id, (CASE WHEN room_id > 2000000000 THEN (room_id - 2000000000) / 16 ELSE room_id END))
    WHERE expired_at IS NULL;
-- The head of a line, and the whole line when a view is made.
CREATE INDEX token_in_line ON waiting_token ((room_id + 0), (position + 0)) WHERE status = 'waiting';
-- The active tokens, by the time of their next check.
CREATE INDEX token_active ON waiting_token ((room_id + 0), due_from) WHERE status = 'active';
-- Those whose claims found the room full, by the claims.
CREATE INDEX token_claimed ON waiting_token ((room_id + 0), claimed_at, (position + 0)) WHERE claimed_at IS NOT NULL;
-- The other tokens with a deadline: finds the overdue.
CREATE INDEX token_by_deadline ON waiting_token ((room_id + 0), status, deadline) WHERE deadline IS NOT NULL;

CREATE FUNCTION token_refers() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added AS n WHERE (SELECT true FROM "user" AS u WHERE u.user_id = n.user_id) IS NULL
        OR (SELECT true FROM room AS r WHERE r.room_id = n.room_id) IS NULL
    ) THEN
        RAISE EXCEPTION 'a token refers to no user or room' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER token_refers AFTER INSERT ON waiting_token REFERENCING NEW TABLE AS added
EXECUTE FUNCTION token_refers();
CREATE TRIGGER token_stays BEFORE TRUNCATE OR UPDATE OF room_id, position, user_id ON waiting_token
EXECUTE FUNCTION stays();
CREATE TRIGGER token_stays_until_it_ends BEFORE DELETE ON waiting_token FOR EACH ROW WHEN (OLD.status <> 'ended')
EXECUTE FUNCTION stays();

-- The column "token": SELECT w.token FROM waiting_token AS w.
CREATE FUNCTION token(w waiting_token) RETURNS text LANGUAGE sql IMMUTABLE
RETURN w.room_id || '-' || w.position;

CREATE TABLE concert (
    concert_id   bigint NOT NULL DEFAULT nextval('concert_ids') PRIMARY KEY,
    title        text   NOT NULL,
    artist       text   NOT NULL,
    venue        text   NOT NULL,
    time_zone    text   NOT NULL,
    -- Local to the venue: yyyy-mm-dd, hh:mm:ss.
    concert_date text   COLLATE "C" NOT NULL,
    start_time   text   COLLATE "C" NOT NULL,
    end_time     text   COLLATE "C" NOT NULL,
    starts_at    bigint NOT NULL,
    base_price   bigint NOT NULL CONSTRAINT concert_base_price CHECK (base_price >= 0),
    opens_at     bigint NOT NULL,
    closes_at    bigint NOT NULL CONSTRAINT concert_opens_before_it_closes CHECK (opens_at < closes_at),
    -- When the sale had opened before opens_at was put off.
    opened_at    bigint,
    room_id      bigint NOT NULL REFERENCES room (room_id)
        CONSTRAINT concert_room CHECK (room_id IN (0, concert_id)),
    status       text   NOT NULL CONSTRAINT concert_status CHECK (
        status IN ('scheduled', 'closed', 'postponed', 'cancelled')),
    created_at   bigint NOT NULL,
    updated_at   bigint NOT NULL,
    ends_at      bigint NOT NULL,
    -- Whether the sale closes with the start, whenever that is, or at a moment of its own.
    closing      text   NOT NULL CONSTRAINT concert_closing CHECK (closing IN ('with_start', 'apart')),
    status_reason text,
    -- When an operator asked for all refunds, and when nothing was left to wind up.
    refund_all_at bigint CONSTRAINT concert_refund_all CHECK (refund_all_at IS NULL OR status = 'cancelled'),
    wound_up_at   bigint CONSTRAINT concert_wound_up CHECK (wound_up_at IS NULL OR status = 'cancelled'),
    CONSTRAINT concert_starts_before_it_ends CHECK (starts_at < ends_at),
    CONSTRAINT concert_closes_with_start CHECK (closing <> 'with_start' OR closes_at = starts_at)
);

-- The list of concerts.
CREATE INDEX concert_by_start ON concert (starts_at, concert_id);
CREATE INDEX concert_to_wind_up ON concert (concert_id) WHERE status = 'cancelled' AND wound_up_at IS NULL;

-- What buyers read of a concert: apart from its row, which every hold loads. Changed under the lock on the concert.
CREATE TABLE concert_details (
    concert_id        bigint NOT NULL PRIMARY KEY REFERENCES concert (concert_id),
    description       text,
    age_rating        text CONSTRAINT details_age_rating CHECK (age_rating IN ('all', '7', '12', '15', '19')),
    running_minutes   integer CONSTRAINT details_running_minutes CHECK (running_minutes BETWEEN 1 AND 1440),
    -- How long before the start the doors open.
    doors_minutes     integer CONSTRAINT details_doors_minutes CHECK (doors_minutes BETWEEN 0 AND 1440),
    address           text,
    organiser         text,
    organiser_contact text
);

CREATE TABLE poster (
    concert_id bigint  NOT NULL PRIMARY KEY REFERENCES concert (concert_id),
    tag        text    NOT NULL CONSTRAINT poster_tag CHECK (length(tag) = 32),
    width      integer NOT NULL CONSTRAINT poster_width CHECK (width BETWEEN 1 AND 1200),
    height     integer NOT NULL CONSTRAINT poster_height CHECK (height BETWEEN 1 AND 1200),
    jpeg       bytea   NOT NULL CONSTRAINT poster_size CHECK (octet_length(jpeg) BETWEEN 1 AND 2097152)
);

CREATE TABLE seat (
    seat_id        bigint  NOT NULL DEFAULT nextval('seat_ids') PRIMARY KEY,
    concert_id     bigint  NOT NULL REFERENCES concert (concert_id),
    seat_number    integer NOT NULL CONSTRAINT seat_number_from_one CHECK (seat_number >= 1),
    price          bigint  NOT NULL CONSTRAINT seat_price CHECK (price >= 0),
    status         text    NOT NULL CONSTRAINT seat_status CHECK (status IN ('available', 'held', 'sold', 'blocked')),
    -- The reservation that has the seat. No foreign key: the two tables would reference each other.
    reservation_id bigint  CONSTRAINT seat_reservation CHECK (
        (reservation_id IS NOT NULL) = (status IN ('held', 'sold'))),
    blocked_reason text,
    section        text    NOT NULL,
    "row"          text    NOT NULL,
    -- The printed label. seat_number is the seat's rank among all.
    number         text    NOT NULL,
    grade          text    NOT NULL,
    created_at     bigint  NOT NULL,
    updated_at     bigint  NOT NULL,
    -- The user who gave the seat up or let its hold end last, if it is free since, and when.
    let_go_by      uuid,
    let_go_at      bigint  CONSTRAINT seat_let_go CHECK ((let_go_at IS NULL) = (let_go_by IS NULL)),
    -- Whether a reservation has ever named it.
    was_held       boolean NOT NULL DEFAULT false,
    CONSTRAINT seat_number_unique UNIQUE (concert_id, seat_number),
    CONSTRAINT seat_place_unique UNIQUE (concert_id, section, "row", number)
) WITH (fillfactor = 50);

CREATE TRIGGER seat_stays BEFORE TRUNCATE OR UPDATE OF seat_id, concert_id ON seat EXECUTE FUNCTION stays();
-- A seat that was never held may be removed: a hold and a removal both lock its row.
CREATE TRIGGER seat_stays_once_held BEFORE DELETE ON seat FOR EACH ROW WHEN (OLD.was_held) EXECUTE FUNCTION stays();

CREATE TABLE reservation (
    reservation_id bigint  NOT NULL DEFAULT nextval('reservation_ids') PRIMARY KEY,
    user_id        uuid    NOT NULL, -- "user"
    concert_id     bigint  NOT NULL, -- concert, the seat's
    seat_id        bigint  NOT NULL, -- seat
    seat_number    integer NOT NULL,
    price          bigint  NOT NULL CONSTRAINT reservation_price CHECK (price >= 0),
    status         text    NOT NULL CONSTRAINT reservation_status CHECK (
        status IN ('pending', 'confirmed', 'cancelled', 'expired', 'refunded')),
    created_at     bigint  NOT NULL,
    expires_at     bigint  NOT NULL,
    confirmed_at   bigint  CONSTRAINT reservation_confirmed_at CHECK (
        (confirmed_at IS NOT NULL) = (status IN ('confirmed', 'refunded'))),
    closed_at      bigint  CONSTRAINT reservation_closed_at CHECK (
        (closed_at IS NULL) = (status IN ('pending', 'confirmed'))),
    -- How it ended, none before: an index may use this column where it must not use `status`.
    ended_as       text    GENERATED ALWAYS AS (CASE WHEN closed_at IS NOT NULL THEN status END) STORED
) WITH (fillfactor = 45); -- a paid one is a little longer

-- No index here uses `status` or `confirmed_at`, not even in a condition: a payment changes these two, and so
-- writes one row and no index.
--
-- A live reservation is one without an end. Each index has a condition of its own, which one query repeats: a
-- server without statistics would expect any index of all live ones to be short, and scan it.
CREATE UNIQUE INDEX one_live_reservation_per_seat ON reservation (seat_id) WHERE coalesce(closed_at, -1) = -1;
-- The live ones by their holds' ends, the paid ones among them: the search for pending ones remembers up to
-- which end all are decided.
CREATE INDEX reservation_by_expiry ON reservation (expires_at, reservation_id) WHERE coalesce(closed_at, -2) = -2;
-- A user's reservations, newest first: the live ones, which a hold looks at, apart from those that ended, so that a long
-- history costs a hold nothing and each query finds one index. A reservation stands in one of the two. The sum keeps the
-- lists from the primary key.
CREATE INDEX reservation_live_of_user ON reservation (user_id, (reservation_id + 0)) WHERE closed_at IS NULL;
CREATE INDEX reservation_ended_of_user ON reservation (user_id, (reservation_id + 0)) WHERE closed_at IS NOT NULL;
-- A concert's reservations, newest first.
CREATE INDEX reservation_by_concert ON reservation (concert_id, (reservation_id + 0));
-- Those that ended in the same way, newest first. Written once, when a reservation ends.
CREATE INDEX reservation_ended ON reservation (ended_as, (reservation_id + 0)) WHERE ended_as IS NOT NULL;

CREATE FUNCTION reservation_refers() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added AS n WHERE (SELECT true FROM "user" AS u WHERE u.user_id = n.user_id) IS NULL
        OR (SELECT s.concert_id FROM seat AS s WHERE s.seat_id = n.seat_id) IS DISTINCT FROM n.concert_id
    ) THEN
        RAISE EXCEPTION 'a reservation refers to no user or seat' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER reservation_refers AFTER INSERT ON reservation REFERENCING NEW TABLE AS added
EXECUTE FUNCTION reservation_refers();
CREATE TRIGGER reservation_stays BEFORE TRUNCATE OR UPDATE OF reservation_id, user_id, concert_id, seat_id ON reservation
EXECUTE FUNCTION stays();
CREATE TRIGGER reservation_stays_live_or_paid BEFORE DELETE ON reservation FOR EACH ROW
WHEN (OLD.closed_at IS NULL OR OLD.confirmed_at IS NOT NULL) EXECUTE FUNCTION stays();

CREATE TABLE payment (
    payment_id     bigint NOT NULL DEFAULT nextval('payment_ids') PRIMARY KEY,
    user_id        uuid   NOT NULL, -- "user", the reservation's
    -- reservation. It is paid once or never: a refunded one cannot be paid again.
    reservation_id bigint NOT NULL CONSTRAINT one_payment_per_reservation UNIQUE,
    amount         bigint NOT NULL CONSTRAINT payment_amount CHECK (amount >= 0),
    status         text   NOT NULL CONSTRAINT payment_status CHECK (status IN ('completed', 'refunded')),
    paid_at        bigint NOT NULL,
    refunded_at    bigint CONSTRAINT payment_refunded_at CHECK ((refunded_at IS NOT NULL) = (status = 'refunded')),
    created_at     bigint NOT NULL
);

CREATE INDEX payment_by_user ON payment (user_id, (payment_id + 0));
-- The refunded ones, newest first. A payment does not write it, a refund does.
CREATE INDEX payment_refunded ON payment ((payment_id + 0)) WHERE status = 'refunded';

CREATE FUNCTION payment_refers() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added AS n WHERE (
            SELECT r.user_id FROM reservation AS r WHERE r.reservation_id = n.reservation_id
        ) IS DISTINCT FROM n.user_id
    ) THEN
        RAISE EXCEPTION 'a payment refers to no reservation of its user' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER payment_refers AFTER INSERT ON payment REFERENCING NEW TABLE AS added
EXECUTE FUNCTION payment_refers();
CREATE TRIGGER payment_stays BEFORE DELETE OR TRUNCATE OR UPDATE OF payment_id, user_id, reservation_id ON payment
EXECUTE FUNCTION stays();

CREATE TABLE point (
    point_id     bigint NOT NULL DEFAULT nextval('point_ids') PRIMARY KEY,
    user_id      uuid   NOT NULL CONSTRAINT one_account_per_user UNIQUE REFERENCES "user" (user_id),
    amount       bigint NOT NULL CONSTRAINT balance_is_not_negative CHECK (amount >= 0),
    version      bigint NOT NULL CONSTRAINT point_version CHECK (version >= 1),
    last_updated bigint NOT NULL,
    created_at   bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TRIGGER point_stays BEFORE DELETE OR TRUNCATE OR UPDATE OF user_id ON point EXECUTE FUNCTION stays();

CREATE TABLE point_history (
    history_id    bigint NOT NULL DEFAULT nextval('history_ids') PRIMARY KEY,
    user_id       uuid   NOT NULL, -- point, and with it "user"
    amount        bigint NOT NULL,
    type          text   NOT NULL CONSTRAINT history_type CHECK (
        type IN ('use', 'top_up', 'refund', 'adjustment')),
    description   text   NOT NULL,
    balance_after bigint NOT NULL CONSTRAINT history_balance_is_not_negative CHECK (balance_after >= 0),
    version       bigint NOT NULL CONSTRAINT history_version CHECK (version >= 1),
    payment_id    bigint -- payment
        CONSTRAINT history_payment CHECK ((payment_id IS NULL) = (type IN ('top_up', 'adjustment'))),
    reference     text,
    created_at    bigint NOT NULL,
    CONSTRAINT history_sign CHECK (amount <> 0 AND (type = 'adjustment' OR (amount < 0) = (type = 'use'))),
    CONSTRAINT one_entry_per_version UNIQUE (user_id, version)
);

CREATE UNIQUE INDEX one_entry_per_payment_and_type ON point_history (payment_id, type) WHERE payment_id IS NOT NULL;
-- A top-up and an adjustment each write one of the two.
CREATE UNIQUE INDEX one_top_up_per_reference ON point_history (reference)
    WHERE type = 'top_up' AND reference IS NOT NULL;
CREATE UNIQUE INDEX one_adjustment_per_reference ON point_history (reference, user_id)
    WHERE type = 'adjustment' AND reference IS NOT NULL;

CREATE FUNCTION history_refers() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (
        SELECT FROM added AS n WHERE (SELECT true FROM point AS a WHERE a.user_id = n.user_id) IS NULL
        OR (n.payment_id IS NOT NULL
            AND (SELECT p.user_id FROM payment AS p WHERE p.payment_id = n.payment_id) IS DISTINCT FROM n.user_id)
    ) THEN
        RAISE EXCEPTION 'an entry refers to no account or payment' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER history_refers AFTER INSERT ON point_history REFERENCING NEW TABLE AS added
EXECUTE FUNCTION history_refers();
CREATE TRIGGER point_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON point_history
EXECUTE FUNCTION is_append_only();

-- The rests of adjustments that could not be taken, because a balance is never below zero.
CREATE TABLE debt (
    debt_id    bigint NOT NULL DEFAULT nextval('debt_ids') PRIMARY KEY,
    user_id    uuid   NOT NULL REFERENCES "user" (user_id),
    amount     bigint NOT NULL CONSTRAINT debt_amount CHECK (amount > 0),
    reason     text   NOT NULL,
    reference  text   NOT NULL,
    status     text   NOT NULL CONSTRAINT debt_status CHECK (status IN ('open', 'collected', 'waived')),
    created_at bigint NOT NULL,
    settled_at bigint CONSTRAINT debt_settled_at CHECK ((settled_at IS NULL) = (status = 'open')),
    CONSTRAINT one_debt_per_reference UNIQUE (reference, user_id)
);

CREATE INDEX debt_of_user ON debt (user_id, (debt_id + 0));

CREATE TRIGGER debt_stays BEFORE DELETE OR TRUNCATE OR UPDATE OF debt_id, user_id, amount ON debt
EXECUTE FUNCTION stays();

-- Answers stored under idempotency keys.
CREATE TABLE idempotency (
    key         bytea  NOT NULL CONSTRAINT idempotency_key_unique PRIMARY KEY,
    fingerprint bytea  NOT NULL,
    answer      text   NOT NULL,
    created_at  bigint NOT NULL
);

-- Pruning starts with the oldest.
CREATE INDEX idempotency_by_time ON idempotency (created_at);

-- The actor has no foreign key: the log outlives all rows that it names.
CREATE TABLE audit_log (
    audit_id   bigint NOT NULL DEFAULT nextval('audit_ids') PRIMARY KEY,
    actor      uuid,
    action     text   NOT NULL,
    object     text   NOT NULL,
    detail     jsonb  NOT NULL,
    created_at bigint NOT NULL
);

-- What happened to one object, newest first.
CREATE INDEX audit_by_object ON audit_log (object, (audit_id + 0));
-- Whether there ever was an operator: the entries of the log that make one.
CREATE INDEX audit_of_operators ON audit_log (audit_id) WHERE action IN ('operator.add', 'user.role');

CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
EXECUTE FUNCTION is_append_only();

-- Events that a decision emits, until they are delivered. An id is never given twice: a consumer tells by it whether it
-- had the event before. Few rows that come and go.
CREATE TABLE outbox (
    event_id   bigint  NOT NULL DEFAULT nextval('event_ids') PRIMARY KEY,
    consumer   text    NOT NULL,
    payload    jsonb   NOT NULL,
    created_at bigint  NOT NULL,
    due_at     bigint,
    dead_at    bigint,
    attempts   integer NOT NULL CONSTRAINT outbox_attempts CHECK (attempts >= 0),
    last_error text,
    CONSTRAINT outbox_is_due_or_dead CHECK ((due_at IS NULL) <> (dead_at IS NULL))
);

CREATE INDEX outbox_due ON outbox (consumer, due_at, (event_id + 0)) WHERE due_at IS NOT NULL;
CREATE INDEX outbox_dead ON outbox ((event_id + 0)) WHERE dead_at IS NOT NULL;

-- The instance that delivers a consumer's events, while it does.
CREATE TABLE outbox_lease (
    consumer text NOT NULL PRIMARY KEY,
    holder   uuid,
    until    bigint,
    CONSTRAINT outbox_lease_has_an_end CHECK ((holder IS NULL) = (until IS NULL))
);

-- The feed of the audit log: an entry's number is given after the entry is saved, one transaction after the other, so
-- readers miss none.
CREATE TABLE audit_feed (
    feed_number bigint NOT NULL CONSTRAINT audit_feed_number CHECK (feed_number >= 1) PRIMARY KEY,
    audit_id    bigint NOT NULL CONSTRAINT one_place_per_entry UNIQUE REFERENCES audit_log (audit_id)
);

CREATE TRIGGER audit_feed_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_feed
EXECUTE FUNCTION is_append_only();
