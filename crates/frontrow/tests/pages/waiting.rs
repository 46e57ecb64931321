//! A place in a line: joining, every state of its page, claiming, leaving.

use crate::support::{browser, hidden, key, line_data, new_key, says, scene, shown};
use frontrow_domain::time::Span;
use frontrow_testkit::{Browser, Hall, LoadedPage, START, Server, eventually};
use serde_json::json;

async fn own_room(server: &Server, max_active: i64) -> Hall {
    server.hall_like(2, |draft| draft.own_room_max_active = Some(max_active)).await
}

/// Joins the line of a concert by its form. Returns the address of the place.
async fn join(server: &Server, browser: &Browser, hall: &Hall) -> String {
    let answer = browser.send(&format!("{}/line", hall.path()), &[("key", &new_key(server))]).await;
    answer.leads_to().to_owned()
}

/// Opens the page until it has this scene.
async fn until(browser: &Browser, path: &str, wanted: &str) -> LoadedPage {
    eventually(&format!("the page is {wanted}"), async || {
        let page = browser.open(path).await;
        (scene(&page) == wanted).then_some(page)
    })
    .await
}

/// A buyer whose turn has come, in a room for one.
struct Offered {
    server: Server,
    hall: Hall,
    browser: Browser,
    /// The address of the place.
    place: String,
    page: LoadedPage,
}

async fn offered() -> Offered {
    let server = Server::start().await;
    let hall = own_room(&server, 1).await;
    let buyer = server.buyer("buyer").await;
    let browser = browser(&server, &buyer);
    let place = join(&server, &browser, &hall).await;
    let page = until(&browser, &place, "offered").await;
    Offered { server, hall, browser, place, page }
}

/// The address of the page alone.
fn bare(path: &str) -> &str {
    path.split('?').next().unwrap()
}

#[tokio::test]
async fn joining_leads_to_the_place_and_joining_again_to_the_same_one() {
    let server = Server::start().await;
    let hall = own_room(&server, 0).await;
    let buyer = server.buyer("buyer").await;
    let (phone, laptop) = (browser(&server, &buyer), browser(&server, &buyer));
    let line = format!("{}/line", hall.path());
    assert_eq!(phone.open(&line).await.leads_to(), hall.path(), "there is no place yet");
    let same_key = new_key(&server);
    let first = phone.send(&line, &[("key", &same_key)]).await;
    let place = first.leads_to().to_owned();
    assert!(place.starts_with("/line/") && !place.contains('?'), "{place}");
    // A double click, a reload, another device.
    assert_eq!(phone.send(&line, &[("key", &same_key)]).await.leads_to(), place);
    assert_eq!(bare(phone.send(&line, &[("key", &new_key(&server))]).await.leads_to()), bare(&place));
    assert_eq!(laptop.open(&line).await.leads_to(), bare(&place));
    says(
        &laptop.open(bare(&place)).await,
        &["Midnight Tide: The First Night", "다음 차례입니다"],
        &["내 앞에</p>\n<p class=\"ahead\"><span data-fill=\"ahead\">1"],
    );
    server.close().await;
}

