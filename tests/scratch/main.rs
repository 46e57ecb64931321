#![allow(warnings)]
mod books; mod instance; mod sale;
mod servers {
    pub(crate) fn folder() -> tempfile::TempDir { tempfile::tempdir().unwrap() }
    pub(crate) fn free_port() -> u16 { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() }
    pub(crate) fn run(c: &mut std::process::Command) { let o = c.output().unwrap(); assert!(o.status.success(), "{}", String::from_utf8_lossy(&o.stderr)); }
    pub(crate) fn signal(name: &str, p: u32) { run(std::process::Command::new("kill").arg(format!("-{name}")).arg(p.to_string())); }
}
