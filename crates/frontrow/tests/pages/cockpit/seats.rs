//! The seats of a concert: added after they were shown, blocked, freed, changed and removed after the page asked.

use crate::support::{browser, hidden};
use frontrow_testkit::{Browser, Client, Hall, LoadedPage, Server};

/// An operator in English at a hall of so many seats in one row.
struct Seating {
    server: Server,
    hall: Hall,
    operator: Client,
    browser: Browser,
    path: String,
}

impl Seating {
    async fn of(seats: i32) -> Self {
        let server = Server::start().await;
        let hall = server.hall(seats).await;
        let operator = server.operator_named("Jiwoo Park").await;
        let browser = browser(&server, &operator).speaking("en");
        let path = format!("/operator/concerts/{}/seats", hall.id());
        Self { server, hall, operator, browser, path }
    }

    async fn add(&self, fields: &[(&str, &str)]) -> LoadedPage {
        self.browser.send(&format!("{}/add", self.path), fields).await
    }

    async fn ask(&self, fields: &[(&str, &str)]) -> LoadedPage {
        self.browser.send(&format!("{}/ask", self.path), fields).await
    }

    async fn set(&self, fields: &[(&str, &str)]) -> LoadedPage {
        self.browser.send(&format!("{}/set", self.path), fields).await
    }

    /// What the form of a page that asks sends, with these fields beside.
    async fn confirm(&self, asked: &LoadedPage, more: &[(&str, &str)]) -> LoadedPage {
        assert_eq!(asked.status, 200, "{}", asked.html);
        self.confirm_any(asked, more).await
    }

    async fn confirm_any(&self, asked: &LoadedPage, more: &[(&str, &str)]) -> LoadedPage {
        let names =
            ["key", "act", "seats", "price_before", "grade_before", "section_before", "row_before", "number_before"];
        let kept: Vec<_> =
            names.iter().flat_map(|name| hidden(asked, name).into_iter().map(move |value| (*name, value))).collect();
        let kept = kept.iter().map(|(name, value)| (*name, value.as_str()));
        self.set(&kept.chain(more.iter().copied()).collect::<Vec<_>>()).await
    }

    fn id(&self, seat: usize) -> String {
        self.hall.seats[seat].to_string()
    }

    /// The row of a seat as the API shows it.
    async fn seat(&self, seat: usize) -> serde_json::Value {
        let map = self.operator.get(&format!("{}/seats", self.hall.path())).await.expect(200);
        let id = self.hall.seats[seat];
        map["seats"].as_array().unwrap().iter().find(|row| row["seat_id"] == id).cloned().unwrap_or_default()
    }

    async fn states(&self) -> Vec<String> {
        let map = self.operator.get(&format!("{}/seats", self.hall.path())).await.expect(200);
        map["seats"].as_array().unwrap().iter().map(|row| row["status"].as_str().unwrap().to_owned()).collect()
    }

    async fn hold(&self, seat: usize) {
        let buyer = self.server.buyer_with("buyer", 1_000_000).await;
        let token = buyer.enter(Some(self.hall.id())).await;
        buyer.hold(&token, self.hall.seats[seat]).await.expect(201);
    }
}

