//! The life of a concert, rule by rule: when it is sold, postponed, cancelled and over.

use crate::support::{
    self, BOSS, CLOCK, CLOSES, DAY, ENDS, HOUSE, JUNHO, MIN, MINJI, OWN, S, SHOW, SORA, START, SaleModel, add_seats,
    advance, at, block, cancel, free, hold, issue, new_concert, pay, refund, set_cap, sweep, token_id, update_concert,
};
use frontrow_domain::{
    command::{Command, ConcertChange, Outcome},
    id::{ConcertId, PaymentId, ReservationId, RoomId, SeatId},
    line::{EndReason, TokenStatus},
    sale::{
        CONCERT_CANCELLED, Closing, Concert, ConcertStatus, LATE_SALES, LINE_KEPT, PaymentStatus, ReservationStatus,
    },
    time::Time,
    user::Caller,
};

fn to(status: ConcertStatus) -> Command {
    update_concert(1, ConcertChange { status: Some(status), ..ConcertChange::default() })
}

fn call_off(concert: i64) -> Command {
    Command::CancelConcert { concert_id: ConcertId::new(concert), reason: "The singer is ill.".to_owned(), basis: None }
}

fn refund_all(concert: i64) -> Command {
    Command::RefundConcert { concert_id: ConcertId::new(concert), basis: None }
}

fn wind_up(seats: &[i64], payments: &[i64]) -> Command {
    Command::WindUp {
        concert_id: ConcertId::new(1),
        seat_ids: seats.iter().copied().map(SeatId::new).collect(),
        payment_ids: payments.iter().copied().map(PaymentId::new).collect(),
    }
}

fn concert(office: &SaleModel) -> Concert {
    office.model.concerts[&ConcertId::new(1)].clone()
}

fn join() -> Command {
    Command::IssueToken { room_id: HOUSE, concert_id: Some(ConcertId::new(1)) }
}

/// The states of the concert of the table below.
#[derive(Debug, Clone, Copy)]
enum ConcertCase {
    Scheduled,
    Closed,
    Postponed,
    Cancelled,
    /// Its end has come.
    Over,
    /// As before, and its sale was closed before.
    ClosedAndOver,
    /// Postponed, and the day that it was to be on has passed.
    PostponedBeyondItsDay,
}

/// Minji has paid for seat 1 (payment 1) and holds seat 2 (reservation 2); Junho waits for a turn in the concert's own
/// room. The sale closes long after the concert, so that nothing is refused because of the closing time.
fn sold(state: ConcertCase) -> (SaleModel, frontrow_domain::id::TokenId) {
    let (mut office, first) = SaleModel::with_hold(MINJI, &[1]);
    let late = ConcertChange { closes_at: Some(Some(at(ENDS + 100 * DAY))), ..ConcertChange::default() };
    office.run([(0, BOSS, update_concert(1, late), "concert"), (0, MINJI, pay(first, &[1]), "paid")]);
    // Holds were made a moment ago, whenever that is.
    office.at(match state {
        ConcertCase::Over | ConcertCase::ClosedAndOver | ConcertCase::PostponedBeyondItsDay => ENDS - S,
        _ => 0,
    });
    let token = office.active(MINJI, HOUSE);
    office.expect(MINJI, hold(token, &[2]), "held");
    match state {
        ConcertCase::Scheduled | ConcertCase::Over => {}
        ConcertCase::Closed | ConcertCase::ClosedAndOver => office.expect(BOSS, to(ConcertStatus::Closed), "concert"),
        ConcertCase::Postponed | ConcertCase::PostponedBeyondItsDay => {
            office.expect(BOSS, to(ConcertStatus::Postponed), "concert");
        }
        ConcertCase::Cancelled => office.expect(BOSS, call_off(1), "concert"),
    }
    office.at(office.micros() + S);
    (office, token)
}

