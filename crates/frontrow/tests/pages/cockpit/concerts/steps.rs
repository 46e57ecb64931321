//! The first concert by steps, until it is on sale.

use super::{Fields, english, fill, is_at_fault, own_room, seats, settings, what, with};
use crate::support::says;
use frontrow_testkit::{Browser, Server, eventually, id, items};
use serde_json::{Value, json};

#[tokio::test]
async fn an_empty_box_office_leads_to_its_first_concert_and_nothing_is_sold_before_the_last_step() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let browser = english(&server, &operator);
    says(&browser.open("/operator").await, &["No concerts yet.", "href=\"/operator/start\""], &[]);
    let made = fill(&browser, "/operator/start", &what()).await;
    let seats_step = made.leads_to().to_owned();
    assert_eq!(seats_step, "/operator/start/1/seats");
    let concert = async || operator.get("/operator/concerts/1").await.expect(200)["concert"].clone();
    let begun = concert().await;
    assert_eq!((&begun["status"], &begun["time_zone"]), (&json!("closed"), &json!("Asia/Seoul")));
    assert_eq!((&begun["base_price"], &begun["room_id"]), (&json!(120_000), &json!(0)));

    // It is left, and found again.
    says(&browser.open("/operator/start").await, &["Go on with Midnight Tide"], &[]);
    says(&browser.open("/operator/concerts").await, &["Being prepared", "0 of 0 sold"], &[]);
    assert_eq!(browser.open("/operator/start/1").await.leads_to(), seats_step);

    let floor = seats("Floor", "A-C", "1-10", "VIP", "180000");
    assert_eq!(fill(&browser, &seats_step, &floor).await.leads_to(), seats_step);
    fill(&browser, &seats_step, &seats("Balcony", "", "1-5 7", "", "")).await.leads_to();
    says(&browser.open(&seats_step).await, &["36 seats so far."], &[]);
    let twice = fill(&browser, &seats_step, &floor).await;
    twice.shows(409, &["36 seats so far."]);

    // It cannot go on sale without an opening, and nothing is sold meanwhile, however much time passes.
    let early = fill(&browser, "/operator/start/1/look", &Vec::new()).await;
    early.shows(409, &["Set the opening first."]);
    let buyer = server.buyer_with("minji", 1_000_000).await;
    let joined = buyer.post("/queue/tokens", &json!({ "concert_id": 1 })).await;
    joined.problem(409, "sale_closed");

    let opening: Fields = vec![("opens_at", "2027-01-15T18:00".to_owned()), ("closes_at", String::new())];
    assert_eq!(fill(&browser, "/operator/start/1/opening", &opening).await.leads_to(), "/operator/start/1/look");
    assert_eq!(concert().await["opens_at"], "2027-01-15T09:00:00.000000Z");
    let room = own_room("30", "600");
    assert_eq!(fill(&browser, "/operator/start/1/room", &room).await.leads_to(), "/operator/start/1/opening");
    let set = operator.get("/operator/rooms/1").await.expect(200);
    assert_eq!((&set["max_active"], &set["admit_per_minute"]), (&json!(30), &json!(600)));
    // The order of the opening is that of the box office unless another is chosen, as for programs.
    assert_eq!(set["opening"], "draw");
    let step = browser.open("/operator/start/1/room").await;
    says(&step, &["Order at the opening", "<option value=\"draw\" selected>"], &[]);
    let as_they_come = with(&settings("30", "600"), "opening", "first_come");
    fill(&browser, "/operator/start/1/room", &as_they_come).await.leads_to();
    assert_eq!(operator.get("/operator/rooms/1").await.expect(200)["opening"], "first_come");
    is_at_fault(
        &fill(&browser, "/operator/start/1/room", &with(&settings("30", "600"), "opening", "x")).await,
        "opening",
    );
    says(&browser.open("/operator/start/1/look").await, &["keep the order in which they came"], &[]);
    // Set again, lower: it is still being made.
    fill(&browser, "/operator/start/1/room", &settings("20", "")).await.leads_to();
    let look = browser.open("/operator/start/1/look").await;
    says(&look, &["36 seats", "href=\"/concerts/1?for=operators\"", "a room of its own"], &["No opening yet"]);
    says(&Browser::at(&server).open("/concerts/1").await, &["aren’t on sale yet"], &[]);
    assert_eq!(fill(&browser, "/operator/start/1/look", &Vec::new()).await.leads_to(), "/operator/concerts/1");
    assert_eq!(concert().await["status"], "scheduled");

    // And a seat is sold once it opens.
    server.advance(3_601);
    let token = buyer.enter(Some(1)).await;
    let map = buyer.get("/concerts/1/seats").await.expect(200);
    let held = id(&buyer.hold(&token, id(&map["seats"][0], "seat_id")).await.expect(201), "reservation_id");
    buyer.pay(&token, held).await.expect(201);
    // The list of concerts and the counts in it are read anew once in a while.
    let home = eventually("the count", async || {
        server.advance(10);
        let home = browser.open("/operator").await;
        home.html.contains("1 of 36 sold").then_some(home)
    })
    .await;
    says(&home, &["href=\"/operator/concerts/1/sale\"", "Open now or soon"], &["No concerts yet"]);
    server.close().await;
}

