//! The season's page and the pages of concerts, as a browser without a script gets them.

use frontrow_domain::{money::Money, sale::AgeRating, time::Span};
use frontrow_service::drafts::{ConcertDraft, DetailsDraft};
use frontrow_testkit::{ApiAnswer, Client, Hall, PRICE, START, Server, eventually, id, picture, wait_until};
use reqwest::Method;
use serde_json::{Value, json};

/// A page in Korean.
async fn page(server: &Server, path: &str) -> String {
    let answer = get(server, path, "ko").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

async fn get(server: &Server, path: &str, language: &str) -> ApiAnswer {
    let call = server.anonymous().call_at(Method::GET, path);
    call.header("accept", "text/html").header("accept-language", language).send().await
}

/// The next second: a page is shared for one.
fn a_second_later(server: &Server) {
    server.advance(1);
}

fn shows(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "{text} is not in {page}");
    }
}

fn shows_none(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(!page.contains(text), "{text} is in {page}");
    }
}

/// The event of a concert's page as a search engine reads it.
fn event(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/ld+json\">").unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

/// An operator; a test may ask for several.
async fn operator(server: &Server) -> Client {
    server.operator_named(&format!("operator-{}", server.ids.uuid(server.clock.now()))).await
}

#[tokio::test]
async fn the_season_shows_concerts_by_date_with_state_and_price() {
    let server = Server::start().await;
    shows(&page(&server, "/").await, &["아직 올라온 공연이 없습니다"]);
    a_second_later(&server);
    let first = server.hall_like(40, |draft| draft.title = "한밤의 물결".to_owned()).await;
    let later = |draft: &mut ConcertDraft| {
        draft.title = "종이등".to_owned();
        draft.concert_date = jiff::civil::date(2027, 2, 20);
        draft.base_price = Money::new(66_000);
        draft.opens_at = START.plus(Span::from_secs(2 * 3_600 + 14 * 60 + 30));
    };
    let second = server.hall_like(3, later).await;
    let season = page(&server, "/").await;
    shows(
        &season,
        &[
            "<html lang=\"ko\">",
            "예매 중 · 40석 남음",
            "2027년 3월 15일 (월) 오후 8:00",
            "100,000원",
            "예매 시작까지 2시간 14분",
            "66,000원",
        ],
    );
    let at = |title: &str| season.find(title).unwrap();
    assert!(at("종이등") < at("한밤의 물결"), "the earlier concert comes first");
    shows(&season, &[&format!("href=\"{}\"", first.path()), &format!("href=\"{}\"", second.path())]);
    let english = get(&server, "/", "en-GB").await.text();
    shows(
        &english,
        &["<html lang=\"en\">", "On sale · 40 left", "Mon 15 March 2027, 8:00 pm", "₩100,000", "Opens in 2 h 14 min"],
    );
    server.close().await;
}

#[tokio::test]
async fn the_season_is_searched_filtered_and_paged() {
    let server = Server::start().await;
    for number in 1..=30_i8 {
        server
            .hall_like(1, |draft| {
                draft.title = format!("밤 {number}번째");
                draft.venue = if number % 2 == 0 { "Hangang Hall" } else { "Dalmaji & <Theatre>" }.to_owned();
                draft.concert_date = jiff::civil::date(2027, if number <= 10 { 3 } else { 4 }, number.min(28));
                if number == 7 {
                    draft.opens_at = START.plus(Span::from_secs(90_000));
                }
            })
            .await;
    }
    let first = page(&server, "/").await;
    assert_eq!(first.matches("class=\"card show\"").count(), 24);
    shows(
        &first,
        &["href=\"/?page=2\"", "<option value=\"2027-04\">2027년 4월</option>", "Dalmaji &#38; &#60;Theatre&#62;"],
    );
    let second = page(&server, "/?page=2").await;
    assert_eq!(second.matches("class=\"card show\"").count(), 6);
    shows(&second, &["rel=\"prev\" href=\"/\""]);
    for (query, found) in [
        ("?q=7%EB%B2%88%EC%A7%B8", 3),
        ("?q=%20HANGANG%20%20%EB%B0%A4%20", 15),
        ("?q=midnight+tide", 30),
        ("?month=2027-03", 10),
        ("?month=2027-03&venue=Hangang+Hall", 5),
        ("?on_sale=1&month=2027-03", 9),
        ("?q=nothing", 0),
        ("?month=%3Cscript%3E", 0),
        ("?q=%00%ff", 0),
    ] {
        let found_page = page(&server, &format!("/{query}")).await;
        shows(&found_page, &[&format!("찾은 공연 {found}개")]);
        shows_none(&found_page, &["<script>"]);
    }
    shows(&page(&server, "/?q=nothing").await, &["조건에 맞는 공연이 없습니다"]);
    let hostile = page(&server, "/?q=%22%3E%3Cimg+src%3Dx+onerror%3Dalert(1)%3E&utm_source=mail").await;
    shows_none(&hostile, &["<img src=x", "utm_source"]);
    server.close().await;
}

