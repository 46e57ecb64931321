//! The draw of a lobby over HTTP: entries, the order, its proof, and the beacon.

use frontrow_domain::time::Span;
use frontrow_draw::{DrawRecord, EntryProof, leaf_of, verify_path};
use frontrow_testkit::{START, Server, eventually};
use reqwest::Method;
use serde_json::{Value, json};

/// When the sale opens: ten minutes after the start.
const OPENS_SECONDS: i64 = 600;

/// A concert with a room of its own whose sale opens in ten minutes.
async fn concert_with_lobby(server: &Server) -> i64 {
    let opens_at = START.plus(Span::from_secs(OPENS_SECONDS));
    let hall = server
        .hall_like(4, |draft| {
            draft.own_room_max_active = Some(2);
            draft.opens_at = opens_at;
        })
        .await;
    hall.id()
}

#[tokio::test]
async fn those_in_the_lobby_are_drawn_at_the_opening_and_can_prove_it() {
    let server = Server::start().await;
    let concert = concert_with_lobby(&server).await;
    let mut entries = Vec::new();
    for number in 1..=12 {
        let buyer = server.buyer(&format!("buyer{number}")).await;
        let token = buyer.join(Some(concert)).await;
        assert_eq!((&token["position"], &token["queue"]["ahead"]), (&json!(number), &json!(0)), "no order yet");
        assert_eq!(token["queue"]["estimated_wait"], json!({ "known": false, "reason": "in_lobby" }));
        entries.push((buyer, token["token"].as_str().unwrap().to_owned()));
    }
    let anybody = server.anonymous();
    let draw = anybody.get(&format!("/rooms/{concert}/draw")).await.expect(200);
    assert_eq!((&draw["stage"], &draw["in_lobby"]), (&json!("lobby"), &json!(12)));
    assert_eq!((&draw["sealed"], &draw["result"]), (&json!(null), &json!(null)), "the secret is not told");
    let committed = draw["secret_hash"].as_str().unwrap().to_owned();
    anybody.get(&format!("/rooms/{concert}/draw/record")).await.problem(404, "not_found");
    let before = entries[0].0.get(&format!("/queue/tokens/{}/draw", entries[0].1)).await.expect(200);
    assert_eq!(before["stage"], "lobby");

    server.advance(OPENS_SECONDS);
    eventually("the order is drawn and two have their turns", async || {
        let mut offered = 0;
        for (buyer, token) in &entries {
            offered += usize::from(buyer.position(token).await["status"] == "offered");
        }
        (offered == 2).then_some(())
    })
    .await;
    let late = server.buyer("late").await;
    let late_token = late.join(Some(concert)).await;
    let mut order = Vec::new();
    for (buyer, token) in &entries {
        let place = buyer.position(token).await;
        let start = place["ahead_at_start"].as_i64().unwrap();
        order.push((start, place["position"].as_i64().unwrap()));
        let again = buyer.join(Some(concert)).await;
        assert_eq!(again["position"], place["position"], "joining again finds the drawn place");
    }
    let arrived: Vec<_> = order.iter().map(|(start, _)| *start).collect();
    order.sort_unstable();
    assert!(order.iter().map(|(start, _)| *start).eq(0..12), "each place is given once");
    assert!(late_token["position"].as_i64().unwrap() > order[11].1, "who comes later waits behind");
    assert_eq!(late_token["queue"]["ahead_at_start"], 12);

    let draw = anybody.get(&format!("/rooms/{concert}/draw")).await.expect(200);
    assert_eq!((&draw["stage"], &draw["result"]["decided_by"]), (&json!("drawn"), &json!("secret_alone")));
    assert_eq!(draw["secret_hash"], committed.as_str());
    let record = anybody.get(&format!("/rooms/{concert}/draw/record")).await.expect(200);
    let record: DrawRecord = serde_json::from_value(record).unwrap();
    let verified = record.verify().unwrap();
    assert_eq!(record.facts.secret_hash.to_string(), committed);
    for (at, (buyer, token)) in entries.iter().enumerate() {
        let proof = buyer.get(&format!("/queue/tokens/{token}/draw")).await.expect(200);
        let EntryProof { record: facts, entry, rank, .. } = serde_json::from_value(proof).unwrap();
        assert_eq!(entry.number, i64::try_from(at).unwrap() + 1);
        assert_eq!(i64::try_from(rank).unwrap(), arrived[at] + 1);
        assert_eq!(verified.rank_of(entry.number), usize::try_from(rank).ok());
        assert_eq!(leaf_of(&entry.text), entry.leaf);
        assert!(verify_path(entry.leaf, entry.index, facts.entry_count, &entry.path, &facts.root));
    }
    late.get(&format!("/queue/tokens/{}/draw", entries[0].1)).await.problem(404, "not_found");
    late.get(&format!("/queue/tokens/{}/draw", late_token["token"].as_str().unwrap())).await.problem(404, "not_found");
    server.close().await;
}

