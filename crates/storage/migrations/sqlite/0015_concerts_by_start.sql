-- Concerts are listed in the order in which they start.
CREATE INDEX concert_by_start ON concert (starts_at, concert_id);
