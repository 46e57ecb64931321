use super::*;
use crate::{
    lines::{HeardSince, Lines, Rebuild, RoomCell, last_seen_of, view_of},
    view::{
        RoomView, deltas,
        tests::{LineEvent, START, event, line, request},
    },
};
use frontrow_domain::{
    id::{RoomId, TokenId},
    line::{TokenStatus, ToldWait},
    model::Model,
    outage::Outage,
};
use proptest::prelude::*;

const HOUSE: RoomId = RoomId::HOUSE;

fn seconds(seconds: i64) -> Span {
    Span::from_secs(seconds)
}

fn terms(now: Time) -> RecordTerms {
    RecordTerms::new(now, &Policy::default(), KnownHeartbeats::All)
}

/// The record of a view in which these tokens are silent.
fn saved(view: &RoomView, silent: &[Position], now: Time) -> SavedLineRecord {
    let record = LineRecord::new(view.record(now, |_| true), Positions::of(silent.iter().copied()), &terms(now));
    SavedLineRecord { room_id: HOUSE, epoch: view.epoch(), saved_at: now, record: record.to_bytes().unwrap() }
}

fn taken_up(saved: &SavedLineRecord, line: &Line) -> Result<TakenUp, UselessRecord> {
    TakenUp::from_saved(saved, line, &Outages::default())
}

fn beside(record: TakenUp) -> BesideRows {
    BesideRows { record: Some(record), ..BesideRows::default() }
}

/// Lets events happen in a room that passes over whom they say.
fn happen(model: &mut Model, view: &mut RoomView, events: &[LineEvent], now: &mut Time) {
    for event in events {
        if let LineEvent::Later(seconds) = event {
            *now = now.plus(Span::from_secs(*seconds));
        }
    }
    let requests: Vec<_> = events.iter().filter_map(|event| request(model, event)).collect();
    let policy = Policy { dormant_after: Span::ZERO, ..Policy::default() };
    let (_, changes) = model.transact(*now, policy, &requests);
    for delta in deltas(&changes).values() {
        view.apply(delta);
    }
}

