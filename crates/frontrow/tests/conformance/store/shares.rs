//! The budget of the house and the shares of rooms, as every store keeps them.

use frontrow_domain::{
    command::{Command, Erasure, LaneStep, NewConcert, NewRoom, Outcome, Proof, RoomChange, Worth},
    id::{RoomId, TokenId, UserId},
    line::{Gate, LaneEntry, LaneGuest, LaneKind, LaneOf, LaneShare, RoomSite, RoomWeight, ShareScope, TokenStatus},
    refusal::Refusal,
    retention::Leftover,
    time::Span,
    user::Caller,
};
use frontrow_testkit::{
    START,
    fixture::{Fixture, after, first, new_concert},
};

const HOUSE: RoomId = RoomId::HOUSE;

async fn set(office: &Fixture, room_id: RoomId, change: RoomChange) {
    office.ask(Caller::System, Command::SetRoom { room_id, change, basis: None, reason: None }).await.unwrap();
}

async fn set_budget(office: &Fixture, budget: Option<i64>) {
    set(office, HOUSE, RoomChange { house_budget: Some(budget), ..RoomChange::default() }).await;
}

async fn share(office: &Fixture, waiting: &[(RoomId, i64)]) {
    let command = Command::Share { scope: ShareScope::House, waiting: waiting.to_vec() };
    office.ask(Caller::System, command).await.unwrap();
}

async fn allotment(office: &Fixture, room: RoomId) -> Option<i64> {
    office.store.line(room).await.unwrap().unwrap().room.allotment
}

async fn own_room(office: &Fixture, max_active: i64) -> RoomId {
    office.concert_like(NewConcert { own_room_max_active: Some(max_active), ..new_concert() }).await.room_id
}

async fn join(office: &Fixture, room: RoomId, count: usize) -> Vec<(UserId, TokenId)> {
    let mut joined = Vec::new();
    for _ in 0..count {
        let user = office.register().await;
        joined.push((user, office.join(user, room).await.id));
    }
    joined
}

/// Claims the turns of these tokens. Returns how many are active.
async fn claim(office: &Fixture, tokens: &[(UserId, TokenId)]) -> usize {
    let mut active = 0;
    for (user, token) in tokens {
        let claimed = office.ask(Caller::Buyer(*user), Command::ActivateToken { token: *token }).await;
        let is_active = matches!(claimed, Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active);
        active += usize::from(is_active);
    }
    active
}

pub(super) async fn a_budget_is_shared_between_the_rooms_and_each_obeys_its_own_row(office: &Fixture) {
    let (hot, small) = (own_room(office, 50).await, own_room(office, 50).await);
    let crowd = join(office, hot, 8).await;
    set_budget(office, Some(4)).await;
    office.advance_line(hot, 100).await;
    assert_eq!((allotment(office, hot).await, claim(office, &crowd).await), (Some(0), 0), "it has no share yet");
    share(office, &[(hot, 8)]).await;
    office.advance_line(hot, 100).await;
    assert_eq!((allotment(office, hot).await, claim(office, &crowd).await), (Some(4), 4));
    // Active tokens stay, and the other room gets what becomes free.
    let guests = join(office, small, 3).await;
    share(office, &[(hot, 4), (small, 3)]).await;
    assert_eq!((allotment(office, hot).await, allotment(office, small).await), (Some(2), Some(0)));
    office.advance_line(small, 100).await;
    for (user, token) in &crowd[..3] {
        office.ask(Caller::Buyer(*user), Command::LeaveQueue { token: *token }).await.unwrap();
    }
    // Counts that a batch without the room's row has changed count, too. The instance that shares need not know of all.
    share(office, &[(small, 3)]).await;
    assert_eq!((allotment(office, hot).await, allotment(office, small).await), (Some(1), Some(3)));
    office.advance_line(small, 100).await;
    assert_eq!(claim(office, &guests).await, 3);
    // A budget that is gone leaves nothing.
    set_budget(office, None).await;
    share(office, &[(hot, 0), (small, 0)]).await;
    assert_eq!((allotment(office, hot).await, allotment(office, small).await), (None, None));
}

pub(super) async fn of_two_sharings_at_once_the_second_sees_what_the_first_gave(office: &Fixture) {
    set_budget(office, Some(4)).await;
    for _ in 0..8 {
        let (one, other) = (own_room(office, 50).await, own_room(office, 50).await);
        // Each knows of one room in demand, and would give it all.
        let demands = [[(one, 9)], [(other, 9)]];
        tokio::join!(share(office, &demands[0]), share(office, &demands[1]));
        let rooms = office.store.rooms().await.unwrap();
        let given: Vec<_> = rooms.iter().filter_map(|room| room.allotment).filter(|places| *places > 0).collect();
        assert_eq!(given, [4]);
    }
}

