//! The server's work for an answer: over tables of a grown box office, every statement finds its rows by an index,
//! whether the tables have been analyzed or not, and whether the plan is made for the values or for all values.
//!
//! The server itself tells, by its module `auto_explain`: of everything that the store really sends, the statements
//! that check the foreign keys included.

use crate::sale::{START, activate, ask, buyers, concert, hold, join, open, pay};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Command, Outcome, Settlements},
    id::{AuditId, ConcertId, EventId, FeedNumber, PaymentId, Position, ReservationId, RoomId, TokenId, UserId},
    line::Fence,
    outbox::{Consumer, EventPayload, LeaseHolder, OutboxEvent},
    retention::Leftover,
    sale::{PaymentStatus, ReservationStatus},
    time::{Span, Time},
    user::{Caller, LetterLanguage, LinkKind, OperatorPresence, Role, Session},
};
use frontrow_storage::{
    ConcertFilter, ConcertPlace, EVENTS_COUNTED_MAX, EventFilter, Page, PaymentFilter, ReservationFilter, Store, check,
    postgres::{self, PostgresSettings, Statements},
};
use frontrow_testkit::servers::postgres::{PostgresServer, programs};
use std::collections::BTreeMap;
use uuid::Uuid;

/// How many rows each large table has.
const ROWS: i64 = 200_000;
/// How often each statement runs on a connection: after five times the server considers one plan for all values.
const ROUNDS: usize = 6;
/// A statement may throw away so many rows that it has found; a search for text any number.
const REMOVED_MAX: u64 = 10_000;

const SETTINGS: &str = "
autovacuum = off
fsync = on
shared_buffers = 256MB
max_wal_size = 4GB
session_preload_libraries = 'auto_explain'
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
auto_explain.log_timing = off
auto_explain.log_nested_statements = on
log_min_messages = warning
";

/// Large tables, in which the first forty reservations are the rare ones, with the constraints but without the
/// triggers, which would look up every foreign key.
const FILL: &str = "
SET session_replication_role = replica;
SET auto_explain.log_min_duration = -1;
CREATE FUNCTION someone(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;
INSERT INTO \"user\" SELECT someone(n), 'Kim ' || n, n || '@example.com', '$argon2id$', 'buyer', T0, T0
    FROM generate_series(1, ROWS) AS n;
INSERT INTO session SELECT sha256(n::text::bytea), someone(n), 'buyer', T0 + 60000000 + n, T0, NULL
    FROM generate_series(1, ROWS) AS n;
INSERT INTO account_link SELECT someone(n), 'email_confirmation', sha256(n::text::bytea), 0, T0 + 60000000 + n
    FROM generate_series(1, ROWS) AS n;
INSERT INTO waiting_token SELECT 0, n, someone(n), 'ended', T0 - 60000000, T0, NULL, NULL, NULL, NULL, NULL, T0, 'paid'
    FROM generate_series(1, ROWS / 2) AS n;
INSERT INTO waiting_token SELECT 0, n, someone(n), 'active', T0 - 60000000, T0, NULL, T0 + 600000000, T0 + 600000000,
        NULL, NULL, NULL
    FROM generate_series(ROWS / 2 + 1, ROWS / 2 + 800) AS n;
INSERT INTO waiting_token SELECT 0, n, someone(n), 'waiting', T0 - 60000000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM generate_series(ROWS / 2 + 801, ROWS) AS n;
SELECT setval('room_position_0', ROWS);
UPDATE room SET cursor = ROWS / 2 + 800, active = 800;
INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at, fence, updated_at)
    SELECT n, 10, 'open', 0, 1, 0, 0, 0, 0, T0 FROM generate_series(1, ROWS / 50) AS n;
