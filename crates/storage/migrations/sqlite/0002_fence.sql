-- The number of the leader that moved the line last.
ALTER TABLE room ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