pub(super) async fn what_a_room_shares_is_read_back(office: &Fixture) {
    let weight = RoomWeight::try_from(7).unwrap();
    let room = own_room(office, 5).await;
    set(office, room, RoomChange { weight: Some(weight), ..RoomChange::default() }).await;
    set_budget(office, Some(3)).await;
    office.advance(5);
    share(office, &[(room, 1)]).await;
    let rows = office.store.rooms().await.unwrap();
    let own = rows.iter().find(|row| row.room_id == room).unwrap();
    assert_eq!((own.weight, own.allotment, own.max_active_tokens()), (weight, Some(3), 3));
    assert!(own.allotted_at > own.updated_at);
    let shared_at = rows[0].shared_at;
    assert_eq!((rows[0].house_budget, shared_at, own.shared_at), (Some(3), Some(own.allotted_at), None));
    // Nothing is written if nothing changes.
    let command = Command::Share { scope: ShareScope::House, waiting: vec![(room, 1)] };
    let (_, changes) = office.batch(vec![frontrow_testkit::fixture::request(Caller::System, command)]).await;
    assert!(changes.rooms.is_empty());
    // Only the sharing of the house's places says that they are those of its budget.
    office.advance(5);
    set_budget(office, Some(2)).await;
    open_lane(office, HOUSE, LaneKind::Invitation, 10).await;
    let house = async || office.store.line(HOUSE).await.unwrap().unwrap().room;
    assert_eq!((house().await.shared_at, house().await.updated_at > shared_at.unwrap()), (shared_at, true));
    share(office, &[(room, 1)]).await;
    assert!(house().await.shared_at >= Some(house().await.updated_at));
}

async fn step(office: &Fixture, room_id: RoomId, step: LaneStep) {
    office.ask(Caller::System, Command::StepLane { room_id, step }).await.unwrap();
}

async fn open_lane(office: &Fixture, room: RoomId, kind: LaneKind, percent: i64) -> RoomId {
    let lane = room.lane(kind);
    step(office, lane, LaneStep::Open { share: percent.try_into().unwrap(), reason: None }).await;
    lane
}

pub(super) async fn a_lane_is_a_room_beside_its_line_and_follows_it(office: &Fixture) {
    let room = own_room(office, 10).await;
    let lane = open_lane(office, room, LaneKind::Invitation, 20).await;
    let share = LaneShare::try_from(20).unwrap();
    let read = async |id| office.store.line(id).await.unwrap().unwrap().room;
    let row = read(lane).await;
    let expected = LaneOf { room, kind: LaneKind::Invitation, share, entry: LaneEntry::Open };
    assert_eq!((row.lane, row.max_active, row.allotment), (Some(expected), 10, Some(0)));
    assert_eq!((read(room).await.allotment, read(room).await.lane), (Some(10), None));
    assert_eq!((row.opens_at, row.closes_at), (read(room).await.opens_at, read(room).await.closes_at));
    set(office, room, RoomChange { max_active: Some(4), gate: Some(Gate::Paused), ..RoomChange::default() }).await;
    let row = read(lane).await;
    assert_eq!((row.max_active, row.gate, read(room).await.allotment), (4, Gate::Paused, Some(4)));
    step(office, lane, LaneStep::Set { share: None, entry: Some(LaneEntry::Ended), reason: None }).await;
    assert_eq!(read(lane).await.lane.unwrap().entry, LaneEntry::Ended);
    // Numbers of sites go on beside those of lanes.
    let site = RoomSite { name: "Shop".to_owned(), turn_url: "https://shop.example.com/".parse().unwrap() };
    let new = NewRoom { site: site.clone(), max_active: 5, admit_per_minute: None, opens_at: None };
    let Ok(Outcome::Room(made)) = office.ask(Caller::System, Command::CreateRoom(new)).await else {
        panic!("it is made")
    };
    assert_eq!(made.room_id, RoomId::of_site(1));
    let beside = open_lane(office, made.room_id, LaneKind::Accessibility, 10).await;
    assert_eq!(read(beside).await.site, Some(site));
}

