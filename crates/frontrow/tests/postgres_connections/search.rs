//! Text is found as every other store finds it, in any script and any case.

use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, NewConcert, Request},
    decide::decide_all,
    id::UserId,
    policy::Policy,
    user::{Caller, NewUser, Role},
};
use frontrow_storage::{
    ConcertFilter, Page, Store,
    memory::MemoryStore,
    postgres::{PostgresSettings, PostgresStore},
};
use frontrow_testkit::{START, fixture::new_concert, servers::postgres::TestDatabase};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The third has the Kelvin sign; the fourth a capital I with a dot, whose lower case is two characters; the
/// last two are decomposed.
const NAMES: [&str; 11] = [
    "Kim Minji",
    "Émile ZOLA",
    "\u{212a}elvin",
    "\u{130}stanbul",
    "ΣΊΣΥΦΟΣ",
    "Straße",
    "김민지",
    "100%_\\x",
    "ǅEMAL ОЛЕГ",
    "Moto\u{308}rhead",
    "\u{1100}\u{1175}\u{11b7}민지",
];

/// Every part of up to four characters of a text, as it is, in lower case and in upper case.
fn parts(text: &str) -> BTreeSet<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut parts = BTreeSet::new();
    for length in 1..=4 {
        for part in characters.windows(length) {
            let part: String = part.iter().collect();
            parts.extend([part.to_lowercase(), part.to_uppercase(), part]);
        }
    }
    parts
}

fn commands() -> Vec<Request> {
    let mut commands = Vec::new();
    for (number, name) in (1..).zip(NAMES) {
        commands.push(Command::Register(NewUser {
            user_id: UserId(Uuid::from_u128(number)),
            name: name.to_owned(),
            email: format!("{number}@example.com"),
            password_hash: "$argon2id$".to_owned(),
            role: Role::Buyer,
        }));
        commands.push(Command::CreateConcert(NewConcert {
            title: name.to_owned(),
            venue: name.chars().rev().collect(),
            ..new_concert()
        }));
    }
    let request = |command| Request { caller: Caller::System, command, idempotency: None };
    commands.into_iter().map(request).collect()
}

#[tokio::test]
async fn text_is_found_as_the_store_in_memory_finds_it() {
    let clock = Clock::manual(START);
    let database = TestDatabase::new().await;
    let settings = PostgresSettings { lanes: 1, readers: 1, ..PostgresSettings::new(&database.url()) };
    let store = PostgresStore::open(&settings, clock.clone(), Policy::default(), 1).await.unwrap();
    let oracle = MemoryStore::new(clock, Policy::default(), 1);
    for store in [&store as &dyn Store, &oracle] {
        let answers = store.transact(commands().into(), decide_all).await.unwrap().answers;
        assert!(answers.iter().all(|answer| answer.decision.is_ok()), "{answers:?}");
    }
    let page = |limit| Page { after: None, limit };
    for part in NAMES.iter().flat_map(|name| parts(name)).collect::<BTreeSet<_>>() {
        for limit in [1, 50] {
            let found = store.users(Some(&part), page(limit)).await.unwrap();
            assert_eq!(found, oracle.users(Some(&part), page(limit)).await.unwrap(), "{part:?}");
        }
        for filter in [
            ConcertFilter { text: Some(part.clone()), ..Default::default() },
            ConcertFilter { venue: Some(part.clone()), ..Default::default() },
        ] {
            let found = store.concerts(&filter, Page { after: None, limit: 50 }).await.unwrap();
            let expected = oracle.concerts(&filter, Page { after: None, limit: 50 }).await.unwrap();
            assert_eq!(found, expected, "{filter:?}");
        }
    }
}
