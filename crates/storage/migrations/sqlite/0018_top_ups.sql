-- What a user adds to a balance is a top-up.
--
-- The list of types is in a constraint, which only a new table can change.
CREATE TABLE point_history_new (
    history_id    INTEGER NOT NULL PRIMARY KEY,
    user_id       BLOB NOT NULL REFERENCES "user" (user_id),
    amount        INTEGER NOT NULL,
    type          TEXT NOT NULL CONSTRAINT history_type CHECK (
        type = 'use' OR type = 'top_up' OR type = 'refund' OR type = 'adjustment'),
    description   TEXT NOT NULL,
    balance_after INTEGER NOT NULL CONSTRAINT history_balance_is_not_negative CHECK (balance_after >= 0),
    version       INTEGER NOT NULL CONSTRAINT history_version CHECK (version >= 1),
    payment_id    INTEGER REFERENCES payment (payment_id)
        CONSTRAINT history_payment CHECK ((payment_id IS NULL) = (type = 'top_up' OR type = 'adjustment')),
    reference     TEXT,
    created_at    INTEGER NOT NULL,
    CONSTRAINT history_sign CHECK (amount <> 0 AND (type = 'adjustment' OR (amount < 0) = (type = 'use'))),
    CONSTRAINT one_entry_per_version UNIQUE (user_id, version)
) STRICT;

INSERT INTO point_history_new (history_id, user_id, amount, type, description, balance_after, version, payment_id,
    reference, created_at)
SELECT history_id, user_id, amount,
    CASE type WHEN 'charge' THEN 'top_up' ELSE type END,
    CASE WHEN type = 'charge' AND description = 'charge' THEN 'top-up' ELSE description END,
    balance_after, version, payment_id, reference, created_at
FROM point_history;
DROP TABLE point_history;
ALTER TABLE point_history_new RENAME TO point_history;

CREATE UNIQUE INDEX one_entry_per_payment_and_type ON point_history (payment_id, type) WHERE payment_id IS NOT NULL;
-- A top-up and an adjustment each write one of the two.
CREATE UNIQUE INDEX one_top_up_per_reference ON point_history (reference)
    WHERE type = 'top_up' AND reference IS NOT NULL;
CREATE UNIQUE INDEX one_adjustment_per_reference ON point_history (user_id, reference)
    WHERE type = 'adjustment' AND reference IS NOT NULL;

CREATE TRIGGER point_history_is_not_updated BEFORE UPDATE ON point_history
BEGIN SELECT raise(ABORT, 'point_history is append-only'); END;
CREATE TRIGGER point_history_is_not_deleted BEFORE DELETE ON point_history
BEGIN SELECT raise(ABORT, 'point_history is append-only'); END;
