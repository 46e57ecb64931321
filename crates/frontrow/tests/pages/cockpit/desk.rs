//! The screen of a sale: who sees it, and every field of the form that moves its line. A room's page has the same form.

use crate::support::{browser, hidden, key, says};
use frontrow_testkit::{Browser, Client, Hall, LoadedPage, PRICE, Server, form_body, items};
use reqwest::Method;
use serde_json::{Value, json};

/// A sale, its operator and their browser.
struct Desk {
    server: Server,
    hall: Hall,
    operator: Client,
    browser: Browser,
    path: String,
    /// The address that the form is sent to.
    action: String,
}

impl Desk {
    async fn open() -> Self {
        let server = Server::start().await;
        let hall = server.hall(3).await;
        let operator = server.operator().await;
        let browser = browser(&server, &operator);
        let path = format!("/operator/concerts/{}/sale", hall.id());
        let action = format!("{path}/settings");
        Self { server, hall, operator, browser, path, action }
    }

    /// The page of the house room, which leads to the sale.
    async fn in_house_room() -> Self {
        Self::in_room(Self::open().await)
    }

    /// The page of the room of a concert that has its own.
    async fn in_own_room() -> Self {
        let desk = Self::open().await;
        let hall = desk.server.hall_like(3, |draft| draft.own_room_max_active = Some(100)).await;
        Self::in_room(Self { hall, ..desk })
    }

    fn in_room(desk: Self) -> Self {
        let path = format!("/operator/rooms/{}", desk.hall.concert.room_id);
        Self { action: format!("{path}/settings"), path, ..desk }
    }

    async fn page(&self) -> LoadedPage {
        self.browser.open(&self.path).await
    }

    /// The room as the API has it.
    async fn room(&self) -> Value {
        self.operator.get(&self.room_path()).await.expect(200)
    }

    fn room_path(&self) -> String {
        format!("/operator/rooms/{}", self.hall.concert.room_id)
    }

    async fn set(&self, change: Value) {
        self.operator.patch(&self.room_path(), &change).await.expect(200);
    }

    /// Sends the form of a page with other values in some fields.
    async fn send(&self, page: &LoadedPage, act: &str, changed: &[(&str, &str)]) -> LoadedPage {
        self.send_as(&self.browser, page, act, changed).await
    }

