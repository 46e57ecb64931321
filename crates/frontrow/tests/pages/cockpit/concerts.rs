//! Concerts by forms: the first one by steps, one at once, changes, and what stops a sale.

use crate::support::says;
use frontrow_testkit::{Browser, Client, LoadedPage, Server, eventually, id, items, picture};
use serde_json::{Value, json};

fn english(server: &Server, client: &Client) -> Browser {
    let browser = Browser::at(server);
    browser.set_cookie("frontrow-session", client.secret());
    browser
}

type Fields = Vec<(&'static str, String)>;

/// What a concert is, where and when: it starts at 20:00 on 1 March in Seoul.
fn what() -> Fields {
    [
        ("title", "Midnight Tide"),
        ("artist", "Midnight Tide"),
        ("venue", "Hangang Hall"),
        ("time_zone", "asia/seoul"),
        ("concert_date", "2027-03-01"),
        ("start_time", "20:00"),
        ("end_time", "22:30"),
        ("fold", ""),
        ("base_price", "120,000"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

fn with(fields: &Fields, name: &'static str, value: &str) -> Fields {
    let mut fields: Fields = fields.iter().filter(|(other, _)| *other != name).cloned().collect();
    fields.push((name, value.to_owned()));
    fields
}

/// Fills the form of a page and sends it.
async fn fill(browser: &Browser, path: &str, fields: &Fields) -> LoadedPage {
    let page = browser.open(path).await;
    let page = page.shows(200, &["name=\"key\""]);
    let mut all: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (key, basis) = (page.hidden("key"), page.html.contains("name=\"basis\"").then(|| page.hidden("basis")));
    all.push(("key", &key));
    if let Some(basis) = &basis {
        all.push(("basis", basis));
    }
    let action = page.html.split_once("method=\"post\" action=\"").unwrap().1.split('"').next().unwrap();
    browser.send(action, &all).await
}

/// A form that comes back with this field at fault.
fn is_at_fault(page: &LoadedPage, field: &str) {
    page.shows(422, &[&format!("href=\"#stage-{field}\""), &format!("id=\"stage-{field}-words\"")]);
}

fn seats(section: &str, rows: &str, numbers: &str, grade: &str, price: &str) -> Fields {
    [("section", section), ("rows", rows), ("numbers", numbers), ("grade", grade), ("price", price)]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
}

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

/// What the step of the room asks for.
fn own_room(places: &str, rate: &str) -> Fields {
    with(&settings(places, rate), "room", "own")
}

/// The same once the concert has a room of its own.
fn settings(places: &str, rate: &str) -> Fields {
    [("own_room_max_active", places), ("admit_per_minute", rate)].map(|(name, value)| (name, value.to_owned())).into()
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
async fn a_poster_is_set_and_removed_by_a_form() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    let browser = english(&server, &operator);
    let path = format!("/operator{}/poster", hall.path());
    let seen = async || browser.open(&path).await.hidden("basis");
    let send_on = async |basis: &str, act: &str, file: &[u8]| {
        let field = |name: &str, value: &str| {
            format!("--bound\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let mut body = format!("{}{}", field("act", act), field("basis", basis)).into_bytes();
        body.extend(b"--bound\r\nContent-Disposition: form-data; name=\"poster\"; filename=\"a.png\"\r\n\r\n");
        body.extend(file);
        body.extend(b"\r\n--bound--\r\n");
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = client.post(format!("http://{}{path}", server.address));
        let request = request.header("cookie", format!("frontrow-session={}", operator.secret()));
        let request = request.header("sec-fetch-site", "same-origin").header("accept-language", "en");
        let request = request.header("content-type", "multipart/form-data; boundary=bound");
        request.body(body).send().await.unwrap().status().as_u16()
    };
    let send = async |act: &str, file: &[u8]| send_on(&seen().await, act, file).await;
    let refused = send("", b"no picture").await;
    assert_eq!(refused, 422);
    let first = seen().await;
    // Sent twice, it is answered alike; another picture for a version that is gone is not taken.
    for _ in 0..2 {
        assert_eq!(send_on(&first, "", &picture(40, 30)).await, 303);
    }
    assert_eq!(send_on(&first, "", &picture(30, 40)).await, 412);
    assert_eq!(send_on(&first, "remove", b"").await, 412);
    assert_eq!(send_on("", "remove", b"").await, 422);
    let has_one = async || !operator.get(&hall.path()).await.expect(200)["poster"].is_null();
    assert!(has_one().await);
    says(&browser.open(&path).await, &["/posters/", "Remove the poster"], &[]);
    assert_eq!(send("remove", b"").await, 303);
    assert!(!has_one().await);
    says(&browser.open(&path).await, &["type=\"file\""], &["Remove the poster"]);
    server.close().await;
}

#[tokio::test]
async fn every_field_of_every_form_says_what_is_wrong_with_it_and_keeps_what_was_typed() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let browser = english(&server, &operator);
    let bad_what: [(&str, &[&str]); 9] = [
        ("title", &["", "  ", "x\u{202e}y"]),
        ("artist", &[""]),
        ("venue", &["", "\u{200b}"]),
        ("time_zone", &["", "Mars/Olympus", "+09:00"]),
        ("concert_date", &["", "2027-02-30", "tomorrow", "2026-12-01"]),
        ("start_time", &["", "25:00", "8pm"]),
        ("end_time", &["", "24:00"]),
        ("fold", &["2", "x"]),
        ("base_price", &["", "-1", "1.5", "x", "1000000000001"]),
    ];
    let long = "x".repeat(201);
    for (field, values) in bad_what {
        for value in values.iter().copied().chain((field == "title").then_some(long.as_str())) {
            let page = fill(&browser, "/operator/start", &with(&what(), field, value)).await;
            is_at_fault(&page, field);
            assert!(page.html.contains("Hangang Hall") || field == "venue", "{}", page.html);
        }
    }
    let mut whole = what();
    whole.extend([("opens_at", "2027-02-01T11:00".to_owned()), ("closes_at", String::new())]);
    let bad_rest: [(&str, &[&str]); 11] = [
        ("opens_at", &["", "2027-02-01", "2027-02-30T11:00", "2027-03-01T20:00"]),
        ("closes_at", &["soon", "2027-01-31", "2027-03-01T22:31"]),
        ("concert_date", &["2026-12-01"]),
        ("own_room_max_active", &["-1", "0", "1000001", "many"]),
        ("age_rating", &["8", "old"]),
        ("running_minutes", &["0", "1441", "x"]),
        ("doors_minutes", &["-1", "1441"]),
        ("address", &["\u{202e}x"]),
        ("organiser", &["\u{200b}"]),
        ("organiser_contact", &["a\u{0}b"]),
        ("description", &["\u{3164}"]),
    ];
    for (field, values) in bad_rest {
        for value in values {
            is_at_fault(&fill(&browser, "/operator/concerts/new", &with(&whole, field, value)).await, field);
        }
    }
    // A sale that is over before it is made.
    let past = with(&with(&whole, "opens_at", "2027-01-01T11:00"), "closes_at", "2027-01-10T11:00");
    is_at_fault(&fill(&browser, "/operator/concerts/new", &past).await, "closes_at");
    // Hours that the clock of the venue leaves out, or shows twice.
    let berlin = |date, start, fold| {
        let fields = with(&with(&what(), "time_zone", "Europe/Berlin"), "concert_date", date);
        with(&with(&with(&fields, "start_time", start), "end_time", "05:00"), "fold", fold)
    };
    is_at_fault(&fill(&browser, "/operator/start", &berlin("2027-03-28", "02:30", "")).await, "start_time");
    is_at_fault(&fill(&browser, "/operator/start", &berlin("2027-10-31", "02:30", "")).await, "start_time");
    assert!(items(&operator.get("/concerts").await.expect(200)).is_empty(), "nothing was made");
    fill(&browser, "/operator/start", &berlin("2027-10-31", "02:30", "1")).await.leads_to();
    let made = operator.get("/concerts/1").await.expect(200);
    assert_eq!(made["starts_at"], "2027-10-31T01:30:00.000000Z");

    let good = seats("Floor", "A-C", "1-10", "VIP", "180000");
    let bad_seats: [(&str, &[&str]); 4] = [
        ("numbers", &["", "x-y-z-0-", "10-1", "1-5 3"]),
        ("section", &["\u{202e}x"]),
        ("grade", &["\u{200b}"]),
        ("price", &["-1", "1.5", "free"]),
    ];
    for (field, values) in bad_seats {
        for value in values {
            is_at_fault(&fill(&browser, "/operator/start/1/seats", &with(&good, field, value)).await, field);
        }
    }
    for (field, value) in [("opens_at", ""), ("opens_at", "x"), ("closes_at", "x"), ("opens_at", "2027-11-01T10:00")] {
        let fields: Fields = vec![("opens_at", "2027-02-01T11:00".to_owned()), ("closes_at", String::new())];
        is_at_fault(&fill(&browser, "/operator/start/1/opening", &with(&fields, field, value)).await, field);
    }
    for (field, value) in [
        ("own_room_max_active", ""),
        ("own_room_max_active", "0"),
        ("own_room_max_active", "x"),
        ("admit_per_minute", "0"),
        ("room", ""),
        ("room", "other"),
    ] {
        is_at_fault(&fill(&browser, "/operator/start/1/room", &with(&own_room("5", ""), field, value)).await, field);
    }
    for path in ["/operator/start/1/nowhere", "/operator/start/77", "/operator/start/x/seats", "/operator/concerts/77"]
    {
        assert!([400, 404].contains(&browser.open(path).await.status), "{path}");
    }
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

#[tokio::test]
async fn a_concert_is_made_at_once_and_changed_in_every_field() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let browser = english(&server, &operator);
    let mut fields = what();
    fields.extend(
        [
            ("opens_at", "2027-02-01T11:00"),
            ("closes_at", "2027-03-01T12:00"),
            ("own_room_max_active", "50"),
            ("description", "Two sets.\n\nNo interval."),
            ("age_rating", "12"),
            ("running_minutes", "150"),
            ("doors_minutes", "60"),
            ("address", "12 Yeouiseo-ro"),
            ("organiser", "Midnight Tide Live"),
            ("organiser_contact", "weekdays 10 to 18"),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    let made = fill(&browser, "/operator/concerts/new", &fields).await;
    assert_eq!(made.leads_to(), "/operator/concerts/1");
    let concert = async || operator.get("/concerts/1").await.expect(200);
    let new = concert().await;
    assert_eq!(
        (&new["opens_at"], &new["closes_at"]),
        (&json!("2027-02-01T02:00:00.000000Z"), &json!("2027-03-01T03:00:00.000000Z"))
    );
    assert_eq!((&new["details"]["doors_minutes"], &new["details"]["age_rating"]), (&json!(60), &json!("12")));
    assert_eq!(id(&operator.get("/operator/rooms/1").await.expect(200), "max_active"), 50);
    says(
        &browser.open("/operator/concerts/1").await,
        &["Its own", "act/close", "act/cancel", "/edit"],
        &["act/resume"],
    );

    // Unchanged, nothing but the version differs; changed, exactly that does.
    let fields: Fields = fields.into_iter().filter(|(name, _)| *name != "own_room_max_active").collect();
    fill(&browser, "/operator/concerts/1/edit", &with(&fields, "time_zone", "Asia/Seoul")).await.leads_to();
    let changed = with(&with(&fields, "time_zone", "Asia/Seoul"), "title", "Ebb");
    let changed = with(&with(&changed, "closes_at", ""), "address", "");
    let changed = with(&with(&changed, "start_time", "19:00"), "base_price", "99000");
    fill(&browser, "/operator/concerts/1/edit", &with(&changed, "age_rating", "all")).await.leads_to();
    let after = concert().await;
    for (field, value) in [
        ("title", json!("Ebb")),
        ("start_time", json!("19:00:00")),
        ("closes_at", json!("2027-03-01T10:00:00.000000Z")),
        ("base_price", json!(99_000)),
        ("opens_at", new["opens_at"].clone()),
        ("venue", new["venue"].clone()),
    ] {
        assert_eq!(after[field], value, "{field}");
    }
    assert_eq!((&after["details"]["address"], &after["details"]["age_rating"]), (&Value::Null, &json!("all")));

    // What a form does not have stays; what it has twice is no choice.
    let edit = "/operator/concerts/1/edit";
    let needed: Fields = changed
        .iter()
        .filter(|(name, _)| {
            [
                "title",
                "artist",
                "venue",
                "time_zone",
                "concert_date",
                "start_time",
                "end_time",
                "base_price",
                "opens_at",
            ]
            .contains(name)
        })
        .cloned()
        .collect();
    fill(&browser, edit, &with(&needed, "title", "Flow")).await.leads_to();
    let kept = concert().await;
    assert_eq!(
        (&kept["title"], &kept["details"], &kept["closes_at"]),
        (&json!("Flow"), &after["details"], &after["closes_at"])
    );
    let faulty = fill(&browser, edit, &with(&needed, "title", "")).await;
    faulty.shows(422, &["Two sets.", "weekdays 10 to 18"]);
    for field in ["title", "description", "closes_at", "reason"] {
        let value = needed.iter().find(|(name, _)| *name == field).map_or("1", |(_, value)| value.as_str()).to_owned();
        let mut twice = with(&needed, field, &value);
        twice.push((field, value));
        is_at_fault(&fill(&browser, edit, &twice).await, field);
    }
    for path in [edit, "/operator/concerts/1/act/close"] {
        let twice = with(&needed, "basis", "1");
        assert_eq!(fill(&browser, path, &twice).await.status, 422, "{path}");
    }
    is_at_fault(&fill(&browser, edit, &with(&needed, "closes_at", "2027-03-02T20:00")).await, "closes_at");
    assert_eq!(concert().await["updated_at"], kept["updated_at"]);
    server.close().await;
}

#[tokio::test]
async fn of_two_operators_the_second_sees_both_versions() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let (one, other) = (server.operator().await, server.operator_named("other").await);
    let (first, second) = (english(&server, &one), english(&server, &other));
    let path = format!("/operator{}/edit", hall.path());
    let seen = second.open(&path).await;
    let value = |page: &LoadedPage, name: &str| {
        let found = regex::Regex::new(&format!(r#"name="{name}" type="[a-z-]+" value="([^"]*)""#)).unwrap();
        found.captures(&page.html).unwrap_or_else(|| panic!("no {name} in {}", page.html))[1].to_owned()
    };
    let names = [
        "title",
        "artist",
        "venue",
        "time_zone",
        "concert_date",
        "start_time",
        "end_time",
        "base_price",
        "opens_at",
        "closes_at",
    ];
    let fields: Fields = names.map(|name| (name, value(&seen, name).replace("&#38;", "&"))).into();
    fill(&first, &path, &with(&fields, "title", "The first’s title")).await.leads_to();
    let (key, basis) = (seen.hidden("key"), seen.hidden("basis"));
    let mut mine = with(&with(&with(&fields, "venue", "The second’s venue"), "key", &key), "basis", &basis);
    let send = async |fields: &Fields| {
        let all: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        second.send(&path, &all).await
    };
    let stale = send(&mine).await;
    stale.shows(412, &["It has changed meanwhile", "The first’s title", "The second’s venue", "As it is now"]);
    assert_ne!(one.get(&hall.path()).await.expect(200)["venue"], "The second’s venue");
    // Sent again from the page that showed both.
    mine = with(&with(&mine, "basis", &stale.hidden("basis")), "key", &stale.hidden("key"));
    send(&mine).await.leads_to();
    assert_eq!(one.get(&hall.path()).await.expect(200)["venue"], "The second’s venue");
    for basis in ["", "x", "-1"] {
        assert_eq!(send(&with(&mine, "basis", basis)).await.status, 422);
    }
    server.close().await;
}

#[tokio::test]
async fn what_stops_a_sale_is_asked_again_with_what_will_happen_and_needs_a_reason() {
    let server = Server::start().await;
    let hall = server.hall(3).await;
    let operator = server.operator().await;
    let browser = english(&server, &operator);
    let buyer = server.buyer_with("minji", 1_000_000).await;
    buyer.buy(hall.seats[0]).await;
    let token = buyer.enter(None).await;
    buyer.hold(&token, hall.seats[1]).await.expect(201);
    let path = format!("/operator{}", hall.path());
    let status = async || operator.get(&path).await.expect(200)["concert"]["status"].clone();

    // A closing time before now.
    let edit = format!("{path}/edit");
    let page = browser.open(&edit).await;
    let found = regex::Regex::new(r#"name="([a-z_]+)" type="[a-z-]+" value="([^"]*)""#).unwrap();
    let shown: Vec<(String, String)> =
        found.captures_iter(&page.html).map(|all| (all[1].to_owned(), all[2].to_owned())).collect();
    let send = async |page: &LoadedPage, more: &[(&str, &str)]| {
        let hidden = ["key", "basis"].map(|name| (name.to_owned(), page.hidden(name)));
        let mut all: Vec<(&str, &str)> = shown
            .iter()
            .filter(|(name, _)| more.iter().all(|(other, _)| other != name))
            .chain(&hidden)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        all.extend(more);
        browser.send(&edit, &all).await
    };
    let past = "2027-01-15T16:00";
    let asked = send(&page, &[("closes_at", past)]).await;
    asked.shows(422, &["This is what happens", "One seat is held", "One seat is paid for", "name=\"sure\""]);
    let sure = asked.hidden("sure");
    let again = send(&asked, &[("closes_at", past), ("sure", &sure)]).await;
    again.shows(422, &["This is what happens", "Say why."]);
    is_at_fault(&again, "reason");
    send(&asked, &[("closes_at", past), ("sure", &sure), ("reason", "The hall is evacuated.")]).await.leads_to();
    let log = operator.get("/operator/audit?limit=1").await.expect(200);
    assert_eq!(items(&log)[0]["detail"]["reason"], "The hall is evacuated.");
    assert!(items(&log)[0]["detail"]["closes_at"]["from"].is_string());

    let act = |name: &str| format!("{path}/act/{name}");
    for (name, words) in [("close", "The sale stops at once"), ("postpone", "may refund"), ("cancel", "For good")] {
        says(&browser.open(&act(name)).await, &[words, "One seat is held", "One seat is paid for"], &[]);
        is_at_fault(&fill(&browser, &act(name), &Vec::new()).await, "status_reason");
        let too_much: Fields = vec![("status_reason", "x".repeat(501))];
        is_at_fault(&fill(&browser, &act(name), &too_much).await, "status_reason");
    }
    assert_eq!(status().await, "scheduled");
    fill(&browser, &act("close"), &vec![("reason", "Sold at the door.".to_owned())]).await.leads_to();
    assert_eq!(status().await, "closed");
    fill(&browser, &act("resume"), &Vec::new()).await.leads_to();
    fill(&browser, &act("postpone"), &vec![("status_reason", "A storm.".to_owned())]).await.leads_to();
    assert_eq!(status().await, "postponed");
    says(&browser.open(&path).await, &["A storm.", "act/resume"], &["act/postpone", "act/refund-all"]);
    fill(&browser, &act("cancel"), &vec![("status_reason", "The singer is ill.".to_owned())]).await.leads_to();
    assert_eq!(status().await, "cancelled");
    fill(&browser, &act("refund-all"), &Vec::new()).await.leads_to();
    assert!(operator.get(&path).await.expect(200)["concert"]["refund_all_at"].is_string());
    says(&browser.open(&path).await, &[], &["act/refund-all", "act/cancel"]);
    fill(&browser, &act("resume"), &Vec::new()).await.shows(409, &["cancelled"]);
    assert_eq!(browser.open(&act("explode")).await.status, 404);
    server.close().await;
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let viewer = english(&server, &server.viewer().await);
    let path = format!("/operator{}", hall.path());
    says(&viewer.open("/operator/concerts").await, &["Midnight Tide"], &["/operator/start"]);
    says(&viewer.open(&path).await, &["Midnight Tide"], &["/edit", "/act/"]);
    let refused = viewer.open("/operator/start").await;
    refused.shows(403, &["Not for this account", "href=\"/operator\"", "class=\"cockpit\""]);
    viewer.open("/operator/payments/999").await.shows(404, &["class=\"cockpit\""]);
    says(&viewer.open(&format!("{path}/poster")).await, &["No poster."], &["type=\"file\""]);
    for form in ["/operator/concerts/new".to_owned(), format!("{path}/edit"), format!("{path}/act/close")] {
        assert_eq!(viewer.open(&form).await.status, 403, "{form}");
    }
    let key = [("key", "0123456789abcdef0123"), ("basis", "1")];
    for form in [
        "/operator/start".to_owned(),
        "/operator/concerts/new".to_owned(),
        format!("{path}/edit"),
        format!("{path}/act/close"),
        format!("/operator/start/{}/look", hall.id()),
    ] {
        assert_eq!(viewer.send(&form, &key).await.status, 403, "{form}");
    }
    let buyer = english(&server, &server.buyer("minji").await);
    for form in ["/operator/start", "/operator/concerts/new"] {
        let refused = buyer.open(form).await;
        refused.shows(403, &["href=\"/mine\""]);
        assert!(!refused.html.contains("href=\"/operator"), "{}", refused.html);
    }
    server.close().await;
}

#[tokio::test]
async fn concerts_are_found_by_their_names_and_paged() {
    let server = Server::start().await;
    for number in 0..52 {
        server.hall_like(1, |draft| draft.title = format!("Night {number:02}")).await;
    }
    let browser = english(&server, &server.operator().await);
    let first = browser.open("/operator/concerts").await;
    says(&first, &["Night 00", "Night 49", "0 of 1 sold"], &["Night 50"]);
    let next = regex::Regex::new(r#"href="(/operator/concerts\?[^"]*after=[^"]*)""#).unwrap();
    let next = next.captures(&first.html).unwrap()[1].replace("&#38;", "&");
    says(&browser.open(&next).await, &["Night 50", "Night 51"], &["Night 49", "after="]);
    says(&browser.open("/operator/concerts?q=night%2042").await, &["Night 42"], &["Night 41"]);
    says(&browser.open("/operator/concerts?q=%3Cb%3E").await, &["No concert matches.", "&#60;b&#62;"], &[]);
    says(&browser.open("/operator/concerts?q=&past=1").await, &["Night 00", "checked"], &["aria-invalid"]);
    for bad in ["after=zzz", "past=zzz", "past=0", "other=1", "q=a&q=b"] {
        assert_eq!(browser.open(&format!("/operator/concerts?{bad}")).await.status, 400, "{bad}");
    }
    let long = browser.open(&format!("/operator/concerts?q={}", "x".repeat(3_000))).await;
    long.shows(422, &["Too long. Shorten it.", "aria-invalid=\"true\""]);
    server.close().await;
}
