//! The page of a hall: what a visitor sees there, and what its forms do.

use frontrow_domain::time::Span;
use frontrow_testkit::{ApiAnswer, Client, START, Server, hall::Hall, id, items};
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
    assert!(early.contains("2027년 1월 15일 (금) 오후 6:00에 시작합니다"), "{early}");
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
        assert_eq!(page.matches(" checked").count(), 2, "the choice comes back");
    }
    assert_eq!(held(&buyer).await, Vec::<i64>::new());

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
    let next = format!("{link}&#38;from=12#seats");
    assert!(section.contains(&next), "{section}");
    let rest = open(&anonymous, &format!("{link}&from=12")).await.text();
    assert_eq!(rest.matches("type=\"checkbox\"").count(), 300);
    assert!(rest.find("13열").is_some() && !rest.contains("<legend>12열"), "{rest}");
    open(&anonymous, &format!("{}?section=none&from=7&x=y", page_of(&hall))).await;
    server.close().await;
}
