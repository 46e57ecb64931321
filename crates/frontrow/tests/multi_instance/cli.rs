//! The command line beside instances that run.

use super::{PROGRAM, assert_books_in_order, instance};
use frontrow_clock::Ids;
use frontrow_domain::{
    id::{Position, RoomId, TokenId, UserId},
    line::Token,
    time::Time,
};
use frontrow_signing::Keyring;
use frontrow_storage::postgres::{
    PostgresSettings,
    keys::{SIGNS_AFTER, SigningKeys},
};
use frontrow_testkit::{
    TOUR, eventually,
    program::succeeds,
    servers::{postgres::TestDatabase, shared_redis},
};
use std::process::Command;

fn tool(folder: &std::path::Path, name: &str, database: &TestDatabase) -> Command {
    let mut command = PROGRAM.command(folder, name);
    command.args(["--database-url", &database.url(), "--redis-url", &shared_redis()]);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_command_line_does_is_known_at_once_where_instances_run() {
    let database = TestDatabase::new().await;
    let server = instance(&database).await;
    let folder = tempfile::tempdir().unwrap();
    let buyer = server.buyer("buyer").await;
    let file = folder.path().join("tour.json");
    std::fs::write(&file, TOUR).unwrap();
    succeeds(tool(folder.path(), "concert import", &database).arg(&file));
    let token = buyer.enter(Some(1)).await;
    let seats = buyer.get("/concerts/1/seats").await.expect(200);
    buyer.hold(&token, seats["seats"][2]["seat_id"].as_i64().unwrap()).await.expect(201);

    let colleague = server.buyer("colleague").await;
    let mut add = tool(folder.path(), "operator add", &database);
    succeeds(add.args(["--email", "colleague@example.com", "--name", "Ops", "--promote", "--keep-password"]));
    eventually("the sessions from before have ended", async || {
        (colleague.get("/points").await.status == 401).then_some(())
    })
    .await;

    succeeds(&mut tool(folder.path(), "keys rotate", &database));
    assert_eq!(buyer.position(&token).await["status"], "active", "an old key goes on verifying");
    succeeds(&mut tool(folder.path(), "migrate", &database));
    assert!(succeeds(&mut tool(folder.path(), "check", &database)).ends_with("The books are in order.\n"));

    succeeds(&mut tool(folder.path(), "line renew", &database));
    eventually("the old token is refused", async || {
        (buyer.get(&format!("/queue/tokens/{token}/position")).await.status == 404).then_some(())
    })
    .await;
    let again = buyer.join(Some(1)).await;
    assert_eq!((&again["position"], &again["status"]), (&1.into(), &"active".into()));
    assert_books_in_order(&server.config).await;
    server.stop().await;
}

fn signed(ring: &Keyring) -> String {
    let id = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
    ring.sign(&Token::issued(id, UserId(uuid::Uuid::nil()), Time::from_micros(1)), 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_share_their_keys_and_a_new_one_signs_when_all_have_it() {
    let database = TestDatabase::new().await;
    let keys = SigningKeys::new(&PostgresSettings::new(&database.url())).unwrap();
    let others = SigningKeys::new(&PostgresSettings::new(&database.url())).unwrap();
    let ids = Ids::from_os();
    assert!(keys.load().await.unwrap().is_none());
    let (one, two) = tokio::join!(keys.load_or_create(&ids), others.load_or_create(&ids));
    let first = signed(&one.unwrap());
    assert!(two.unwrap().verify(&first).is_ok(), "who comes second takes the first one's key");

    keys.rotate(&ids).await.unwrap();
    let ring = others.load().await.unwrap().unwrap();
    assert_eq!(signed(&ring), first, "not all instances may have the new key yet");
    // The time passes.
    let client = database.client().await;
    let earlier = format!("UPDATE token_key SET signs_from = signs_from - {}", SIGNS_AFTER.micros());
    client.batch_execute(&earlier).await.unwrap();
    let old = ring;
    let ring = others.load().await.unwrap().unwrap();
    let second = signed(&ring);
    assert_ne!(second, first);
    assert!(old.verify(&second).is_ok(), "an instance that has not looked again knows the key already");
    for _ in 0..3 {
        assert!(keys.load().await.unwrap().unwrap().verify(&first).is_ok());
        keys.rotate(&ids).await.unwrap();
    }
    let ring = keys.load().await.unwrap().unwrap();
    assert!(ring.verify(&first).is_err(), "after four rotations the first is retired");
    assert!(ring.verify(&second).is_ok());
}
