//! The invariants of the books in any database.

/// Each query returns the rows that break its invariant, in SQL that both databases accept. `{user}` is a user's id as
/// text, `{slack}` how many microseconds positions may be out of the order of issue.
pub(super) const INVARIANTS: &[(&str, &str)] = &[
    (
        "a seat has at most one live reservation",
        "SELECT 'seat ' || seat_id || ' has ' || count(*) || ' live reservations' FROM reservation
         WHERE status IN ('pending', 'confirmed') GROUP BY seat_id HAVING count(*) > 1",
    ),
    (
        "a seat was never sold to two at the same time",
        // A window, not a join: no index has all reservations by seat. A sale that ended when it began comes before
        // another sale at that time.
        "SELECT 'seat ' || seat_id || ': reservation ' || reservation_id || ' was sold before the sale in front ended'
         FROM (SELECT seat_id, reservation_id, confirmed_at, max(coalesce(closed_at, 9223372036854775807)) OVER (
                   PARTITION BY seat_id
                   ORDER BY confirmed_at, coalesce(closed_at, 9223372036854775807), reservation_id
                   ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS freed_at
               FROM reservation WHERE confirmed_at IS NOT NULL) AS sales
         WHERE freed_at > confirmed_at",
    ),
    (
        "no two holds of a seat overlap",
        "SELECT 'seat ' || seat_id || ': reservation ' || reservation_id || ' began before the one in front ended'
         FROM (SELECT seat_id, reservation_id, created_at,
                   lag(coalesce(closed_at, 9223372036854775807)) OVER (PARTITION BY seat_id
                       ORDER BY created_at, reservation_id) AS freed_at
               FROM reservation) AS holds
         WHERE freed_at > created_at",
    ),
    (
        "a held or sold seat belongs to the reservation it names, and no other seat to any",
        "SELECT 'seat ' || s.seat_id || ' is ' || s.status || ', its reservation ' || coalesce(r.status, 'missing')
         FROM seat s LEFT JOIN reservation r ON r.reservation_id = s.reservation_id AND r.seat_id = s.seat_id
         WHERE (s.status = 'held' AND r.status IS DISTINCT FROM 'pending')
            OR (s.status = 'sold' AND r.status IS DISTINCT FROM 'confirmed')
            OR (s.status IN ('available', 'blocked') AND s.reservation_id IS NOT NULL)
         UNION ALL
         SELECT 'reservation ' || r.reservation_id || ' is ' || r.status || ' without its seat'
         FROM reservation r JOIN seat s USING (seat_id)
         WHERE r.status IN ('pending', 'confirmed') AND s.reservation_id IS DISTINCT FROM r.reservation_id",
    ),
    (
        "every confirmed or refunded reservation has one payment of its price, and every payment such a reservation",
        "SELECT 'reservation ' || r.reservation_id || ' is ' || r.status || ', its payment '
             || coalesce(p.status || ' of ' || p.amount, 'missing')
         FROM reservation r LEFT JOIN payment p USING (reservation_id)
         WHERE r.status IN ('confirmed', 'refunded')
           AND (p.payment_id IS NULL OR p.amount <> r.price OR p.user_id <> r.user_id
                OR (r.status = 'confirmed') <> (p.status = 'completed'))
         UNION ALL
         SELECT 'payment ' || p.payment_id || ' is for a reservation that is ' || coalesce(r.status, 'missing')
         FROM payment p LEFT JOIN reservation r USING (reservation_id)
         WHERE r.status IS NULL OR r.status NOT IN ('confirmed', 'refunded')",
    ),
    (
        "no reservation was paid after its hold ended",
        "SELECT 'reservation ' || reservation_id || ' ended at ' || expires_at || ' and was paid at ' || confirmed_at
         FROM reservation WHERE confirmed_at >= expires_at",
    ),
    (
        "a balance is the sum of its history and not negative",
        "SELECT 'user ' || {user} || ' has ' || coalesce(CAST(balance AS TEXT), 'no account') || ', the history says ' || total
         FROM (SELECT user_id, max(amount) AS balance, sum(entry) AS total FROM (
                   SELECT user_id, amount, 0 AS entry FROM point
                   UNION ALL SELECT user_id, NULL, amount FROM point_history) AS entries GROUP BY user_id) AS accounts
         WHERE balance IS DISTINCT FROM total OR balance < 0",
    ),
    (
        "a history counts its entries without gaps, each with the balance after it",
        "SELECT 'user ' || {user} || ', entry ' || history_id
         FROM (SELECT user_id, history_id, version, balance_after,
                   sum(amount) OVER line AS total, row_number() OVER line AS place
               FROM point_history WINDOW line AS (PARTITION BY user_id ORDER BY version)) AS entries
         WHERE version <> place OR balance_after <> total",
    ),
    (
        "every payment has one use of its amount, every refunded one a refund, and nothing else has any",
        "SELECT 'payment ' || payment_id || ' of ' || amount || ' is ' || status
             || ': used ' || used || ', refunded ' || refunded
         FROM (SELECT p.payment_id, p.amount, p.status,
                   coalesce(-sum(CASE WHEN h.type = 'use' AND h.user_id = p.user_id THEN h.amount END), 0) AS used,
                   coalesce(sum(CASE WHEN h.type = 'refund' AND h.user_id = p.user_id THEN h.amount END), 0) AS refunded
               FROM payment p LEFT JOIN point_history h USING (payment_id) GROUP BY p.payment_id) AS payments
         WHERE used <> amount OR refunded <> (CASE WHEN status = 'refunded' THEN amount ELSE 0 END)",
    ),
    (
        "all points together are top-ups and adjustments minus payments plus refunds",
        "SELECT 'balances ' || balances || ', movements ' || movements
         FROM (SELECT (SELECT coalesce(sum(amount), 0) FROM point) AS balances,
                   (SELECT coalesce(sum(amount), 0) FROM point_history WHERE type IN ('top_up', 'adjustment'))
                   - (SELECT coalesce(sum(amount), 0) FROM payment)
                   + (SELECT coalesce(sum(amount), 0) FROM payment WHERE status = 'refunded') AS movements) AS books
         WHERE balances <> movements",
    ),
    (
        "no two seats of a concert have the same section, row and number",
        "SELECT 'concert ' || concert_id || ': ' || count(*) || ' seats ' || number || ', row ' || \"row\" || ', ' || section
         FROM seat GROUP BY concert_id, section, \"row\", number HAVING count(*) > 1",
    ),
    (
        "a debt is open or settled, and belongs to an adjustment that took all there was",
        "SELECT 'debt ' || debt_id || ' is settled ' || coalesce('at ' || settled_at, 'never') || ' and ' || status
         FROM debt WHERE (settled_at IS NULL) <> (status = 'open') OR amount <= 0 OR settled_at < created_at
         UNION ALL
         SELECT 'debt ' || d.debt_id || ' stands beside an adjustment that left points'
         FROM debt d JOIN point_history h ON h.user_id = d.user_id AND h.reference = d.reference
             AND h.type = 'adjustment' WHERE h.amount > 0 OR h.balance_after <> 0",
    ),
    (
        "a user has at most one live token in a room and its lanes",
        "SELECT 'user ' || {user} || ' in room ' || line FROM (
             SELECT user_id, CASE WHEN room_id > 2000000000 THEN (room_id - 2000000000) / 16 ELSE room_id END AS line
             FROM waiting_token WHERE status <> 'ended') AS places
         GROUP BY user_id, line HAVING count(*) > 1",
    ),
    (
        "a concert's own room knows when its sale opens and is over",
        // Above the numbers of concerts, rooms have none.
        "SELECT 'room ' || r.room_id FROM room r LEFT JOIN concert c USING (room_id)
         WHERE r.room_id <> 0 AND r.room_id <= 1000000000 AND (r.opens_at IS DISTINCT FROM c.opens_at OR r.closes_at IS NULL
             OR r.closes_at > c.closes_at OR (c.status = 'scheduled' AND r.closes_at < c.closes_at
                 AND r.closes_at < c.ends_at))",
    ),
    (
        "a lane is beside a line, has its settings, and shares its cap with it",
        "SELECT 'room ' || l.room_id FROM room l LEFT JOIN room g ON g.room_id = (l.room_id - 2000000000) / 16
         WHERE l.room_id > 2000000000 AND (g.room_id IS NULL OR l.max_active <> g.max_active OR l.gate <> g.gate
             OR l.admit_per_minute IS DISTINCT FROM g.admit_per_minute OR l.opens_at IS DISTINCT FROM g.opens_at
             OR l.closes_at IS DISTINCT FROM g.closes_at OR l.turn_url IS DISTINCT FROM g.turn_url
             OR l.weight <> g.weight OR l.allotment IS NULL)
         UNION ALL
         SELECT 'the lines of room ' || line || ' have ' || sum(allotment) || ' places of ' || max(max_active) FROM (
             SELECT CASE WHEN room_id > 2000000000 THEN (room_id - 2000000000) / 16 ELSE room_id END AS line, allotment,
                 max_active, CASE WHEN room_id > 2000000000 THEN 1 ELSE 0 END AS is_lane FROM room) AS lines
         GROUP BY line HAVING max(is_lane) = 1 AND sum(allotment) > max(max_active)",
    ),
    (
        "the rooms have no more places together than the house's budget",
        // A budget that is newer than the shares is followed within moments.
        "SELECT 'the rooms have ' || sum(r.allotment) || ' places of a budget of ' || h.house_budget
         FROM room h JOIN room r ON r.allotment > 0
         WHERE h.room_id = 0 AND h.house_budget IS NOT NULL AND h.updated_at <= h.shared_at
         GROUP BY h.house_budget HAVING sum(r.allotment) > h.house_budget",
    ),
    (
        "a cancelled concert that is wound up sells nothing and owes nothing that was to be given back",
        "SELECT 'seat ' || s.seat_id || ' of concert ' || c.concert_id || ' is ' || s.status
         FROM concert c JOIN seat s USING (concert_id)
         WHERE c.wound_up_at IS NOT NULL
           AND (s.status IN ('available', 'held') OR (s.status = 'sold' AND c.refund_all_at IS NOT NULL))",
    ),
    (
        "positions are in the order of issue",
        "SELECT 'room ' || room_id || ', position ' || position || ' was issued before one in front of it'
         FROM (SELECT room_id, position, issued_at, max(issued_at) OVER (
                   PARTITION BY room_id ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS front
               FROM waiting_token) AS line
         WHERE issued_at < front - {slack}",
    ),
    (
        "every entry of the audit log is in the feed or has its event, and every event its entry",
        "SELECT 'audit entry ' || a.audit_id || ' is neither in the feed nor in the outbox'
         FROM audit_log a LEFT JOIN audit_feed f USING (audit_id)
             LEFT JOIN (SELECT CAST(payload ->> 'audit_id' AS bigint) AS audit_id FROM outbox
                        WHERE consumer = 'audit_feed' AND payload ->> 'kind' = 'audit_recorded') AS o USING (audit_id)
         WHERE f.audit_id IS NULL AND o.audit_id IS NULL
         UNION ALL
         SELECT 'event ' || o.event_id || ' names an audit entry that is not there'
         FROM (SELECT event_id, CAST(payload ->> 'audit_id' AS bigint) AS audit_id FROM outbox
               WHERE consumer = 'audit_feed' AND payload ->> 'kind' = 'audit_recorded') AS o LEFT JOIN audit_log a USING (audit_id)
         WHERE a.audit_id IS NULL",
    ),
    (
        "the feed of the audit log has each number and each entry once, without gaps",
        "SELECT 'feed number ' || feed_number || ' is number ' || place || ' of the feed'
         FROM (SELECT feed_number, row_number() OVER (ORDER BY feed_number) AS place FROM audit_feed) AS feed
         WHERE feed_number <> place
         UNION ALL
         SELECT 'audit entry ' || audit_id || ' is in the feed ' || count(*) || ' times' FROM audit_feed
         GROUP BY audit_id HAVING count(*) > 1",
    ),
    (
        "a token was issued, activated and ended in this order",
        "SELECT 'token ' || room_id || '-' || position FROM waiting_token
         WHERE activated_at < issued_at OR expired_at < activated_at OR expired_at < issued_at
            OR (status = 'active' AND activated_at IS NULL) OR (end_reason = 'paid' AND activated_at IS NULL)
            OR (status = 'ended' AND end_reason IS NULL)",
    ),
];

pub(super) const COUNTS: &[(&str, &str)] = &[
    ("users", "SELECT count(*) FROM \"user\""),
    ("seats", "SELECT count(*) FROM seat"),
    ("sold", "SELECT count(*) FROM seat WHERE status = 'sold'"),
    ("held", "SELECT count(*) FROM seat WHERE status = 'held'"),
    ("reservations", "SELECT count(*) FROM reservation"),
    ("payments", "SELECT count(*) FROM payment"),
    ("refunds", "SELECT count(*) FROM payment WHERE status = 'refunded'"),
    ("tokens", "SELECT count(*) FROM waiting_token"),
    ("history entries", "SELECT count(*) FROM point_history"),
];
