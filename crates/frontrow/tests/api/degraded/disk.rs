//! The API on a disk that fails.

use super::{until_ready, until_refused_and_not_ready};

use frontrow_testkit::{Client, Server};
use reqwest::Method;
use serde_json::json;

async fn said_of_readiness(client: &Client) -> (u16, String) {
    let answer = client.call_at(Method::GET, "/readyz").send().await;
    (answer.status, answer.text())
}

#[cfg(unix)]
#[tokio::test]
async fn money_is_refused_as_soon_as_the_data_folder_is_somewhere_else() {
    let server = Server::start().await;
    let buyer = server.buyer_with("buyer", 500).await;
    let folder = server.database().parent().unwrap().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::rename(&folder, elsewhere.path().join("moved")).unwrap();
    buyer.post("/points/top-ups", &json!({ "amount": 1 })).await.problem(503, "unavailable");
    let (status, said) = said_of_readiness(&buyer).await;
    assert!(status == 503 && said.contains("moved") && said.contains("started again"), "{status} {said}");
    assert!(!said.contains('/'), "no path of the machine is said to everybody: {said}");
    // Back again: what was open is still open, but the server does not trust it.
    std::fs::rename(elsewhere.path().join("moved"), &folder).unwrap();
    buyer.post("/points/top-ups", &json!({ "amount": 1 })).await.problem(503, "unavailable");
    let config = server.config.clone();
    let folder = server.stop().await;
    let server = Server::over(folder, config, frontrow_clock::Clock::manual(frontrow_testkit::START)).await;
    let again = server.with_secret(buyer.secret());
    assert_eq!(again.balance().await, 500);
    again.top_up(1).await;
    server.close().await;
}

#[tokio::test]
async fn damage_that_one_reader_met_stops_the_sale_and_is_counted() {
    let server = Server::start().await;
    let buyer = server.buyer_with("buyer", 500).await;
    let log = server.database().with_file_name("frontrow.db-wal");
    let len = usize::try_from(std::fs::metadata(&log).unwrap().len()).unwrap();
    let mut file = std::fs::File::options().write(true).open(&log).unwrap();
    std::io::Write::write_all(&mut file, &vec![0xa5; len]).unwrap();
    buyer.get("/points").await.problem(503, "unavailable");
    let (status, said) = said_of_readiness(&buyer).await;
    assert!(status == 503 && said.contains("damaged"), "{status} {said}");
    buyer.post("/points/top-ups", &json!({ "amount": 1 })).await.problem(503, "unavailable");
    assert_eq!(said_of_readiness(&buyer).await.0, 503, "it does not heal by itself");
    let metrics = buyer.call_at(Method::GET, "/metrics").send().await.text();
    let counted = metrics.lines().find_map(|line| line.strip_prefix(r#"frontrow_store_errors_total{kind="corrupt"} "#));
    assert!(counted.is_some_and(|count| count.parse::<u64>().unwrap() >= 1), "{metrics}");
    server.stop().await;
}

/// Lets the file be changed again when the test ends, however it ends.
struct Immutable(std::path::PathBuf);

impl Immutable {
    /// None if this file system or this user cannot do it.
    fn new(path: std::path::PathBuf) -> Option<Self> {
        if chattr("+i", &path) {
            return Some(Self(path));
        }
        eprintln!("SKIPPED: a file that cannot be written for a moment needs chattr +i");
        None
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        chattr("-i", &self.0);
    }
}

fn chattr(change: &str, path: &std::path::Path) -> bool {
    let done = std::process::Command::new("chattr").arg(change).arg(path).output();
    done.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn files_that_could_not_be_written_for_a_moment_are_written_again() {
    let server = Server::start().await;
    let buyer = server.buyer_with("buyer", 500).await;
    let Some(file) = Immutable::new(server.database()) else { return };
    let log = Immutable::new(server.database().with_file_name("frontrow.db-wal")).unwrap();
    let mut topped_up = 500;
    for _ in 0..3 {
        // The connection that was open may write all the same, depending on the file system.
        match buyer.post("/points/top-ups", &json!({ "amount": 1 })).await.status {
            201 => topped_up += 1,
            status => assert_eq!(status, 503),
        }
    }
    drop((file, log));
    until_ready(&buyer, 200).await;
    buyer.top_up(1).await;
    // A request without an answer may have been saved.
    let balance = buyer.balance().await;
    assert!((topped_up + 1..=504).contains(&balance), "{balance}");
    server.close().await;
}

/// A small file system of its own; none if this user may not mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(folder.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(folder)),
            _ => {
                eprintln!("SKIPPED: a full disk needs a file system of its own, and this user may not mount one");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_503_until_there_is_room_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let folder = tempfile::tempdir_in(disk.0.path()).unwrap();
    let config = frontrow_testkit::settings(folder.path(), &[]);
    let server = Server::over(folder, config, frontrow_clock::Clock::manual(frontrow_testkit::START)).await;
    let buyer = server.buyer("buyer").await;
    buyer.top_up(1).await;
    let filler = disk.0.path().join("filler");
    let mut chunk = 1 << 20;
    let mut file = std::fs::File::create(&filler).unwrap();
    while chunk > 0 {
        if std::io::Write::write_all(&mut file, &vec![0; chunk]).is_err() {
            chunk /= 2;
        }
    }
    let topped_up = 1 + until_refused_and_not_ready(&buyer).await;
    assert_eq!(buyer.balance().await, topped_up);
    std::fs::remove_file(&filler).unwrap();
    drop(file);
    until_ready(&buyer, 200).await;
    buyer.top_up(1).await;
    assert_eq!(buyer.balance().await, topped_up + 1);
    server.close().await;
}

#[tokio::test]
async fn a_disk_that_can_only_be_read_is_refused_at_the_start_with_a_reason() {
    let Some(disk) = SmallDisk::mount() else { return };
    let folder = tempfile::tempdir_in(disk.0.path()).unwrap();
    let config = frontrow_testkit::settings(folder.path(), &[]);
    let clock = frontrow_clock::Clock::manual(frontrow_testkit::START);
    let server = Server::over(folder, config.clone(), clock.clone()).await;
    server.buyer_with("buyer", 1).await;
    let _folder = server.stop().await;
    let remount = ["-o", "remount,ro"];
    let status = std::process::Command::new("mount").args(remount).arg(disk.0.path()).status().unwrap();
    assert!(status.success(), "nothing of a server that has stopped is left open");
    let refused = frontrow::app::open(&config, clock, frontrow_clock::Ids::from_seed(1)).await.unwrap_err();
    let said = format!("{refused:#}");
    assert!(said.contains("frontrow.db") && said.to_lowercase().contains("read"), "{said}");
}
