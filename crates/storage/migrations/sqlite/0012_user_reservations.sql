-- One index for each question about a user's reservations: a hold asks for the live ones and reads none of a long history,
-- a list asks for both. A reservation stands in one of the two, and both are in the order of the ids.
DROP INDEX reservation_by_user;
DROP INDEX reservation_of_user;
CREATE INDEX reservation_live_of_user ON reservation (user_id) WHERE closed_at IS NULL;
CREATE INDEX reservation_ended_of_user ON reservation (user_id) WHERE closed_at IS NOT NULL;
