-- The highest id that a seat was ever given, and no other seat gets: one that is removed stays on door lists and in the
-- audit log. Written when seats are added.
CREATE TABLE seat_ids (
    id      INTEGER NOT NULL PRIMARY KEY CONSTRAINT seat_ids_is_one_row CHECK (id = 1),
    highest INTEGER NOT NULL
) STRICT;

INSERT INTO seat_ids (id, highest) VALUES (1, max(
    (SELECT coalesce(max(seat_id), 0) FROM seat),
    (SELECT coalesce(max(json_extract(detail, '$.first_seat_id') + json_extract(detail, '$.count') - 1), 0)
        FROM audit_log WHERE action = 'seats.add')));
