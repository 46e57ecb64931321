-- A concert may be postponed or cancelled, and its sale closes with its start unless that was set apart.
--
-- A list of words cannot be altered: the status moves to a new column, which takes over the name of the old one.
ALTER TABLE concert ADD COLUMN new_status TEXT NOT NULL DEFAULT 'scheduled' CONSTRAINT concert_status CHECK (
    new_status = 'scheduled' OR new_status = 'closed' OR new_status = 'postponed' OR new_status = 'cancelled');
UPDATE concert SET new_status = status;
ALTER TABLE concert DROP COLUMN status;
ALTER TABLE concert RENAME COLUMN new_status TO status;

-- As long as the venue's clock says from the start to the end; a change of the clock in between is left out.
ALTER TABLE concert ADD COLUMN ends_at INTEGER NOT NULL DEFAULT 9223372036854775807
    CONSTRAINT concert_starts_before_it_ends CHECK (starts_at < ends_at);
UPDATE concert SET ends_at = starts_at + 1000000
    * (unixepoch('2000-01-01 ' || end_time) - unixepoch('2000-01-01 ' || start_time)
       + CASE WHEN end_time > start_time THEN 0 ELSE 86400 END);

-- Nothing is sold beyond the end.
UPDATE room SET closes_at = min(room.closes_at, concert.ends_at)
FROM concert WHERE concert.room_id = room.room_id AND room.room_id <> 0;

ALTER TABLE concert ADD COLUMN closing TEXT NOT NULL DEFAULT 'apart'
    CONSTRAINT concert_closing CHECK (closing IN ('with_start', 'apart'))
    CONSTRAINT concert_closes_with_start CHECK (closing <> 'with_start' OR closes_at = starts_at);
UPDATE concert SET closing = 'with_start' WHERE closes_at = starts_at;

ALTER TABLE concert ADD COLUMN status_reason TEXT;
-- When an operator asked for every payment to be given back, and when nothing was left to do.
ALTER TABLE concert ADD COLUMN refund_all_at INTEGER
    CONSTRAINT concert_refund_all CHECK (refund_all_at IS NULL OR status = 'cancelled');
ALTER TABLE concert ADD COLUMN wound_up_at INTEGER
    CONSTRAINT concert_wound_up CHECK (wound_up_at IS NULL OR status = 'cancelled');
CREATE INDEX concert_to_wind_up ON concert (concert_id) WHERE status = 'cancelled' AND wound_up_at IS NULL;