    async fn send_as(&self, sender: &Browser, page: &LoadedPage, act: &str, changed: &[(&str, &str)]) -> LoadedPage {
        let value = |name: &str| hidden(page, name).pop().map(|value| unescaped(&value)).unwrap_or_default();
        let names = ["key", "version", "was_gate", "was_max_active", "was_admit_per_minute", "was_message"];
        let mut fields: Vec<(String, String)> = names.iter().map(|name| ((*name).to_owned(), value(name))).collect();
        for (name, was) in
            [("max_active", "was_max_active"), ("admit_per_minute", "was_admit_per_minute"), ("message", "was_message")]
        {
            fields.push((name.to_owned(), value(was)));
        }
        fields.extend([("reason".to_owned(), String::new()), ("act".to_owned(), act.to_owned())]);
        for (name, value) in changed {
            match fields.iter_mut().find(|(known, _)| known == name) {
                Some(field) => (*value).clone_into(&mut field.1),
                None => fields.push(((*name).to_owned(), (*value).to_owned())),
            }
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        sender.send(&self.action, &fields).await
    }

    /// The newest entry of the audit log.
    async fn entry(&self) -> Value {
        items(&self.operator.get("/operator/audit?limit=1").await.expect(200))[0].clone()
    }
}

/// What is meant by a value as it stands in a page.
fn unescaped(value: &str) -> String {
    [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")]
        .iter()
        .fold(value.to_owned(), |text, (escaped, sign)| text.replace(escaped, sign))
}

/// Sends what a page that asks again has in its hidden fields, and a reason.
async fn confirm(desk: &Desk, page: &LoadedPage, reason: &str) -> LoadedPage {
    let act = hidden(page, "act").remove(0);
    let fields =
        ["max_active", "admit_per_minute", "message", "consent"].map(|name| (name, unescaped(&hidden(page, name)[0])));
    let mut fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fields.push(("reason", reason));
    desk.send(page, &act, &fields).await
}

#[tokio::test]
async fn a_sale_is_shown_to_those_who_may_see_it_with_its_figures_to_the_seat_and_the_won() {
    let desk = Desk::open().await;
    let buyer = desk.server.buyer_with("buyer", 1_000_000).await;
    buyer.buy(desk.hall.seats[0]).await;
    let other = desk.server.buyer("other").await;
    let token = other.enter(Some(desk.hall.id())).await;
    other.hold(&token, desk.hall.seats[1]).await.expect(201);
    desk.server.buyer("third").await.join(Some(desk.hall.id())).await;
    let price = format!("{},000원", PRICE / 1_000);
    let texts = ["Midnight Tide", &price, "줄 멈추기", "잡힘 1 · 남은 좌석 1", "매진 예상", "지금 확인할 것", "서버"];
    says(&desk.page().await, &texts, &["줄 멈춤</span> <", "스크립트 오류"]);
    // A viewer sees all of it, and nothing to press.
    let viewer = browser(&desk.server, &desk.server.viewer().await);
    says(
        &viewer.open(&desk.path).await,
        &["Midnight Tide", &price, "줄을 움직일 수 없습니다"],
        &["줄 멈추기</button>", "method=\"post\""],
    );
    let stranger = Browser::at(&desk.server).open(&desk.path).await;
    assert_eq!(stranger.leads_to(), format!("/sign-in?next={}", desk.path.replace('/', "%2F")));
    let buyer = browser(&desk.server, &buyer).open(&desk.path).await;
    assert_eq!(buyer.status, 403);
    assert!(!buyer.html.contains("Midnight Tide"));
    assert_eq!(desk.browser.open("/operator/concerts/999/sale").await.status, 404);
    desk.server.close().await;
}

#[tokio::test]
async fn the_line_is_paused_once_the_operator_has_read_what_happens_and_said_why() {
    paused_with_a_reason(Desk::open().await).await;
    paused_with_a_reason(Desk::in_house_room().await).await;
}

async fn paused_with_a_reason(desk: Desk) {
    // What is half typed in the other fields, or wrong there, does not keep the line from being paused.
    let typed = [("message", "잠시 멈춥니다 <b>"), ("max_active", "1o0")];
    let asked = desk.send(&desk.page().await, "pause", &typed).await;
    says(&asked, &["줄을 멈출까요?", "새 차례가 나가지 않습니다", "열림 → 멈춤"], &["<b>\"", "없음 → 잠시"]);
    assert_eq!(desk.room().await["gate"], "open", "nothing has happened yet");
    let again = confirm(&desk, &asked, " ").await;
    again.shows(422, &["사유를 적어야 합니다"]);
    let done = confirm(&desk, &again, "음향 점검").await;
    let twice = confirm(&desk, &again, "음향 점검").await;
    says(&twice, &["아직 적용하지 않고", "잠시 멈춥니다 &#60;b&#62;</textarea>"], &[]);
    // The gate alone has changed, and what was typed is still there.
    says(&done, &["아직 적용하지 않고", "잠시 멈춥니다 &#60;b&#62;</textarea>", "value=\"1o0\""], &[]);
    let room = desk.room().await;
    assert_eq!((&room["gate"], &room["message"]), (&json!("paused"), &Value::Null));
    let entry = desk.entry().await;
    assert_eq!(entry["detail"]["reason"], "음향 점검");
    assert_eq!(entry["detail"]["gate"], json!({ "from": "open", "to": "paused" }));
    // The screen says so, and offers the way back, which takes nothing from anyone.
    let page = desk.page().await;
    let buttons = ["value=\"pause\" disabled", "value=\"open\">줄 다시 열기", "음향 점검", "줄: 열림 → 멈춤"];
    says(&page, &buttons, &["value=\"pause\">줄 멈추기", "value=\"open\" disabled"]);
    assert_eq!(desk.send(&page, "open", &[]).await.leads_to(), format!("{}?applied", desk.path));
    assert_eq!(desk.room().await["gate"], "open");
    desk.server.close().await;
}

#[tokio::test]
async fn a_line_that_another_operator_has_paused_is_neither_paused_again_nor_opened_unseen() {
    neither_paused_again_nor_opened_unseen(Desk::open().await).await;
    neither_paused_again_nor_opened_unseen(Desk::in_own_room().await).await;
}

async fn neither_paused_again_nor_opened_unseen(desk: Desk) {
    let second = browser(&desk.server, &desk.server.operator_named("이수연").await);
    let (old, seen) = (desk.page().await, second.open(&desk.path).await);
    let asked = desk.send_as(&second, &seen, "pause", &[]).await;
    let fields = [("consent", "given"), ("reason", "화재 경보")];
    assert_eq!(desk.send_as(&second, &asked, "pause", &fields).await.status, 303);
    // The script has put the new version into the form: the press comes too late all the same.
    let version = hidden(&desk.page().await, "version").remove(0);
    let now = [("version", version.as_str()), ("message", "곧 엽니다")];
    for changed in [&now[..], &now[1..]] {
        let back = desk.send(&old, "pause", changed).await;
        back.shows(422, &["이미 멈춰 있습니다", "곧 엽니다</textarea>"]);
    }
    let back = desk.send(&old, "open", &now).await;
    back.shows(412, &["그사이 설정이 바뀌었습니다", "이수연", "곧 엽니다</textarea>"]);
    assert_eq!(desk.room().await["gate"], "paused");
    // Who has seen it may open it, by one tap or two.
    for _ in 0..2 {
        assert_eq!(desk.send(&back, "open", &[]).await.status, 303);
    }
    desk.send(&back, "open", &[("key", "another-form-0123456789")]).await.shows(422, &["이미 열려 있습니다"]);
    desk.server.close().await;
}

#[tokio::test]
async fn the_pages_of_a_concert_lead_to_each_other() {
    let desk = Desk::open().await;
    let concert = format!("/operator/concerts/{}", desk.hall.id());
    let parts = ["", "/sale", "/seats", "/ready", "/rehearsal", "/door-list"].map(|part| format!("{concert}{part}"));
    for here in &parts {
        let page = desk.browser.open(here).await;
        for part in &parts {
            let mark = if part == here { " aria-current=\"page\"" } else { "" };
            says(&page, &[&format!("<a href=\"{part}\"{mark}>")], &[]);
        }
        says(&page, &[&format!("/operator/payments?concert={}\"", desk.hall.id())], &[]);
    }
    desk.server.close().await;
}

#[tokio::test]
async fn what_is_typed_is_applied_and_a_form_that_is_sent_twice_is_applied_once() {
    applied_once(Desk::open().await).await;
    applied_once(Desk::in_house_room().await).await;
    applied_once(Desk::in_own_room().await).await;
}

async fn applied_once(desk: Desk) {
    let page = desk.page().await;
    let typed = [
        ("max_active", " 1,200 "),
        ("admit_per_minute", "90"),
        ("message", "  1인 4매까지\r\n예매합니다 "),
        ("reason", "현장 요청"),
    ];
    for _ in 0..2 {
        assert_eq!(desk.send(&page, "apply", &typed).await.leads_to(), format!("{}?applied", desk.path));
    }
    let room = desk.room().await;
    assert_eq!(
        (&room["max_active"], &room["admit_per_minute"], &room["message"]),
        (&json!(1_200), &json!(90), &json!("1인 4매까지 예매합니다"))
    );
    let log = desk.operator.get("/operator/audit?limit=100").await.expect(200);
    assert_eq!(items(&log).iter().filter(|entry| entry["action"] == "room.set").count(), 1);
    // Another form is no second tap: with a key of its own it comes too late, with the same key it is refused.
    let other = [("message", "곧 엽니다"), ("reason", "현장 요청")];
    desk.send(&page, "apply", &[&other[..], &[("key", "another-form-0123456789")]].concat())
        .await
        .shows(412, &["그사이 설정이 바뀌었습니다"]);
    assert_eq!(desk.send(&page, "apply", &other).await.status, 422);
    assert_eq!(desk.room().await["updated_at"], room["updated_at"]);
    // Empty fields remove.
    let page = desk.page().await;
    assert_eq!(desk.send(&page, "apply", &[("admit_per_minute", ""), ("message", " ")]).await.status, 303);
    let room = desk.room().await;
    assert_eq!((&room["admit_per_minute"], &room["message"]), (&Value::Null, &Value::Null));
    desk.send(&desk.page().await, "apply", &[]).await.shows(422, &["바뀐 것이 없습니다"]);
    desk.server.close().await;
}

#[tokio::test]
async fn every_field_that_cannot_be_comes_back_with_what_was_typed_and_why() {
    faults_come_back(Desk::open().await).await;
    faults_come_back(Desk::in_house_room().await).await;
}

async fn faults_come_back(desk: Desk) {
    let page = desk.page().await;
    let long = "가".repeat(501);
    for (name, bad, why) in [
        ("max_active", "", "0부터 1,000,000까지의 수"),
        ("max_active", "-1", "0부터 1,000,000까지의 수"),
        ("max_active", "1000001", "0부터 1,000,000까지의 수"),
        ("max_active", "많이", "0부터 1,000,000까지의 수"),
        ("max_active", "1.5", "0부터 1,000,000까지의 수"),
        ("admit_per_minute", "-1", "1부터 1,000,000까지의 수"),
        ("admit_per_minute", "1000001", "1부터 1,000,000까지의 수"),
        ("admit_per_minute", "<b>", "1부터 1,000,000까지의 수"),
        ("message", &long, "500자까지, 한 줄로"),
        ("message", "evil\u{202e}", "500자까지, 한 줄로"),
        ("reason", &long, "500자까지 적어"),
        ("reason", "a\u{0}b", "500자까지 적어"),
    ] {
        let back = desk
            .send(&page, "apply", &[(name, bad), ("max_active", if name == "max_active" { bad } else { "77" })])
            .await;
        back.shows(422, &[why, "고칠 것이 있습니다", "aria-invalid=\"true\""]);
        if name != "max_active" {
            assert!(back.html.contains("value=\"77\""), "what else was typed stays: {}", back.html);
        }
    }
    assert!(
        !desk.room().await["max_active"].is_null() && desk.entry().await["action"] != "room.set",
        "nothing was changed"
    );
    // Characters that cannot be read, and fields that are there twice, are no field that was left out.
    for (name, label) in [("message", "안내"), ("reason", "사유")] {
        let back = desk.send(&page, "apply", &[(name, "\u{fffd}"), ("max_active", "77")]).await;
        back.shows(422, &[label, "글자를 읽을 수 없습니다", "aria-invalid=\"true\"", "value=\"77\""]);
    }
    let (key, version) = (key(&page), hidden(&page, "version").remove(0));
    let sound = [("key", &*key), ("version", &*version), ("act", "apply"), ("max_active", "77"), ("reason", "x")];
    let action = &desk.action;
    for raw in ["message=%ff", "message=a&message=b", "reason=y", "max_active=5", "was_gate=%ff", "consent=&consent="] {
        let body = format!("{}&{raw}", form_body(&sound));
        let back = desk.browser.send_with(action, body, &[("sec-fetch-site", "same-origin")]).await;
        assert_eq!(back.status, 422, "{raw}: {}", back.html);
    }
    assert_ne!(desk.entry().await["action"], "room.set");
    assert_eq!(desk.browser.open(action).await.leads_to(), desk.path, "a reload of the form’s address");
    // Fields that no person fills in.
    for (name, bad) in [("key", "short"), ("version", "x"), ("act", "explode")] {
        assert_eq!(
            desk.send(&page, if name == "act" { bad } else { "apply" }, &[(name, bad), ("max_active", "7")])
                .await
                .status,
            422,
            "{name}"
        );
    }
    let foreign = [("sec-fetch-site", "cross-site")];
    let body = form_body(&[("key", &key), ("act", "pause")]);
    assert_eq!(desk.browser.send_with(action, body, &foreign).await.status, 403);
    desk.server.close().await;
}

#[tokio::test]
async fn settings_that_would_stop_the_sale_ask_again_and_a_rate_of_0_is_answered_by_a_pause() {
    stops_are_asked_about(Desk::open().await).await;
    stops_are_asked_about(Desk::in_house_room().await).await;
    stops_are_asked_about(Desk::in_own_room().await).await;
}

async fn stops_are_asked_about(desk: Desk) {
    let asked = desk.send(&desk.page().await, "apply", &[("max_active", "0"), ("reason", "화재 경보")]).await;
    says(&asked, &["동시 입장을 0으로 할까요?", "이미 받은 차례도 쓸 수 없습니다", "value=\"화재 경보\""], &[]);
    assert_ne!(desk.room().await["max_active"], 0);
    assert_eq!(confirm(&desk, &asked, "화재 경보").await.status, 303);
    assert_eq!(desk.room().await["max_active"], 0);
    desk.set(json!({ "max_active": 50 })).await;
    let asked = desk.send(&desk.page().await, "apply", &[("admit_per_minute", "0")]).await;
    says(&asked, &["줄을 멈출까요?", "분당 0명은 없습니다", "열림 → 멈춤"], &[]);
    assert_eq!(confirm(&desk, &asked, "화재 경보").await.status, 303);
    let room = desk.room().await;
    assert_eq!((&room["gate"], &room["admit_per_minute"]), (&json!("paused"), &Value::Null));
    // Less for buyers without a stop asks for the reason alone, and only if there is none.
    desk.set(json!({ "gate": "open" })).await;
    let asked = desk.send(&desk.page().await, "apply", &[("max_active", "10")]).await;
    says(&asked, &["사유를 적어 주세요", "50 → 10"], &["줄을 멈출까요?"]);
    assert_eq!(confirm(&desk, &asked, "좁은 로비").await.status, 303);
    assert_eq!(
        desk.send(&desk.page().await, "apply", &[("max_active", "5"), ("reason", "더 좁은 로비")]).await.status,
        303
    );
    assert_eq!(desk.send(&desk.page().await, "apply", &[("max_active", "40")]).await.status, 303, "more needs none");
    desk.server.close().await;
}

#[tokio::test]
async fn of_two_operators_the_second_sees_what_the_first_has_done_before_anything_is_overwritten() {
    nothing_is_overwritten_unseen(Desk::open().await).await;
    nothing_is_overwritten_unseen(Desk::in_house_room().await).await;
}

async fn nothing_is_overwritten_unseen(desk: Desk) {
    let second = browser(&desk.server, &desk.server.operator_named("이수연").await);
    let (old, seen) = (desk.page().await, second.open(&desk.path).await);
    let first = desk.send_as(&second, &seen, "apply", &[("max_active", "300")]).await;
    assert_eq!(first.status, 303);
    // What the first has set is shown, with its name; what the second has typed stays beside it.
    let back = desk.send(&old, "apply", &[("message", "곧 엽니다")]).await;
    back.shows(412, &["그사이 설정이 바뀌었습니다", "이수연", "→ 300", "곧 엽니다"]);
    assert_eq!(hidden(&back, "was_max_active"), ["300"], "a field that was not touched has the new value");
    assert_eq!(desk.room().await["message"], Value::Null);
    assert_eq!(desk.send(&back, "apply", &[("message", "곧 엽니다")]).await.status, 303);
    let room = desk.room().await;
    assert_eq!((&room["max_active"], &room["message"]), (&json!(300), &json!("곧 엽니다")));
    // Who confirms something old is asked once more.
    let asked = desk.send(&desk.page().await, "pause", &[("reason", "점검")]).await;
    desk.set(json!({ "max_active": 400 })).await;
    let again = confirm(&desk, &asked, "점검").await;
    again.shows(412, &["줄을 멈출까요?", "그사이 설정이 바뀌었습니다"]);
    assert_eq!(desk.room().await["gate"], "open");
    assert_eq!(confirm(&desk, &again, "점검").await.status, 303);
    assert_eq!(desk.room().await["gate"], "paused");
    desk.server.close().await;
}

#[tokio::test]
async fn a_viewer_reads_everything_and_moves_nothing() {
    let desk = Desk::open().await;
    let (page, viewer) = (desk.page().await, desk.server.viewer().await);
    let browser = browser(&desk.server, &viewer);
    let (room, settings) = (desk.hall.concert.room_id, [("act", "pause"), ("reason", "왜"), ("consent", "given")]);
    let seen = browser.open(&format!("/operator/rooms/{room}")).await;
    says(
        &seen,
        &["줄을 움직일 수 없습니다", "실제 대기 시간과 비교한 안내가 없습니다"],
        &["method=\"post\" action=\"/operator/rooms"],
    );
    assert_eq!(browser.send(&format!("/operator/rooms/{room}/settings"), &settings).await.status, 403);
    for act in ["pause", "apply", "preview"] {
        assert_eq!(
            desk.send_as(&browser, &page, act, &[("max_active", "7"), ("reason", "왜")]).await.status,
            403,
            "{act}"
        );
    }
    for feed in ["history", "preview?max_active=7"] {
        viewer.call_at(Method::GET, &format!("{}/{feed}", desk.path)).send().await.expect(200);
    }
    assert_ne!(desk.room().await["max_active"], 7);
    desk.server.close().await;
}

#[tokio::test]
async fn a_preview_says_what_a_change_does_and_when_it_cannot_know() {
    let desk = Desk::open().await;
    let preview = async |query: &str| {
        let answer =
            desk.operator.call_at(Method::GET, &format!("{}/preview?{query}", desk.path)).send().await.expect(200);
        answer["text"].as_str().unwrap().to_owned()
    };
    assert!(preview("max_active=300").await.contains("아직 알 수 없습니다"), "{}", preview("max_active=300").await);
    assert!(preview("max_active=0").await.contains("새 차례가 나가지 않습니다"));
    assert!(preview("").await.contains("속도는 그대로"));
    assert!(preview("max_active=many").await.contains("0부터 1,000,000까지"));
    assert!(preview("admit_per_minute=0").await.contains("분당 0명은 없습니다"));
    // Without a script, by a button.
    let page = desk.send(&desk.page().await, "preview", &[("max_active", "300")]).await;
    says(&page, &["아직 알 수 없습니다", "value=\"300\""], &[]);
    assert_ne!(desk.room().await["max_active"], 300);
    desk.server.close().await;
}

#[tokio::test]
async fn a_line_by_itself_is_moved_on_its_rooms_page_which_says_nothing_of_seats() {
    // Given a box office without a concert, whose house room leads to another shop.
    let server = Server::start().await;
    let operator = server.operator().await;
    let browser = browser(&server, &operator);
    let send = async |page: &LoadedPage, fields: &[(&str, &str)]| {
        let was = ["key", "version", "was_gate", "was_max_active", "was_admit_per_minute", "was_message"]
            .map(|name| (name, unescaped(&hidden(page, name)[0])));
        let was = was.iter().map(|(name, value)| (*name, value.as_str()));
        let fields: Vec<_> = was.chain(fields.iter().copied()).collect();
        browser.send("/operator/rooms/0/settings", &fields).await
    };
    let page = browser.open("/operator/rooms/0").await;
    says(&page, &["공용 대기열", "줄 멈추기", "미리 보기", "이 대기열을 쓰는 예정 공연이 없습니다"], &["매진"]);
    // When more are to come in: when the line is empty cannot be known yet, and nothing is said of seats.
    let shown = send(&page, &[("act", "preview"), ("max_active", "5000")]).await;
    says(&shown, &["줄이 비는 시각은 아직 알 수 없습니다", "value=\"5000\""], &["매진"]);
    let asked = send(&page, &[("act", "pause")]).await;
    says(&asked, &["줄을 멈출까요?", "이미 들어온 0명은 그대로 있고"], &["좌석", "결제할 수"]);
    let done = send(&page, &[("act", "apply"), ("max_active", "5000"), ("message", "곧 엽니다")]).await;
    assert_eq!(done.leads_to(), "/operator/rooms/0?applied");
    says(&browser.open(done.leads_to()).await, &["적용했습니다", "곧 엽니다", "→ 5,000"], &[]);
    // Then the room has it, and the page of a room that there is not has no form.
    let room = operator.get("/operator/rooms/0").await.expect(200);
    assert_eq!((&room["max_active"], &room["message"]), (&json!(5_000), &json!("곧 엽니다")));
    assert_eq!(browser.open("/operator/rooms/9").await.status, 404);
    let unknown = browser.send("/operator/rooms/9/settings", &[("key", &key(&page)), ("act", "pause")]).await;
    assert_eq!(unknown.status, 404);
    server.close().await;
}

#[tokio::test]
async fn the_stream_brings_moments_and_acts_and_ends_with_the_session() {
    let desk = Desk::open().await;
    let other = desk.server.operator_named("이수연").await;
    let events = |client: &Client| client.call_at(Method::GET, &format!("{}/events", desk.path));
    let mut stream = events(&desk.operator).events().await;
    let first = stream.expect("screen").await.data;
    assert_eq!((&first["state"], &first["seats"]["available"]), (&json!("on_sale"), &json!(3)));
    assert_eq!((&first["room"]["gate"], &first["own_only"]), (&json!("open"), &json!(false)));
    // The act of another operator is there within moments, with its name.
    let change = json!({ "max_active": 321, "message": "안내" });
    other.patch(&desk.room_path(), &change).await.expect(200);
    let screen =
        stream.until("the new cap", |event| event.name == "screen" && event.data["room"]["max_active"] == 321).await;
    assert_ne!(screen.data["room"]["version"], first["room"]["version"]);
    let of_room =
        |event: &frontrow_testkit::StreamEvent| event.name == "audit" && event.data.to_string().contains("321");
    let mut again = events(&desk.operator).events().await;
    let act = again.until("the act", of_room).await.data;
    let act = act.as_array().unwrap().last().unwrap();
    assert_eq!(act["who"], "이수연");
    assert!(
        act["what"].as_str().unwrap().contains("→ 321") && act["mark"].as_str().unwrap().contains("→ 321"),
        "{act}"
    );
    // By asking, the same.
    let history =
        desk.operator.call_at(Method::GET, &format!("{}/history?since=0", desk.path)).send().await.expect(200);
    assert_eq!(history["screen"]["room"]["version"], screen.data["room"]["version"]);
    assert!(history["columns"]["at"].is_array() && history["audit"].to_string().contains("이수연"));
    // Others get nothing.
    events(&desk.server.buyer("buyer").await).send().await.problem(403, "forbidden");
    events(&desk.server.anonymous()).send().await.problem(401, "unauthorized");
    desk.operator.call_at(Method::GET, "/operator/concerts/999/sale/events").send().await.problem(404, "not_found");
    // A sign-out ends the stream.
    desk.operator.delete("/sessions/current").await.expect(204);
    while stream.next().await.is_some() {}
    desk.server.close().await;
}