#[tokio::test]
async fn an_entry_whose_client_went_away_before_the_draw_is_passed_over() {
    let server = Server::start().await;
    let concert = concert_with_lobby(&server).await;
    let mut entries = Vec::new();
    for number in 1..=12 {
        let buyer = server.buyer(&format!("buyer{number}")).await;
        let token = buyer.join(Some(concert)).await["token"].as_str().unwrap().to_owned();
        entries.push((buyer, token));
    }
    let (away, present) = entries.split_at(10);
    // Given that ten pages were closed a minute before the opening, and two go on asking.
    server.advance(OPENS_SECONDS - 60);
    for (buyer, token) in away {
        buyer.call(Method::POST, &format!("/queue/tokens/{token}/away")).send().await.expect(204);
    }
    server.advance(59);
    for (buyer, token) in present {
        buyer.position(token).await;
    }
    server.advance(1);
    // Then the two have the two turns, wherever they were drawn, and none was given to the others.
    for (buyer, token) in present {
        buyer.wait_for(token, "offered").await;
    }
    let room = server.operator().await.get(&format!("/operator/rooms/{concert}")).await.expect(200);
    assert_eq!(room["offered"], json!(2), "{room}");
    let highest = room["highest"].as_i64().unwrap();
    assert!(room["cursor"].as_i64().unwrap() >= highest - 10, "{room}");
    server.close().await;
}

#[tokio::test]
async fn an_entry_that_leaves_the_lobby_is_gone_and_the_token_of_an_entry_claims_the_turn() {
    let server = Server::start().await;
    let concert = concert_with_lobby(&server).await;
    let (stays, leaves) = (server.buyer("stays").await, server.buyer("leaves").await);
    let token = |joined: Value| joined["token"].as_str().unwrap().to_owned();
    let (stays_token, leaves_token) = (token(stays.join(Some(concert)).await), token(leaves.join(Some(concert)).await));
    leaves.delete(&format!("/queue/tokens/{leaves_token}")).await.expect(204);
    server.advance(OPENS_SECONDS);
    eventually("the one who stayed has the turn", async || {
        (stays.position(&stays_token).await["status"] == "offered").then_some(())
    })
    .await;
    assert_eq!(leaves.position(&leaves_token).await["end_reason"], "left");
    let active = stays.activate(&stays_token).await.expect(200);
    assert_eq!(active["status"], "active");
    // Given to the server as an entry's, the token is the one that the draw gave.
    let again = stays.get(&format!("/queue/tokens/{stays_token}")).await.expect(200);
    assert_eq!((&again["status"], &again["position"]), (&json!("active"), &active["position"]));
    server.close().await;
}

#[tokio::test]
async fn a_draw_waits_for_its_beacon_and_the_secret_alone_decides_after_the_deadline() {
    let server = Server::with(&[("--draw-waits-seconds", "30")]).await;
    let concert = concert_with_lobby(&server).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.join(Some(concert)).await["token"].as_str().unwrap().to_owned();
    let leaver = server.buyer("leaver").await;
    let left = leaver.join(Some(concert)).await["token"].as_str().unwrap().to_owned();
    let path = format!("/rooms/{concert}/draw/beacon");
    let signature = json!({ "signature": "a".repeat(96) });
    buyer.post(&path, &signature).await.problem(409, "draw_not_waiting");
    server.advance(OPENS_SECONDS);
    let draw = async || server.anonymous().get(&format!("/rooms/{concert}/draw")).await.expect(200);
    eventually("the entries are fixed", async || (draw().await["sealed"]["entries"] == 2).then_some(())).await;
    leaver.delete(&format!("/queue/tokens/{left}")).await.expect(204);
    assert_eq!(buyer.position(&token).await["estimated_wait"]["reason"], "drawing");
    server.anonymous().post(&path, &signature).await.problem(401, "unauthorized");
    buyer.post(&path, &signature).await.problem(422, "beacon_invalid");
    for wrong in ["", "xyz", &"A".repeat(96), &"a".repeat(95)] {
        buyer.post(&path, &json!({ "signature": wrong })).await.problem(422, "invalid_field");
    }
    server.advance(31);
    eventually("the turn comes", async || (buyer.position(&token).await["status"] == "offered").then_some(())).await;
    assert_eq!(draw().await["result"]["decided_by"], "secret_alone");
    // Who left after the entries were fixed was drawn, and got no place.
    for path in [format!("/queue/tokens/{left}"), format!("/queue/tokens/{left}/receipt")] {
        assert_eq!(leaver.get(&path).await.expect(200)["end_reason"], "left", "{path}");
    }
    leaver.delete(&format!("/queue/tokens/{left}")).await.expect(204);
    server.close().await;
}

#[tokio::test]
async fn a_server_that_stops_while_the_order_is_drawn_goes_on_with_it() {
    let server = Server::with(&[("--draw-waits-seconds", "30")]).await;
    let concert = concert_with_lobby(&server).await;
    let mut secrets = Vec::new();
    for number in 1..=5 {
        let buyer = server.buyer(&format!("buyer{number}")).await;
        let token = buyer.join(Some(concert)).await["token"].as_str().unwrap().to_owned();
        secrets.push((buyer.secret().to_owned(), token));
    }
    server.advance(OPENS_SECONDS);
    let sealed = async |server: &Server| {
        server.anonymous().get(&format!("/rooms/{concert}/draw")).await.expect(200)["sealed"]["root"].clone()
    };
    eventually("the entries are fixed", async || (sealed(&server).await != json!(null)).then_some(())).await;
    let root = sealed(&server).await;
    let (config, clock) = (server.config.clone(), server.clock.clone());
    let folder = server.stop().await;
    let server = Server::over(folder, config, clock).await;
    assert_eq!(sealed(&server).await, root);
    server.advance(31);
    eventually("two have their turns", async || {
        let mut offered = 0;
        for (secret, token) in &secrets {
            offered += usize::from(server.with_secret(secret).position(token).await["status"] == "offered");
        }
        (offered == 2).then_some(())
    })
    .await;
    let record = server.anonymous().get(&format!("/rooms/{concert}/draw/record")).await.expect(200);
    serde_json::from_value::<DrawRecord>(record).unwrap().verify().unwrap();
    server.close().await;
}
