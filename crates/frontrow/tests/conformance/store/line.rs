use frontrow_domain::{
    command::{Command, Issue, NewConcert, NewRoom, Outcome, RoomChange},
    id::{ConcertId, Position, RoomId, TokenId, UserId},
    line::{EndReason, Fence, Room, RoomSite, SilentToken, TokenStatus, TokenTally},
    policy::{AWAY_GRACE, Policy, TOKENS_PER_ADVANCE_MAX},
    retention::Leftover,
    time::Span,
    user::Caller,
};
use frontrow_storage::{Life, Page};
use frontrow_testkit::{
    START,
    fixture::{Fixture, HOUSE_MAX_ACTIVE, new_concert, request},
};
use uuid::Uuid;

pub(super) async fn a_new_box_office_has_the_house_room_and_its_own_time(office: &Fixture) {
    let house = Room::new(RoomId::HOUSE, HOUSE_MAX_ACTIVE, START);
    assert_eq!(office.store.rooms().await.unwrap(), std::slice::from_ref(&house));
    office.advance(5);
    assert_eq!(office.store.now().await.unwrap(), START.plus(Span::from_secs(5)));
    let line = office.store.line(RoomId::HOUSE).await.unwrap().unwrap();
    assert_eq!((line.room, line.highest), (house, Position(0)));
    assert_eq!(line.now, START.plus(Span::from_secs(5)));
    assert!(line.waiting.is_empty() && line.others.is_empty());
}

pub(super) async fn asking_for_a_token_again_gives_the_same_one(office: &Fixture) {
    let user = office.register().await;
    let token = office.join(user, RoomId::HOUSE).await;
    office.advance(60);
    let again = office.ask(Caller::Buyer(user), Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None }).await;
    assert_eq!(again, Ok(Outcome::Joined { token, issue: Issue::Existing }));
    assert_eq!(office.store.token(token.id).await.unwrap(), Some(token));
    assert_eq!(office.store.line(RoomId::HOUSE).await.unwrap().unwrap().waiting, [Position(1)]);
}

pub(super) async fn positions_rise_in_the_order_of_the_batch(office: &Fixture) {
    let mut users = Vec::new();
    for _ in 0..5 {
        users.push(office.register().await);
    }
    let batch = users.iter().rev().chain([&users[0]]);
    let batch = batch
        .map(|user| request(Caller::Buyer(*user), Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None }));
    let (answers, changes) = office.batch(batch.collect()).await;
    let positions: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer.decision {
            Ok(Outcome::Joined { token, .. }) => (token.user_id, token.id.position.0),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<_> = users.iter().rev().copied().zip(1..).chain([(users[0], 5)]).collect();
    assert_eq!(positions, expected);
    assert_eq!(changes.highest[&RoomId::HOUSE], Position(5));
    let line = office.store.line(RoomId::HOUSE).await.unwrap().unwrap();
    assert_eq!(line.highest, Position(5));
    assert_eq!(line.waiting, (1..=5).map(Position).collect::<Vec<_>>());
}

pub(super) async fn the_line_moves_in_order_and_a_turn_is_claimed_once(office: &Fixture) {
    let (first, second) = (office.register().await, office.register().await);
    let ahead = office.join(first, RoomId::HOUSE).await;
    let behind = office.join(second, RoomId::HOUSE).await;
    office.advance_line(RoomId::HOUSE, 1).await;
    let line = office.store.line(RoomId::HOUSE).await.unwrap().unwrap();
    assert_eq!(line.waiting, [behind.id.position]);
    assert_eq!(
        line.others.iter().map(|token| (token.id, token.status())).collect::<Vec<_>>(),
        [(ahead.id, TokenStatus::Offered)]
    );
    assert_eq!(line.room.cursor, ahead.id.position);

    let claim = Command::ActivateToken { token: ahead.id };
    let (answers, changes) =
        office.batch(vec![request(Caller::Buyer(first), claim.clone()), request(Caller::Buyer(first), claim)]).await;
    let Ok(Outcome::Token(active)) = &answers[0].decision else { panic!("{answers:?}") };
    assert_eq!(active.status(), TokenStatus::Active);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(changes.tokens.updated, [*active]);
    assert_eq!(office.store.token(ahead.id).await.unwrap(), Some(*active));
}

