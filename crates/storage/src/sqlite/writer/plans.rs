//! The cost of statements with the statistics of an ANALYZE on another day: for batches and frequent reads, it must not
//! grow with the line.

use super::{
    super::tables::{audit_log, concert, debt, payment, point, point_history, reservation, session, token, user},
    *,
};
use crate::Page;
use frontrow_domain::{
    command::{Command, NewConcert, Outcome},
    decide::decide_all,
    id::{AuditId, ConcertId, PaymentId, ReservationId, SeatId, TokenId, UserId},
    line::{Fence, TokenStatus},
    money::Money,
    sale::{DetailsChange, NewSeat, PaymentStatus, ReservationStatus, SeatLabel},
    time::Span,
    user::{Caller, NewUser, OperatorPresence, Role},
};
use rusqlite::{
    StatementStatus,
    trace::{TraceEvent, TraceEventCodes},
};
use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Mutex, PoisonError},
};
use uuid::Uuid;

const START: Time = Time::from_micros(1_800_000_000_000_000);
/// The length of the line.
const LINE: i64 = 20_000;
/// The limit of virtual machine steps for one statement: those of a walk over a thousand rows. A scan of the line takes
/// some times as many.
const STEPS_MAX: i32 = 10_000;
/// The number of users in each sale.
const USERS: i64 = 20;
/// The number of ended reservations of the first user.
const HISTORY: i64 = 5_000;

/// The day that the statistics were taken.
#[derive(Debug, Clone, Copy)]
enum Day {
    Empty,
    Full,
    Ended,
}

fn someone(number: i64) -> UserId {
    UserId(Uuid::from_u128(u128::from(number.unsigned_abs())))
}

/// Runs `sql` once for each number from `first` to `last`.
fn each(conn: &Connection, first: i64, last: i64, sql: &str) {
    let sql = format!(
        "WITH RECURSIVE each (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM each WHERE n < {last}) {}",
        sql.replace("SOMEONE", "unhex(printf('%032x', n))").replace("T0", &START.micros().to_string())
    );
    conn.execute(&sql, ()).unwrap();
}

fn tokens(conn: &Connection, first: i64, last: i64, status: &str, rest: &str) {
    let insert = format!(
        "INSERT INTO waiting_token (room_id, position, user_id, status, issued_at, activated_at, deadline, expired_at,
             end_reason) SELECT 0, n, SOMEONE, '{status}', T0, {rest} FROM each"
    );
    each(conn, first, last, &insert);
}

/// The rows of a day of sales, except the line.
fn rest(conn: &Connection) {
    let many = |sql: &str| each(conn, 1, LINE, sql);
    each(
        conn,
        1,
        2 * LINE,
        "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
         SELECT SOMEONE, 'Kim', n || '@example.com', '', 'buyer', T0, T0 FROM each",
    );
    many(
        "INSERT INTO session (secret_hash, user_id, role, expires_at)
          SELECT unhex(printf('%064x', n)), SOMEONE, 'buyer', T0 + n FROM each",
    );
    each(
        conn,
        1,
        2,
        "INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at,
             base_price, opens_at, closes_at, room_id, status, created_at, updated_at)
         SELECT n, 'C', 'A', 'H', 'Asia/Seoul', '2027-03-01', '20:00:00', '22:00:00', T0, 1, T0,
             T0 + 9000000000, 0, 'scheduled', T0, T0 FROM each",
    );
    many("INSERT INTO seat (seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, section, \"row\",
             number, grade, created_at, updated_at)
          SELECT n, n % 2 + 1, n, 1000, 'sold', n, NULL, 'F', 'A', n, 'V', T0, T0 FROM each");
    many(
        "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at,
             expires_at, confirmed_at, closed_at)
          SELECT n, SOMEONE, n % 2 + 1, n, n, 1000, 'confirmed', T0, T0, T0, NULL FROM each",
    );
    many(
        "INSERT INTO payment (payment_id, user_id, reservation_id, amount, status, paid_at, refunded_at, created_at)
          SELECT n, SOMEONE, n, 1000, 'completed', T0, NULL, T0 FROM each",
    );
    many(
        "INSERT INTO point (point_id, user_id, amount, version, last_updated, created_at)
          SELECT n, SOMEONE, 5000, 1, T0, T0 FROM each",
    );
    many(
        "INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version, payment_id,
             reference, created_at)
          SELECT n, SOMEONE, 6000, 'top_up', 'x', 6000, 1, NULL, 'r' || n, T0 FROM each",
    );
    many(
        "INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version, payment_id,
             reference, created_at)
          SELECT 1000000 + n, SOMEONE, -1000, 'adjustment', 'x', 5000, 1000000, NULL, 'batch', T0 FROM each WHERE n % 2 = 0",
    );
    many(
        "INSERT INTO debt (debt_id, user_id, amount, reason, reference, status, created_at, settled_at)
          SELECT n, SOMEONE, 10, 'x', 'batch', 'waived', T0, T0 FROM each WHERE n % 2 = 0",
    );
    many(
        "INSERT INTO audit_log (audit_id, actor, action, object, detail, created_at)
          SELECT n, NULL, 'points.top_up', iif(n % 2, 'concert 1', 'user ' || n), '{}', T0 FROM each",
    );
    many(
        "INSERT INTO idempotency (id, created_at, key, fingerprint, answer)
          SELECT n, T0, unhex(printf('%064x', n)), unhex('00'), '{}' FROM each",
    );
}

