//! Search, orders, users, and what an operator may do for them: with good input, with bad input in every field, and by
//! those who may only look on.

use crate::support::{browser, holding, key, says};
use frontrow_testkit::{Browser, Client, Hall, LoadedPage, Server, eventually, items};
use serde_json::{Value, json};

/// A box office in which a buyer has paid for one seat of a hall.
struct Sold {
    server: Server,
    hall: Hall,
    buyer: Client,
    /// The browsers of an operator and of a viewer.
    operator: Browser,
    viewer: Browser,
    reservation: i64,
    payment: i64,
}

impl Sold {
    async fn open() -> Self {
        let server = Server::start().await;
        let hall = server.hall(3).await;
        let buyer = server.buyer_with("김민지", 300_000).await;
        let (reservation, payment) = buyer.buy(hall.seats[0]).await;
        let operator = browser(&server, &server.operator().await);
        let viewer = browser(&server, &server.viewer().await);
        Self { server, hall, buyer, operator, viewer, reservation, payment }
    }

    async fn user(&self) -> String {
        self.buyer.get("/users/me").await.expect(200)["user_id"].as_str().unwrap().to_owned()
    }

    async fn balance(&self) -> i64 {
        self.buyer.balance().await
    }

    /// The newest entry of the audit log.
    async fn newest(&self) -> Value {
        let log = self.server.operator_named("auditor").await.get("/operator/audit?limit=20").await.expect(200);
        let is_of_accounts = |entry: &&Value| entry["action"].as_str().unwrap().starts_with("operator.");
        let mut entries = log["items"].as_array().unwrap().iter().filter(|entry| !is_of_accounts(entry));
        entries.next().unwrap().clone()
    }
}

/// A page that came back because of its fields.
fn refuses(page: &LoadedPage, texts: &[&str]) {
    assert_eq!(page.status, 422, "{}", page.html);
    for text in texts {
        assert!(page.html.contains(text), "{text} is not in {}", page.html);
    }
}

#[tokio::test]
async fn one_field_finds_anything_and_one_thing_at_once() {
    let sold = Sold::open().await;
    let Sold { operator, .. } = &sold;
    let user = sold.user().await;
    let search = async |text: &str| {
        let query = frontrow_testkit::form_body(&[("q", text)]);
        operator.open(&format!("/operator/search?{query}")).await
    };
    // One thing: its page.
    assert_eq!(search("결제 1").await.leads_to(), format!("/operator/payments/{}", sold.payment));
    assert_eq!(search("reservation 1").await.leads_to(), format!("/operator/reservations/{}", sold.reservation));
    for text in [user.as_str(), "김민", "민지"] {
        assert_eq!(search(text).await.leads_to(), format!("/operator/users/{user}"), "{text}");
    }
    assert_eq!(search("concert 1 seat 1").await.status, 200, "the concert and its seat");
    says(&search("concert 1 seat 60").await, &["맞는 것이 없습니다"], &[]);
    says(
        &search("concert 1 seat 1").await,
        &["Floor A열 1번", "판매 완료", "<th scope=\"col\">상태</th>", "예약 1"],
        &[],
    );
    // A number may be that of several things.
    says(&search("1").await, &["예약 1", "결제 1", "Midnight Tide", "기록 1"], &[]);
    assert_eq!(search("midnight").await.leads_to(), "/operator/concerts/1");
    // A correction, by what the bank calls it, and what is left to be owed of it.
    let auditor = sold.server.operator_named("auditor").await;
    let correction = json!({ "amount": -1_000_000, "reason": "chargeback", "reference": "cc-700000" });
    auditor.post(&format!("/operator/users/{user}/adjustments"), &correction).await.expect(201);
    says(&search("cc-700000").await, &["잔액 정정", "미정산 금액", "/operator/debts/1\"", "chargeback"], &[]);
    for text in ["debt 1", "미정산 1번"] {
        assert_eq!(search(text).await.leads_to(), "/operator/debts/1", "{text}");
    }
    says(&search("debt 2").await, &["맞는 것이 없습니다"], &[]);
    says(&search("아무도 아님").await, &["에 맞는 것이 없습니다"], &[]);
    says(&search("").await, &["무엇이든 찾기"], &["맞는 것이 없습니다"]);
    says(&search("<script>alert(1)</script>").await, &["&#60;script&#62;"], &["<script>alert"]);
    refuses(&search(&"가".repeat(201)).await, &["200자까지"]);
    says(&sold.viewer.open("/operator/search?q=1").await, &["Midnight Tide"], &[]);
    let buyer = browser(&sold.server, &sold.buyer);
    assert_eq!(buyer.open("/operator/search?q=1").await.status, 403);
    assert_eq!(
        Browser::at(&sold.server).open("/operator/payments/1").await.leads_to().split('?').next(),
        Some("/sign-in")
    );
    sold.server.close().await;
}