fn full_details() -> DetailsDraft {
    DetailsDraft {
        description: Some(Some("두 시간의 새 노래.\n둘째 줄.\n\n현악 사중주와 함께.".to_owned())),
        age_rating: Some(Some(AgeRating::From12)),
        running_minutes: Some(Some(150)),
        doors_minutes: Some(Some(60)),
        address: Some(Some("12 Yeouiseo-ro, Seoul".to_owned())),
        organiser: Some(Some("Tide Live".to_owned())),
        organiser_contact: Some(Some("02-000-0000".to_owned())),
    }
}

/// A hall of two sections and two grades.
async fn two_sections(server: &Server, change: impl FnOnce(&mut ConcertDraft)) -> Hall {
    let hall = server.hall_like(20, |draft| {
        draft.details = Some(full_details());
        change(draft);
    });
    let hall = hall.await;
    let seats =
        json!({ "range": { "from": 21, "to": 30, "section": "Balcony", "row": "B", "grade": "S", "price": 50_000 } });
    operator(server).await.post(&format!("/operator{}/seats", hall.path()), &seats).await.expect(201);
    hall
}

#[tokio::test]
async fn a_concert_shows_everything_before_the_purchase() {
    let server = Server::start().await;
    let hall = two_sections(&server, |_| {}).await;
    let shown = page(&server, &hall.path()).await;
    shows(
        &shown,
        &[
            "<h1>Midnight Tide: The First Night</h1>",
            "예매 중 · 30석 남음",
            "두 시간의 새 노래.<br>둘째 줄.",
            "<p>현악 사중주와 함께.</p>",
            "12세 이상 관람가",
            "2시간 30분 (인터미션 포함)",
            "<dd>오후 7:00</dd>",
            "12 Yeouiseo-ro, Seoul",
            "Tide Live",
            "02-000-0000",
            "100,000원",
            "20석 남음",
            "50,000원",
            "1인 4매까지",
            "5분 동안 내 자리로",
            "수수료 없음",
            "2027년 3월 14일 (일) 오후 8:00 전까지 전액 환불",
            "줄 서기",
            "<b>10</b>",
            &format!("action=\"{}/line\" method=\"post\"", hall.path()),
            &format!("href=\"{}/seats\"", hall.path()),
            &format!("href=\"{}/calendar.ics\"", hall.path()),
        ],
    );
    let english = get(&server, &hall.path(), "en").await.text();
    shows(
        &english,
        &[
            "12 and older",
            "2 h 30 min with interval",
            "7:00 pm",
            "Up to 4 seats",
            "You can get a full refund before Sun 14 March 2027, 8:00 pm.",
            "Join the line",
        ],
    );
    // A concert of which nothing is known but its row.
    let body = json!({
        "title": "Bare", "artist": "A", "venue": "V", "time_zone": "Asia/Seoul", "concert_date": "2027-03-01",
        "start_time": "20:00:00", "end_time": "22:30:00", "base_price": 0, "opens_at": "2027-01-01T01:00:00Z"
    });
    let bare = operator(&server).await.post("/operator/concerts", &body).await.expect(201);
    let shown = page(&server, &format!("/concerts/{}", id(&bare, "concert_id"))).await;
    shows(&shown, &["좌석 준비 중", "<h1>"]);
    shows_none(&shown, &["/line\"", "관람 등급", "공연 소개", "구역별 남은 좌석"]);
    server.close().await;
}

