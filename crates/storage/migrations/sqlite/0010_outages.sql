-- When a server that serves last noted that it works; none before the first has.
ALTER TABLE clock ADD COLUMN alive_at INTEGER;

-- Times in which nothing could be decided, and by how much each lengthened what was live when it began.
CREATE TABLE outage (
    from_at INTEGER NOT NULL PRIMARY KEY,
    to_at   INTEGER NOT NULL CONSTRAINT outage_ends_after_it_began CHECK (to_at > from_at),
    grace   INTEGER NOT NULL CONSTRAINT outage_grace CHECK (grace > 0)
) STRICT;
