-- A balance may be corrected, and what cannot be taken is a debt.
--
-- The list of types is in a constraint, which only a new table can change.
CREATE TABLE point_history_new (
    history_id    INTEGER NOT NULL PRIMARY KEY,
    user_id       BLOB NOT NULL REFERENCES "user" (user_id),
    amount        INTEGER NOT NULL,
    type          TEXT NOT NULL CONSTRAINT history_type CHECK (
        type = 'use' OR type = 'charge' OR type = 'refund' OR type = 'adjustment'),
    description   TEXT NOT NULL,
    balance_after INTEGER NOT NULL CONSTRAINT history_balance_is_not_negative CHECK (balance_after >= 0),
    version       INTEGER NOT NULL CONSTRAINT history_version CHECK (version >= 1),
    payment_id    INTEGER REFERENCES payment (payment_id)
        CONSTRAINT history_payment CHECK ((payment_id IS NULL) = (type = 'charge' OR type = 'adjustment')),
    reference     TEXT,
    created_at    INTEGER NOT NULL,
    CONSTRAINT history_sign CHECK (amount <> 0 AND (type = 'adjustment' OR (amount < 0) = (type = 'use'))),
    CONSTRAINT one_entry_per_version UNIQUE (user_id, version)
) STRICT;

INSERT INTO point_history_new (history_id, user_id, amount, type, description, balance_after, version, payment_id,
    reference, created_at)
SELECT history_id, user_id, amount, type, description, balance_after, version, payment_id, reference, created_at
FROM point_history;
DROP TABLE point_history;
ALTER TABLE point_history_new RENAME TO point_history;

CREATE UNIQUE INDEX one_entry_per_payment_and_type ON point_history (payment_id, type) WHERE payment_id IS NOT NULL;
-- A charge and an adjustment each write one of the two.
CREATE UNIQUE INDEX one_charge_per_reference ON point_history (reference)
    WHERE type = 'charge' AND reference IS NOT NULL;
CREATE UNIQUE INDEX one_adjustment_per_reference ON point_history (user_id, reference)
    WHERE type = 'adjustment' AND reference IS NOT NULL;

CREATE TRIGGER point_history_is_not_updated BEFORE UPDATE ON point_history
BEGIN SELECT raise(ABORT, 'point_history is append-only'); END;
CREATE TRIGGER point_history_is_not_deleted BEFORE DELETE ON point_history
BEGIN SELECT raise(ABORT, 'point_history is append-only'); END;

CREATE TABLE debt (
    debt_id    INTEGER NOT NULL PRIMARY KEY,
    user_id    BLOB NOT NULL REFERENCES "user" (user_id),
    amount     INTEGER NOT NULL CONSTRAINT debt_amount CHECK (amount > 0),
    reason     TEXT NOT NULL,
    reference  TEXT NOT NULL,
    status     TEXT NOT NULL CONSTRAINT debt_status CHECK (
        status = 'open' OR status = 'collected' OR status = 'waived'),
    created_at INTEGER NOT NULL,
    settled_at INTEGER CONSTRAINT debt_settled_at CHECK ((settled_at IS NULL) = (status = 'open')),
    CONSTRAINT one_debt_per_reference UNIQUE (user_id, reference)
) STRICT;

CREATE INDEX debt_of_user ON debt (user_id, debt_id);
CREATE INDEX debt_open ON debt (debt_id) WHERE status = 'open';

CREATE TRIGGER debt_is_not_deleted BEFORE DELETE ON debt
BEGIN SELECT raise(ABORT, 'debts are settled, not removed'); END;
