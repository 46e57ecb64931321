//! Encryption, with certificates that are made for the test.

use frontrow_storage::{
    StoreError,
    postgres::{self, PostgresSettings},
};
use frontrow_testkit::servers::{folder, postgres::PostgresServer, run};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// An authority and what it signs.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let authority = Self { folder: folder() };
        openssl(&authority, &["-out", "ca.pem", "-keyout", "ca.key", "-subj", "/CN=A test's authority"]);
        authority
    }

    fn file(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate of a server with this name, and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let subject = format!("subjectAltName={name}");
        let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", &subject, "-addext", "basicConstraints=CA:FALSE"];
        openssl(self, &[&signed[..], &["-out", "server.pem", "-keyout", "server.key", "-subj", "/CN=server"]].concat());
        let read = |file| std::fs::read_to_string(self.path().join(file)).unwrap();
        (read("server.pem"), read("server.key"))
    }
}

fn openssl(authority: &Authority, arguments: &[&str]) {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    run(command.args(arguments).current_dir(authority.path()));
}

/// A server that speaks nothing but TLS, under this name.
async fn encrypted(authority: &Authority, name: &str) -> PostgresServer {
    let mut server = PostgresServer::start().await;
    server.stop();
    let (certificate, key) = authority.sign(name);
    server.write("server.crt", &certificate);
    server.write("server.key", &key);
    server.append("postgresql.conf", "ssl = on\n");
    server.write("pg_hba.conf", "hostssl all all 127.0.0.1/32 trust\n");
    server.start_again().await;
    server
}

async fn try_with(server: &PostgresServer, mode: &str, ca_file: Option<PathBuf>) -> Result<(), StoreError> {
    let mut settings = PostgresSettings::new(&format!("{}?sslmode={mode}", server.url("postgres")));
    settings.ca_file = ca_file;
    postgres::migrate(&settings).await
}

#[track_caller]
fn assert_says(result: Result<(), StoreError>, word: &str) {
    let text = result.expect_err("it was taken").to_string();
    assert!(text.contains(word), "{word:?} is not in {text:?}");
}

#[tokio::test]
async fn a_server_is_trusted_as_far_as_the_mode_asks() {
    let authority = Authority::new();
    let other = Authority::new();
    let server = encrypted(&authority, "IP:127.0.0.1").await;
    let ca = || Some(authority.file());
    try_with(&server, "verify-full", ca()).await.unwrap();
    try_with(&server, "verify-ca", ca()).await.unwrap();
    try_with(&server, "require", ca()).await.unwrap();
    try_with(&server, "require", None).await.unwrap();
    try_with(&server, "prefer", None).await.unwrap();
    assert_says(try_with(&server, "disable", None).await, "no encryption");
    // It is signed by an authority that neither this system nor the file knows.
    for mode in ["verify-full", "verify-ca"] {
        assert_says(try_with(&server, mode, None).await, "certificate");
    }
    for mode in ["verify-full", "verify-ca", "require", "prefer"] {
        assert_says(try_with(&server, mode, Some(other.file())).await, "certificate");
    }
    assert_says(try_with(&server, "verify-full", Some(PathBuf::from("/nowhere.pem"))).await, "/nowhere.pem");
    let in_the_url = format!("verify-full&sslrootcert={}", authority.file().display());
    try_with(&server, &in_the_url, None).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_another_name_is_taken_only_where_the_mode_says_so() {
    let authority = Authority::new();
    let server = encrypted(&authority, "DNS:elsewhere.example").await;
    let ca = || Some(authority.file());
    assert_says(try_with(&server, "verify-full", ca()).await, "certificate");
    assert_says(try_with(&server, "require", ca()).await, "certificate");
    try_with(&server, "verify-ca", ca()).await.unwrap();
}

#[tokio::test]
async fn a_server_without_encryption_is_refused_where_it_is_required() {
    let server = PostgresServer::start().await;
    try_with(&server, "prefer", None).await.unwrap();
    assert_says(try_with(&server, "require", None).await, "TLS");
}