#[tokio::test]
async fn a_payment_is_refunded_with_a_reason_and_its_page_says_by_whom() {
    let sold = Sold::open().await;
    let Sold { operator, viewer, payment, .. } = &sold;
    let (path, act) = (format!("/operator/payments/{payment}"), format!("/operator/payments/{payment}/refund"));
    let page = operator.open(&path).await;
    says(
        &page,
        &["에 결제했습니다", "김민지", "Midnight Tide", "Floor A열 1번", "100,000원", &act, "좌석을 잡았습니다"],
        &["password"],
    );
    assert!(page.html.contains("&#34;payment_id&#34;: 1"), "{}", page.html);
    // A viewer sees it, and is offered nothing.
    says(&viewer.open(&path).await, &["에 결제했습니다", "보기만 하는 계정"], &[&act]);
    assert_eq!(viewer.open(&act).await.status, 403);
    assert_eq!(viewer.send(&act, &[("key", &key(&operator.open(&act).await)), ("reason", "x")]).await.status, 403);

    let form = operator.open(&act).await;
    says(&form, &["100,000원이 김민지 님의 잔액으로 돌아갑니다", "바로 다시 팔립니다", "되돌릴 수 없습니다"], &[]);
    let good = key(&form);
    let long = "가".repeat(501);
    for (reason, why) in [
        ("", "적어 주세요"),
        ("  \r\n ", "적어 주세요"),
        (long.as_str(), "너무 깁니다"),
        ("a\u{7}b", "쓸 수 없는 글자"),
        ("a\u{202e}b", "쓸 수 없는 글자"),
        ("\u{fffd}", "읽을 수 없는"),
    ] {
        refuses(&operator.send(&act, &[("key", &good), ("reason", reason)]).await, &[why, "aria-invalid"]);
    }
    refuses(&operator.send(&act, &[("key", &good)]).await, &["적어 주세요"]);
    refuses(&operator.send(&act, &[("key", &good), ("reason", "a"), ("reason", "b")]).await, &["읽을 수 없는"]);
    for keys in [vec![], vec![("key", "short")], vec![("key", good.as_str()), ("key", good.as_str())]] {
        let fields: Vec<_> = keys.into_iter().chain([("reason", "아픔")]).collect();
        assert_eq!(operator.send(&act, &fields).await.status, 422);
    }
    assert_eq!(sold.balance().await, 200_000, "nothing was refunded");

    // A double click refunds once, and both lead to the payment.
    let fields = [("key", good.as_str()), ("reason", "구매자가 아픔 <b>")];
    let (one, two) = tokio::join!(operator.send(&act, &fields), operator.send(&act, &fields));
    assert_eq!((one.leads_to(), two.leads_to()), (path.as_str(), path.as_str()));
    assert_eq!(sold.balance().await, 300_000);
    let entry = sold.newest().await;
    assert_eq!((&entry["action"], &entry["detail"]["reason"]), (&json!("payment.refund"), &json!("구매자가 아픔 <b>")));
    let page = operator.open(&path).await;
    says(&page, &["에 환불했습니다", "구매자가 아픔 &#60;b&#62;", "operator", "잔액 300,000원"], &[&act, "<b>”"]);
    // Another operator who still has the form is led to what was done.
    let late = browser(&sold.server, &sold.server.operator_named("late").await);
    assert_eq!(late.open(&act).await.leads_to(), path);
    assert_eq!(late.send(&act, &[("key", "0123456789abcdef-late"), ("reason", "again")]).await.leads_to(), path);
    assert_eq!(sold.balance().await, 300_000);
    for missing in ["/operator/payments/99", "/operator/payments/99/refund", "/operator/reservations/99"] {
        assert_eq!(operator.open(missing).await.status, 404, "{missing}");
    }
    for bad in ["/operator/payments/x", "/operator/payments/0", "/operator/payments/01"] {
        assert_eq!(operator.open(bad).await.status, 400, "{bad}");
    }
    sold.server.check_books().await;
    sold.server.close().await;
}