#[tokio::test]
async fn the_steps_change_a_concert_while_it_is_being_made_and_no_longer() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let browser = english(&server, &operator);
    fill(&browser, "/operator/start", &what()).await.leads_to();
    let concert = async || operator.get("/operator/concerts/1").await.expect(200)["concert"].clone();
    assert_eq!(concert().await["status_reason"], Value::Null);
    let korean = Browser::at(&server).speaking("ko");
    says(&korean.open("/concerts/1").await, &["아직 예매 전입니다."], &["aren’t on sale yet"]);
    // Whether it goes on sale is for the last step, which checks what it needs.
    let about = browser.open("/operator/concerts/1").await;
    says(&about, &["href=\"/operator/start/1\"", "act/cancel"], &["act/resume", "act/postpone"]);
    let key = [("key", "0123456789abcdef0123"), ("basis", "1")];
    assert_eq!(browser.send("/operator/concerts/1/act/resume", &key).await.leads_to(), "/operator/start/1");
    assert_eq!(concert().await["status"], "closed");

    // Another date: it has no opening still.
    says(&browser.open("/operator/concerts/1/edit").await, &["href=\"/operator/start/1\""], &[]);
    let mut later = with(&what(), "concert_date", "2027-03-20");
    later.extend(["opens_at", "closes_at"].map(|name| (name, String::new())));
    assert_eq!(fill(&browser, "/operator/concerts/1/edit", &later).await.leads_to(), "/operator/start/1");
    assert_eq!(concert().await["opens_at"], "2027-03-20T10:59:59.999999Z");
    let earlier = with(&later, "concert_date", "2027-02-20");
    fill(&browser, "/operator/concerts/1/edit", &earlier).await.leads_to();
    says(&browser.open("/operator/start/1/look").await, &["No opening yet"], &[]);

    fill(&browser, "/operator/start/1/seats", &seats("Floor", "A", "1-10", "", "")).await.leads_to();
    says(&browser.open("/operator/concerts/1/seats").await, &["href=\"/operator/start/1\""], &[]);
    // A rate needs a room of its own. The house room stays chosen.
    let house = with(&own_room("10", "60"), "room", "house");
    is_at_fault(&fill(&browser, "/operator/start/1/room", &house).await, "admit_per_minute");
    let house = with(&house, "admit_per_minute", "");
    assert_eq!(fill(&browser, "/operator/start/1/room", &house).await.leads_to(), "/operator/start/1/opening");
    assert_eq!(concert().await["room_id"], 0);
    let opening: Fields = vec![("opens_at", "2027-02-01T18:00".to_owned()), ("closes_at", String::new())];
    fill(&browser, "/operator/start/1/opening", &opening).await.leads_to();
    assert_eq!(browser.open("/operator/start/1").await.leads_to(), "/operator/start/1/look");
    says(&browser.open("/operator/start/1/room").await, &["value=\"house\" checked"], &["value=\"own\" checked"]);

    // Its own room is shown as it is; looked at, it stays so; another operator's change is seen.
    fill(&browser, "/operator/start/1/room", &own_room("500", "60")).await.leads_to();
    let room = async || operator.get("/operator/rooms/1").await.expect(200);
    let step = browser.open("/operator/start/1/room").await;
    says(&step, &["value=\"500\"", "value=\"60\""], &["type=\"radio\""]);
    let set = room().await;
    fill(&browser, "/operator/start/1/room", &settings("500", "60")).await.leads_to();
    assert_eq!(room().await["updated_at"], set["updated_at"]);
    operator.patch("/operator/rooms/1", &json!({ "max_active": 700 })).await.expect(200);
    let (key, basis) = (step.hidden("key"), step.hidden("basis"));
    let stale = [("own_room_max_active", "400"), ("admit_per_minute", "60"), ("key", &key), ("basis", &basis)];
    browser.send("/operator/start/1/room", &stale).await.shows(412, &["It has changed meanwhile"]);
    assert_eq!(room().await["max_active"], 700);

    // An opening that has passed keeps no concert from its last step; after it the steps are over.
    let opening: Fields = vec![("opens_at", "2027-01-15T12:00".to_owned()), ("closes_at", String::new())];
    fill(&browser, "/operator/start/1/opening", &opening).await.leads_to();
    let step = browser.open("/operator/start/1/room").await;
    says(&browser.open("/operator/start/1/look").await, &["The opening has passed", "Open the sale now"], &[]);
    fill(&browser, "/operator/start/1/look", &Vec::new()).await.leads_to();
    assert_eq!(concert().await["status"], "scheduled");
    let (key, basis) = (step.hidden("key"), step.hidden("basis"));
    let late = [("own_room_max_active", "1"), ("admit_per_minute", ""), ("key", &key), ("basis", &basis)];
    assert_eq!(browser.send("/operator/start/1/room", &late).await.leads_to(), "/operator/concerts/1");
    assert_eq!(room().await["max_active"], 700);
    for path in ["/operator/start/1", "/operator/start/1/room", "/operator/start/1/look"] {
        assert_eq!(browser.open(path).await.leads_to(), "/operator/concerts/1");
    }
    // Its sale was open: closed before anything was sold, with a reason for the log alone, it is not being made again.
    let log: Fields = vec![("reason", "Not now.".to_owned())];
    fill(&browser, "/operator/concerts/1/act/close", &log).await.leads_to();
    says(&browser.open("/operator/concerts/1").await, &["act/resume"], &["/operator/start/1"]);
    fill(&browser, "/operator/concerts/1/act/resume", &Vec::new()).await.leads_to();
    assert_eq!(concert().await["status"], "scheduled");
    server.close().await;
}

