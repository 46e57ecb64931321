//! Paying for held seats: the sums, the top-up on the way, the tickets, and everything that can go wrong.

use crate::support::{Paying, browser, hidden, holding, key, new_key, says};
use frontrow_domain::{
    command::Command,
    decide::decide_all,
    id::{Position, RoomId, TokenId},
    sale::AgeRating,
    time::Span,
    user::Caller,
};
use frontrow_service::{drafts::DetailsDraft, testing};
use frontrow_storage::Store as _;
use frontrow_testkit::{Browser, PRICE, START, Server, fixture::request, id};
use serde_json::json;

#[tokio::test]
async fn two_seats_are_paid_by_one_button_and_the_tickets_have_what_one_needs_on_the_day() {
    let server = Server::start().await;
    let hall = server
        .hall_like(3, |draft| {
            draft.details = Some(DetailsDraft {
                address: Some(Some("서울 영등포구 여의도로 1".to_owned())),
                doors_minutes: Some(Some(60)),
                running_minutes: Some(Some(150)),
                age_rating: Some(Some(AgeRating::From12)),
                organiser_contact: Some(Some("02-000-0000".to_owned())),
                ..DetailsDraft::default()
            });
        })
        .await;
    let paying = Paying::of(server, hall, 500_000, &[0, 1]).await;
    let Paying { server, hall, buyer, browser, held, .. } = &paying;
    server.advance(30);
    let page = paying.page().await;
    let texts = [
        "Floor A열 1번",
        "Floor A열 2번",
        "합계 2매",
        "<dd>200,000원</dd>",
        "<dd>500,000원</dd>",
        "<dt>결제 뒤 잔액</dt><dd>300,000원</dd>",
        "오후 5:05:00까지 내 자리입니다",
        "data-left=\"270000\"",
        "4:30",
        "2027년 3월 14일 (일) 오후 8:00 전까지 전액 환불할 수 있습니다.",
        "200,000원 결제하기",
    ];
    says(&page, &texts, &["모자란"]);
    assert_eq!((hidden(&page, "reservation"), hidden(&page, "token")), (held.clone(), vec![paying.token.clone()]));
    let key = key(&page);
    // A double click: both are answered alike, and the points are taken once.
    let (one, two) = tokio::join!(paying.send(&key), paying.send(&key));
    assert_eq!((one.leads_to(), two.leads_to()), (two.leads_to(), one.leads_to()));
    let tickets = browser.open(one.leads_to()).await;
    let texts = [
        "예매를 마쳤습니다",
        "Midnight Tide: The First Night",
        "2027년 3월 15일 (월) 오후 8:00",
        "<dt>예매자</dt><dd>buyer</dd>",
        "<dt>입장 시작</dt><dd>오후 7:00</dd>",
        "<dt>공연 시간</dt><dd>2시간 30분 (인터미션 포함)</dd>",
        "12세 이상 관람가",
        "Hangang Hall, Seoul",
        "서울 영등포구 여의도로 1",
        "Floor A열 1번",
        "Floor A열 2번",
        &format!("예매 번호 {}", held[0]),
        "2027년 1월 15일 (금) 오후 5:00 결제",
        "합계 2매",
        "02-000-0000",
        &format!("{}/calendar.ics", hall.path()),
        "300,000원",
        "전까지 전액 환불할 수 있습니다",
    ];
    says(&tickets, &texts, &[]);
    assert_eq!(buyer.balance().await, 300_000);
    // Sent again after all was over: the same answer. The page itself has nothing left to pay.
    assert_eq!(paying.send(&key).await.leads_to(), one.leads_to());
    says(&paying.page().await, &["결제할 좌석이 없습니다"], &["결제하기</button>"]);
    assert_eq!(buyer.balance().await, 300_000);
    let english = Browser::at(server);
    english.set_cookie("frontrow-session", buyer.secret());
    let tickets = english.open(&format!("{}/tickets", hall.path())).await;
    says(
        &tickets,
        &["Your tickets", "Floor, row A, seat 1", "₩100,000", "Doors open", "7:00 pm", "Booked by"],
        &["원</"],
    );
    paying.server.close().await;
}