#[test]
fn each_state_of_a_concert_allows_what_it_should() {
    use ConcertCase::{Cancelled, Closed, ClosedAndOver, Over, Postponed, PostponedBeyondItsDay, Scheduled};
    let table = [
        (Scheduled, "new held paid cancelled refunded refunded seats_added seats_set"),
        (Closed, "sale_closed sale_closed sale_closed cancelled refunded refunded seats_added seats_set"),
        (Postponed, "postponed postponed postponed cancelled refunded refunded seats_added seats_set"),
        (Cancelled, "off off off cancelled refunded refunded off off"),
        (Over, "sale_closed sale_closed sale_closed cancelled refund_too_late refunded seats_added seats_set"),
        (ClosedAndOver, "sale_closed sale_closed sale_closed cancelled refund_too_late refunded seats_added seats_set"),
        (PostponedBeyondItsDay, "postponed postponed postponed cancelled refunded refunded seats_added seats_set"),
    ];
    for (state, expected) in table {
        let (office, token) = sold(state);
        let actions = [
            (JUNHO, join()),
            (MINJI, hold(token, &[3])),
            (MINJI, pay(token, &[2])),
            (MINJI, cancel(2)),
            (MINJI, refund(1)),
            (BOSS, refund(1)),
            (BOSS, add_seats(1, [9])),
            (BOSS, free(&[4])),
        ];
        for ((caller, action), expected) in actions.into_iter().zip(expected.split(' ')) {
            let mut office = office.clone();
            let asked = format!("{state:?}: {action:?}");
            let decision = office.ask(caller, action);
            let expected = match expected {
                "postponed" => "concert_postponed",
                "off" => "concert_cancelled",
                other => other,
            };
            assert_eq!(support::name(&decision), expected, "{asked}: {decision:?}");
        }
    }
}

#[test]
fn a_seat_goes_where_the_concerts_state_sends_it() {
    // The map's state of a seat that was refunded, and of one whose hold was given up.
    let table = [
        (ConcertCase::Scheduled, ['A', 'A']),
        (ConcertCase::Closed, ['B', 'A']),
        (ConcertCase::Postponed, ['A', 'A']),
        (ConcertCase::Cancelled, ['B', 'B']),
        (ConcertCase::Over, ['B', 'A']),
        (ConcertCase::PostponedBeyondItsDay, ['A', 'A']),
    ];
    for (state, expected) in table {
        let (mut office, _) = sold(state);
        office.expect(BOSS, refund(1), "refunded");
        office.expect(BOSS, cancel(2), "cancelled");
        assert_eq!([1, 2].map(|seat| office.letter(seat)), expected, "{state:?}");
    }
}

#[test]
fn a_hold_of_a_cancelled_concert_that_runs_out_puts_no_seat_on_sale() {
    let (mut office, _) = sold(ConcertCase::Cancelled);
    office.at(6 * MIN);
    office.expect(CLOCK, sweep(&[2]), "swept 1");
    assert_eq!(office.letter(2), 'B');
}

#[test]
fn buyers_of_a_cancelled_or_postponed_concert_have_their_points_back_even_after_its_start() {
    for (status, expected) in [
        (ConcertStatus::Scheduled, "refund_too_late"),
        (ConcertStatus::Closed, "refund_too_late"),
        (ConcertStatus::Postponed, "refunded"),
        (ConcertStatus::Cancelled, "refunded"),
    ] {
        for moment in [SHOW - DAY, SHOW - S, SHOW + S, ENDS + DAY] {
            let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
            office.expect(MINJI, pay(token, &[1]), "paid");
            let command = if status == ConcertStatus::Cancelled { call_off(1) } else { to(status) };
            office.run([(SHOW - 2 * DAY, BOSS, command, "concert"), (moment, MINJI, refund(1), expected)]);
        }
    }
    // The new day of a postponed one has the cut-off of any other.
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    let later = ConcertChange {
        concert_date: Some(jiff::civil::date(2027, 3, 14)),
        status: Some(ConcertStatus::Scheduled),
        ..ConcertChange::default()
    };
    let new_show = SHOW + 28 * DAY;
    office.run([
        (0, MINJI, pay(token, &[1]), "paid"),
        (SHOW - S, BOSS, to(ConcertStatus::Postponed), "concert"),
        (SHOW + DAY, BOSS, update_concert(1, later), "concert"),
        (new_show - DAY, MINJI, refund(1), "refund_too_late"),
        (new_show - DAY - 1, MINJI, refund(1), "refunded"),
    ]);
    assert_eq!(concert(&office).starts_at, at(new_show));
}

