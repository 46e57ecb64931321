//! The page of a hall: what a visitor sees there, and what its forms do.

use frontrow_domain::time::Span;
use frontrow_testkit::{ApiAnswer, Client, PRICE, START, Server, hall::Hall, id, items};
use reqwest::{Method, redirect};
use serde_json::{Value, json};

const KEY: &str = "key=hall-form-0123456789";

/// The same visitor with a browser that does not follow redirects.
fn browser(server: &Server, client: &Client) -> Client {
    let http = reqwest::Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    Client::anonymous(http, server.address).with_secret(client.secret())
}

fn page_of(hall: &Hall) -> String {
    format!("{}/seats", hall.path())
}

async fn open(client: &Client, path: &str) -> ApiAnswer {
    let page = client.call_at(Method::GET, path).header("accept", "text/html").send().await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    page
}

/// Sends the form that holds seats.
async fn send(client: &Client, hall: &Hall, fields: &str) -> ApiAnswer {
    client.call_at(Method::POST, &format!("{}/holds", hall.path())).form(fields).send().await
}

/// The values of the hidden fields of this name, in the order of the page.
fn values(page: &str, name: &str) -> Vec<String> {
    let field = regex::Regex::new(&format!(r#"<input type="hidden" name="{name}" value="([^"]*)">"#)).unwrap();
    field.captures_iter(page).map(|found| found[1].to_owned()).collect()
}

/// What the scripts of a page are told.
fn said(page: &str) -> Value {
    let attribute = regex::Regex::new(r#"data-hall="([^"]*)""#).unwrap();
    let text = attribute.captures(page).unwrap()[1].to_owned();
    let text = text.replace("&#34;", "\"").replace("&#39;", "'").replace("&#60;", "<").replace("&#62;", ">");
    serde_json::from_str(&text.replace("&#38;", "&")).unwrap()
}

async fn held(client: &Client) -> Vec<i64> {
    let page = client.get("/reservations").await.expect(200);
    let pending = items(&page).iter().filter(|row| row["status"] == "pending");
    pending.map(|row| id(row, "seat_id")).collect()
}

#[tokio::test]
async fn a_visitor_without_a_turn_looks_around_in_both_languages() {
    let server = Server::start().await;
    let hall = server.hall(3).await;
    let later = START.plus(Span::from_secs(3_600));
    let not_yet = server.hall_like(2, |draft| draft.opens_at = later).await;
    let holder = server.buyer("holder").await;
    let token = holder.enter(None).await;
    holder.hold(&token, hall.seats[1]).await.expect(201);
    let anonymous = server.anonymous();

    let korean = open(&anonymous, &page_of(&hall)).await.text();
    for expected in
        ["미리 살펴보는 화면입니다", "Floor A열 2번, R 100,000원, 다른 분이 고르는 중", "R 2석", "줄 서기</button>"]
    {
        assert!(korean.contains(expected), "{expected}: {korean}");
    }
    assert_eq!(korean.matches(" disabled>").count(), 3, "no seat can be ticked");
    assert!(!korean.contains("/holds\""), "there is no form that holds");
    let told = said(&korean);
    assert_eq!((&told["may_choose"], &told["turn"], &told["mine"]), (&json!(false), &Value::Null, &json!([])));

    let english = anonymous.call_at(Method::GET, &page_of(&hall)).header("accept-language", "en").send().await.text();
    for expected in ["This is for looking around.", "Floor, row A, seat 2, R ₩100,000, held by somebody else"] {
        assert!(english.contains(expected), "{expected}: {english}");
    }
    let early = open(&anonymous, &page_of(&not_yet)).await.text();
    assert!(early.contains("2027년 1월 15일 (금) 오후 6:00에 예매를 시작합니다"), "{early}");
    let unknown = anonymous.call_at(Method::GET, "/concerts/999/seats").header("accept", "text/html").send().await;
    assert_eq!(unknown.status, 404);
    server.close().await;
}

#[tokio::test]
async fn a_buyer_with_a_turn_holds_seats_by_a_form_once_and_gives_one_up() {
    let server = Server::start().await;
    let hall = server.hall(6).await;
    let buyer = browser(&server, &server.buyer("buyer").await);
    let token = buyer.enter(None).await;
    let page = open(&buyer, &page_of(&hall)).await;
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let page = page.text();
    assert!(page.contains("5분 동안 잡기") && page.contains("한 사람이 4매까지"), "{page}");
    assert_eq!(values(&page, "token"), [token.as_str()]);
    let fields = format!("key={}&token={token}&seat={}&seat={}", values(&page, "key")[0], hall.seats[0], hall.seats[1]);
    for _ in 0..2 {
        let done = send(&buyer, &hall, &fields).await;
        assert_eq!((done.status, done.header("location")), (303, Some(&*format!("{}#tray", page_of(&hall)))));
        assert_eq!(held(&buyer).await.len(), 2, "a double click holds once");
    }

    server.advance(60);
    let page = open(&buyer, &page_of(&hall)).await.text();
    for expected in ["data-left=\"240000\"", "Floor A열 1번", "합계 2매", "200,000원", "/pay\"", "data-state=\"mine\""]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert_eq!((&said(&page)["limit"], &said(&page)["mine"].as_array().unwrap().len()), (&json!(2), &2));

    let action =
        regex::Regex::new(r#"action="(/holds/\d+/release)"[^>]*><input type="hidden" name="key" value="([^"]+)""#);
    let found = action.unwrap().captures(&page).map(|found| (found[1].to_owned(), found[2].to_owned())).unwrap();
    let other = browser(&server, &server.buyer("other").await);
    let theirs = other.call_at(Method::POST, &found.0).form(format!("key={}", found.1)).send().await;
    assert_eq!(theirs.status, 404, "only the holder gives a seat up");
    for _ in 0..2 {
        let done = buyer.call_at(Method::POST, &found.0).form(format!("key={}", found.1)).send().await;
        assert_eq!((done.status, done.header("location")), (303, Some(&*format!("{}#tray", page_of(&hall)))));
    }
    assert_eq!(held(&buyer).await, [hall.seats[1]]);
    server.advance(300);
    let page = open(&buyer, &page_of(&hall)).await.text();
    assert!(!page.contains("data-left"), "what has ended is not in the tray");
    server.close().await;
}

#[tokio::test]
async fn a_refused_buyer_sees_until_when_and_what_is_free_instead() {
    let server = Server::start().await;
    let hall = server.hall(12).await;
    let holder = server.buyer("holder").await;
    let token = holder.enter(None).await;
    holder.hold(&token, hall.seats[4]).await.expect(201);
    let buyer = browser(&server, &server.buyer("buyer").await);
    let token = buyer.enter(None).await;
    let fields = format!("{KEY}&token={token}&seat={}&seat={}", hall.seats[4], hall.seats[5]);
    for _ in 0..2 {
        let refused = send(&buyer, &hall, &fields).await;
        assert_eq!(refused.status, 409);
        let page = refused.text();
        for expected in [
            "Floor A열 5번은 다른 분이 먼저 골랐습니다. 오후 5:05:00까지 잡혀 있습니다.",
            "함께 고른 좌석도 잡히지 않았습니다.",
            "같은 등급의 가까운 자리",
            "role=\"alert\"",
        ] {
            assert!(page.contains(expected), "{expected}: {page}");
        }
        assert_eq!(page.matches(" checked").count(), 1, "the choice comes back without the seat that is held");
        assert_eq!(said(&page)["chosen"], json!([hall.seats[5]]));
        assert!(page.contains("<title>Floor A열 5번"), "the page is called by what happened: {page}");
        assert!(page.contains("id=\"refused\" tabindex=\"-1\" autofocus"), "{page}");
        let back = format!("next=%2Fconcerts%2F{}%2Fseats%3Fsection%3DFloor", hall.id());
        assert!(page.contains(&back), "other languages are of the page of the seats: {page}");
    }
    assert_eq!(held(&buyer).await, Vec::<i64>::new());
    let reloaded = buyer.call_at(Method::GET, &format!("{}/holds", hall.path())).send().await;
    assert_eq!((reloaded.status, reloaded.header("location")), (303, Some(&*page_of(&hall))));

    let page = send(&buyer, &hall, &fields).await.text();
    let (keys, seats) = (values(&page, "key"), values(&page, "seat"));
    assert_eq!(seats.len(), 6, "three offers of two");
    assert_ne!(keys[0], keys[1], "every form has a key of its own");
    let offer = format!("key={}&token={token}&seat={}&seat={}", keys[0], seats[0], seats[1]);
    assert_eq!(send(&buyer, &hall, &offer).await.status, 303);
    assert_eq!(held(&buyer).await.len(), 2);

    let mine = held(&buyer).await;
    let free = hall.seats.iter().filter(|seat| !mine.contains(seat) && **seat != hall.seats[4]).take(3);
    let many = free.map(|seat| format!("&seat={seat}")).collect::<Vec<_>>().concat();
    let refused = send(&buyer, &hall, &format!("key=another-form-0123456789&token={token}{many}")).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("한 공연에서 4매까지"), "{}", refused.text());
    server.close().await;
}

#[tokio::test]
async fn a_form_that_is_wrong_comes_back_and_holds_nothing() {
    let server = Server::start().await;
    let hall = server.hall(30).await;
    let other_hall = server.hall(1).await;
    let buyer = browser(&server, &server.buyer("buyer").await);
    let token = buyer.enter(None).await;
    let (seat, foreign) = (hall.seats[0], other_hall.seats[0]);
    let many = hall.seats[..21].iter().map(|seat| format!("&seat={seat}")).collect::<Vec<_>>().concat();
    let with = |rest: &str| format!("{KEY}&token={token}{rest}");
    let one = format!("&seat={seat}");
    for (fields, expected) in [
        (String::new(), "양식이 맞지 않습니다"),
        (format!("token={token}{one}"), "양식이 맞지 않습니다"),
        (format!("key=short&token={token}{one}"), "양식이 맞지 않습니다"),
        (format!("{KEY}&{KEY}&token={token}{one}"), "양식이 맞지 않습니다"),
        (format!("key={}&token={token}{one}", "k".repeat(256)), "양식이 맞지 않습니다"),
        (format!("{KEY}{one}"), "양식이 맞지 않습니다"),
        (format!("{KEY}&token={token}&token={token}{one}"), "양식이 맞지 않습니다"),
        (format!("{KEY}&token=%FF{one}"), "양식이 맞지 않습니다"),
        (with(&format!("{one}{one}")), "양식이 맞지 않습니다"),
        (with(""), "좌석을 하나 이상 골라 주세요"),
        (with("&seat="), "이 공연의 좌석이 아닌 것이 있습니다"),
        (with("&seat=abc"), "이 공연의 좌석이 아닌 것이 있습니다"),
        (with("&seat=0"), "이 공연의 좌석이 아닌 것이 있습니다"),
        (with("&seat=-1"), "이 공연의 좌석이 아닌 것이 있습니다"),
        (with("&seat=99999999999999999999999"), "이 공연의 좌석이 아닌 것이 있습니다"),
        (with(&format!("&seat={}", "1".repeat(2_000))), "이 공연의 좌석이 아닌 것이 있습니다"),
        (with("&seat=%FF"), "이 공연의 좌석이 아닌 것이 있습니다"),
        (with(&format!("{one}&seat={foreign}")), "이 공연의 좌석이 아닌 것이 있습니다"),
        (with(&many), "한 번에 20석까지"),
    ] {
        let refused = send(&buyer, &hall, &fields).await;
        assert_eq!(refused.status, 422, "{fields}");
        assert!(refused.text().contains(expected), "{fields}: {}", refused.text());
        assert!(refused.text().contains("잡힌 좌석은 없습니다"), "{fields}");
        let has_one = fields.split('&').any(|field| one.ends_with(&format!("&{field}")));
        let chosen = if fields.contains(&many) { 20 } else { usize::from(has_one) };
        assert_eq!(refused.text().matches(" checked").count(), chosen, "what was ticked stays so: {fields}");
    }
    for (bad, status) in [("x", 403), ("x".repeat(3_000).leak(), 403), (&token[..token.len() - 1], 403)] {
        let refused = send(&buyer, &hall, &format!("{KEY}&token={bad}{one}")).await;
        assert_eq!(refused.status, status);
        assert!(refused.text().contains("이 줄의 순번이 아닙니다"), "{}", refused.text());
    }
    let other_site = buyer.call_at(Method::POST, &format!("{}/holds", hall.path()));
    let other_site = other_site.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(other_site.header("sec-fetch-site", "cross-site").send().await.status, 403);
    assert_eq!(held(&buyer).await, Vec::<i64>::new());

    server.advance(700);
    let late = send(&buyer, &hall, &with(&one)).await;
    assert_eq!(late.status, 403);
    let page = late.text();
    assert!(page.contains("순번이 끝났습니다") && page.contains("줄 서기</button>"), "{page}");
    assert_eq!(held(&buyer).await, Vec::<i64>::new());
    server.close().await;
}

#[tokio::test]
async fn names_in_a_hall_are_text_and_never_markup() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.title = "<script>alert(1)</script>".to_owned()).await;
    let operator = server.operator().await;
    let names = ["</script><script>alert(2)</script>", "\"><img src=x onerror=alert(3)>", "'{place}&quot;"];
    let seats = json!({ "seats": [{ "section": names[0], "row": names[1], "number": names[2], "grade": names[0] }] });
    operator.post(&format!("/operator{}/seats", hall.path()), &seats).await.expect(201);
    let page = open(&server.anonymous(), &page_of(&hall)).await.text();
    for bad in ["<script>alert", "<img", "\"><img"] {
        assert!(!page.contains(bad), "{bad}: {page}");
    }
    let told = said(&page);
    let grades: Vec<_> =
        told["grades"].as_array().unwrap().iter().map(|grade| grade["name"].as_str().unwrap()).collect();
    assert!(grades.contains(&names[0]), "{told}");
    server.close().await;
}

#[tokio::test]
async fn a_large_hall_is_listed_section_by_section() {
    let server = Server::start().await;
    let hall = server.hall(50).await;
    let operator = server.operator().await;
    for row in 0..15 {
        let (from, to) = (1_000 + row * 100, 1_099 + row * 100);
        let seats = json!({ "range": { "from": from, "to": to, "section": "2층 & 가", "row": format!("{}", row + 1),
            "grade": "S", "price": 90_000 } });
        operator.post(&format!("/operator{}/seats", hall.path()), &seats).await.expect(201);
    }
    let anonymous = server.anonymous();
    let all = open(&anonymous, &page_of(&hall)).await.text();
    assert_eq!(all.matches("type=\"checkbox\"").count(), 0);
    let link = format!("{}?section=2%EC%B8%B5+%26+%EA%B0%80", page_of(&hall));
    assert!(all.contains(&format!("href=\"{link}#seats\"")), "{all}");
    assert!(all.contains("S 1,500석"), "{all}");
    let section = open(&anonymous, &link).await.text();
    assert_eq!(section.matches("type=\"checkbox\"").count(), 1_200);
    let next = format!("{link}&#38;from=1200#seats");
    assert!(section.contains(&next), "{section}");
    let rest = open(&anonymous, &format!("{link}&from=1200")).await.text();
    assert_eq!(rest.matches("type=\"checkbox\"").count(), 300);
    assert!(rest.find("13열").is_some() && !rest.contains("<legend>12열"), "{rest}");
    open(&anonymous, &format!("{}?section=none&from=7&x=y", page_of(&hall))).await;
    server.close().await;
}

/// A hall of 50 seats in Floor and 1,500 in a balcony, in one row.
async fn large_hall(server: &Server) -> Hall {
    let hall = server.hall(50).await;
    let range = json!({ "from": 1_000, "to": 2_499, "section": "Balcony", "grade": "S", "price": 90_000 });
    let operator = server.operator().await;
    operator.post(&format!("/operator{}/seats", hall.path()), &json!({ "range": range })).await.expect(201);
    hall
}

#[tokio::test]
async fn a_row_that_is_longer_than_a_page_is_cut() {
    let server = Server::start().await;
    let hall = large_hall(&server).await;
    let anonymous = server.anonymous();
    let link = format!("{}?section=Balcony", page_of(&hall));
    let first = open(&anonymous, &link).await.text();
    assert_eq!(first.matches("type=\"checkbox\"").count(), 1_200);
    assert!(first.contains(&format!("{link}&#38;from=1200#seats")), "{first}");
    let rest = open(&anonymous, &format!("{link}&from=1200")).await.text();
    assert_eq!(rest.matches("type=\"checkbox\"").count(), 300);
    server.close().await;
}

#[tokio::test]
async fn in_a_large_hall_a_refused_buyer_keeps_the_rest_of_the_choice() {
    let server = Server::start().await;
    let hall = large_hall(&server).await;
    let map = server.anonymous().get(&format!("{}/seats?form=full", hall.path())).await.expect(200);
    let seats = map["seats"].as_array().unwrap();
    let balcony: Vec<i64> =
        seats.iter().filter(|seat| seat["section"] == "Balcony").map(|seat| id(seat, "seat_id")).collect();
    let (wanted, others) = (balcony[1_400], [balcony[1_401], hall.seats[3]]);
    let holder = server.buyer("holder").await;
    let token = holder.enter(None).await;
    holder.hold(&token, wanted).await.expect(201);
    let buyer = browser(&server, &server.buyer("buyer").await);
    let token = buyer.enter(None).await;
    let fields = format!("{KEY}&token={token}&seat={wanted}&seat={}&seat={}", others[0], others[1]);
    let refused = send(&buyer, &hall, &fields).await;
    assert_eq!(refused.status, 409);
    let page = refused.text();
    // The script knows all of it; without one there is the part of the list where the choice stands.
    assert_eq!(said(&page)["chosen"], json!(others));
    assert!(page.contains(&format!("value=\"{}\"", others[0])), "{page}");
    assert_eq!(page.matches(" checked").count(), 1);
    assert!(page.contains("<div class=\"choose\">"), "the button that holds is there: {page}");
    let here = format!("{}?section=Balcony&#38;from=1200#seats", page_of(&hall));
    assert!(page.contains(&format!("content=\"60; url={here}\"")), "a reload stays where the choice is: {page}");
    let query = format!("{}?section=Balcony&from=1200", page_of(&hall));
    let section = open(&buyer, &query).await.text();
    assert!(section.contains("section=Balcony&#38;from=1200#seats\"></noscript>"), "{section}");
    server.close().await;
}

#[tokio::test]
async fn the_state_of_a_sale_comes_before_a_place_in_its_room() {
    let server = Server::start().await;
    let on_sale = server.hall(1).await;
    let later = START.plus(Span::from_secs(3_600));
    let not_yet = server.hall_like(2, |draft| draft.opens_at = later).await;
    let operator = server.operator().await;
    let buyer = browser(&server, &server.buyer_with("buyer", 10 * PRICE).await);
    let token = buyer.enter(None).await;
    assert!(open(&buyer, &page_of(&on_sale)).await.text().contains("/holds\""), "the turn is for this one");
    let early = open(&buyer, &page_of(&not_yet)).await.text();
    assert!(early.contains("오후 6:00에 예매를 시작합니다") && !early.contains("/holds\""), "{early}");

    // Whoever has no place is told what the concert's own page says.
    let held = buyer.hold(&token, on_sale.seats[0]).await.expect(201);
    buyer.pay(&token, id(&held, "reservation_id")).await.expect(201);
    let sold_out = open(&server.anonymous(), &page_of(&on_sale)).await.text();
    assert!(sold_out.contains("모든 좌석이 팔렸습니다") && sold_out.contains("/line\""), "{sold_out}");
    operator
        .patch(
            &format!("/operator{}", on_sale.path()),
            &json!({ "status": "closed", "reason": "The hall asks for it." }),
        )
        .await
        .expect(200);
    let closed = open(&buyer, &page_of(&on_sale)).await.text();
    assert!(!closed.contains("/line\"") && !closed.contains("/holds\""), "{closed}");
    assert!(closed.contains("data-state=\"mine\""), "a paid seat is the buyer's: {closed}");
    server.close().await;
}

#[tokio::test]
async fn a_turn_says_how_long_seats_can_be_chosen_and_when_it_is_over() {
    let server = Server::start().await;
    let hall = server.hall(4).await;
    let buyer = browser(&server, &server.buyer("buyer").await);
    let token = buyer.enter(None).await;
    let page = open(&buyer, &page_of(&hall)).await.text();
    for expected in ["<div class=\"turn\" data-left=\"600000\"", "오후 5:10:00까지 좌석을 고를 수 있습니다"]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    let line = said(&page)["line"].as_str().unwrap().to_owned();
    assert!(line.starts_with(&format!("/line/{token}")), "{line}");
    // Each hold lengthens the life of the token, and none the time to hold.
    for (wait, seat) in [(0, hall.seats[0]), (280, hall.seats[1]), (280, hall.seats[2])] {
        server.advance(wait);
        buyer.hold(&token, seat).await.expect(201);
    }
    server.advance(45);
    let page = open(&buyer, &page_of(&hall)).await.text();
    for expected in ["좌석을 고르는 시간이 끝났습니다. 이미 잡아 둔 좌석은", "/pay\"", "Floor A열 3번"]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(!page.contains("/holds\""), "no hold would be taken: {page}");
    server.close().await;
}

#[tokio::test]
async fn the_length_of_a_hold_is_said_to_the_second() {
    let server = Server::with(&[("--hold-seconds", "45")]).await;
    let hall = server.hall(2).await;
    let buyer = browser(&server, &server.buyer("buyer").await);
    buyer.enter(None).await;
    let korean = open(&buyer, &page_of(&hall)).await.text();
    assert!(korean.contains("45초 동안 잡기") && !korean.contains("0분"), "{korean}");
    let english = buyer.call_at(Method::GET, &hall.path()).header("accept-language", "en").send().await.text();
    assert!(english.contains("for 45 s"), "{english}");
    server.close().await;
}

#[tokio::test]
async fn a_seat_is_called_the_same_in_the_hall_and_where_it_is_paid() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    let seats = json!({ "seats": [{ "section": "1층", "row": "A열", "number": "7번", "grade": "R" }] });
    let added = operator.post(&format!("/operator{}/seats", hall.path()), &seats).await.expect(201);
    let buyer = browser(&server, &server.buyer("buyer").await);
    let token = buyer.enter(None).await;
    buyer.hold(&token, id(&added, "first_seat_id")).await.expect(201);
    for path in [page_of(&hall), format!("{}/pay", hall.path()), "/mine".to_owned()] {
        let page = open(&buyer, &path).await.text();
        assert!(page.contains("1층 A열 7번") && !page.contains("열열"), "{path}: {page}");
    }
    server.close().await;
}

