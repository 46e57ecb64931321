-- Accounts can be locked and erased, and all sessions of a user end together.
ALTER TABLE "user" ADD COLUMN status TEXT NOT NULL DEFAULT 'active' CONSTRAINT user_status CHECK (
    status = 'active' OR status = 'locked' OR status = 'erased');
-- How often all sessions of the user were ended: what was proved before that proves nothing after it.
ALTER TABLE "user" ADD COLUMN sign_in_epoch INTEGER NOT NULL DEFAULT 0;

-- A way back into an account without its password; one for a user at most.
CREATE TABLE reset_link (
    user_id     BLOB NOT NULL PRIMARY KEY REFERENCES "user" (user_id),
    secret_hash BLOB NOT NULL CONSTRAINT reset_link_hash_is_sha256 CHECK (length(secret_hash) = 32),
    epoch       INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX session_by_user ON session (user_id);