#[test]
fn a_closing_time_that_was_left_out_is_the_start_whenever_that_is() {
    let mut office = SaleModel::new();
    let mut new = new_concert(None);
    new.closes_at = None;
    office.expect(BOSS, Command::CreateConcert(new), "concert");
    let ask = |office: &mut SaleModel, change: ConcertChange| {
        let Ok(Outcome::Concert(concert)) = office.ask(BOSS, update_concert(3, change)) else { panic!() };
        (concert.starts_at, concert.closes_at, concert.closing)
    };
    let nothing = ConcertChange::default;
    let on = |day| ConcertChange { concert_date: Some(jiff::civil::date(2027, 2, day)), ..nothing() };
    let closes = |closes_at| ConcertChange { closes_at: Some(closes_at), ..nothing() };
    let show = |day: i64| at(SHOW + (day - 14) * DAY);
    assert_eq!(ask(&mut office, nothing()), (show(14), show(14), Closing::WithStart));
    assert_eq!(ask(&mut office, on(16)), (show(16), show(16), Closing::WithStart));
    assert_eq!(ask(&mut office, on(12)), (show(12), show(12), Closing::WithStart));
    assert_eq!(ask(&mut office, closes(Some(at(DAY)))), (show(12), at(DAY), Closing::Apart));
    assert_eq!(ask(&mut office, on(20)), (show(20), at(DAY), Closing::Apart));
    assert_eq!(ask(&mut office, closes(None)), (show(20), show(20), Closing::WithStart));
    let zone = ConcertChange { time_zone: Some("UTC".to_owned()), ..nothing() };
    let moved = show(20).plus(frontrow_domain::time::Span::from_secs(9 * 3_600));
    assert_eq!(ask(&mut office, zone), (moved, moved, Closing::WithStart));
    let nowhere = ConcertChange { time_zone: Some("Mars/Olympus".to_owned()), ..nothing() };
    office.expect(BOSS, update_concert(3, nowhere), "malformed");
    // Before its sale opens.
    let too_early = ConcertChange { concert_date: Some(jiff::civil::date(2027, 1, 1)), ..nothing() };
    office.expect(BOSS, update_concert(3, too_early), "malformed");
}

#[test]
fn two_operators_who_move_a_concert_at_once_both_have_their_change() {
    let mut office = SaleModel::new();
    let date = ConcertChange { concert_date: Some(jiff::civil::date(2027, 2, 20)), ..ConcertChange::default() };
    let time = ConcertChange {
        start_time: Some(jiff::civil::time(18, 0, 0, 0)),
        end_time: Some(jiff::civil::time(1, 0, 0, 0)),
        ..ConcertChange::default()
    };
    let answers = office.batch(&[(BOSS, update_concert(1, date)), (BOSS, update_concert(1, time))]);
    assert_eq!(answers, ["concert", "concert"]);
    let concert = concert(&office);
    let start = SHOW + 6 * DAY + 60 * MIN;
    assert_eq!((concert.starts_at, concert.ends_at), (at(start), at(start + 7 * 60 * MIN)));
}

#[test]
fn a_concert_is_over_at_its_end_whatever_closed_later() {
    let (office, _) = sold(ConcertCase::Scheduled);
    let status = |micros| concert(&office).status_at(at(micros));
    assert_eq!(
        [status(SHOW), status(ENDS - 1), status(ENDS)],
        [ConcertStatus::Scheduled, ConcertStatus::Scheduled, ConcertStatus::Over]
    );
    let mut office = office;
    office.at(ENDS - 4 * MIN);
    let token = office.active(MINJI, HOUSE);
    office.run([
        (ENDS - 4 * MIN, MINJI, hold(token, &[3]), "held"),
        (ENDS - 1, MINJI, hold(token, &[4]), "held"),
        (ENDS, MINJI, hold(token, &[5]), "sale_closed"),
        (ENDS, MINJI, pay(token, &[3]), "sale_closed"),
        (ENDS - 1, MINJI, pay(token, &[3]), "paid"),
    ]);
}