/// Ended reservations of one user.
fn history(conn: &Connection, user: i64, count: i64) {
    let insert = format!(
        "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at,
             expires_at, confirmed_at, closed_at)
         SELECT 1000000 + n, unhex(printf('%032x', {user})), 1, n, n, 1000, 'cancelled', T0, T0, NULL, T0 FROM each
         WHERE n > 0"
    );
    each(conn, 0, count, &insert);
}

/// Half of the line has paid, some tokens are active, the rest wait; the statistics are of `day`. Returns the first
/// waiting position, whose user has `ended` ended reservations.
fn sale(path: &Path, day: Day, ended: i64) -> i64 {
    let conn = Connection::open(path).unwrap();
    conn.pragma_update(None, "foreign_keys", false).unwrap();
    let half = LINE / 2;
    let (paid, active, waits) = ("T0, NULL, T0, 'paid'", "T0, T0 + 600000000, NULL, NULL", "NULL, NULL, NULL, NULL");
    let analyze = || conn.execute_batch("ANALYZE").unwrap();
    let first = match day {
        Day::Empty => {
            tokens(&conn, 1, 2, "ended", paid);
            analyze();
            rest(&conn);
            tokens(&conn, 3, half, "ended", paid);
            history(&conn, half + 401, ended);
            half + 1
        }
        Day::Full => {
            rest(&conn);
            tokens(&conn, 1, LINE, "waiting", waits);
            analyze();
            conn.execute("DELETE FROM waiting_token", ()).unwrap();
            tokens(&conn, 1, half, "ended", paid);
            history(&conn, half + 401, ended);
            half + 1
        }
        Day::Ended => {
            rest(&conn);
            tokens(&conn, 1, LINE, "ended", paid);
            history(&conn, LINE + 401, ended);
            analyze();
            LINE + 1
        }
    };
    tokens(&conn, first, first + 399, "active", active);
    tokens(&conn, first + 400, first + half, "waiting", waits);
    let room = "UPDATE room SET active = 400, cursor = ?1, last_position = ?2, max_active = 1000";
    conn.execute(room, (first + 399, first + half)).unwrap();
    first + 400
}

/// The cost of the statements that ran.
#[derive(Debug, Clone, Default)]
struct Costs {
    /// The most steps of a run, by the statement's text.
    steps: HashMap<String, i32>,
    compiled_again: BTreeSet<String>,
}

fn watch(conn: &mut Connection) -> Arc<Mutex<Costs>> {
    let costs = Arc::new(Mutex::new(Costs::default()));
    // The counter goes on when a statement is reused.
    let mut before: HashMap<String, i32> = HashMap::new();
    let noted = Arc::clone(&costs);
    let note = move |event: TraceEvent<'_>| {
        if let TraceEvent::Profile(statement, _) = event {
            let (sql, steps) = (statement.sql().into_owned(), statement.get_status(StatementStatus::VmStep));
            let last = before.insert(sql.clone(), steps).filter(|last| *last <= steps).unwrap_or(0);
            let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
            if statement.get_status(StatementStatus::RePrepare) > 0 {
                noted.compiled_again.insert(sql.clone());
            }
            let most = noted.steps.entry(sql).or_default();
            *most = (*most).max(steps - last);
        }
    };
    conn.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(note)).unwrap();
    costs
}

