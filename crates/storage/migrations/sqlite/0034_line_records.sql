-- What the leader of a line has measured and told, for the next start. Nothing is decided by it.
CREATE TABLE line_record (
    room_id  INTEGER NOT NULL PRIMARY KEY REFERENCES room (room_id),
    epoch    INTEGER NOT NULL,
    saved_at INTEGER NOT NULL,
    -- In a form that its first byte tells.
    record   BLOB NOT NULL CONSTRAINT line_record_size CHECK (length(record) BETWEEN 1 AND 524288)
) STRICT;

CREATE INDEX line_record_by_time ON line_record (saved_at);