#[test]
fn a_postponed_sale_goes_on_when_it_is_scheduled_again() {
    let (mut office, token) = sold(ConcertCase::Postponed);
    office.run([
        (2 * S, MINJI, pay(token, &[2]), "concert_postponed"),
        (3 * S, BOSS, to(ConcertStatus::Scheduled), "concert"),
        (3 * S, MINJI, pay(token, &[2]), "paid"),
    ]);
}

#[test]
fn a_status_that_follows_from_time_or_is_final_is_not_set_by_hand() {
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, to(ConcertStatus::Over), "malformed"),
        (0, BOSS, to(ConcertStatus::Cancelled), "malformed"),
        (0, MINJI, call_off(1), "forbidden"),
        (0, BOSS, call_off(99), "not_found"),
        (0, BOSS, refund_all(1), "concert_not_cancelled"),
        (0, CLOCK, wind_up(&[1], &[]), "concert_not_cancelled"),
        (S, BOSS, call_off(1), "concert"),
        (S, BOSS, to(ConcertStatus::Scheduled), "concert_cancelled"),
        (S, BOSS, to(ConcertStatus::Postponed), "concert_cancelled"),
        (S, BOSS, block(&[1]), "seats_set"),
        (S, BOSS, free(&[1]), "concert_cancelled"),
        (S, BOSS, wind_up(&[2], &[]), "forbidden"),
        (S, MINJI, refund_all(1), "forbidden"),
    ]);
    let retitled = ConcertChange { title: Some("Cancelled night".to_owned()), ..ConcertChange::default() };
    let before = concert(&office);
    let log = office.model.audit.len();
    office.run([(2 * S, BOSS, call_off(1), "concert")]);
    assert_eq!((concert(&office), office.model.audit.len()), (before, log), "cancelling again changes nothing");
    office.run([(2 * S, BOSS, update_concert(1, retitled), "concert")]);
    assert_eq!(concert(&office).status_reason.as_deref(), Some("The singer is ill."));
}

#[test]
fn a_new_status_takes_the_old_reason_away() {
    let mut office = SaleModel::new();
    let says = |status, reason: Option<&str>| {
        let status_reason = reason.map(|reason| Some(reason.to_owned()));
        update_concert(1, ConcertChange { status, status_reason, ..ConcertChange::default() })
    };
    let long = "x".repeat(501);
    office.run([
        (0, BOSS, says(Some(ConcertStatus::Postponed), Some("A storm.")), "concert"),
        (0, BOSS, says(None, Some("")), "malformed"),
        (0, BOSS, says(None, Some(&long)), "malformed"),
    ]);
    assert_eq!(concert(&office).status_reason.as_deref(), Some("A storm."));
    office.run([(0, BOSS, says(Some(ConcertStatus::Scheduled), None), "concert")]);
    assert_eq!(concert(&office).status_reason, None);
}

#[test]
fn the_own_room_of_a_concert_that_is_not_sold_counts_as_over() {
    let mut office = SaleModel::new();
    let closes = |office: &SaleModel| office.room(OWN).closes_at;
    let to = |status| update_concert(2, ConcertChange { status: Some(status), ..ConcertChange::default() });
    office.run([(S, BOSS, to(ConcertStatus::Postponed), "concert")]);
    assert_eq!(closes(&office), Some(at(S)));
    office.run([(MIN, BOSS, to(ConcertStatus::Scheduled), "concert")]);
    assert_eq!(closes(&office), Some(at(CLOSES)));
    let late = ConcertChange { closes_at: Some(Some(at(ENDS + DAY))), ..ConcertChange::default() };
    office.run([(MIN, BOSS, update_concert(2, late), "concert")]);
    assert_eq!(closes(&office), Some(at(ENDS)));
    office.run([(2 * MIN, BOSS, call_off(2), "concert"), (2 * MIN, JUNHO, issue(OWN), "concert_cancelled")]);
    assert_eq!(closes(&office), Some(at(2 * MIN)));
    assert_eq!(RoomId::of_concert(ConcertId::new(2)), OWN);
}

