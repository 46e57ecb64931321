//! An instance does not deny what it does not know yet.

use super::{instance, instance_at, instance_over};
use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, Outcome, Request, RoomChange},
    decide::decide_all,
    id::RoomId,
    line::{Fence, Gate, Token, TokenStatus},
    time::{Span, Time},
    user::Caller,
};
use frontrow_line::HeardSince;
use frontrow_service::{drafts::ConcertDraft, testing};
use frontrow_testkit::{
    Client, START, Server, draft, eventually,
    servers::{
        port::Port,
        postgres::{self, TestDatabase},
    },
};
use serde_json::{Value, json};
use std::sync::Arc;

const HOUSE: RoomId = RoomId::HOUSE;

/// A commit that is not published.
async fn commit_unpublished(server: &Server, caller: Caller, command: Command) -> Outcome {
    let request = Request { caller, command, idempotency: None };
    let store = Arc::clone(testing::store(&server.app().office));
    let committed = store.transact(Arc::new([request]), decide_all).await.unwrap();
    committed.answers.into_iter().next().unwrap().decision.unwrap()
}

async fn join_unpublished(server: &Server, buyer: &Client, room_id: RoomId) -> Token {
    let join = Command::IssueToken { room_id, concert_id: room_id.concert() };
    match commit_unpublished(server, Caller::Buyer(buyer.user), join).await {
        Outcome::Joined { token, .. } => token,
        other => panic!("{other:?}"),
    }
}

async fn set_house(server: &Server, change: RoomChange) {
    server.command(Command::SetRoom { room_id: HOUSE, change, basis: None, reason: None }).await;
}

fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap().to_owned()
}

