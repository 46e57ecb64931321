//! The session of a browser: where its cookie counts, and from where a change that is asked for with it may come.

use frontrow_testkit::{ApiAnswer, ApiCall, Server};
use reqwest::Method;
use serde_json::json;

const SAME: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A call without `Authorization`.
fn call(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> ApiCall {
    headers.iter().fold(server.anonymous().call(method, path), |call, (name, value)| call.header(name, value))
}

async fn me(server: &Server, headers: &[(&str, &str)]) -> ApiAnswer {
    call(server, Method::GET, "/users/me", headers).send().await
}

#[tokio::test]
async fn a_browser_is_signed_in_by_its_cookie_on_loopback() {
    let server = Server::start().await;
    let (kim, lee) = (server.buyer("kim").await, server.buyer("lee").await);
    let cookie = format!("theme=dark; frontrow-session={}", kim.secret());
    assert_eq!(me(&server, &[("cookie", &cookie)]).await.expect(200)["name"], "kim");
    // A header of its own says more than a cookie, which is sent along with everything.
    let bearer = format!("Bearer {}", lee.secret());
    let both = [("cookie", cookie.as_str()), ("authorization", &bearer)];
    assert_eq!(me(&server, &both).await.expect(200)["name"], "lee");
    let basic = [("cookie", cookie.as_str()), ("authorization", "Basic eDp5")];
    assert_eq!(me(&server, &basic).await.expect(200)["name"], "kim", "a proxy's own password is no session");
    let twice = format!("{cookie}; frontrow-session={}", lee.secret());
    let secure = format!("__Host-session={}", kim.secret());
    let outside = [("cookie", cookie.as_str()), ("host", "shop.example.com")];
    for none in
        [&[("cookie", twice.as_str())][..], &[("cookie", &secure)], &outside, &[("cookie", "frontrow-session=x")]]
    {
        me(&server, none).await.problem(401, "unauthorized");
    }
    server.close().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_with_tls_the_cookie_is_that_of_the_host_alone() {
    let server = Server::with(&[("--trusted-proxies", "127.0.0.1")]).await;
    let kim = server.buyer("kim").await;
    let (host, tls) = (("host", "shop.example.com"), ("x-forwarded-proto", "https"));
    let (secure, plain) = (format!("__Host-session={}", kim.secret()), format!("frontrow-session={}", kim.secret()));
    me(&server, &[host, tls, ("cookie", &secure)]).await.expect(200);
    for none in [[host, tls, ("cookie", plain.as_str())], [host, ("x-forwarded-proto", "http"), ("cookie", &secure)]] {
        me(&server, &none).await.problem(401, "unauthorized");
    }
    let own = [host, tls, ("cookie", secure.as_str()), ("origin", "https://shop.example.com")];
    call(&server, Method::DELETE, "/sessions/current", &own).send().await.expect(204);
    server.close().await;

    let server = Server::start().await;
    let kim = server.buyer("kim").await;
    let secure = format!("__Host-session={}", kim.secret());
    me(&server, &[host, tls, ("cookie", &secure)]).await.problem(401, "unauthorized");
    server.close().await;
}

#[tokio::test]
async fn a_change_by_cookie_comes_from_a_page_of_this_server() {
    let server = Server::start().await;
    let kim = server.buyer("kim").await;
    let cookie = format!("frontrow-session={}", kim.secret());
    let own = format!("http://{}", server.address);
    let with = |header: (&'static str, String)| {
        let headers = [("cookie", cookie.as_str()), (header.0, header.1.as_str())];
        call(&server, Method::POST, "/points/top-ups", &headers).json(&json!({ "amount": 1_000 }))
    };
    for foreign in [
        ("sec-fetch-site", "cross-site".to_owned()),
        ("sec-fetch-site", "same-site".to_owned()),
        ("origin", "https://evil.example.com".to_owned()),
        ("origin", format!("https://{}", server.address)),
        ("origin", "null".to_owned()),
        ("accept", "*/*".to_owned()),
    ] {
        with(foreign).send().await.problem(403, "cross_site");
    }
    assert_eq!(kim.balance().await, 0, "nothing was done");
    for good in [("sec-fetch-site", "same-origin".to_owned()), ("sec-fetch-site", "none".to_owned()), ("origin", own)] {
        with(good).send().await.expect(201);
    }
    assert_eq!(kim.balance().await, 3_000);
    // What a program sends by itself is not asked where it comes from, and a read changes nothing.
    kim.call(Method::POST, "/points/top-ups")
        .header("sec-fetch-site", "cross-site")
        .json(&json!({ "amount": 1 }))
        .send()
        .await
        .expect(201);
    me(&server, &[("cookie", &cookie), ("sec-fetch-site", "cross-site")]).await.expect(200);
    let unknown = call(&server, Method::DELETE, "/sessions/current", &[("cookie", "frontrow-session=x"), SAME]);
    unknown.send().await.problem(401, "unauthorized");
    server.close().await;
}

#[tokio::test]
async fn the_service_key_in_a_cookie_is_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = "k".repeat(40);
    let file = folder.path().join("key");
    std::fs::write(&file, &key).unwrap();
    let server = Server::with(&[("--service-key-file", file.to_str().unwrap())]).await;
    let kim = server.buyer("kim").await;
    let form = json!({ "amount": 5, "user_id": kim.user, "reference": "pg-1" });
    let top_up = |name, value: &str| call(&server, Method::POST, "/points/top-ups", &[(name, value), SAME]).json(&form);
    top_up("cookie", &format!("frontrow-session={key}")).send().await.problem(401, "unauthorized");
    top_up("authorization", &format!("Bearer {key}")).send().await.expect(201);
    server.close().await;
}