#[test]
fn a_cancelled_concert_is_wound_up_part_by_part_and_each_payment_given_back_once() {
    let (mut office, _) = sold(ConcertCase::Cancelled);
    let paid = office.balance(MINJI);
    // Nobody asked for refunds yet: seats go off sale, holds end, payments stay.
    office.run([(2 * S, CLOCK, wind_up(&[1, 2, 3], &[1]), "wound_up")]);
    assert_eq!([1, 2, 3, 4].map(|seat| office.letter(seat)), ['S', 'B', 'B', 'A']);
    assert_eq!(office.model.reservations[&ReservationId::new(2)].status(), ReservationStatus::Cancelled);
    let seat = &office.model.seats[&SeatId::new(2)];
    assert_eq!(seat.blocked_reason(), Some(CONCERT_CANCELLED));
    assert_eq!(office.balance(MINJI), paid);

    office.run([(3 * S, BOSS, refund_all(1), "concert"), (4 * S, BOSS, refund_all(1), "concert")]);
    assert_eq!(concert(&office).refund_all_at, Some(at(3 * S)), "asking again changes nothing");
    let wound_up = |office: &mut SaleModel, command| {
        let Ok(Outcome::WoundUp { seats, refunds }) = office.ask(CLOCK, command) else { panic!() };
        (seats, refunds)
    };
    assert_eq!(wound_up(&mut office, wind_up(&[2, 3, 4, 5, 6], &[1, 1])), (3, 1));
    assert_eq!(office.model.payments[&PaymentId::new(1)].status, PaymentStatus::Refunded);
    assert_eq!(office.balance(MINJI), paid + 10_000);
    let detail = &office.model.audit.last().unwrap().detail;
    assert_eq!(*detail, serde_json::json!({ "count": 1, "amount": 10_000 }));
    let log = office.model.audit.len();
    assert_eq!(wound_up(&mut office, wind_up(&[2, 3, 4, 5, 6], &[1])), (0, 0), "what is done is left out");
    assert_eq!(office.model.audit.len(), log);
    assert_eq!([1, 2, 3, 4, 5, 6].map(|seat| office.letter(seat)), ['B'; 6]);
    office.run([(5 * S, MINJI, refund(1), "already_refunded"), (5 * S, BOSS, refund(1), "already_refunded")]);
}

#[test]
fn winding_up_touches_nothing_of_another_concert() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    let other = office.active(JUNHO, OWN);
    office.top_up(JUNHO, 100_000);
    office.run([
        (0, JUNHO, hold(other, &[7, 8]), "held"),
        (0, JUNHO, pay(other, &[2]), "paid"),
        (0, MINJI, pay(token, &[1]), "paid"),
        (S, BOSS, call_off(1), "concert"),
        (S, BOSS, refund_all(1), "concert"),
        (S, CLOCK, wind_up(&[8, 9], &[1]), "wound_up"),
    ]);
    assert_eq!([7, 8, 9].map(|seat| office.letter(seat)), ['S', 'H', 'A']);
    assert_eq!(office.model.payments[&PaymentId::new(1)].status, PaymentStatus::Completed);
    let many: Vec<i64> = (1..=101).collect();
    office.run([(S, CLOCK, wind_up(&many, &[]), "malformed"), (S, CLOCK, wind_up(&[], &many), "malformed")]);
}