INSERT INTO concert SELECT n, 'Concert ' || n, 'Artist ' || n, 'Hall', 'Asia/Seoul', '2027-03-01', '20:00:00',
        '22:00:00', T0 + 3000000000000, 1000, T0, T0 + 2000000000000, NULL, 0, 'scheduled', T0, T0, T0 + 3007200000000, 'apart', NULL, NULL, NULL
    FROM generate_series(1, ROWS / 50) AS n;
INSERT INTO seat SELECT n, (n - 1) / 50 + 1, (n - 1) % 50 + 1, 1000, 'sold', n, NULL, 'Floor', 'A', n::text, 'VIP', T0, T0
    FROM generate_series(1, ROWS) AS n;
INSERT INTO reservation SELECT n, someone(n), (n - 1) / 50 + 1, n, (n - 1) % 50 + 1, 1000, 'confirmed', T0 - 60000000,
        T0 - 60000000, T0 - 60000000, NULL
    FROM generate_series(41, ROWS) AS n;
INSERT INTO reservation SELECT n, someone(n), 1, n, n, 1000,
        (ARRAY['pending', 'cancelled', 'expired', 'refunded'])[(n + 9) / 10], T0, T0 + 300000000,
        CASE WHEN n > 30 THEN T0 END, CASE WHEN n > 10 THEN T0 END
    FROM generate_series(1, 40) AS n;
INSERT INTO payment SELECT n, someone(n), n, 1000, 'completed', T0, NULL, T0 FROM generate_series(41, ROWS) AS n;
INSERT INTO payment SELECT n, someone(n), n, 1000, 'refunded', T0, T0, T0 FROM generate_series(31, 40) AS n;
INSERT INTO point SELECT n, someone(n), 4999, 3, T0, T0 FROM generate_series(1, ROWS) AS n;
INSERT INTO point_history SELECT 2 * n - 1, someone(n), 6000, 'top_up', 'x', 6000, 1, NULL, 'ref ' || n, T0
    FROM generate_series(1, ROWS) AS n;
INSERT INTO point_history SELECT 2 * ROWS + n, someone(n), -1, 'adjustment', 'x', 4999, 3, NULL,
        CASE WHEN n % 2 = 0 THEN 'batch' ELSE 'cc ' || n END, T0
    FROM generate_series(1, ROWS) AS n;
INSERT INTO debt SELECT n, someone(n), 10, 'x', CASE WHEN n % 2 = 0 THEN 'batch' ELSE 'cc ' || n END, 'waived', T0, T0
    FROM generate_series(1, ROWS) AS n;
INSERT INTO point_history SELECT 2 * n, someone(n), -1000, 'use', 'x', 5000, 2, n, NULL, T0
    FROM generate_series(1, ROWS) AS n;
INSERT INTO idempotency (key, fingerprint, answer, created_at)
    SELECT sha256(n::text::bytea), sha256('x'), '{}', T0 - 3600000000 + n FROM generate_series(1, ROWS) AS n;
INSERT INTO audit_log SELECT n, NULL, 'room.set', 'room 0', '{}', T0 FROM generate_series(1, ROWS) AS n;
INSERT INTO audit_feed SELECT n, n FROM generate_series(1, ROWS - 20) AS n;
INSERT INTO outbox SELECT n, 'audit_feed', jsonb_build_object('kind', 'audit_recorded', 'audit_id', n), T0,
        CASE WHEN n > ROWS - 20 THEN T0 - 1 WHEN n > 40 THEN T0 + 60000000 + n END, CASE WHEN n <= 40 THEN T0 END, 10, 'x'
    FROM generate_series(1, ROWS) AS n;
SELECT setval('concert_ids', ROWS), setval('seat_ids', ROWS), setval('reservation_ids', ROWS),
    setval('payment_ids', ROWS), setval('point_ids', ROWS), setval('history_ids', 3 * ROWS), setval('debt_ids', ROWS), setval('audit_ids', ROWS),
    setval('event_ids', ROWS);
RESET session_replication_role;
";