pub(super) async fn overdue_tokens_lapse_when_the_line_moves(office: &Fixture) {
    let (first, second) = (office.register().await, office.register().await);
    let active = office.activate(first).await;
    let offered = office.join(second, RoomId::HOUSE).await.id;
    office.advance_line(RoomId::HOUSE, 10).await;
    office.advance(100);
    let moved = office
        .ask(
            Caller::System,
            Command::AdvanceRoom {
                room_id: RoomId::HOUSE,
                fence: Fence(0),
                limit: 10,
                unresponsive: Vec::new(),
                outlook: None,
            },
        )
        .await;
    assert_eq!(moved, Ok(Outcome::Advanced { activated: 0, offered: 0, made_dormant: 0, overdue: 2 }));
    let active = office.store.token(active).await.unwrap().unwrap();
    assert_eq!((active.status(), active.end_reason()), (TokenStatus::Ended, Some(EndReason::Expired)));
    assert_eq!(active.expired_at(), Some(START.plus(Span::from_secs(100))));
    assert_eq!(office.store.token(offered).await.unwrap().unwrap().status(), TokenStatus::Missed);
    assert!(office.store.rooms().await.unwrap()[0].no_show_ppm > 0);

    let again = office.ask(Caller::Buyer(second), Command::ActivateToken { token: offered }).await;
    assert!(matches!(again, Ok(Outcome::TurnPending(token)) if token.status() == TokenStatus::Waiting), "{again:?}");
    assert_eq!(office.store.line(RoomId::HOUSE).await.unwrap().unwrap().waiting, [offered.position]);
}

