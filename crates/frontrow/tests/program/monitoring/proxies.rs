//! The proxies that are shipped, in front of instances that are not ready.

use super::deploy;
use crate::PROGRAM;
use frontrow::config::Cli;
use frontrow_testkit::{
    eventually,
    servers::{folder, port::Port},
};
use std::{
    fmt::Write as _,
    fs::File,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const SHIPPED: [&str; 3] = ["compose/haproxy.cfg", "kubernetes/haproxy.cfg", "haproxy/haproxy.cfg"];
/// So many answers in a row show that the proxy has made up its mind.
const IN_A_ROW: usize = 20;

/// `HAProxy` with shipped settings.
struct HaProxy {
    child: Child,
    port: Port,
    /// The address of its own health check, if it has one.
    _other_port: Port,
    folder: TempDir,
}

impl HaProxy {
    fn start(settings: &str, instances: &[SocketAddr]) -> Self {
        let (folder, port, other_port, path) = (folder(), Port::take(), Port::take(), deploy(settings));
        let text = adapted(&std::fs::read_to_string(path).unwrap(), &port, &other_port, instances);
        let (file, log) = (folder.path().join("haproxy.cfg"), File::create(folder.path().join("log")).unwrap());
        std::fs::write(&file, text).unwrap();
        let debian = Path::new("/usr/sbin/haproxy");
        let child = Command::new(if debian.exists() { debian } else { Path::new("haproxy") })
            .arg("-db")
            .arg("-f")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("haproxy is installed");
        Self { child, port, _other_port: other_port, folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port.number())
    }

    /// Waits until it says that no instance is ready. Before that it still asks one that is not.
    async fn has_none_ready(&self) {
        let log = self.folder.path().join("log");
        eventually("no instance is ready", async || {
            let said = std::fs::read_to_string(&log).ok()?;
            said.contains("backend 'ready' has no server available").then_some(())
        })
        .await;
    }

    /// Waits until a path is answered like this, so often in a row that no other answer is left to come.
    async fn answers(&self, path: &str, status: u16, text: &str) {
        eventually(&format!("{path} to be {status} {text}"), async || {
            for _ in 0..IN_A_ROW {
                let answer = reqwest::get(self.url(path)).await.ok()?;
                let is_it = answer.status() == status;
                (is_it && answer.text().await.ok()?.contains(text)).then_some(())?;
            }
            Some(())
        })
        .await;
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Shipped settings with the addresses of this machine, and without what only root may do.
fn adapted(settings: &str, port: &Port, other_port: &Port, instances: &[SocketAddr]) -> String {
    let (mut adapted, mut backends) = (String::new(), 0);
    let mut lacks_servers = false;
    for line in settings.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            ["server" | "server-template", ..] if lacks_servers => {
                for (number, instance) in instances.iter().enumerate() {
                    let _ = writeln!(adapted, "    server instance{number} {instance}");
                }
                lacks_servers = false;
            }
            ["server" | "server-template", ..] | ["user" | "group", "haproxy"] | ["log", "/dev/log", ..] => {}
            ["bind", ":8081"] => _ = writeln!(adapted, "    bind 127.0.0.1:{}", other_port.number()),
            ["bind", ..] => _ = writeln!(adapted, "    bind 127.0.0.1:{}", port.number()),
            // Within the usual limit of open files.
            ["maxconn", _] => _ = writeln!(adapted, "    maxconn 1000"),
            // One stream is as many as there may be.
            [.., "be_conn(streams)", "ge", _, "}"] => {
                let (rule, _) = line.rsplit_once("be_conn(streams) ge").unwrap_or_default();
                let _ = writeln!(adapted, "{rule}be_conn(streams) ge 1 }}");
            }
            _ => {
                if line.starts_with("backend ") {
                    (lacks_servers, backends) = (true, backends + 1);
                }
                let _ = writeln!(adapted, "{line}");
            }
        }
    }
    assert_eq!(backends, 3, "the shipped settings have three backends");
    let folder = |name: &str| deploy(name).display().to_string();
    adapted
        .replace("/usr/local/etc/haproxy/errors/", &folder("compose/errors/"))
        .replace("/usr/local/etc/haproxy/", &folder("kubernetes/"))
        .replace("/etc/haproxy/errors/", &folder("compose/errors/"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_no_instance_is_ready_those_that_live_answer_through_every_proxy() {
    let folders = [folder(), folder()];
    // As all that is in deploy/ sets it.
    let ports = [Port::take(), Port::take()];
    let metrics = ports.each_ref().map(|port| format!("127.0.0.1:{}", port.number()));
    let instances =
        [0, 1].map(|number| PROGRAM.start(folders[number].path(), &[("--metrics-listen", &metrics[number])]));
    let addresses = instances.each_ref().map(|instance| instance.address);
    let proxies = SHIPPED.map(|settings| HaProxy::start(settings, &addresses));
    let all_answer = async |path, status, text| {
        for proxy in &proxies {
            proxy.answers(path, status, text).await;
        }
    };
    all_answer("/readyz", 200, "ready").await;
    all_answer("/metrics", 404, "").await;
    for address in &metrics {
        let text = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
        assert!(text.contains("frontrow_build_info"), "{text}");
    }

    // Without its lock an instance takes no changes any more, and says so.
    std::fs::remove_file(folders[0].path().join("serve.lock")).unwrap();
    let own = format!("http://{}/readyz", addresses[0]);
    eventually("one instance is not ready", async || (reqwest::get(&own).await.ok()?.status() == 503).then_some(()))
        .await;
    all_answer("/readyz", 200, "ready").await;

    std::fs::remove_file(folders[1].path().join("serve.lock")).unwrap();
    for proxy in &proxies {
        proxy.has_none_ready().await;
    }
    all_answer("/readyz", 503, "").await;
    all_answer("/api/v1/concerts", 200, "items").await;

    for instance in instances {
        instance.kill();
    }
    all_answer("/api/v1/concerts", 503, "\"code\":\"outcome_unknown\"").await;
}

/// Answers every request with its own head, and one for events with a stream that has no end.
async fn mirror() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(reflect(stream));
        }
    });
    address
}