#[tokio::test]
async fn each_state_of_a_sale_has_its_words_and_its_next_step() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let path = hall.path();
    let step = async |expected: &[&str], may_join: bool| {
        // The season's counts of seats may be a tenth of a second old.
        let shown = eventually(&format!("the page shows {expected:?}"), async || {
            a_second_later(&server);
            let shown = page(&server, &path).await;
            let season = page(&server, "/").await;
            let is_there = expected.iter().all(|text| shown.contains(text)) && season.contains(expected[0]);
            is_there.then_some(shown)
        })
        .await;
        assert_eq!(shown.contains("/line\""), may_join, "{expected:?}");
    };
    step(&["예매 중 · 2석 남음", "줄을 서면 차례가 왔을 때"], true).await;
    let buyer = server.buyer_with("minji", 10 * PRICE).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    buyer.hold(&token, hall.seats[1]).await.expect(201);
    step(&["남은 좌석 없음", "몇 분 안에 다시 나옵니다", "지금 빈 좌석 없음"], true).await;
    shows_none(&page(&server, &path).await, &["매진"]);
    buyer.pay(&token, id(&held, "reservation_id")).await.expect(201);
    let operator = operator(&server).await;
    server.advance(600);
    let block = json!({ "seat_ids": [hall.seats[1]], "reason": "camera" });
    wait_until("the hold is swept", async || operator.post("/operator/seats/block", &block).await.status == 200).await;
    step(&["매진", "환불되는 좌석이 나오면"], true).await;
    let update = async |change: Value| {
        operator.patch(&format!("/operator{path}"), &change).await.expect(200);
    };
    update(json!({ "status": "closed", "status_reason": "현장에서 팝니다." })).await;
    step(&["예매 마감", "현장에서 팝니다."], false).await;
    update(json!({ "status": "postponed", "status_reason": "가수가 아픕니다." })).await;
    step(&["공연 연기", "가수가 아픕니다.", "새 날짜가 정해질 때까지 전액 환불"], false).await;
    shows_none(&page(&server, &path).await, &["언제든지", "기한 없이"]);
    operator.post(&format!("/operator{path}/cancel"), &json!({ "reason": "<b>취소</b>" })).await.expect(200);
    step(&["공연 취소", "&#60;b&#62;취소", "언제든지 전액 환불"], false).await;
    server.close().await;
}

#[tokio::test]
async fn a_shop_with_a_name_of_its_own_is_shared_under_it() {
    let theme = tempfile::tempdir().unwrap();
    std::fs::write(theme.path().join("name.txt"), "달빛 예매").unwrap();
    let server = Server::with(&[("--theme", theme.path().to_str().unwrap())]).await;
    let concert = server.hall(1).await.path();
    for path in ["/", &concert] {
        let shown = page(&server, path).await;
        shows(&shown, &["og:site_name\" content=\"달빛 예매\""]);
        shows_none(&shown, &["앞줄"]);
    }
    server.close().await;
}

#[tokio::test]
async fn the_sale_of_a_concert_opens_by_the_servers_clock() {
    let server = Server::start().await;
    let hall = server.hall_like(5, |draft| draft.opens_at = START.plus(Span::from_secs(3_600))).await;
    let shown = page(&server, &hall.path()).await;
    let opens = START.plus(Span::from_secs(3_600)).micros() / 1_000;
    shows(
        &shown,
        &["예매 시작까지 1시간", "에 예매를 시작합니다.", &format!("data-opens=\"{opens}\""), "countdown.js"],
    );
    let clock = server.anonymous().call_at(Method::GET, "/clock").send().await;
    assert_eq!(clock.text(), (server.clock.now().micros() / 1_000).to_string());
    assert_eq!(clock.header("cache-control"), Some("no-store"));
    server.advance(3_600);
    let shown = page(&server, &hall.path()).await;
    shows(&shown, &["예매 중 · 5석 남음"]);
    shows_none(&shown, &["data-opens", "countdown.js"]);
    server.close().await;
}

#[tokio::test]
async fn what_a_concert_is_called_cannot_change_its_page() {
    let server = Server::start().await;
    let hostile = "</script><script>alert(1)</script> \" onload=x & <!-- ";
    let hall = server
        .hall_like(1, |draft| {
            (draft.title, draft.artist, draft.venue) = (hostile.to_owned(), hostile.to_owned(), hostile.to_owned());
            let details = DetailsDraft {
                description: Some(Some(hostile.to_owned())),
                address: Some(Some(hostile.to_owned())),
                organiser: Some(Some(hostile.to_owned())),
                ..DetailsDraft::default()
            };
            draft.details = Some(details);
        })
        .await;
    for path in ["/", &hall.path()] {
        let shown = page(&server, path).await;
        shows_none(&shown, &["<script>alert", "<!-- ", "x\" onload"]);
    }
    let shown = page(&server, &hall.path()).await;
    assert_eq!(shown.matches("</script>").count(), 1, "the event's own end");
    assert_eq!(event(&shown)["name"], hostile.trim());
    server.close().await;
}

