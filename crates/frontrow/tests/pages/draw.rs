//! The page of a draw: what is published, one's own entry, and the signature that is handed in.

use crate::support::{browser, hidden, new_key, says, scene};
use frontrow_clock::Clock;
use frontrow_domain::time::Time;
use frontrow_testkit::{Browser, Hall, LoadedPage, START, Server, eventually, settings};
use serde_json::Value;

/// A record whose round the public beacon signed in 2023.
const RECORD: &str = include_str!("../../../draw/tests/fixtures/record.json");
/// The second of its round is the third one after this.
const BEFORE_ROUND: i64 = 1_692_806_361;
const UNTIL_OPENING: i64 = 60;

/// A concert whose lobby is open.
async fn with_lobby(server: &Server, now: Time) -> Hall {
    let opens_at = Time::from_micros(now.micros() + UNTIL_OPENING * 1_000_000);
    server
        .hall_like(2, |draft| {
            draft.opens_at = opens_at;
            draft.own_room_max_active = Some(0);
        })
        .await
}

/// Joins the line of a concert. Returns the address of the draw's page.
async fn join(server: &Server, browser: &Browser, hall: &Hall) -> String {
    let answer = browser.send(&format!("{}/line", hall.path()), &[("key", &new_key(server))]).await;
    format!("{}/draw", answer.leads_to())
}

/// Opens the page until it has this text.
async fn until(browser: &Browser, path: &str, text: &str) -> LoadedPage {
    eventually(&format!("the page says {text}"), async || {
        let page = browser.open(path).await;
        page.html.contains(text).then_some(page)
    })
    .await
}