#[tokio::test]
async fn a_waiting_page_shows_the_place_in_both_languages_and_reloads_itself() {
    let server = Server::start().await;
    let hall = own_room(&server, 0).await;
    let mut places = Vec::new();
    for name in ["first", "second", "third"] {
        let buyer = server.buyer(name).await;
        places.push(join(&server, &browser(&server, &buyer), &hall).await);
    }
    let operator = server.operator().await;
    let room = format!("/operator/rooms/{}", hall.id());
    operator.patch(&room, &json!({ "message": "1인 4매까지 <예매>할 수 있습니다." })).await.expect(200);
    // The token alone reads its place: no session is needed.
    let korean = Browser::at(&server).speaking("ko").open(&places[2]).await;
    assert_eq!(scene(&korean), "waiting");
    let texts = [
        "<title>앞에 2명 · Midnight Tide: The First Night",
        "2027년 3월 15일 (월) 오후 8:00 · Hangang Hall, Seoul",
        "data-fill=\"ahead\">2</span><small data-fill=\"unit\">명</small>",
        "순서는 뒤로 밀리지 않습니다",
        "1인 4매까지 &#60;예매&#62;할 수 있습니다.",
        "<dt>접수 번호</dt><dd data-fill=\"position\">3</dd>",
        "<dt>접수한 시각</dt><dd>오후 5:00:00</dd>",
        "<dt>남은 좌석</dt><dd data-fill=\"seats\">2석</dd>",
        "이 화면을 닫거나 휴대전화가 꺼져도 순서는 그대로입니다",
        "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>",
        "max=\"1000\" value=\"0\"",
    ];
    says(&korean, &texts, &["<script>", "style=\""]);
    assert_eq!(korean.header("cache-control"), Some("no-store"));
    let english = Browser::at(&server).open(&places[2]).await;
    says(
        &english,
        &["<title>2 ahead · ", "data-fill=\"unit\">people</small>", "Ahead of you", "5:00:00 pm", ">2 seats</dd>"],
        &["명", "앞에"],
    );
    let (first, second) = (Browser::at(&server).open(&places[0]).await, Browser::at(&server).open(&places[1]).await);
    says(&first, &["You’re next"], &[]);
    says(&second, &["data-fill=\"ahead\">1</span><small data-fill=\"unit\">person</small>"], &[]);
    server.close().await;
}

#[tokio::test]
async fn a_turn_is_claimed_once_however_often_the_button_is_pressed() {
    let Offered { server, hall, browser, place, page } = offered().await;
    let texts =
        ["<title>차례입니다! · ", "차례가 되었습니다", "data-fill=\"clock\">1:00<", "오후 5:01:00", "좌석 고르러 가기"];
    says(&page, &texts, &["안이 꽉 찼습니다"]);
    let claim = format!("{}/claim", bare(&place));
    let same_key = key(&page);
    for _ in 0..2 {
        let claimed = browser.send(&claim, &[("key", &same_key)]).await;
        assert_eq!(claimed.leads_to(), format!("{}/seats", hall.path()));
    }
    let page = browser.open(&place).await;
    assert_eq!(scene(&page), "active");
    // The time to choose is the turn's, not that of the last sign of life.
    let texts = ["들어왔습니다", "좌석을 고를 수 있는 시간", "data-fill=\"clock\">10:00<", "오후 5:10:00"];
    says(&page, &texts, &[]);
    says(&page, &[&format!("href=\"{}/seats\"", hall.path())], &[]);
    server.advance(61);
    says(&browser.open(&place).await, &["data-fill=\"clock\">8:59<", "오후 5:10:00"], &[]);
    // Joining again leads to the seats at once.
    let again = browser.send(&format!("{}/line", hall.path()), &[("key", &new_key(&server))]).await;
    assert_eq!(again.leads_to(), format!("{}/seats", hall.path()));
    server.close().await;
}

#[tokio::test]
async fn a_claim_of_a_full_room_keeps_the_turn_and_the_next_one_succeeds() {
    let Offered { server, hall, browser, place, page } = offered().await;
    let operator = server.operator().await;
    let room = format!("/operator/rooms/{}", hall.id());
    operator.patch(&room, &json!({ "max_active": 0, "reason": "The hall asks for it." })).await.expect(200);
    let claim = format!("{}/claim", bare(&place));
    let full = browser.send(&claim, &[("key", &key(&page))]).await.leads_to().to_owned();
    let page = browser.open(&full).await;
    assert_eq!(scene(&page), "offered");
    says(&page, &["안이 꽉 찼습니다", "차례는 그대로"], &["시간도 다시"]);
    assert_eq!(page.html.matches("안이 꽉 찼습니다").count(), 1, "it is said of this turn and of no later one");
    operator.patch(&room, &json!({ "max_active": 1, "reason": "The hall asks for it." })).await.expect(200);
    let claimed = browser.send(&claim, &[("key", &key(&page))]).await;
    assert_eq!(claimed.leads_to(), format!("{}/seats", hall.path()));
    server.close().await;
}