#[tokio::test]
async fn many_seats_that_were_let_go_hide_none_that_is_paid() {
    let server = Server::with(&[("--max-seats-per-user", "20")]).await;
    let hall = server.hall(130).await;
    let buyer = browser(&server, &server.buyer_with("buyer", 10 * PRICE).await);
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    buyer.pay(&token, id(&held, "reservation_id")).await.expect(201);
    let token = buyer.enter(None).await;
    let release =
        regex::Regex::new(r#"action="(/holds/\d+/release)"[^>]*><input type="hidden" name="key" value="([^"]+)""#);
    let release = release.unwrap();
    for (round, seats) in hall.seats[1..].chunks(19).take(6).enumerate() {
        let chosen = seats.iter().map(|seat| format!("&seat={seat}")).collect::<Vec<_>>().concat();
        let done = send(&buyer, &hall, &format!("key=round-{round}-0123456789&token={token}{chosen}")).await;
        assert_eq!(done.status, 303, "{}", done.text());
        let page = open(&buyer, &page_of(&hall)).await.text();
        for found in release.captures_iter(&page) {
            let form = buyer.call_at(Method::POST, &found[1]).form(format!("key={}", &found[2]));
            assert_eq!(form.send().await.status, 303);
        }
    }
    let page = open(&buyer, &page_of(&hall)).await.text();
    assert_eq!((&said(&page)["mine"], &said(&page)["limit"]), (&json!([hall.seats[0]]), &json!(19)));
    assert!(page.contains("Floor A열 1번, R 100,000원, 내 좌석"), "{page}");
    server.close().await;
}

#[tokio::test]
async fn a_grade_that_is_not_for_sale_has_no_price_in_the_legend_and_the_others_look_as_on_the_concerts_page() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    let seat = |number: &str, grade: &str, price: i64| json!({ "section": "Stage", "row": "A", "number": number, "grade": grade, "price": price });
    let seats =
        json!({ "seats": [seat("1", "Royal", 200_000), seat("2", "Stalls", 150_000), seat("3", "Camera", 900_000)] });
    let added = operator.post(&format!("/operator{}/seats", hall.path()), &seats).await.expect(201);
    let camera = id(&added, "first_seat_id") + 2;
    let block = json!({ "seat_ids": [camera], "reason": "camera" });
    operator.post("/operator/seats/block", &block).await.expect(200);
    let shown = open(&server.anonymous(), &page_of(&hall)).await.text();
    let concert = open(&server.anonymous(), &hall.path()).await.text();
    for (look, mark, name) in [("s", "R", "Royal"), ("a", "S", "Stalls"), ("r", "1", "R")] {
        let grade = format!("grade {look}\"><b>{mark}</b> {name}");
        for page in [&shown, &concert] {
            assert!(page.contains(&grade), "{grade} is not in {page}");
        }
    }
    assert!(!shown.contains("</b> Camera") && !concert.contains("Camera"), "{shown}");
    server.close().await;
}