/// The JSON that a page gives its script.
fn proof(page: &LoadedPage) -> Value {
    let found = regex::Regex::new(r#" data-proof="([^"]*)""#).unwrap();
    let mut text = found.captures(&page.html).unwrap_or_else(|| panic!("no proof in {}", page.html))[1].to_owned();
    for (escaped, sign) in [("&#34;", "\""), ("&#38;", "&")] {
        text = text.replace(escaped, sign);
    }
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn before_the_opening_the_page_of_a_concert_says_what_is_committed_to() {
    let server = Server::start().await;
    let hall = with_lobby(&server, START).await;
    let draw = format!("{}/draw", hall.path());
    let visitor = Browser::at(&server);
    let concert = visitor.open(&hall.path()).await;
    says(&concert, &["The order is drawn at the opening", &format!("href=\"{draw}\"")], &[]);
    let hash = server.anonymous().get(&format!("/rooms/{}/draw", hall.id())).await.expect(200)["secret_hash"].clone();
    let page = visitor.open(&draw).await;
    let texts = [
        "0 entries so far",
        "The order is drawn when the sale opens: ",
        hash.as_str().unwrap(),
        "This draw waits for no public beacon",
        "Frontrow draw, rules 1",
        "None: the secret decides alone",
    ];
    says(&page, &texts, &["Your entry", "<form", "<script", "Download the record"]);
    let korean = Browser::at(&server).speaking("ko").open(&draw).await;
    says(&korean, &["지금까지 0명 접수", "비밀값만으로 정합니다"], &["The draw"]);
    let house = server.hall(1).await;
    assert_eq!(visitor.open(&format!("{}/draw", house.path())).await.status, 404);
    says(&visitor.open(&house.path()).await, &[], &["The order is drawn"]);
    server.close().await;
}

#[tokio::test]
async fn an_entry_is_shown_and_proved_to_its_own_user_alone() {
    let server = Server::start().await;
    let hall = with_lobby(&server, START).await;
    let (first, second) = (server.buyer("first").await, server.buyer("second").await);
    let (first, second) = (browser(&server, &first), browser(&server, &second));
    join(&server, &first, &hall).await;
    let draw = join(&server, &second, &hall).await;
    says(&second.open(&draw).await, &["2명 접수", "<dt>접수 번호</dt><dd>2</dd>"], &["추첨 순위", "<script"]);
    server.advance(UNTIL_OPENING);
    let page = until(&second, &draw, "순서를 추첨했습니다").await;
    says(&page, &["비밀값만으로 정했습니다. 이 추첨은 비콘을 기다리지 않았습니다", "2명 중", "draw/main.js"], &[]);
    let proof = proof(&page);
    assert_eq!((&proof["entry"]["number"], &proof["record"]["entry_count"]), (&2.into(), &2.into()));
    let rank = proof["rank"].as_i64().unwrap();
    let command = format!("frontrow verify-draw draw-{}.json --entry 2", hall.id());
    let record = format!("href=\"/api/v1/rooms/{}/draw/record\" download", hall.id());
    let place = format!("<dt>줄에서의 자리</dt><dd>{}</dd>", 2 + rank);
    says(&page, &[&command, &record, &place, &format!("2명 중 {rank}위")], &[]);
    // The address alone reads what is published, and the user's id stays unsaid.
    for other in [&first, &Browser::at(&server).speaking("ko")] {
        let page = other.open(&draw).await;
        says(&page, &["순서를 추첨했습니다", "줄을 섰던 계정으로 로그인하면"], &["data-proof", "2명 중"]);
        assert!(!page.html.contains(proof["entry"]["text"].as_str().unwrap().lines().nth(3).unwrap()));
    }
    // The waiting page leads here, too.
    let place = draw.strip_suffix("/draw").unwrap();
    let waiting = until(&second, place, "순서를 추첨한 방법과 확인하는 법").await;
    assert_eq!(scene(&waiting), "waiting");
    // Who comes now is no entry.
    let late = server.buyer("late").await;
    let late = browser(&server, &late);
    let draw = join(&server, &late, &hall).await;
    says(&late.open(&draw).await, &["추첨에 접수된 자리가 아니거나"], &["data-proof"]);
    server.close().await;
}

#[tokio::test]
async fn the_beacons_signature_is_handed_in_by_a_form_that_says_what_was_wrong() {
    let record: Value = serde_json::from_str(RECORD).unwrap();
    let signature = record["signature"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), &[("--draw-waits-seconds", "60")]);
    let now = Time::from_micros((BEFORE_ROUND - UNTIL_OPENING) * 1_000_000);
    let server = Server::over(folder, config, Clock::manual(now)).await;
    let hall = with_lobby(&server, now).await;
    let buyer = server.buyer("buyer").await;
    let buyer = browser(&server, &buyer);
    let own = join(&server, &buyer, &hall).await;
    let draw = format!("{}/draw", hall.path());
    let early = buyer.send(&draw, &[("signature", signature)]).await;
    early.shows(409, &["추첨이 서명을 기다리고 있지 않습니다", "role=\"alert\""]);
    server.advance(UNTIL_OPENING);
    // A page for all is kept for a second, in which the clock stands: the page of the place is not.
    until(&buyer, &own, "비콘의 1000회차를 기다리고 있습니다").await;
    let page = buyer.open(&draw).await;
    says(&page, &["비콘의 1000회차를 기다리고 있습니다"], &[]);
    let chain = record["chain"]["hash"].as_str().unwrap();
    says(&page, &[&format!("https://api.drand.sh/{chain}/public/1000"), "name=\"signature\""], &["data-proof"]);
    // Without an account there is no form, and a form that is sent leads to the sign-in.
    let visitor = Browser::at(&server).speaking("ko");
    says(&visitor.open(&draw).await, &["로그인하고 제출하기"], &["<form"]);
    assert_eq!(visitor.send(&draw, &[("signature", signature)]).await.status, 303);
    for (sent, said) in
        [("<none>", "서명은 0~9와 a~f로 된 96자리입니다"), (&"0".repeat(96), "이 회차의 서명이 아닙니다")]
    {
        let again = buyer.send(&own, &[("signature", sent)]).await;
        again.shows(422, &[said, "role=\"alert\""]);
        assert!(!again.html.contains("<none>"), "what was sent comes back as text");
    }
    let sent = format!(" {} ", signature.to_uppercase());
    assert_eq!(buyer.send(&own, &[("signature", &sent)]).await.leads_to(), own);
    let page = until(&buyer, &own, "data-proof").await;
    says(&page, &["비밀값과 비콘의 회차가 함께 정했습니다", signature, "1명 중 1위"], &["<form"]);
    // Once drawn, another one changes nothing.
    assert_eq!(buyer.send(&draw, &[("signature", &"0".repeat(96))]).await.leads_to(), draw);
    server.close().await;
}

#[tokio::test]
async fn an_operator_chooses_the_order_of_an_opening_with_a_reason_until_the_sale_opens() {
    let server = Server::start().await;
    let hall = with_lobby(&server, START).await;
    let operator = server.operator().await;
    let cockpit = browser(&server, &operator);
    let path = format!("/operator/rooms/{}", hall.id());
    let settings = format!("{path}/settings");
    let page = cockpit.open(&path).await;
    says(
        &page,
        &["예매 시작 때 추첨: 0명 접수", "<select id=\"opening\"", &format!("href=\"{}/draw\"", hall.path())],
        &[],
    );
    let fields = |page: &LoadedPage, more: &[(&str, &str)]| -> Vec<(String, String)> {
        let carried = ["key", "version", "was_max_active", "was_opening"];
        let carried = carried.map(|name| (name.to_owned(), hidden(page, name).remove(0)));
        carried.into_iter().chain(more.iter().map(|(name, value)| ((*name).into(), (*value).into()))).collect()
    };
    let send = async |sent: Vec<(String, String)>| {
        let sent: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        cockpit.send(&settings, &sent).await
    };
    let first_come = ("opening", "first_come");
    // It takes something from those who wait already, so it asks for a reason.
    let asked = send(fields(&page, &[first_come, ("act", "apply")])).await;
    says(&asked, &["그때 줄에 있는 모두를 추첨", "온 순서대로", "name=\"reason\""], &[]);
    let consent = [first_come, ("act", "apply"), ("consent", "given"), ("reason", "It was announced so.")];
    assert_eq!(send(fields(&asked, &consent)).await.leads_to(), format!("{path}?applied"));
    assert_eq!(operator.get(&path).await.expect(200)["opening"], "first_come");
    says(&cockpit.open(&path).await, &["대기열 변경"], &["추첨: 0명 접수"]);
    let page = cockpit.open(&path).await;
    server.advance(UNTIL_OPENING);
    let late = [("opening", "draw"), ("act", "apply"), ("consent", "given"), ("reason", "Too late.")];
    send(fields(&page, &late)).await.shows(409, &["이미 예매가 시작되었습니다"]);
    says(&cockpit.open(&path).await, &[], &["<select id=\"opening\""]);
    server.close().await;
}