#[tokio::test]
async fn a_missed_turn_returns_to_the_head_of_the_line_and_ends_after_the_second() {
    let server = Server::start().await;
    let hall = own_room(&server, 1).await;
    let buyer = server.buyer("buyer").await;
    let browser = browser(&server, &buyer);
    let place = join(&server, &browser, &hall).await;
    let page = until(&browser, &place, "offered").await;
    says(&page, &["시간 안에 들어가지 못하면 줄의 맨 앞에서 다시 기다릴 수 있습니다"], &[]);
    server.advance(61);
    let page = until(&browser, &place, "missed").await;
    says(&page, &["차례를 놓쳤습니다", "맨 앞에서 다시 기다리기", "오후 5:11:00"], &["좌석 고르러"]);
    browser.send(&format!("{}/claim", bare(&place)), &[("key", &key(&page))]).await.leads_to();
    let page = until(&browser, &place, "offered-last").await;
    // There is no other turn.
    says(&page, &["시간 안에 들어가지 못하면 순번이 끝나고"], &["맨 앞에서 다시"]);
    server.advance(61);
    let page = until(&browser, &place, "ended-missed").await;
    says(&page, &["차례를 놓쳐 순번이 끝났습니다", "다시 줄 서기"], &["<noscript>", "type=\"module\""]);
    let joined = browser.send(&format!("{}/line", hall.path()), &[("key", &key(&page))]).await;
    assert_ne!(bare(joined.leads_to()), bare(&place));
    server.close().await;
}

#[tokio::test]
async fn leaving_asks_first_and_is_final() {
    let server = Server::start().await;
    let hall = own_room(&server, 0).await;
    let (first, second) = (server.buyer("first").await, server.buyer("second").await);
    join(&server, &browser(&server, &first), &hall).await;
    let browser = browser(&server, &second);
    let place = join(&server, &browser, &hall).await;
    let ask = format!("{}/leave", bare(&place));
    says(&browser.open(&ask).await, &["줄에서 나갈까요?", "지금 내 앞에 1명이 있습니다.", "순서가 사라집니다"], &[]);
    assert_eq!(scene(&browser.open(&place).await), "waiting", "asking is not leaving");
    for _ in 0..2 {
        assert_eq!(bare(browser.send(&ask, &[]).await.leads_to()), bare(&place));
    }
    let page = browser.open(&place).await;
    assert_eq!(scene(&page), "ended-left");
    says(&page, &["줄에서 나왔습니다", "다시 줄 서기"], &["data-part=\"facts\""]);
    assert_eq!(bare(browser.open(&ask).await.leads_to()), bare(&place));
    server.close().await;
}

#[tokio::test]
async fn a_line_before_its_sale_a_paused_and_a_stopped_one_say_so() {
    let server = Server::start().await;
    let early = server
        .hall_like(2, |draft| {
            draft.opens_at = START.plus(Span::from_secs(600));
            draft.own_room_max_active = Some(1);
        })
        .await;
    let open = own_room(&server, 0).await;
    let (buyer, operator) = (server.buyer("buyer").await, server.operator().await);
    let browser = browser(&server, &buyer);
    let place = join(&server, &browser, &early).await;
    says(&browser.open(&place).await, &["예매는 2027년 1월 15일 (금) 오후 5:10에 시작합니다", "예매 전"], &[]);
    let place = join(&server, &browser, &open).await;
    says(&browser.open(&place).await, &["남은 시간은 줄이 조금 움직이면 알 수 있습니다"], &[]);
    operator
        .patch(
            &format!("/operator/rooms/{}", open.id()),
            &json!({ "gate": "paused", "reason": "The hall asks for it." }),
        )
        .await
        .expect(200);
    says(&browser.open(&place).await, &["입장을 잠시 멈췄습니다. 순서는 그대로이고"], &[]);
    operator
        .patch(&format!("/operator{}", open.path()), &json!({ "status": "closed", "reason": "The hall asks for it." }))
        .await
        .expect(200);
    says(&browser.open(&place).await, &["예매가 마감되었습니다", "예매 마감", "지금은 예매할 수 없습니다"], &[]);
    let postponed = json!({ "status": "postponed", "status_reason": "출연자가 아픕니다." });
    operator.patch(&format!("/operator{}", open.path()), &postponed).await.expect(200);
    says(&browser.open(&place).await, &["공연이 연기되었습니다", "출연자가 아픕니다.", "줄의 순서는 그대로"], &[]);
    server.close().await;
}

