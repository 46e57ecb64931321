//! Instances of the real program, and the proxy in front of them.

use frontrow_testkit::{
    PATIENCE,
    servers::{folder, port::Port, signal},
    wait_until,
};
use std::{
    fmt::Write as _,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_frontrow");
const LOOK: Duration = Duration::from_millis(20);

/// One instance: it may end and start again, on the same port.
pub(crate) struct Instance {
    program: PathBuf,
    folder: TempDir,
    port: Port,
    flags: Vec<String>,
    child: Option<Child>,
    starts: u32,
}

impl Instance {
    /// Starts one with these flags, and waits until it is ready.
    pub(crate) async fn start(flags: &[String]) -> Self {
        Self::start_program(Path::new(PROGRAM), flags).await
    }

    /// The same with another build of the program.
    pub(crate) async fn start_program(program: &Path, flags: &[String]) -> Self {
        let mut instance = Self::new(program, flags);
        instance.start_again().await;
        instance
    }

    fn new(program: &Path, flags: &[String]) -> Self {
        let (folder, port) = (folder(), Port::take());
        Self { program: program.to_owned(), folder, port, flags: flags.to_vec(), child: None, starts: 0 }
    }

    /// Starts it on its port, and waits until it is ready.
    pub(crate) async fn start_again(&mut self) {
        self.spawn();
        let ready = self.address("/readyz");
        wait_until(&format!("{ready} to be ready"), async || is_ok(&ready).await).await;
    }

    /// Starts as this version's program from now on.
    pub(crate) fn become_this_version(&mut self) {
        self.program = PathBuf::from(PROGRAM);
    }

    fn spawn(&mut self) {
        self.starts += 1;
        let log = File::create(self.folder.path().join(format!("log-{}", self.starts))).unwrap();
        let child = Command::new(&self.program)
            .args(["serve", "--listen", &format!("127.0.0.1:{}", self.port.number())])
            .arg("--data")
            .arg(self.folder.path())
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops it where it stands, in the middle of whatever it does. Its connections stay open.
    pub(crate) fn pause(&self) {
        signal("STOP", self.child.as_ref().unwrap().id());
    }

    /// Lets a paused one go on, as if no time had passed.
    pub(crate) fn resume(&self) {
        signal("CONT", self.child.as_ref().unwrap().id());
    }

    /// SIGTERM, and its end.
    pub(crate) async fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        signal("TERM", child.id());
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "an instance does not stop");
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port.number())
    }

    /// The ends of its logs, for a test that has failed.
    pub(crate) fn said(&self) -> String {
        const LINES: usize = 30;
        let mut said = String::new();
        for start in 1..=self.starts {
            let log = std::fs::read_to_string(self.folder.path().join(format!("log-{start}"))).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let _ = writeln!(said, "port {}, start {start}:", self.port.number());
            for line in &lines[lines.len().saturating_sub(LINES)..] {
                let _ = writeln!(said, "  {line}");
            }
        }
        said
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.said());
        }
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `HAProxy` with the settings that are shipped, in front of these instances.
pub(crate) struct HaProxy {
    child: Child,
    port: Port,
    folder: TempDir,
}

impl HaProxy {
    pub(crate) async fn start(instances: &[Instance]) -> Self {
        let (folder, port) = (folder(), Port::take());
        let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("deploy/compose");
        let config = std::fs::read_to_string(shipped.join("haproxy.cfg")).unwrap();
        let config = adapted(&config, &shipped, port.number(), instances);
        let path = folder.path().join("haproxy.cfg");
        std::fs::write(&path, config).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(haproxy())
            .arg("-db")
            .arg("-f")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("haproxy is installed");
        let proxy = Self { child, port, folder };
        let ready = format!("{}/readyz", proxy.url());
        wait_until("the proxy", async || is_ok(&ready).await).await;
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("proxy:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian's path of it, which is not in every user's search path; else the search path's.
fn haproxy() -> &'static Path {
    let debian = Path::new("/usr/sbin/haproxy");
    if debian.exists() { debian } else { Path::new("haproxy") }
}

/// The shipped settings with the addresses of this machine: the port, the instances, the folder of the error's text.
fn adapted(config: &str, shipped: &Path, port: u16, instances: &[Instance]) -> String {
    let (mut adapted, mut servers) = (String::new(), 0);
    for line in config.lines() {
        if line.trim_start().starts_with("server-template ") {
            for (number, instance) in instances.iter().enumerate() {
                let _ = writeln!(adapted, "    server frontrow{number} 127.0.0.1:{}", instance.port.number());
            }
            servers += 1;
        } else if line.trim() == "bind :8080" {
            let _ = writeln!(adapted, "    bind 127.0.0.1:{port}");
        } else if line.trim() == "maxconn 20000" {
            // Within the usual limit of open files.
            let _ = writeln!(adapted, "    maxconn 1000");
        } else {
            let _ = writeln!(adapted, "{line}");
        }
    }
    assert_eq!(servers, 3, "the shipped settings have three backends");
    adapted.replace("/usr/local/etc/haproxy/", &format!("{}/", shipped.display()))
}

/// Whether a GET is answered 200.
pub(crate) async fn is_ok(address: &str) -> bool {
    reqwest::get(address).await.is_ok_and(|answer| answer.status() == 200)
}