#[tokio::test]
async fn a_held_reservation_is_cancelled_with_a_reason_and_a_paid_one_is_not() {
    let sold = Sold::open().await;
    let Sold { operator, hall, server, .. } = &sold;
    let other = server.buyer("other").await;
    let (_, held) = holding(&other, hall, &[1]).await;
    let (path, act) =
        (format!("/operator/reservations/{}", held[0]), format!("/operator/reservations/{}/cancel", held[0]));
    says(&operator.open(&path).await, &["까지 잡혀 있습니다", &act], &["refund"]);
    let form = operator.open(&act).await;
    says(&form, &["Floor A열 2번", "돈은 움직이지 않습니다"], &[]);
    refuses(&operator.send(&act, &[("key", &key(&form)), ("reason", " ")]).await, &["적어 주세요"]);
    assert_eq!(sold.viewer.send(&act, &[("key", &key(&form)), ("reason", "x")]).await.status, 403);
    let sent = operator.send(&act, &[("key", &key(&form)), ("reason", "현장 요청")]).await;
    assert_eq!(sent.leads_to(), path);
    says(&operator.open(&path).await, &["에 취소했습니다", "현장 요청", "operator"], &[&act]);
    assert_eq!(sold.newest().await["detail"]["reason"], "현장 요청");
    assert_eq!(operator.open(&act).await.leads_to(), path, "there is nothing to cancel any more");
    // A paid one has a payment to refund instead.
    let paid = format!("/operator/reservations/{}", sold.reservation);
    says(&operator.open(&paid).await, &["에 결제했습니다", "/refund"], &["/cancel"]);
    let refused = operator.send(&format!("{paid}/cancel"), &[("key", "0123456789abcdef"), ("reason", "x")]).await;
    assert_eq!(refused.status, 409, "{}", refused.html);
    sold.server.close().await;
}

