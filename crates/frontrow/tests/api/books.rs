//! Operators' view and corrections of users' money, the door list, and the text of tickets, over HTTP.

use frontrow_testkit::{PRICE, Server, eventually, id, items};
use serde_json::{Value, json};

#[tokio::test]
async fn an_operator_sees_a_users_balance_and_history_and_finds_the_user_by_id() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let buyer = server.buyer_with("buyer", 5_000).await;
    let path = format!("/operator/users/{}", buyer.user);
    let seen = operator.get(&path).await.expect(200);
    assert_eq!((&seen["user"]["name"], &seen["balance"]["balance"]), (&json!("buyer"), &json!(5_000)));
    let history = operator.get(&format!("{path}/points/history?limit=1")).await.expect(200);
    assert_eq!((items(&history).len(), &items(&history)[0]["type"]), (1, &json!("top_up")));
    let found = operator.get(&format!("/operator/users?user_id={}", buyer.user)).await.expect(200);
    assert_eq!(items(&found)[0]["user_id"], buyer.user.to_string());
    let missing = "00000000-0000-7000-8000-000000000000";
    assert!(items(&operator.get(&format!("/operator/users?user_id={missing}")).await.expect(200)).is_empty());
    let both = format!("/operator/users?text=x&user_id={missing}");
    operator.get(&both).await.problem_at(400, "invalid_field", "user_id");
    operator.get(&format!("/operator/users/{missing}")).await.problem(404, "not_found");
    operator.get(&format!("/operator/users/{missing}/points/history")).await.problem(404, "not_found");
    buyer.get(&path).await.problem(403, "forbidden");
    buyer.get(&format!("{path}/points/history")).await.problem(403, "forbidden");
    server.close().await;
}

#[tokio::test]
async fn a_balance_is_corrected_with_a_reason_and_what_is_missing_is_a_debt() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let buyer = server.buyer_with("buyer", 30_000).await;
    let path = format!("/operator/users/{}/adjustments", buyer.user);
    let order =
        |amount: i64, reference: &str| json!({ "amount": amount, "reason": "Chargeback", "reference": reference });
    let call = || operator.call(reqwest::Method::POST, &path).key("adjust-0123456789").json(&order(-50_000, "c-1"));
    let booked = call().send().await.expect(201);
    assert_eq!((&booked["entry"]["amount"], &booked["entry"]["type"]), (&json!(-30_000), &json!("adjustment")));
    assert_eq!((&booked["debt"]["amount"], &booked["debt"]["status"]), (&json!(20_000), &json!("open")));
    let again = call().send().await;
    assert!(again.is_replay());
    assert_eq!(again.expect(201), booked);
    assert_eq!(buyer.balance().await, 0);
    let mine = buyer.get("/points/history").await.expect(200);
    assert_eq!(items(&mine)[0]["description"], "Chargeback");
    operator.post(&path, &order(5, "c-1")).await.problem(409, "reference_used");
    for (body, code) in [
        (order(0, "c-2"), "amount_out_of_bounds"),
        (order(10_000_001, "c-2"), "amount_out_of_bounds"),
        (order(5, ""), "invalid_field"),
        (order(5, "a b"), "invalid_field"),
        (json!({ "amount": 5, "reason": " ", "reference": "c-2" }), "invalid_field"),
        (json!({ "amount": 5, "reason": "x".repeat(501), "reference": "c-2" }), "invalid_field"),
    ] {
        operator.post(&path, &body).await.problem(422, code);
    }
    buyer.post(&path, &order(5, "c-2")).await.problem(403, "forbidden");

    let open = operator.get("/operator/debts?status=open").await.expect(200);
    let debt = id(&items(&open)[0], "debt_id");
    let settle = format!("/operator/debts/{debt}/settle");
    let collect = json!({ "how": "collect", "reason": "as agreed" });
    let refused = operator.post(&settle, &collect).await.problem(409, "balance_too_low");
    assert_eq!((&refused["balance"], &refused["amount"]), (&json!(0), &json!(20_000)));
    buyer.top_up(25_000).await;
    let settled = operator.post(&settle, &collect).await.expect(200);
    assert_eq!(settled["status"], "collected");
    assert_eq!(buyer.balance().await, 5_000);
    operator.post(&settle, &collect).await.problem(409, "debt_settled");
    operator.post("/operator/debts/999/settle", &collect).await.problem(404, "not_found");
    buyer.get("/operator/debts").await.problem(403, "forbidden");
    let log = operator.get("/operator/audit?limit=2").await.expect(200);
    let actions: Vec<_> = items(&log).iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["debt.settle", "points.adjust"]);
    assert_eq!(items(&log)[1]["detail"]["owed"], 20_000);
    server.close().await;
}