pub(super) async fn one_advance_looks_at_so_many_tokens_and_the_next_at_the_rest(office: &Fixture) {
    let most = i64::from(TOKENS_PER_ADVANCE_MAX);
    let room_id = RoomId::HOUSE;
    let wide = RoomChange { max_active: Some(2 * most), ..RoomChange::default() };
    office.ask(Caller::System, Command::SetRoom { room_id, change: wide, basis: None, reason: None }).await.unwrap();
    let users: Vec<_> = (1..=most + 120).map(|number| UserId(Uuid::from_u128(number.unsigned_abs().into()))).collect();
    for user in &users {
        office.register_as(*user, "Buyer", &format!("{user}@example.com")).await;
    }
    let join = |user: &UserId| request(Caller::Buyer(*user), Command::IssueToken { room_id, concert_id: None });
    office.batch(users.iter().map(join).collect()).await;

    let silent: Vec<_> = (1..=20).map(Position).collect();
    let advance = async || {
        let unresponsive = silent.iter().copied().map(SilentToken::unheard).collect();
        match office
            .ask(
                Caller::System,
                Command::AdvanceRoom { room_id, fence: Fence(0), limit: u32::MAX, unresponsive, outlook: None },
            )
            .await
        {
            Ok(Outcome::Advanced { offered, made_dormant, overdue, .. }) => (offered, made_dormant, overdue),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(advance().await, (TOKENS_PER_ADVANCE_MAX - 20, 20, 0));
    assert_eq!(advance().await, (120, 0, 0));
    assert_eq!(advance().await, (0, 0, 0));

    // The tokens that others wait for lapse first: the active, then the unclaimed turns in their order.
    let last = TokenId { room_id, position: Position(most + 120) };
    office.ask(Caller::Buyer(users[users.len() - 1]), Command::ActivateToken { token: last }).await.unwrap();
    office.advance(100);
    assert_eq!(advance().await, (0, 0, TOKENS_PER_ADVANCE_MAX));
    let status = async |position: i64| {
        let id = TokenId { room_id, position: Position(position) };
        office.store.token(id).await.unwrap().unwrap().status()
    };
    assert_eq!(status(last.position.0).await, TokenStatus::Ended);
    // Positions 1 to 20 are dormant, so that of the others so many less the active one have lapsed.
    assert_eq!(status(most + 19).await, TokenStatus::Missed);
    assert_eq!(status(most + 20).await, TokenStatus::Offered);
    assert_eq!(advance().await, (0, 0, 100));
    assert_eq!(advance().await, (0, 0, 0));
}

pub(super) async fn a_token_that_ended_frees_its_users_place(office: &Fixture) {
    let user = office.register().await;
    let old = office.join(user, RoomId::HOUSE).await.id;
    office.ask(Caller::Buyer(user), Command::LeaveQueue { token: old }).await.unwrap();
    let ended = office.store.token(old).await.unwrap().unwrap();
    assert_eq!((ended.status(), ended.end_reason()), (TokenStatus::Ended, Some(EndReason::Left)));
    let new = office.join(user, RoomId::HOUSE).await.id;
    assert_eq!(new.position, Position(2));
    // Leaving and joining again in one batch takes the old row out of the way of the new one.
    let (answers, _) = office
        .batch(vec![
            request(Caller::Buyer(user), Command::LeaveQueue { token: new }),
            request(Caller::Buyer(user), Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None }),
        ])
        .await;
    assert!(matches!(answers[1].decision, Ok(Outcome::Joined { issue: Issue::New, .. })), "{answers:?}");
    assert_eq!(office.store.live_tokens(user).await.unwrap().len(), 1);
}

pub(super) async fn a_room_with_a_small_cap_keeps_to_it(office: &Fixture) {
    let concert = office.concert_like(NewConcert { own_room_max_active: Some(1), ..new_concert() }).await;
    let room = RoomId::of_concert(concert.concert_id);
    assert_eq!(concert.room_id, room);
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let user = office.register().await;
        tokens.push((user, office.join(user, room).await.id));
    }
    office.advance_line(room, 10).await;
    let line = office.store.line(room).await.unwrap().unwrap();
    assert_eq!((line.others.len(), line.waiting.len()), (1, 2));
    let (user, token) = tokens[0];
    office.ask(Caller::Buyer(user), Command::ActivateToken { token }).await.unwrap();
    office.advance_line(room, 10).await;
    assert_eq!(office.store.line(room).await.unwrap().unwrap().waiting.len(), 2);
    office.ask(Caller::Buyer(user), Command::LeaveQueue { token }).await.unwrap();
    office.advance_line(room, 10).await;
    assert_eq!(office.store.line(room).await.unwrap().unwrap().waiting, [tokens[2].1.position]);
}

/// Nobody swept: the claim itself finds out whose time is over, and whose time a sign of life has lengthened.
pub(super) async fn a_claim_ends_overdue_tokens_before_it_meets_a_full_room(office: &Fixture) {
    let mut tokens = Vec::new();
    for _ in 0..4 {
        let user = office.register().await;
        tokens.push((user, office.join(user, RoomId::HOUSE).await.id));
    }
    office.advance_line(RoomId::HOUSE, 10).await;
    let [(silent, first), (awake, second), (third, offered), (fourth, last)] = tokens[..] else { panic!() };
    let claim = async |user, token| office.ask(Caller::Buyer(user), Command::ActivateToken { token }).await;
    claim(silent, first).await.unwrap();
    claim(awake, second).await.unwrap();
    let change = RoomChange { max_active: Some(2), ..RoomChange::default() };
    office
        .ask(Caller::System, Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None })
        .await
        .unwrap();
    let idle = Policy::default().idle_span().micros() / 1_000_000;
    // A turn whose claim has to wait lasts anew.
    office.advance(50);
    office.ask(Caller::Buyer(awake), Command::WakeToken { token: second }).await.unwrap();
    for (user, token) in [(third, offered), (fourth, last)] {
        assert!(matches!(claim(user, token).await, Ok(Outcome::TurnPending(_))));
    }
    // One is over by now, and so would be the other by the deadline that it had at first.
    office.advance(idle - 50);
    assert!(matches!(claim(third, offered).await, Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active));
    assert!(matches!(claim(fourth, last).await, Ok(Outcome::TurnPending(_))));
    let ended = office.store.token(first).await.unwrap().unwrap();
    assert_eq!((ended.status(), ended.expired_at()), (TokenStatus::Ended, Some(START.plus(Span::from_secs(idle)))));
    assert_eq!(office.store.token(second).await.unwrap().unwrap().status(), TokenStatus::Active);
    // Now the other is over as well.
    office.advance(50);
    assert!(matches!(claim(fourth, last).await, Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active));
    assert_eq!(office.store.token(second).await.unwrap().unwrap().status(), TokenStatus::Ended);
}