#[tokio::test]
async fn a_balance_is_topped_up_and_corrected_after_the_effect_was_shown() {
    let sold = Sold::open().await;
    let Sold { operator, viewer, .. } = &sold;
    let user = sold.user().await;
    let path = format!("/operator/users/{user}");
    says(&operator.open(&path).await, &["200,000원", "가입했습니다", "충전했습니다", &format!("{path}/top-up")], &[]);
    says(&viewer.open(&path).await, &["200,000원"], &[&format!("{path}/top-up"), &format!("{path}/lock")]);

    let act = format!("{path}/top-up");
    let good = key(&operator.open(&act).await);
    let long = "x".repeat(101);
    for (amount, reference, why) in [
        ("", "pg-1", "적어 주세요"),
        ("abc", "pg-1", "숫자로 적어"),
        ("1.5", "pg-1", "숫자로 적어"),
        ("99999999999999999999", "pg-1", "숫자로 적어"),
        ("0", "pg-1", "금액을 적어"),
        ("-5", "pg-1", "금액을 적어"),
        ("999999999999", "pg-1", "금액을 적어"),
        ("50000", "", "적어 주세요"),
        ("50000", "has blank", "띄어쓰기 없이"),
        ("50000", "한글", "띄어쓰기 없이"),
        ("50000", long.as_str(), "띄어쓰기 없이"),
    ] {
        let fields = [("key", good.as_str()), ("amount", amount), ("reference", reference)];
        refuses(&operator.send(&act, &fields).await, &[why]);
    }
    let fields = [("key", good.as_str()), ("amount", "50,000"), ("reference", "pg-1")];
    let asked = operator.send(&act, &fields).await;
    says(&asked, &["200,000원 → 250,000원", "50,000원 충전하기"], &[]);
    assert_eq!(sold.balance().await, 200_000, "it only asks");
    // A changed amount is shown again before it is booked.
    let (sure, again) = (asked.hidden("sure"), key(&asked));
    let changed = [("key", again.as_str()), ("amount", "60000"), ("reference", "pg-1"), ("sure", sure.as_str())];
    says(&operator.send(&act, &changed).await, &["260,000원"], &[]);
    let fields = [("key", again.as_str()), ("amount", "50,000"), ("reference", "pg-1"), ("sure", sure.as_str())];
    assert_eq!(operator.send(&act, &fields).await.leads_to(), path);
    assert_eq!(operator.send(&act, &fields).await.leads_to(), path, "once more with the same key");
    assert_eq!(sold.balance().await, 250_000);
    let other_key = key(&operator.open(&act).await);
    let repeated = [("key", other_key.as_str()), ("amount", "50000"), ("reference", "pg-1"), ("sure", sure.as_str())];
    refuses(&operator.send(&act, &repeated).await, &["이미 쓴 참조"]);

    let act = format!("{path}/correction");
    let form = operator.open(&act).await;
    for (amount, reason, why) in
        [("-0", "왜", "금액을 적어"), ("x", "왜", "숫자로"), ("-1", "", "적어 주세요"), ("-1", "a\u{0}b", "글자")]
    {
        let fields = [
            ("key", key(&form)),
            ("amount", amount.to_owned()),
            ("reason", reason.to_owned()),
            ("reference", "c-1".to_owned()),
        ];
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        refuses(&operator.send(&act, &fields).await, &[why]);
    }
    let correct = async |sure: &str, key: &str| {
        let fields =
            [("key", key), ("amount", "-300000"), ("reason", "카드 취소"), ("reference", "c-1"), ("sure", sure)];
        operator.send(&act, &fields).await
    };
    let asked = correct("", &key(&form)).await;
    says(&asked, &["250,000원 → 0원", "50,000원이 미정산으로 남습니다"], &[]);
    assert_eq!(viewer.send(&act, &[("key", &key(&asked))]).await.status, 403);
    assert_eq!(correct(&asked.hidden("sure"), &key(&asked)).await.leads_to(), path);
    assert_eq!(sold.balance().await, 0);
    says(&operator.open(&path).await, &["카드 취소", "50,000원", "미정산", "operator"], &[]);

    // The debt is settled, with a choice and a reason.
    let debts = operator.open("/operator/debts?status=open").await;
    says(&debts, &["카드 취소", "50,000원", "/operator/debts/1"], &[]);
    let form = operator.open("/operator/debts/1").await;
    says(&form, &["50,000원이 모자랍니다", "지금 잔액은 0원"], &[]);
    says(&viewer.open("/operator/debts/1").await, &["카드 취소"], &["<form class=\"card"]);
    let settle = "/operator/debts/1/settle";
    assert_eq!(operator.open(settle).await.leads_to(), "/operator/debts/1", "a reload of the form’s address");
    for (how, reason, why) in [("", "왜", "하나를 골라"), ("steal", "왜", "하나를 골라"), ("waive", "", "적어 주세요")]
    {
        refuses(&operator.send(settle, &[("key", &key(&form)), ("how", how), ("reason", reason)]).await, &[why]);
    }
    let poor = operator.send(settle, &[("key", &key(&form)), ("how", "collect"), ("reason", "왜")]).await;
    assert!((400..500).contains(&poor.status), "{}", poor.html);
    let waived = operator.send(settle, &[("key", &key(&poor)), ("how", "waive"), ("reason", "현금으로 받음")]).await;
    assert_eq!(waived.leads_to(), path);
    says(
        &operator.open("/operator/debts/1").await,
        &["받지 않음", "현금으로 받음", "operator"],
        &["<form class=\"card"],
    );
    says(&operator.open(&path).await, &["받지 않기로"], &[]);
    sold.server.check_books().await;
    sold.server.close().await;
}

