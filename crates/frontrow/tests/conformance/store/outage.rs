use frontrow_domain::{
    command::Command,
    decide::decide_all,
    id::{RoomId, TokenId},
    line::{Fence, SilentToken, Token, TokenStatus},
    outage::Outage,
    policy::Policy,
    time::{Span, Time},
    user::Caller,
};
use frontrow_storage::{Store, StoreError};
use frontrow_testkit::{
    START,
    fixture::{Fixture, request},
};
use std::sync::Arc;

fn at(seconds: i64) -> Time {
    START.plus(Span::from_secs(seconds))
}

/// Lets time pass while the box office works, and notes that it does.
async fn pass(office: &Fixture, seconds: i64) {
    for passed in (0..seconds).step_by(10) {
        office.advance((seconds - passed).min(10));
        office.store.note_works().await.unwrap();
    }
}

async fn token(store: &Arc<dyn Store>, id: TokenId) -> Token {
    store.token(id).await.unwrap().unwrap()
}

/// One token in every state that has a deadline, one that waits, and one whose time is over when the outage begins.
async fn tokens(office: &Fixture) -> Vec<TokenId> {
    let mut users = Vec::new();
    for _ in 0..6 {
        users.push(office.register().await);
    }
    let mut tokens = Vec::new();
    for user in &users[..5] {
        tokens.push(office.join(*user, RoomId::HOUSE).await.id);
    }
    let unresponsive = vec![SilentToken::unheard(tokens[2].position)];
    let advance =
        Command::AdvanceRoom { room_id: RoomId::HOUSE, fence: Fence(0), limit: 100, unresponsive, outlook: None };
    office.ask(Caller::System, advance).await.unwrap();
    tokens.push(office.join(users[5], RoomId::HOUSE).await.id);
    for which in [0, 4] {
        let claim = Command::ActivateToken { token: tokens[which] };
        office.ask(Caller::Buyer(users[which]), claim).await.unwrap();
    }
    // The second misses its turn; the fourth asks for its own again and again in the meantime.
    pass(office, 61).await;
    office.advance_line(RoomId::HOUSE, 0).await;
    office.ask(Caller::Buyer(users[3]), Command::ActivateToken { token: tokens[3] }).await.unwrap();
    office.advance_line(RoomId::HOUSE, 1).await;
    office.ask(Caller::Buyer(users[0]), Command::WakeToken { token: tokens[0] }).await.unwrap();
    // The fifth is over at 100 s, without anything that says so.
    pass(office, 49).await;
    tokens
}

pub(super) async fn an_outage_lengthens_once_what_was_live_when_it_began(office: &Fixture) {
    assert_eq!(office.store.resume().await.unwrap(), None);
    let tokens = tokens(office).await;
    let mut before = Vec::new();
    for id in &tokens {
        before.push(token(&office.store, *id).await);
    }
    let states: Vec<_> = before.iter().map(frontrow_domain::line::Token::status).collect();
    assert_eq!(
        states,
        [
            TokenStatus::Active,
            TokenStatus::Missed,
            TokenStatus::Dormant,
            TokenStatus::Offered,
            TokenStatus::Active,
            TokenStatus::Waiting
        ]
    );

    office.advance(95);
    let store = office.reopened().await;
    let outage = store.resume().await.unwrap().unwrap();
    assert!((at(110)..=at(115)).contains(&outage.from), "{outage:?}");
    assert_eq!(Some(outage), Outage::between(outage.from, at(205), &Policy::default()));
    for _ in 0..2 {
        for old in &before {
            let expected = old.extended_by(&outage).unwrap_or(*old);
            assert_eq!(token(&store, old.id).await, expected);
        }
        assert_eq!(store.outages().iter().collect::<Vec<_>>(), [&outage]);
        assert_eq!(store.resume().await.unwrap(), None, "an outage lengthens once");
    }
    assert_eq!(office.reopened().await.resume().await.unwrap(), None);
    assert_eq!(token(&store, before[4].id).await, before[4], "what was over stays over");
}