const LARGE: [&str; 15] = [
    "user",
    "session",
    "account_link",
    "waiting_token",
    "concert",
    "seat",
    "reservation",
    "payment",
    "point",
    "point_history",
    "debt",
    "idempotency",
    "audit_log",
    "audit_feed",
    "outbox",
];

/// Parts of statements, and the index that each must go by.
const INDEXES: [(&str, &str); 49] = [
    ("FROM session WHERE user_id = $1", "session_by_user"),
    ("WHERE email = $1", "user_email_unique"),
    ("FROM \"user\" WHERE user_id < $1", "user_pkey"),
    ("FROM \"user\" WHERE email COLLATE", "user_by_email"),
    ("FROM \"user\" WHERE lower(name COLLATE", "user_by_name"),
    ("FROM \"user\" WHERE lower(CASE", "user_by_later_name"),
    ("FROM seat WHERE concert_id = $1 AND seat_number = $2", "seat_number_unique"),
    ("FROM point_history WHERE type = 'top_up' AND reference = $1", "one_top_up_per_reference"),
    ("FROM point_history WHERE type = 'adjustment' AND reference BETWEEN", "one_adjustment_per_reference"),
    ("FROM debt WHERE reference BETWEEN", "one_debt_per_reference"),
    ("FROM point_history WHERE payment_id = $1", "one_entry_per_payment_and_type"),
    ("FROM audit_log WHERE object = $1", "audit_by_object"),
    ("FROM audit_log WHERE action IN", "audit_of_operators"),
    ("FROM seat WHERE concert_id = $1 AND seat_number > $2 AND status = 'sold'", "seat_number_unique"),
    ("FROM room WHERE room_id > $1", "room_pkey"),
    ("FROM concert WHERE (starts_at, concert_id) > ($1, $9)", "concert_by_start"),
    ("FROM reservation WHERE reservation_id < $1", "reservation_pkey"),
    ("FROM reservation WHERE user_id = $4 AND closed_at IS NULL", "reservation_live_of_user"),
    ("FROM reservation WHERE user_id = $4 AND closed_at IS NOT NULL", "reservation_ended_of_user"),
    ("FROM reservation WHERE user_id = k.id AND closed_at IS NULL", "reservation_live_of_user"),
    ("FROM reservation WHERE seat_id = k.id", "one_live_reservation_per_seat"),
    ("FROM reservation WHERE concert_id = $4", "reservation_by_concert"),
    ("FROM reservation WHERE ended_as = $2", "reservation_ended"),
    ("FROM unnest($1) AS pending", "Index Scan using reservation_"),
    ("(expires_at, reservation_id) > ($1, $2)", "reservation_by_expiry"),
    ("w.status = 'waiting' AND w.position + 0 > $2", "token_in_line"),
    ("p.user_id = k.user_id AND CASE WHEN p.room_id", "one_live_token_per_user_and_room"),
    ("a.status = 'active' AND a.due_from <= clock.now", "token_active"),
    ("c.claimed_at IS NOT NULL", "token_claimed"),
    ("h.status = 'waiting' ORDER BY h.position + 0", "token_in_line"),
    ("FROM payment WHERE payment_id < $1", "payment_pkey"),
    ("FROM payment WHERE status = 'refunded'", "payment_refunded"),
    ("FROM payment WHERE user_id = $4", "payment_by_user"),
    ("FROM payment WHERE reservation_id = $4", "one_payment_per_reservation"),
    ("FROM point_history WHERE user_id = $1", "one_entry_per_version"),
    ("FROM audit_log WHERE audit_id < $1", "audit_log_pkey"),
    ("FROM audit_feed WHERE feed_number > $1", "audit_feed_pkey"),
    ("FROM audit_feed AS f WHERE f.audit_id = k.id", "one_place_per_entry"),
    ("o.consumer = k.consumer AND o.due_at <= clock.now", "outbox_due"),
    ("FROM outbox AS o WHERE o.event_id = k.id AND", "outbox_pkey"),
    ("consumer = $1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1", "outbox_due"),
    ("consumer = $1 AND due_at IS NOT NULL ORDER BY due_at LIMIT (SELECT $2)", "outbox_due"),
    ("consumer = $1 AND dead_at IS NOT NULL ORDER BY event_id + 0", "outbox_dead"),
    ("FROM outbox WHERE event_id < $1", "outbox_pkey"),
    ("FROM outbox WHERE event_id + 0 < $1 AND dead_at IS NOT NULL", "outbox_dead"),
    ("UPDATE seat AS s SET status", "seat_pkey"),
    ("UPDATE reservation AS r SET status", "reservation_pkey"),
    ("UPDATE point AS p SET", "point_pkey"),
    ("UPDATE waiting_token AS w SET", "waiting_token_pkey"),
];