#[tokio::test]
async fn a_balance_that_is_too_low_is_topped_up_on_the_way_with_the_hold_still_there() {
    let paying = Paying::with(30_000).await;
    let Paying { server, hall, buyer, browser, path, .. } = &paying;
    let page = paying.page().await;
    let texts =
        ["70,000원이 모자랍니다", "<dt>모자란 금액</dt><dd>70,000원</dd>", "value=\"70000\"", "이 화면으로 돌아옵니다"];
    says(&page, &texts, &["원 결제하기"]);
    // Paying all the same is refused on the page, and nothing is taken.
    paying.send(&new_key(server)).await.shows(402, &["잔액이 모자랍니다", "70,000원이 모자랍니다"]);
    assert_eq!(buyer.balance().await, 30_000);
    let (key, next) = (key(&page), hidden(&page, "next").remove(0));
    assert_eq!(next, *path);
    // What is typed comes back, with the field named; nothing is added.
    for bad in ["", "0", "-5", "많이", "70000.5", "10000001", "99999999999999999999"] {
        let fields = [("key", key.as_str()), ("next", &next), ("amount", bad)];
        let answer = browser.send("/points/top-up", &fields).await;
        let value = format!("value=\"{bad}\"");
        answer.shows(422, &["id=\"amount-why\"", "1원부터 10,000,000원까지", "aria-invalid=\"true\"", &value]);
        assert_eq!(hidden(&answer, "next"), [path.as_str()]);
    }
    browser.send("/points/top-up", &[("next", &next), ("amount", "5")]).await.shows(422, &["value=\"5\""]);
    assert_eq!(buyer.balance().await, 30_000);
    let fields = [("key", key.as_str()), ("next", &next), ("amount", "70,000원")];
    for _ in 0..2 {
        assert_eq!(browser.send("/points/top-up", &fields).await.leads_to(), *path);
    }
    assert_eq!(buyer.balance().await, 100_000);
    let elsewhere = [("key", &*new_key(server)), ("next", "//evil.example/"), ("amount", "1")];
    assert_eq!(browser.send("/points/top-up", &elsewhere).await.leads_to(), "/");
    let page = paying.page().await;
    says(&page, &["<dt>결제 뒤 잔액</dt><dd>1원</dd>"], &["모자란"]);
    let paid = paying.send(&crate::support::key(&page)).await;
    assert!(paid.leads_to().starts_with(&format!("{}/tickets", hall.path())));
    paying.server.close().await;
}

#[tokio::test]
async fn a_box_office_that_tops_up_itself_says_so_instead_of_a_form() {
    let server = Server::with(&[("--top-up-policy", "operator")]).await;
    let hall = server.hall(1).await;
    let buyer = server.buyer("buyer").await;
    let browser = browser(&server, &buyer);
    holding(&buyer, &hall, &[0]).await;
    for path in [format!("{}/pay", hall.path()), "/points/top-up".to_owned(), "/mine/points".to_owned()] {
        says(&browser.open(&path).await, &["충전은 예매처에서 합니다"], &["name=\"amount\""]);
    }
    let fields = [("key", &*new_key(&server)), ("amount", "1000")];
    browser.send("/points/top-up", &fields).await.shows(403, &["여기에서는 충전할 수 없습니다"]);
    server.close().await;
}

#[tokio::test]
async fn a_hold_that_runs_out_in_front_of_the_buyer_is_not_paid_and_the_page_says_so() {
    let paying = Paying::with(500_000).await;
    let page = paying.page().await;
    paying.server.advance(301);
    let refused = paying.send(&key(&page)).await;
    refused.shows(409, &["좌석을 잡아 둔 시간이 끝났습니다", "결제할 좌석이 없습니다"]);
    assert_eq!(paying.buyer.balance().await, 500_000);
    let tickets = format!("{}/tickets", paying.hall.path());
    paying.browser.open(&tickets).await.shows(404, &["찾는 화면이 없습니다"]);
    paying.server.close().await;
}

#[tokio::test]
async fn what_was_paid_in_one_tab_is_shown_as_paid_by_the_other() {
    let paying = Paying::with(500_000).await;
    let (one, two) = (paying.page().await, paying.page().await);
    assert_ne!(key(&one), key(&two));
    for (page, end) in [(one, "/tickets?new=yes"), (two, "/tickets")] {
        assert!(paying.send(&key(&page)).await.leads_to().ends_with(end));
    }
    assert_eq!(paying.buyer.balance().await, 500_000 - PRICE);
    paying.server.close().await;
}