#[tokio::test]
async fn a_form_of_the_first_step_sent_twice_makes_one_concert_and_closes_no_sale() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let browser = english(&server, &operator);
    let key = browser.open("/operator/start").await.hidden("key");
    let what = with(&what(), "key", &key);
    let fields: Vec<(&str, &str)> = what.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for _ in 0..2 {
        assert_eq!(browser.send("/operator/start", &fields).await.leads_to(), "/operator/start/1/seats");
    }
    let begun = operator.get("/operator/concerts/1").await.expect(200);
    assert_eq!(begun["concert"]["updated_at"], begun["concert"]["created_at"], "it was made closed at once");
    // The API puts it on sale no sooner than its steps do.
    let schedule = json!({ "status": "scheduled" });
    operator.patch("/operator/concerts/1", &schedule).await.problem(409, "no_seats");
    let seats = json!({ "range": { "from": 1, "to": 5 } });
    operator.post("/operator/concerts/1/seats", &seats).await.expect(201);
    operator.patch("/operator/concerts/1", &schedule).await.problem(409, "no_opening");
    let whole = json!({ "status": "scheduled", "opens_at": "2027-02-01T00:00:00Z" });
    operator.patch("/operator/concerts/1", &whole).await.expect(200);
    browser.send("/operator/start", &fields).await.leads_to();
    let other = with(&what, "venue", "Another hall");
    let fields: Vec<(&str, &str)> = other.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.send("/operator/start", &fields).await.shows(422, &["Another hall"]);
    let concerts = operator.get("/concerts").await.expect(200);
    assert_eq!((items(&concerts).len(), &items(&concerts)[0]["status"]), (1, &json!("scheduled")));
    server.close().await;
}

#[tokio::test]
async fn a_step_says_what_is_wrong_with_a_range_of_seats_and_with_a_closing_time() {
    let server = Server::start().await;
    let browser = english(&server, &server.operator().await);
    fill(&browser, "/operator/start", &what()).await.leads_to();
    let good = seats("Floor", "A-C", "1-10", "VIP", "180000");
    // Each fault has its own words, at the field that has it.
    for (field, value, why) in [
        ("rows", "C-A", "Write a range as A-C or 1-20."),
        ("numbers", "10-1", "Write a range as A-C or 1-20."),
        ("numbers", "1-5 3", "A seat is named twice."),
        ("rows", "1-1000", "At most 100,000 seats can be added at once."),
    ] {
        let wide = if value == "1-1000" { with(&good, "numbers", "1-101") } else { good.clone() };
        let at = if value == "1-1000" { "numbers" } else { field };
        let page = fill(&browser, "/operator/start/1/seats", &with(&wide, field, value)).await;
        is_at_fault(&page, at);
        assert!(page.html.contains(why), "{value}: {}", page.html);
    }
    let early: Fields = [("opens_at", "2027-01-01T11:00"), ("closes_at", "2027-01-10T11:00")]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
    let page = fill(&browser, "/operator/start/1/opening", &early).await;
    is_at_fault(&page, "closes_at");
    page.shows(422, &["By this, the sale is over already."]);
    let late = with(&early, "closes_at", "2027-03-01T22:31");
    is_at_fault(&fill(&browser, "/operator/start/1/opening", &late).await, "closes_at");
    server.close().await;
}
