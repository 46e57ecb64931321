-- A room may stand in front of another site, without a concert.
ALTER TABLE room ADD COLUMN site_name TEXT;
ALTER TABLE room ADD COLUMN turn_url TEXT CONSTRAINT room_site CHECK (
    (room_id > 1000000000) = (site_name IS NOT NULL) AND (site_name IS NULL) = (turn_url IS NULL));