#[tokio::test]
async fn an_account_is_locked_with_a_reason_unlocked_and_given_a_link_once() {
    let sold = Sold::open().await;
    let Sold { operator, viewer, buyer, .. } = &sold;
    let user = sold.user().await;
    let path = format!("/operator/users/{user}");
    let act = format!("{path}/lock");
    let form = operator.open(&act).await;
    says(&form, &["로그아웃되고", "예매한 좌석과 잔액은 그대로"], &[]);
    refuses(&operator.send(&act, &[("key", &key(&form)), ("reason", "")]).await, &["적어 주세요"]);
    assert_eq!(viewer.send(&act, &[("key", &key(&form)), ("reason", "x")]).await.status, 403);
    assert_eq!(operator.send(&act, &[("key", &key(&form)), ("reason", "도용 신고")]).await.leads_to(), path);
    assert_eq!(buyer.get("/users/me").await.status, 401, "the session has ended");
    let page = operator.open(&path).await;
    says(&page, &["잠긴 계정입니다", "도용 신고", &format!("{path}/unlock")], &[&format!("\"{act}\"")]);
    let unlock = format!("{path}/unlock");
    let form = operator.open(&unlock).await;
    assert_eq!(operator.send(&unlock, &[("key", &key(&form))]).await.leads_to(), path);
    let act = format!("{path}/reset-link");
    let form = operator.open(&act).await;
    says(&form, &["본인인지 확인"], &[]);
    let issued = operator.send(&act, &[("key", &key(&form))]).await;
    says(&issued, &[">http://127.0.0.1:", "/reset-password#", "지금만 보입니다"], &[]);
    assert_eq!(issued.header("cache-control"), Some("no-store"));
    let page = operator.open(&path).await;
    says(&page, &["비밀번호 링크 만들기"], &["/reset-password#"]);
    // An operator's account is not changed here.
    let boss = sold.server.operator_named("boss").await.get("/users/me").await.expect(200);
    let boss = format!("/operator/users/{}", boss["user_id"].as_str().unwrap());
    says(&operator.open(&boss).await, &["운영자"], &[&format!("{boss}/lock")]);
    for act in ["lock", "unlock", "reset-link"] {
        let act = format!("{boss}/{act}");
        assert_eq!(operator.open(&act).await.status, 403, "{act}");
        let refused = operator.send(&act, &[("key", "0123456789abcdef"), ("reason", "x")]).await;
        assert_eq!(refused.status, 403, "{}", refused.html);
    }
    assert_eq!(operator.open("/operator/users/nobody").await.status, 400);
    assert_eq!(operator.open("/operator/users/0193f3c4-5a6b-7c8d-9e0f-112233445566").await.status, 404);
    sold.server.close().await;
}

#[tokio::test]
async fn a_dead_letter_is_delivered_again_by_a_form_of_one_that_is_there() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let browser = browser(&server, &operator);
    eventually("the outbox is empty", async || {
        items(&operator.get("/operator/outbox").await.expect(200)).is_empty().then_some(())
    })
    .await;
    let dead = "INSERT INTO outbox (event_id, consumer, payload, created_at, due_at, dead_at, attempts, last_error)
         VALUES (77, 'audit_feed', '{\"kind\":\"audit_recorded\",\"audit_id\":1}', 1, NULL, 2, 10, 'away')";
    rusqlite::Connection::open(server.database()).unwrap().execute(dead, ()).unwrap();
    for missing in [76, 78, 999_999] {
        assert_eq!(browser.open(&format!("/operator/outbox/{missing}/retry")).await.status, 404, "{missing}");
    }
    // It is found by its number, and its page says what it is and leads to the form.
    for text in ["notice 77", "알림 77"] {
        let query = frontrow_testkit::form_body(&[("q", text)]);
        assert_eq!(
            browser.open(&format!("/operator/search?{query}")).await.leads_to(),
            "/operator/outbox/77",
            "{text}"
        );
    }
    let texts = ["알림 77", "기록 1", "away", "href=\"/operator/outbox/77/retry\"", "&#34;audit_id&#34;"];
    says(&browser.open("/operator/outbox/77").await, &texts, &[]);
    let path = "/operator/outbox/77/retry";
    let form = browser.open(path).await;
    let key = key(&form);
    for _ in 0..2 {
        assert_eq!(browser.send(path, &[("key", &key)]).await.leads_to(), "/operator/outbox");
    }
    eventually("it is delivered, and has no form any more", async || {
        (browser.open(path).await.status == 404).then_some(())
    })
    .await;
    server.close().await;
}

