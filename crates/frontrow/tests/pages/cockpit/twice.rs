//! Forms of concerts that are sent twice by a double tap: they do a thing once, and answer alike. Another form with the same
//! key is refused.

use crate::support::browser;
use frontrow_testkit::{Browser, Client, LoadedPage, Server, items};
use serde_json::{Value, json};

/// An operator's browser, and what became of their concerts.
struct Twice {
    server: Server,
    operator: Client,
    browser: Browser,
}

impl Twice {
    async fn open() -> Self {
        let server = Server::start().await;
        let operator = server.operator().await;
        let browser = browser(&server, &operator).speaking("en");
        Self { server, operator, browser }
    }

    async fn acts(&self) -> usize {
        items(&self.operator.get("/operator/audit?limit=100").await.expect(200)).len()
    }

    async fn concert(&self) -> Value {
        self.operator.get("/operator/concerts/1").await.expect(200)["concert"].clone()
    }

    /// Sends the form of a page twice, and once more with another value in a field.
    async fn send(&self, path: &str, fields: &[(&str, &str)], other: (&str, &str)) -> LoadedPage {
        let page = self.browser.open(path).await;
        let page = page.shows(200, &["name=\"key\""]);
        let hidden = ["key", "basis"].map(|name| {
            let is_there = page.html.contains(&format!("name=\"{name}\""));
            (name, if is_there { page.hidden(name) } else { String::new() })
        });
        let hidden = || hidden.iter().map(|(name, value)| (*name, value.as_str()));
        let all: Vec<_> = fields.iter().copied().chain(hidden()).collect();
        let before = self.acts().await;
        let (first, second) = (self.browser.send(path, &all).await, self.browser.send(path, &all).await);
        assert_eq!((first.leads_to(), self.acts().await), (second.leads_to(), before + 1), "{path}");
        let others: Vec<_> = all.iter().filter(|(name, _)| *name != other.0).copied().chain([other]).collect();
        let reused = self.browser.send(path, &others).await;
        assert!(reused.status == 303 || reused.status == 422, "{path}: {}", reused.html);
        assert_eq!(self.acts().await, before + 1, "{path}: another form with the key does nothing");
        first
    }
}

fn what() -> Vec<(&'static str, &'static str)> {
    vec![
        ("title", "Midnight Tide"),
        ("artist", "Midnight Tide"),
        ("venue", "Hangang Hall"),
        ("time_zone", "Asia/Seoul"),
        ("concert_date", "2027-03-01"),
        ("start_time", "20:00"),
        ("end_time", "22:30"),
        ("fold", ""),
        ("base_price", "120000"),
    ]
}

#[tokio::test]
async fn each_step_of_the_first_concert_is_taken_once() {
    let twice = Twice::open().await;
    let step = |name: &str| format!("/operator/start/1/{name}");
    twice.send("/operator/start", &what(), ("venue", "Another hall")).await;
    let seats = [("section", "Floor"), ("rows", "A"), ("numbers", "1-10"), ("grade", ""), ("price", "")];
    twice.send(&step("seats"), &seats, ("numbers", "11-20")).await;
    let room = [("room", "own"), ("own_room_max_active", "30"), ("admit_per_minute", "600")];
    twice.send(&step("room"), &room, ("own_room_max_active", "40")).await;
    let set = twice.operator.get("/operator/rooms/1").await.expect(200);
    assert_eq!((&set["max_active"], &set["admit_per_minute"]), (&json!(30), &json!(600)));
    twice.send(&step("room"), &room[1..2], ("own_room_max_active", "40")).await;
    let opening = [("opens_at", "2027-02-01T18:00"), ("closes_at", "")];
    twice.send(&step("opening"), &opening, ("opens_at", "2027-02-02T18:00")).await;
    twice.send(&step("look"), &[], ("more", "x")).await;
    assert_eq!(twice.concert().await["status"], "scheduled");
    twice.server.close().await;
}

