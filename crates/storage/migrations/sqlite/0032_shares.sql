-- The budget of the house, what a room has of it, and what a line shares with its lanes.
ALTER TABLE room ADD COLUMN weight INTEGER NOT NULL DEFAULT 1 CONSTRAINT room_weight CHECK (weight BETWEEN 1 AND 100);
ALTER TABLE room ADD COLUMN house_budget INTEGER CONSTRAINT room_house_budget CHECK (
    house_budget IS NULL OR (room_id = 0 AND house_budget > 0));
ALTER TABLE room ADD COLUMN allotment INTEGER CONSTRAINT room_allotment CHECK (allotment >= 0);
ALTER TABLE room ADD COLUMN rate_share INTEGER CONSTRAINT room_rate_share CHECK (rate_share >= 0);
ALTER TABLE room ADD COLUMN allotted_at INTEGER NOT NULL DEFAULT 0;
-- When the places of the house were last shared by its budget.
ALTER TABLE room ADD COLUMN shared_at INTEGER CONSTRAINT room_shared_at CHECK (shared_at IS NULL OR room_id = 0);

-- A room above 2,000,000,000 is a lane beside the line of another: it has a site if that one does. The rule for sites was
-- in the constraint of turn_url, which goes with its column.
ALTER TABLE room ADD COLUMN site_url TEXT;
UPDATE room SET site_url = turn_url WHERE turn_url IS NOT NULL;
ALTER TABLE room DROP COLUMN turn_url;
ALTER TABLE room RENAME COLUMN site_url TO turn_url;
ALTER TABLE room ADD COLUMN lane_share INTEGER CONSTRAINT room_site CHECK (
    (site_name IS NULL) = (turn_url IS NULL) AND (room_id > 1000000000 OR site_name IS NULL)
    AND (room_id NOT BETWEEN 1000000001 AND 2000000000 OR site_name IS NOT NULL));
ALTER TABLE room ADD COLUMN lane_entry TEXT CONSTRAINT room_lane CHECK (
    (room_id > 2000000000) = (lane_share IS NOT NULL) AND (lane_share IS NULL) = (lane_entry IS NULL)
    AND (lane_share IS NULL OR lane_share BETWEEN 1 AND 50)
    AND (lane_entry IS NULL OR lane_entry = 'open' OR lane_entry = 'ended'));

-- Accounts that may join a lane.
CREATE TABLE lane_guest (
    user_id  BLOB NOT NULL REFERENCES "user" (user_id),
    room_id  INTEGER NOT NULL REFERENCES room (room_id) CONSTRAINT lane_guest_room CHECK (room_id > 2000000000),
    -- The operator; none for the box office itself.
    added_by BLOB,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, room_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_guest_of_lane ON lane_guest (room_id, user_id);