#[tokio::test]
async fn a_cancelled_concert_ends_its_line_and_the_page_says_why() {
    let server = Server::start().await;
    let hall = own_room(&server, 0).await;
    let (buyer, operator) = (server.buyer("buyer").await, server.operator().await);
    let browser = browser(&server, &buyer);
    let place = join(&server, &browser, &hall).await;
    let cancel = json!({ "reason": "무대를 세울 수 없습니다." });
    operator.post(&format!("/operator{}/cancel", hall.path()), &cancel).await.expect(200);
    let page = until(&browser, &place, "ended-concert_over").await;
    let texts = ["공연이 취소되었습니다", "무대를 세울 수 없습니다.", "결제한 좌석은 환불할 수 있습니다"];
    says(&page, &texts, &["시간이 지나", "풀렸습니다", "다시 줄"]);
    says(&page, &["이 공연의 줄이 끝났습니다", "더는 차례가 오지 않습니다"], &[]);
    server.close().await;
}

#[tokio::test]
async fn a_sale_that_is_sold_out_while_one_waits_says_so() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(1)).await;
    let (first, second) = (server.buyer_with("first", 1_000_000).await, server.buyer("second").await);
    let token = first.enter(Some(hall.id())).await;
    let browser = browser(&server, &second);
    let place = join(&server, &browser, &hall).await;
    let held = first.hold(&token, hall.seats[0]).await.expect(201)["reservation_id"].as_i64().unwrap();
    let says_soon = async |text: &str| {
        eventually(text, async || shown(&browser.open(&place).await).contains(text).then_some(())).await;
    };
    says_soon("남은 좌석을 모두 다른 분들이 고르는 중입니다").await;
    first.pay(&token, held).await.expect(201);
    says_soon("지금은 매진입니다").await;
    // A turn would find no seat: a page that waits does not say when it comes.
    let (third, texts) = (server.buyer("third").await, ["환불된 좌석이 나와야 해서 남은 시간은 알 수 없습니다"]);
    let browser = crate::support::browser(&server, &third);
    let behind = join(&server, &browser, &hall).await;
    says(&browser.open(&behind).await, &texts, &["조금 움직이면", "남았습니다"]);
    let outlook = "지금은 모든 좌석이 팔렸습니다";
    eventually(outlook, async || shown(&browser.open(&behind).await).contains(outlook).then_some(())).await;
    let page = Browser::at(&server).speaking("ko").open(&format!("/line/{token}")).await;
    assert_eq!(scene(&page), "ended-paid");
    says(&page, &["예매를 마쳤습니다", &format!("{}/tickets", hall.path())], &[]);
    server.close().await;
}

