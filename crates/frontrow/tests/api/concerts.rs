//! Concerts and seat maps over HTTP.

use frontrow_testkit::{PRICE, Server, eventually, id, items};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn concerts_are_found_by_text_venue_date_and_status() {
    let server = Server::start().await;
    let mut halls = Vec::new();
    for (title, artist, venue, day) in [
        ("First Night", "Midnight Tide", "Hangang Hall", 10),
        ("밤의 노래", "Paper Lanterns", "Dalmaji Theatre", 11),
        ("100% Glass_Orchard", "Glass Orchard", "Hangang Hall", 12),
    ] {
        let hall = server.hall_like(1, |draft| {
            draft.title = title.to_owned();
            draft.artist = artist.to_owned();
            draft.venue = venue.to_owned();
            draft.concert_date = jiff::civil::date(2027, 3, day);
        });
        halls.push(hall.await);
    }
    let operator = server.operator().await;
    operator
        .patch(
            &format!("/operator{}", halls[2].path()),
            &json!({ "status": "closed", "reason": "The hall asks for it." }),
        )
        .await
        .expect(200);
    let anonymous = server.anonymous();
    for (query, expected) in [
        ("", &[0, 1, 2][..]),
        ("?text=midnight", &[0]),
        ("?text=FIRST", &[0]),
        ("?text=%EB%85%B8%EB%9E%98", &[1]),
        ("?text=%25", &[2]),
        ("?text=_", &[2]),
        ("?text=nothing", &[]),
        ("?venue=hangang", &[0, 2]),
        ("?from=2027-03-11", &[1, 2]),
        ("?to=2027-03-11", &[0, 1]),
        ("?from=2027-03-11&to=2027-03-11", &[1]),
        ("?status=scheduled", &[0, 1]),
        ("?status=closed", &[2]),
        ("?venue=hangang&status=scheduled", &[0]),
    ] {
        let page = anonymous.get(&format!("/concerts{query}")).await.expect(200);
        let found: Vec<_> = items(&page).iter().map(|concert| id(concert, "concert_id")).collect();
        let expected: Vec<_> = expected.iter().map(|at: &usize| halls[*at].id()).collect();
        assert_eq!(found, expected, "{query}");
    }
    for (query, field) in [
        ("from=yesterday", "from"),
        ("to=2027-13-01", "to"),
        ("status=open", "status"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=!!", "cursor"),
        ("colour=red", "colour"),
    ] {
        anonymous.get(&format!("/concerts?{query}")).await.problem_at(400, "invalid_field", field);
    }
    let long = "x".repeat(101);
    anonymous.get(&format!("/concerts?text={long}")).await.problem_at(400, "invalid_field", "text");
    server.close().await;
}

#[tokio::test]
async fn concerts_come_in_pages() {
    let server = Server::start().await;
    for _ in 0..5 {
        server.hall(1).await;
    }
    let anonymous = server.anonymous();
    let mut seen = Vec::new();
    let mut path = "/concerts?limit=2".to_owned();
    for _ in 0..5 {
        let page = anonymous.get(&path).await.expect(200);
        seen.extend(items(&page).iter().map(|concert| id(concert, "concert_id")));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/concerts?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    server.close().await;
}

#[tokio::test]
async fn a_concert_says_when_it_is_in_its_venues_time() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let concert = server.anonymous().get(&hall.path()).await.expect(200);
    assert_eq!(concert["concert_date"], "2027-03-15");
    assert_eq!(concert["start_time"], "20:00:00");
    assert_eq!(concert["time_zone"], "Asia/Seoul");
    assert_eq!(concert["starts_at"], "2027-03-15T11:00:00.000000Z");
    assert_eq!(concert["closes_at"], "2027-03-15T11:00:00.000000Z");
    assert_eq!(concert["base_price"], PRICE);
    assert_eq!(concert["room_id"], 0);
    for (path, status, code) in [
        ("/concerts/999", 404, "not_found"),
        ("/concerts/0", 400, "invalid_field"),
        ("/concerts/-1", 400, "invalid_field"),
        ("/concerts/x", 400, "invalid_field"),
        ("/concerts/1.5", 400, "invalid_field"),
        ("/concerts/99999999999999999999", 400, "invalid_field"),
        ("/concerts/9007199254740991/seats", 404, "not_found"),
    ] {
        let problem = server.anonymous().get(path).await.problem(status, code);
        assert_eq!(problem.get("field").is_some(), status == 400, "{problem}");
    }
    server.close().await;
}

/// Writes the compact form out, seat by seat.
fn spread(compact: &Value) -> Vec<Value> {
    let mut seats = Vec::new();
    for block in compact["blocks"].as_array().unwrap() {
        let letters = block["states"].as_str().unwrap();
        for (offset, letter) in (0_i64..).zip(letters.chars()) {
            let status = match letter {
                'A' => "available",
                'H' => "held",
                'S' => "sold",
                'B' => "blocked",
                other => panic!("{other}"),
            };
            seats.push(json!({
                "seat_id": id(block, "first_seat_id") + offset,
                "number": match block["first_number"].as_i64() {
                    Some(first) => json!((first + offset).to_string()),
                    None => block["numbers"][usize::try_from(offset).unwrap()].clone(),
                },
                "section": block["section"], "row": block["row"], "grade": block["grade"], "price": block["price"],
                "status": status,
            }));
        }
    }
    seats
}

#[tokio::test]
async fn both_forms_of_a_map_say_the_same_at_every_step_of_a_sale() {
    let server = Server::start().await;
    let hall = server.hall(10).await;
    let operator = server.operator().await;
    let more = json!({ "seats": [
        { "seat_number": 30, "section": "Balcony", "row": "Z", "grade": "S", "price": 5_000 },
        { "seat_number": 20 },
        { "seat_number": 21 },
    ] });
    operator.post(&format!("/operator{}/seats", hall.path()), &more).await.expect(201);
    let buyer = server.buyer_with("buyer", 10 * PRICE).await;
    let path = format!("{}/seats", hall.path());
    // A map may be a tenth of a second old, so both forms are read until they are of the same version.
    let same = async |expected: &str| {
        let (full, compact) = eventually("both forms show the newest", async || {
            let full = buyer.get(&path).await.expect(200);
            let compact = buyer.get(&format!("{path}?form=compact")).await.expect(200);
            let blocks = compact["blocks"].as_array().unwrap();
            let states: String = blocks.iter().map(|block| block["states"].as_str().unwrap()).collect();
            (full["version"] == compact["version"] && states == expected).then_some((full, compact))
        })
        .await;
        assert_eq!(full["concert_id"], hall.id());
        let mut seats = full["seats"].as_array().unwrap().clone();
        seats.sort_by_key(|seat| id(seat, "seat_id"));
        for seat in &mut seats {
            assert!(seat.as_object_mut().unwrap().remove("seat_number").is_some());
        }
        assert_eq!(seats, spread(&compact));
    };
    same("AAAAAAAAAAAAA").await;
    buyer.buy(hall.seats[0]).await;
    same("SAAAAAAAAAAAA").await;
    let token = buyer.enter(None).await;
    buyer.hold(&token, hall.seats[1]).await.expect(201);
    operator
        .post("/operator/seats/block", &json!({ "seat_ids": [hall.seats[2]], "reason": "Camera" }))
        .await
        .expect(200);
    same("SHBAAAAAAAAAA").await;
    operator.post("/operator/seats/free", &json!({ "seat_ids": [hall.seats[2]] })).await.expect(200);
    same("SHAAAAAAAAAAA").await;
    buyer.get(&format!("{path}?form=round")).await.problem_at(400, "invalid_field", "form");
    server.close().await;
}

#[tokio::test]
async fn a_map_that_has_not_changed_is_304() {
    let server = Server::start().await;
    let hall = server.hall(5).await;
    let buyer = server.buyer("buyer").await;
    let path = format!("{}/seats", hall.path());
    let ask = async |path: &str, tag: &str| buyer.call(Method::GET, path).header("if-none-match", tag).send().await;
    let first = buyer.get(&path).await;
    let tag = first.header("etag").unwrap().to_owned();
    for known in [tag.clone(), format!("\"other\", {tag}"), format!("W/{tag}")] {
        let same = ask(&path, &known).await;
        assert_eq!(same.expect(304), Value::Null);
        assert_eq!(same.header("etag"), Some(&*tag));
    }
    ask(&path, "\"other\"").await.expect(200);
    ask(&format!("{path}?form=compact"), &tag).await.expect(200);

    let token = buyer.enter(None).await;
    buyer.hold(&token, hall.seats[0]).await.expect(201);
    let changed = eventually("the map has changed", async || {
        let answer = ask(&path, &tag).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_ne!(changed.header("etag"), Some(&*tag));
    server.close().await;
}

#[tokio::test]
async fn a_hall_of_fifty_thousand_seats_is_less_than_a_megabyte() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    for row in 0..50 {
        let from = row * 1_000 + 2;
        let seats = json!({ "range": { "from": from, "to": from + 999, "row": format!("R{row}") } });
        operator.post(&format!("/operator{}/seats", hall.path()), &seats).await.expect(201);
    }
    let compact = server.anonymous().get(&format!("{}/seats?form=compact", hall.path())).await;
    assert_eq!(spread(&compact.expect(200)).len(), 50_001);
    assert!(compact.body.len() < 1_000_000, "{} bytes", compact.body.len());
    let full = server.anonymous().get(&format!("{}/seats", hall.path())).await.expect(200);
    assert_eq!(full["seats"].as_array().unwrap().len(), 50_001);
    server.close().await;
}

#[tokio::test]
async fn a_buyer_whose_seats_are_taken_is_offered_the_nearest_like_them() {
    let server = Server::start().await;
    let hall = server.hall(20).await;
    let other_hall = server.hall(2).await;
    let holder = server.buyer("holder").await;
    let token = holder.enter(None).await;
    holder.hold(&token, hall.seats[8]).await.expect(201);
    let anonymous = server.anonymous();
    let path = |ids: &str| format!("{}/seats/alternatives?seat_ids={ids}", hall.path());
    let ask = async |seats: &[i64]| {
        let ids: Vec<_> = seats.iter().map(ToString::to_string).collect();
        anonymous.get(&path(&ids.join(","))).await
    };

    let found = ask(&hall.seats[8..10]).await.expect(200);
    assert_eq!(found["concert_id"], hall.id());
    let states: Vec<_> = found["wanted"].as_array().unwrap().iter().map(|seat| &seat["status"]).collect();
    assert_eq!(states, ["held", "available"]);
    let offers = found["offers"].as_array().unwrap();
    assert_eq!(offers.len(), 3);
    for offer in offers {
        assert_eq!((&offer["side_by_side"], &offer["total"]), (&json!(true), &json!(2 * PRICE)), "{offer}");
        let seats: Vec<_> = offer["seats"].as_array().unwrap().iter().map(|seat| id(seat, "seat_id")).collect();
        assert!(seats.iter().all(|seat| hall.seats.contains(seat)) && !seats.contains(&hall.seats[8]), "{offer}");
        assert_eq!(seats[0] + 1, seats[1], "neighbours: {offer}");
    }
    let free = ask(&hall.seats[..2]).await.expect(200);
    assert_eq!(free["offers"], json!([]));

    ask(&other_hall.seats).await.problem(404, "not_found");
    anonymous.get("/concerts/999/seats/alternatives?seat_ids=1").await.problem(404, "not_found");
    let twenty_one: Vec<_> = (1..=21).collect();
    ask(&[1, 1]).await.expect(200);
    for bad in [&[0][..], &[-1], &twenty_one] {
        ask(bad).await.problem_at(400, "invalid_field", "seat_ids");
    }
    for bad in ["1,", ",1", "1,,2", "a", "1;2", "%20"] {
        anonymous.get(&path(bad)).await.problem_at(400, "invalid_field", "seat_ids");
    }
    anonymous.get(&path("")).await.problem(400, "invalid_field");
    server.close().await;
}
