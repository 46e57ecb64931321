//! Instances with a Redis that is well.

use crate::fixture::{HOUSE, RedisFixture, at, buyer, events_key, until};
use frontrow_domain::{
    changes::Changes,
    command::{Command, RoomChange},
    id::{Position, UserId},
    line::{Fence, TokenStatus},
    time::{Span, Time},
    user::{Caller, Role, User, UserStatus},
};
use frontrow_line::{
    Leadership, Peers, Rebuild,
    redis::{EVENT_VERSION, Notice},
};
use frontrow_storage::Store;
use frontrow_testkit::{PATIENCE, servers::redis::RedisServer};
use std::time::Duration;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_instance_commits_the_other_shows() {
    let server = RedisServer::start();
    let mut office = RedisFixture::open(vec![server.url()], 2, 10).await;
    let watch = office.watch();
    office.join(0, 100).await;
    office.agree().await;
    office.leave(1, 50).await;
    office.commit(0, vec![RedisFixture::advance()]).await;
    office.agree().await;
    assert_eq!(office.view(1).place(Position(1)).status(), TokenStatus::Offered);
    office.churn(300).await;
    office.agree().await;
    watch.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_line_does_not_look_stale() {
    let server = RedisServer::start();
    let office = RedisFixture::open(vec![server.url()], 1, 10).await;
    until("a first round trip", || !office.view(0).is_stale(office.clock.now())).await;
    // Nothing is committed, and the view goes on being confirmed.
    for _ in 0..10 {
        let before = office.view(0).as_of(office.clock.now());
        until("the next round trip", || {
            let (view, now) = (office.view(0), office.clock.now());
            view.as_of(now) > before && !view.is_stale(now)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_of_another_instance_wakes_this_ones_worker() {
    let server = RedisServer::start();
    let mut office = RedisFixture::open(vec![server.url()], 2, 10).await;
    let second = std::sync::Arc::clone(&office.instances[1].queue);
    // The rebuild of the room.
    second.lines().moved(PATIENCE).await;
    let woken = tokio::spawn(async move { second.lines().moved(Duration::from_hours(1)).await });
    office.join(0, 1).await;
    tokio::time::timeout(PATIENCE, woken).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_roles_and_concerts_are_published() {
    let server = RedisServer::start();
    let office = RedisFixture::open(vec![server.url()], 2, 10).await;
    let user_id = UserId(Uuid::from_u128(7));
    let user = User {
        user_id,
        name: "Name".into(),
        email: "name@frontrow.example".into(),
        role: Role::Operator,
        status: UserStatus::Active,
        sign_in_epoch: 0,
        signed_in_at: office.clock.now(),
        email_confirmed_at: None,
        created_at: office.clock.now(),
        updated_at: office.clock.now(),
    };
    let changes =
        Changes { now: office.clock.now(), closed_sessions: vec![[3; 32]], users: vec![user], ..Changes::default() };
    office.instances[0].queue.publish(&changes);
    let mut received = Vec::new();
    until("the notices", || {
        while let Ok(notice) = office.instances[1].notices.lock().unwrap().try_recv() {
            received.push(notice);
        }
        received.len() >= 2
    })
    .await;
    assert_eq!(received, [Notice::SessionClosed([3; 32]), Notice::RoleSet(user_id)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_starts_late_shows_the_line_as_it_is() {
    let server = RedisServer::start();
    let mut office = RedisFixture::open(vec![server.url()], 1, 10).await;
    office.join(0, 50).await;
    office.churn(50).await;
    office.start_instance().await;
    office.churn(50).await;
    office.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_event_heals_by_a_refresh() {
    let server = RedisServer::start();
    let mut office = RedisFixture::open(vec![server.url()], 2, 10).await;
    office.join(0, 50).await;
    office.agree().await;
    office.commit_unpublished(vec![RedisFixture::advance()]).await;
    let user = office.store.token(at(1)).await.unwrap().unwrap().user_id;
    let activate = Command::ActivateToken { token: at(1) };
    office.commit_unpublished(vec![(Caller::Buyer(user), activate)]).await;
    // Lines without events are refreshed less often.
    office.join(0, 1).await;
    office.agree().await;
    let leave = Command::LeaveQueue { token: at(2) };
    office.commit_unpublished(vec![(buyer(2), leave)]).await;
    office.join(1, 1).await;
    office.agree().await;
    assert_eq!(office.view(0).place(Position(2)).status(), TokenStatus::Ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_room_wakes_at_every_instance_after_an_unpublished_change() {
    let server = RedisServer::start();
    let office = RedisFixture::open(vec![server.url()], 2, 10).await;
    let busy = |instance: usize| office.instances[instance].queue.lines().busy_rooms();
    assert_eq!((busy(0), busy(1)), (vec![], vec![]));
    // As if an instance dies right after its commit.
    let join = Command::IssueToken { room_id: HOUSE, concert_id: None };
    office.commit_unpublished(vec![(buyer(1), join)]).await;
    for instance in 0..2 {
        until("the room to be busy", || busy(instance) == [HOUSE]).await;
    }
    office.agree().await;
    office.commit_unpublished(vec![(buyer(1), Command::LeaveQueue { token: at(1) })]).await;
    for instance in 0..2 {
        until("the room to be quiet", || busy(instance).is_empty()).await;
    }
    office.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unpublished_change_of_a_quiet_room_is_found_once_the_room_is_unverified() {
    let server = RedisServer::start();
    let office = RedisFixture::open(vec![server.url()], 1, 10).await;
    let change = RoomChange { max_active: Some(7), ..RoomChange::default() };
    office
        .commit_unpublished(vec![(
            Caller::System,
            Command::SetRoom { room_id: HOUSE, change, basis: None, reason: None },
        )])
        .await;
    office.instances[0].queue.request_refresh(vec![HOUSE]);
    until("the room to be looked at", || office.view(0).room().max_active == 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_missed_a_commit_of_its_own_has_the_others_read_the_rows_too() {
    let server = RedisServer::start();
    let mut office = RedisFixture::open(vec![server.url()], 2, 10).await;
    office.join(0, 50).await;
    office.agree().await;
    let leave = Command::LeaveQueue { token: at(30) };
    office.commit_unpublished(vec![(buyer(30), leave)]).await;
    let line = office.store.line(HOUSE).await.unwrap().unwrap();
    office.instances[0].queue.rebuild(line, Rebuild::Replace).await;
    assert_eq!(office.view(1).place(Position(30)).status(), TokenStatus::Waiting, "it was not published");
    office.instances[0].queue.announce_gap();
    office.agree().await;
    assert_eq!(office.view(1).place(Position(30)).status(), TokenStatus::Ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_instance_leads_and_another_takes_over() {
    let server = RedisServer::start();
    let mut office = RedisFixture::open(vec![server.url()], 2, 10).await;
    let term = Span::from_secs(2);
    let lead = async |office: &RedisFixture, instance: usize| {
        office.instances[instance].queue.lead(&[(HOUSE, Fence(0))], term).await[0]
    };
    let Leadership::Leader(first) = lead(&office, 0).await else { panic!("no other instance asks") };
    assert_eq!(lead(&office, 1).await, Leadership::Follower);
    office.instances.remove(0);
    let mut next = Leadership::Follower;
    for _ in 0..600 {
        next = lead(&office, 0).await;
        if next != Leadership::Follower {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(next, Leadership::Leader(fence) if fence > first), "{next:?} after {first:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_another_version_is_skipped_and_the_lines_are_rebuilt() {
    let server = RedisServer::start();
    let mut office = RedisFixture::open(vec![server.url()], 2, 10).await;
    office.join(0, 20).await;
    office.agree().await;
    // In line, so that no glance shows it.
    office.commit_unpublished(vec![(buyer(15), Command::LeaveQueue { token: at(15) })]).await;
    let events = events_key(&server).await;
    let _: String = server.ask(&["XADD", &events, "*", "f", "\u{7f}news of a later version"]);
    office.agree().await;
    assert_eq!(office.view(0).place(Position(15)).status(), TokenStatus::Ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_has_its_own_rooms_read_and_a_missing_number_has_all() {
    let server = RedisServer::start();
    let mut office = RedisFixture::open(vec![server.url()], 1, 10).await;
    office.join(0, 20).await;
    office.agree().await;
    let events = events_key(&server).await;
    // A gap in the house room, of another instance, with this number.
    let publish_gap = |number: char| {
        let event = format!("{}\u{10}another instance{number}\u{1}\u{1}\0\0\0", char::from(EVENT_VERSION));
        let _: String = server.ask(&["XADD", &events, "*", "f", &event]);
    };
    let notices = || std::iter::from_fn(|| office.instances[0].notices.lock().unwrap().try_recv().ok()).count();
    notices();
    publish_gap('\u{5}');
    // In line, so that no refresh shows it.
    office.commit_unpublished(vec![(buyer(15), Command::LeaveQueue { token: at(15) })]).await;
    publish_gap('\u{6}');
    office.agree().await;
    assert_eq!(notices(), 0, "the room's line alone was rebuilt");
    publish_gap('\u{8}');
    until("the missing event to be noticed", || notices() > 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_are_taken_once_by_any_instance_and_tokens_are_found() {
    let server = RedisServer::start();
    let mut office = RedisFixture::open(vec![server.url()], 2, 10).await;
    office.join(0, 3).await;
    let queue = &office.instances[1].queue;
    let mut found = None;
    for _ in 0..500 {
        found = queue.token(at(2)).await.unwrap();
        if found.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(found.unwrap().user_id, UserId(Uuid::from_u128(2)));
    let holds: Vec<_> =
        (1..=100).map(|id| (Time::from_micros(id), frontrow_domain::id::ReservationId::new(id))).collect();
    queue.add_hold_deadlines(&holds);
    // Published by the second instance before it takes any itself.
    let mut taken = queue.take_due_holds(Time::from_micros(1_000), 30).await.unwrap();
    taken.extend(office.instances[0].queue.take_due_holds(Time::from_micros(1_000), 100).await.unwrap());
    taken.sort_unstable();
    assert_eq!(taken, holds.iter().map(|(_, id)| *id).collect::<Vec<_>>());
}
