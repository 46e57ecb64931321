//! A person sees a page, whatever a program would get.

use axum::{Router, routing::get};
use frontrow_service::metrics::Metrics;
use frontrow_testkit::{Browser, LoadedPage, PATIENCE, Server};
use frontrow_web::edge::{
    listener,
    observe::{self, RequestContext},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const PROGRAM: (&str, &str) = ("accept", "*/*");

fn is_page(page: &LoadedPage, status: u16, texts: &[&str]) {
    page.shows(status, texts);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{}", page.html);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_method_or_a_path_that_there_is_not_is_a_page_for_a_person_and_a_problem_for_a_program() {
    let server = Server::start().await;
    let browser = Browser::at(&server);
    let own = ("sec-fetch-site", "same-origin");
    let page = browser.send_with("/sitemap.xml", String::new(), &[own]).await;
    is_page(&page, 405, &["<html", "/"]);
    assert!(page.header("allow").unwrap().contains("GET"));
    is_page(&browser.open("/line/x/claim").await, 405, &["<html"]);
    is_page(&browser.open("/nothing").await, 404, &["<html"]);
    is_page(&browser.speaking("ko").open("/nothing").await, 404, &["찾는 화면이 없습니다"]);
    for (method, path, status, code) in [
        (reqwest::Method::GET, "/line/x/claim", 405, "method_not_allowed"),
        (reqwest::Method::POST, "/sitemap.xml", 405, "method_not_allowed"),
        (reqwest::Method::GET, "/nothing", 404, "not_found"),
    ] {
        server.anonymous().call_at(method, path).send().await.problem(status, code);
    }
    let api = server.anonymous().call(reqwest::Method::PUT, "/concerts").header(HTML.0, HTML.1);
    api.send().await.problem(405, "method_not_allowed");
    server.close().await;
}

async fn never() {
    std::future::pending::<()>().await;
}

async fn panics() {
    panic!("the secret is 12345")
}

#[tokio::test]
async fn what_takes_too_long_or_fails_or_is_malformed_is_a_page_for_a_person() {
    let server = Server::start().await;
    let short = Duration::from_millis(200);
    let metrics = Arc::new(Metrics::new());
    let context = RequestContext::new(Arc::clone(&metrics), server.clock.clone(), short, short);
    let routes = Router::new().route("/slow", get(never).post(never)).route("/fails", get(panics));
    let routes = observe::instrument(routes, Arc::new(context), None, Some(server.app()));
    let socket = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let root = format!("http://{}", socket.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(listener::serve(socket, routes, server.config.listener_limits(), stopped, metrics));

    let http = reqwest::Client::new();
    let ask = async |method, path: &str, headers: &[(&str, &str)]| {
        let request = http.request(method, format!("{root}{path}")).timeout(PATIENCE).header("accept-language", "en");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        LoadedPage { status, headers, html: answer.text().await.unwrap() }
    };
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    let page = ask(get.clone(), "/slow", &[HTML]).await;
    is_page(&page, 503, &["very busy"]);
    assert_eq!(page.header("refresh"), Some("5"), "a place in line stays awake without a script");
    let page = ask(post, "/slow", &[HTML]).await;
    is_page(&page, 503, &["We"]);
    assert_eq!(page.header("refresh"), None, "a form is not sent again by itself");
    let page = ask(get.clone(), "/fails", &[HTML]).await;
    is_page(&page, 500, &["Something went wrong", page.header("x-request-id").unwrap()]);
    assert!(!page.html.contains("12345"), "{}", page.html);
    let twice = [HTML, ("x-request-id", "one"), ("x-request-id", "two")];
    is_page(&ask(get.clone(), "/fails", &twice).await, 400, &["<html"]);
    for path in ["/slow", "/fails"] {
        let problem = ask(get.clone(), path, &[PROGRAM]).await;
        assert_eq!(problem.header("content-type"), Some("application/problem+json"), "{}", problem.html);
    }

    stop.send(true).unwrap();
    drop(http);
    serving.await.unwrap().unwrap();
    server.close().await;
}

#[tokio::test]
async fn behind_tls_every_answer_says_that_the_host_is_reached_by_it_alone() {
    let server = Server::with(&[("--trusted-proxies", "127.0.0.1")]).await;
    let anonymous = server.anonymous();
    let hsts = async |method: reqwest::Method, path: &str, proto: &str| {
        let call =
            anonymous.call_at(method, path).header("x-forwarded-proto", proto).header("host", "shop.example.com");
        call.send().await.header("strict-transport-security").map(str::to_owned)
    };
    for path in ["/", "/api/v1/concerts", "/api/v1/users/me", "/nothing", "/openapi.json", "/posters/1/x.jpg"] {
        assert_eq!(hsts(reqwest::Method::GET, path, "https").await.as_deref(), Some("max-age=31536000"), "{path}");
        assert_eq!(hsts(reqwest::Method::GET, path, "http").await, None, "{path}");
    }
    assert!(hsts(reqwest::Method::POST, "/healthz", "https").await.is_some());
    server.close().await;
    let server = Server::start().await;
    let call = server.anonymous().call_at(reqwest::Method::GET, "/").header("x-forwarded-proto", "https");
    assert_eq!(call.send().await.header("strict-transport-security"), None, "the proxy is not trusted");
    server.close().await;
}
