//! Lanes: the sentence on every waiting page, and the forms of operators for budgets, weights, lanes and their guests.

use crate::support::{browser, hidden, key, new_key, says, shown};
use frontrow_testkit::{Browser, Server, eventually, id, items};
use reqwest::Method;
use serde_json::{Value, json};

/// What a form says beside a field that was left empty.
const NOT_SAID: &str = "적어 주세요.";

/// A lane to open, with the reason why.
fn lane_draft(kind: &str, share_percent: i64) -> Value {
    json!({ "kind": kind, "share_percent": share_percent, "reason": "후원사 초대" })
}

#[tokio::test]
async fn every_waiting_page_says_in_one_sentence_what_lanes_there_are() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(0)).await;
    let operator = server.operator().await;
    let lanes = format!("/operator/rooms/{}/lanes", hall.id());
    let lane = operator.post(&lanes, &lane_draft("invitation", 20)).await.expect(201);
    let (guest, buyer) = (server.buyer("guest").await, server.buyer("buyer").await);
    let guests = format!("/operator/rooms/{}/guests", id(&lane, "room_id"));
    operator.post(&guests, &json!({ "user_id": guest.user })).await.expect(204);
    let path = format!("{}/line", hall.path());
    let (guest, buyer) = (browser(&server, &guest), browser(&server, &buyer));
    let of_guest = guest.send(&path, &[("key", &new_key(&server))]).await.leads_to().to_owned();
    let of_buyer = buyer.send(&path, &[("key", &new_key(&server))]).await.leads_to().to_owned();
    let sentence = "초대 관객은 자리의 20%를 배정받은 별도의 줄에 서며, 한쪽 줄에 남는 자리는 다른 줄로 갑니다.";
    says(&guest.open(&of_guest).await, &["초대 관객 줄에 서 있습니다.", sentence], &[]);
    says(&buyer.open(&of_buyer).await, &[sentence], &["초대 관객 줄에 서 있습니다."]);
    operator.post(&lanes, &lane_draft("accessibility", 10)).await.expect(201);
    let both = "Invited guests have a line of their own with 20% of the places, and visitors with accessibility needs one \
                with 10%; places that one line doesn’t need go to the others.";
    says(&Browser::at(&server).open(&of_buyer).await, &[both], &[]);
    // The concert's own page says it to all visitors.
    eventually("the page is made anew", async || {
        let page = Browser::at(&server).open(&hall.path()).await;
        shown(&page).contains(both).then_some(())
    })
    .await;
    // The guest's own place is found from the concert.
    assert_eq!(guest.open(&path).await.leads_to(), of_guest.split('?').next().unwrap());
    server.close().await;
}

#[tokio::test]
async fn operators_set_budget_and_weight_by_forms_that_say_what_is_wrong() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(5)).await;
    let operator = server.operator().await;
    let desk = browser(&server, &operator);
    let room = format!("/operator/rooms/{}", hall.id());
    says(&desk.open("/operator/rooms/0").await, &["전체 정원", "가중치"], &["전체 정원 없애기"]);
    for (path, field, wrong, right) in [
        ("/operator/rooms/0/budget".to_owned(), "house_budget", "0", "40"),
        (format!("{room}/weight"), "weight", "101", "3"),
    ] {
        let form = desk.open(&path).await;
        let refused = desk.send(&path, &[("key", &key(&form)), (field, wrong), ("reason", "비")]).await;
        assert_eq!(refused.status, 422, "{}", refused.html);
        let form = desk.open(&path).await;
        let done = desk.send(&path, &[("key", &key(&form)), (field, right), ("reason", "결제사 한도")]).await;
        assert!(done.leads_to().starts_with("/operator/rooms/"), "{}", done.html);
    }
    assert_eq!(operator.get("/operator/rooms/0").await.expect(200)["house_budget"], json!(40));
    assert_eq!(operator.get(&room).await.expect(200)["weight"], json!(3));
    let end = "/operator/rooms/0/budget/end";
    let form = desk.open(end).await;
    desk.send(end, &[("key", &key(&form)), ("reason", "끝")]).await;
    assert_eq!(operator.get("/operator/rooms/0").await.expect(200)["house_budget"], json!(null));
    server.close().await;
}

