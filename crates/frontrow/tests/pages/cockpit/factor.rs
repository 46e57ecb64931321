//! The second factor in a browser, and the first operator.

use frontrow_domain::user::Role;
use frontrow_service::validate::Email;
use frontrow_testkit::{Browser, LoadedPage, Server, app_code};

const EMAIL: &str = "boss@example.com";
const PASSWORD: &str = "correct horse battery";
const PAGE: &str = "/operator/second-factor";

async fn sign_in(browser: &Browser, next: &str) -> LoadedPage {
    browser.send("/sign-in", &[("email", EMAIL), ("password", PASSWORD), ("next", next)]).await
}

fn part(page: &LoadedPage, pattern: &str) -> Vec<String> {
    let found = regex::Regex::new(pattern).unwrap();
    found.captures_iter(&page.html).map(|found| found[1].to_owned()).collect()
}

/// The key that the page shows to be typed.
fn key(page: &LoadedPage) -> String {
    part(page, r#"<code class="key">([A-Z2-7 ]+)</code>"#).remove(0)
}

fn recovery_codes(page: &LoadedPage) -> Vec<String> {
    part(page, "<li><code>([A-Z2-7-]+)</code></li>")
}

/// A browser of an operator who has set up a second factor: with the key and the recovery codes.
async fn set_up(server: &Server) -> (Browser, String, Vec<String>) {
    server.operator_with_password(PASSWORD).await;
    let browser = Browser::at(server);
    sign_in(&browser, "/operator").await.leads_to();
    assert_eq!(browser.send(&format!("{PAGE}/begin"), &[]).await.leads_to(), PAGE);
    let key = key(&browser.open(PAGE).await);
    let code = app_code(&key, server.clock.now());
    let codes = browser.send(&format!("{PAGE}/confirm"), &[("code", &code), ("password", PASSWORD)]).await;
    codes.shows(200, &["Keep your recovery codes"]);
    let codes = recovery_codes(&codes);
    (browser, key, codes)
}

#[tokio::test]
async fn an_operator_is_offered_a_second_factor_at_each_sign_in_until_it_is_set_up_or_declined() {
    let server = Server::start().await;
    server.operator_with_password(PASSWORD).await;
    let browser = Browser::at(&server);
    assert_eq!(sign_in(&browser, "/").await.leads_to(), "/operator/second-factor?next=%2Foperator");
    let offer = browser.open("/operator/second-factor?next=%2Foperator").await;
    offer.shows(200, &["Set up a second factor", r#"href="/operator">Later"#, "ask me again"]);
    browser.send("/sign-out", &[]).await.leads_to();
    assert_eq!(sign_in(&browser, "/account").await.leads_to(), "/operator/second-factor?next=%2Faccount");
    assert_eq!(browser.send(&format!("{PAGE}/never"), &[("next", "/account")]).await.leads_to(), "/account");
    browser.send("/sign-out", &[]).await.leads_to();
    assert_eq!(sign_in(&browser, "/").await.leads_to(), "/operator");
    let page = browser.open(PAGE).await;
    page.shows(200, &["Set up a second factor"]);
    assert!(!page.html.contains("ask me again"), "{}", page.html);
    // Nowhere else than to a page of this server.
    let away = browser.send(&format!("{PAGE}/never"), &[("next", "//evil.example.com")]).await;
    assert_eq!(away.leads_to(), "/");
    // A buyer is not asked, and has no such page.
    let buyer = Browser::at(&server);
    let fields = [("name", "Kim"), ("email", "kim@example.com"), ("password", PASSWORD), ("next", "/")];
    assert_eq!(buyer.send("/register", &fields).await.leads_to(), "/");
    buyer.open(PAGE).await.shows(403, &["Not for this account"]);
    assert_eq!(Browser::at(&server).open(PAGE).await.leads_to(), "/sign-in?next=%2Foperator%2Fsecond-factor");
    server.close().await;
}

#[tokio::test]
async fn a_second_factor_is_set_up_used_renewed_and_removed_by_forms() {
    let server = Server::start().await;
    server.operator_with_password(PASSWORD).await;
    let (browser, other) = (Browser::at(&server), Browser::at(&server));
    sign_in(&browser, "/operator").await.leads_to();
    sign_in(&other, "/operator").await.leads_to();
    browser.send(&format!("{PAGE}/begin"), &[("next", "/operator")]).await.leads_to();
    let pending = browser.open("/operator/second-factor?next=%2Foperator").await;
    pending.shows(200, &["data:image/svg+xml;base64,", "otpauth://totp/", "boss%40example.com"]);
    let key = key(&pending);
    let code = || app_code(&key, server.clock.now());
    let confirm = format!("{PAGE}/confirm");
    let wrong = browser.send(&confirm, &[("code", "000000"), ("password", PASSWORD), ("next", "/operator")]).await;
    wrong.shows(422, &["The code isn’t right", "Enter the code that the app shows now.", &key]);
    let wrong = browser.send(&confirm, &[("code", &code()), ("password", "wrong horse")]).await;
    wrong.shows(422, &["The password is wrong", &key]);
    browser.send(&confirm, &[("code", &code())]).await.shows(422, &[]);
    let made = browser.send(&confirm, &[("code", &code()), ("password", PASSWORD), ("next", "/operator")]).await;
    made.shows(200, &["Keep your recovery codes", r#"href="/operator""#]);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let first = recovery_codes(&made);
    assert_eq!(first.len(), 10);
    assert!(other.open("/operator").await.leads_to().starts_with("/sign-in"), "other sessions ended");
    let page = browser.open(PAGE).await;
    page.shows(200, &["On since", "10 recovery codes left"]);
    assert!(!first.iter().any(|code| page.html.contains(code)), "they are shown once");
    // To send the form again neither shows them nor makes others.
    let again = browser.send(&confirm, &[("code", &code()), ("password", PASSWORD)]).await;
    again.shows(409, &["second factor", "10 recovery codes left"]);

    server.advance(30);
    let wrong = browser.send(&format!("{PAGE}/codes"), &[("code", "000000")]).await;
    wrong.shows(422, &["The code isn’t right"]);
    let second = recovery_codes(&browser.send(&format!("{PAGE}/codes"), &[("code", &code())]).await);
    assert_eq!(second.len(), 10);
    let old = browser.send(&format!("{PAGE}/remove"), &[("code", &first[0])]).await;
    old.shows(422, &["The code isn’t right"]);
    assert_eq!(browser.send(&format!("{PAGE}/remove"), &[("code", &second[0])]).await.leads_to(), PAGE);
    browser.open(PAGE).await.shows(200, &["Set up a second factor"]);
    assert_eq!(sign_in(&other, "/account").await.leads_to(), "/operator/second-factor?next=%2Faccount");
    server.close().await;
}

#[tokio::test]
async fn signing_in_asks_for_the_code_on_a_second_form() {
    let server = Server::start().await;
    let (_, key, recovery) = set_up(&server).await;
    server.advance(30);
    let code = || app_code(&key, server.clock.now());
    let browser = Browser::at(&server);
    let asked = sign_in(&browser, "/account").await;
    asked.shows(200, &["Enter your code", r#"autocomplete="one-time-code""#, r#"name="next" value="/account""#]);
    assert_eq!(asked.header("set-cookie"), None);
    assert_eq!(asked.header("cache-control"), Some("no-store"));
    let ticket = asked.hidden("ticket");
    let send = async |browser: &Browser, ticket: &str, code: &str| {
        browser.send("/sign-in/code", &[("ticket", ticket), ("code", code), ("next", "/account")]).await
    };
    send(&browser, &ticket, "000000").await.shows(422, &["The code isn’t right", &ticket]);
    send(&browser, &ticket, "").await.shows(422, &["please fill this in"]);
    assert_eq!(send(&browser, &ticket, &code()).await.leads_to(), "/account");
    browser.open("/account").await.shows(200, &[EMAIL]);
    send(&Browser::at(&server), &ticket, &code()).await.shows(422, &["The code isn’t right"]);
    assert_eq!(send(&Browser::at(&server), &ticket, &recovery[0]).await.leads_to(), "/account");
    send(&Browser::at(&server), &ticket, &recovery[0]).await.shows(422, &["The code isn’t right"]);

    // A ticket that was changed, is another user's or is over begins again.
    let mut forged = ticket.clone().into_bytes();
    forged[3] = if forged[3] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for bad in ["", "x", &forged, &"A".repeat(86)] {
        send(&Browser::at(&server), bad, &recovery[1]).await.shows(422, &["Please sign in again"]);
    }
    server.advance(5 * 60 - 1);
    assert_eq!(browser.open("/sign-in/code").await.leads_to(), "/sign-in");
    server.advance(1);
    send(&Browser::at(&server), &ticket, &recovery[1]).await.shows(422, &["Please sign in again"]);
    // So does one from before all sessions were ended.
    let ticket = sign_in(&Browser::at(&server), "/account").await.hidden("ticket");
    browser.send("/account/sign-out-everywhere", &[]).await.leads_to();
    send(&Browser::at(&server), &ticket, &recovery[1]).await.shows(422, &["Please sign in again"]);
    server.close().await;
}

#[tokio::test]
async fn the_first_operator_registers_by_the_printed_link_while_there_is_none() {
    let server = Server::start().await;
    let secret = server.app().office.first_operator_secret();
    let path = format!("/operator/setup/{secret}");
    let browser = Browser::at(&server);
    for wrong in ["x", &"A".repeat(43), &secret[1..]] {
        browser.open(&format!("/operator/setup/{wrong}")).await.shows(404, &[]);
    }
    browser.open(&path).await.shows(200, &["The first operator", r#"name="password""#]);
    let fields = |password| [("name", "Kim"), ("email", EMAIL), ("password", password)];
    browser.send(&path, &fields("short")).await.shows(422, &["10 to 200 characters"]);
    browser.send("/operator/setup/x", &fields(PASSWORD)).await.shows(404, &[]);
    let taken = Browser::at(&server);
    let buyer = [("name", "Kim"), ("email", "kim@example.com"), ("password", PASSWORD), ("next", "/")];
    taken.send("/register", &buyer).await.leads_to();
    let asked = browser.send(&path, &[("name", "Kim"), ("email", "kim@example.com"), ("password", PASSWORD)]).await;
    asked.shows(422, &["already has an account"]);
    let on = browser.send(&path, &fields(PASSWORD)).await;
    assert_eq!(on.leads_to(), "/operator/second-factor?next=%2Foperator");
    browser.open("/operator").await.shows(200, &["Concerts"]);
    Browser::at(&server).open(&path).await.shows(404, &[]);
    let other = [("name", "Lee"), ("email", "lee@example.com"), ("password", PASSWORD)];
    Browser::at(&server).send(&path, &other).await.shows(404, &[]);
    // Without that operator the link stays gone: the command line makes the next one.
    let email = Email::parse(EMAIL).unwrap();
    let (user, _) = server.app().office.account(&email).await.unwrap().unwrap();
    server.app().office.set_role(user.user_id, Role::Buyer).await.unwrap();
    Browser::at(&server).open(&path).await.shows(404, &[]);
    Browser::at(&server).send(&path, &other).await.shows(404, &[]);
    server.close().await;

    let demo = Server::demo().await;
    let secret = demo.app().office.first_operator_secret();
    Browser::at(&demo).open(&format!("/operator/setup/{secret}")).await.shows(404, &[]);
    demo.close().await;
}

#[tokio::test]
async fn a_viewer_is_let_in_told_that_it_changes_nothing_and_may_set_up_a_second_factor() {
    let server = Server::start().await;
    let browser = Browser::at(&server);
    browser.set_cookie("frontrow-session", server.viewer().await.secret());
    browser.open("/operator").await.shows(200, &["only looks on"]);
    assert_eq!(browser.send(&format!("{PAGE}/begin"), &[]).await.leads_to(), PAGE);
    key(&browser.open(PAGE).await);
    server.close().await;
}
