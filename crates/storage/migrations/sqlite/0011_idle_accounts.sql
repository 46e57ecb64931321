-- When a user last signed in, noted once a day at most. Of accounts from before it is not known: they count as used when
-- the box office was.
ALTER TABLE "user" ADD COLUMN signed_in_at INTEGER NOT NULL DEFAULT 0;
UPDATE "user" SET signed_in_at = max(updated_at, coalesce((SELECT high_water FROM clock), 0));