#[tokio::test]
async fn operators_open_a_lane_and_put_accounts_on_its_list_by_forms() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(5)).await;
    let (operator, guest) = (server.operator().await, server.buyer("김민지").await);
    let (desk, looks) = (browser(&server, &operator), browser(&server, &server.viewer().await));
    let room = format!("/operator/rooms/{}", hall.id());
    says(&desk.open(&room).await, &["별도의 줄", "별도의 줄이 없습니다."], &[]);
    let path = format!("{room}/lanes");
    let form = desk.open(&path).await;
    let refused = desk.send(&path, &[("key", &key(&form)), ("share_percent", "51")]).await;
    refused.shows(422, &["누구를 위한 줄인지 골라 주세요.", "1에서 50 사이의 수를 입력해 주세요.", NOT_SAID]);
    let fields = [("kind", "accessibility"), ("share_percent", "15")];
    let form = desk.open(&path).await;
    let key_of = key(&form);
    let silent = desk.send(&path, &[("key", &key_of), fields[0], fields[1]]).await;
    silent.shows(422, &["value=\"15\"", NOT_SAID]);
    let key_of = key(&silent);
    desk.send(&path, &[("key", &key_of), fields[0], fields[1], ("reason", "휠체어석 관객")]).await.leads_to();
    let lane = eventually("the lane is there", async || {
        let rooms = operator.get("/operator/rooms").await.expect(200);
        items(&rooms).iter().find(|room| !room["lane"].is_null()).map(|room| id(room, "room_id"))
    })
    .await;
    says(&desk.open(&room).await, &["접근성 지원", "15%"], &["별도의 줄이 없습니다."]);
    let log = format!("/operator/audit?object=room+{}", hall.id());
    let lane = format!("/operator/rooms/{lane}");
    let page = desk.open(&lane).await;
    says(&page, &["의 접근성 지원 줄", "명단에 계정이 없습니다.", "설정을 그대로 따릅니다."], &[]);
    // What was done with the lane, and why, is on its page, which leads to the log of its line.
    says(&page, &["휠체어석 관객", "별도의 줄 설정", &log], &[]);
    let share = format!("{lane}/lane");
    let form = desk.open(&share).await;
    desk.send(&share, &[("key", &key(&form)), ("share_percent", "10")]).await.shows(422, &[NOT_SAID]);
    let form = desk.open(&share).await;
    desk.send(&share, &[("key", &key(&form)), ("share_percent", "10"), ("reason", "신청이 적음")]).await.leads_to();
    says(&desk.open(&lane).await, &["10%", "신청이 적음"], &[]);
    let guests = format!("{lane}/guests");
    let form = desk.open(&guests).await;
    let unknown = desk.send(&guests, &[("key", &key(&form)), ("email", "nobody@frontrow.example")]).await;
    unknown.shows(422, &["이 주소를 쓰는 계정이 없습니다."]);
    let email = guest.get("/users/me").await.expect(200)["email"].as_str().unwrap().to_owned();
    let form = desk.open(&guests).await;
    desk.send(&guests, &[("key", &key(&form)), ("email", &email)]).await.leads_to();
    says(&looks.open(&lane).await, &["김민지", &email], &["명단에 계정 넣기"]);
    let end = format!("{lane}/lane/end");
    let form = desk.open(&end).await;
    says(&form, &["이제부터 명단에 있는 계정도 일반 줄에 섭니다.", "name=\"reason\""], &[]);
    desk.send(&end, &[("key", &key(&form))]).await.shows(422, &[NOT_SAID]);
    let form = desk.open(&end).await;
    desk.send(&end, &[("key", &key(&form)), ("reason", "신청 마감")]).await.leads_to();
    says(&desk.open(&lane).await, &["새로 서지 못함", "다시 설 수 있게 하기", "신청 마감"], &[]);
    // To open it again takes nothing from anyone: the form asks for no reason.
    let reopen = format!("{lane}/lane/reopen");
    let form = desk.open(&reopen).await;
    says(&form, &["명단에 있는 계정이 다시 이 줄에 섭니다."], &["name=\"reason\""]);
    desk.send(&reopen, &[("key", &key(&form))]).await.leads_to();
    says(&desk.open(&lane).await, &["새로 서지 못하게 하기"], &[]);
    server.close().await;
}