#[tokio::test]
async fn a_hold_that_was_given_up_in_another_tab_is_not_taken_for_a_payment() {
    let paying = Paying::with(500_000).await;
    let page = paying.page().await;
    let (other_tab, key_there) = (format!("/holds/{}/release", paying.held[0]), new_key(&paying.server));
    paying.browser.send(&other_tab, &[("key", &key_there)]).await.leads_to();
    paying.send(&key(&page)).await.shows(409, &["이미 끝난 예매입니다", "결제할 좌석이 없습니다"]);
    assert_eq!(paying.buyer.balance().await, 500_000);
    paying.server.close().await;
}

#[tokio::test]
async fn tickets_that_were_all_refunded_say_so() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", 500_000).await;
    let browser = browser(&server, &buyer);
    let (_, payment) = buyer.buy(hall.seats[0]).await;
    browser.send(&format!("/payments/{payment}/refund"), &[("key", &new_key(&server))]).await.leads_to();
    let page = browser.open(&format!("{}/tickets", hall.path())).await;
    says(&page, &["모두 환불했습니다", "Midnight Tide", "href=\"/mine/payments\""], &["예매 번호", "환불하기"]);
    server.close().await;
}

#[tokio::test]
async fn a_payment_with_a_token_of_a_line_that_is_being_read_again_is_asked_to_come_back_soon() {
    let (server, store) = Server::with_store(&[]).await;
    let hall = server.hall(1).await;
    let paying = Paying::of(server, hall, 500_000, &[0]).await;
    let position = paying.buyer.position(&paying.token).await["position"].as_i64().unwrap();
    let row = store.token(TokenId { room_id: RoomId::HOUSE, position: Position(position) }).await.unwrap().unwrap();
    // Another process renews the line. This one does not know the new line yet.
    let renew = request(Caller::System, Command::RenewLine { room_id: RoomId::HOUSE });
    store.transact(vec![renew].into(), decide_all).await.unwrap();
    let renewed = testing::keyring(&paying.server.app().office).sign(&row, 2);
    let paying = Paying { token: renewed, ..paying };
    let answer = paying.send(&new_key(&paying.server)).await;
    assert_eq!(answer.status, 503, "{}", answer.html);
    assert!(answer.header("retry-after").is_some() && !answer.html.contains("이 줄의 순번이 아닙니다"));
    drop(store);
    paying.server.close().await;
}

#[tokio::test]
async fn a_sum_that_one_top_up_cannot_add_is_added_in_parts() {
    let server = Server::with(&[("--top-up-max", "60000")]).await;
    let hall = server.hall(1).await;
    let buyer = server.buyer("buyer").await;
    let browser = browser(&server, &buyer);
    holding(&buyer, &hall, &[0]).await;
    let path = format!("{}/pay", hall.path());
    let page = browser.open(&path).await;
    says(&page, &["100,000원이 모자랍니다", "value=\"60000\"", "나머지를 이어서 충전해 주세요"], &[]);
    let (key, next) = (key(&page), hidden(&page, "next").remove(0));
    let add = async |amount: &str, key: &str| {
        browser.send("/points/top-up", &[("key", key), ("next", &next), ("amount", amount)]).await
    };
    assert_eq!(add("60000", &key).await.leads_to(), path);
    says(&browser.open(&path).await, &["40,000원이 모자랍니다", "value=\"40000\""], &["이어서 충전해 주세요"]);
    // Back to the first form, with another amount: what became of the first is said, and the new form adds this one.
    let again = add("40000", &key).await;
    again.shows(422, &["먼저 보낸 내용은 이미 처리되었습니다", "60,000원", "value=\"40000\""]);
    assert_eq!(add("40000", &crate::support::key(&again)).await.leads_to(), path);
    assert_eq!(buyer.balance().await, 100_000);
    server.close().await;
}

