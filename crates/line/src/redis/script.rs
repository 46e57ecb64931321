//! Lua scripts, for steps that must be atomic: Redis runs them by their hash, and they are loaded again if it lost
//! them.

use redis::{RedisError, RedisResult, Script, ServerErrorKind, aio::ConnectionLike};
use std::sync::LazyLock;

static PROBE: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('TIME')"));

/// A connection that many tasks use at once, each through a clone: their commands share it and are answered in turn.
pub trait SharedConnection: ConnectionLike + Clone + Send + Sync + 'static {}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> SharedConnection for C {}

/// Why this Redis cannot be used though it answers.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The user may not run scripts.
    #[error("the Redis user may not run scripts; grant it +@scripting, +time and the commands that the scripts call")]
    NotAllowed(#[source] RedisError),
    /// It does not know scripts.
    #[error("this Redis cannot run scripts; version 6.2 or later is needed")]
    Unsupported(#[source] RedisError),
    /// Anything else, such as a lost connection.
    #[error("cannot tell whether this Redis runs scripts: {0}")]
    Failed(#[from] RedisError),
}

/// Whether this user of this Redis may load and run scripts.
///
/// # Errors
/// The reason, for the operator.
pub async fn probe_scripting(connection: &mut impl ConnectionLike) -> Result<(), ProbeError> {
    let probed: RedisResult<(i64, i64)> = PROBE.invoke_async(connection).await;
    match probed {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoPerm) => {
            Err(ProbeError::NotAllowed(error))
        }
        Err(error) if error.to_string().to_lowercase().contains("unknown command") => {
            Err(ProbeError::Unsupported(error))
        }
        Err(error) => Err(error.into()),
    }
}