#[tokio::test]
async fn a_list_of_a_lane_that_is_longer_than_its_table_says_so() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(5)).await;
    let operator = server.operator().await;
    let lanes = format!("/operator/rooms/{}/lanes", hall.id());
    let lane = id(&operator.post(&lanes, &lane_draft("invitation", 20)).await.expect(201), "room_id");
    let path = format!("/operator/rooms/{lane}");
    let desk = browser(&server, &operator);
    let cut = "이 줄에 설 수 있는 계정: 50개만 보입니다. 명단에는 더 있습니다.";
    for n in 0..51 {
        let guest = server.buyer(&format!("guest {n}")).await;
        operator.post(&format!("{path}/guests"), &json!({ "user_id": guest.user })).await.expect(204);
        if n == 49 {
            says(&desk.open(&path).await, &["이 줄에 설 수 있는 계정"], &[cut]);
        }
    }
    says(&desk.open(&path).await, &[cut], &[]);
    server.close().await;
}

#[tokio::test]
async fn the_form_of_a_room_that_shares_has_its_cap_and_sends_no_lower_one() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(200)).await;
    let operator = server.operator().await;
    let desk = browser(&server, &operator);
    // A room has a share while tokens demand places of it.
    server.buyer("buyer").await.enter(Some(hall.id())).await;
    let budget = json!({ "house_budget": 40, "reason": "결제사 한도" });
    operator.patch("/operator/rooms/0", &budget).await.expect(200);
    let room = format!("/operator/rooms/{}", hall.id());
    let places =
        eventually("the room has a share", async || operator.get(&room).await.expect(200)["allotment"].as_i64()).await;
    assert!(places <= 40, "{places}");
    let sale = format!("{}/sale", hall.path().replacen("/concerts", "/operator/concerts", 1));
    for path in [&room, &sale] {
        let page = desk.open(path).await;
        says(
            &page,
            &["name=\"max_active\" inputmode=\"numeric\" autocomplete=\"off\" maxlength=\"20\" value=\"200\""],
            &[],
        );
        assert_eq!(hidden(&page, "was_max_active")[0], "200", "{path}");
        // A form that is sent as it came, with another message alone.
        let [version, was_gate] = ["version", "was_gate"].map(|name| hidden(&page, name).remove(0));
        let fields = [
            ("key", key(&page)),
            ("version", version),
            ("was_gate", was_gate),
            ("was_max_active", "200".to_owned()),
            ("max_active", "200".to_owned()),
            ("message", format!("곧 엽니다 {path}")),
            ("act", "apply".to_owned()),
        ];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        desk.send(&format!("{path}/settings"), &fields).await.leads_to();
        let set = operator.get(&room).await.expect(200);
        assert_eq!((&set["max_active"], &set["message"]), (&json!(200), &json!(format!("곧 엽니다 {path}"))));
    }
    // The moments of the sale have both numbers.
    let moment = operator.call_at(Method::GET, &format!("{sale}/history")).send().await.expect(200);
    let shown = &moment["screen"]["room"];
    assert_eq!(shown["max_active"], json!(200));
    assert!(shown["places"].as_i64().is_some_and(|places| places <= 40), "{shown}");
    server.close().await;
}
