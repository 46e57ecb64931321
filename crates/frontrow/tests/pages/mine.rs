//! What is the visitor's own: held seats, places, tickets, refunds, points.

use crate::support::{browser, holding, key, new_key, says};
use frontrow_testkit::{Browser, PRICE, Server};
use serde_json::json;

#[tokio::test]
async fn what_a_buyer_has_stands_on_one_page_and_nothing_of_anyone_else() {
    let server = Server::start().await;
    let (hall, other) = (
        server.hall(3).await,
        server
            .hall_like(2, |draft| {
                draft.title = "종이등".to_owned();
                draft.own_room_max_active = Some(0);
            })
            .await,
    );
    let (buyer, stranger) = (server.buyer_with("buyer", 500_000).await, server.buyer_with("stranger", 500_000).await);
    let browser = browser(&server, &buyer);
    let empty = browser.open("/mine").await;
    says(&empty, &["아직 예매한 것이 없습니다", "500,000원", "/account"], &["다가오는 공연"]);
    stranger.buy(hall.seats[2]).await;
    buyer.buy(hall.seats[0]).await;
    holding(&buyer, &hall, &[1]).await;
    stranger.join(Some(other.id())).await;
    let place = buyer.join(Some(other.id())).await["token"].as_str().unwrap().to_owned();
    let page = browser.open("/mine").await;
    let texts = [
        "잡아 둔 좌석: Midnight Tide",
        "A열 2번",
        "data-left=\"300000\"",
        &format!("{}/pay", hall.path()),
        &format!("href=\"/line/{place}\">종이등"),
        "내 앞에 1명",
        "다가오는 공연",
        &format!("{}/tickets", hall.path()),
        "A열 1번",
        "400,000원",
    ];
    says(&page, &texts, &["A열 3번", "지난 공연", "아직 예매한"]);
    server.advance(100 * 86_400);
    let english = Browser::at(&server);
    let again = server.buyer("again").await;
    english.set_cookie("frontrow-session", again.secret());
    says(&english.open("/mine").await, &["You haven’t booked anything yet.", "₩0"], &[]);
    let session = Browser::at(&server).open("/mine").await;
    assert_eq!(session.leads_to(), "/sign-in?next=%2Fmine");
    server.close().await;
}

#[tokio::test]
async fn a_refund_says_its_sum_and_its_last_moment_first_and_is_done_once() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", 500_000).await;
    let browser = browser(&server, &buyer);
    let (reservation, payment) = buyer.buy(hall.seats[0]).await;
    let path = format!("/payments/{payment}/refund");
    let page = browser.open(&path).await;
    let texts = [
        "환불할까요?",
        "100,000원</p>",
        "2027년 3월 14일 (일) 오후 8:00 전까지 전액",
        "A열 1번",
        &format!("<dd>{reservation}</dd>"),
        "되돌릴 수 없습니다",
        "100,000원 환불하기",
        "400,000원",
    ];
    says(&page, &texts, &[]);
    assert_eq!(buyer.balance().await, 400_000, "asking is not refunding");
    browser.send(&path, &[]).await.shows(422, &["아무것도 바뀌지 않았습니다", "100,000원 환불하기"]);
    let same_key = key(&page);
    for key in [&same_key, &same_key, &new_key(&server)] {
        assert_eq!(browser.send(&path, &[("key", key)]).await.leads_to(), path);
    }
    assert_eq!(buyer.balance().await, 500_000);
    says(&browser.open(&path).await, &["환불했습니다", "전액을 잔액으로", "500,000원"], &["환불하기</button>"]);
    let list = browser.open("/mine/payments").await;
    says(&list, &["Midnight Tide", "2027년 1월 15일 (금) 오후 5:00 환불"], &[]);
    server.close().await;
}

#[tokio::test]
async fn a_refund_after_its_time_and_one_of_another_user_are_refused() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let (buyer, thief) = (server.buyer_with("buyer", 500_000).await, server.buyer("thief").await);
    let operator = server.operator().await;
    let (_, payment) = buyer.buy(hall.seats[0]).await;
    let path = format!("/payments/{payment}/refund");
    // An operator refunds in another place than on this page.
    for client in [&thief, &operator] {
        let other = browser(&server, client);
        other.open(&path).await.shows(404, &["찾는 화면이 없습니다"]);
        other.send(&path, &[("key", &new_key(&server))]).await.shows(404, &[]);
        other.open(&format!("{}/tickets", hall.path())).await.shows(404, &[]);
    }
    browser(&server, &buyer).open("/payments/999/refund").await.shows(404, &[]);
    assert_eq!(buyer.balance().await, 500_000 - PRICE);
    let postpone = json!({ "concert_date": "2027-01-16", "reason": "The roof leaks." });
    operator.patch(&format!("/operator{}", hall.path()), &postpone).await.expect(200);
    server.advance(5 * 3_600);
    let browser = browser(&server, &buyer);
    let page = browser.open(&path).await;
    says(&page, &["환불은 2027년 1월 15일 (금) 오후 8:00에 마감되었습니다"], &["환불하기</button>"]);
    let answer = browser.send(&path, &[("key", &new_key(&server))]).await;
    answer.shows(409, &["환불할 수 있는 시간이 지났습니다"]);
    assert_eq!(buyer.balance().await, 500_000 - PRICE);
    server.close().await;
}

#[tokio::test]
async fn points_have_their_history_page_by_page() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", 500_000).await;
    let browser = browser(&server, &buyer);
    let (_, payment) = buyer.buy(hall.seats[0]).await;
    browser.send(&format!("/payments/{payment}/refund"), &[("key", &new_key(&server))]).await.leads_to();
    for _ in 0..58 {
        buyer.top_up(1).await;
    }
    let first = browser.open("/mine/points").await;
    says(&first, &["500,058원", "충전", "+1원", "잔액 500,058원", "더 보기", "name=\"amount\""], &["처음으로"]);
    let link = regex::Regex::new(r#"href="(/mine/points\?cursor=[^"]+)""#).unwrap();
    let link = link.captures(&first.html).unwrap()[1].to_owned();
    let second = browser.open(&link).await;
    let texts =
        ["예매 결제", "-100,000원", "+100,000원", &format!("/payments/{payment}/refund"), "+500,000원", "처음으로"];
    says(&second, &texts, &["더 보기", "name=\"amount\""]);
    browser.open("/mine/points?cursor=x").await.shows(400, &["다시 확인해 주세요"]);
    let payments = browser.open("/mine/payments?limit=1").await;
    says(&payments, &["더 보기"], &[]);
    server.close().await;
}