pub(super) async fn claims_that_found_the_room_full_keep_their_order(office: &Fixture) {
    // Given four turns and a room for one, which is taken.
    let mut tokens = Vec::new();
    for _ in 0..4 {
        let user = office.register().await;
        tokens.push((user, office.join(user, RoomId::HOUSE).await.id));
    }
    office.advance_line(RoomId::HOUSE, 10).await;
    let change = RoomChange { max_active: Some(1), ..RoomChange::default() };
    office
        .ask(Caller::System, Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None })
        .await
        .unwrap();
    let ask = async |number: usize| {
        let (user, token) = tokens[number];
        office.ask(Caller::Buyer(user), Command::ActivateToken { token }).await
    };
    let leave = async |number: usize| {
        let (user, token) = tokens[number];
        office.ask(Caller::Buyer(user), Command::LeaveQueue { token }).await.unwrap();
    };
    let row = async |number: usize| office.store.token(tokens[number].1).await.unwrap().unwrap();
    ask(0).await.unwrap();
    // When the others claim from the last to the first, a second apart, and the first of them again.
    for number in [3, 2, 1, 3] {
        office.advance(1);
        assert!(matches!(ask(number).await, Ok(Outcome::TurnPending(_))));
    }
    let claimed = |number: usize| START.plus(Span::from_secs(i64::try_from(4 - number).unwrap()));
    for number in 1..=3 {
        assert_eq!(row(number).await.state.claimed_at(), Some(claimed(number)), "the first claim counts");
    }
    // Then each place that becomes free is theirs in that order: by whatever claim comes, or by the line's next move.
    leave(0).await;
    assert!(matches!(ask(1).await, Ok(Outcome::TurnPending(_))));
    assert_eq!((row(3).await.status(), row(3).await.state.claimed_at()), (TokenStatus::Active, None));
    leave(3).await;
    office.advance_line(RoomId::HOUSE, 10).await;
    assert_eq!((row(2).await.status(), row(1).await.status()), (TokenStatus::Active, TokenStatus::Offered));
    leave(2).await;
    assert!(matches!(ask(1).await, Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active));
    let line = office.store.line(RoomId::HOUSE).await.unwrap().unwrap();
    assert_eq!(line.others.len(), 1);
}

