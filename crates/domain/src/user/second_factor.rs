//! The second factor of an account: codes of an authenticator app, and recovery codes for when the app is gone.

use crate::{
    id::UserId,
    policy::{FACTOR_REST, WRONG_CODES_MAX},
    refusal::Refusal,
    time::Time,
};

/// How long a code of an authenticator app is shown, in seconds: RFC 6238's recommendation, which all apps follow.
pub const CODE_STEP_SECONDS: i64 = 30;
/// How many steps a code may be before or after the box office's time: phones' clocks differ, and typing takes time.
pub const CODE_STEPS_APART: i64 = 1;
/// How many recovery codes an account has.
pub const RECOVERY_CODES: usize = 10;

/// The secret that an authenticator app and the box office share: 160 bits, as RFC 4226 recommends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FactorSecret(pub [u8; 20]);

impl std::fmt::Debug for FactorSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FactorSecret")
    }
}

/// The step of codes at a time.
#[must_use]
pub const fn code_step(now: Time) -> i64 {
    now.micros().div_euclid(CODE_STEP_SECONDS * 1_000_000)
}

/// What a caller shows besides the password. The codes are compared by the caller, in constant time; whether they may be
/// used now is decided here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorProof {
    /// A code of the app, right for this step.
    Code {
        /// The step.
        step: i64,
    },
    /// A recovery code.
    Recovery {
        /// SHA-256 of the code.
        code_hash: [u8; 32],
    },
}

/// The state of a user's second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactorState {
    /// The user does not want to be asked to set one up.
    Declined,
    /// A secret is shown to the user; no code has proved yet that an app has it. Signing in takes the password alone.
    Pending {
        /// The secret.
        secret: FactorSecret,
    },
    /// Signing in takes a code.
    Confirmed(ConfirmedFactor),
}

/// A second factor in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedFactor {
    /// The secret.
    pub secret: FactorSecret,
    /// Since when it is in force.
    pub confirmed_at: Time,
    /// The step of the last code that was used: a code works once, and none before it works any more.
    pub last_step: i64,
    /// SHA-256 of each recovery code that was not used.
    pub recovery: Vec<[u8; 32]>,
    /// How many wrong codes came since the last right one.
    pub wrong_codes: i64,
    /// When the last of them came.
    pub wrong_at: Option<Time>,
}

impl ConfirmedFactor {
    /// Until when no code of the app is accepted, since too many wrong ones came; none if they are accepted now. A
    /// recovery code, which cannot be guessed, is accepted all the same.
    #[must_use]
    pub fn rests_until(&self, now: Time) -> Option<Time> {
        let until = self.wrong_at.filter(|_| self.wrong_codes >= WRONG_CODES_MAX)?.plus(FACTOR_REST);
        (now < until).then_some(until)
    }

    /// The factor after a proof was used.
    ///
    /// # Errors
    /// [`Refusal::SecondFactorResting`]; [`Refusal::SecondFactorWrong`] for a code that was used, is not one of this
    /// time, or is not a recovery code of the account.
    pub fn used(mut self, proof: FactorProof, now: Time) -> Result<Self, Refusal> {
        match proof {
            FactorProof::Code { step } => {
                if let Some(until) = self.rests_until(now) {
                    return Err(Refusal::SecondFactorResting { until });
                }
                let apart = step.saturating_sub(code_step(now)).saturating_abs();
                if step <= self.last_step || apart > CODE_STEPS_APART {
                    return Err(Refusal::SecondFactorWrong);
                }
                self.last_step = step;
            }
            FactorProof::Recovery { code_hash } => {
                let before = self.recovery.len();
                self.recovery.retain(|hash| *hash != code_hash);
                if self.recovery.len() == before {
                    return Err(Refusal::SecondFactorWrong);
                }
            }
        }
        (self.wrong_codes, self.wrong_at) = (0, None);
        Ok(self)
    }

    /// The factor after one more wrong code.
    ///
    /// # Errors
    /// [`Refusal::SecondFactorResting`]: it is not counted.
    pub fn guessed(mut self, now: Time) -> Result<Self, Refusal> {
        if let Some(until) = self.rests_until(now) {
            return Err(Refusal::SecondFactorResting { until });
        }
        // After a rest the count begins anew.
        let counted = if self.wrong_codes >= WRONG_CODES_MAX { 0 } else { self.wrong_codes };
        (self.wrong_codes, self.wrong_at) = (counted.saturating_add(1), Some(now));
        Ok(self)
    }
}

/// The second factor of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// The user.
    pub user_id: UserId,
    /// Its state.
    pub state: FactorState,
    /// When it last changed.
    pub updated_at: Time,
}

impl SecondFactor {
    /// The factor, if it is in force.
    #[must_use]
    pub const fn confirmed(&self) -> Option<&ConfirmedFactor> {
        match &self.state {
            FactorState::Confirmed(factor) => Some(factor),
            FactorState::Declined | FactorState::Pending { .. } => None,
        }
    }
}