fn someone(n: u64) -> UserId {
    UserId(format!("00000000-0000-7000-8000-{n:012x}").parse::<Uuid>().unwrap())
}

/// Every read of the store.
async fn read_everything(store: &dyn Store) {
    let (user, house) = (someone(150_000), RoomId::HOUSE);
    let reservation = ReservationId::new(150_000);
    store.credentials("150000@example.com").await.unwrap().unwrap();
    store.session([7; 32]).await.unwrap();
    store.user(user).await.unwrap().unwrap();
    assert_eq!(store.operators().await.unwrap(), OperatorPresence::Never);
    store.rooms().await.unwrap();
    for after in [None, Some(RoomId::new(2_000)), Some(RoomId::new(ROWS))] {
        assert!(store.some_rooms(Page { after, limit: 100 }).await.unwrap().len() <= 100);
    }
    assert!(store.standings().await.unwrap()[0].highest >= Position(ROWS));
    assert!(store.busy_rooms().await.unwrap().contains(&house));
    assert_eq!(store.waiting_tokens(house, Page { after: None, limit: 100 }).await.unwrap().len(), 100);
    store.token(TokenId { room_id: house, position: Position(150_000) }).await.unwrap().unwrap();
    assert_eq!(store.live_tokens(user).await.unwrap().len(), 1);
    assert!(store.line(house).await.unwrap().unwrap().waiting.len() > 90_000);
    assert!(store.live_line(house).await.unwrap().unwrap().others.len() >= 800);
    store.concert(ConcertId::new(3_000)).await.unwrap().unwrap();
    assert_eq!(store.seats(ConcertId::new(3_000)).await.unwrap().len(), 50);
    store.changed_seats(ConcertId::new(3_000), START).await.unwrap();
    store.reservation(reservation).await.unwrap().unwrap();
    store.next_expiries(Time::MAX, 100).await.unwrap();
    store.unassigned_positions(house, Position(1_000), Position(2_000)).await.unwrap();
    store.payment(PaymentId::new(150_000)).await.unwrap().unwrap();
    assert_eq!(store.tickets(&[reservation, ReservationId::new(199_000)]).await.unwrap().len(), 2);
    assert_eq!(store.door_list(ConcertId::new(3_000), 10, 20).await.unwrap().len(), 20);
    let counted = store.seat_counts_of(&[ConcertId::new(3_000), ConcertId::new(17)]).await.unwrap();
    assert_eq!(counted.iter().map(|(_, counts)| counts.sold).sum::<i64>(), 100);
    store.point(user).await.unwrap().unwrap();
    use_account(store, user).await;
    for after in [None, Some(UserId(Uuid::max())), Some(someone(100_000))] {
        assert_eq!(store.users(None, Page { after, limit: 50 }).await.unwrap().len(), 50);
        store.users(Some("KIM 7777"), Page { after, limit: 50 }).await.unwrap();
    }
    let all = ConcertFilter::default();
    let text = ConcertFilter { text: Some("concert 39".to_owned()), venue: Some("hall".to_owned()), ..all.clone() };
    for filter in [all, text] {
        let place =
            ConcertPlace { starts_at: START.plus(Span::from_secs(3_000_000)), concert_id: ConcertId::new(2_000) };
        for after in [None, Some(place)] {
            store.concerts(&filter, Page { after, limit: 50 }).await.unwrap();
        }
    }
    let (concert, status) = (Some(ConcertId::new(3_000)), Some(ReservationStatus::Confirmed));
    for (user, concert, status) in [
        (None, None, None),
        (None, None, status),
        (Some(user), None, None),
        (Some(user), None, Some(ReservationStatus::Refunded)),
        (None, concert, None),
        (None, concert, status),
        (Some(user), concert, status),
    ] {
        let filter = ReservationFilter { user, concert, status };
        for after in [None, Some(reservation)] {
            store.reservations(&filter, Page { after, limit: 50 }).await.unwrap();
        }
    }
    // The rare rows, older than all others.
    for status in [
        ReservationStatus::Pending,
        ReservationStatus::Cancelled,
        ReservationStatus::Expired,
        ReservationStatus::Refunded,
    ] {
        for (concert, after) in [(None, None), (None, Some(reservation)), (Some(ConcertId::new(1)), None)] {
            let filter = ReservationFilter { user: None, concert, status: Some(status) };
            let found = store.reservations(&filter, Page { after, limit: 50 }).await.unwrap();
            assert!(found.len() >= 10 && found.iter().all(|row| row.status() == status), "{status:?}: {found:?}");
        }
    }
    let refunded = PaymentFilter { status: Some(PaymentStatus::Refunded), ..PaymentFilter::default() };
    for after in [None, Some(PaymentId::new(180_000))] {
        assert!(store.payments(&refunded, Page { after, limit: 50 }).await.unwrap().len() >= 10);
    }
    for (user, reservation) in [(None, None), (Some(user), None), (None, Some(reservation))] {
        let filter = PaymentFilter { user, reservation, ..PaymentFilter::default() };
        for after in [None, Some(PaymentId::new(180_000))] {
            store.payments(&filter, Page { after, limit: 50 }).await.unwrap();
        }
    }
    let history = store.history(user, Page { after: None, limit: 1 }).await.unwrap();
    store.history(user, Page { after: Some(history[0].history_id), limit: 50 }).await.unwrap();
    store.audit(Page { after: None, limit: 50 }).await.unwrap();
    find_everything(store).await;
    assert_eq!(store.audit_feed(Page { after: Some(FeedNumber::new(1_000)), limit: 50 }).await.unwrap().len(), 50);
    for after in [None, Some(EventId::new(30))] {
        assert!(store.outbox(EventFilter::Dead, Page { after, limit: 50 }).await.unwrap().len() >= 29);
    }
    store.outbox(EventFilter::Pending, Page { after: None, limit: 50 }).await.unwrap();
    store.first_event_due_at(Consumer::AuditFeed).await.unwrap().unwrap();
    let counts = store.event_counts(Consumer::AuditFeed).await.unwrap();
    assert!(counts.pending == i64::from(EVENTS_COUNTED_MAX) && counts.dead >= 29, "{counts:?}");
    watch_sale(store).await;
    deliver(store).await;
    for what in Leftover::ALL {
        store.prune(what, START.plus(Span::from_secs(-7_200)), 500).await.unwrap();
    }
    // A stretch of the line, and what of it is over.
    assert_eq!(store.prune(Leftover::Token, START.plus(Span::from_secs(1)), 500).await.unwrap(), 500);
}

