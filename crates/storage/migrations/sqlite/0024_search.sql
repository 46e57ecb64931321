-- What operators look for is found by an index: a user by the start of a name, or of the part by which people are called,
-- and the entries of the audit log about one object. An account writes the first two when it is opened, renamed or
-- erased, and the sale none of them.
CREATE INDEX user_by_name ON "user" (lower(name));
CREATE INDEX user_by_later_name ON "user" (
    lower(CASE WHEN instr(name, ' ') > 0 THEN substr(name, instr(name, ' ') + 1) ELSE substr(name, 2) END));
CREATE INDEX audit_by_object ON audit_log (object);
