-- A viewer sees the sale and changes nothing.
--
-- A list of words cannot be altered: the role moves to a new column, which takes over the name of the old one.
ALTER TABLE "user" ADD COLUMN new_role TEXT NOT NULL DEFAULT 'buyer' CONSTRAINT user_role CHECK (
    new_role = 'buyer' OR new_role = 'operator' OR new_role = 'viewer');
UPDATE "user" SET new_role = role;
ALTER TABLE "user" DROP COLUMN role;
ALTER TABLE "user" RENAME COLUMN new_role TO role;

ALTER TABLE session ADD COLUMN new_role TEXT NOT NULL DEFAULT 'buyer' CONSTRAINT session_role CHECK (
    new_role = 'buyer' OR new_role = 'operator' OR new_role = 'viewer');
UPDATE session SET new_role = role;
ALTER TABLE session DROP COLUMN role;
ALTER TABLE session RENAME COLUMN new_role TO role;
