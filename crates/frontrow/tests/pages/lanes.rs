//! Lanes: the sentence on every waiting page, and the forms of operators for budgets, weights, lanes and their guests.

use crate::support::{browser, key, new_key, says};
use frontrow_testkit::{Browser, Server, eventually, id, items};
use serde_json::json;

#[tokio::test]
async fn every_waiting_page_says_in_one_sentence_what_lanes_there_are() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(0)).await;
    let operator = server.operator().await;
    let lanes = format!("/operator/rooms/{}/lanes", hall.id());
    let lane = operator.post(&lanes, &json!({ "kind": "invitation", "share_percent": 20 })).await.expect(201);
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
    operator.post(&lanes, &json!({ "kind": "accessibility", "share_percent": 10 })).await.expect(201);
    let both = "Invited guests have a line of their own with 20% of the places, and visitors with accessibility needs one \
                with 10%; places that one line doesn’t need go to the others.";
    says(&Browser::at(&server).open(&of_buyer).await, &[both], &[]);
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
    refused.shows(422, &["누구를 위한 줄인지 골라 주세요.", "1에서 50 사이의 수를 입력해 주세요."]);
    let fields = [("kind", "accessibility"), ("share_percent", "15")];
    let form = desk.open(&path).await;
    let key_of = key(&form);
    desk.send(&path, &[("key", &key_of), fields[0], fields[1]]).await.leads_to();
    let lane = eventually("the lane is there", async || {
        let rooms = operator.get("/operator/rooms").await.expect(200);
        items(&rooms).iter().find(|room| !room["lane"].is_null()).map(|room| id(room, "room_id"))
    })
    .await;
    says(&desk.open(&room).await, &["접근성 지원", "15%"], &["별도의 줄이 없습니다."]);
    let lane = format!("/operator/rooms/{lane}");
    says(&desk.open(&lane).await, &["의 접근성 지원 줄", "명단에 계정이 없습니다.", "설정을 그대로 따릅니다."], &[]);
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
    desk.send(&end, &[("key", &key(&form))]).await.leads_to();
    says(&desk.open(&lane).await, &["새로 서지 못함", "다시 설 수 있게 하기"], &[]);
    server.close().await;
}
