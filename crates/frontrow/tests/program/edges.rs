//! The edges that are shipped for other sites: the real proxies in front of a small site that is no part of Frontrow.

use crate::PROGRAM;
use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, Uri},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_domain::id::RoomId;
use frontrow_signing::{Keyring, PassClaims, audience};
use frontrow_testkit::{
    Client, eventually, id,
    program::{Process, succeeds},
    servers::{folder, port::Port},
};
use reqwest::{Method, header::LOCATION, redirect::Policy};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

/// The edges that are shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EdgeKind {
    HaProxy,
    Nginx,
}

/// The proxy of a site, in a process of its own.
struct Edge {
    child: Child,
    port: Port,
    folder: TempDir,
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn shipped(file: &str) -> String {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/edge")).join(file);
    std::fs::read_to_string(path).unwrap()
}

/// A program of Debian's, which may not be there.
fn program(name: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/sbin").join(name);
    path.exists().then_some(path)
}

/// Text with each of these words replaced, every one of which must be there.
fn adapted(text: &str, replaced: &[(&str, &str)]) -> String {
    replaced.iter().fold(text.to_owned(), |text, (word, other)| {
        assert!(text.contains(word), "the shipped settings have {word}");
        text.replace(word, other)
    })
}

/// The whole of a server's settings around what is shipped for nginx: what only this test needs.
fn nginx_around(folder: &str, snippet: &str) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {folder}/{name};")).join("\n");
    format!(
        "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;\ndaemon off;\nmaster_process off;\n\
         pid {folder}/pid;\nerror_log {folder}/log warn;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\n{snippet}\n}}\n"
    )
}

impl Edge {
    /// The proxy with what is shipped for it, and the addresses of this test.
    fn start(kind: EdgeKind, program: &Path, port: Port, line: &str, room: i64, site: SocketAddr, data: &Path) -> Self {
        let folder = folder();
        let path = |name: &str| folder.path().join(name);
        let here = format!("http://127.0.0.1:{}", port.number());
        let (number, site) = (port.number().to_string(), site.to_string());
        let log = File::create(path("said")).unwrap();
        let mut command = Command::new(program);
        match kind {
            EdgeKind::HaProxy => {
                for (name, key) in [("pass.pem", "1"), ("before.pem", "2")] {
                    let pem = succeeds(PROGRAM.command(data, "jwks").args(["--pem", "--number", key]));
                    std::fs::write(path(name), pem).unwrap();
                }
                let text = adapted(
                    &shipped("haproxy.cfg"),
                    &[
                        ("bind :8081", &format!("bind 127.0.0.1:{number}")),
                        ("127.0.0.1:9000", &site),
                        ("/etc/haproxy/frontrow-pass.pem", path("pass.pem").to_str().unwrap()),
                        ("/etc/haproxy/frontrow-pass-before.pem", path("before.pem").to_str().unwrap()),
                        ("    tune.bufsize 16384\n", "    tune.bufsize 16384\n    maxconn 1000\n"),
                    ],
                );
                std::fs::write(path("haproxy.cfg"), text).unwrap();
                command.arg("-db").arg("-f").arg(path("haproxy.cfg"));
                command.env("FRONTROW_LINE", line).env("FRONTROW_SITE", here).env("FRONTROW_ROOM", room.to_string());
            }
            EdgeKind::Nginx => {
                std::fs::write(path("jwks.json"), succeeds(&mut PROGRAM.command(data, "jwks"))).unwrap();
                std::fs::write(path("frontrow.js"), shipped("frontrow.js")).unwrap();
                let place = folder.path().to_str().unwrap();
                let text = adapted(
                    &shipped("nginx.conf"),
                    &[
                        ("listen 8081", &format!("listen 127.0.0.1:{number}")),
                        ("127.0.0.1:9000", &site),
                        ("/etc/nginx/frontrow;", &format!("{place};")),
                        ("/etc/nginx/frontrow/jwks.json;", &format!("{place}/jwks.json;")),
                        ("$frontrow_line https://line.example.com", &format!("$frontrow_line {line}")),
                        ("$frontrow_site https://shop.example.com", &format!("$frontrow_site {here}")),
                        ("$frontrow_room 0", &format!("$frontrow_room {room}")),
                    ],
                );
                // As where it is installed, the folder of the settings is not that of the script and the keys.
                std::fs::create_dir(path("etc")).unwrap();
                std::fs::write(path("etc/nginx.conf"), nginx_around(place, &text)).unwrap();
                command.arg("-p").arg(path("etc")).arg("-c").arg(path("etc/nginx.conf")).arg("-e").arg(path("log"));
            }
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child, port, folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port.number())
    }

