//! The demo season: it is loaded once, and completed if a load was cut short.

use frontrow_domain::{sale::SeatStatus, user::Role};
use frontrow_service::{
    concert_import, demo,
    office::BoxOffice,
    testing,
    validate::{Email, Password},
};
use frontrow_storage::ConcertFilter;
use frontrow_testkit::{Server, draft};

/// Title, seats and sold seats of each concert, and how many users there are.
async fn summary(office: &BoxOffice) -> (Vec<(String, usize, usize)>, usize) {
    let mut rows = Vec::new();
    for concert in concert_import::concerts(office, &ConcertFilter::default()).await.unwrap() {
        let seats = testing::store(office).seats(concert.concert_id).await.unwrap();
        let sold = seats.iter().filter(|seat| seat.status() == SeatStatus::Sold).count();
        rows.push((concert.title, seats.len(), sold));
    }
    rows.sort();
    let page = frontrow_storage::Page { after: None, limit: 100 };
    (rows, office.find_users(None, page).await.unwrap().len())
}

async fn accounts_alone(office: &BoxOffice) {
    for (email, role) in [(demo::OPERATOR, Role::Operator), (demo::BUYER, Role::Buyer)] {
        office
            .register(
                "Demo".to_owned(),
                Email::parse(email).unwrap(),
                Password::parse(demo::PASSWORD.to_owned()).unwrap(),
                role,
            )
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn loading_the_demo_again_changes_nothing() {
    let server = Server::start().await;
    let app = server.app();
    demo::load(&app.office).await.unwrap();
    let first = summary(&app.office).await;
    assert_eq!(first.0.len(), 7);
    assert!(first.0.iter().all(|(_, seats, _)| *seats == 50), "{first:?}");
    assert_eq!(first.0.iter().map(|(_, _, sold)| sold).sum::<usize>(), 12);
    assert_eq!(first.1, 6);
    demo::load(&app.office).await.unwrap();
    assert_eq!(summary(&app.office).await, first);
    drop(app);
    server.close().await;
}

#[tokio::test]
async fn a_demo_that_was_cut_short_is_completed() {
    let whole = Server::start().await;
    demo::load(&whole.app().office).await.unwrap();
    let expected = summary(&whole.app().office).await;

    // Cut after the accounts.
    let server = Server::start().await;
    let app = server.app();
    accounts_alone(&app.office).await;
    demo::load(&app.office).await.unwrap();
    assert_eq!(summary(&app.office).await, expected);
    drop(app);
    server.close().await;

    // Cut after a concert without its seats.
    let server = Server::start().await;
    let app = server.app();
    accounts_alone(&app.office).await;
    let mut half = draft();
    half.title.clone_from(&expected.0[0].0);
    concert_import::create(&app.office, &half, &[]).await.unwrap();
    demo::load(&app.office).await.unwrap();
    assert_eq!(summary(&app.office).await, expected);
    drop(app);
    server.close().await;
    whole.close().await;
}

#[tokio::test]
async fn a_box_office_with_concerts_of_its_own_does_not_become_a_demo() {
    let server = Server::start().await;
    server.hall(2).await;
    let app = server.app();
    let before = summary(&app.office).await;
    demo::load(&app.office).await.unwrap();
    assert_eq!(summary(&app.office).await, before);
    drop(app);
    server.close().await;
}
