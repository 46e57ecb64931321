//! The columns of a second factor, the same in every database.

use frontrow_domain::{
    id::UserId,
    time::Time,
    user::{ConfirmedFactor, FactorSecret, FactorState, SecondFactor},
};

/// A row of `second_factor`.
pub(super) struct FactorColumns {
    pub(super) user_id: UserId,
    pub(super) secret: Option<[u8; 20]>,
    pub(super) confirmed_at: Option<Time>,
    pub(super) last_step: i64,
    pub(super) recovery: Vec<[u8; 32]>,
    pub(super) wrong_codes: i64,
    pub(super) wrong_at: Option<Time>,
    pub(super) updated_at: Time,
}

/// The hashes that stand in a column one after the other.
pub(super) fn hashes(bytes: &[u8]) -> Vec<[u8; 32]> {
    bytes.as_chunks().0.to_vec()
}

impl From<FactorColumns> for SecondFactor {
    fn from(row: FactorColumns) -> Self {
        let state = match (row.secret.map(FactorSecret), row.confirmed_at) {
            (None, _) => FactorState::Declined,
            (Some(secret), None) => FactorState::Pending { secret },
            (Some(secret), Some(confirmed_at)) => FactorState::Confirmed(ConfirmedFactor {
                secret,
                confirmed_at,
                last_step: row.last_step,
                recovery: row.recovery,
                wrong_codes: row.wrong_codes,
                wrong_at: row.wrong_at,
            }),
        };
        Self { user_id: row.user_id, state, updated_at: row.updated_at }
    }
}

impl From<&SecondFactor> for FactorColumns {
    fn from(factor: &SecondFactor) -> Self {
        let empty = Self {
            user_id: factor.user_id,
            secret: None,
            confirmed_at: None,
            last_step: 0,
            recovery: Vec::new(),
            wrong_codes: 0,
            wrong_at: None,
            updated_at: factor.updated_at,
        };
        match &factor.state {
            FactorState::Declined => empty,
            FactorState::Pending { secret } => Self { secret: Some(secret.0), ..empty },
            FactorState::Confirmed(row) => Self {
                secret: Some(row.secret.0),
                confirmed_at: Some(row.confirmed_at),
                last_step: row.last_step,
                recovery: row.recovery.clone(),
                wrong_codes: row.wrong_codes,
                wrong_at: row.wrong_at,
                ..empty
            },
        }
    }
}