fn ask(writer: &mut Writer, commands: Vec<(Caller, Command)>) -> Vec<Outcome> {
    let request = |(caller, command)| Request { caller, command, idempotency: None };
    let batch: Vec<_> = commands.into_iter().map(request).collect();
    let answers = writer.transact(&batch, decide_all).unwrap().answers;
    answers.into_iter().map(|answer| answer.decision.unwrap()).collect()
}

fn house(position: i64) -> TokenId {
    TokenId { room_id: RoomId::HOUSE, position: Position(position) }
}

/// New users join; those at the head are let in and buy. Returns their concert.
fn sell(writer: &mut Writer, first: i64) -> ConcertId {
    let concert = NewConcert {
        title: "C".to_owned(),
        artist: "A".to_owned(),
        venue: "H".to_owned(),
        time_zone: "Asia/Seoul".to_owned(),
        concert_date: jiff::civil::date(2027, 3, 1),
        start_time: jiff::civil::time(20, 0, 0, 0),
        end_time: jiff::civil::time(22, 0, 0, 0),
        starts_at: START.plus(Span::from_secs(45 * 86_400)),
        ends_at: START.plus(Span::from_secs(46 * 86_400)),
        base_price: Money::new(100),
        opens_at: Some(START),
        closes_at: Some(START.plus(Span::from_secs(44 * 86_400))),
        own_room_max_active: None,
        details: DetailsChange::default(),
    };
    let made = ask(writer, vec![(Caller::System, Command::CreateConcert(concert))]);
    let [Outcome::Concert(concert)] = made.as_slice() else { panic!("{made:?}") };
    let seat = |number: i64| NewSeat {
        seat_number: Some(i32::try_from(number).unwrap()),
        price: Some(Money::new(100)),
        label: SeatLabel::default(),
    };
    let seats = Command::AddSeats { concert_id: concert.concert_id, seats: (1..=USERS).map(seat).collect() };
    let added = ask(writer, vec![(Caller::System, seats)]);
    let [Outcome::SeatsAdded { first_seat_id, .. }] = added.as_slice() else { panic!("{added:?}") };

    let new = |number: i64| someone(1_000_000 + number);
    let register = |number: i64| {
        let user = NewUser {
            user_id: new(number),
            name: "Kim".to_owned(),
            email: format!("new{number}@example.com"),
            password_hash: String::new(),
            role: Role::Buyer,
        };
        (Caller::System, Command::Register(user))
    };
    ask(writer, (1..=USERS).map(register).collect());
    let join =
        |number: i64| (Caller::Buyer(new(number)), Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None });
    let joined = ask(writer, (1..=USERS).map(join).collect());
    let leave = |outcome: &Outcome| match outcome {
        Outcome::Joined { token, .. } => (Caller::Buyer(token.user_id), Command::LeaveQueue { token: token.id }),
        other => panic!("{other:?}"),
    };
    ask(writer, joined.iter().map(leave).collect());

    let limit = u32::try_from(USERS).unwrap();
    let advance = Command::AdvanceRoom {
        room_id: RoomId::HOUSE,
        fence: Fence(0),
        limit,
        unresponsive: Vec::new(),
        outlook: None,
    };
    ask(writer, vec![(Caller::System, advance)]);
    let here = |number: i64| (Caller::Buyer(someone(first + number)), house(first + number), number);
    let each = |command: &dyn Fn(TokenId, i64) -> Command| -> Vec<(Caller, Command)> {
        (0..USERS).map(here).map(|(caller, token, number)| (caller, command(token, number))).collect()
    };
    let active = ask(writer, each(&|token, _| Command::ActivateToken { token }));
    let is_active =
        |outcome: &Outcome| matches!(outcome, Outcome::Token(token) if token.status() == TokenStatus::Active);
    assert!(active.iter().all(is_active), "{active:?}");
    ask(writer, each(&|token, _| Command::WakeToken { token }));
    let top_up =
        |number| Command::TopUp { user_id: someone(first + number), amount: Money::new(1_000), reference: None };
    ask(writer, each(&|_, number| top_up(number)));
    let seat = |number| SeatId::new(first_seat_id.get() + number);
    let held = ask(writer, each(&|token, number| Command::Hold { token, seat_ids: vec![seat(number)] }));
    let reservations: Vec<ReservationId> = held
        .iter()
        .map(|outcome| match outcome {
            Outcome::Held(rows) => rows[0].reservation_id,
            other => panic!("{other:?}"),
        })
        .collect();
    let reservation = |number: i64| reservations[usize::try_from(number).unwrap()];
    let paid = ask(writer, each(&|token, number| Command::Pay { token, reservation_ids: vec![reservation(number)] }));
    let [Outcome::Paid(payments), ..] = paid.as_slice() else { panic!("{paid:?}") };
    let refund = Command::Refund { payment_id: payments[0].payment_id, reason: None };
    ask(writer, vec![(Caller::Buyer(someone(first)), refund)]);
    concert.concert_id
}

