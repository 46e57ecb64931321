-- Seats have a printed number beside their place in the order of all, cost nothing or more, and may be removed unless they
-- were ever held.
ALTER TABLE seat ADD COLUMN number TEXT NOT NULL DEFAULT '';
UPDATE seat SET number = CAST(seat_number AS TEXT);
CREATE UNIQUE INDEX seat_place_unique ON seat (concert_id, section, "row", number);

-- Whether a reservation has ever named it.
ALTER TABLE seat ADD COLUMN was_held INTEGER NOT NULL DEFAULT 0 CONSTRAINT seat_was_held CHECK (was_held IN (0, 1));
UPDATE seat SET was_held = 1 WHERE reservation_id IS NOT NULL OR let_go_by IS NOT NULL
    OR seat_id IN (SELECT seat_id FROM reservation);
CREATE TRIGGER seat_stays_once_held BEFORE DELETE ON seat WHEN OLD.was_held
BEGIN SELECT raise(ABORT, 'a seat that was held stays'); END;

-- A constraint cannot be altered: each price moves to a new column, which takes over the name of the old one.
ALTER TABLE seat ADD COLUMN new_price INTEGER NOT NULL DEFAULT 0 CONSTRAINT seat_price CHECK (new_price >= 0);
UPDATE seat SET new_price = price;
ALTER TABLE seat DROP COLUMN price;
ALTER TABLE seat RENAME COLUMN new_price TO price;
ALTER TABLE reservation ADD COLUMN new_price INTEGER NOT NULL DEFAULT 0
    CONSTRAINT reservation_price CHECK (new_price >= 0);
UPDATE reservation SET new_price = price;
ALTER TABLE reservation DROP COLUMN price;
ALTER TABLE reservation RENAME COLUMN new_price TO price;
ALTER TABLE payment ADD COLUMN new_amount INTEGER NOT NULL DEFAULT 0 CONSTRAINT payment_amount CHECK (new_amount >= 0);
UPDATE payment SET new_amount = amount;
ALTER TABLE payment DROP COLUMN amount;
ALTER TABLE payment RENAME COLUMN new_amount TO amount;

-- With the reservations that have ended too, so that the foreign key finds by it what names a seat that is removed. A hold
-- writes one entry as before, and a payment none: it changes nothing that is named here.
DROP INDEX one_live_reservation_per_seat;
CREATE UNIQUE INDEX one_live_reservation_per_seat
    ON reservation (seat_id, (CASE WHEN closed_at IS NULL THEN 0 ELSE reservation_id END));