#[tokio::test]
async fn lists_are_narrowed_and_paged() {
    let sold = Sold::open().await;
    let Sold { operator, server, hall, .. } = &sold;
    let user = sold.user().await;
    for path in [
        "/operator/payments",
        "/operator/payments?concert=1&status=completed&user=",
        &format!("/operator/payments?user={user}"),
        "/operator/reservations?status=confirmed",
    ] {
        says(&operator.open(path).await, &["Midnight Tide", "100,000원"], &[]);
    }
    for path in
        ["/operator/payments?status=refunded", "/operator/payments?concert=77", "/operator/reservations?status=pending"]
    {
        says(&operator.open(path).await, &["없습니다."], &["100,000원"]);
    }
    for (path, why) in [
        ("/operator/payments?concert=x", "공연 번호는 숫자"),
        ("/operator/payments?user=kim", "이용자 번호가 맞지"),
        ("/operator/reservations?concert=-1", "공연 번호는 숫자"),
        ("/operator/debts?user=1", "이용자 번호가 맞지"),
    ] {
        refuses(&operator.open(path).await, &[why]);
    }
    for bad in [
        "/operator/payments?status=lost",
        "/operator/payments?cursor=x",
        "/operator/users?nothing=1",
        "/operator/outbox?state=x",
    ] {
        assert_eq!(operator.open(bad).await.status, 400, "{bad}");
    }
    says(&operator.open("/operator/users?text=민지").await, &["김민지"], &["viewer"]);
    refuses(&operator.open(&format!("/operator/users?text={}", "a".repeat(101))).await, &["너무 깁니다"]);
    says(&operator.open("/operator/rooms").await, &["공용 대기열"], &[]);
    says(&operator.open("/operator/rooms/0").await, &["줄이 움직입니다", "max_active"], &[]);
    assert_eq!(operator.open("/operator/rooms/77").await.status, 404);
    says(&operator.open("/operator/outbox").await, &["보내지 않은 알림"], &[]);
    says(&operator.open("/operator/audit").await, &["공연 등록", "예매처"], &[]);
    for object in ["concert%201", "Concert%20%231", "공연%201"] {
        let page = operator.open(&format!("/operator/audit?object={object}")).await;
        says(&page, &["좌석 추가", "좌석 3석"], &["로그인", "first_seat_id"]);
    }
    for object in ["1", "기록%201", "everything"] {
        refuses(&operator.open(&format!("/operator/audit?object={object}")).await, &["종류와 번호"]);
    }
    // The log goes on over parts.
    for number in 0..30 {
        server.operator_named(&format!("again{number}")).await;
    }
    let page = operator.open("/operator/audit").await;
    let next = regex::Regex::new(r#"href="(/operator/audit\?cursor=[^"]+)""#).unwrap();
    let older = next.captures(&page.html).unwrap()[1].to_owned();
    says(&operator.open(&older).await, &["공연 등록", "가장 최근"], &[]);

    // The door list: searched, and as a file.
    let other = server.buyer_with("이서준", 200_000).await;
    other.buy(hall.seats[2]).await;
    let path = format!("/operator/concerts/{}/door-list", hall.id());
    says(&operator.open(&path).await, &["김민지", "이서준", "Floor A열 3번", "door-list.csv"], &[]);
    says(&operator.open(&format!("{path}?q=서준")).await, &["이서준"], &["김민지"]);
    says(&operator.open(&format!("{path}?q=3번")).await, &["이서준"], &["김민지"]);
    says(&operator.open(&format!("{path}?after=1")).await, &["이서준", "처음부터"], &["김민지"]);
    says(&operator.open(&format!("{path}?q=nothing")).await, &["맞는 것이 없습니다"], &[]);
    refuses(&operator.open(&format!("{path}?q={}", "a".repeat(101))).await, &["너무 깁니다"]);
    let file = sold.viewer.open(&format!("{path}.csv")).await;
    assert_eq!((file.status, file.header("content-type")), (200, Some("text/csv; charset=utf-8; header=present")));
    assert!(file.html.contains("김민지"), "{}", file.html);
    let buyer = browser(server, &sold.buyer);
    assert_eq!(buyer.open(&format!("{path}.csv")).await.status, 403);
    assert_eq!(operator.open("/operator/concerts/99/door-list").await.status, 404);

    // A change of a concert is told in words.
    let change = json!({ "closes_at": "2027-03-14T11:00:00Z", "status": "closed", "reason": "점검" });
    server.operator_named("changer").await.patch("/operator/concerts/1", &change).await.expect(200);
    let changed = ["공연 변경", "→ 2027년 3월 14일 (일) 오후 8:00", "상태: 예정대로 → 예매 마감"];
    says(
        &operator.open("/operator/audit?object=공연%201").await,
        &changed,
        &["2027-03-14T11:00:00Z →", "→ 2027-03", "scheduled"],
    );
    sold.server.close().await;
}

#[tokio::test]
async fn a_user_is_removed_from_a_line_and_blocked_with_a_reason_and_reads_why_not() {
    let sold = Sold::open().await;
    let Sold { operator, viewer, buyer, .. } = &sold;
    let joined = buyer.join(None).await;
    let user = sold.user().await;
    let path = format!("/operator/users/{user}");
    says(&operator.open(&path).await, &[&format!("{path}/lines")], &[]);
    let act = |name: &str| format!("/operator/line-places/0-{user}/{name}");
    let lines = operator.open(&format!("{path}/lines")).await;
    says(&lines, &["공용 대기열", &act("remove"), &act("block")], &[&act("unblock")]);
    says(&viewer.open(&format!("{path}/lines")).await, &["공용 대기열"], &[&act("remove"), &act("block")]);
    // A removal: the page of the place says so.
    let form = operator.open(&act("remove")).await;
    refuses(&operator.send(&act("remove"), &[("key", &key(&form)), ("reason", "")]).await, &["적어 주세요"]);
    assert_eq!(viewer.send(&act("remove"), &[("key", &key(&form)), ("reason", "x")]).await.status, 403);
    assert_eq!(operator.send(&act("remove"), &[("key", &key(&form)), ("reason", "자동 접속")]).await.leads_to(), path);
    let shop = browser(&sold.server, buyer);
    let place = shop.open(&format!("/line/{}", joined["token"].as_str().unwrap())).await;
    says(&place, &["예매처에서 줄에서 내보냈습니다"], &["자동 접속"]);
    // A block: joining is refused, with its end and without its reason.
    let form = operator.open(&act("block")).await;
    let fields = |span| [("key", key(&form)), ("reason", "자동 접속".to_owned()), ("span", span)];
    let send = async |span: &str| {
        let fields = fields(span.to_owned());
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        operator.send(&act("block"), &fields).await
    };
    assert_eq!(send("year").await.status, 422);
    assert_eq!(send("hour").await.leads_to(), path);
    let page = operator.open(&path).await;
    says(&page, &["차단된 대기열", "까지 차단", "자동 접속"], &[]);
    says(&operator.open("/operator/rooms/0").await, &["김민지", "이 대기열에서 차단된 사용자", &act("unblock")], &[]);
    let concert = format!("/concerts/{}/line", sold.hall.concert.concert_id);
    let refused = shop.send(&concert, &[]).await;
    assert_eq!(refused.status, 403, "{}", refused.html);
    assert!(refused.html.contains("지금은 이 줄에 설 수 없습니다"), "{}", refused.html);
    assert!(refused.html.contains("까지입니다") && !refused.html.contains("자동 접속"), "{}", refused.html);
    let form = operator.open(&act("unblock")).await;
    assert_eq!(operator.send(&act("unblock"), &[("key", &key(&form))]).await.leads_to(), path);
    says(&operator.open("/operator/rooms/0").await, &[], &["이 대기열에서 차단된 사용자"]);
    for bad in ["0", "0-x", "x-y", "77-01a224ba-0608-73a0-8efc-5d8f19f76856"] {
        let status = operator.open(&format!("/operator/line-places/{bad}/block")).await.status;
        assert!([400, 404].contains(&status.into()), "{bad}: {status}");
    }
    sold.server.close().await;
}