/// What the search of operators reads.
async fn find_everything(store: &dyn Store) {
    for (object, rows) in [("room 0", 50), ("room 7", 0)] {
        for after in [None, Some(AuditId::new(150_000))] {
            let found = store.audit_of(object, Page { after, limit: 50 }).await.unwrap();
            assert_eq!(found.len(), rows, "{object}");
        }
    }
    assert_eq!(store.bookings_of_reference("ref 150000", 20).await.unwrap().len(), 1);
    for (reference, found) in [("ref 7", 1), ("cc 7", 1), ("batch", 20), ("nothing", 0)] {
        assert_eq!(store.bookings_of_reference(reference, 20).await.unwrap().len(), found, "{reference}");
        let owed = if reference.starts_with("ref") { 0 } else { found };
        assert_eq!(store.debts_of_reference(reference, 20).await.unwrap().len(), owed, "{reference}");
    }
    assert_eq!(store.entries_of(PaymentId::new(150_000)).await.unwrap().len(), 1);
    store.seat_at(ConcertId::new(3_000), 17).await.unwrap().unwrap();
    // All users, few, one and none.
    for (start, rows) in [("Kim", 20), ("kim 7777", 11), ("150000@example.com", 1), ("77770", 1), ("x", 0)] {
        assert!(store.users_starting_with(start, 20).await.unwrap().len() >= rows, "{start}");
    }
}

