//! Token signing keys in the database, shared by all instances.

use super::{admin::AdminConnection, error, settings::PostgresSettings};
use crate::StoreError;
use frontrow_clock::Ids;
use frontrow_domain::time::Span;
use frontrow_signing::{KeyError, Keyring};
use tokio_postgres::types::Type;

/// How many keys a rotation keeps: tokens signed with an older key are refused from then on.
const KEYS_KEPT: i64 = 4;
/// The age at which a key begins to sign. By then every instance verifies with it and publishes it, and no client has a
/// set of public keys any more that was published before: such sets are kept for a minute.
pub const SIGNS_AFTER: Span = Span::from_secs(120);

/// Newest first. The newest key that may already sign is used; if there is none, the oldest.
const KEYS: &str = "SELECT key_id, secret, signs_from <= micros
    FROM token_key, (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros) AS clock
    WHERE retired_at IS NULL OR retired_at > micros
    ORDER BY signs_from DESC, created_at DESC, key_id DESC";

/// Blocks other key changes but no reader.
const LOCK: &str = "LOCK TABLE token_key IN SHARE ROW EXCLUSIVE MODE";

/// Adds a key with this number and secret. The first key signs at once, since no instance has another.
const ADD: &str = "INSERT INTO token_key (key_id, secret, created_at, signs_from)
    SELECT $1::int8, $2::bytea, micros,
        CASE WHEN EXISTS (SELECT FROM token_key WHERE retired_at IS NULL) THEN micros + $3::int8 ELSE micros END
    FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros) AS clock";

const RETIRE: &str = "UPDATE token_key SET retired_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    WHERE retired_at IS NULL AND key_id NOT IN (
        SELECT key_id FROM token_key WHERE retired_at IS NULL
        ORDER BY signs_from DESC, created_at DESC, key_id DESC LIMIT $1)";

/// The token signing keys in a database.
#[derive(Debug)]
pub struct SigningKeys {
    tool: AdminConnection,
}

/// Why the keys cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its content makes no keyring.
    #[error(transparent)]
    Content(#[from] KeyError),
}

impl SigningKeys {
    /// The keys in the database that the settings name, which must have its tables already.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn new(settings: &PostgresSettings) -> Result<Self, StoreError> {
        Ok(Self { tool: AdminConnection::new(settings)? })
    }

    /// The current keys; none before the first was made.
    ///
    /// # Errors
    /// The database is unavailable, or its content makes no keyring.
    pub async fn load(&self) -> Result<Option<Keyring>, KeysError> {
        let work = self.tool.begin("READ COMMITTED READ ONLY").await?;
        let rows = work.client().query_typed(KEYS, &[]).await.map_err(|failure| error::of_work(&failure))?;
        work.commit().await?;
        let mut secrets = Vec::with_capacity(rows.len());
        let mut signing = None;
        for row in rows {
            let read = || Ok((row.try_get::<_, i16>(0)?, row.try_get::<_, Vec<u8>>(1)?, row.try_get::<_, bool>(2)?));
            let (id, secret, may_sign) = read().map_err(|failure| error::of_work(&failure))?;
            let (Ok(id), Ok(secret)) = (u8::try_from(id), secret.try_into()) else {
                return Err(KeyError::Content("a key in the database has the wrong size").into());
            };
            secrets.push((id, secret));
            if may_sign && signing.is_none() {
                signing = Some(id);
            }
        }
        let Some((oldest, _)) = secrets.last() else { return Ok(None) };
        Ok(Some(Keyring::from_secrets(&secrets, signing.unwrap_or(*oldest))?))
    }

    /// The keys; makes the first one if there is none. Of instances that start together, one makes it.
    ///
    /// # Errors
    /// As [`SigningKeys::load`].
    pub async fn load_or_create(&self, ids: &Ids) -> Result<Keyring, KeysError> {
        if let Some(keyring) = self.load().await? {
            return Ok(keyring);
        }
        self.change(Change::First, ids).await?;
        Ok(self.load().await?.ok_or(KeyError::Content("the database has no key"))?)
    }

    /// Makes a key that begins to sign after [`SIGNS_AFTER`], when it is known everywhere. The newest old keys still verify.
    ///
    /// # Errors
    /// As [`SigningKeys::load`].
    pub async fn rotate(&self, ids: &Ids) -> Result<(), KeysError> {
        self.change(Change::Next, ids).await
    }

    async fn change(&self, change: Change, ids: &Ids) -> Result<(), KeysError> {
        let work = self.tool.begin("READ COMMITTED READ WRITE").await?;
        let done = async {
            let client = work.client();
            client.batch_execute(LOCK).await?;
            let known = client
                .query_typed("SELECT key_id FROM token_key WHERE retired_at IS NULL ORDER BY signs_from DESC", &[])
                .await?;
            let known: Vec<i16> = known.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
            if change == Change::First && !known.is_empty() {
                return Ok(());
            }
            let mut id = known.first().map_or(1, |newest| (newest + 1) % 256);
            while known.contains(&id) {
                id = (id + 1) % 256;
            }
            let id = i64::from(id);
            client.execute_typed("DELETE FROM token_key WHERE key_id = $1", &[(&id, Type::INT8)]).await?;
            let secret = ids.secret().to_vec();
            let after = SIGNS_AFTER.micros();
            client.execute_typed(ADD, &[(&id, Type::INT8), (&secret, Type::BYTEA), (&after, Type::INT8)]).await?;
            client.execute_typed(RETIRE, &[(&KEYS_KEPT, Type::INT8)]).await?;
            Ok(())
        };
        let done: Result<(), tokio_postgres::Error> = done.await;
        done.map_err(|failure| error::of_work(&failure))?;
        Ok(work.commit().await?)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The first, if there is none.
    First,
    /// One more.
    Next,
}
