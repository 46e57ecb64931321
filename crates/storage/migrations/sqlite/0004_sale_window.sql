-- When the sale of the concert opens whose own room it is, and when that sale is over. None for the house room.
ALTER TABLE room ADD COLUMN opens_at INTEGER;
ALTER TABLE room ADD COLUMN closes_at INTEGER;
UPDATE room SET opens_at = concert.opens_at, closes_at = CASE WHEN concert.status = 'closed'
    THEN min(concert.closes_at, concert.updated_at) ELSE concert.closes_at END
FROM concert WHERE concert.room_id = room.room_id AND room.room_id <> 0;
