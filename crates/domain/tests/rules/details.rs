//! What buyers read of a concert, and its poster.

use crate::support::{BOSS, S, SaleModel, at, new_concert, poster, reason, remove_poster, set_poster, update_concert};
use frontrow_domain::{
    command::{Command, ConcertChange, NewConcert, Outcome},
    id::ConcertId,
    sale::{AgeRating, ConcertDetails, DetailsChange, Poster, PosterMark},
    time::Span,
};
use serde_json::json;

const ID: ConcertId = ConcertId::new(1);

fn details(office: &SaleModel) -> Option<&ConcertDetails> {
    office.model.details.get(&ID)
}

fn change(details: DetailsChange) -> Command {
    update_concert(1, ConcertChange { details, ..ConcertChange::default() })
}

fn full() -> DetailsChange {
    DetailsChange {
        description: Some(Some("Two sets.\n\nNo interval.".to_owned())),
        age_rating: Some(Some(AgeRating::From12)),
        running_minutes: Some(Some(150)),
        doors_minutes: Some(Some(60)),
        address: Some(Some("12 Yeouiseo-ro".to_owned())),
        organiser: Some(Some("Tide Live".to_owned())),
        organiser_contact: Some(Some("02-000-0000".to_owned())),
    }
}

#[test]
fn a_concert_is_created_with_its_details_and_they_change_one_by_one() {
    let mut office = SaleModel::new();
    let new = NewConcert { details: full(), ..new_concert(None) };
    let Ok(Outcome::Concert(concert)) = office.ask(BOSS, Command::CreateConcert(new)) else { panic!() };
    let created = office.model.details[&concert.concert_id].clone();
    assert_eq!(created, full().apply(ConcertDetails::none(concert.concert_id)));

    assert_eq!(details(&office), None, "a concert without details has no row");
    office.ask(BOSS, change(full())).unwrap();
    let removed =
        DetailsChange { address: Some(None), age_rating: Some(Some(AgeRating::All)), ..DetailsChange::default() };
    office.ask(BOSS, change(removed)).unwrap();
    let left = details(&office).unwrap();
    assert_eq!((left.address.as_deref(), left.age_rating), (None, Some(AgeRating::All)));
    assert_eq!(left.running_minutes, Some(150), "what is not named stays");
    assert_eq!(office.model.details[&concert.concert_id], created, "another concert keeps its own");
}

#[test]
fn the_doors_open_so_many_minutes_before_the_start() {
    let mut office = SaleModel::new();
    office.ask(BOSS, change(full())).unwrap();
    let concert = &office.model.concerts[&ID];
    let an_hour_before = concert.starts_at.minus(Span::from_secs(3_600));
    assert_eq!(concert.doors_at(details(&office).unwrap()), Some(an_hour_before));
    assert_eq!(concert.doors_at(&ConcertDetails::none(ID)), None);
}

#[test]
fn a_change_of_details_is_a_change_of_the_concert() {
    let mut office = SaleModel::new();
    office.at(S);
    office.ask(BOSS, change(full())).unwrap();
    assert_eq!(office.model.concerts[&ID].updated_at, at(S));
    let said = &office.model.audit.last().unwrap().detail["details"];
    let first = |to: serde_json::Value| json!({ "from": null, "to": to });
    assert_eq!(said["description"], first(json!("23 characters")), "the log does not repeat a long text");
    assert_eq!((&said["age_rating"], &said["doors_minutes"]), (&first(json!("12")), &first(json!(60))));
    office.ask(BOSS, update_concert(1, ConcertChange::default())).unwrap();
    assert_eq!(office.model.audit.last().unwrap().detail, json!({ "reason": reason() }));
    let as_long = Some(Some("Two sets.\n\nNo intervals".to_owned()));
    office.ask(BOSS, change(DetailsChange { description: as_long, ..DetailsChange::default() })).unwrap();
    let said = &office.model.audit.last().unwrap().detail["details"]["description"];
    assert_eq!((&said["from"], &said["to"]), (&json!("23 characters"), &json!("23 characters")));
}

#[test]
fn numbers_out_of_their_bounds_change_nothing() {
    for minutes in [0, -1, 1_441, i32::MAX] {
        let long = DetailsChange { running_minutes: Some(Some(minutes)), ..DetailsChange::default() };
        let early = DetailsChange { doors_minutes: Some(Some(minutes)), ..DetailsChange::default() };
        let mut office = SaleModel::new();
        let before = office.model.clone();
        office.expect(BOSS, change(long.clone()), "malformed");
        office.expect(BOSS, Command::CreateConcert(NewConcert { details: long, ..new_concert(None) }), "malformed");
        office.expect(BOSS, change(early), if minutes == 0 { "concert" } else { "malformed" });
        if minutes != 0 {
            assert_eq!(office.model, before);
        }
    }
}

#[test]
fn a_concert_has_one_poster_at_most() {
    let mut office = SaleModel::new();
    office.expect(BOSS, set_poster(9, 1), "not_found");
    office.expect(BOSS, remove_poster(9), "not_found");
    for number in [1, 2] {
        office.ask(BOSS, set_poster(1, number)).unwrap();
        assert_eq!(office.model.posters, [(ID, poster(1, number))].into());
    }
    office.ask(BOSS, remove_poster(1)).unwrap();
    assert!(office.model.posters.is_empty());
}

#[test]
fn the_same_poster_again_and_the_removal_of_none_change_nothing() {
    let mut office = SaleModel::new();
    office.ask(BOSS, set_poster(1, 1)).unwrap();
    let before = office.model.clone();
    office.at(S);
    office.expect(BOSS, set_poster(1, 1), "concert");
    office.expect(BOSS, remove_poster(2), "concert");
    assert_eq!(office.model, before);
    office.ask(BOSS, set_poster(1, 2)).unwrap();
    assert_eq!(office.model.concerts[&ID].updated_at, at(S));
}

#[test]
fn a_poster_has_the_size_of_a_poster() {
    let mut office = SaleModel::new();
    for (width, height) in [(0, 10), (10, 0), (1_201, 10), (10, 1_201), (-1, 10)] {
        let good = poster(1, 1);
        let bad = Poster { mark: PosterMark { width, height, ..good.mark }, ..good };
        office.expect(BOSS, Command::SetPoster { poster: bad, basis: None }, "malformed");
    }
    assert!(office.model.posters.is_empty());
}
