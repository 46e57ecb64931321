//! The pages of an account, as a browser without script uses them.

use frontrow_domain::user::LinkKind;
use frontrow_service::demo;
use frontrow_testkit::{Browser, LoadedPage, Server, eventually, form_body, items};
use serde_json::json;

pub(super) const PASSWORD: &str = "correct horse";
pub(super) const OTHER: &str = "another horse";
pub(super) const EMAIL: &str = "kim@example.com";
pub(super) const COOKIE: &str = "frontrow-session";

/// A browser that has registered and is signed in.
pub(super) async fn registered(server: &Server, email: &str) -> Browser {
    let browser = Browser::at(server);
    let fields = [("name", "Kim Minji"), ("email", email), ("password", PASSWORD), ("next", "/account")];
    assert_eq!(browser.send("/register", &fields).await.leads_to(), "/account");
    browser
}

pub(super) async fn sign_in(browser: &Browser, email: &str, password: &str) -> LoadedPage {
    browser.send("/sign-in", &[("email", email), ("password", password), ("next", "/")]).await
}

/// The page that comes after asking for a reset link.
pub(super) async fn ask_for_reset(browser: &Browser, email: &str) -> LoadedPage {
    let key = browser.open("/forgot").await.hidden("key");
    let asked = browser.send("/forgot", &[("email", email), ("key", &key)]).await;
    browser.open(asked.leads_to()).await
}

/// The path in the newest letter of a kind, once there are so many.
pub(super) async fn letter(server: &Server, kind: LinkKind, count: usize) -> String {
    eventually("the letter is written", async || {
        let mut letters = server.app().office.demo_letters().unwrap();
        letters.retain(|letter| letter.kind == kind);
        (letters.len() >= count).then(|| letters[0].path.clone())
    })
    .await
}

#[tokio::test]
async fn a_buyer_registers_signs_out_and_in_again_and_comes_back_to_the_page() {
    let server = Server::start().await;
    let browser = Browser::at(&server);
    let asked = browser.open("/account").await;
    assert_eq!(asked.leads_to(), "/sign-in?next=%2Faccount");
    let page = browser.open(asked.leads_to()).await;
    page.shows(200, &["<title>Sign in", r#"name="next" value="/account""#, "/register?next=%2Faccount"]);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let browser = registered(&server, EMAIL).await;
    let first = browser.cookie(COOKIE).unwrap();
    browser.open("/account").await.shows(200, &["Kim Minji", EMAIL, "this device"]);
    // A browser with a session goes on.
    assert_eq!(browser.open("/sign-in?next=/account").await.leads_to(), "/account");
    assert_eq!(browser.send("/sign-out", &[]).await.leads_to(), "/");
    assert_eq!(browser.cookie(COOKIE), None);
    let gone = server.with_secret(&first).get("/users/me").await;
    gone.problem(401, "unauthorized");

    let signed_in = sign_in(&browser, EMAIL, PASSWORD).await;
    assert_eq!(signed_in.leads_to(), "/");
    let set = signed_in.header("set-cookie").unwrap();
    let secret = browser.cookie(COOKIE).unwrap();
    assert_ne!(secret, first, "a session is never taken over from before");
    let length = 12 * 3_600;
    assert_eq!(set, format!("{COOKIE}={secret}; Max-Age={length}; Path=/; HttpOnly; SameSite=Lax"));
    server.close().await;
}

#[tokio::test]
async fn a_session_that_was_planted_before_is_not_the_one_after_signing_in() {
    let server = Server::start().await;
    let thief = registered(&server, "thief@example.com").await;
    registered(&server, EMAIL).await;
    let browser = Browser::at(&server);
    browser.set_cookie(COOKIE, &thief.cookie(COOKIE).unwrap());
    sign_in(&browser, EMAIL, PASSWORD).await.leads_to();
    assert_ne!(browser.cookie(COOKIE), thief.cookie(COOKIE));
    browser.open("/account").await.shows(200, &[EMAIL]);
    thief.open("/account").await.shows(200, &["thief@example.com"]);
    // A cookie whose session has ended is removed.
    browser.set_cookie(COOKIE, "ended");
    browser.open("/sign-in").await.shows(200, &["Sign in"]);
    assert_eq!(browser.cookie(COOKIE), None);
    server.close().await;
}

#[tokio::test]
async fn behind_tls_the_cookie_is_secure_and_without_it_no_browser_signs_in() {
    let server = Server::with(&[("--trusted-proxies", "127.0.0.1")]).await;
    registered(&server, EMAIL).await;
    let browser = Browser::at(&server);
    let body = || form_body(&[("email", EMAIL), ("password", PASSWORD)]);
    let (host, own) = (("host", "shop.example.com"), ("sec-fetch-site", "same-origin"));
    let tls = [host, own, ("x-forwarded-proto", "https")];
    let signed_in = browser.send_with("/sign-in", body(), &tls).await;
    let set = signed_in.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-session=") && set.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{set}");
    assert_eq!(signed_in.header("strict-transport-security"), Some("max-age=31536000"));

    let plain = Browser::at(&server);
    let page = plain.open_with("/sign-in", &[host]).await;
    page.shows(200, &["needs an https address", "trusted_proxies"]);
    assert!(!page.html.contains("<form"), "{}", page.html);
    for path in ["/sign-in", "/register"] {
        let refused = plain.send_with(path, body(), &[host, own]).await;
        refused.shows(403, &["needs an https address"]);
        assert_eq!(refused.header("set-cookie"), None);
    }
    server.close().await;
}

#[tokio::test]
async fn a_form_from_another_site_does_nothing() {
    let server = Server::start().await;
    let browser = registered(&server, EMAIL).await;
    let credentials = form_body(&[("email", EMAIL), ("password", PASSWORD)]);
    let change = form_body(&[("old_password", PASSWORD), ("new_password", OTHER)]);
    for foreign in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example.com"), ("accept-charset", "x")] {
        for (path, body) in [
            ("/sign-in", &credentials),
            ("/register", &credentials),
            ("/sign-out", &String::new()),
            ("/forgot", &credentials),
            ("/account/password", &change),
            ("/account/erase", &credentials),
            ("/account/sign-out-everywhere", &String::new()),
            ("/account/confirmation", &String::new()),
            ("/reset/x", &change),
            ("/confirm/x", &String::new()),
        ] {
            let refused = browser.send_with(path, body.clone(), &[foreign]).await;
            refused.shows(403, &["another site"]);
        }
    }
    browser.open("/account").await.shows(200, &[EMAIL]);
    server.close().await;
}