#[tokio::test]
async fn search_engines_and_shared_links_find_the_event() {
    let server = Server::with(&[("--public-url", "https://shop.example.com")]).await;
    let hall = two_sections(&server, |_| {}).await;
    let poster = operator(&server).await.call(Method::PUT, &format!("/operator{}/poster", hall.path()));
    let poster = poster.body("image/png", picture(900, 1_200)).send().await.expect(200);
    let shown = page(&server, &hall.path()).await;
    let (event, url) = (event(&shown), format!("https://shop.example.com{}", hall.path()));
    let image = format!("https://shop.example.com{}", poster["path"].as_str().unwrap());
    for (field, expected) in [
        ("@context", json!("https://schema.org")),
        ("@type", json!("MusicEvent")),
        ("name", json!("Midnight Tide: The First Night")),
        ("url", json!(url)),
        ("startDate", json!("2027-03-15T20:00:00+09:00")),
        ("endDate", json!("2027-03-15T22:30:00+09:00")),
        ("doorTime", json!("2027-03-15T19:00:00+09:00")),
        ("eventStatus", json!("https://schema.org/EventScheduled")),
        ("typicalAgeRange", json!("12+")),
        ("image", json!([image])),
    ] {
        assert_eq!(event[field], expected, "{field}");
    }
    assert_eq!(event["location"]["name"], "Hangang Hall, Seoul");
    assert_eq!(event["location"]["address"], "12 Yeouiseo-ro, Seoul");
    assert_eq!(event["performer"]["name"], "Midnight Tide");
    assert_eq!(event["organizer"]["name"], "Tide Live");
    let offers = event["offers"].as_array().unwrap();
    assert_eq!(offers.len(), 2);
    assert_eq!((&offers[0]["price"], &offers[0]["priceCurrency"]), (&json!(100_000), &json!("KRW")));
    assert_eq!(offers[0]["availability"], "https://schema.org/InStock");
    shows(
        &shown,
        &[
            &format!("<link rel=\"canonical\" href=\"{url}\">"),
            "<meta property=\"og:title\" content=\"Midnight Tide: The First Night\">",
            &format!("<meta property=\"og:image\" content=\"{image}\">"),
            "<meta property=\"og:image:width\" content=\"900\">",
        ],
    );
    let sitemap = get(&server, "/sitemap.xml", "ko").await;
    assert_eq!(sitemap.header("content-type"), Some("application/xml"));
    shows(&sitemap.text(), &["<loc>https://shop.example.com/</loc>", &format!("<loc>{url}</loc><lastmod>2027-")]);
    shows(
        &get(&server, "/robots.txt", "ko").await.text(),
        &["Disallow: /\n", "Sitemap: https://shop.example.com/sitemap.xml"],
    );
    server.close().await;
}

#[tokio::test]
async fn shared_links_have_the_name_that_the_shop_gives_itself() {
    let theme = tempfile::tempdir().unwrap();
    std::fs::write(theme.path().join("name.txt"), "Moonlight Tickets").unwrap();
    let server = Server::with(&[("--theme", theme.path().to_str().unwrap())]).await;
    let hall = server.hall(1).await;
    for path in ["/", &hall.path()] {
        let shown = page(&server, path).await;
        shows(&shown, &["<meta property=\"og:site_name\" content=\"Moonlight Tickets\">"]);
        shows_none(&shown, &["앞줄\""]);
    }
    server.close().await;
}

#[tokio::test]
async fn links_go_by_the_host_that_a_visitor_named_and_no_other_visitors() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let named = async |host: &str| {
        let call = server.anonymous().call_at(Method::GET, &hall.path()).header("host", host);
        let shown = call.header("accept", "text/html").send().await.text();
        event(&shown)["url"].as_str().unwrap().to_owned()
    };
    assert_eq!(named("shop.example").await, format!("http://shop.example{}", hall.path()));
    assert_eq!(named("other.example:8080").await, format!("http://other.example:8080{}", hall.path()));
    server.close().await;
}

