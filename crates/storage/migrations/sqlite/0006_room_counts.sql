-- How many tokens of a room are active and offered. Kept with every change, so that nothing counts them.
ALTER TABLE room ADD COLUMN active INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_active CHECK (active >= 0);
ALTER TABLE room ADD COLUMN offered INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_offered CHECK (offered >= 0);
UPDATE room SET
    active = (SELECT count(*) FROM waiting_token AS t WHERE t.room_id = room.room_id AND t.status = 'active'),
    offered = (SELECT count(*) FROM waiting_token AS t WHERE t.room_id = room.room_id AND t.status = 'offered');
