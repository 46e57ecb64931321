//! The folder of a rehearsal.

use anyhow::{Context as _, anyhow, ensure};
use frontrow_storage::lock::FolderLock;
use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    path::{Path, PathBuf},
};

/// The file of the lock.
const LOCK: &str = "serve.lock";
/// The file by which a folder is known to be of a rehearsal: a real box office has files of the same names.
const MARK: &str = "rehearsal.mark";

/// A folder that this process alone uses for a rehearsal.
#[derive(Debug)]
pub struct ScratchFolder {
    folder: PathBuf,
    _lock: FolderLock,
}

/// Takes the folder and empties it of what another rehearsal may have left. A folder that is neither new, empty nor of a
/// rehearsal of this user is left as it is.
///
/// # Errors
/// Another rehearsal runs in it, or it cannot be used.
pub fn take(folder: &Path) -> anyhow::Result<ScratchFolder> {
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
    /// Removes the folder with all that is in it, the lock last, so that no other rehearsal takes the folder meanwhile. A
    /// folder that cannot be removed keeps its mark: no rehearsal uses a folder without it.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        let folder = &self.folder;
        remove_files(folder, |name| name != LOCK && name != MARK)?;
        remove_files(folder, |name| name == MARK)?;
        remove_files(folder, |name| name == LOCK)?;
        fs::remove_dir(folder).inspect_err(|_| drop(fs::write(folder.join(MARK), "")))
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

/// Removes what a rehearsal that has ended has left, unless another one runs.
pub fn sweep(folder: &Path) {
    if folder.symlink_metadata().is_ok()
        && let Ok(scratch) = take(folder)
        && let Err(error) = scratch.remove()
    {
        tracing::warn!(%error, folder = %folder.display(), "what a rehearsal left cannot be removed");
    }
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

    #[test]
    fn a_folder_that_cannot_be_removed_stays_one_of_a_rehearsal() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("scratch");
        let taken = take(&place).unwrap();
        let notes = place.join("notes.txt");
        fs::write(&notes, "").unwrap();
        taken.remove().unwrap_err();
        fs::remove_file(notes).unwrap();
        fs::write(place.join("frontrow.db"), "").unwrap();
        sweep(&place);
        assert!(!place.exists());
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