#[tokio::test]
async fn seats_are_added_by_ranges_once_they_were_looked_at() {
    let at = Seating::of(2).await;
    at.browser.open(&at.path).await.shows(200, &["Seats in all", "Add seats", "Floor", "Whole row", "Block…"]);
    at.browser.open(&format!("{}/add", at.path)).await.shows(200, &["Ranges of seats", "Without a price"]);
    let text = "Balcony, A-B, 1-3, VIP, 180000\nBalcony, C, 1 5, S";
    let shown = at.add(&[("key", &"k".repeat(16)), ("step", "look"), ("text", text)]).await;
    shown.shows(200, &["8 seats would be added", "₩180,000", "Add 8 seats"]);
    assert_eq!(at.states().await.len(), 2, "nothing is added by looking");
    let seen = shown.hidden("seen");
    let key = shown.hidden("key");
    // Another text than the one that was shown is shown first.
    let other = format!("{text}\nBalcony, D, 1, S");
    let again = at.add(&[("key", &key), ("seen", &seen), ("step", "add"), ("text", &other)]).await;
    again.shows(200, &["9 seats would be added"]);
    for _ in 0..2 {
        let added = at.add(&[("key", &key), ("seen", &seen), ("step", "add"), ("text", text)]).await;
        assert_eq!(added.leads_to(), format!("{}?did=add&count=8#did", at.path));
    }
    assert_eq!(at.states().await.len(), 10, "a form that is sent twice adds once");
    at.browser.open(&format!("{}?did=add&count=8", at.path)).await.shows(200, &["8 seats are added.", "Balcony"]);
    // What exists already is named, and not offered.
    let taken = at.add(&[("key", &"k".repeat(16)), ("step", "look"), ("text", text)]).await;
    taken.shows(200, &["8 of these seats exist already: Balcony, row A, seat 1"]);
    assert!(!taken.html.contains("Add 8 seats"), "{}", taken.html);
    let (key, seen) = (taken.hidden("key"), taken.hidden("seen"));
    let raced = at.add(&[("key", &key), ("seen", &seen), ("step", "add"), ("text", text)]).await;
    raced.shows(409, &["Balcony, row A, seat 1 exists already.", "Nothing was added."]);
    at.server.close().await;
}

