//! Receipts of places in a line: for their owner alone, and verified by the published keys.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_domain::time::Span;
use frontrow_testkit::{START, Server, eventually};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use serde_json::{Value, json};

/// What a receipt says.
async fn verified(server: &Server, receipt: &str) -> Value {
    signed_by_published_key(server, "frontrow-receipt+jwt", receipt).await.expect("it is signed")
}

/// What a text of this type says, if the published key signed it, as a reader of JSON Web Tokens finds it.
pub(crate) async fn signed_by_published_key(server: &Server, typ: &str, receipt: &str) -> Option<Value> {
    let keys = server.anonymous().call_at(reqwest::Method::GET, "/.well-known/jwks.json").send().await.expect(200);
    let (signed, signature) = receipt.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let header: Value = serde_json::from_slice(&part(header)).unwrap();
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!(typ)));
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let coordinate = |name: &str| part(key[name].as_str().unwrap());
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signature = Signature::from_slice(&part(signature)).unwrap();
    VerifyingKey::from_sec1_bytes(&point).unwrap().verify(signed.as_bytes(), &signature).ok()?;
    Some(serde_json::from_slice(&part(claims)).unwrap())
}

#[tokio::test]
async fn a_receipt_of_a_drawn_place_says_how_the_place_was_given_and_what_became_of_it() {
    let server = Server::start().await;
    let hall = server
        .hall_like(4, |draft| {
            draft.own_room_max_active = Some(2);
            draft.opens_at = START.plus(Span::from_secs(600));
        })
        .await;
    let (buyer, other, leaver) =
        (server.buyer("buyer").await, server.buyer("other").await, server.buyer("leaver").await);
    let joined = buyer.join(Some(hall.id())).await;
    other.join(Some(hall.id())).await;
    let left = leaver.join(Some(hall.id())).await["token"].as_str().unwrap().to_owned();
    leaver.delete(&format!("/queue/tokens/{left}")).await.expect(204);
    let path = format!("/queue/tokens/{}/receipt", joined["token"].as_str().unwrap());

    let in_lobby = buyer.get(&path).await.expect(200);
    assert_eq!((&in_lobby["opening"], &in_lobby["entry"]), (&json!("draw"), &json!(1)));
    assert_eq!(
        (&in_lobby["position"], &in_lobby["rank"], &in_lobby["ahead_at_start"]),
        (&json!(null), &json!(null), &json!(null))
    );

    let receipt_of_leaver = async || leaver.get(&format!("/queue/tokens/{left}/receipt")).await.expect(200);
    let out_of_lobby = receipt_of_leaver().await;
    assert_eq!((&out_of_lobby["opening"], &out_of_lobby["entry"]), (&json!("draw"), &json!(3)));
    assert_eq!((&out_of_lobby["end_reason"], &out_of_lobby["position"]), (&json!("left"), &json!(null)));

    server.advance(590);
    buyer.position(joined["token"].as_str().unwrap()).await;
    server.advance(10);
    eventually("the buyer has the turn", async || {
        (buyer.get(&path).await.expect(200)["status"] == "offered").then_some(())
    })
    .await;
    buyer.activate(joined["token"].as_str().unwrap()).await.expect(200);
    buyer.delete(&format!("/queue/tokens/{}", joined["token"].as_str().unwrap())).await.expect(204);

    let receipt = buyer.get(&path).await.expect(200);
    assert_eq!((&receipt["status"], &receipt["end_reason"]), (&json!("ended"), &json!("left")));
    assert_eq!((&receipt["entry"], &receipt["entries"]), (&json!(1), &json!(2)));
    let rank = receipt["rank"].as_i64().unwrap();
    assert!((1..=2).contains(&rank));
    assert_eq!(receipt["ahead_at_start"], rank - 1, "as many places are in front as have a better rank");
    assert_eq!(receipt["joined_at"], START.to_string());
    assert!(receipt["activated_at"].is_string() && receipt["ended_at"].is_string());

    let signed = verified(&server, receipt["receipt"].as_str().unwrap()).await;
    for (claim, field) in
        [("entry", "entry"), ("rank", "rank"), ("place", "position"), ("end_reason", "end_reason"), ("room", "room_id")]
    {
        assert_eq!(signed[claim], receipt[field], "{claim}");
    }

    let out_of_lobby = receipt_of_leaver().await;
    assert_eq!((&out_of_lobby["entry"], &out_of_lobby["rank"]), (&json!(3), &json!(null)), "it was not drawn");
    assert_eq!((&out_of_lobby["opening"], &out_of_lobby["position"]), (&json!("draw"), &json!(null)));

    other.get(&path).await.problem(404, "not_found");
    server.anonymous().get(&path).await.expect(401);
    server.close().await;
}

#[tokio::test]
async fn a_receipt_of_a_place_in_the_order_of_coming_has_no_draw() {
    let server = Server::start().await;
    let buyer = server.buyer("buyer").await;
    let joined = buyer.join(None).await;
    let receipt = buyer.get(&format!("/queue/tokens/{}/receipt", joined["token"].as_str().unwrap())).await.expect(200);
    assert_eq!(receipt["opening"], "first_come");
    assert_eq!((&receipt["entry"], &receipt["entries"], &receipt["rank"]), (&json!(null), &json!(null), &json!(null)));
    assert_eq!((&receipt["position"], &receipt["ahead_at_start"]), (&joined["position"], &json!(0)));
    let signed = verified(&server, receipt["receipt"].as_str().unwrap()).await;
    assert_eq!(signed["opening"], "first_come");
    server.close().await;
}