#[tokio::test]
async fn a_page_hands_its_script_the_sale_as_the_shared_answer_says_it_and_the_words_of_every_state() {
    // Given a place in the line of a concert whose sale opens in ten minutes.
    let server = Server::start().await;
    let hall = server
        .hall_like(2, |draft| {
            draft.opens_at = START.plus(Span::from_secs(600));
            draft.own_room_max_active = Some(1);
        })
        .await;
    let buyer = server.buyer("buyer").await;
    let browser = browser(&server, &buyer);
    let place = join(&server, &browser, &hall).await;
    let (moved, reason) = (START.plus(Span::from_secs(4_200)), "조명 <점검> & 리허설");
    // When an operator moves the opening.
    let change = json!({ "opens_at": moved, "status_reason": reason });
    server.operator().await.patch(&format!("/operator{}", hall.path()), &change).await.expect(200);
    // Then the page and the answer that its script asks for say the same.
    let data = line_data(&browser.open(&place).await);
    let address = data["concert"].as_str().unwrap();
    let shared = buyer.get(address.trim_start_matches("/api/v1")).await.expect(200);
    for field in ["sale_state", "seats_left", "opens_at", "status_reason"] {
        assert_eq!(data["sale"][field], shared[field], "{field}");
    }
    assert_eq!((&data["sale"]["sale_state"], &data["sale"]["opens_at"]), (&json!("opens"), &json!(moved)));
    // And the script has words for every state: it fills in the moment and the number.
    assert_eq!(data["words"]["sale_not_open"], "예매는 {when}에 시작합니다. 그때부터 순서대로 부릅니다.");
    let sales = data["sales"].as_array().unwrap();
    let words = |state: &str| sales.iter().find(|words| words["state"] == state).unwrap();
    assert_eq!(sales.len(), 10);
    assert_eq!(words("few_left")["seats"], "{n}석");
    assert_eq!(words("sold_out")["warning"]["title"], "지금은 매진입니다");
    assert_eq!(words("on_sale"), &json!({ "state": "on_sale", "seats": "{n}석", "warning": null }));
    server.close().await;
}

#[tokio::test]
async fn a_silent_place_is_woken_by_opening_its_page() {
    let server = Server::start().await;
    let hall = own_room(&server, 1).await;
    let (first, silent) = (server.buyer("first").await, server.buyer("silent").await);
    let token = first.enter(Some(hall.id())).await;
    let browser = browser(&server, &silent);
    let place = join(&server, &browser, &hall).await;
    let silent_token = bare(&place).trim_start_matches("/line/").to_owned();
    server.advance(60);
    first.position(&token).await;
    server.advance(60);
    first.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    eventually("the silent place is passed over", async || {
        let row = silent.get(&format!("/queue/tokens/{silent_token}")).await.expect(200);
        (row["status"] == "dormant").then_some(())
    })
    .await;
    let page = browser.open(&place).await;
    assert_eq!(scene(&page), "dormant");
    says(&page, &["자리를 비운 사이 차례가 지났습니다", "줄의 맨 앞으로 돌아가고 있습니다"], &[]);
    // The turn that passed while the place was silent counts.
    until(&browser, &place, "offered-last").await;
    server.close().await;
}

#[tokio::test]
async fn leaving_with_seats_on_hold_says_that_they_cannot_be_paid_and_a_closed_sale_has_no_line_to_join() {
    let server = Server::start().await;
    let hall = own_room(&server, 1).await;
    let (buyer, operator) = (server.buyer("buyer").await, server.operator().await);
    let browser = browser(&server, &buyer);
    let token = buyer.enter(Some(hall.id())).await;
    let ask = format!("/line/{token}/leave");
    says(&browser.open(&ask).await, &["순서가 사라집니다", "잡아 둔 좌석도 더는 결제할 수 없습니다"], &[]);
    operator
        .patch(&format!("/operator{}", hall.path()), &json!({ "status": "closed", "reason": "The hall asks for it." }))
        .await
        .expect(200);
    let left = browser.send(&ask, &[]).await.leads_to().to_owned();
    let page = browser.open(&left).await;
    assert_eq!(scene(&page), "ended-left");
    says(&page, &["줄에서 나왔습니다", "예매가 마감되었습니다"], &["다시 줄"]);
    server.close().await;
}

