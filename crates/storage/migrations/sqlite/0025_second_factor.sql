-- Second factors of operators and viewers: codes of an authenticator app.
CREATE TABLE second_factor (
    user_id      BLOB NOT NULL PRIMARY KEY REFERENCES "user" (user_id),
    -- Shared with the app; none if the user does not want to be asked for a second factor.
    secret       BLOB CONSTRAINT second_factor_secret_has_20_bytes CHECK (length(secret) = 20),
    -- Since when it is in force; none before a code proved that the app has the secret.
    confirmed_at INTEGER CONSTRAINT second_factor_confirmed CHECK (confirmed_at IS NULL OR secret IS NOT NULL),
    -- The step of the last code that was used.
    last_step    INTEGER NOT NULL,
    -- SHA-256 of each recovery code that was not used, one after the other.
    recovery     BLOB NOT NULL CONSTRAINT second_factor_recovery CHECK (
        length(recovery) % 32 = 0 AND length(recovery) <= 320),
    -- Wrong codes since the last right one, and when the last of them came.
    wrong_codes  INTEGER NOT NULL CONSTRAINT second_factor_wrong_codes CHECK (wrong_codes >= 0),
    wrong_at     INTEGER,
    updated_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whether there is an operator is asked at every start.
CREATE INDEX user_operators ON "user" (user_id) WHERE role = 'operator';
