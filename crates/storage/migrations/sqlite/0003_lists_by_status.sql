-- What operators list by status is found without a look at everything else. Both are written when a reservation ends,
-- not by holds and payments. The pending reservations are in an index already.
CREATE INDEX reservation_ended ON reservation (status, reservation_id) WHERE closed_at IS NOT NULL;
CREATE INDEX payment_refunded ON payment (payment_id) WHERE status = 'refunded';