#[test]
fn a_concert_is_settled_when_nothing_can_come_any_more() {
    let (mut office, _) = sold(ConcertCase::Cancelled);
    let settle = |seen: Time| Command::SettleConcert { concert_id: ConcertId::new(1), seen };
    let wound_up_at = |office: &SaleModel| concert(office).wound_up_at;
    let cancelled = concert(&office).updated_at;
    let late = cancelled.since(START).micros() + LATE_SALES.micros();
    office.run([
        (late - 1, CLOCK, settle(cancelled), "concert"),
        (late, Caller::Service, settle(cancelled), "forbidden"),
        (late, CLOCK, settle(at(-1)), "concert"),
    ]);
    assert_eq!(wound_up_at(&office), None);
    // An operator asks for refunds between the search and what was made of it.
    let mut asked = office.clone();
    asked.run([(late, BOSS, refund_all(1), "concert"), (2 * late, CLOCK, settle(cancelled), "concert")]);
    assert_eq!(wound_up_at(&asked), None);
    office.run([(late, CLOCK, settle(cancelled), "concert")]);
    assert_eq!(wound_up_at(&office), Some(at(late)));
    // Refunds that are asked for later are found again.
    office.run([(late + S, BOSS, refund_all(1), "concert")]);
    assert_eq!(wound_up_at(&office), None);
}

fn end_line(concert: i64, limit: u32) -> Command {
    Command::EndLine { room_id: RoomId::new(concert), limit }
}

#[test]
fn the_line_of_a_cancelled_concert_ends_from_its_head_on() {
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, set_cap(OWN, 1), "room"),
        (0, MINJI, issue(OWN), "new"),
        (0, JUNHO, issue(OWN), "new"),
        (0, SORA, issue(OWN), "new"),
        (S, CLOCK, advance(OWN), "offered 1, lapsed 0"),
        (S, CLOCK, end_line(2, 10), "offered 0, lapsed 0"),
        (2 * S, BOSS, call_off(2), "concert"),
        (2 * S, BOSS, end_line(2, 10), "forbidden"),
        (2 * S, CLOCK, end_line(9, 10), "not_found"),
        (2 * S, CLOCK, end_line(1, 10), "offered 0, lapsed 0"),
        (2 * S, CLOCK, end_line(2, 1), "offered 0, lapsed 1"),
    ]);
    let ended = office.token(token_id(OWN, 2));
    assert_eq!((ended.status(), ended.end_reason()), (TokenStatus::Ended, Some(EndReason::ConcertOver)));
    assert_eq!((ended.expired_at(), office.model.rooms[&OWN].cursor), (Some(at(2 * S)), ended.id.position));
    assert_eq!(office.status(token_id(OWN, 3)), TokenStatus::Waiting, "one was asked for");
    office.run([
        (3 * S, CLOCK, end_line(2, 10), "offered 0, lapsed 1"),
        (3 * S, CLOCK, end_line(2, 10), "offered 0, lapsed 0"),
    ]);
    assert_eq!(office.status(token_id(OWN, 1)), TokenStatus::Offered, "its deadline ends it");
    assert_eq!(office.status(token_id(OWN, 3)), TokenStatus::Ended);
}

#[test]
fn a_line_ends_an_hour_after_its_concert_and_never_while_that_is_closed_or_postponed() {
    let hour = ENDS + LINE_KEPT.micros();
    let to = |status| update_concert(2, ConcertChange { status: Some(status), ..ConcertChange::default() });
    for (status, at_the_hour) in [
        (None, "offered 0, lapsed 1"),
        (Some(ConcertStatus::Closed), "offered 0, lapsed 1"),
        (Some(ConcertStatus::Postponed), "offered 0, lapsed 0"),
    ] {
        let mut office = SaleModel::new();
        office.run([(0, MINJI, issue(OWN), "new")]);
        if let Some(status) = status {
            office.run([(S, BOSS, to(status), "concert")]);
        }
        office.run([
            (2 * S, CLOCK, end_line(2, 10), "offered 0, lapsed 0"),
            (hour - 1, CLOCK, end_line(2, 10), "offered 0, lapsed 0"),
            (hour, CLOCK, end_line(2, 10), at_the_hour),
        ]);
    }
}