pub(super) async fn the_guests_of_a_lane_are_read_back_and_go_with_their_accounts(office: &Fixture) {
    let room = own_room(office, 10).await;
    let invited = open_lane(office, room, LaneKind::Invitation, 20).await;
    let access = open_lane(office, room, LaneKind::Accessibility, 20).await;
    let mut users = Vec::new();
    for _ in 0..3 {
        let user_id = office.register().await;
        step(office, invited, LaneStep::AddGuest { user_id }).await;
        users.push(user_id);
    }
    users.sort_unstable();
    office.advance(1);
    step(office, access, LaneStep::AddGuest { user_id: users[1] }).await;
    // On the list already.
    step(office, invited, LaneStep::AddGuest { user_id: users[1] }).await;
    let of = async |user| office.store.lanes_of_guest(user, room).await.unwrap();
    let both = of(users[1]).await;
    assert_eq!(both.iter().map(|guest| guest.room_id).collect::<Vec<_>>(), [access, invited]);
    assert_eq!(both[1], LaneGuest { room_id: invited, user_id: users[1], added_by: None, added_at: START });
    let page = async |page| {
        let guests = office.store.lane_guests(invited, page).await.unwrap();
        guests.iter().map(|guest| guest.user_id).collect::<Vec<_>>()
    };
    assert_eq!(page(first(2)).await, users[..2]);
    assert_eq!(page(after(users[1], 2)).await, users[2..]);
    assert_eq!(office.store.lanes_of_guest(users[0], RoomId::HOUSE).await.unwrap(), []);
    step(office, invited, LaneStep::RemoveGuest { user_id: users[0] }).await;
    let erasure = Erasure {
        user_id: users[1],
        proof: Proof::Unneeded,
        idle_since: None,
        worth: Worth::Kept,
        tokens: Vec::new(),
        reservations: Vec::new(),
    };
    office.ask(Caller::System, Command::EraseUser(erasure)).await.unwrap();
    assert_eq!((page(first(9)).await, of(users[1]).await), (vec![users[2]], vec![]));
    // Some time after the sale they go.
    let closes_at = office.store.line(invited).await.unwrap().unwrap().room.closes_at.unwrap();
    assert_eq!(office.store.prune(Leftover::Guest, closes_at, 10).await.unwrap(), 0);
    assert_eq!(office.store.prune(Leftover::Guest, closes_at.plus(Span::from_micros(1)), 10).await.unwrap(), 1);
    assert_eq!(page(first(9)).await, []);
}

pub(super) async fn of_two_joins_at_once_in_a_line_and_its_lane_one_gives_the_place(office: &Fixture) {
    let room = own_room(office, 10).await;
    let lane = open_lane(office, room, LaneKind::Invitation, 20).await;
    for _ in 0..8 {
        let user = office.register().await;
        step(office, lane, LaneStep::AddGuest { user_id: user }).await;
        let join = |room_id: RoomId| Command::IssueToken { room_id, concert_id: room.concert() };
        let (one, other) =
            tokio::join!(office.ask(Caller::Buyer(user), join(room)), office.ask(Caller::Buyer(user), join(lane)));
        let place = |joined| match joined {
            Ok(Outcome::Joined { token, issue }) => (token.id, issue),
            other => panic!("{other:?}"),
        };
        let ((one, first), (other, second)) = (place(one), place(other));
        assert_eq!(one, other, "of both requests the same place");
        assert_ne!(first, second, "one of them has made it");
        assert_eq!(office.store.live_tokens(user).await.unwrap().len(), 1);
    }
}

pub(super) async fn a_token_of_a_lane_holds_a_seat_of_its_lines_concert_alone(office: &Fixture) {
    let concert = office.concert_like(NewConcert { own_room_max_active: Some(5), ..new_concert() }).await;
    let seat = office.seats(concert.concert_id, 1).await[0];
    let elsewhere = office.concert().await;
    let other_seat = office.seats(elsewhere.concert_id, 1).await[0];
    let lane = open_lane(office, concert.room_id, LaneKind::Accessibility, 20).await;
    let user = office.register().await;
    step(office, lane, LaneStep::AddGuest { user_id: user }).await;
    let token = match office
        .ask(Caller::Buyer(user), Command::IssueToken { room_id: lane, concert_id: lane.concert() })
        .await
    {
        Ok(Outcome::Joined { token, .. }) => token.id,
        other => panic!("{other:?}"),
    };
    assert_eq!(token.room_id, lane);
    let sharing = Command::Share { scope: ShareScope::Line(concert.room_id), waiting: vec![(lane, 1)] };
    office.ask(Caller::System, sharing).await.unwrap();
    office.advance_line(lane, 10).await;
    assert_eq!(claim(office, &[(user, token)]).await, 1);
    let hold = |seat| Command::Hold { token, seat_ids: vec![seat] };
    assert_eq!(office.ask(Caller::Buyer(user), hold(other_seat)).await, Err(Refusal::TokenOfAnotherRoom));
    office.hold(user, token, seat).await;
}
