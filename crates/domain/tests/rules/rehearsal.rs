//! When a sale may be rehearsed, and how large a rehearsal may be.

use crate::support::{BOSS, HOUSE, MINJI, S, SaleModel, at, user};
use frontrow_domain::{
    command::{Answer, Command, Outcome, Replay},
    id::ConcertId,
    line::Room,
    policy::Policy,
    refusal::Refusal,
    sale::{CLEAR_BEFORE, Concert, ConcertStatus, ENDS_BEFORE, RehearsalField, RehearsalObstacle, RehearsalSetup},
    time::Span,
    user::Caller,
};
use std::sync::Arc;

fn concert() -> Concert {
    SaleModel::new().model.concerts[&ConcertId::new(1)].clone()
}

fn room(max_active: i64, admit_per_minute: Option<i64>) -> Room {
    Room { admit_per_minute, ..Room::new(HOUSE, max_active, at(0)) }
}

#[test]
fn a_sale_is_in_the_way_from_a_time_before_its_opening_until_it_closes() {
    let opens_at = at(10_000 * S);
    let closes_at = at(20_000 * S);
    let sale = Concert { opens_at, closes_at, ..concert() };
    let just = Span::from_micros(1);
    for ahead in [CLEAR_BEFORE, ENDS_BEFORE, Span::ZERO] {
        assert!(!sale.sells_within(ahead, opens_at.minus(ahead).minus(just)));
        assert!(sale.sells_within(ahead, opens_at.minus(ahead)));
        assert!(sale.sells_within(ahead, closes_at.minus(just)));
        assert!(!sale.sells_within(ahead, closes_at));
    }
    assert!(CLEAR_BEFORE > ENDS_BEFORE);
    for status in [ConcertStatus::Closed, ConcertStatus::Postponed, ConcertStatus::Cancelled] {
        let stopped = Concert { status, ..sale.clone() };
        assert!(!stopped.sells_within(CLEAR_BEFORE, opens_at), "{status:?}: nothing can be sold");
    }
}

#[test]
fn a_concert_may_be_rehearsed_until_it_has_ended_or_was_cancelled() {
    let concert = concert();
    let before = concert.ends_at.minus(Span::from_micros(1));
    for status in [ConcertStatus::Scheduled, ConcertStatus::Closed, ConcertStatus::Postponed] {
        assert!(Concert { status, ..concert.clone() }.check_may_be_rehearsed(before).is_ok(), "{status:?}");
    }
    assert_eq!(concert.check_may_be_rehearsed(concert.ends_at), Err(Refusal::SaleClosed));
    let cancelled = Concert { status: ConcertStatus::Cancelled, ..concert };
    assert_eq!(cancelled.check_may_be_rehearsed(before), Err(Refusal::ConcertCancelled));
}

#[test]
fn a_sale_that_is_near_an_ended_concert_and_nothing_to_sell_speak_against_a_rehearsal() {
    let now = at(0);
    let concert = concert();
    let near = Concert { concert_id: ConcertId::new(2), ..concert.clone() };
    let of = |concert: &Concert, cap, free, near: Option<&Concert>| {
        RehearsalObstacle::of((concert, &room(cap, None), free), near.cloned(), now)
    };
    assert_eq!(of(&concert, 10, 1, None), None);
    let near_by = RehearsalObstacle::SaleNear(Arc::new(near.clone()));
    assert_eq!(of(&concert, 10, 1, Some(&near)), Some(near_by));
    assert_eq!(of(&concert, 0, 1, None), Some(RehearsalObstacle::NothingToSell));
    assert_eq!(of(&concert, 10, 0, Some(&near)), Some(RehearsalObstacle::NothingToSell));
    let cancelled = Concert { status: ConcertStatus::Cancelled, ..concert };
    assert_eq!(of(&cancelled, 10, 1, None), Some(RehearsalObstacle::ConcertOver));
}

#[test]
fn operators_alone_begin_and_stop_a_rehearsal_and_the_log_says_who() {
    let mut office = SaleModel::new();
    let setup = RehearsalSetup::proposed(100, &room(10, None), &Policy::default());
    let begin = |number, setup| Command::BeginRehearsal { concert_id: ConcertId::new(number), setup };
    let stop = |number| Command::StopRehearsal { concert_id: ConcertId::new(number) };
    let viewer = Caller::Viewer(user(BOSS));
    let before = office.model.audit.len();
    for other in [MINJI, viewer, Caller::Anonymous, Caller::Service] {
        office.expect(other, begin(1, setup), "forbidden");
        office.expect(other, stop(1), "forbidden");
    }
    office.expect(BOSS, begin(99, setup), "not_found");
    office.expect(BOSS, stop(99), "not_found");
    office.expect(BOSS, begin(1, setup.with(RehearsalField::People, 0)), "malformed");
    assert_eq!(office.model.audit.len(), before, "what is refused leaves no entry");
    // By one key it begins once.
    for replay in [Replay::Fresh, Replay::Replayed] {
        assert_eq!(office.ask_with_key(1, 0, BOSS, begin(1, setup)), Answer { decision: Ok(Outcome::Done), replay });
    }
    office.expect(BOSS, stop(1), "done");
    let noted: Vec<_> = office.model.audit[before..].iter().collect();
    let said: Vec<_> = noted.iter().map(|line| (line.action.as_str(), line.object.as_str(), line.actor)).collect();
    let who = Some(user(BOSS));
    assert_eq!(said, [("rehearsal.begin", "concert 1", who), ("rehearsal.stop", "concert 1", who)]);
    assert_eq!(noted[0].detail["people"], setup.people);
    let cancel = Command::CancelConcert { concert_id: ConcertId::new(1), reason: "Rain".to_owned(), basis: None };
    office.expect(BOSS, cancel, "concert");
    office.expect(BOSS, begin(1, setup), "concert_cancelled");
}

#[test]
fn every_field_has_bounds_and_is_named_if_it_is_out_of_them() {
    let policy = Policy { max_seats_per_user: 4, ..Policy::default() };
    let setup = RehearsalSetup::proposed(100, &room(10, None), &policy);
    assert_eq!(setup.out_of_bounds(&policy), None);
    for field in RehearsalField::ALL {
        let (low, high) = field.bounds(&policy).into_inner();
        for value in [low, high] {
            let edge = setup.with(field, value);
            assert_eq!((edge.get(field), edge.out_of_bounds(&policy)), (value, None));
        }
        let mut beyond = vec![high + 1, u32::MAX];
        beyond.extend(low.checked_sub(1));
        for value in beyond {
            assert_eq!(setup.with(field, value).out_of_bounds(&policy), Some(field), "{value}");
        }
    }
    assert_eq!(RehearsalField::SeatsEach.bounds(&policy), 1..=4);
}

#[test]
fn the_crowd_to_begin_with_follows_from_the_seats_and_the_room() {
    let policy = Policy::default();
    let small = RehearsalSetup::proposed(30, &room(10, None), &policy);
    // 60 people for 30 seats. 20 buy one or two each: two visits of a minute one after another, and two in reserve.
    assert_eq!((small.people, small.minutes), (60, 5));
    // A rate of four turns a minute needs five minutes for twenty.
    assert_eq!(RehearsalSetup::proposed(30, &room(10, Some(4)), &policy).minutes, 8);
    for (seats, room) in [(0, room(0, Some(0))), (i64::MAX, room(1, Some(1))), (50_000, room(1_000_000, None))] {
        let setup = RehearsalSetup::proposed(seats, &room, &policy);
        assert_eq!(setup.out_of_bounds(&policy), None, "{setup:?}");
    }
}
