-- How a line begins: in order of coming, or with the draw of a lobby, and how far that is.
ALTER TABLE room ADD COLUMN draw_phase TEXT NOT NULL DEFAULT 'none' CONSTRAINT room_draw_phase CHECK (
    draw_phase = 'none' OR draw_phase = 'lobby' OR draw_phase = 'sealed' OR draw_phase = 'placing'
    OR draw_phase = 'placed');
-- The highest position that was given before the lobby was sealed, how many entries were drawn, how many of them have
-- their places, and the last of these.
ALTER TABLE room ADD COLUMN draw_last INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_draw_last CHECK (draw_last >= 0);
ALTER TABLE room ADD COLUMN draw_entries INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_draw_entries CHECK (
    draw_entries BETWEEN 0 AND draw_last);
ALTER TABLE room ADD COLUMN draw_placed INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_draw_placed CHECK (
    draw_placed BETWEEN 0 AND draw_entries);
ALTER TABLE room ADD COLUMN draw_placed_entry INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_draw_placed_entry CHECK (
    draw_placed_entry BETWEEN 0 AND draw_last);

-- The draws of lobbies.
CREATE TABLE draw (
    room_id         INTEGER NOT NULL PRIMARY KEY REFERENCES room (room_id),
    -- Published after the draw; its hash before.
    secret          BLOB NOT NULL CONSTRAINT draw_secret_has_32_bytes CHECK (length(secret) = 32),
    begun_at        INTEGER NOT NULL,
    -- The chain of the beacon, and for how many microseconds the draw waits for its round.
    chain_hash      BLOB NOT NULL CONSTRAINT draw_chain_hash_has_32_bytes CHECK (length(chain_hash) = 32),
    chain_key       BLOB NOT NULL CONSTRAINT draw_chain_key_has_96_bytes CHECK (length(chain_key) = 96),
    chain_genesis   INTEGER NOT NULL CONSTRAINT draw_chain_genesis CHECK (chain_genesis >= 0),
    chain_period    INTEGER NOT NULL CONSTRAINT draw_chain_period CHECK (chain_period > 0),
    patience        INTEGER NOT NULL CONSTRAINT draw_patience CHECK (patience >= 0),
    -- When the entries were fixed; the entries, a bit for each position; the root of their tree; the beacon's round.
    sealed_at       INTEGER,
    entered         BLOB CONSTRAINT draw_entered CHECK ((entered IS NULL) = (sealed_at IS NULL)),
    root            BLOB CONSTRAINT draw_root_has_32_bytes CHECK (
        (root IS NULL) = (sealed_at IS NULL) AND coalesce(length(root), 32) = 32),
    round           INTEGER CONSTRAINT draw_round CHECK ((round IS NULL) = (sealed_at IS NULL)),
    -- When the order was drawn; the round's signature, if that was handed in; the seed.
    drawn_at        INTEGER CONSTRAINT draw_drawn_at CHECK (drawn_at IS NULL OR sealed_at IS NOT NULL),
    signature       BLOB CONSTRAINT draw_signature_has_48_bytes CHECK (
        signature IS NULL OR (drawn_at IS NOT NULL AND length(signature) = 48)),
    seed            BLOB CONSTRAINT draw_seed_has_32_bytes CHECK (
        (seed IS NULL) = (drawn_at IS NULL) AND coalesce(length(seed), 32) = 32)
) STRICT;

-- An entry's token ends when the draw gives its user another. The list of reasons is in a constraint, which only a new
-- table can change.
CREATE TABLE waiting_token_new (
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
        end_reason = 'paid' OR end_reason = 'left' OR end_reason = 'expired' OR end_reason = 'missed'
        OR end_reason = 'concert_over' OR end_reason = 'drawn'),
    turns_passed INTEGER NOT NULL DEFAULT 0 CONSTRAINT token_turns_passed CHECK (turns_passed >= 0),
    holds        INTEGER NOT NULL DEFAULT 0 CONSTRAINT token_holds CHECK (holds >= 0),
    token        TEXT GENERATED ALWAYS AS (room_id || '-' || position) VIRTUAL,
    claimed_at   INTEGER CONSTRAINT token_claimed_at CHECK (claimed_at IS NULL OR status = 'offered'),
    PRIMARY KEY (room_id, position)
) STRICT, WITHOUT ROWID;

INSERT INTO waiting_token_new (room_id, position, user_id, status, issued_at, activated_at, deadline, expired_at,
    end_reason, turns_passed, holds, claimed_at)
SELECT room_id, position, user_id, status, issued_at, activated_at, deadline, expired_at, end_reason, turns_passed,
    holds, claimed_at
FROM waiting_token;
DROP TABLE waiting_token;
ALTER TABLE waiting_token_new RENAME TO waiting_token;

CREATE UNIQUE INDEX one_live_token_per_user_and_room ON waiting_token (user_id, room_id) WHERE status <> 'ended';
CREATE INDEX token_in_line ON waiting_token (room_id, position) WHERE status = 'waiting';
CREATE INDEX token_by_deadline ON waiting_token (room_id, status, deadline) WHERE deadline IS NOT NULL;
CREATE INDEX token_claimed ON waiting_token (room_id, claimed_at, position) WHERE claimed_at IS NOT NULL;
