-- Events that a decision emits, until they are delivered. An id is never given twice: a consumer tells by it whether it
-- had the event before.
CREATE TABLE outbox (
    event_id   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    consumer   TEXT NOT NULL,
    payload    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    due_at     INTEGER,
    dead_at    INTEGER,
    attempts   INTEGER NOT NULL CONSTRAINT outbox_attempts CHECK (attempts >= 0),
    last_error TEXT,
    CONSTRAINT outbox_is_due_or_dead CHECK ((due_at IS NULL) <> (dead_at IS NULL))
) STRICT;

CREATE INDEX outbox_due ON outbox (consumer, due_at, event_id);
CREATE INDEX outbox_dead ON outbox (event_id) WHERE dead_at IS NOT NULL;

-- The process that delivers a consumer's events, while it does.
CREATE TABLE outbox_lease (
    consumer TEXT NOT NULL PRIMARY KEY,
    holder   BLOB,
    until    INTEGER,
    CONSTRAINT outbox_lease_has_an_end CHECK ((holder IS NULL) = (until IS NULL))
) STRICT;

-- The feed of the audit log: an entry's number is given after the entry is saved, so readers miss none.
CREATE TABLE audit_feed (
    feed_number INTEGER NOT NULL PRIMARY KEY CONSTRAINT audit_feed_number CHECK (feed_number >= 1),
    audit_id    INTEGER NOT NULL CONSTRAINT one_place_per_entry UNIQUE REFERENCES audit_log (audit_id)
) STRICT;

CREATE TRIGGER audit_feed_is_not_updated BEFORE UPDATE ON audit_feed
BEGIN SELECT raise(ABORT, 'audit_feed is append-only'); END;
CREATE TRIGGER audit_feed_is_not_deleted BEFORE DELETE ON audit_feed
BEGIN SELECT raise(ABORT, 'audit_feed is append-only'); END;

INSERT INTO audit_feed (feed_number, audit_id) SELECT row_number() OVER (ORDER BY audit_id), audit_id FROM audit_log;