#[tokio::test]
async fn a_concert_is_made_changed_stopped_and_cancelled_once_by_a_form_that_is_sent_twice() {
    let twice = Twice::open().await;
    let whole = [&what()[..], &[("opens_at", "2027-01-01T18:00"), ("closes_at", "")]].concat();
    twice.send("/operator/concerts/new", &whole, ("artist", "Another artist")).await;
    let seats = json!({ "range": { "from": 1, "to": 5 } });
    twice.operator.post("/operator/concerts/1/seats", &seats).await.expect(201);
    let edit = "/operator/concerts/1/edit";
    let changed: Vec<_> =
        whole.iter().map(|field| if field.0 == "title" { ("title", "Ebb") } else { *field }).collect();
    twice.send(edit, &changed, ("title", "Flow")).await;
    assert_eq!(twice.concert().await["title"], "Ebb");
    let act = |name: &str| format!("/operator/concerts/1/act/{name}");
    for (name, fields, status) in [
        ("close", &[("status_reason", "A storm."), ("reason", "")][..], "closed"),
        ("resume", &[], "scheduled"),
        ("postpone", &[("status_reason", "A storm."), ("reason", "")], "postponed"),
        ("cancel", &[("status_reason", "The singer is ill.")], "cancelled"),
        ("refund-all", &[], "cancelled"),
    ] {
        twice.send(&act(name), fields, ("status_reason", "Another reason.")).await;
        assert_eq!(twice.concert().await["status"], status, "{name}");
    }
    twice.server.close().await;
}

#[tokio::test]
async fn what_stops_a_sale_is_changed_once_by_the_form_that_asked_again() {
    let twice = Twice::open().await;
    let whole = [&what()[..], &[("opens_at", "2027-01-01T18:00"), ("closes_at", "")]].concat();
    twice.send("/operator/concerts/new", &whole, ("artist", "Another artist")).await;
    let edit = "/operator/concerts/1/edit";
    let page = twice.browser.open(edit).await;
    let closed = [&what()[..], &[("opens_at", "2027-01-01T18:00"), ("closes_at", "2027-01-10T18:00")]].concat();
    let based = |page: &LoadedPage| ["key", "basis"].map(|name| (name, page.hidden(name)));
    let hidden = based(&page);
    let sent: Vec<_> =
        closed.iter().copied().chain(hidden.iter().map(|(name, value)| (*name, value.as_str()))).collect();
    let asked = twice.browser.send(edit, &sent).await;
    let (hidden, sure) = (based(&asked), asked.hidden("sure"));
    let mut sent: Vec<_> =
        closed.iter().copied().chain(hidden.iter().map(|(name, value)| (*name, value.as_str()))).collect();
    sent.extend([("sure", sure.as_str()), ("reason", "The hall is evacuated.")]);
    let before = twice.acts().await;
    for _ in 0..2 {
        assert_eq!(twice.browser.send(edit, &sent).await.leads_to(), "/operator/concerts/1");
    }
    assert_eq!(twice.acts().await, before + 1);
    twice.server.close().await;
}

#[tokio::test]
async fn of_two_operators_the_second_cancels_and_refunds_nothing_unseen() {
    let twice = Twice::open().await;
    let hall = twice.server.hall(1).await;
    let path = format!("/operator{}", hall.path());
    let status = async || twice.operator.get(&path).await.expect(200)["concert"].clone();
    let send = async |page: &LoadedPage, name: &str| {
        let hidden = ["key", "basis"].map(|name| (name, page.hidden(name)));
        let mut all: Vec<_> = hidden.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.push(("status_reason", "The singer is ill."));
        twice.browser.send(&format!("{path}/act/{name}"), &all).await
    };
    for name in ["cancel", "refund-all"] {
        let page = twice.browser.open(&format!("{path}/act/{name}")).await;
        twice.operator.patch(&path, &json!({ "title": name })).await.expect(200);
        let back = send(&page, name).await;
        back.shows(412, &["It has changed meanwhile"]);
        let now = status().await;
        assert!(now["status"] == if name == "cancel" { "scheduled" } else { "cancelled" }, "{now}");
        assert_eq!(now["refund_all_at"], Value::Null);
        send(&back, name).await.leads_to();
    }
    assert!(status().await["refund_all_at"].is_string());
    twice.server.close().await;
}