/// What happens between the last record and a crash: tokens that were heard of lately are not passed over so soon.
fn last_event() -> impl Strategy<Value = LineEvent> {
    event().prop_map(|event| match event {
        LineEvent::Advance(_) => LineEvent::Advance(Vec::new()),
        LineEvent::Later(seconds) => LineEvent::Later(seconds % 10),
        event => event,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_restart_counts_who_came_back_as_before_and_raises_no_place(
        before in prop::collection::vec(prop::collection::vec(event(), 1..8), 1..40),
        last in prop::collection::vec(last_event(), 0..6),
    ) {
        // Given a line that was recorded, and of which something happened after that.
        let (mut model, mut now) = (Model::new(3, START), START);
        let mut view = RoomView::from_rows(&line(&model, START));
        for events in &before {
            happen(&mut model, &mut view, events, &mut now);
        }
        let record = saved(&view, &[], now);
        happen(&mut model, &mut view, &last, &mut now);
        // When an instance takes it up.
        let rows = line(&model, now);
        let restarted = taken_up(&record, &rows).map(|record| view_of(&rows, &beside(record.clone())));
        let restarted = restarted.unwrap();
        // Then no place is further back, and if nothing had happened, each is the same.
        for position in view.waiting_from_head(usize::MAX) {
            let issued_at = model.tokens[&TokenId { room_id: HOUSE, position }].issued_at;
            let (old, new) = (view.place_of(position, issued_at), restarted.place_of(position, issued_at));
            prop_assert!(new.ahead <= old.ahead, "{position} rose from {} to {}", old.ahead, new.ahead);
            if last.is_empty() {
                prop_assert_eq!(new, old);
            }
        }
    }

    #[test]
    fn no_bytes_make_a_reader_fail(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0..200_usize) {
        let (model, view) = crate::view::tests::room_of(3, 40);
        let rows = line(&model, START);
        let good = saved(&view, &[Position(2), Position(3)], START);
        let mut changed = good.record.clone();
        let at = at.min(changed.len() - 1);
        changed.splice(at..=at, bytes.iter().copied().take(3));
        let first = [&[VERSION], bytes.as_slice()].concat();
        for record in [bytes, changed, first] {
            if let Ok(record) = taken_up(&SavedLineRecord { record, ..good.clone() }, &rows) {
                let view = view_of(&rows, &beside(record.clone()));
                prop_assert_eq!(view.total_waiting(), 40);
                let _ = view.estimated_wait(20, None, START);
                last_seen_of(&rows, &beside(record));
            }
        }
    }
}

#[test]
fn silent_tokens_are_silent_until_they_are_seen_and_the_others_count_as_just_seen() {
    let (model, view) = crate::view::tests::room_of(0, 30_000);
    let lines = Lines::default();
    let rows = line(&model, START);
    lines.put(&RoomCell::taken_up(&rows, &BesideRows::default()), Rebuild::Replace);
    // Given that nothing is heard for long of the tokens up to 20,004, but for 3 and 20,002.
    let now = START.plus(seconds(100));
    for position in (20_005..=30_000).chain([3, 20_002]) {
        lines.record_heartbeat(TokenId { room_id: HOUSE, position: Position(position) }, now);
    }
    let record = lines.record(HOUSE, &terms(now)).unwrap();
    assert!(record.record.len() < 1_000, "{}", record.record.len());
    // When an instance takes the line up two minutes later, in which it was down.
    let later = now.plus(seconds(120));
    let rows = Line { now: later, ..rows };
    let outage = Outage::between(now, later, &Policy::default()).unwrap();
    let record = TakenUp::from_saved(&record, &rows, &Outages::new(vec![outage])).unwrap();
    lines.put(&RoomCell::taken_up(&rows, &beside(record.clone())), Rebuild::Replace);
    // Then those are silent that it looked at.
    let silent = |since| {
        let tokens = lines.unresponsive(HOUSE, 500, HeardSince::any(since));
        tokens.into_iter().map(|token| token.position).collect::<Vec<_>>()
    };
    assert_eq!(silent(later), (1..=501).filter(|at| *at != 3).map(Position).take(499).collect::<Vec<_>>());
    assert_eq!(record.silent.len(), 19_999);
    lines.record_heartbeat(TokenId { room_id: HOUSE, position: Position(2) }, later);
    assert!(!silent(later).contains(&Position(2)));
    assert_eq!(view.total_waiting(), 30_000);
}

#[test]
fn told_waits_do_not_bind_a_line_whose_share_is_another_since() {
    let (model, view) = crate::view::tests::room_of(30, 50);
    let now = START.plus(seconds(1));
    view.note_told(Position(40), ToldWait { p50: seconds(100), p90: seconds(200) }, now);
    let record = saved(&view, &[], now);
    // Given that the line has a share of the house's budget when an instance takes it up.
    let mut rows = Line { now: now.plus(seconds(1)), ..line(&model, now) };
    rows.room.allotment = Some(rows.room.max_active / 3);
    let restarted = view_of(&rows, &beside(taken_up(&record, &rows).unwrap()));
    assert_eq!(restarted.lowest_told(Position(40)), None, "recorded");
    let rebuilt = RoomView::from_rows(&rows).with_measurements_of(&view, rows.now);
    assert_eq!(rebuilt.lowest_told(Position(40)), None, "rebuilt");
    let same = RoomView::from_rows(&line(&model, now)).with_measurements_of(&view, now);
    assert_eq!(same.lowest_told(Position(40)), Some(seconds(100)));
}

#[test]
fn told_waits_bind_after_a_restart_by_as_much_as_could_pass() {
    let (model, view) = crate::view::tests::room_of(0, 25_000);
    let now = START.plus(seconds(1));
    let told = |wait| ToldWait { p50: seconds(wait), p90: seconds(wait) };
    for position in 1..=25_000 {
        view.note_told(Position(position), told(100 + position % 50), now);
    }
    let record = saved(&view, &[], now);
    assert!(record.record.len() < 60_000, "{}", record.record.len());
    let rows = Line { now: now.plus(seconds(12)), ..line(&model, now) };
    let restarted = view_of(&rows, &beside(taken_up(&record, &rows).unwrap()));
    let again = restarted.record(rows.now, |_| true);
    let expected = restarted.clone().with_record(&again, rows.now, just_now(), rows.now).unwrap();
    assert_eq!(expected.record(rows.now, |_| true), again);
    // Twelve seconds less each, as if they had been told so just before the crash.
    for position in [1, 49, 50, 20_000] {
        assert_eq!(restarted.lowest_told(Position(position)), Some(seconds(88 + position % 50)));
    }
    assert_eq!(restarted.lowest_told(Position(20_001)), None, "it is beyond those that are recorded");
    // By other settings nothing binds.
    let mut other = rows.clone();
    other.room.max_active = 7;
    assert_eq!(view_of(&other, &beside(taken_up(&record, &other).unwrap())).lowest_told(Position(1)), None);
}

fn just_now() -> RecordAge {
    RecordAge { passed: Span::ZERO, returns: RecordedReturns::Hold }
}

#[test]
fn turns_that_were_out_are_as_old_as_they_were() {
    let (mut model, mut view) = crate::view::tests::room_of(3, 10);
    let mut now = START.plus(seconds(1));
    happen(&mut model, &mut view, &[LineEvent::Advance(Vec::new())], &mut now);
    assert_eq!(view.offered(), 3);
    let later = now.plus(seconds(20));
    let rows = Line { now: later.plus(seconds(300)), ..line(&model, later) };
    let restarted = view_of(&rows, &beside(taken_up(&saved(&view, &[], later), &rows).unwrap()));
    assert_eq!(restarted.turn_outlook(rows.now), view.turn_outlook(later));
    assert!(restarted.turn_outlook(rows.now).coming_ppm < view.turn_outlook(now).coming_ppm);
    let status = restarted.place(Position(1)).status();
    assert_eq!(status, TokenStatus::Offered);
}

#[test]
fn a_record_is_used_unless_it_is_of_another_line_or_too_old() {
    let (model, view) = crate::view::tests::room_of(3, 10);
    let record = saved(&view, &[Position(1)], START);
    let rows_at = |now| Line { now, ..line(&model, START) };
    let used = |record: &SavedLineRecord, now| taken_up(record, &rows_at(now)).map(|record| record.silent.len());
    assert_eq!(used(&record, START.plus(seconds(60))), Ok(1));
    assert_eq!(used(&record, START.plus(seconds(61))), Ok(0), "any of them may have asked since");
    assert_eq!(used(&record, START.plus(seconds(600))), Ok(0));
    assert_eq!(used(&record, START.plus(seconds(601))), Err(UselessRecord::TooOld));
    let other_line = SavedLineRecord { epoch: record.epoch + 1, ..record.clone() };
    assert_eq!(used(&other_line, START), Err(UselessRecord::OtherEpoch));
    let later_version = SavedLineRecord { record: vec![VERSION + 1, 0], ..record.clone() };
    assert_eq!(used(&later_version, START), Err(UselessRecord::OtherVersion));
    let longer = SavedLineRecord { record: [record.record.as_slice(), &[0]].concat(), ..record.clone() };
    assert_eq!(used(&longer, START), Err(UselessRecord::Damaged));
    let empty = SavedLineRecord { record: Vec::new(), ..record.clone() };
    assert_eq!(used(&empty, START), Err(UselessRecord::Damaged));
    // A closed box office takes nothing from anybody, for a day.
    let closed = |hours: i64| {
        let end = START.plus(seconds(hours * 3_600));
        let outage = Outage { from: START.plus(seconds(5)), to: end, grace: seconds(1) };
        TakenUp::from_saved(&record, &rows_at(end), &Outages::new(vec![outage])).map(|record| record.age.passed)
    };
    assert_eq!(closed(24), Ok(seconds(20)));
    assert_eq!(closed(25), Err(UselessRecord::TooOld));
}

#[test]
fn what_no_line_measures_is_not_measured_with() {
    let (model, view) = crate::view::tests::room_of(3, 10);
    let rows = line(&model, START);
    let mut record = saved(&view, &[], START);
    let good = view_of(&rows, &beside(taken_up(&record, &rows).unwrap()));
    assert_eq!(good.turn_outlook(START), view.turn_outlook(START));
    // The first count of the claims, 3,000,000 in millionths, becomes -1: it stands behind the settings.
    let count = [0x80, 0x9b, 0xee, 0x02];
    let at = record.record.windows(4).position(|bytes| bytes == count).unwrap();
    record.record.splice(at..at + 4, [1]);
    let taken = taken_up(&record, &rows).unwrap();
    let restarted = view_of(&rows, &beside(taken));
    assert_eq!(restarted.turn_outlook(START), RoomView::from_rows(&rows).turn_outlook(START));
}