/// The address of a Redis that is not there as long as the port is the test's.
fn no_redis(port: &Port) -> String {
    format!("redis://127.0.0.1:{}", port.number())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_no_token_whose_turn_comes_is_reported_as_gone() {
    let (database, port) = (TestDatabase::new().await, Port::take());
    let one = instance_over(database.url(), no_redis(&port), Clock::System).await;
    let two = instance_over(database.url(), no_redis(&port), Clock::System).await;
    for turn in 1..=20 {
        let buyer = one.buyer(&format!("buyer-{turn}")).await;
        let token = text(&buyer.join(None).await, "token");
        // The first instance gives the place and the turn. The second learns that the line has moved, by a change of
        // its own.
        let advance = Command::AdvanceRoom {
            room_id: HOUSE,
            fence: Fence(0),
            limit: 20,
            unresponsive: Vec::new(),
            outlook: None,
        };
        commit_unpublished(&one, Caller::System, advance).await;
        let message = Some(Some(format!("Turn {turn}")));
        set_house(&two, RoomChange { message, ..RoomChange::default() }).await;
        let place = buyer.at(two.address).position(&token).await;
        assert_eq!((&place["status"], &place["end_reason"]), (&"offered".into(), &Value::Null), "turn {turn}: {place}");
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_rows_cannot_be_read_an_unverified_end_is_marked_as_stale() {
    let (mut database, port) = (postgres::PostgresServer::start().await, Port::take());
    let server = instance_over(database.url("postgres"), no_redis(&port), Clock::System).await;
    let (asked, unasked) = (server.buyer("asked").await, server.buyer("unasked").await);
    let (first, second) = (text(&asked.join(None).await, "token"), text(&unasked.join(None).await, "token"));
    for (buyer, token) in [(&asked, &first), (&unasked, &second)] {
        assert_eq!(buyer.delete(&format!("/queue/tokens/{token}")).await.status, 204);
    }
    let shown = |place: &Value| (text(place, "status"), place["end_reason"].clone(), place["stale"] == true);
    assert_eq!(shown(&asked.position(&first).await), ("ended".into(), "left".into(), false));
    database.stop();
    let place = asked.position(&first).await;
    assert_eq!((&place["status"], &place["end_reason"]), (&"ended".into(), &"left".into()), "what was read is known");
    let guess = unasked.position(&second).await;
    assert_eq!(shown(&guess), ("waiting".into(), Value::Null, true));
    assert!(guess["poll_after_ms"].as_i64().unwrap() <= 2_000, "{guess}");
    database.start_again().await;
    eventually("the row is read again", async || (shown(&unasked.position(&second).await).1 == "left").then_some(()))
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_valid_at_an_instance_that_does_not_know_its_room_or_its_renewed_line_yet() {
    let database = TestDatabase::new().await;
    let (one, two) = (instance(&database).await, instance(&database).await);
    let buyer = one.buyer("buyer").await;
    let at_two = buyer.at(two.address);
    let draft = ConcertDraft { opens_at: Time::default(), own_room_max_active: Some(5), ..draft() };
    let Outcome::Concert(concert) =
        commit_unpublished(&one, Caller::System, Command::CreateConcert(draft.check().unwrap())).await
    else {
        panic!("it is made")
    };
    let own = join_unpublished(&one, &buyer, concert.room_id).await;
    let sign = |token: &Token, epoch| testing::keyring(&one.app().office).sign(token, epoch);
    at_two.position(&sign(&own, 1)).await;

    let house = join_unpublished(&one, &buyer, HOUSE).await;
    commit_unpublished(&one, Caller::System, Command::RenewLine { room_id: HOUSE }).await;
    let (old, new) = (sign(&house, 1), sign(&house, 2));
    eventually("the renewed line is read", async || {
        let answer = at_two.get(&format!("/queue/tokens/{new}/position")).await;
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
        (answer.status == 200).then_some(())
    })
    .await;
    at_two.get(&format!("/queue/tokens/{old}/position")).await.problem(404, "not_found");
    at_two.get(&format!("/queue/tokens/{}/position", sign(&house, 3))).await.problem(404, "not_found");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_another_instance_just_issued_is_not_made_dormant() {
    let database = TestDatabase::new().await;
    let (one, two) = (instance(&database).await, instance(&database).await);
    set_house(&one, RoomChange { gate: Some(Gate::Paused), ..RoomChange::default() }).await;
    one.buyer("early").await.join(None).await;
    for server in [&one, &two] {
        eventually("each instance can tell who is silent", async || can_judge(server, HOUSE).then_some(())).await;
    }
    let given = join_unpublished(&one, &one.buyer("given").await, HOUSE).await.id;
    // A later place that both know: what is in front of it counts as waiting.
    two.buyer("late").await.join(None).await;
    for server in [&one, &two] {
        eventually("both know the later place", async || {
            let view = testing::lines(&server.app().office).view(HOUSE).unwrap();
            (view.tail() > given.position).then_some(())
        })
        .await;
    }
    set_house(&two, RoomChange { gate: Some(Gate::Open), ..RoomChange::default() }).await;
    let status = eventually("the line moves", async || {
        let row = testing::store(&one.app().office).token(given).await.unwrap().unwrap();
        (row.status() != TokenStatus::Waiting).then_some(row.status())
    })
    .await;
    assert_eq!(status, TokenStatus::Offered);
    one.stop().await;
    two.stop().await;
}

/// Whether the instance has the heartbeats of the others: a token that none has seen since the end of time is
/// silent.
fn can_judge(server: &Server, room: RoomId) -> bool {
    !testing::peers(&server.app().office).unresponsive(room, 1, HeardSince::any(Time::MAX)).is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_polled_at_any_instance_while_their_sale_was_postponed_are_not_put_aside_when_it_goes_on() {
    let (database, clock) = (TestDatabase::new().await, Clock::manual(START));
    let one = instance_at(database.url(), clock.clone()).await;
    let two = instance_at(database.url(), clock.clone()).await;
    let servers = [&one, &two];
    let hall = one.hall_like(1, |draft| draft.own_room_max_active = Some(10)).await;
    let room_id = hall.concert.room_id;
    let set_gate = async |gate| {
        let change = RoomChange { gate: Some(gate), ..RoomChange::default() };
        one.command(Command::SetRoom { room_id, change, basis: None, reason: None }).await;
    };
    set_gate(Gate::Paused).await;
    let (first, second) = (one.buyer("first").await, one.buyer("second").await.at(two.address));
    let waits = [
        (&first, text(&first.join(Some(hall.id())).await, "token")),
        (&second, text(&second.join(Some(hall.id())).await, "token")),
    ];
    for server in servers {
        eventually("each instance can tell which tokens are silent", async || can_judge(server, room_id).then_some(()))
            .await;
    }
    let operator = one.operator().await;
    let set_sale = async |status| {
        let change = json!({ "status": status, "reason": "The singer is ill." });
        operator.patch(&format!("/operator/concerts/{}", hall.id()), &change).await.expect(200);
    };

    set_sale("postponed").await;
    for server in servers {
        eventually("the line rests", async || (!can_judge(server, room_id)).then_some(())).await;
    }
    // Longer than a token may be silent, in which the box office works. Each asks at an instance of its own, just
    // before the sale goes on.
    for _ in 0..10 {
        clock.advance(Span::from_secs(10));
        one.command(Command::ExpireHolds { reservation_ids: Vec::new() }).await;
    }
    for (buyer, token) in &waits {
        buyer.position(token).await;
    }
    set_sale("scheduled").await;
    for server in servers {
        eventually("each instance can tell again", async || can_judge(server, room_id).then_some(())).await;
    }
    set_gate(Gate::Open).await;
    for (buyer, token) in &waits {
        let place = eventually("the line moves", async || {
            let row = testing::store(&one.app().office).live_tokens(buyer.user).await.unwrap();
            row.into_iter().find(|row| row.status() != TokenStatus::Waiting)
        })
        .await;
        assert_eq!(place.status(), TokenStatus::Offered, "{token} was seen");
    }
    one.stop().await;
    two.stop().await;
}
