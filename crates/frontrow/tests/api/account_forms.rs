//! Forms of an account as they come in life: twice, from an old browser, from another site, too often.

use super::account_pages::{COOKIE, EMAIL, OTHER, PASSWORD, ask_for_reset, letter, registered, sign_in};
use frontrow_domain::user::LinkKind;
use frontrow_testkit::{Browser, LoadedPage, Server, form_body, items};
use reqwest::Method;

/// What a browser without `Sec-Fetch-Site` says with a form that stands on this page (Fetch, "append a request `Origin`
/// header").
fn origin_of_form(server: &Server, page: &LoadedPage) -> String {
    match page.header("referrer-policy") {
        Some("no-referrer") => "null".to_owned(),
        _ => format!("http://{}", server.address),
    }
}

#[tokio::test]
async fn a_browser_that_sends_an_origin_alone_uses_every_form() {
    let server = Server::demo().await;
    let browser = registered(&server, EMAIL).await;
    ask_for_reset(&browser, EMAIL).await;
    let confirm = letter(&server, LinkKind::EmailConfirmation, 1).await;
    let reset = letter(&server, LinkKind::PasswordReset, 1).await;
    let new = [("new_password", OTHER)];
    let credentials = [("email", EMAIL), ("password", OTHER)];
    for (path, fields, leads_to) in
        [(confirm.as_str(), &[][..], "/confirm/done"), (&reset, &new, "/reset/done"), ("/sign-in", &credentials, "/")]
    {
        let page = browser.open(path).await;
        page.shows(200, &["<form"]);
        let origin = origin_of_form(&server, &page);
        let sent = browser.send_with(path, form_body(fields), &[("origin", &origin)]).await;
        assert_eq!(sent.leads_to(), leads_to, "{path}");
    }
    server.close().await;
}

#[tokio::test]
async fn a_registration_that_is_sent_twice_opens_the_one_account() {
    let server = Server::start().await;
    let (first, again) = (registered(&server, EMAIL).await, registered(&server, EMAIL).await);
    let mut users = Vec::new();
    for browser in [first, again] {
        let client = server.with_secret(&browser.cookie(COOKIE).unwrap());
        users.push(client.get("/users/me").await.expect(200)["user_id"].clone());
    }
    assert_eq!(users[0], users[1]);
    server.close().await;
}

