-- The deadline that an offered or active token gets back if its client is heard of, after that has gone away.
ALTER TABLE waiting_token ADD COLUMN back_until INTEGER CONSTRAINT token_back_until CHECK (
    back_until IS NULL OR (status IN ('offered', 'active') AND back_until > deadline));

-- What became of all tokens of a room, also of those whose rows are removed. Of a line that has begun, the tokens whose
-- rows are there are counted, and what was the most is not known.
ALTER TABLE room ADD COLUMN count_admitted INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_count_admitted CHECK (count_admitted >= 0);
ALTER TABLE room ADD COLUMN count_turns_passed INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_count_turns_passed CHECK (count_turns_passed >= 0);
ALTER TABLE room ADD COLUMN count_paid INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_count_paid CHECK (count_paid >= 0);
ALTER TABLE room ADD COLUMN count_left INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_count_left CHECK (count_left >= 0);
ALTER TABLE room ADD COLUMN count_expired INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_count_expired CHECK (count_expired >= 0);
ALTER TABLE room ADD COLUMN count_missed_out INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_count_missed_out CHECK (count_missed_out >= 0);
ALTER TABLE room ADD COLUMN count_drawn INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_count_drawn CHECK (count_drawn >= 0);
ALTER TABLE room ADD COLUMN count_removed INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_count_removed CHECK (count_removed >= 0);
ALTER TABLE room ADD COLUMN count_closed INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_count_closed CHECK (count_closed >= 0);
ALTER TABLE room ADD COLUMN peak_passed_over INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_peak_passed_over CHECK (peak_passed_over >= 0);
ALTER TABLE room ADD COLUMN peak_active INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_peak_active CHECK (peak_active >= 0);
ALTER TABLE room ADD COLUMN peak_cap INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_peak_cap CHECK (peak_cap >= 0);
ALTER TABLE room ADD COLUMN peak_overshoot INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_peak_overshoot CHECK (peak_overshoot >= 0);
UPDATE room SET (count_admitted, count_turns_passed, count_paid, count_left, count_expired, count_missed_out, count_drawn, count_removed, count_closed) = (
    SELECT count(activated_at), coalesce(sum(turns_passed), 0),
        count(*) FILTER (WHERE end_reason = 'paid'),
        count(*) FILTER (WHERE end_reason = 'left'),
        count(*) FILTER (WHERE end_reason = 'expired'),
        count(*) FILTER (WHERE end_reason = 'missed'),
        count(*) FILTER (WHERE end_reason = 'drawn'),
        count(*) FILTER (WHERE end_reason = 'removed'),
        count(*) FILTER (WHERE end_reason IN ('concert_over', 'room_closed'))
    FROM waiting_token WHERE waiting_token.room_id = room.room_id);
ALTER TABLE room ADD COLUMN counted_from TEXT NOT NULL DEFAULT 'start' CONSTRAINT room_counted_from CHECK (
    counted_from IN ('start', 'later'));
UPDATE room SET counted_from = 'later' WHERE last_position > 0;