#[tokio::test]
async fn an_old_address_of_a_place_leads_its_user_to_the_place_after_the_line_was_renewed() {
    let server = Server::start().await;
    let (hall, house) = (own_room(&server, 0).await, server.hall(1).await);
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let own = browser(&server, &buyer);
    let place = join(&server, &own, &hall).await;
    let in_house = join(&server, &own, &house).await;
    server.app().office.renew_lines().await.unwrap();
    let new_address = own.open(&place).await.leads_to().to_owned();
    assert_ne!(new_address, place);
    assert_eq!(scene(&own.open(&new_address).await), "waiting");
    assert_eq!(own.open(&format!("{}/leave", bare(&place))).await.leads_to(), new_address);
    let in_house_now = own.open(&in_house).await.leads_to().to_owned();
    assert!(in_house_now.ends_with(&format!("?concert={}", house.id())), "{in_house_now}");
    // A form of the old page changes nothing, and leads on.
    for path in ["claim", "leave"] {
        let answer = own.send(&format!("{}/{path}", bare(&place)), &[("key", &new_key(&server))]).await;
        assert_eq!(answer.leads_to(), place);
    }
    assert_eq!(scene(&own.open(&new_address).await), "waiting");
    // Who has not signed in is told where the place is, and another account is led to what it has itself.
    let stranger = Browser::at(&server).speaking("ko").open(&place).await;
    stranger.shows(200, &["줄의 자리는 그대로 있습니다", "로그인하고 이어 가기", "/sign-in?next=%2Fline%2F"]);
    assert_eq!(browser(&server, &other).open(&place).await.leads_to(), hall.path());
    // The token alone reads nothing any more.
    let token = bare(&place).trim_start_matches("/line/").to_owned();
    server.anonymous().get(&format!("/queue/tokens/{token}/position")).await.problem(404, "not_found");
    server.close().await;
}

#[tokio::test]
async fn a_place_in_the_house_room_keeps_its_concert_in_the_address() {
    let server = Server::start().await;
    let (hall, other) = (server.hall(1).await, own_room(&server, 1).await);
    let buyer = server.buyer("buyer").await;
    let browser = browser(&server, &buyer);
    let place = join(&server, &browser, &hall).await;
    assert!(place.ends_with(&format!("?concert={}", hall.id())), "{place}");
    let page = until(&browser, &place, "offered").await;
    let action = format!("action=\"{}/claim?concert={}", bare(&place), hall.id());
    assert!(page.html.contains(&action), "{}", page.html);
    // Without it, or with a concert that has another line, the page is about the line alone.
    for query in [String::new(), format!("?concert={}", other.id()), "?concert=x&from=-5".to_owned()] {
        let page = browser.open(&format!("{}{query}", bare(&place))).await;
        assert_eq!(scene(&page), "offered");
        says(&page, &["<h1>예매 대기</h1>"], &["Midnight"]);
    }
    let claim = format!("{}/claim?concert={}", bare(&place), hall.id());
    let claimed = browser.send(&claim, &[("key", &new_key(&server))]).await;
    assert_eq!(claimed.leads_to(), format!("{}/seats", hall.path()));
    server.close().await;
}

#[tokio::test]
async fn another_users_place_can_be_read_and_nothing_else_and_a_forged_one_is_nothing() {
    let server = Server::start().await;
    let hall = own_room(&server, 1).await;
    let (owner, thief) = (server.buyer("owner").await, server.buyer("thief").await);
    let (own, other) = (browser(&server, &owner), browser(&server, &thief));
    let place = join(&server, &own, &hall).await;
    until(&own, &place, "offered").await;
    assert_eq!(scene(&other.open(&place).await), "offered");
    for path in ["claim", "leave"] {
        let path = format!("{}/{path}", bare(&place));
        other.send(&path, &[("key", &new_key(&server))]).await.shows(404, &["찾는 화면이 없습니다"]);
        let stranger = Browser::at(&server).send(&path, &[("key", &new_key(&server))]).await;
        assert!(stranger.leads_to().starts_with("/sign-in?next="), "{stranger:?}");
    }
    assert_eq!(scene(&own.open(&place).await), "offered");
    for forged in ["/line/x", "/line/AQEAAAAAAAAAAAAAAAEAAAAAAAAAKgGT88Rabnx9", "/line/x/leave"] {
        own.open(forged).await.shows(404, &["찾는 화면이 없습니다"]);
    }
    server.close().await;
}