#[tokio::test]
async fn another_users_seats_and_bad_forms_pay_nothing() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let (owner, thief) = (server.buyer_with("owner", 500_000).await, server.buyer_with("thief", 500_000).await);
    let (_, held) = holding(&owner, &hall, &[0]).await;
    let (token, own) = holding(&thief, &hall, &[1]).await;
    let browser = browser(&server, &thief);
    let path = format!("{}/pay", hall.path());
    says(&browser.open(&path).await, &["A열 2번"], &["A열 1번"]);
    let (foreign, own, key) = (held[0].to_string(), own[0].to_string(), new_key(&server));
    let fields = [("key", &*new_key(&server)), ("token", &*token), ("reservation", &*foreign)];
    browser.send(&path, &fields).await.shows(404, &["찾는 화면이 없습니다"]);
    let many = vec![("reservation", own.as_str()); 21];
    let given = [("key", key.as_str()), ("token", token.as_str())];
    for bad in [
        vec![given[0], given[1]],
        vec![given[0], given[1], ("reservation", "0")],
        vec![given[0], given[1], ("reservation", "a")],
        vec![given[0], given[1], ("reservation", &own), ("reservation", &own)],
        vec![given[0], ("reservation", &own)],
        vec![given[1], ("reservation", &own)],
        vec![given[0], given[0], given[1], ("reservation", &own)],
        [given.to_vec(), many].concat(),
    ] {
        let answer = browser.send(&path, &bad).await;
        answer.shows(422, &["아무것도 바뀌지 않았습니다", "A열 2번", "100,000원 결제하기"]);
    }
    let fields = [("key", &*new_key(&server)), ("token", "x"), ("reservation", &*own)];
    browser.send(&path, &fields).await.shows(403, &["이 줄의 순번이 아닙니다"]);
    for (client, balance) in [(&owner, 500_000), (&thief, 500_000)] {
        assert_eq!(client.balance().await, balance);
    }
    let stranger = Browser::at(&server).open(&path).await;
    assert_eq!(stranger.leads_to(), format!("/sign-in?next=%2Fconcerts%2F{}%2Fpay", hall.id()));
    server.close().await;
}

#[tokio::test]
async fn seats_without_a_turn_are_shown_with_the_way_to_the_line() {
    let paying = Paying::with(500_000).await;
    paying.buyer.delete(&format!("/queue/tokens/{}", paying.token)).await.expect(204);
    let line = format!("{}/line", paying.hall.path());
    let texts = ["지금은 결제할 수 있는 차례가 아닙니다", "A열 1번", &line];
    says(&paying.page().await, &texts, &["결제하기</button>"]);
    paying.server.close().await;
}

#[tokio::test]
async fn tickets_of_a_concert_that_was_cancelled_or_is_near_say_what_can_be_refunded() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.concert_date = jiff::civil::date(2027, 1, 16)).await;
    let (buyer, operator) = (server.buyer_with("buyer", 500_000).await, server.operator().await);
    let browser = browser(&server, &buyer);
    let (token, held) = holding(&buyer, &hall, &[0]).await;
    buyer.pay(&token, held[0]).await.expect(201);
    let path = format!("{}/tickets", hall.path());
    says(&browser.open(&path).await, &["2027년 1월 15일 (금) 오후 8:00 전까지", "/refund\""], &[]);
    server.clock.advance(Span::from_secs(4 * 3_600));
    assert!(server.clock.now() > START);
    says(&browser.open(&path).await, &["환불은 2027년 1월 15일 (금) 오후 8:00에 마감되었습니다"], &["/refund\""]);
    // A postponed concert can be refunded until it has its new date: then the refunds have an end again.
    let set = async |status: &str| {
        let change = json!({ "status": status, "reason": "The singer is ill." });
        operator.patch(&format!("/operator{}", hall.path()), &change).await.expect(200);
        browser.open(&path).await
    };
    let texts = ["공연이 연기되었습니다", "새 날짜가 정해질 때까지 전액 환불할 수 있습니다.", "/refund\""];
    says(&set("postponed").await, &texts, &["언제든지"]);
    says(&set("scheduled").await, &["에 마감되었습니다"], &["/refund\""]);
    operator.post(&format!("/operator{}/cancel", hall.path()), &json!({ "reason": "눈이 옵니다." })).await.expect(200);
    says(&browser.open(&path).await, &["공연이 취소되었습니다", "눈이 옵니다.", "언제든지 전액", "/refund\""], &[]);
    let payment = id(&buyer.get("/payments").await.expect(200)["items"][0], "payment_id");
    assert!(browser.open(&format!("/payments/{payment}/refund")).await.html.contains("100,000원 환불하기"));
    server.close().await;
}