#[tokio::test]
async fn after_signing_in_only_a_page_of_this_server_is_gone_on_to() {
    let server = Server::start().await;
    registered(&server, EMAIL).await;
    for (next, expected) in [
        ("/concerts/7?section=A", "/concerts/7?section=A"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/%09/evil.example", "/%09/evil.example"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ] {
        let browser = Browser::at(&server);
        let shown = browser.open(&format!("/sign-in?{}", form_body(&[("next", next)]))).await;
        shown.shows(200, &[&format!(r#"name="next" value="{expected}""#)]);
        let fields = [("email", EMAIL), ("password", PASSWORD), ("next", next)];
        assert_eq!(browser.send("/sign-in", &fields).await.leads_to(), expected, "{next}");
    }
    server.close().await;
}

/// What a form says when one field is wrong: the page comes back with what was typed, the field named, nothing changed.
async fn comes_back(browser: &Browser, path: &str, good: &[(&str, &str)], wrong: &[(&str, &str, &str)]) {
    for (name, value, why) in wrong {
        let fields: Vec<_> =
            good.iter().map(|(field, typed)| (*field, if field == name { *value } else { *typed })).collect();
        let others: Vec<_> = good.iter().filter(|(field, _)| field != name).copied().collect();
        let mut twice = good.to_vec();
        twice.extend(good.iter().filter(|(field, _)| field == name));
        let broken = format!("{}&{name}=%FF%FE", form_body(&others));
        for (body, expected) in [
            (form_body(&fields), *why),
            (form_body(&others), "please fill this in"),
            (form_body(&twice), "please send this once"),
            (broken, "could not read the characters"),
        ] {
            let page = browser.send_with(path, body, &[("sec-fetch-site", "same-origin")]).await;
            page.shows(422, &[expected, "Please check the following", r#"aria-invalid="true""#, "aria-describedby"]);
            let id = page.html.split("<li><a href=\"#").nth(1).unwrap().split('"').next().unwrap();
            assert!(page.html.contains(&format!(r#"<input id="{id}" name="{name}""#)), "{id} in {}", page.html);
            assert_eq!(page.html.matches(r#"aria-invalid="true""#).count(), 1, "{}", page.html);
            for (field, typed) in &others {
                let shown = page.html.contains(&format!("value=\"{typed}\""));
                assert_eq!(shown, !field.contains("password"), "{field} in {}", page.html);
            }
            assert!(!page.html.contains(PASSWORD) && !page.html.contains(OTHER));
        }
    }
}

#[tokio::test]
async fn every_field_of_every_form_that_is_wrong_is_named_and_nothing_changes() {
    let server = Server::demo().await;
    let (long, visitor) = ("x".repeat(300), Browser::at(&server));
    let long = long.as_str();
    let new = [("name", "Lee"), ("email", "lee@example.com"), ("password", PASSWORD)];
    comes_back(
        &visitor,
        "/register",
        &new,
        &[
            ("name", long, "1 to 100 characters"),
            ("name", &"한".repeat(1_000), "1 to 100 characters"),
            ("name", "   ", "please fill this in"),
            ("name", "a\u{202e}b", "1 to 100 characters"),
            ("email", "nonsense", "looks like"),
            ("email", long, "looks like"),
            ("password", "short", "10 to 200 characters"),
            ("password", long, "10 to 200 characters"),
        ],
    )
    .await;
    let known = [("email", "lee@example.com"), ("password", PASSWORD)];
    comes_back(&visitor, "/sign-in", &known, &[("email", "lee", "looks like"), ("password", long, "at most 200")])
        .await;
    comes_back(&visitor, "/forgot", &known[..1], &[("email", "lee@", "looks like")]).await;
    sign_in(&visitor, "lee@example.com", PASSWORD).await.shows(422, &["The address or the password is wrong"]);

    let browser = registered(&server, EMAIL).await;
    let change = [("old_password", PASSWORD), ("new_password", OTHER)];
    comes_back(
        &browser,
        "/account/password",
        &change,
        &[
            ("old_password", "wrong horse", "The password is wrong"),
            ("old_password", long, "at most 200"),
            ("new_password", "short", "10 to 200 characters"),
        ],
    )
    .await;
    let erase = [("password", PASSWORD)];
    comes_back(&browser, "/account/erase", &erase, &[("password", "wrong horse", "The password is wrong")]).await;
    let taken = [("name", "Kim"), ("email", EMAIL), ("password", OTHER)];
    let page = visitor.send("/register", &taken).await;
    page.shows(422, &["already has an account", r#"value="kim@example.com""#, r#"value="Kim""#]);
    ask_for_reset(&visitor, EMAIL).await.shows(200, &["check your e-mail"]);
    let reset = letter(&server, LinkKind::PasswordReset, 1).await;
    comes_back(&visitor, &reset, &[("new_password", OTHER)], &[("new_password", "short", "10 to 200")]).await;
    browser.open("/account").await.shows(200, &[EMAIL]);
    assert_eq!(sign_in(&Browser::at(&server), EMAIL, PASSWORD).await.leads_to(), "/");
    // Too many fields, another media type, and a body beyond all bounds.
    let many = "x=1&".repeat(100);
    assert_eq!(visitor.send_with("/sign-in", many, &[("sec-fetch-site", "same-origin")]).await.status, 422);
    let huge = format!("email={}", "x".repeat(70_000));
    assert_eq!(visitor.send_with("/sign-in", huge, &[("sec-fetch-site", "same-origin")]).await.status, 413);
    server.close().await;
}

#[tokio::test]
async fn what_was_typed_comes_back_as_text_and_not_as_html() {
    let server = Server::start().await;
    let browser = Browser::at(&server);
    let name = r#""><script>alert('김')</script>"#;
    let page = browser.send("/register", &[("name", name), ("email", "x"), ("password", PASSWORD)]).await;
    page.shows(422, &["looks like"]);
    assert!(!page.html.contains("<script>alert") && page.html.contains("김"), "{}", page.html);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    server.close().await;
}

#[tokio::test]
async fn a_locked_account_and_too_many_attempts_have_their_own_words() {
    let server = Server::with(&[("--login-per-minute-per-account", "2")]).await;
    let browser = registered(&server, EMAIL).await;
    let user = server.with_secret(&browser.cookie(COOKIE).unwrap()).get("/users/me").await.expect(200);
    let path = format!("/operator/users/{}/lock", user["user_id"].as_str().unwrap());
    server.operator().await.post(&path, &json!({ "reason": "It was stolen." })).await.expect(200);
    let visitor = Browser::at(&server);
    sign_in(&visitor, EMAIL, PASSWORD).await.shows(403, &["locked", r#"value="kim@example.com""#]);
    for _ in 0..2 {
        sign_in(&visitor, "lee@example.com", OTHER).await.shows(422, &["The address or the password is wrong"]);
    }
    let limited = sign_in(&visitor, "lee@example.com", OTHER).await;
    limited.shows(429, &["Too many attempts", "place in line stays", "Please try again in "]);
    assert!(limited.header("retry-after").is_some());
    server.close().await;
}

#[tokio::test]
async fn a_user_sees_and_ends_sessions_one_by_one_and_all_at_once() {
    let server = Server::start().await;
    let (browser, other, third) = (registered(&server, EMAIL).await, Browser::at(&server), Browser::at(&server));
    for elsewhere in [&other, &third] {
        sign_in(elsewhere, EMAIL, PASSWORD).await.leads_to();
    }
    let api = server.with_secret(&browser.cookie(COOKIE).unwrap());
    let list = api.get("/sessions").await.expect(200);
    assert_eq!(items(&list).len(), 3);
    let of_other = server.with_secret(&other.cookie(COOKIE).unwrap()).get("/sessions").await.expect(200);
    let id = items(&of_other).iter().find(|row| row["is_current"] == true).unwrap()["session_id"].clone();
    let end = format!("/account/sessions/{}/end", id.as_str().unwrap());
    browser.open("/account").await.shows(200, &[&end]);
    for _ in 0..2 {
        assert_eq!(browser.send(&end, &[]).await.leads_to(), "/account?done=session", "again is as good");
    }
    browser.open("/account?done=session").await.shows(200, &["signed out", "role=\"status\""]);
    assert_eq!(other.open("/account").await.leads_to(), "/sign-in?next=%2Faccount");
    third.open("/account").await.shows(200, &[EMAIL]);
    assert_eq!(browser.send("/account/sign-out-everywhere", &[]).await.leads_to(), "/sign-in");
    assert_eq!(browser.cookie(COOKIE), None);
    third.open("/account").await.leads_to();
    server.close().await;
}

#[tokio::test]
async fn the_password_is_changed_and_the_account_erased_on_its_page() {
    let server = Server::start().await;
    let (browser, other) = (registered(&server, EMAIL).await, Browser::at(&server));
    sign_in(&other, EMAIL, PASSWORD).await.leads_to();
    let change = [("old_password", PASSWORD), ("new_password", OTHER)];
    assert_eq!(browser.send("/account/password", &change).await.leads_to(), "/account?done=password");
    browser.open("/account?done=password").await.shows(200, &["Your password is changed"]);
    other.open("/account").await.leads_to();
    sign_in(&other, EMAIL, PASSWORD).await.shows(422, &["password is wrong"]);
    let api = server.with_secret(&browser.cookie(COOKIE).unwrap());
    api.top_up(5).await;
    let kept = browser.send("/account/erase", &[("password", OTHER)]).await;
    kept.shows(409, &["role=\"alert\"", EMAIL]);
    let form = json!({ "name": "Lee", "email": "lee@example.com", "password": PASSWORD });
    server.anonymous().post("/users", &form).await.expect(201);
    let lee = Browser::at(&server);
    sign_in(&lee, "lee@example.com", PASSWORD).await.leads_to();
    let erased = lee.send("/account/erase", &[("password", PASSWORD)]).await;
    assert_eq!((erased.leads_to(), lee.cookie(COOKIE)), ("/account/erased", None));
    lee.open("/account/erased").await.shows(200, &["Your account is erased", "Sign in"]);
    sign_in(&lee, "lee@example.com", PASSWORD).await.shows(422, &["password is wrong"]);
    server.close().await;
}

#[tokio::test]
async fn a_forgotten_password_is_set_by_the_link_of_a_letter_once() {
    let server = Server::demo().await;
    let signed_in = registered(&server, EMAIL).await;
    let browser = Browser::at(&server);
    let page = ask_for_reset(&browser, "unknown@example.com").await;
    let same = ask_for_reset(&browser, EMAIL).await;
    assert_eq!(page.html, same.html, "the page says nothing about who has an account");
    let path = letter(&server, LinkKind::PasswordReset, 1).await;
    let letters = browser.open("/demo/letters").await;
    letters.shows(200, &[&path, EMAIL, "Set a new password"]);
    assert!(!letters.html.contains("Kim Minji"), "anybody may have registered the address under any name");
    for _ in 0..2 {
        let page = browser.open(&path).await;
        page.shows(200, &["New password", r#"autocomplete="new-password""#]);
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    }
    let done = browser.send(&path, &[("new_password", OTHER)]).await;
    assert_eq!(done.leads_to(), "/reset/done");
    assert_eq!(done.header("set-cookie"), None, "a link alone opens no session");
    browser.open("/reset/done").await.shows(200, &["Your password is changed"]);
    signed_in.open("/account").await.leads_to();
    browser.send(&path, &[("new_password", PASSWORD)]).await.shows(403, &["/forgot"]);
    browser.open(&path).await.shows(403, &["/forgot"]);
    sign_in(&browser, EMAIL, OTHER).await.leads_to();
    // A link of another user, none at all, and one that is over.
    for bad in ["/reset/x", "/reset/%22%3E", &format!("/reset/{}", "x".repeat(101))] {
        browser.send(bad, &[("new_password", OTHER)]).await.shows(403, &["/forgot"]);
    }
    ask_for_reset(&browser, EMAIL).await.shows(200, &["check your e-mail"]);
    let second = letter(&server, LinkKind::PasswordReset, 2).await;
    server.advance(30 * 60);
    browser.open(&second).await.shows(403, &["/forgot"]);
    browser.send(&second, &[("new_password", PASSWORD)]).await.shows(403, &["/forgot"]);
    server.close().await;
}

#[tokio::test]
async fn an_address_is_confirmed_by_a_button_and_not_by_opening_the_link() {
    let server = Server::demo().await;
    let browser = registered(&server, EMAIL).await;
    let first = letter(&server, LinkKind::EmailConfirmation, 1).await;
    let page = browser.open("/account").await;
    page.shows(200, &["Not yet", "/account/confirmation"]);
    let key = page.hidden("key");
    assert_eq!(browser.send("/account/confirmation", &[("key", &key)]).await.leads_to(), "/account?done=letter");
    let second = letter(&server, LinkKind::EmailConfirmation, 2).await;
    let visitor = Browser::at(&server);
    for _ in 0..2 {
        let page = visitor.open(&second).await;
        page.shows(200, &["Confirm the address"]);
        assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    }
    browser.open("/account").await.shows(200, &["Not yet"]);
    visitor.open(&first).await.shows(403, &["doesn’t work"]);
    visitor.send(&first, &[]).await.shows(403, &["doesn’t work"]);
    for _ in 0..2 {
        assert_eq!(visitor.send(&second, &[]).await.leads_to(), "/confirm/done");
    }
    visitor.open("/confirm/done").await.shows(200, &["is confirmed"]);
    let page = browser.open("/account").await;
    page.shows(200, &["On Fri 15 January 2027"]);
    assert!(!page.html.contains("/account/confirmation"), "{}", page.html);
    visitor.send("/confirm/x", &[]).await.shows(403, &["doesn’t work"]);
    server.close().await;
}

#[tokio::test]
async fn without_letters_the_pages_say_so() {
    let server = Server::start().await;
    let browser = registered(&server, EMAIL).await;
    browser.open("/account").await.shows(200, &["sends no e-mail yet"]);
    let visitor = Browser::at(&server);
    visitor.open("/forgot").await.shows(200, &["sends no e-mail yet", "ask the box office"]);
    visitor.send("/forgot", &[("email", EMAIL)]).await.shows(200, &["sends no e-mail yet"]);
    visitor.open("/demo/letters").await.shows(404, &["<html"]);
    server.close().await;
}

#[tokio::test]
async fn a_demo_offers_its_accounts_with_one_button_each() {
    let server = Server::demo().await;
    demo::load(&server.app().office).await.unwrap();
    let browser = Browser::at(&server);
    browser.open("/sign-in").await.shows(200, &[demo::BUYER, demo::OPERATOR, "demo’s buyer"]);
    assert_eq!(sign_in(&browser, demo::BUYER, demo::PASSWORD).await.leads_to(), "/");
    let plain = Server::start().await;
    let page = Browser::at(&plain).open("/sign-in").await;
    assert!(!page.html.contains(demo::BUYER), "{}", page.html);
    plain.close().await;
    server.close().await;
}

#[tokio::test]
async fn the_pages_are_in_korean_for_who_asks_for_it() {
    let server = Server::demo().await;
    let browser = registered(&server, EMAIL).await.speaking("ko-KR,ko;q=0.9,en;q=0.5");
    let confirmation = letter(&server, LinkKind::EmailConfirmation, 1).await;
    ask_for_reset(&browser, EMAIL).await;
    let reset = letter(&server, LinkKind::PasswordReset, 1).await;
    for (path, text) in [
        ("/account", "로그인한 기기"),
        ("/forgot", "비밀번호 새로 정하기"),
        ("/demo/letters", "체험용 메일함"),
        (reset.as_str(), "새 비밀번호"),
        (&confirmation, "주소 확인하기"),
    ] {
        browser.open(path).await.shows(200, &[text, r#"lang="ko""#]);
    }
    let visitor = Browser::at(&server).speaking("ko");
    visitor.open("/register").await.shows(200, &["가입하기"]);
    visitor.send("/sign-in", &[]).await.shows(422, &["이메일 주소: 입력해 주세요.", "비밀번호: 입력해 주세요."]);
    server.close().await;
}