#[tokio::test]
async fn a_form_without_its_key_or_with_a_bad_one_changes_nothing() {
    let server = Server::start().await;
    let hall = own_room(&server, 1).await;
    let buyer = server.buyer("buyer").await;
    let browser = browser(&server, &buyer);
    let line = format!("{}/line", hall.path());
    for fields in [&[("key", "short")][..], &[("key", "0123456789abcdef"), ("key", "0123456789abcdef")]] {
        browser.send(&line, fields).await.shows(422, &["아무것도 바뀌지 않았습니다"]);
    }
    let odd =
        browser.send_with(&line, "key=%FF%FE0123456789abcdef".to_owned(), &[("sec-fetch-site", "same-origin")]).await;
    odd.shows(422, &[]);
    let elsewhere =
        browser.send_with(&line, format!("key={}", new_key(&server)), &[("sec-fetch-site", "cross-site")]).await;
    elsewhere.shows(403, &["다른 사이트에서 온 요청입니다"]);
    assert_eq!(browser.open(&line).await.leads_to(), hall.path(), "no place was given");
    let place = browser.send(&line, &[]).await.leads_to().to_owned();
    assert_eq!(bare(browser.send(&line, &[]).await.leads_to()), bare(&place), "joining without a key is joining once");
    until(&browser, &place, "offered").await;
    browser.send(&format!("{}/claim", bare(&place)), &[]).await.shows(422, &["아무것도 바뀌지 않았습니다"]);
    assert_eq!(scene(&browser.open(&place).await), "offered");
    let closed = server.hall_like(1, |draft| draft.closes_at = Some(START)).await;
    let answer = browser.send(&format!("{}/line", closed.path()), &[("key", &new_key(&server))]).await;
    answer.shows(409, &["예매가 마감되었습니다"]);
    browser.send("/concerts/999/line", &[("key", &new_key(&server))]).await.shows(404, &[]);
    server.close().await;
}

#[tokio::test]
async fn a_form_that_joins_from_a_network_with_enough_places_says_so_in_both_languages() {
    let server = Server::with(&[("--joins-per-address", "1"), ("--joins-window-seconds", "86400")]).await;
    let hall = own_room(&server, 0).await;
    join(&server, &browser(&server, &server.buyer("first").await), &hall).await;
    let late = server.buyer("late").await;
    for (language, says) in
        [("ko", "같은 네트워크에서 줄을 서는 사람이 많습니다"), ("en", "Many people are joining from your network")]
    {
        let browser = Browser::at(&server).speaking(language);
        browser.set_cookie("frontrow-session", late.secret());
        let page = browser.send(&format!("{}/line", hall.path()), &[("key", &new_key(&server))]).await;
        page.shows(429, &[says]);
        assert!(page.header("retry-after").is_some());
    }
    server.close().await;
}

#[tokio::test]
async fn opening_the_page_too_often_is_refused_as_a_poll_is() {
    let server = Server::with(&[("--polls-per-second-per-token", "1")]).await;
    let hall = own_room(&server, 0).await;
    let buyer = server.buyer("buyer").await;
    let browser = browser(&server, &buyer);
    let place = join(&server, &browser, &hall).await;
    let refused = eventually("a poll too many", async || {
        let page = browser.open(&place).await;
        (page.status == 429).then_some(page)
    })
    .await;
    refused.shows(429, &["요청이 너무 많습니다", "줄의 순서는 그대로입니다"]);
    assert!(refused.header("retry-after").is_some() && refused.header("refresh").is_some());
    assert!(hidden(&refused, "key").is_empty());
    server.close().await;
}
