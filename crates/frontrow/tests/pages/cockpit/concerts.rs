//! Concerts by forms: their fields, posters and lists, and what a viewer sees of them.

mod changes;
mod steps;

use crate::support::says;
use frontrow_testkit::{Browser, Client, LoadedPage, Server, items, picture};

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

/// What the step of the room asks for.
fn own_room(places: &str, rate: &str) -> Fields {
    with(&settings(places, rate), "room", "own")
}

/// The same once the concert has a room of its own.
fn settings(places: &str, rate: &str) -> Fields {
    [("own_room_max_active", places), ("admit_per_minute", rate)].map(|(name, value)| (name, value.to_owned())).into()
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
