//! The public keys of passes and receipts while the key is rotated: what any instance signs verifies with what any other
//! publishes, and with what it published before for as long as that may be kept.

use super::instance;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow::app::KEYS_TICK;
use frontrow_clock::Ids;
use frontrow_storage::postgres::{PostgresSettings, keys::SigningKeys};
use frontrow_testkit::{Client, Server, eventually, id, servers::postgres::TestDatabase};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

fn part(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// The name of the key that signed it.
fn kid(signed: &str) -> String {
    let header: Value = serde_json::from_slice(&part(signed.split('.').next().unwrap())).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// The keys that an instance published, as a client keeps them.
#[derive(Clone)]
struct PublishedKeys {
    keys: Vec<Value>,
    max_age: Duration,
}

impl PublishedKeys {
    async fn of(server: &Server) -> Self {
        let answer = server.anonymous().call_at(Method::GET, "/.well-known/jwks.json").send().await;
        let max_age =
            answer.header("cache-control").unwrap().strip_prefix("public, max-age=").unwrap().parse().unwrap();
        let keys = answer.expect(200)["keys"].as_array().unwrap().clone();
        Self { keys, max_age: Duration::from_secs(max_age) }
    }

    async fn of_all(servers: &[Server]) -> Vec<Self> {
        let mut all = Vec::new();
        for server in servers {
            all.push(Self::of(server).await);
        }
        all
    }

    fn verifies(&self, signed: &str) -> bool {
        let (message, signature) = signed.rsplit_once('.').unwrap();
        let Some(key) = self.keys.iter().find(|key| key["kid"] == kid(signed)) else { return false };
        let coordinate = |name: &str| part(key[name].as_str().unwrap());
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        let signature = Signature::from_slice(&part(signature)).unwrap();
        VerifyingKey::from_sec1_bytes(&point).unwrap().verify(message.as_bytes(), &signature).is_ok()
    }
}

fn assert_all_verify(published: &[PublishedKeys], signed: &[String], when: &str) {
    for (number, keys) in published.iter().enumerate() {
        assert!(signed.iter().all(|text| keys.verifies(text)), "{when}, by the keys of instance {number}");
    }
}

/// A pass and a receipt of the same token, signed by each instance.
async fn signed_by_each(servers: &[Server], buyer: &Client, token: &str) -> Vec<String> {
    let mut signed = Vec::new();
    for server in servers {
        for kind in ["pass", "receipt"] {
            let path = format!("/queue/tokens/{token}/{kind}");
            let answer = buyer.at(server.address).get(&path).await.expect(200);
            signed.push(answer[kind].as_str().unwrap().to_owned());
        }
    }
    signed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_published_by_all_instances_before_it_signs_and_after_it_has_signed() {
    let database = TestDatabase::new().await;
    let servers = [instance(&database).await, instance(&database).await, instance(&database).await];
    let operator = servers[0].operator().await;
    let line = json!({ "name": "Shop", "turn_url": "https://shop.example.com/", "max_active": 1 });
    let room = id(&operator.post("/operator/rooms", &line).await.expect(201), "room_id");
    let buyer = servers[0].buyer("buyer").await;
    let place = buyer.post("/queue/tokens", &json!({ "room_id": room })).await.expect(201);
    let token = place["token"].as_str().unwrap().to_owned();
    buyer.wait_for(&token, "offered").await;
    buyer.activate(&token).await.expect(200);

    let before = signed_by_each(&servers, &buyer, &token).await;
    let kept_before = PublishedKeys::of_all(&servers).await;
    assert_all_verify(&kept_before, &before, "before the rotation");
    let first = kid(&before[0]);

    let keys = SigningKeys::new(&PostgresSettings::new(&database.url())).unwrap();
    keys.rotate(&Ids::from_os()).await.unwrap();
    let client = database.client().await;
    let newest = "SELECT signs_from - created_at FROM token_key ORDER BY signs_from DESC LIMIT 1";
    let lead: i64 = client.query_one(newest, &[]).await.unwrap().get(0);
    let needed = kept_before[0].max_age + 2 * KEYS_TICK;
    assert!(
        Duration::from_micros(lead.unsigned_abs()) >= needed,
        "an instance may learn of the key {KEYS_TICK:?} later, and what it published until then is kept for {:?}",
        kept_before[0].max_age
    );

    let kept_during = eventually("all publish the new key", async || {
        let published = PublishedKeys::of_all(&servers).await;
        published.iter().all(|of_one| of_one.keys.len() == 2).then_some(published)
    })
    .await;
    let during = signed_by_each(&servers, &buyer, &token).await;
    assert!(during.iter().all(|signed| kid(signed) == first), "the new key does not sign yet");
    assert_all_verify(&kept_before, &during, "while the key is rotated, by keys from before");
    assert_all_verify(&kept_during, &during, "while the key is rotated");

    client.batch_execute(&format!("UPDATE token_key SET signs_from = signs_from - {lead}")).await.unwrap();
    keys.rotate(&Ids::from_os()).await.unwrap();
    keys.rotate(&Ids::from_os()).await.unwrap();
    eventually("all sign with the new key and publish the two after it", async || {
        let signed = signed_by_each(&servers, &buyer, &token).await;
        assert_all_verify(&kept_during, &signed, "by keys that were kept since the new one was published");
        let published = PublishedKeys::of_all(&servers).await;
        assert_all_verify(&published, &signed, "after the rotation");
        for old in [&before, &during] {
            assert_all_verify(&published, old, "what the key before has signed");
        }
        let have_moved = published.iter().all(|of_one| of_one.keys.len() == 4);
        (have_moved && signed.iter().all(|signed| kid(signed) != first)).then_some(())
    })
    .await;
    for server in servers {
        server.stop().await;
    }
}
