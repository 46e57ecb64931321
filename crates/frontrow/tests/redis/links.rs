//! Ways to Redis that are encrypted, or barred.

use frontrow_clock::{Clock, Ids};
use frontrow_domain::policy::Policy;
use frontrow_line::{
    Peers, PeersError,
    redis::{RedisPeers, RedisSettings},
};
use frontrow_storage::memory::MemoryStore;
use frontrow_testkit::servers::{port::Port, redis::RedisServer};
use std::{path::Path, process::Command, sync::Arc};
use tempfile::TempDir;

async fn start(settings: RedisSettings) -> Result<Arc<RedisPeers>, PeersError> {
    let clock = Clock::System;
    let store = Arc::new(MemoryStore::new(clock.clone(), Policy::default(), 10));
    let ids = Ids::from_os();
    let (office, instance) = (ids.uuid(clock.now()), ids.uuid(clock.now()));
    let (notices, _) = tokio::sync::mpsc::channel(1);
    RedisPeers::start(settings, store, office, instance, clock, notices).await
}

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A server that speaks plainly and, on the port returned, in TLS, with a certificate for 127.0.0.1 that the authority
/// in `ca.pem` has signed.
fn encrypted() -> (RedisServer, Port, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    openssl(at, "req -x509 -newkey rsa:2048 -nodes -days 2 -out ca.pem -keyout ca.key -subj /CN=authority");
    openssl(at, "req -newkey rsa:2048 -nodes -out server.csr -keyout server.key -subj /CN=server");
    std::fs::write(at.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names";
    openssl(at, &format!("{sign} -out server.pem"));
    let port = Port::take();
    let file = |name: &str| at.join(name).to_str().unwrap().to_owned();
    let (certificate, key, authority, port_text) =
        (file("server.pem"), file("server.key"), file("ca.pem"), port.number().to_string());
    let server = RedisServer::start_with(&[
        "--tls-port",
        &port_text,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &authority,
        "--tls-auth-clients",
        "no",
    ]);
    (server, port, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_way_needs_a_certificate_that_is_trusted() {
    let (_server, port, folder) = encrypted();
    let mut settings = RedisSettings::new(vec![format!("rediss://127.0.0.1:{}", port.number())]);
    let distrusted = start(settings.clone()).await.unwrap().check().unwrap_err();
    assert!(distrusted.0.contains("certificate"), "{distrusted}");
    settings.client.ca_file = Some(folder.path().join("ca.pem"));
    let trusted = start(settings.clone()).await.unwrap();
    trusted.check().unwrap();
    assert_eq!(trusted.take_due_holds(Clock::System.now(), 1).await.unwrap(), []);
    settings.client.ca_file = Some(folder.path().join("nothing.pem"));
    assert!(start(settings).await.unwrap_err().0.contains("nothing.pem"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_missing_rights_are_reported_at_the_start() {
    let server = RedisServer::start();
    server.add_user("box", &["on", ">secret", "~*", "+@all"]);
    server.add_user("poor", &["on", ">secret", "~*", "+@all", "-@scripting"]);
    let url = |user: &str| vec![format!("redis://{user}@127.0.0.1:{}", server.port())];
    start(RedisSettings::new(url("box:secret"))).await.unwrap().check().unwrap();
    let wrong = start(RedisSettings::new(url("box:guess"))).await.unwrap_err();
    assert!(!wrong.0.contains("guess"), "{wrong}");
    let poor = start(RedisSettings::new(url("poor:secret"))).await.unwrap_err();
    assert!(poor.0.contains("scripts"), "{poor}");
    let none = start(RedisSettings::new(vec!["http://127.0.0.1".into()])).await.unwrap_err();
    assert!(none.0.contains("address of Redis"), "{none}");
}