#[tokio::test]
async fn the_door_list_is_a_file_for_spreadsheets() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let hall = server.hall(3).await;
    let buyer = server.buyer_with("=HYPERLINK(\"x\")", 2 * PRICE).await;
    let (reservation, payment) = buyer.buy(hall.seats[1]).await;
    let path = format!("/operator{}/door-list.csv", hall.path());
    let answer = operator.get(&path).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/csv; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let disposition = format!("attachment; filename=\"door-list-{}.csv\"", hall.id());
    assert_eq!(answer.header("content-disposition"), Some(&*disposition));
    let text = std::str::from_utf8(&answer.body).unwrap();
    let lines: Vec<_> = text.split("\r\n").collect();
    assert_eq!(lines[0], "\u{feff}section,row,number,grade,name,reservation_id,payment_id,paid_at");
    let name = "\"'=HYPERLINK(\"\"x\"\")\"";
    assert!(lines[1].starts_with(&format!("Floor,A,2,R,{name},{reservation},{payment},2027-01-15T08:00:00")), "{text}");
    assert_eq!(lines[2..], [""]);
    let empty = server.hall(1).await;
    let answer = operator.get(&format!("/operator{}/door-list.csv", empty.path())).await;
    assert_eq!(std::str::from_utf8(&answer.body).unwrap().lines().count(), 1, "the head alone");
    operator.get("/operator/concerts/999/door-list.csv").await.problem(404, "not_found");
    buyer.get(&path).await.problem(403, "forbidden");
    server.close().await;
}

#[tokio::test]
async fn reservations_and_payments_say_what_stands_on_the_ticket() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let hall = server.hall(2).await;
    let seats = format!("/operator{}/seats", hall.path());
    operator.patch(&seats, &json!({ "seat_ids": [hall.seats[0]], "number": "12A", "row": "C" })).await.expect(200);
    let buyer = server.buyer_with("buyer", 2 * PRICE).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    let reservation = id(&held, "reservation_id");
    let paid = buyer.pay(&token, reservation).await.expect(201);
    let payment = id(&paid, "payment_id");
    let one = |body: Value| items(&body)[0].clone();
    let (mine, theirs) = ("/reservations", "/operator/reservations");
    let mut shown = vec![
        held,
        paid,
        buyer.get(&format!("{mine}/{reservation}")).await.expect(200),
        one(buyer.get(mine).await.expect(200)),
        one(operator.get(theirs).await.expect(200)),
        one(operator.get(&format!("{theirs}?concert_id={}", hall.id())).await.expect(200)),
        buyer.get(&format!("/payments/{payment}")).await.expect(200),
        one(buyer.get("/payments").await.expect(200)),
        one(operator.get(&format!("/operator/payments?concert_id={}", hall.id())).await.expect(200)),
    ];
    shown.push(buyer.post(&format!("/payments/{payment}/refund"), &json!({})).await.expect(200));
    for body in shown {
        for (field, value) in [
            ("title", json!("Midnight Tide: The First Night")),
            ("section", json!("Floor")),
            ("row", json!("C")),
            ("number", json!("12A")),
            ("seat_number", json!(1)),
            ("seat_id", json!(hall.seats[0])),
            ("concert_id", json!(hall.id())),
        ] {
            assert_eq!(body[field], value, "{field} of {body}");
        }
    }
    server.close().await;
}