/// What an instance reads each second, or every few, for a sale that operators watch.
async fn watch_sale(store: &dyn Store) {
    let concert = ConcertId::new(3_000);
    store.now().await.unwrap();
    store.concert(concert).await.unwrap().unwrap();
    store.changed_seats(concert, START).await.unwrap();
    assert_eq!(store.audit(Page { after: None, limit: 50 }).await.unwrap().len(), 50);
    store.next_expiries(START.minus(Span::from_secs(20)), 100).await.unwrap();
    store.first_event_due_at(Consumer::AuditFeed).await.unwrap();
    store.event_counts(Consumer::AuditFeed).await.unwrap();
}

/// A letter, the confirmation of its address, and the end of a session.
async fn use_account(store: &dyn Store, user: UserId) {
    let secret_hash = [7; 32];
    let expires_at = START.plus(Span::from_secs(60));
    let session =
        Session { secret_hash, user_id: user, role: Role::Buyer, expires_at, created_at: START, client: None };
    let epoch = store.user(user).await.unwrap().unwrap().sign_in_epoch;
    ask(store, vec![(Caller::Anonymous, Command::OpenSession { session, epoch })]).await;
    assert_eq!(store.sessions(user, 1).await.unwrap().len(), 1);
    let link: [u8; 32] = [7; 32];
    let letter = LinkKind::EmailConfirmation;
    ask(
        store,
        vec![
            (Caller::Buyer(user), Command::RequestLetter { user_id: user, letter, language: LetterLanguage::Korean }),
            (Caller::System, Command::IssueLetterLink { user_id: user, letter, secret_hash: link }),
        ],
    )
    .await;
    ask(
        store,
        vec![
            (Caller::Anonymous, Command::ConfirmEmail { user_id: user, secret_hash: link }),
            (Caller::Buyer(user), Command::EndSession { secret_hash }),
        ],
    )
    .await;
}

