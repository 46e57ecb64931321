use frontrow_domain::{
    command::{Command, DrawStep, NewConcert, Outcome},
    id::{ConcertId, Position, RoomId, TokenId},
    line::{BeaconWait, DrawPhase, EndReason, EntrySet, Fence, OpeningOrder, Room, TokenStatus},
    time::Span,
    user::Caller,
};
use frontrow_draw::{Chain, DrawSecret, HexBytes, merkle_root};
use frontrow_storage::Page;
use frontrow_testkit::{
    START,
    fixture::{Fixture, new_concert, request},
};

const OPENS_SECONDS: i64 = 600;
const FENCE: Fence = Fence(0);

/// A concert with a lobby, and so many entries in it.
async fn lobby(office: &Fixture, entries: usize) -> RoomId {
    let concert = NewConcert {
        own_room_max_active: Some(2),
        opens_at: Some(office.clock.now().plus(Span::from_secs(OPENS_SECONDS))),
        ..new_concert()
    };
    let Ok(Outcome::Concert(concert)) = office.ask(Caller::System, Command::CreateConcert(concert)).await else {
        panic!("no concert")
    };
    let room_id = concert.room_id;
    if room(office, room_id).await.draw == DrawPhase::None {
        let change = frontrow_domain::command::RoomChange { opening: Some(OpeningOrder::Draw), ..Default::default() };
        let reason = Some("The order is drawn.".to_owned());
        step(office, Command::SetRoom { room_id, change, basis: None, reason }).await;
    }
    let secret = DrawSecret::from_bytes([9; 32]);
    let beacon = BeaconWait { chain: Chain::quicknet(), patience: Span::ZERO };
    step(office, Command::StepDraw { room_id, step: DrawStep::Begin { secret, beacon } }).await;
    for _ in 0..entries {
        let user = office.register().await;
        office.join(user, room_id).await;
    }
    room_id
}

async fn step(office: &Fixture, command: Command) -> Room {
    match office.ask(Caller::System, command).await {
        Ok(Outcome::Room(room)) => room,
        other => panic!("{other:?}"),
    }
}

async fn room(office: &Fixture, id: RoomId) -> Room {
    office.store.line(id).await.unwrap().unwrap().room
}

async fn count(office: &Fixture, room_id: RoomId, entries: impl IntoIterator<Item = i64>) {
    let entered: EntrySet = entries.into_iter().map(Position).collect();
    let root = merkle_root(&[HexBytes::new([5; 32])]);
    step(office, Command::StepDraw { room_id, step: DrawStep::Count { fence: FENCE, entered, tree: root } }).await;
}

pub(super) async fn a_draw_is_read_back_as_it_was_decided(office: &Fixture) {
    let room_id = lobby(office, 3).await;
    let saved =
        async || (office.store.draw(room_id).await.unwrap(), office.reopened().await.draw(room_id).await.unwrap());
    let (begun, again) = saved().await;
    assert_eq!(begun, again);
    let begun = begun.unwrap();
    assert_eq!((begun.begun_at, &begun.sealed, &begun.result), (START, &None, &None));
    assert_eq!(begun.secret, DrawSecret::from_bytes([9; 32]));
    office.advance(OPENS_SECONDS);
    step(office, Command::StepDraw { room_id, step: DrawStep::Seal { fence: FENCE } }).await;
    count(office, room_id, [1, 2, 3]).await;
    let (drawn, again) = saved().await;
    assert_eq!(drawn, again);
    let drawn = drawn.unwrap();
    let (sealed, result) = (drawn.sealed.clone().unwrap(), drawn.result.clone().unwrap());
    assert!(sealed.entered.iter().eq((1..=3).map(Position)));
    assert_eq!((sealed.sealed_at, result.signature), (START.plus(Span::from_secs(OPENS_SECONDS)), None));
    assert_eq!(office.store.draw(RoomId::HOUSE).await.unwrap(), None);
}

