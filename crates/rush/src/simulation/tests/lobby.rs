//! A sale that begins with a draw.

use super::{SimulatedSale, of};
use crate::simulation::{
    START,
    people::{CrowdMember, Fate, WayIn},
};
use frontrow_domain::time::Time;

/// The most turns for people who stopped asking in the lobby, by a hundred of them.
const GHOSTS_WOKEN_MAX: usize = 12;

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
fn a_draw_wakes_few_of_the_people_who_have_left_its_lobby() {
    let (mut turns, mut ghosts) = (0, 0);
    for seed in 1..=3 {
        let mut sale = SimulatedSale::open(of("lobby"), seed).unwrap();
        turns += usize::try_from(sale.go_on().unwrap().counts.ghosts_of_lobby).unwrap();
        let is_ghost = |one: &&CrowdMember| one.way_in == WayIn::Lobby && matches!(one.fate, Fate::Ghost { .. });
        ghosts += sale.record.people.iter().filter(is_ghost).count();
    }
    assert!(ghosts > 300 && 100 * turns <= GHOSTS_WOKEN_MAX * ghosts, "{turns} turns for {ghosts}");
}