pub(super) async fn all_rooms_tell_at_once_whether_something_lives_in_them(office: &Fixture) {
    let mut rooms = Vec::new();
    for _ in 0..3 {
        let concert = office.concert_like(NewConcert { own_room_max_active: Some(5), ..new_concert() }).await;
        rooms.push(concert.room_id);
    }
    let (first, second) = (office.register().await, office.register().await);
    // The most that a store with many writers may be late with a number that it gave.
    let later = || office.advance(11);
    let assert_lives = async |expected: [(RoomId, i64, Life); 4]| {
        let standings = office.store.standings().await.unwrap();
        let found: Vec<_> = standings.iter().map(|one| (one.room.room_id, one.highest.0, one.life)).collect();
        assert_eq!(found, expected);
        assert!(standings.iter().all(|one| one.now == office.clock.now()));
        let lines: Vec<_> = standings.into_iter().map(|one| one.room).collect();
        assert_eq!(lines, office.store.rooms().await.unwrap());
        let part = async |after, limit| office.store.some_rooms(Page { after, limit }).await.unwrap();
        assert_eq!(part(None, 2).await, lines[..2]);
        assert_eq!(part(Some(lines[1].room_id), 100).await, lines[2..]);
        assert_eq!(part(Some(lines[3].room_id), 100).await, []);
        let busy: Vec<_> = expected.iter().filter(|one| one.2 == Life::Live).map(|one| one.0).collect();
        assert_eq!(office.store.busy_rooms().await.unwrap(), busy);
    };
    let (house, quiet) = ((RoomId::HOUSE, 0, Life::Empty), Life::Empty);
    assert_lives([house, (rooms[0], 0, quiet), (rooms[1], 0, quiet), (rooms[2], 0, quiet)]).await;
    let waits = office.join(first, rooms[0]).await.id;
    let claims = office.join(second, rooms[2]).await.id;
    later();
    let busy = [house, (rooms[0], 1, Life::Live), (rooms[1], 0, quiet), (rooms[2], 1, Life::Live)];
    assert_lives(busy).await;
    office.advance_line(rooms[2], 1).await;
    assert_lives(busy).await;
    office.ask(Caller::Buyer(second), Command::ActivateToken { token: claims }).await.unwrap();
    assert_lives(busy).await;
    office.ask(Caller::Buyer(second), Command::LeaveQueue { token: claims }).await.unwrap();
    assert_lives([house, (rooms[0], 1, Life::Live), (rooms[1], 0, quiet), (rooms[2], 1, quiet)]).await;
    let unresponsive = vec![SilentToken::unheard(waits.position)];
    let advance = Command::AdvanceRoom { room_id: rooms[0], fence: Fence(0), limit: 1, unresponsive, outlook: None };
    office.ask(Caller::System, advance).await.unwrap();
    assert_eq!(office.store.token(waits).await.unwrap().unwrap().status(), TokenStatus::Dormant);
    assert_lives([house, (rooms[0], 1, Life::Live), (rooms[1], 0, quiet), (rooms[2], 1, quiet)]).await;
    office.ask(Caller::Buyer(first), Command::LeaveQueue { token: waits }).await.unwrap();
    assert_lives([house, (rooms[0], 1, quiet), (rooms[1], 0, quiet), (rooms[2], 1, quiet)]).await;
}

pub(super) async fn a_cancelled_concerts_line_ends_part_by_part_from_its_head(office: &Fixture) {
    let concert_id = office.concert_like(NewConcert { own_room_max_active: Some(1), ..new_concert() }).await.concert_id;
    let room_id = RoomId::of_concert(concert_id);
    for _ in 0..5 {
        let user = office.register().await;
        office.join(user, room_id).await;
    }
    office.advance_line(room_id, 1).await;
    let end = async || match office.ask(Caller::System, Command::EndLine { room_id, limit: 3 }).await {
        Ok(Outcome::Advanced { activated: 0, offered: 0, made_dormant: 0, overdue }) => overdue,
        other => panic!("{other:?}"),
    };
    assert_eq!(end().await, 0, "it is on sale");
    let reason = "The singer is ill.".to_owned();
    office.ask(Caller::System, Command::CancelConcert { concert_id, reason, basis: None }).await.unwrap();
    assert_eq!([end().await, end().await, end().await], [3, 1, 0]);
    let line = office.store.line(room_id).await.unwrap().unwrap();
    assert_eq!((line.waiting, line.others.len(), line.room.cursor), (vec![], 1, Position(5)));
    let last = office.store.token(TokenId { room_id, position: Position(5) }).await.unwrap().unwrap();
    assert_eq!((last.status(), last.end_reason()), (TokenStatus::Ended, Some(EndReason::ConcertOver)));
}