    async fn is_up(&self, http: &reqwest::Client) {
        eventually("the edge answers", async || http.get(self.url("/")).send().await.ok().map(|_| ())).await;
    }

    /// What it wrote, for a test that fails.
    fn said(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        read("said") + &read("log")
    }
}

/// A small site that knows nothing of rooms: it says which page it was asked for and what the edge told it.
async fn site() -> (SocketAddr, JoinHandle<()>) {
    async fn page(uri: Uri, headers: HeaderMap, request: Request) -> String {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-").to_owned();
        format!("inside {} {uri} {} {}", request.method(), header("frontrow-subject"), header("frontrow-pass"))
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(page)).await.unwrap() });
    (address, served)
}

/// An answer of the edge: its status, where it leads, the cookie that it sets, and its text.
#[derive(Debug)]
struct EdgeAnswer {
    status: u16,
    location: String,
    cookie: String,
    text: String,
}

const OPERATOR: &str = "ops@example.com";
const PASSWORD: &str = "a long password";

async fn sign_in(anonymous: &Client, email: &str) -> Client {
    let session = anonymous.post("/sessions", &json!({ "email": email, "password": PASSWORD })).await.expect(201);
    anonymous.with_secret(session["session_token"].as_str().unwrap())
}

/// A line and a site behind it, with the edge in between: behind `HAProxy` the house room, behind nginx a room without a
/// concert.
struct Stage {
    http: reqwest::Client,
    line: Process,
    edge: Edge,
    data: TempDir,
    room: i64,
    site: JoinHandle<()>,
}

impl Stage {
    /// None if the proxy is not installed.
    async fn set(kind: EdgeKind) -> Option<Self> {
        let name = match kind {
            EdgeKind::HaProxy => "haproxy",
            EdgeKind::Nginx => "nginx",
        };
        let has_module = kind != EdgeKind::Nginx || Path::new("/usr/lib/nginx/modules/ngx_http_js_module.so").exists();
        let Some(program) = program(name).filter(|_| has_module) else {
            println!("NOT CHECKED: {name} is not there, or njs is not");
            return None;
        };
        let (edge_port, line_port, data) = (Port::take(), Port::take(), tempfile::tempdir().unwrap());
        let line = format!("http://127.0.0.1:{}", line_port.number());
        let turn_url = format!("http://127.0.0.1:{}/start?from=line", edge_port.number());
        let listen = format!("127.0.0.1:{}", line_port.number());
        std::fs::write(data.path().join("password"), PASSWORD).unwrap();
        let operator = ["--email", OPERATOR, "--name", "Ops", "--password-file"];
        succeeds(PROGRAM.command(data.path(), "operator add").args(operator).arg(data.path().join("password")));
        let flags = ["--listen", &listen, "--public-url", &line, "--max-active", "1"];
        let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        let (process, room) = match kind {
            EdgeKind::HaProxy => (PROGRAM.start_at(data.path(), &[&flags[..], &["--turn-url", &turn_url]].concat()), 0),
            EdgeKind::Nginx => {
                let process = PROGRAM.start_at(data.path(), &flags);
                let operator = sign_in(&Client::anonymous(http.clone(), process.address), OPERATOR).await;
                let draft = json!({ "name": "Shop", "turn_url": turn_url, "max_active": 1 });
                let room = id(&operator.post("/operator/rooms", &draft).await.expect(201), "room_id");
                (process, room)
            }
        };
        let (address, site) = site().await;
        let edge = Edge::start(kind, &program, edge_port, &line, room, address, data.path());
        edge.is_up(&http).await;
        Some(Self { http, line: process, edge, data, room, site })
    }

    /// A visitor with an account of the line.
    async fn visitor(&self, name: &str) -> Client {
        let anonymous = Client::anonymous(self.http.clone(), self.line.address);
        let email = format!("{name}@example.com");
        let account = json!({ "name": name, "email": email, "password": PASSWORD });
        anonymous.post("/users", &account).await.expect(201);
        sign_in(&anonymous, &email).await
    }

    /// The page on which the line is joined.
    fn front(&self) -> String {
        if self.room == 0 { "/line".to_owned() } else { format!("/line/{}", self.room) }
    }

    /// The visitor's place in the line.
    async fn join(&self, visitor: &Client) -> String {
        let answer = visitor.post("/queue/tokens", &json!({ "room_id": self.room })).await;
        answer.expect(201)["token"].as_str().unwrap().to_owned()
    }

