-- Corrections and debts are found by their references, too: the index that keeps a user's corrections apart begins with
-- the reference, and debts get an index of their own.
DROP INDEX one_adjustment_per_reference;
CREATE UNIQUE INDEX one_adjustment_per_reference ON point_history (reference, user_id)
    WHERE type = 'adjustment' AND reference IS NOT NULL;
CREATE INDEX debt_of_reference ON debt (reference, user_id);
