-- Corrections and debts are found by their references, too. In a unique index that begins with the reference both
-- questions have their answer.
DROP INDEX one_adjustment_per_reference;
CREATE UNIQUE INDEX one_adjustment_per_reference ON point_history (reference, user_id)
    WHERE type = 'adjustment' AND reference IS NOT NULL;
CREATE INDEX debt_of_reference ON debt (reference, user_id);
