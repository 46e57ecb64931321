-- A user's reservations, newest first: a page costs a page, however many there are.
CREATE INDEX reservation_of_user ON reservation (user_id, reservation_id);