/// What the worker of the outbox does, except that nothing is delivered in the end.
async fn deliver(store: &dyn Store) {
    let (consumer, holder) = (Consumer::AuditFeed, LeaseHolder(Uuid::from_u128(1)));
    let outcomes = ask(store, vec![(Caller::System, Command::ClaimEvents { consumer, holder })]).await;
    let [Outcome::Claimed(events)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    assert!(events.len() >= 20);
    let feed = |event: &OutboxEvent| {
        let EventPayload::AuditRecorded { audit_id } = event.payload else { panic!("it is of another kind") };
        (Caller::System, Command::FeedAudit { audit_id })
    };
    ask(store, events.iter().map(feed).collect()).await;
    let settled = Settlements { consumer, holder, delivered: Vec::new(), failed: Vec::new() };
    ask(store, vec![(Caller::System, Command::SettleEvents(settled))]).await;
    let retry = Command::RetryEvent { event_id: events[0].event_id };
    ask(store, vec![(Caller::System, retry)]).await;
}

/// A sale of everything that the engine decides often.
pub(crate) async fn sell(store: &dyn Store, ids: &Ids) {
    let (concert, seats) = concert(store, 20).await;
    let users = buyers(store, ids, 20).await;
    let session = |(number, &user_id): (usize, &UserId)| {
        let mut secret_hash = [0; 32];
        secret_hash[..16].copy_from_slice(user_id.0.as_bytes());
        secret_hash[31] = u8::try_from(number).unwrap();
        let expires_at = START.plus(Span::from_secs(60));
        let session = Session { secret_hash, user_id, role: Role::Buyer, expires_at, created_at: START, client: None };
        (Caller::Anonymous, Command::OpenSession { session, epoch: 0 })
    };
    ask(store, users.iter().enumerate().map(session).collect()).await;
    let waiting = join(store, RoomId::HOUSE, &users).await;
    let leave = |(user, token): (&UserId, &TokenId)| (Caller::Buyer(*user), Command::LeaveQueue { token: *token });
    ask(store, users.iter().zip(&waiting).map(leave).collect()).await;
    let advance = Command::AdvanceRoom {
        room_id: RoomId::HOUSE,
        fence: Fence(0),
        limit: 100,
        unresponsive: Vec::new(),
        outlook: None,
    };
    ask(store, vec![(Caller::System, advance)]).await;
    let tokens = activate(store, concert, &users).await;
    let wake = |(user, token): (&UserId, &TokenId)| (Caller::Buyer(*user), Command::WakeToken { token: *token });
    ask(store, users.iter().zip(&tokens).map(wake).collect()).await;
    let held = hold(store, &users, &tokens, &seats).await;
    let expire = Command::ExpireHolds { reservation_ids: held.clone() };
    ask(store, vec![(Caller::System, expire)]).await;
    let cancel = Command::CancelReservation { reservation_id: held[0], reason: None };
    ask(store, vec![(Caller::Buyer(users[0]), cancel)]).await;
    pay(store, &users[1..], &tokens[1..], &held[1..]).await;
    let filter = PaymentFilter { user: Some(users[1]), ..Default::default() };
    let payment_id = store.payments(&filter, Page { after: None, limit: 1 }).await.unwrap()[0].payment_id;
    let outcomes = ask(store, vec![(Caller::Buyer(users[1]), Command::Refund { payment_id, reason: None })]).await;
    assert!(matches!(outcomes.as_slice(), [Outcome::Refunded { .. }]), "{outcomes:?}");
}

/// The fault of a plan: none if it goes by an index.
fn fault(plan: &str) -> Option<String> {
    let scans = |table: &&&str| {
        [format!("Seq Scan on {table} "), format!("Seq Scan on \"{table}\" ")].iter().any(|scan| plan.contains(scan))
    };
    if let Some(table) = LARGE.iter().find(scans) {
        return Some(format!("reads all of {table}"));
    }
    let removed = |line: &str| line.trim().strip_prefix("Rows Removed by Filter: ")?.parse::<u64>().ok();
    let removed = plan.lines().filter_map(removed).max().unwrap_or(0);
    if removed > REMOVED_MAX && !plan.contains("strpos") {
        return Some(format!("finds {removed} rows too many"));
    }
    let wrong = INDEXES.iter().find(|(part, index)| plan.contains(part) && !plan.contains(index));
    wrong.map(|(_, index)| format!("does not go by {index}"))
}

/// Makes a box office whose large tables have so many rows. Returns its address.
async fn filled(server: &PostgresServer, rows: i64) -> String {
    let url = server.url("postgres");
    postgres::migrate(&PostgresSettings::new(&url)).await.unwrap();
    drop(open(&PostgresSettings::new(&url), &Clock::manual(START)).await);
    let fill = FILL.replace("ROWS", &rows.to_string()).replace("T0", &START.micros().to_string());
    server.client().await.batch_execute(&fill).await.unwrap();
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_goes_by_an_index() {
    let server = PostgresServer::start_with(&programs(), SETTINGS).await;
    let clock = Clock::manual(START);
    let url = filled(&server, ROWS).await;
    let client = server.client().await;
    let ids = Ids::from_seed(7);
    // As after a quick growth, and as on any other day.
    for analyze in ["", "VACUUM ANALYZE"] {
        client.batch_execute(analyze).await.unwrap();
        let before = server.log().len();
        for statements in [Statements::Named, Statements::Unnamed] {
            let settings = PostgresSettings { lanes: 1, readers: 1, statements, ..PostgresSettings::new(&url) };
            let store = open(&settings, &clock).await;
            for _ in 0..if statements == Statements::Named { ROUNDS } else { 1 } {
                sell(&store, &ids).await;
                read_everything(&store).await;
            }
        }
        assert_no_faults(&server.log().split_off(before));
    }
}

/// Looks at every plan in a server's log.
#[track_caller]
fn assert_no_faults(log: &str) {
    let plans: Vec<&str> = log.split("LOG:  duration: ").skip(1).collect();
    for (part, _) in INDEXES {
        let count = plans.iter().filter(|plan| plan.contains(part)).count();
        assert!(count > 1, "{part}: {count} plans of {}", plans.len());
    }
    let mut faults = BTreeMap::new();
    for plan in plans {
        if let Some(fault) = fault(plan) {
            let query = plan.lines().nth(1).unwrap_or_default();
            faults.entry(query).or_insert(format!("{fault}\n{plan}\n"));
        }
    }
    let faults: Vec<String> = faults.into_values().collect();
    assert!(faults.is_empty(), "{}", faults.concat());
}

/// How many rows each large table has when its books are checked.
const CHECKED: i64 = 20_000;
/// How many rows all steps of one query of the check may look at together, for each that a large table has: the
/// histories have two, and a query reads, sorts and joins them once. Row by row with each other they would be
/// thousands.
const LOOKS_MAX: u64 = 40;

/// How many rows the steps of a plan gave and threw away.
pub(crate) fn looks(plan: &str) -> u64 {
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok();
    let (mut sum, mut loops) = (0, 1);
    for line in plan.lines() {
        if let Some((_, actual)) = line.split_once("(actual rows=") {
            loops = actual.split_once("loops=").and_then(|(_, loops)| number(loops)).unwrap();
            sum += number(actual).unwrap() * loops;
        } else if let Some((_, removed)) = line.trim().strip_prefix("Rows Removed by ").and_then(|r| r.split_once(": "))
        {
            sum += number(removed).unwrap() * loops;
        }
    }
    sum
}

/// How many pages a statement touched. The first step tells those of all the others.
pub(crate) fn pages(plan: &str) -> u64 {
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok();
    let of = |line: &str, what: &str| line.split_once(what).and_then(|(_, text)| number(text)).unwrap_or(0);
    let buffers = plan.lines().filter(|line| line.trim().starts_with("Buffers: shared"));
    buffers.map(|line| of(line, " hit=") + of(line, " read=")).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_many_rows_does_not_compare_each_with_each() {
    let server = PostgresServer::start_with(&programs(), SETTINGS).await;
    let url = filled(&server, CHECKED).await;
    // As after a quick growth, and as on any other day.
    for analyze in ["", "VACUUM ANALYZE"] {
        server.client().await.batch_execute(analyze).await.unwrap();
        let before = server.log().len();
        check::postgres::run(&PostgresSettings::new(&url)).await.unwrap();
        let log = server.log().split_off(before);
        let plans: Vec<&str> = log.split("LOG:  duration: ").skip(1).collect();
        assert!(plans.iter().any(|plan| plan.contains("confirmed_at IS NOT NULL")), "{log}");
        for plan in plans {
            assert!(looks(plan) <= LOOKS_MAX * CHECKED.unsigned_abs(), "{} rows\n{plan}", looks(plan));
        }
    }
}