#[tokio::test]
async fn a_concert_goes_into_a_calendar() {
    let server = Server::start().await;
    let title = "한밤의 물결, 첫째 날; 그리고 아주 긴 이름의 공연을 위한 아주 긴 제목입니다";
    let hall = two_sections(&server, |draft| draft.title = title.to_owned()).await;
    let answer = get(&server, &format!("{}/calendar.ics", hall.path()), "ko").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/calendar; charset=utf-8")));
    assert_eq!(answer.header("content-disposition"), Some(&*format!("inline; filename=\"concert-{}.ics\"", hall.id())));
    let text = answer.text();
    assert!(text.ends_with("END:VCALENDAR\r\n") && text.split("\r\n").all(|line| line.len() <= 75), "{text}");
    let unfolded = text.replace("\r\n ", "");
    let lines: Vec<_> = unfolded.split("\r\n").collect();
    for line in [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        "DTSTART:20270315T110000Z",
        "DTEND:20270315T133000Z",
        "STATUS:CONFIRMED",
        "LOCATION:Hangang Hall\\, Seoul\\, 12 Yeouiseo-ro\\, Seoul",
        &format!("SUMMARY:{}", title.replace(',', "\\,").replace(';', "\\;")),
        &format!("UID:concert-{}@127.0.0.1", hall.id()),
    ] {
        assert!(lines.contains(&line), "{line} is not in {text}");
    }
    operator(&server)
        .await
        .patch(
            &format!("/operator{}", hall.path()),
            &json!({ "status": "postponed", "reason": "The hall asks for it." }),
        )
        .await
        .expect(200);
    a_second_later(&server);
    shows(&get(&server, &format!("{}/calendar.ics", hall.path()), "ko").await.text(), &["STATUS:TENTATIVE"]);
    server.close().await;
}

#[tokio::test]
async fn pages_are_shared_for_a_second_and_revalidated_by_their_tag() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    for path in ["/", &hall.path()] {
        let first = get(&server, path, "ko").await;
        assert_eq!(first.header("cache-control"), Some("public, max-age=1"));
        assert_eq!(first.header("vary"), Some("accept-encoding, accept-language, cookie"));
        assert!(first.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
        let tag = first.header("etag").unwrap();
        let again = server.anonymous().call_at(Method::GET, path).header("accept-language", "ko");
        assert_eq!(again.header("if-none-match", tag).send().await.status, 304);
        let packed = server.anonymous().call_at(Method::GET, path).header("accept-language", "ko");
        let packed = packed.header("accept-encoding", "gzip").send().await;
        // Smaller ones are sent as they are.
        if first.body.len() >= 4_096 {
            assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
            assert!(packed.body.len() < first.body.len() / 2);
        }
    }
    let operator = operator(&server).await;
    operator.patch(&format!("/operator{}", hall.path()), &json!({ "title": "다른 이름" })).await.expect(200);
    for path in ["/", &hall.path()] {
        shows_none(&page(&server, path).await, &["다른 이름"]);
        // A visitor of another language has a page of another text, made from the same look at the database.
        shows_none(&get(&server, path, "en").await.text(), &["다른 이름"]);
    }
    a_second_later(&server);
    for path in ["/", &hall.path()] {
        shows(&page(&server, path).await, &["다른 이름"]);
    }
    server.close().await;
}

#[tokio::test]
async fn the_header_of_a_shared_page_says_whether_the_visitor_is_signed_in() {
    let server = Server::start().await;
    let buyer = server.buyer("minji").await;
    let signed_out = page(&server, "/").await;
    shows(&signed_out, &["href=\"/sign-in?next=%2F\""]);
    let cookie = format!("frontrow-session={}", buyer.secret());
    let call = server.anonymous().call_at(Method::GET, "/").header("cookie", &cookie);
    let signed_in = call.header("accept-language", "ko").send().await.text();
    shows(&signed_in, &["href=\"/mine\""]);
    shows_none(&signed_in, &["minji"]);
    assert_eq!(page(&server, "/").await, signed_out);
    server.close().await;
}

#[tokio::test]
async fn what_is_not_there_is_a_page_too() {
    let server = Server::start().await;
    for path in ["/concerts/999", "/concerts/0", "/concerts/x", "/concerts/999/calendar.ics", "/nowhere"] {
        let answer = get(&server, path, "ko").await;
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        shows(&answer.text(), &["<html lang=\"ko\">", "<h1>"]);
    }
    server.close().await;
}
