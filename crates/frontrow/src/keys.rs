//! The keys of an installation from the command line: rotate them, and print the public ones.

use crate::{
    app,
    config::{Config, Database},
};
use anyhow::Context as _;
use frontrow_clock::Ids;
use frontrow_signing::{Keyring, PassKeySet};
use frontrow_storage::postgres::keys::SigningKeys;

/// How the public keys are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// All as a JSON Web Key Set.
    Set,
    /// One as PEM.
    Pem {
        /// Which one: 1 is the newest.
        number: u8,
    },
}

/// The keys in the database, if they are there and not in a file.
fn in_database(config: &Config) -> anyhow::Result<Option<SigningKeys>> {
    Ok(match config.database() {
        Database::Postgres(url) if config.key_file.is_none() => {
            Some(SigningKeys::new(&app::postgres_settings(config, &url))?)
        }
        Database::Postgres(_) | Database::Sqlite(_) => None,
    })
}

fn wait_for<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// Makes a new key. Returns what is to be said about it.
///
/// # Errors
/// The database or the key file cannot be used.
pub fn rotate(config: &Config) -> anyhow::Result<String> {
    if let Some(keys) = in_database(config)? {
        wait_for(keys.rotate(&Ids::from_os()))?.context("cannot rotate the keys in the database")?;
        let said = "The database has a new key: all instances know it in seconds, and sign with it in two minutes.";
        return Ok(said.to_owned());
    }
    let path = config.key_path();
    Keyring::rotate(&path, &Ids::from_os()).with_context(|| format!("cannot rotate the keys in {}", path.display()))?;
    Ok(format!("{} has a new key, which signs from the next start on.", path.display()))
}

/// The public keys of passes. No key is made.
///
/// # Errors
/// The database or the key file cannot be used, or has no key yet.
pub fn public(config: &Config, form: KeyForm) -> anyhow::Result<String> {
    let keyring = if let Some(keys) = in_database(config)? {
        wait_for(keys.load())?.context("cannot read the keys in the database")?
    } else {
        let path = config.key_path();
        Some(Keyring::load(&path).with_context(|| format!("cannot read the keys in {}", path.display()))?)
    };
    let keys = keyring.map(|keyring| keyring.pass_keys()).unwrap_or_default();
    let oldest = keys.last().context("there is no key yet: the first start of the server makes it")?;
    Ok(match form {
        KeyForm::Set => format!("{}\n", serde_json::to_string_pretty(&PassKeySet::of(&keys))?),
        KeyForm::Pem { number } => keys.get(usize::from(number.saturating_sub(1))).unwrap_or(oldest).pem(),
    })
}
