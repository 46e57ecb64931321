-- Users whom operators keep out of a line.
CREATE TABLE line_block (
    user_id    BLOB NOT NULL REFERENCES "user" (user_id),
    room_id    INTEGER NOT NULL REFERENCES room (room_id),
    reason     TEXT NOT NULL CONSTRAINT line_block_reason CHECK (reason <> ''),
    -- The operator; none for the box office itself.
    blocked_by BLOB,
    since      INTEGER NOT NULL,
    -- None for until an operator lifts it.
    until      INTEGER CONSTRAINT line_block_until CHECK (until > since),
    PRIMARY KEY (user_id, room_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX line_block_of_room ON line_block (room_id, user_id);
CREATE INDEX line_block_by_end ON line_block (until) WHERE until IS NOT NULL;

-- A token may end because an operator removed its user or closed its room, and an entry's token because the draw gave its
-- user another. The list of reasons is in a constraint, which only a new table can change.
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
        OR end_reason = 'concert_over' OR end_reason = 'drawn' OR end_reason = 'removed'
        OR end_reason = 'room_closed'),
    turns_passed INTEGER NOT NULL DEFAULT 0 CONSTRAINT token_turns_passed CHECK (turns_passed >= 0),
    holds        INTEGER NOT NULL DEFAULT 0 CONSTRAINT token_holds CHECK (holds >= 0),
    claimed_at   INTEGER CONSTRAINT token_claimed_at CHECK (claimed_at IS NULL OR status = 'offered'),
    token        TEXT GENERATED ALWAYS AS (room_id || '-' || position) VIRTUAL,
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