pub(super) async fn a_hold_that_was_live_when_an_outage_began_can_be_paid(office: &Fixture) {
    office.store.resume().await.unwrap();
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, 2).await;
    let user = office.register().await;
    office.top_up(user, 1_000_000).await;
    let id = office.activate(user).await;
    let held = office.hold(user, id, seats[0]).await;
    pass(office, 290).await;
    office.advance(400);
    let office = &office.restarted().await;
    let grace = office.store.resume().await.unwrap().unwrap().grace;
    let row = office.store.reservation(held.reservation_id).await.unwrap().unwrap();
    assert_eq!(row.expires_at, held.expires_at.plus(grace));
    assert_eq!(office.store.next_expiries(at(700), 10).await.unwrap(), [(row.expires_at, held.reservation_id)]);
    office.advance(4);
    office.pay(user, id, held.reservation_id).await;
}

pub(super) async fn the_absolute_limit_of_an_active_token_moves_by_the_outage(office: &Fixture) {
    office.store.resume().await.unwrap();
    let user = office.register().await;
    let id = office.activate(user).await;
    let ask_for = async |office: &Fixture, minutes| {
        for _ in 0..minutes {
            pass(office, 60).await;
            office.ask(Caller::Buyer(user), Command::WakeToken { token: id }).await.unwrap();
        }
    };
    ask_for(office, 5).await;
    office.advance(500);
    let office = &office.restarted().await;
    let grace = office.store.resume().await.unwrap().unwrap().grace;
    ask_for(office, 6).await;
    office.advance_line(RoomId::HOUSE, 1).await;
    let row = token(&office.store, id).await;
    assert_eq!((row.status(), row.expired_at()), (TokenStatus::Ended, Some(at(600).plus(grace))));
}

pub(super) async fn a_stop_of_some_seconds_is_an_outage_and_a_shorter_one_lengthens_nothing(office: &Fixture) {
    office.store.resume().await.unwrap();
    let user = office.register().await;
    let id = office.activate(user).await;
    let before = token(&office.store, id).await;
    office.advance(1);
    let store = office.reopened().await;
    assert_eq!(store.resume().await.unwrap(), None);
    assert_eq!(token(&store, id).await, before);
    assert_eq!(store.outages().iter().count(), 0);

    office.advance(8);
    let outage = office.reopened().await.resume().await.unwrap().unwrap();
    assert!((at(1)..=at(6)).contains(&outage.from) && outage.to == at(9), "{outage:?}");
    assert_eq!(Some(token(&office.store, id).await), before.extended_by(&outage));
}

pub(super) async fn a_pause_of_some_seconds_in_which_nothing_failed_refuses_no_batch(office: &Fixture) {
    office.store.resume().await.unwrap();
    let user = office.register().await;
    let id = office.activate(user).await;
    office.clock.stall(Span::from_secs(14));
    let wake = request(Caller::Buyer(user), Command::WakeToken { token: id });
    let (answers, _) = office.batch(vec![wake]).await;
    assert!(answers[0].decision.is_ok(), "{answers:?}");
    assert_eq!(office.store.outages().iter().count(), 0);
}

pub(super) async fn a_silence_in_which_nothing_failed_is_an_outage_too(office: &Fixture) {
    office.store.resume().await.unwrap();
    let user = office.register().await;
    let id = office.activate(user).await;
    pass(office, 20).await;
    let before = token(&office.store, id).await;
    let wake = || vec![request(Caller::Buyer(user), Command::WakeToken { token: id })];
    office.clock.stall(Span::from_secs(100));
    let refused = office.store.transact(wake().into(), decide_all).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let outage = office.store.resume().await.unwrap().unwrap();
    assert!((at(20)..=at(25)).contains(&outage.from) && outage.to == at(120), "{outage:?}");
    assert_eq!(Some(token(&office.store, id).await), before.extended_by(&outage));
    let (answers, _) = office.batch(wake()).await;
    assert!(answers[0].decision.is_ok(), "{answers:?}");
    assert_eq!(office.store.resume().await.unwrap(), None);
    // The first reader finds out.
    office.clock.stall(Span::from_secs(100));
    let refused = office.store.check_writable().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(office.store.resume().await.unwrap().is_some());
    office.store.check_writable().await.unwrap();
}
