//! Keeps a `SQLite` database to one server at a time.

use crate::{
    config::{Config, Database},
    store::sqlite::SqliteStore,
};
use anyhow::{Context as _, bail};
use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

/// The right to serve from the folder of a `SQLite` file. The system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

/// Beside the database: whoever names the same file by another setting must find it.
fn path(database: &Path) -> PathBuf {
    database.with_file_name("serve.lock")
}

impl FolderLock {
    /// Takes the lock of the folder of a `SQLite` database, which is made where it is not there. A database that
    /// instances share needs none.
    ///
    /// # Errors
    /// A server runs over the folder, or the folder cannot be used.
    pub fn take(config: &Config) -> anyhow::Result<Option<Self>> {
        match config.database() {
            Database::Sqlite(database) => Self::take_beside(&database).map(Some),
            Database::Postgres(_) => Ok(None),
        }
    }

    /// The same for the `SQLite` file at `database`.
    ///
    /// # Errors
    /// A server runs over the folder, or the folder cannot be used.
    pub fn take_beside(database: &Path) -> anyhow::Result<Self> {
        let path = path(database);
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create the data folder {}", folder.display()))?;
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        if is_locked(&file)? {
            bail!(
                "a server runs over {} already (it holds {}): stop it first, or use another --data",
                folder.display(),
                path.display()
            );
        }
        Ok(Self { _file: file })
    }
}

/// Whether another process has the lock; if not, `file` has it now.
fn is_locked(file: &File) -> anyhow::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).context("cannot lock the data folder"),
    }
}

/// Checks that a command may open the database beside a server, if there is one: it must not bring the schema up to
/// date under a running program.
///
/// # Errors
/// A server runs, and the schema is older than this program.
pub fn check_beside(config: &Config) -> anyhow::Result<()> {
    // Instances that share a database may run in several versions.
    let Database::Sqlite(database) = config.database() else { return Ok(()) };
    // The file is not made here: the command may run as another user than the server.
    if let Ok(file) = File::open(path(&database))
        && is_locked(&file)?
    {
        SqliteStore::open_read_only(&database).with_context(|| {
            format!("a server runs over {}: stop it to bring its database up to date", database.display())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{FolderLock, check_beside};
    use crate::config::{Cli, Config};

    fn config(folder: &std::path::Path) -> Config {
        Cli::load(["frontrow".into(), "serve".into(), "--data".into(), folder.as_os_str().to_owned()]).unwrap().config
    }

    #[test]
    fn a_folder_has_one_server_until_that_ends() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder.path().join("new"));
        let first = FolderLock::take(&config).unwrap();
        let said = FolderLock::take(&config).unwrap_err().to_string();
        assert!(said.contains("a server runs over"), "{said}");
        drop(first);
        FolderLock::take(&config).unwrap();
    }

    #[test]
    fn an_old_schema_is_not_touched_beside_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        let old = rusqlite::Connection::open(config.database_path()).unwrap();
        old.pragma_update(None, "application_id", 0x4652_4f57).unwrap();
        drop(old);
        check_beside(&config).unwrap();
        let _server = FolderLock::take(&config).unwrap();
        let said = format!("{:#}", check_beside(&config).unwrap_err());
        assert!(said.contains("stop it to bring"), "{said}");
    }
}
