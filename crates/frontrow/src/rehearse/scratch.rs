//! The folder of a rehearsal, and the settings of the box office in it.

use crate::config::{Config, Servers, TopUpPolicyName, WorkPolicyName};
use anyhow::{Context as _, anyhow, ensure};
use frontrow_domain::money::Money;
use frontrow_service::rehearsal::plan::PlannedRules;
use frontrow_storage::lock::FolderLock;
use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

/// The file of the lock.
const LOCK: &str = "serve.lock";
/// The file by which a folder is known to be of a rehearsal: a real box office has files of the same names.
const MARK: &str = "rehearsal.mark";

/// A folder that this process alone uses for a rehearsal.
#[derive(Debug)]
pub(super) struct ScratchFolder {
    folder: PathBuf,
    _lock: FolderLock,
}

/// Takes the folder and empties it of what a killed rehearsal may have left. A folder that is neither new, empty nor of a
/// rehearsal of this user is left as it is.
///
/// # Errors
/// Another rehearsal runs in it, or it cannot be used.
pub(super) fn take(folder: &Path) -> anyhow::Result<ScratchFolder> {
    let cannot_use = || format!("no rehearsal: the folder {} cannot be used", folder.display());
    make(folder).with_context(cannot_use)?;
    check(folder).with_context(cannot_use)?;
    let lock = FolderLock::take(&folder.join("frontrow.db")).map_err(|error| {
        anyhow!("no rehearsal: another one runs on this machine, or its folder cannot be used: {error:#}")
    })?;
    // The lock's file stays: another process must find it.
    remove_files(folder, |name| name != LOCK && name != MARK).with_context(cannot_use)?;
    fs::write(folder.join(MARK), "").with_context(cannot_use)?;
    Ok(ScratchFolder { folder: folder.to_owned(), _lock: lock })
}

impl ScratchFolder {
    /// Removes the folder with all that is in it.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub(super) fn remove(self) -> io::Result<()> {
        remove(&self.folder)
    }
}

/// Makes the folder, for its owner only, or checks that the one that is there is a folder of this user.
fn make(folder: &Path) -> anyhow::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return Ok(made?),
    }
    // Not of what a link leads to.
    let about = fs::symlink_metadata(folder)?;
    ensure!(about.is_dir(), "it is no folder");
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        ensure!(about.uid() == rustix::process::geteuid().as_raw(), "it is another user's");
    }
    Ok(())
}

/// Checks that all in the folder is of a rehearsal, and keeps other users out of it.
fn check(folder: &Path) -> anyhow::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        ensure!(entry.file_type()?.is_file() && is_of_rehearsal(&name), "{} is in it", name.display());
        names.push(name);
    }
    // Another rehearsal may have just made its lock.
    let is_new = names.iter().all(|name| name == LOCK);
    ensure!(is_new || names.iter().any(|name| name == MARK), "it is not empty and of no rehearsal");
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

/// Whether a scratch box office makes files of this name.
fn is_of_rehearsal(name: &OsStr) -> bool {
    let starts = |start: &str| name.to_str().is_some_and(|name| name.starts_with(start));
    name == LOCK || name == MARK || starts("frontrow.db") || starts("keys.")
}

/// Removes a folder, even one that a server is still writing into.
///
/// # Errors
/// Something cannot be removed.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let remove = || {
        remove_files(folder, |name| name != MARK)?;
        // The last: without it the rest would be left for ever.
        remove_files(folder, |name| name == MARK)?;
        fs::remove_dir(folder)
    };
    // A file that appears meanwhile keeps the folder: once more.
    remove().or_else(|_| remove())
}

/// Removes those files of a rehearsal whose name is wanted.
fn remove_files(folder: &Path, is_wanted: impl Fn(&OsStr) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_of_rehearsal(&name) && is_wanted(&name) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// The settings of the scratch box office: the rules of the plan, a file, this machine's own address, no other server,
/// and none of the limits that one address has, since the whole crowd has the same.
pub(super) fn settings(config: &Config, folder: &Path, rules: &PlannedRules) -> Config {
    let mut scratch = Config {
        config_file: None,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        metrics_listen: None,
        data: folder.to_owned(),
        key_file: None,
        theme: None,
        demo: false,
        servers: Servers {
            database_url: None,
            database_ca_file: None,
            database_replica_url: None,
            redis_url: None,
            redis_ca_file: None,
            ..config.servers.clone()
        },
        hold_seconds: rules.hold_seconds,
        pay_grace_seconds: rules.pay_grace_seconds,
        max_seats_per_user: rules.max_seats_per_user,
        seat_cooldown_seconds: rules.seat_cooldown_seconds,
        holds_per_turn: rules.holds_per_turn,
        offer_lead_seconds: rules.offer_lead_seconds,
        missed_turns_max: rules.missed_turns_max,
        claim_window_seconds: rules.claim_window_seconds,
        recall_window_seconds: rules.recall_window_seconds,
        dormant_after_seconds: rules.dormant_after_seconds,
        dormant_limit_seconds: rules.dormant_limit_seconds,
        idle_seconds: rules.idle_seconds,
        active_limit_seconds: rules.active_limit_seconds,
        top_up_policy: Some(TopUpPolicyName::Operator),
        top_up_min: 1,
        top_up_max: Money::MAX.get(),
        balance_max: Money::MAX.get(),
        service_key: None,
        service_key_file: None,
        trusted_proxies: Vec::new(),
        allowed_origins: Vec::new(),
        public_url: None,
        turn_url: None,
        max_connections_per_address: 0,
        otlp_endpoint: None,
        settings: Vec::new(),
        ..config.clone()
    };
    scratch.rates.reads_per_second_per_address = 1_000_000;
    scratch.rates.joins_per_address = 0;
    scratch.rates.joins_per_network = 0;
    scratch.joins.proof_of_work = WorkPolicyName::Off;
    scratch.joins.join_check_url = None;
    scratch.joins.join_check_secret = None;
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_a_rehearsal_is_emptied_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("scratch");
        let refused = |why: &str| {
            let error = format!("{:#}", take(&place).unwrap_err());
            assert!(error.contains(why), "{error}");
        };
        let taken = take(&place).unwrap();
        fs::write(place.join("frontrow.db"), "").unwrap();
        refused("another one runs");
        // What a killed one left.
        drop(taken);
        let taken = take(&place).unwrap();
        assert!(!place.join("frontrow.db").exists() && place.join(MARK).exists());
        taken.remove().unwrap();
        assert!(!place.exists());
        // A real box office, and files of other programs.
        fs::create_dir(&place).unwrap();
        fs::write(place.join("frontrow.db"), "real").unwrap();
        refused("of no rehearsal");
        assert_eq!(fs::read_to_string(place.join("frontrow.db")).unwrap(), "real");
        fs::write(place.join(MARK), "").unwrap();
        fs::write(place.join("notes.txt"), "").unwrap();
        refused("notes.txt is in it");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_is_for_its_owner_only_and_a_link_is_not_followed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (place, link) = (folder.path().join("scratch"), folder.path().join("link"));
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
        let taken = take(&place).unwrap();
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
        drop(taken);
        std::os::unix::fs::symlink(&place, &link).unwrap();
        assert!(format!("{:#}", take(&link).unwrap_err()).contains("no folder"));
    }
}
