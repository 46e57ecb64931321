//! Importing concerts: all of a file or nothing of it.

use frontrow_domain::time::Span;
use frontrow_service::{
    concert_import,
    drafts::{ConcertDraft, ConcertFile},
};
use frontrow_storage::ConcertFilter;
use frontrow_testkit::{Server, draft, range};

fn entry(title: &str) -> ConcertFile {
    ConcertFile {
        concert: ConcertDraft { title: title.to_owned(), ..draft() },
        seats: vec![range(1, 10), range(11, 20)],
    }
}

#[tokio::test]
async fn a_file_is_imported_once() {
    let server = Server::start().await;
    let app = server.app();
    let created = concert_import::import(&app.office, &[entry("One"), entry("Two")]).await.unwrap();
    assert_eq!(
        created.iter().map(|(concert, count)| (&*concert.title, *count)).collect::<Vec<_>>(),
        [("One", 20), ("Two", 20)]
    );
    let refused = concert_import::import(&app.office, &[entry("Three"), entry(" Two ")]).await.unwrap_err();
    let text = format!("{refused:#}");
    assert!(text.contains("nothing was imported: concert 2 of the file"), "{text}");
    assert!(text.contains("concert 2 has the same title, date and venue"), "{text}");
    assert_eq!(concert_import::concerts(&app.office, &ConcertFilter::default()).await.unwrap().len(), 2);

    // The same tour in another hall, or on another day, is another concert.
    let mut elsewhere = entry("One");
    elsewhere.concert.venue = "Harbour Rooms, Incheon".to_owned();
    let mut later = entry("One");
    later.concert.concert_date = jiff::civil::date(2027, 3, 16);
    concert_import::import(&app.office, &[elsewhere, later]).await.unwrap();
    drop(app);
    server.close().await;
}

#[tokio::test]
async fn a_file_with_a_mistake_anywhere_creates_nothing() {
    let server = Server::start().await;
    let app = server.app();
    let mut bad_zone = entry("Two");
    bad_zone.concert.time_zone = "Mars/Olympus".to_owned();
    let mut bad_range = entry("Two");
    bad_range.seats.push(range(5, 4));
    let mut twice = entry("Two");
    twice.seats.push(range(20, 21));
    let mut closes_first = entry("Two");
    closes_first.concert.closes_at = Some(closes_first.concert.opens_at.minus(Span::from_secs(1)));
    for (bad, reason) in [
        (bad_zone, "time_zone"),
        (bad_range, "range"),
        (twice, "a seat \"20\" in row \"A\""),
        (closes_first, "The sale must open before it closes."),
        (entry("One"), "stand in the file twice"),
    ] {
        let refused = concert_import::import(&app.office, &[entry("One"), bad]).await.unwrap_err();
        let text = format!("{refused:#}");
        assert!(text.contains("concert 2 of the file") && text.contains(reason), "{text}");
    }
    assert!(concert_import::concerts(&app.office, &ConcertFilter::default()).await.unwrap().is_empty());
    drop(app);
    server.close().await;
}
