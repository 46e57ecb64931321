//! A sale that begins with a draw.

use super::{SimulatedSale, of};
use crate::simulation::{
    START,
    people::{CrowdMember, Fate, WayIn},
};
use frontrow_domain::time::Time;

/// The first turns of the people who ask all the time, in the order of coming.
fn first_turns(people: &[CrowdMember], way_in: WayIn) -> Vec<Time> {
    let there = people.iter().filter(|one| one.is_always_there() && one.way_in == way_in);
    there.map(|one| one.offered_at.unwrap()).collect()
}

#[test]
fn after_a_draw_turns_go_by_drawn_places_and_then_to_people_who_came_later() {
    let mut sale = SimulatedSale::open(of("lobby"), 1).unwrap();
    let counts = sale.go_on().unwrap().counts;
    let people = &sale.record.people;
    let (entries, later) = (first_turns(people, WayIn::Lobby), first_turns(people, WayIn::Line));
    // By their places (`inversions`), and of any two entries each is as often the first as the other.
    assert_eq!((counts.inversions, counts.ahead_rises), (0, 0), "{counts:?}");
    let in_order = entries.windows(2).filter(|two| two[0] < two[1]).count();
    assert!((40..=60).contains(&(100 * in_order / (entries.len() - 1))), "{in_order} of {}", entries.len());
    assert!(entries.iter().min().unwrap() >= &START.plus(sale.scenario.lobby.unwrap()));
    assert!(entries.iter().max() < later.iter().min(), "who came after the seal waits behind the entries");
}

#[test]
fn people_who_have_left_the_lobby_for_good_get_few_turns_after_the_draw() {
    let mut sale = SimulatedSale::open(of("lobby"), 1).unwrap();
    let counts = sale.go_on().unwrap().counts;
    let is_ghost = |one: &&CrowdMember| one.way_in == WayIn::Lobby && matches!(one.fate, Fate::Ghost { .. });
    let ghosts = u64::try_from(sale.record.people.iter().filter(is_ghost).count()).unwrap();
    assert!(ghosts > 80, "{ghosts}");
    assert!(100 * counts.ghosts_of_lobby <= 25 * ghosts, "{} of {ghosts}", counts.ghosts_of_lobby);
}