/// The frequent reads.
fn read(conn: &Connection, first: i64) {
    let user = someone(first + 100);
    assert!(token::find(conn, house(first + 100)).unwrap().is_some());
    assert_eq!(token::live_of_user(conn, user).unwrap().len(), 1);
    let page = Page { after: Some(Position(first + 1_000)), limit: 50 };
    assert_eq!(token::page_of_waiting(conn, RoomId::HOUSE, page).unwrap().len(), 50);
    token::unassigned_positions(conn, RoomId::HOUSE, Position(first), Position(first + 50)).unwrap();
    session::find(conn, [7; 32]).unwrap();
    session::of_user(conn, user, 10).unwrap();
    user::credentials(conn, "777@example.com").unwrap().unwrap();
    user::find(conn, user).unwrap();
    assert_eq!(user::operators(conn).unwrap(), OperatorPresence::Never);
    for after in [None, Some(AuditId::new(LINE / 2))] {
        assert_eq!(audit_log::page_of(conn, "concert 1", Page { after, limit: 50 }).unwrap().len(), 50);
    }
    point::find(conn, someone(7)).unwrap().unwrap();
    point_history::page(conn, someone(7), Page { after: None, limit: 50 }).unwrap();
    assert_eq!(point_history::bookings_of_reference(conn, "r7", 20).unwrap().len(), 1);
    assert_eq!(point_history::bookings_of_reference(conn, "batch", 20).unwrap().len(), 20);
    assert_eq!(debt::debts_of_reference(conn, "batch", 20).unwrap().len(), 20);
    concert::find(conn, ConcertId::new(1)).unwrap().unwrap();
    reservation::find(conn, ReservationId::new(7)).unwrap().unwrap();
    payment::find(conn, PaymentId::new(7)).unwrap().unwrap();
    reservation::next_expiries(conn, Time::MAX, 50).unwrap();
    let of_user = crate::ReservationFilter { user: Some(someone(7)), ..Default::default() };
    assert_eq!(reservation::page(conn, &of_user, Page { after: None, limit: 50 }).unwrap().len(), 1);
    for status in [None, Some(ReservationStatus::Confirmed), Some(ReservationStatus::Cancelled)] {
        let of_buyer = crate::ReservationFilter { user: Some(someone(first - USERS)), status, ..Default::default() };
        reservation::page(conn, &of_buyer, Page { after: None, limit: 50 }).unwrap();
    }
    let of_user = crate::PaymentFilter { user: Some(someone(7)), ..Default::default() };
    assert_eq!(payment::page(conn, &of_user, Page { after: None, limit: 50 }).unwrap().len(), 1);
    let of_reservation = crate::PaymentFilter { reservation: Some(ReservationId::new(7)), ..Default::default() };
    assert_eq!(payment::page(conn, &of_reservation, Page { after: None, limit: 50 }).unwrap().len(), 1);
}

/// The operators' lists of a small concert, which has few of many rows.
fn list_of(conn: &Connection, concert: ConcertId) {
    use crate::{PaymentFilter, ReservationFilter};
    let statuses = [None, Some(ReservationStatus::Confirmed), Some(ReservationStatus::Refunded)];
    let found = statuses.map(|status| {
        let filter = ReservationFilter { concert: Some(concert), status, ..Default::default() };
        reservation::page(conn, &filter, Page { after: None, limit: 50 }).unwrap().len()
    });
    let all = usize::try_from(USERS).unwrap();
    assert_eq!(found, [all, all - 1, 1]);
    for status in [ReservationStatus::Pending, ReservationStatus::Cancelled, ReservationStatus::Expired] {
        let filter = ReservationFilter { concert: Some(concert), status: Some(status), ..Default::default() };
        assert!(reservation::page(conn, &filter, Page { after: None, limit: 50 }).unwrap().is_empty());
    }
    let found = [None, Some(PaymentStatus::Completed), Some(PaymentStatus::Refunded)].map(|status| {
        let filter = PaymentFilter { concert: Some(concert), status, ..Default::default() };
        payment::page(conn, &filter, Page { after: None, limit: 50 }).unwrap().len()
    });
    assert_eq!(found, [all, all - 1, 1]);
}

