-- When the sale had opened before opens_at was put off.
ALTER TABLE concert ADD COLUMN opened_at INTEGER;

-- A sale that had opened, though its opening is still to come, was put off since. Its first hold says when it was open.
UPDATE concert SET opened_at = (
    SELECT min(reservation.created_at) FROM seat JOIN reservation ON reservation.seat_id = seat.seat_id
    WHERE seat.concert_id = concert.concert_id)
WHERE room_id = 0 AND opens_at > (SELECT high_water FROM clock);
