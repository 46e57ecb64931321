//! Limits a `SQLite` database to one server at a time.

use anyhow::{Context as _, bail};
use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

/// The right to serve from the folder of a `SQLite` file. The operating system releases it when the process ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

/// In the folder of the database: a server that names the same file by another path must find it.
pub(crate) fn path(database: &Path) -> PathBuf {
    database.with_file_name("serve.lock")
}

impl FolderLock {
    /// Locks the folder of the `SQLite` file at `database`. Creates the folder if it is missing.
    ///
    /// # Errors
    /// Another server holds the lock, or the folder cannot be used.
    pub fn take(database: &Path) -> anyhow::Result<Self> {
        let path = path(database);
        let folder = path.parent().unwrap_or(Path::new("."));
        make_folder(folder)?;
        let file = open_private(&path).with_context(|| format!("cannot open {}", path.display()))?;
        if is_locked(&file)? {
            bail!(
                "a server runs over {} already (it holds {}): stop it first, or use another --data",
                folder.display(),
                path.display()
            );
        }
        if !is_at(&file, &path) {
            bail!("{} was removed while it was locked: try again", path.display());
        }
        Ok(Self { _file: file })
    }
}

/// Creates the data folder if it is missing, for its owner only: another user of the machine could hold the lock and
/// keep the server from starting.
///
/// # Errors
/// It cannot be created.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("cannot create the data folder {}", folder.display()))
}

fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether the name still refers to this file: between opening and locking, other processes may have removed and
/// replaced it.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(file), Ok(named)) => is_same(&file, &named),
        _ => false,
    }
}

#[cfg(unix)]
fn is_same(file: &std::fs::Metadata, named: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (file.dev(), file.ino()) == (named.dev(), named.ino())
}

#[cfg(not(unix))]
fn is_same(_: &std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    true
}

/// Whether another process holds the lock; if not, `file` now holds it.
fn is_locked(file: &File) -> anyhow::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the data folder"),
    }
}

/// Whether a server runs over the `SQLite` file at `database`.
///
/// # Errors
/// The lock cannot be tried.
pub(crate) fn is_served(database: &Path) -> anyhow::Result<bool> {
    // Not created here: the command may run as another user than the server.
    File::open(path(database)).map_or(Ok(false), |file| is_locked(&file))
}

#[cfg(test)]
mod tests {
    use super::FolderLock;

    #[test]
    fn a_folder_has_one_server_until_that_ends() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("new").join("frontrow.db");
        let first = FolderLock::take(&database).unwrap();
        let said = FolderLock::take(&database).unwrap_err().to_string();
        assert!(said.contains("a server runs over"), "{said}");
        drop(first);
        FolderLock::take(&database).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn no_other_user_may_open_the_folder_or_its_lock() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("new");
        let _lock = FolderLock::take(&made.join("frontrow.db")).unwrap();
        for path in [made.clone(), made.join("serve.lock")] {
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
        }
    }
}