pub(super) async fn a_room_without_a_concert_is_kept_and_its_line_ends_once_it_is_closed(office: &Fixture) {
    let new = |name: &str, turn_url: &str, opens_at| {
        let site = RoomSite { name: name.to_owned(), turn_url: turn_url.parse().unwrap() };
        Command::CreateRoom(NewRoom { site, max_active: 1, admit_per_minute: Some(60), opens_at })
    };
    let create = async |command| match office.ask(Caller::System, command).await {
        Ok(Outcome::Room(room)) => room,
        other => panic!("{other:?}"),
    };
    let opens_at = Some(START.plus(Span::from_secs(60)));
    let first = create(new("상점", "https://shop.example.com/enter", opens_at)).await;
    let second = create(new("Shop", "https://shop.example.com/?t={token}", None)).await;
    assert_eq!((first.room_id, second.room_id), (RoomId::of_site(1), RoomId::of_site(2)));
    for room in [&first, &second] {
        assert_eq!(office.store.line(room.room_id).await.unwrap().unwrap().room, *room);
        assert_eq!(room.room_id.concert(), None);
    }
    // Concerts count on by themselves.
    let concert = office.concert_like(NewConcert { own_room_max_active: Some(1), ..new_concert() }).await;
    assert!(concert.room_id < first.room_id);

    let room_id = second.room_id;
    for _ in 0..5 {
        let user = office.register().await;
        office.join(user, room_id).await;
    }
    let change = RoomChange {
        name: Some("Other".to_owned()),
        turn_url: Some("https://other.example.com/".parse().unwrap()),
        ..RoomChange::default()
    };
    office.ask(Caller::System, Command::SetRoom { room_id, change, basis: None, reason: None }).await.unwrap();
    let end = async || match office.ask(Caller::System, Command::EndClosedLine { room_id, limit: 3 }).await {
        Ok(Outcome::Advanced { activated: 0, offered: 0, made_dormant: 0, overdue }) => overdue,
        other => panic!("{other:?}"),
    };
    assert_eq!(end().await, 0, "it is open");
    let reason = "The sale is over.".to_owned();
    office.ask(Caller::System, Command::CloseRoom { room_id, basis: None, reason }).await.unwrap();
    assert_eq!([end().await, end().await, end().await], [3, 2, 0]);
    let line = office.store.line(room_id).await.unwrap().unwrap();
    assert_eq!((line.waiting, line.room.cursor), (vec![], Position(5)));
    let site = line.room.site.unwrap();
    assert_eq!((site.name.as_str(), site.turn_url.as_str()), ("Other", "https://other.example.com/"));
    let last = office.store.token(TokenId { room_id, position: Position(5) }).await.unwrap().unwrap();
    assert_eq!((last.status(), last.end_reason()), (TokenStatus::Ended, Some(EndReason::RoomClosed)));
    let third = create(new("Third", "http://127.0.0.1:8000/", None)).await;
    assert_eq!(third.room_id, RoomId::of_site(3));
}

pub(super) async fn the_line_of_an_unknown_room_is_none(office: &Fixture) {
    assert_eq!(office.store.line(RoomId::of_concert(ConcertId::new(99))).await.unwrap(), None);
}

pub(super) async fn a_line_is_no_earlier_than_what_was_refused_before(office: &Fixture) {
    office.advance(40);
    let unknown = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
    let stranger = Caller::Buyer(UserId(Uuid::nil()));
    let (answers, changes) = office.batch(vec![request(stranger, Command::LeaveQueue { token: unknown })]).await;
    assert!(answers[0].decision.is_err() && changes.is_empty());
    // Nothing of the batch was saved, and the machine's clock goes back.
    office.advance(-5);
    let then = START.plus(Span::from_secs(40));
    assert_eq!(office.store.now().await.unwrap(), then);
    assert_eq!(office.store.line(RoomId::HOUSE).await.unwrap().unwrap().now, then);
    assert!(office.store.standings().await.unwrap().iter().all(|one| one.now == then));
}