async fn reflect(mut stream: TcpStream) {
    let (mut head, mut buffer) = (Vec::new(), [0; 4_096]);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(count @ 1..) => head.extend(&buffer[..count]),
            Ok(0) | Err(_) => return,
        }
    }
    let is_stream = head.windows(8).any(|window| window == b"/events ");
    let length = if is_stream { String::new() } else { format!("Content-Length: {}\r\n", head.len()) };
    let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{length}\r\n");
    let _ = stream.write_all(&[answer.as_bytes(), &head].concat()).await;
    if is_stream {
        // Until the proxy closes it.
        let _ = stream.read(&mut buffer).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_events_leave_half_of_every_proxy_to_the_requests() {
    let mirror = mirror().await;
    for settings in SHIPPED {
        let most = number_after(settings, "be_conn(streams) ge");
        assert_eq!(most * 2, number_after(settings, "\n    maxconn"), "{settings}");
        let proxy = HaProxy::start(settings, &[mirror]);
        proxy.answers("/readyz", 200, "GET /readyz").await;
        let url = proxy.url("/api/v1/concerts/1/seats/events");
        let stream = reqwest::get(&url).await.unwrap();
        assert_eq!(stream.status(), 200, "{settings}");
        let refused = reqwest::get(&url).await.unwrap();
        assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (503, &"30".parse().unwrap()));
        let problem: serde_json::Value = refused.json().await.unwrap();
        assert_eq!((&problem["code"], &problem["status"]), (&"too_many_streams".into(), &503.into()), "{settings}");
        proxy.answers("/api/v1/concerts", 200, "GET /api/v1/concerts").await;
        drop(stream);
        let is_free = async || (reqwest::get(&url).await.ok()?.status() == 200).then_some(());
        eventually("there is room for another stream", is_free).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_word_for_its_address_is_believed_behind_an_ingress_controller_alone() {
    let mirror = mirror().await;
    for settings in SHIPPED {
        let proxy = HaProxy::start(settings, &[mirror]);
        proxy.answers("/readyz", 200, "GET /readyz").await;
        let request = reqwest::Client::new().get(proxy.url("/")).header("X-Forwarded-For", "203.0.113.7");
        let head = request.send().await.unwrap().text().await.unwrap().to_lowercase();
        let forwarded: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("x-forwarded-for: ")).collect();
        let expected = if settings.starts_with("kubernetes/") { "203.0.113.7" } else { "127.0.0.1" };
        assert_eq!(forwarded, [expected], "{settings}: {head}");
        let plain = reqwest::get(proxy.url("/")).await.unwrap().text().await.unwrap().to_lowercase();
        assert!(plain.contains("\nx-forwarded-for: 127.0.0.1\r\n"), "{settings}: {plain}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_word_for_its_trace_does_not_get_through_any_proxy() {
    let mirror = mirror().await;
    for settings in SHIPPED {
        let proxy = HaProxy::start(settings, &[mirror]);
        proxy.answers("/readyz", 200, "GET /readyz").await;
        let request =
            reqwest::Client::new().get(proxy.url("/")).header("tracestate", "vendor=1").header("x-other", "1");
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let head = request.header("traceparent", parent).send().await.unwrap().text().await.unwrap().to_lowercase();
        assert!(head.contains("\nx-other: 1\r\n") && !head.contains("\ntrace"), "{settings}: {head}");
    }
}

#[test]
fn what_is_shipped_serves_the_metrics_where_no_proxy_leads() {
    let port = number_after("compose/compose.yaml", "FRONTROW_METRICS_LISTEN: 0.0.0.0:");
    assert_eq!(number_after("kubernetes/kustomization.yaml", "FRONTROW_METRICS_LISTEN=0.0.0.0:"), port);
    assert_eq!(number_after("kubernetes/deployment.yaml", "- name: metrics\n              containerPort:"), port);
    for settings in SHIPPED {
        let text = std::fs::read_to_string(deploy(settings)).unwrap();
        assert!(!text.contains(&port.to_string()), "{settings}");
    }
    let policies = std::fs::read_to_string(deploy("kubernetes/networkpolicy.yaml")).unwrap();
    let rule = format!("monitoring\n      ports:\n        - protocol: TCP\n          port: {port}\n");
    assert!(policies.contains(&rule), "{policies}");
}

/// The settings of both backends of a proxy, except the addresses of the instances.
fn backends(settings: &str) -> Vec<String> {
    let text = std::fs::read_to_string(deploy(settings)).unwrap();
    let (_, backends) = text.split_once("\nbackend ").unwrap();
    let lines = backends.lines().map(str::trim);
    lines.filter(|line| !line.starts_with("server") && !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn every_proxy_treats_the_instances_in_the_same_way() {
    let [compose, others @ ..] = SHIPPED;
    for other in others {
        assert_eq!(backends(compose), backends(other), "{other}");
    }
    let said = |file| std::fs::read(deploy(file)).unwrap();
    assert!(said("compose/errors/try-again.http") == said("kubernetes/try-again.http"));
}

/// The number that stands behind a word in a file.
fn number_after(file: &str, word: &str) -> u32 {
    let text = std::fs::read_to_string(deploy(file)).unwrap();
    let (_, rest) = text.split_once(word).unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_autoscaler_stops_before_postgresql_and_the_proxy_run_out_of_room() {
    let servers = Cli::load(["frontrow", "serve"].map(Into::into)).unwrap().config.servers;
    let surge = number_after("kubernetes/deployment.yaml", "maxSurge:");
    let most = number_after("kubernetes/autoscaler.yaml", "maxReplicas:") + surge;
    // The sum of docs/cluster.md, and PostgreSQL's default.
    let connections = most * (servers.database_lanes + servers.database_readers + 2) + 10;
    assert!(connections <= 100, "{connections}");
    let room = number_after("kubernetes/haproxy.cfg", "server-template frontrow");
    assert!(most <= room && room == number_after("compose/haproxy.cfg", "server-template frontrow"), "{most} {room}");
}