    async fn ask(&self, method: Method, path: &str, cookie: Option<&str>) -> EdgeAnswer {
        let request = self.http.request(method, self.edge.url(path)).header("frontrow-subject", "made up");
        let request = match cookie {
            Some(cookie) => request.header("cookie", format!("other=1; frontrow_pass={cookie}; more=2")),
            None => request,
        };
        let response = request.send().await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            value.unwrap_or_default()
        };
        let (status, location, cookie) = (response.status().as_u16(), header(LOCATION.as_str()), header("set-cookie"));
        EdgeAnswer { status, location, cookie, text: response.text().await.unwrap() }
    }

    /// The visitor with this pass is led to the line.
    async fn leads_away(&self, pass: &str, what: &str) {
        let answer = self.ask(Method::GET, "/seats?row=A", Some(pass)).await;
        let back = format!("http://{}/line/{}/pass?return=%2Fseats%3Frow%3DA", self.line.address, self.room);
        let is_led = answer.status == 303 && answer.location.replace("%2f", "%2F").replace("%3f", "%3F") == back;
        assert!(is_led, "{what}: {answer:?}\n{}", self.edge.said());
        let answer = self.ask(Method::GET, &format!("/seats?frontrow_pass={pass}"), None).await;
        let line = format!("http://{}/line/{}", self.line.address, self.room);
        assert_eq!((answer.status, answer.location), (303, line), "{what}");
        assert_eq!((answer.cookie, answer.text.contains("inside")), (String::new(), false), "{what}");
    }

    /// Where the line leads a visitor who wants in.
    async fn led_by_line(&self, visitor: &Client, query: &str) -> String {
        let path = format!("/line/{}/pass{query}", self.room);
        let answer = visitor.call_at(Method::GET, &path).send().await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.header("location").unwrap().to_owned()
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn claims_of(pass: &str) -> PassClaims {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(pass.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// HMAC-SHA-256, for a pass that takes the public key for a shared secret.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = if key.len() > 64 { Sha256::digest(key).to_vec() } else { key.to_vec() };
    let padded = |with: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

/// Passes that no edge may take, each with its fault.
fn bad_passes(good: &str, keys: &Keyring, public_pem: &str) -> Vec<(String, &'static str)> {
    let [header, body, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    let (claims, kid) = (claims_of(good), keys.pass_keys()[0].kid());
    let signed = |claims: &PassClaims| keys.sign_pass(claims).unwrap();
    let other_key = Keyring::from_secrets(&[(1, [0x99; 32])], 1).unwrap().sign_pass(&claims).unwrap();
    let [_, other_body, other_signature] = other_key.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    let named = |alg: &str| part(&json!({ "alg": alg, "typ": "JWT", "kid": kid }));
    let none = named("none");
    let hs256 = format!("{}.{body}", named("HS256"));
    let by_pem = URL_SAFE_NO_PAD.encode(hmac(public_pem.as_bytes(), hs256.as_bytes()));
    let longer = PassClaims { exp: claims.exp + 3_600, ..claims.clone() };
    let longer = part(&serde_json::to_value(longer).unwrap());
    vec![
        (String::new(), "nothing"),
        ("made-up".to_owned(), "no pass at all"),
        (other_key.clone(), "another key"),
        (format!("{header}.{other_body}.{other_signature}"), "another key under the good one's name"),
        (format!("{none}.{body}."), "no algorithm"),
        (format!("{none}.{body}.{signature}"), "no algorithm, with a signature"),
        (format!("{hs256}.{by_pem}"), "the public key as a shared secret"),
        (format!("{hs256}.{signature}"), "another algorithm over the same signature"),
        (format!("{header}.{longer}.{signature}"), "an altered end"),
        (format!("{header}.{body}.{}", "A".repeat(86)), "a signature of zeros"),
        (format!("{header}.{body}"), "no signature"),
        (signed(&PassClaims { exp: claims.iat - 3_600, nbf: 0, ..claims.clone() }), "a pass that is over"),
        (signed(&PassClaims { nbf: claims.nbf + 3_600, exp: claims.exp + 7_200, ..claims.clone() }), "one to come"),
        (signed(&PassClaims { aud: "room:1".to_owned(), ..claims.clone() }), "another room"),
        (signed(&PassClaims { aud: format!("{}0", claims.aud), ..claims.clone() }), "a room like it"),
        (signed(&PassClaims { iss: "https://other.example.com".to_owned(), ..claims.clone() }), "another box office"),
    ]
}

async fn only_a_turn_opens_the_site(kind: EdgeKind) {
    let Some(stage) = Stage::set(kind).await else { return };
    let (line, room, front) = (format!("http://{}", stage.line.address), stage.room, stage.front());
    let (first, second) = (stage.visitor("first").await, stage.visitor("second").await);

    // Without a pass: to the line. It asks for an account when it is joined, and leads back who waits.
    let answer = stage.ask(Method::GET, "/", None).await;
    assert_eq!((answer.status, answer.location), (303, format!("{line}/line/{room}/pass?return=%2F")));
    let answer = stage.ask(Method::POST, "/order", None).await;
    assert_eq!((answer.status, answer.location), (303, format!("{line}/line/{room}/pass")));
    let anonymous = Client::anonymous(stage.http.clone(), stage.line.address);
    assert_eq!(stage.led_by_line(&anonymous, "?return=%2F").await, front);
    assert_eq!(stage.led_by_line(&first, "").await, front, "no place yet");
    let token = stage.join(&first).await;
    first.wait_for(&token, "offered").await;
    first.activate(&token).await.expect(200);
    let waiting = stage.join(&second).await;
    assert_eq!(stage.led_by_line(&second, "").await, format!("/line/{waiting}"));
    // A turn may be out already for the place that is soon to be free.
    let early = second.get(&format!("/queue/tokens/{waiting}/pass")).await.expect(403)["code"].clone();
    assert!(early == "token_waiting" || early == "token_not_activated", "{early}");
    second.get(&format!("/queue/tokens/{token}/pass")).await.problem(404, "not_found");

    // With the turn: into the site, by a cookie, and back to the page that was asked for.
    let address = stage.led_by_line(&first, "?return=%2Fseats%3Frow%3DA").await;
    let site = stage.edge.url("");
    let (start, pass) = address.split_once("&frontrow_pass=").unwrap();
    assert_eq!(start, format!("{site}/seats?row=A"));
    assert!(stage.led_by_line(&first, "").await.starts_with(&format!("{site}/start?from=line&frontrow_pass=")));
    let elsewhere = stage.led_by_line(&first, "?return=%2F%2Fevil.example%2F").await;
    assert!(elsewhere.starts_with(&format!("{site}/start?")), "{elsewhere}");
    for (path, clean) in [
        ("/seats?row=A&", "/seats?row=A"),
        ("/?", "/"),
        ("/start?from=line&", "/start?from=line"),
        ("//evil.example/?", "//evil.example/"),
    ] {
        let answer = stage.ask(Method::GET, &format!("{path}frontrow_pass={pass}"), None).await;
        assert_eq!((answer.status, answer.location), (303, format!("{site}{clean}")), "{}", stage.edge.said());
        assert!(answer.cookie.starts_with(&format!("frontrow_pass={pass}; ")), "{}", answer.cookie);
        for word in ["Path=/", "HttpOnly", "Secure", "SameSite=Lax"] {
            assert!(answer.cookie.contains(word), "{}", answer.cookie);
        }
    }
    let claims = claims_of(pass);
    for method in [Method::GET, Method::POST] {
        let answer = stage.ask(method.clone(), "/seats?row=A", Some(pass)).await;
        let told = format!("inside {method} /seats?row=A {} {pass}", claims.sub);
        assert_eq!((answer.status, answer.text), (200, told), "{}", stage.edge.said());
    }

    // What the pass says.
    assert_eq!((claims.iss.as_str(), claims.aud.as_str()), (line.as_str(), audience(RoomId::new(room)).as_str()));
    let row = first.get(&format!("/queue/tokens/{token}")).await.expect(200);
    let deadline: jiff::Timestamp = row["deadline"].as_str().unwrap().parse().unwrap();
    assert!(claims.exp <= deadline.as_second() && claims.exp <= claims.iat + 300, "{claims:?} {row}");
    let me = first.get("/users/me").await.text();
    assert!(!me.contains(&claims.sub), "the subject is no part of the account");

    // Forged and foreign ones: to the line.
    let keys = Keyring::load(&stage.data.path().join("keys.toml")).unwrap();
    let pem = succeeds(PROGRAM.command(stage.data.path(), "jwks").arg("--pem"));
    for (bad, what) in bad_passes(pass, &keys, &pem) {
        stage.leads_away(&bad, what).await;
    }

    // The visitor is done: no other pass is given, and the next one gets the turn.
    let done = async |pass: &str| anonymous.post("/queue/passes/done", &json!({ "pass": pass })).await;
    for (bad, _) in
        bad_passes(pass, &keys, &pem).into_iter().filter(|(_, what)| what.contains("key") || what.contains("end"))
    {
        done(&bad).await.problem(403, "pass_invalid");
    }
    assert_eq!(done(pass).await.status, 204);
    assert_eq!(done(pass).await.status, 204, "again it is done");
    first.get(&format!("/queue/tokens/{token}/pass")).await.problem(403, "token_ended");
    assert_eq!(stage.led_by_line(&first, "?return=%2Fseats").await, front);
    second.wait_for(&waiting, "offered").await;
    stage.site.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_turn_opens_a_site_behind_haproxy() {
    only_a_turn_opens_the_site(EdgeKind::HaProxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_turn_opens_a_site_behind_nginx() {
    only_a_turn_opens_the_site(EdgeKind::Nginx).await;
}