/// The operators' lists of a large hall, which has half of the sold seats.
fn list_of_hall(conn: &Connection) {
    use crate::{PaymentFilter, ReservationFilter};
    let concert = Some(ConcertId::new(1));
    let limit = 50;
    for after in [0, 10_000] {
        assert_eq!(reservation::door_list(conn, ConcertId::new(1), after, limit).unwrap().len(), 50);
    }
    let newest =
        reservation::page(conn, &ReservationFilter { concert, ..Default::default() }, Page { after: None, limit });
    assert_eq!(newest.unwrap().len(), 50);
    for last in [LINE, LINE / 2] {
        let page: Vec<i64> = (1..=50).map(|number| last - 2 * number).collect();
        for status in [None, Some(ReservationStatus::Confirmed)] {
            let filter = ReservationFilter { concert, status, ..Default::default() };
            let after = Some(ReservationId::new(last));
            let found = reservation::page(conn, &filter, Page { after, limit }).unwrap();
            assert_eq!(found.iter().map(|row| row.reservation_id.get()).collect::<Vec<_>>(), page);
        }
        for status in [None, Some(PaymentStatus::Completed)] {
            let filter = PaymentFilter { concert, status, ..Default::default() };
            let after = Some(PaymentId::new(last));
            let found = payment::page(conn, &filter, Page { after, limit }).unwrap();
            assert_eq!(found.iter().map(|row| row.payment_id.get()).collect::<Vec<_>>(), page);
        }
    }
}

/// The query plan of a statement.
fn plan(conn: &Connection, sql: &str) -> String {
    let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    // With any values.
    let steps = explain.raw_query().mapped(|row| row.get::<_, String>(3));
    steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
}

/// The costs of a sale to users, the first of whom has `ended` ended reservations; and the writer.
fn costs_after(day: Day, ended: i64) -> (Costs, Writer) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frontrow.db");
    let open = || {
        let high_water = Arc::new(AtomicI64::new(i64::MIN));
        let busy = Duration::from_secs(1);
        Writer::open(path.clone(), busy, Clock::manual(START), Policy::default(), 1_000, high_water).unwrap()
    };
    drop(open());
    let first = sale(&path, day, ended);
    let mut writer = open();
    let costs = watch(&mut writer.conn);
    let concert = sell(&mut writer, first);
    read(&writer.conn, first + USERS);
    list_of(&writer.conn, concert);
    list_of_hall(&writer.conn);
    let costs = costs.lock().unwrap().clone();
    (costs, writer)
}

fn assert_cheap(day: Day) {
    let (costs, writer) = costs_after(day, HISTORY);
    assert!(costs.compiled_again.is_empty(), "compiled more than once: {:#?}", costs.compiled_again);
    assert!(costs.steps.len() > 40, "{} statements", costs.steps.len());
    let dear = costs.steps.iter().filter(|(_, steps)| **steps > STEPS_MAX);
    let dear: Vec<_> =
        dear.map(|(sql, steps)| format!("{steps} steps: {sql}\n  {}\n", plan(&writer.conn, sql))).collect();
    assert!(dear.is_empty(), "with the statistics of {day:?}: {}", dear.concat());
    // Every statement over tokens uses a key or the index that is meant for it.
    for sql in costs.steps.keys().filter(|sql| sql.contains("waiting_token") && !sql.starts_with("INSERT")) {
        let plan = plan(&writer.conn, sql);
        assert!(!plan.contains("SCAN waiting_token"), "{sql}: {plan}");
    }
    // A hold takes as many steps for a user with a history as for one without.
    let of_hold = |costs: &Costs| {
        let steps = costs.steps.iter().find(|(sql, _)| sql.contains("WHERE user_id = ?1 AND closed_at IS NULL ORDER"));
        *steps.unwrap().1
    };
    assert_eq!(of_hold(&costs), of_hold(&costs_after(day, 0).0), "with the statistics of {day:?}");
}

#[test]
fn no_statement_costs_more_with_the_line_where_the_statistics_are_of_an_empty_one() {
    assert_cheap(Day::Empty);
}

#[test]
fn no_statement_costs_more_with_the_line_where_the_statistics_are_of_a_full_one() {
    assert_cheap(Day::Full);
}

#[test]
fn no_statement_costs_more_with_the_line_where_the_statistics_are_of_an_ended_sale() {
    assert_cheap(Day::Ended);
}