#[tokio::test]
async fn concerts_say_how_many_seats_are_left_and_come_by_their_date() {
    let server = Server::start().await;
    let late = server.hall_like(2, |draft| draft.concert_date = jiff::civil::date(2027, 5, 1)).await;
    let early = server.hall(1).await;
    let empty = server.hall_like(1, |draft| draft.concert_date = jiff::civil::date(2027, 6, 1)).await;
    let anonymous = server.anonymous();
    let mut seen = Vec::new();
    let mut path = "/concerts?limit=1".to_owned();
    for _ in 0..4 {
        let page = anonymous.get(&path).await.expect(200);
        seen.extend(items(&page).iter().map(|concert| id(concert, "concert_id")));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/concerts?limit=1&cursor={cursor}");
    }
    assert_eq!(seen, [early.id(), late.id(), empty.id()]);
    let left = async |concert: i64| {
        let list = anonymous.get("/concerts").await.expect(200);
        let listed = items(&list).iter().find(|row| row["concert_id"] == concert).cloned().unwrap();
        let alone = anonymous.get(&format!("/concerts/{concert}")).await.expect(200);
        [listed, alone].map(|row| {
            let state = row["sale_state"].as_str().unwrap().to_owned();
            (row["seats_left"].as_i64().unwrap(), row["sold_out"].as_bool().unwrap(), state)
        })
    };
    let twice = |left: i64, sold_out: bool, state: &str| [0; 2].map(|_| (left, sold_out, state.to_owned()));
    assert_eq!(left(late.id()).await, twice(2, false, "on_sale"));
    let buyer = server.buyer_with("buyer", 3 * PRICE).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, early.seats[0]).await.expect(201);
    let shows = async |sold_out: bool, state: &str| {
        let expected = twice(0, sold_out, state);
        eventually("the list shows it", async || (left(early.id()).await == expected).then_some(())).await;
    };
    shows(false, "all_held").await;
    buyer.pay(&token, id(&held, "reservation_id")).await.expect(201);
    shows(true, "sold_out").await;
    assert_eq!(left(late.id()).await, twice(2, false, "on_sale"));
    server.close().await;
}

#[tokio::test]
async fn sign_ins_of_operators_and_the_failed_ones_are_in_the_log() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let operator = server.operator_with_password("correct horse battery").await;
    let sign_in = |email: &str, password: &str| json!({ "email": email, "password": password });
    for _ in 0..3 {
        anonymous
            .post("/sessions", &sign_in("boss@example.com", "wrong horse battery"))
            .await
            .problem(401, "unauthorized");
    }
    anonymous
        .post("/sessions", &sign_in("unknown@example.com", "wrong horse battery"))
        .await
        .problem(401, "unauthorized");
    server.app().office.write_failed_proofs().await.unwrap();
    server.app().office.write_failed_proofs().await.unwrap();
    let opened = anonymous.post("/sessions", &sign_in("boss@example.com", "correct horse battery")).await.expect(201);
    let boss = server.with_secret(opened["session_token"].as_str().unwrap());
    let log = boss.get("/operator/audit?limit=3").await.expect(200);
    let seen: Vec<_> = items(&log).iter().map(|line| (line["action"].clone(), line["detail"].clone())).collect();
    assert_eq!(seen[0], (json!("operator.sign_in"), json!({})));
    assert_eq!(seen[1], (json!("operator.sign_in_failed"), json!({ "count": 3 })));
    assert_eq!(items(&log)[1]["object"], format!("user {operator}"));
    assert_eq!(seen[2].0, "operator.add", "one line, however many failed");
    server.close().await;
}
