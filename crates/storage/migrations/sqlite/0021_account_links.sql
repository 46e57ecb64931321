-- A user sees and ends each session by itself. When an older one was opened is not known: it counts as opened now.
ALTER TABLE session ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
UPDATE session SET created_at = coalesce((SELECT high_water FROM clock), 0);
-- The program that opened it, as far as that is known.
ALTER TABLE session ADD COLUMN client TEXT;
DROP INDEX session_by_user;
CREATE INDEX session_by_user ON session (user_id, created_at);

-- When the user proved to read the letters to the e-mail address.
ALTER TABLE "user" ADD COLUMN email_confirmed_at INTEGER;

-- Links that stand for a user: one that sets a new password, and one that confirms the address, at most.
CREATE TABLE account_link (
    user_id     BLOB NOT NULL REFERENCES "user" (user_id),
    kind        TEXT NOT NULL CONSTRAINT account_link_kind CHECK (kind = 'password_reset' OR kind = 'email_confirmation'),
    secret_hash BLOB NOT NULL CONSTRAINT account_link_hash_is_sha256 CHECK (length(secret_hash) = 32),
    epoch       INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (user_id, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX account_link_by_end ON account_link (expires_at);

INSERT INTO account_link (user_id, kind, secret_hash, epoch, expires_at)
SELECT user_id, 'password_reset', secret_hash, epoch, expires_at FROM reset_link;
DROP TABLE reset_link;
