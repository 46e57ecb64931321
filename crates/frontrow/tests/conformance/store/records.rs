//! What is kept of lines beside their rows, as every store keeps it.

use frontrow_domain::{command::NewConcert, id::RoomId, retention::Leftover, time::Span};
use frontrow_storage::{LINE_RECORD_BYTES_MAX, SavedLineRecord};
use frontrow_testkit::{
    START,
    fixture::{Fixture, new_concert},
};

const HOUSE: RoomId = RoomId::HOUSE;

fn record(room_id: RoomId, epoch: i64, seconds: i64, record: &[u8]) -> SavedLineRecord {
    SavedLineRecord { room_id, epoch, saved_at: START.plus(Span::from_secs(seconds)), record: record.to_vec() }
}

async fn keep(office: &Fixture, records: &[SavedLineRecord]) {
    office.store.keep_line_records(records.to_vec()).await.unwrap();
}

pub(super) async fn the_record_of_a_line_is_read_back_and_an_older_one_replaces_none(office: &Fixture) {
    assert_eq!(office.store.line_record(HOUSE).await.unwrap(), None);
    keep(office, &[]).await;
    let kept = async || office.store.line_record(HOUSE).await.unwrap().unwrap();
    let every_byte: Vec<u8> = (0..=255).collect();
    for (new, is_kept) in [
        (record(HOUSE, 2, 10, &every_byte), true),
        (record(HOUSE, 2, 20, &vec![7; LINE_RECORD_BYTES_MAX]), true),
        (record(HOUSE, 2, 19, &[1]), false),
        (record(HOUSE, 2, 20, &[2]), false),
        (record(HOUSE, 1, 30, &[3]), false),
        (record(HOUSE, 3, 15, &[4]), true),
        (record(HOUSE, 3, 16, &[5]), true),
    ] {
        let before = office.store.line_record(HOUSE).await.unwrap();
        keep(office, std::slice::from_ref(&new)).await;
        let expected = if is_kept { new } else { before.unwrap() };
        assert_eq!(kept().await, expected);
    }
}

pub(super) async fn the_records_of_several_lines_are_kept_at_once_and_go_when_they_are_old(office: &Fixture) {
    let mut rooms = vec![HOUSE];
    for _ in 0..2 {
        let own = NewConcert { own_room_max_active: Some(5), ..new_concert() };
        rooms.push(office.concert_like(own).await.room_id);
    }
    let records: Vec<_> = rooms.iter().zip(0..).map(|(room, age)| record(*room, 1, 10 * age, &[9, 9])).collect();
    keep(office, &records).await;
    let left = async || {
        let mut left = 0;
        for room in &rooms {
            left += usize::from(office.store.line_record(*room).await.unwrap().is_some());
        }
        left
    };
    assert_eq!(left().await, 3);
    let prune = async |seconds, limit| {
        let before = START.plus(Span::from_secs(seconds));
        office.store.prune(Leftover::LineRecord, before, limit).await.unwrap()
    };
    assert_eq!((prune(0, 10).await, left().await), (0, 3), "none is older");
    assert_eq!((prune(11, 1).await, prune(11, 1).await, prune(11, 1).await), (1, 1, 0));
    assert_eq!(office.store.line_record(rooms[2]).await.unwrap().as_ref(), records.last());
}
