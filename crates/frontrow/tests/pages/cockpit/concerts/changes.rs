//! A concert that is made at once, its changes, and what stops a sale.

use super::{Fields, english, fill, is_at_fault, what, with};
use crate::support::says;
use frontrow_testkit::{LoadedPage, Server, id, items};
use serde_json::{Value, json};

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
    let asked = send(&mine).await;
    asked.shows(422, &["see the new hour and place"]);
    mine.extend([("sure", asked.hidden("sure")), ("reason", "The roof leaks.".to_owned())]);
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
    // What those who have bought were told is not changed without a word either.
    for (changed, words) in [
        (("venue", "Another hall"), "see the new hour and place"),
        (("closes_at", "2027-02-01T12:00"), "it closes later"),
    ] {
        let asked = send(&page, &[changed]).await;
        asked.shows(422, &["This is what happens", words, "name=\"sure\""]);
        let sure = asked.hidden("sure");
        is_at_fault(&send(&asked, &[changed, ("sure", &sure)]).await, "reason");
    }
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