#[tokio::test]
async fn registering_guesses_a_password_no_faster_than_signing_in() {
    let server = Server::with(&[("--login-per-minute-per-account", "3")]).await;
    registered(&server, EMAIL).await;
    let stranger = Browser::at(&server);
    let guess = |password| [("name", "Lee"), ("email", EMAIL), ("password", password)];
    for _ in 0..4 {
        stranger.send("/register", &guess(OTHER)).await.shows(422, &["already has an account", r#"value="Lee""#]);
        assert_eq!(stranger.cookie(COOKIE), None);
    }
    stranger.send("/register", &guess(PASSWORD)).await.shows(422, &["already has an account"]);
    sign_in(&stranger, EMAIL, PASSWORD).await.shows(429, &["Too many attempts"]);
    server.close().await;
}

#[tokio::test]
async fn a_change_of_password_that_is_sent_twice_is_done_once() {
    let server = Server::start().await;
    let browser = registered(&server, EMAIL).await;
    let change = |old, new| [("old_password", old), ("new_password", new)];
    assert_eq!(browser.send("/account/password", &change(PASSWORD, OTHER)).await.leads_to(), "/account?done=password");
    // Nothing is claimed of what changed nothing: sent twice, or the new password and a wrong one.
    for old in [PASSWORD, "wrong horse"] {
        browser.send("/account/password", &change(old, OTHER)).await.shows(422, &["You use this password already."]);
    }
    for (old, new) in [(PASSWORD, "a third horse"), (PASSWORD, PASSWORD), ("wrong horse", "wrong horse")] {
        browser.send("/account/password", &change(old, new)).await.shows(422, &["The password is wrong"]);
    }
    sign_in(&Browser::at(&server), EMAIL, OTHER).await.leads_to();
    server.close().await;
}

#[tokio::test]
async fn a_guess_at_the_new_password_of_a_change_counts_as_an_attempt() {
    let server = Server::with(&[("--login-per-minute-per-account", "4")]).await;
    let browser = registered(&server, EMAIL).await;
    let change = |old, new| [("old_password", old), ("new_password", new)];
    for _ in 0..2 {
        let wrong = browser.send("/account/password", &change("wrong horse", OTHER)).await;
        wrong.shows(422, &["The password is wrong"]);
    }
    let limited = browser.send("/account/password", &change("wrong horse", PASSWORD)).await;
    limited.shows(429, &["Too many requests", "Please try again in "]);
    assert!(limited.header("retry-after").is_some());
    server.close().await;
}

#[tokio::test]
async fn a_request_for_a_letter_that_is_sent_twice_brings_one() {
    let server = Server::demo().await;
    let browser = registered(&server, EMAIL).await;
    registered(&server, "lee@example.com").await;
    let key = browser.open("/forgot").await.hidden("key");
    for email in [EMAIL, EMAIL, "lee@example.com"] {
        let asked = browser.send("/forgot", &[("email", email), ("key", &key)]).await;
        assert_eq!(asked.leads_to(), "/forgot/sent", "the same key with another address asks for its letter");
    }
    let key = browser.open("/account").await.hidden("key");
    for _ in 0..2 {
        assert_eq!(browser.send("/account/confirmation", &[("key", &key)]).await.leads_to(), "/account?done=letter");
    }
    ask_for_reset(&browser, EMAIL).await.shows(200, &["check your e-mail"]);
    letter(&server, LinkKind::PasswordReset, 3).await;
    // The registrations have brought one each.
    letter(&server, LinkKind::EmailConfirmation, 3).await;
    let letters = server.app().office.demo_letters().unwrap();
    let to = |email: &str, kind| letters.iter().filter(|one| one.address == email && one.kind == kind).count();
    assert_eq!((to(EMAIL, LinkKind::PasswordReset), to("lee@example.com", LinkKind::PasswordReset)), (2, 1));
    assert_eq!(to(EMAIL, LinkKind::EmailConfirmation), 2);
    for key in ["", "short"] {
        browser.send("/forgot", &[("email", EMAIL), ("key", key)]).await.shows(422, &[EMAIL, r#"role="alert""#]);
    }
    server.close().await;
}

#[tokio::test]
async fn a_reset_that_is_sent_twice_is_done_once_and_leaves_no_session_behind() {
    let server = Server::demo().await;
    let browser = registered(&server, EMAIL).await;
    ask_for_reset(&browser, EMAIL).await;
    let path = letter(&server, LinkKind::PasswordReset, 1).await;
    assert_eq!(browser.send(&path, &[("new_password", OTHER)]).await.leads_to(), "/reset/done");
    assert_eq!(browser.cookie(COOKIE), None, "every session has ended, so the page is that of a visitor");
    let page = browser.open("/reset/done").await;
    page.shows(200, &["signed out everywhere", r#"href="/sign-in"#]);
    assert!(!page.html.contains(r#"href="/account""#), "{}", page.html);
    // The used link answers the same for every password: it tells none.
    for password in [OTHER, PASSWORD] {
        let again = browser.send(&path, &[("new_password", password)]).await;
        again.shows(403, &["sign in with it", "/forgot", "/sign-in"]);
    }
    sign_in(&browser, EMAIL, OTHER).await.leads_to();
    server.close().await;
}

#[tokio::test]
async fn a_reset_leaves_the_session_of_another_user_in_the_browser() {
    let server = Server::demo().await;
    registered(&server, EMAIL).await;
    let browser = registered(&server, "lee@example.com").await;
    ask_for_reset(&browser, EMAIL).await;
    let path = letter(&server, LinkKind::PasswordReset, 1).await;
    let session = browser.cookie(COOKIE);
    assert_eq!(browser.send(&path, &[("new_password", OTHER)]).await.leads_to(), "/reset/done");
    assert_eq!(browser.cookie(COOKIE), session);
    browser.open("/account").await.shows(200, &["lee@example.com"]);
    server.close().await;
}

#[tokio::test]
async fn an_erasure_that_is_sent_twice_says_both_times_that_the_account_is_erased() {
    let server = Server::start().await;
    let (browser, other) = (registered(&server, EMAIL).await, registered(&server, "lee@example.com").await);
    let (session, user) = (browser.cookie(COOKIE).unwrap(), browser.open("/account").await.hidden("user"));
    let living = other.open("/account").await.hidden("user");
    for _ in 0..2 {
        browser.set_cookie(COOKIE, &session);
        let erased = browser.send("/account/erase", &[("user", &user), ("password", PASSWORD)]).await;
        assert_eq!((erased.leads_to(), browser.cookie(COOKIE)), ("/account/erased", None));
    }
    for user in [living.as_str(), "", "x", "01a224ba-0608-73a0-8efc-5d8f19f76856"] {
        browser.set_cookie(COOKIE, &session);
        let asked = browser.send("/account/erase", &[("user", user), ("password", PASSWORD)]).await;
        assert!(asked.leads_to().starts_with("/sign-in?next="), "{user}");
    }
    other.open("/account").await.shows(200, &["lee@example.com"]);
    server.close().await;
}

#[tokio::test]
async fn another_site_spends_no_sign_in_of_its_visitors() {
    let server = Server::with(&[("--login-per-minute-per-address", "3")]).await;
    let visitor = Browser::at(&server);
    let body = form_body(&[("email", EMAIL), ("password", PASSWORD)]);
    for path in ["/sign-in", "/register", "/forgot", "/reset/x", "/confirm/x"] {
        for _ in 0..4 {
            let sent = visitor.send_with(path, body.clone(), &[("sec-fetch-site", "cross-site")]).await;
            sent.shows(403, &["another site"]);
        }
    }
    // What a browser sends to another site without asking that site first.
    for path in ["/users", "/sessions", "/password-resets", "/password-reset-requests", "/email-confirmations"] {
        for _ in 0..4 {
            let call = server.anonymous().call(Method::POST, path).body("text/plain", "{}");
            call.send().await.problem(415, "unsupported_media_type");
        }
    }
    for _ in 0..3 {
        sign_in(&visitor, EMAIL, PASSWORD).await.shows(422, &["The address or the password is wrong"]);
    }
    sign_in(&visitor, EMAIL, PASSWORD).await.shows(429, &["Too many attempts"]);
    server.close().await;
}

#[tokio::test]
async fn a_made_up_session_is_not_signed_out_of() {
    let server = Server::with(&[("--reads-per-second-per-address", "1")]).await;
    let visitor = Browser::at(&server);
    let mut statuses = Vec::new();
    for number in 0..20 {
        let bearer = format!("Bearer x{number}");
        let headers = [("sec-fetch-site", "same-origin"), ("authorization", bearer.as_str())];
        statuses.push(visitor.send_with("/sign-out", String::new(), &headers).await.status);
    }
    assert!(statuses.starts_with(&[303]) && statuses.contains(&429), "each look-up is paid for: {statuses:?}");
    server.close().await;
    // A browser whose session has ended loses its cookie.
    let server = Server::start().await;
    let browser = registered(&server, EMAIL).await;
    let session = browser.cookie(COOKIE).unwrap();
    for _ in 0..2 {
        browser.set_cookie(COOKIE, &session);
        assert_eq!((browser.send("/sign-out", &[]).await.leads_to(), browser.cookie(COOKIE)), ("/", None));
    }
    server.with_secret(&session).get("/users/me").await.problem(401, "unauthorized");
    server.close().await;
}

#[tokio::test]
async fn too_many_letters_are_told_with_the_time_to_wait() {
    let server = Server::demo().await;
    let browser = registered(&server, EMAIL).await;
    for _ in 0..5 {
        ask_for_reset(&browser, EMAIL).await.shows(200, &["check your e-mail"]);
    }
    let key = browser.open("/forgot").await.hidden("key");
    let refused = browser.send("/forgot", &[("email", EMAIL), ("key", &key)]).await;
    refused.shows(429, &["Too many requests for this address", "five e-mails an hour", "in 12 minutes", EMAIL]);
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().unwrap() > 660));
    let key = browser.open("/account").await.hidden("key");
    let refused = browser.send("/account/confirmation", &[("key", &key)]).await;
    refused.shows(429, &["Too many requests for this address", "in 12 minutes", EMAIL]);
    server.close().await;
}

#[tokio::test]
async fn what_is_seen_takes_no_more_than_its_field_and_a_password_is_never_cut() {
    let server = Server::start().await;
    let page = Browser::at(&server).open("/register").await;
    page.shows(200, &[r#"maxlength="100""#, r#"maxlength="254""#]);
    let password = page.html.split("<input").find(|input| input.contains(r#"type="password""#)).unwrap();
    assert!(!password.split('>').next().unwrap().contains("maxlength"), "{password}");
    server.close().await;
}

#[tokio::test]
async fn the_address_of_a_form_leads_to_its_page() {
    let server = Server::start().await;
    let browser = registered(&server, EMAIL).await;
    let session = server.with_secret(&browser.cookie(COOKIE).unwrap()).get("/sessions").await.expect(200);
    let end = format!("/account/sessions/{}/end", items(&session)[0]["session_id"].as_str().unwrap());
    for path in [
        "/account/password",
        "/account/erase",
        "/account/confirmation",
        "/account/sign-out-everywhere",
        "/sign-out",
        &end,
    ] {
        assert_eq!(browser.open(path).await.leads_to(), "/account", "{path}");
    }
    browser.open("/account").await.shows(200, &[EMAIL]);
    server.close().await;
}