pub(super) async fn a_room_counts_what_became_of_its_tokens_also_of_those_whose_rows_are_gone(office: &Fixture) {
    let mut users = Vec::new();
    for _ in 0..5 {
        users.push(office.register().await);
    }
    let mut tokens = Vec::new();
    for user in &users {
        tokens.push(office.join(*user, RoomId::HOUSE).await.id);
    }
    let ask = async |user: usize, command| office.ask(Caller::Buyer(users[user]), command).await.unwrap();
    // One leaves, one is passed over, one misses its turn, one is inside, and the last one waits.
    ask(0, Command::LeaveQueue { token: tokens[0] }).await;
    let silent = |of: &[usize]| of.iter().map(|token| SilentToken::unheard(tokens[*token].position)).collect();
    let advance = async |limit, unresponsive| {
        let fence = Fence(0);
        let advance = Command::AdvanceRoom { room_id: RoomId::HOUSE, fence, limit, unresponsive, outlook: None };
        office.ask(Caller::System, advance).await.unwrap()
    };
    office.advance(100);
    advance(3, silent(&[1])).await;
    ask(3, Command::ActivateToken { token: tokens[3] }).await;
    office.advance(61);
    advance(0, Vec::new()).await;
    let tally = async || office.store.room_tally(RoomId::HOUSE).await.unwrap().unwrap();
    let expected = TokenTally { admitted: 1, turns_passed: 2, left: 1, ..TokenTally::default() };
    assert_eq!(tally().await.counts.tally, expected);
    let peaks = tally().await.room.peaks;
    assert_eq!((peaks.passed_over, peaks.active, peaks.overshoot), (1, 1, 0));
    assert_eq!(peaks.cap, tally().await.room.max_active);
    // Changes that lock no room count as well.
    ask(3, Command::LeaveQueue { token: tokens[3] }).await;
    ask(4, Command::LeaveQueue { token: tokens[4] }).await;
    let after = tally().await;
    assert_eq!(after.counts.tally, TokenTally { left: 3, ..expected });
    assert_eq!((after.counts.active, after.counts.offered), (0, 0));
    office.advance(60);
    let gone = office.store.prune(Leftover::Token, office.store.now().await.unwrap(), 100).await.unwrap();
    assert_eq!((gone > 0, tally().await.counts.tally), (true, after.counts.tally));
    assert_eq!(office.store.room_tally(RoomId::new(77)).await.unwrap(), None);
}

pub(super) async fn a_client_that_went_away_keeps_what_its_token_had_and_loses_the_place_after_the_grace(
    office: &Fixture,
) {
    let (stays, goes) = (office.register().await, office.register().await);
    let tokens = [office.activate(stays).await, office.activate(goes).await];
    let row = async |which: usize| office.store.token(tokens[which]).await.unwrap().unwrap();
    let before = row(0).await;
    for (user, token) in [(stays, tokens[0]), (goes, tokens[1])] {
        let go_away = Command::GoAway { token, holds: Vec::new(), holds_made: 0 };
        office.ask(Caller::Buyer(user), go_away).await.unwrap();
    }
    let away = row(0).await;
    assert_eq!(away.state.back_until(), before.deadline());
    assert_eq!(away.deadline(), Some(office.store.now().await.unwrap().plus(AWAY_GRACE)));
    assert_eq!(away.back(), before);
    office.advance(14);
    office.ask(Caller::Buyer(stays), Command::WakeToken { token: tokens[0] }).await.unwrap();
    assert_eq!(row(0).await.state.back_until(), None);
    assert!(row(0).await.deadline() >= before.deadline());
    office.advance(1);
    office.advance_line(RoomId::HOUSE, 0).await;
    assert_eq!((row(0).await.status(), row(1).await.status()), (TokenStatus::Active, TokenStatus::Ended));
    assert_eq!(row(1).await.end_reason(), Some(EndReason::Expired));
}