pub(super) async fn a_sealed_lobby_reserves_as_many_positions_and_later_tokens_come_behind_them(office: &Fixture) {
    let room_id = lobby(office, 4).await;
    office.advance(OPENS_SECONDS);
    let sealed = step(office, Command::StepDraw { room_id, step: DrawStep::Seal { fence: FENCE } }).await;
    assert_eq!(sealed.draw, DrawPhase::Sealed { last: Position(4) });
    // Sealing it again reserves nothing more.
    step(office, Command::StepDraw { room_id, step: DrawStep::Seal { fence: FENCE } }).await;
    let late = office.register().await;
    assert_eq!(office.join(late, room_id).await.id.position, Position(9));
    // In the batch that seals it, too, all who join come before or behind the reserved positions.
    let other = lobby(office, 1).await;
    let users = [office.register().await, office.register().await];
    let [first, second] = users.map(|user| {
        let concert_id = other.concert();
        request(Caller::Buyer(user), Command::IssueToken { room_id: other, concert_id })
    });
    office.advance(OPENS_SECONDS);
    let seal = request(Caller::System, Command::StepDraw { room_id: other, step: DrawStep::Seal { fence: FENCE } });
    office.batch(vec![first, seal, second]).await;
    let line = office.store.line(other).await.unwrap().unwrap();
    let last = line.room.draw.last_entry().unwrap();
    for position in &line.waiting {
        assert!(*position <= last || position.0 > 2 * last.0, "{position:?} of {:?}", line.room.draw);
    }
    assert_eq!(line.waiting.len(), 3);
}

pub(super) async fn drawn_entries_get_their_places_and_their_old_tokens_end(office: &Fixture) {
    let room_id = lobby(office, 5).await;
    office.advance(OPENS_SECONDS);
    step(office, Command::StepDraw { room_id, step: DrawStep::Seal { fence: FENCE } }).await;
    count(office, room_id, 1..=5).await;
    let order = office.store.draw(room_id).await.unwrap().unwrap().order().unwrap();
    let place = |entries: &[Position]| Command::StepDraw {
        room_id,
        step: DrawStep::Place { fence: FENCE, entries: entries.to_vec() },
    };
    let part = step(office, place(&order[..2])).await;
    assert_eq!(room(office, room_id).await, part);
    let expected = DrawPhase::Placing { last: Position(5), entries: 5, placed: 2, placed_entry: order[1] };
    assert_eq!(part.draw, expected);
    let whole = step(office, place(&order[2..])).await;
    assert_eq!((whole.draw, whole.cursor), (DrawPhase::Placed { last: Position(5), entries: 5 }, Position(5)));
    let line = office.store.line(room_id).await.unwrap().unwrap();
    assert!(line.waiting.iter().copied().eq((6..=10).map(Position)));
    for (position, entry) in (6..).map(Position).zip(&order) {
        let token = async |position| office.store.token(TokenId { room_id, position }).await.unwrap().unwrap();
        let (drawn, old) = (token(position).await, token(*entry).await);
        assert_eq!((drawn.user_id, drawn.issued_at), (old.user_id, old.issued_at));
        assert_eq!((old.status(), old.end_reason()), (TokenStatus::Ended, Some(EndReason::Drawn)));
        assert_eq!(office.store.live_tokens(old.user_id).await.unwrap(), [drawn]);
    }
    let late = office.register().await;
    assert_eq!(office.join(late, room_id).await.id.position, Position(11));
}

pub(super) async fn the_tokens_up_to_a_position_come_in_parts(office: &Fixture) {
    let room_id = lobby(office, 5).await;
    let left =
        office.store.tokens_up_to(room_id, Position(2), Page { after: None, limit: 10 }).await.unwrap().remove(1);
    office.ask(Caller::Buyer(left.user_id), Command::LeaveQueue { token: left.id }).await.unwrap();
    let page = async |after: Option<i64>, limit| {
        let page = Page { after: after.map(Position), limit };
        let tokens = office.store.tokens_up_to(room_id, Position(4), page).await.unwrap();
        tokens.iter().map(|token| token.id.position.0).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 3).await, [1, 2, 3], "the one that left is among them");
    assert_eq!(page(Some(3), 3).await, [4]);
    assert_eq!(page(Some(4), 3).await, [0_i64; 0]);
    assert_eq!(
        office
            .store
            .tokens_up_to(RoomId::of_concert(ConcertId::new(999)), Position(4), Page { after: None, limit: 1 })
            .await
            .unwrap(),
        []
    );
}