#[tokio::test]
async fn seats_are_added_by_a_file_and_its_faults_have_lines_and_columns() {
    let at = Seating::of(2).await;
    let send_with = async |typed: &str, file: &str, bytes: &[u8]| {
        let mut body = Vec::new();
        let key = "k".repeat(16);
        for (name, value) in [("key", key.as_str()), ("seen", ""), ("step", "look"), ("text", typed)] {
            let part = format!("--bound\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(part.as_bytes());
        }
        let head = format!(
            "--bound\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{file}\"\r\nContent-Type: text/csv\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n--bound--\r\n");
        let answer = reqwest::Client::new()
            .post(format!("http://{}{}/add", at.server.address, at.path))
            .header("cookie", format!("frontrow-session={}", at.operator.secret()))
            .header("sec-fetch-site", "same-origin")
            .header("accept-language", "en")
            .header("content-type", "multipart/form-data; boundary=bound")
            .body(body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let send = async |file: &str, bytes: &[u8]| send_with("", file, bytes).await;
    // Ranges that were typed are kept, and no file takes their place unseen.
    for bytes in [b"\xb0\xa1,1,1".as_slice(), b"Floor,Z,1"] {
        let (status, html) = send_with("Balcony, A, 1-3", "hall.csv", bytes).await;
        assert_eq!(status, 422, "{html}");
        assert!(html.contains("Balcony, A, 1-3") && html.contains("not both"), "{html}");
    }
    let (status, html) =
        send("hall.csv", "\u{feff}section,row,number,grade,price\r\n2층,A,1,R,90000\r\n2층,A,2,R,90000\r\n".as_bytes())
            .await;
    assert_eq!(status, 200, "{html}");
    assert!(html.contains("2 seats would be added") && html.contains("2층,A,2,R,90000"), "{html}");
    let (status, html) = send("hall.csv", b"section,row,number,grade,price\nA,1,1,R,x\nA,1,1,R,\"5\n").await;
    assert_eq!(status, 422, "{html}");
    for fault in ["Line 2, column 9: Give whole won", "Line 3, column 9: A quotation mark isn", "A,1,1,R,x"] {
        assert!(html.contains(fault), "{fault} is not in {html}");
    }
    let (status, html) = send("hall.csv", b"\xb0\xa1,1,1").await;
    assert_eq!(status, 422, "{html}");
    assert!(html.contains("UTF-8"), "{html}");
    let (status, html) =
        send("hall.json", br#"[{"range":{"from":1,"to":3,"section":"B","grade":"S","price":5}}]"#).await;
    assert!(status == 200 && html.contains("3 seats would be added"), "{html}");
    let (status, html) = send("hall.csv", &b",".repeat(2_000_000)).await;
    assert!(status == 422 && html.contains("This has more than"), "{status}");
    assert!(html.len() < 100_000, "a file that is too long does not come back");
    for (text, fault) in [
        ("", "Line 1, column 1: No seats"),
        ("A,1,1\nA,1,1", "Line 2, column 1: A seat on this line is already on line 1"),
        ("A,1,9-3", "Line 1, column 5: Write a range"),
        ("A,1", "Give at least section"),
        ("A,1-1000,1-101", "At most 100,000 seats"),
    ] {
        at.add(&[("key", &"k".repeat(16)), ("step", "look"), ("text", text)]).await.shows(422, &[fault]);
    }
    // Without the key that the page gave, nothing is added.
    let shown = at.add(&[("key", &"k".repeat(16)), ("step", "look"), ("text", "A,1,1")]).await;
    let seen = shown.hidden("seen");
    assert_eq!(at.add(&[("seen", &seen), ("step", "add"), ("text", "A,1,1")]).await.status, 422);
    assert_eq!(at.states().await.len(), 2);
    at.server.close().await;
}

#[tokio::test]
async fn seats_are_blocked_with_a_reason_and_freed_again() {
    let at = Seating::of(6).await;
    at.hold(0).await;
    let choice = [("seat", at.id(0)), ("seat", at.id(1)), ("seats", format!("{}-{}", at.id(2), at.id(3)))];
    let choice: Vec<_> = choice.iter().map(|(name, id)| (*name, id.as_str())).chain([("act", "block")]).collect();
    let asked = at.ask(&choice).await;
    asked.shows(200, &["Block 3 seats?", "Left out", "One seat is held", "Floor, row A, seat 1", "row A, seat 2–4"]);
    // A reason is needed, and not too long.
    for reason in ["", "   ", &"x".repeat(501), "a\u{202e}b"] {
        at.confirm(&asked, &[("reason", reason)]).await.shows(422, &["Give a reason of 1 to 500 characters."]);
    }
    assert_eq!(at.states().await, ["held", "available", "available", "available", "available", "available"]);
    for _ in 0..2 {
        let done = at.confirm(&asked, &[("reason", "Camera")]).await;
        assert_eq!(done.leads_to(), format!("{}?did=block&count=3#did", at.path));
    }
    assert_eq!(at.states().await, ["held", "blocked", "blocked", "blocked", "available", "available"]);
    let about = at.browser.open(&format!("{}/about?seats={}-{}", at.path, at.id(0), at.id(4))).await;
    about.shows(200, &["Reason: Camera", "Blocked by Jiwoo Park", "row A, seat 2–4", "held 1", "free 1"]);
    at.ask(&[("seat", &at.id(1)), ("act", "look")]).await.shows(200, &["Reason: Camera"]);
    // Free: those that are free already are left out, also by the boxes of a whole row or section.
    for whole in ["row", "section"] {
        let asked = at.ask(&[(whole, &at.id(5)), ("act", "free")]).await;
        asked.shows(200, &["Free 3 seats?", "2 seats are free already", "One seat is held"]);
    }
    let asked = at.ask(&[("row", &at.id(5)), ("act", "free")]).await;
    at.confirm(&asked, &[("reason", "a\u{202e}b")]).await.shows(422, &["Give a reason of 1 to 500 characters."]);
    let why = [("reason", "The camera moved")];
    assert_eq!(at.confirm(&asked, &why).await.leads_to(), format!("{}?did=free&count=3#did", at.path));
    let log = format!("/operator/audit?object=concert+{}", at.path.split('/').nth(3).unwrap());
    at.browser.open(&log).await.shows(200, &["The camera moved"]);
    assert_eq!(at.states().await[1..], ["available"; 5]);
    // A row that has only held seats leaves nothing to do.
    at.ask(&[("seat", &at.id(0)), ("act", "free")]).await.shows(200, &["No seats are left."]);
    at.server.close().await;
}

#[tokio::test]
async fn a_seat_that_is_held_meanwhile_is_named_and_nothing_is_half_done() {
    let at = Seating::of(4).await;
    let all = format!("{}-{}", at.id(0), at.id(3));
    let asked = at.ask(&[("seats", &all), ("act", "block")]).await;
    asked.shows(200, &["Block 4 seats?", "Floor (all 4)"]);
    at.hold(2).await;
    let refused = at.confirm(&asked, &[("reason", "Camera")]).await;
    refused.shows(409, &["Floor, row A, seat 3 was held or sold meanwhile.", "Nothing was changed.", "Block 3 seats"]);
    refused.shows(409, &[r#"value="Camera""#, "Left out"]);
    assert_eq!(at.states().await, ["available", "available", "held", "available"]);
    // The form that came back leaves it out.
    let done = at.confirm_any(&refused, &[("reason", "Camera")]).await;
    assert_eq!(done.leads_to(), format!("{}?did=block&count=3#did", at.path));
    assert_eq!(at.states().await, ["blocked", "blocked", "held", "blocked"]);
    at.server.close().await;
}

#[tokio::test]
async fn prices_and_labels_change_and_only_what_was_changed() {
    let at = Seating::of(3).await;
    let both = format!("{}-{}", at.id(0), at.id(1));
    let asked = at.ask(&[("seats", &both), ("act", "change")]).await;
    asked.shows(200, &["Change 2 seats?", r#"name="grade" value="R""#, r#"name="section_name" value="Floor""#]);
    assert!(!asked.html.contains(r#"name="number""#), "{}", asked.html);
    let same = [("grade", "R"), ("section_name", "Floor"), ("row_name", "A")];
    let price = asked.hidden("price_before");
    let with = |change: &'static [(&'static str, &'static str)]| {
        let kept = same.iter().filter(|(name, _)| change.iter().all(|(other, _)| other != name)).copied();
        kept.chain(change.iter().copied()).collect::<Vec<_>>()
    };
    let nothing: Vec<_> = with(&[]).into_iter().chain([("price", price.as_str())]).collect();
    at.confirm(&asked, &nothing).await.shows(422, &["Change at least one field."]);
    let long = "x".repeat(41);
    for (field, value, fault) in [
        ("price", "-1", "Give whole won"),
        ("price", "1.5", "Give whole won"),
        ("price", "", "Give whole won"),
        ("price", "1000000000001", "Give whole won"),
        ("grade", long.as_str(), "Use at most 40 characters"),
        ("section_name", long.as_str(), "Use at most 40 characters"),
        ("row_name", "a\u{202e}b", "Use at most 40 characters"),
    ] {
        let mut fields: Vec<(&str, &str)> = with(&[]);
        fields.push(("price", &price));
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        at.confirm(&asked, &fields).await.shows(422, &[fault, "Nothing was changed."]);
    }
    let done = at.confirm(&asked, &with(&[("price", "99,000"), ("grade", "S")])).await;
    assert_eq!(done.leads_to(), format!("{}?did=change&count=2#did", at.path));
    let seat = at.seat(0).await;
    assert_eq!(
        (seat["price"].as_i64(), seat["grade"].as_str(), seat["row"].as_str()),
        (Some(99_000), Some("S"), Some("A"))
    );
    assert_eq!(at.seat(2).await["grade"], "R");
    // Seats that differ show an empty field, which leaves each as it is.
    let all = format!("{}-{}", at.id(0), at.id(2));
    let asked = at.ask(&[("seats", &all), ("act", "change")]).await;
    asked.shows(200, &[r#"name="grade" value="""#]);
    let done = at.confirm(&asked, &[("price", ""), ("grade", ""), ("section_name", "Floor"), ("row_name", "B")]).await;
    assert_eq!(done.status, 303, "{}", done.html);
    assert_eq!((at.seat(0).await["grade"].clone(), at.seat(2).await["row"].clone()), ("S".into(), "B".into()));
    // To raise the price of a seat that is on sale needs a reason.
    let asked = at.ask(&[("seat", &at.id(2)), ("act", "change")]).await;
    let dearer = [("price", "900000"), ("grade", "R"), ("section_name", "Floor"), ("row_name", "B"), ("number", "3")];
    at.confirm(&asked, &dearer).await.shows(422, &["A reason is missing", "Give a reason", r#"value="900000""#]);
    let why: Vec<_> = dearer.into_iter().chain([("reason", "Printed wrong")]).collect();
    assert_eq!(at.confirm(&asked, &why).await.status, 303);
    assert_eq!(at.seat(2).await["price"].as_i64(), Some(900_000));
    // One seat has a number of its own, which another may have.
    let asked = at.ask(&[("seat", &at.id(0)), ("act", "change")]).await;
    let one = [("price", "99000"), ("grade", "S"), ("section_name", "Floor"), ("row_name", "B")];
    let number = |number: &'static str| one.into_iter().chain([("number", number)]).collect::<Vec<_>>();
    at.confirm(&asked, &number("")).await.shows(422, &["Use 1 to 40 characters"]);
    at.confirm(&asked, &number("3")).await.shows(409, &["Floor, row B, seat 3 exists already."]);
    assert_eq!(at.confirm(&asked, &number("12A")).await.status, 303);
    assert_eq!(at.seat(0).await["number"], "12A");
    at.server.close().await;
}

#[tokio::test]
async fn seats_that_were_never_held_are_removed() {
    let at = Seating::of(3).await;
    let buyer = at.server.buyer_with("buyer", 1_000_000).await;
    let token = buyer.enter(Some(at.hall.id())).await;
    let held = buyer.hold(&token, at.hall.seats[0]).await.expect(201);
    let held = frontrow_testkit::id(&held, "reservation_id");
    buyer.delete(&format!("/reservations/{held}")).await;
    let asked = at.ask(&[("section", &at.id(1)), ("act", "remove")]).await;
    asked.shows(200, &["Remove 2 seats?", "One seat was held before", "Floor, row A, seat 1"]);
    // They are on sale: buyers lose them, so that a reason is needed.
    at.confirm(&asked, &[]).await.shows(422, &["A reason is missing", "Give a reason"]);
    assert_eq!(at.states().await.len(), 3);
    let why = [("reason", "The stage takes their place")];
    assert_eq!(at.confirm(&asked, &why).await.leads_to(), format!("{}?did=remove&count=2#did", at.path));
    assert_eq!(at.states().await.len(), 1);
    // Its form again is answered as before; a new one for seats that are gone says so.
    assert_eq!(at.confirm(&asked, &why).await.leads_to(), format!("{}?did=remove&count=2#did", at.path));
    at.ask(&[("seats", &format!("{}-{}", at.id(0), at.id(2))), ("act", "block")])
        .await
        .shows(200, &["2 chosen seats are no longer in this hall.", "Block one seat?"]);
    at.server.close().await;
}

#[tokio::test]
async fn bad_forms_change_nothing() {
    let at = Seating::of(2).await;
    let seat = at.id(0);
    let key = "k".repeat(16);
    for fields in [
        vec![("act", "block"), ("seats", seat.as_str()), ("reason", "x")],
        vec![("act", "block"), ("key", "short"), ("seats", &seat), ("reason", "x")],
        vec![("act", "explode"), ("key", &key), ("seats", &seat), ("reason", "x")],
        vec![("key", &key), ("seats", &seat), ("reason", "x")],
        vec![("act", "block"), ("key", &key), ("reason", "x")],
        vec![("act", "block"), ("key", &key), ("seats", &seat), ("seats", &seat), ("reason", "x")],
    ] {
        assert_eq!(at.set(&fields).await.status, 422, "{fields:?}");
    }
    for seats in ["x", "-1", "0", "2-1", "1-", "9007199254740993", "1;2"] {
        let answer = at.set(&[("act", "block"), ("key", &key), ("seats", seats), ("reason", "x")]).await;
        assert!([400, 422].contains(&answer.status), "{seats}: {}", answer.status);
        assert_eq!(at.ask(&[("act", "block"), ("seats", seats)]).await.status, 422, "{seats}");
        let about = at.browser.open(&format!("{}/about?seats={seats}", at.path)).await;
        assert_eq!(about.status, 400, "{seats}");
    }
    // Every id that there may be, and seats of another concert, are no seats of this hall.
    let other = at.server.hall(1).await.seats[0].to_string();
    for name in ["seats", "seat", "row", "section"] {
        at.ask(&[("act", "block"), (name, &other)])
            .await
            .shows(409, &["no longer in this hall", "Nothing was changed."]);
    }
    let answer = at.set(&[("act", "block"), ("key", &key), ("seats", &other), ("reason", "x")]).await;
    answer.shows(409, &["no longer in this hall"]);
    at.ask(&[("act", "block"), ("seats", "1-9007199254740991")]).await.shows(200, &["Block 2 seats?"]);
    assert_eq!(at.ask(&[("act", "block")]).await.leads_to(), at.path);
    assert_eq!(at.browser.open("/operator/concerts/999/seats").await.status, 404);
    assert_eq!(at.browser.open(&format!("{}/ask", at.path)).await.leads_to(), at.path);
    assert_eq!(at.states().await, ["available", "available"]);
    // A field that is there twice has no value.
    for field in ["act", "reason", "price", "grade_before"] {
        let mut fields = vec![("act", "change"), ("key", &*key), ("seats", &*seat), ("price", "5"), (field, "block")];
        fields.push((field, "free"));
        assert_eq!(at.set(&fields).await.status, 422, "{field}");
    }
    assert_eq!(at.ask(&[("act", "free"), ("act", "block"), ("seats", &seat)]).await.status, 422);
    for field in ["text", "seen", "step"] {
        let fields = [("key", &*key), ("step", "look"), ("text", "Box,,1"), ("seen", ""), (field, "look")];
        assert_eq!(at.add(&fields).await.status, 422, "{field}");
    }
    let raw =
        format!("{}&reason=%ff", frontrow_testkit::form_body(&[("act", "block"), ("key", &key), ("seats", &seat)]));
    let answer = at.browser.send_with(&format!("{}/set", at.path), raw, &[("sec-fetch-site", "same-origin")]).await;
    assert_eq!(answer.status, 422);
    // One that the form does not have changes nothing.
    let fields =
        [("act", "change"), ("key", &*key), ("seats", &*seat), ("grade_before", "R"), ("section_before", "Floor")];
    at.set(&fields).await.shows(422, &["Change at least one field."]);
    // Another site's form does nothing.
    let body = frontrow_testkit::form_body(&[("act", "block"), ("key", &key), ("seats", &seat), ("reason", "x")]);
    let answer = at.browser.send_with(&format!("{}/set", at.path), body, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(answer.status, 403);
    at.server.close().await;
}

#[tokio::test]
async fn a_viewer_sees_the_seats_and_changes_nothing_and_a_buyer_learns_nothing() {
    let at = Seating::of(2).await;
    let viewer = browser(&at.server, &at.server.viewer().await).speaking("en");
    let page = viewer.open(&at.path).await;
    page.shows(200, &["Seats in all", "Details"]);
    assert!(!page.html.contains("Block…") && !page.html.contains("Add seats"), "{}", page.html);
    let fields = [("act", "block"), ("key", &*"k".repeat(16)), ("seats", &*at.id(0)), ("reason", "x")];
    for path in ["set", "ask", "add"] {
        let sent = viewer.send(&format!("{}/{path}", at.path), &fields).await;
        assert_eq!(sent.status, 403, "{path}");
    }
    assert_eq!(viewer.open(&format!("{}/add", at.path)).await.status, 403);
    // Of what a viewer must not send nothing is read, and of a choice to be looked at not much.
    let long = "1,".repeat(64 * 1_024);
    let mut fields = vec![("act", "look"), ("seats", &*long)];
    for (path, status) in [("ask", 413), ("set", 403), ("add", 403)] {
        assert_eq!(viewer.send(&format!("{}/{path}", at.path), &fields).await.status, status, "{path}");
    }
    fields.extend(vec![("x", ""); 5_000]);
    assert_eq!(viewer.send(&format!("{}/add", at.path), &fields).await.status, 403);
    viewer.send(&format!("{}/ask", at.path), &[("act", "look"), ("seat", &at.id(0))]).await.shows(200, &["free 1"]);
    let buyer = browser(&at.server, &at.server.buyer("buyer").await);
    for path in ["", "/about", "/add"] {
        assert_eq!(buyer.open(&format!("{}{path}", at.path)).await.status, 403, "{path}");
    }
    assert_eq!(at.states().await, ["available", "available"]);
    at.server.close().await;
}
