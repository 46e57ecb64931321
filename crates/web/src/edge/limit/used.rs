//! Proofs that were used: each lets one new place in.

use frontrow_domain::time::Time;
use frontrow_line::redis::limits::SharedLimits;
use frontrow_service::join_work::WorkProof;
use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How many proofs a generation holds: four megabytes. Beyond two of them the oldest are forgotten, and may be used again,
/// but only by the account that they are bound to, and until they are over.
const GENERATION_LEN: usize = 100_000;

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<u128>,
    old: HashSet<u128>,
    /// When the last proof of each is over.
    young_until: Option<Time>,
    old_until: Option<Time>,
}

impl Generations {
    /// Drops the generations whose proofs are over.
    fn drop_what_is_over(&mut self, now: Time) {
        if self.old_until.is_some_and(|until| until <= now) {
            (self.old, self.old_until) = (HashSet::new(), None);
        }
        if self.young_until.is_some_and(|until| until <= now) {
            (self.young, self.young_until) = (HashSet::new(), None);
        }
    }
}

/// The proofs that were used at this instance.
#[derive(Debug, Default)]
pub(super) struct UsedProofs(Mutex<Generations>);

impl UsedProofs {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        // Every update leaves the sets consistent, so a panic while they were locked does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the proof was not used before; it is now.
    fn note(&self, proof: WorkProof, now: Time) -> Use {
        let mut all = self.lock();
        all.drop_what_is_over(now);
        if all.old.contains(&proof.digest) || !all.young.insert(proof.digest) {
            return Use::Again;
        }
        all.young_until = all.young_until.max(Some(proof.until));
        if all.young.len() >= GENERATION_LEN {
            all.old = std::mem::take(&mut all.young);
            all.old_until = all.young_until.take();
        }
        Use::First
    }

    fn forget(&self, proof: WorkProof) {
        let mut all = self.lock();
        all.young.remove(&proof.digest);
        all.old.remove(&proof.digest);
    }

    /// Uses a proof, at all instances that share what was used. This instance knows of its own uses alone while Redis
    /// cannot be asked.
    pub(super) async fn take(&self, proof: WorkProof, now: Time, shared: Option<&SharedLimits>) -> Use {
        if self.note(proof, now) == Use::Again {
            return Use::Again;
        }
        let Some(shared) = shared else { return Use::First };
        let valid = Duration::from_micros(u64::try_from(proof.until.since(now).micros()).unwrap_or(0).max(1_000));
        if shared.use_once(proof.digest, valid).await { Use::First } else { Use::Again }
    }

    /// Gives back a proof that gave no new place.
    pub(super) async fn give_back(&self, proof: WorkProof, shared: Option<&SharedLimits>) {
        self.forget(proof);
        if let Some(shared) = shared {
            shared.forget_use(proof.digest).await;
        }
    }
}

/// Whether a proof is used for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It is.
    First,
    /// It was used before.
    Again,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(used: &UsedProofs, digest: u128, now: i64) -> Use {
        used.note(WorkProof { digest, until: Time::from_micros(10) }, Time::from_micros(now))
    }

    #[test]
    fn a_proof_is_used_once_unless_it_is_given_back() {
        let used = UsedProofs::default();
        assert_eq!(note(&used, 7, 0), Use::First);
        assert_eq!(note(&used, 7, 0), Use::Again);
        used.forget(WorkProof { digest: 7, until: Time::from_micros(10) });
        assert_eq!(note(&used, 7, 0), Use::First);
    }

    #[test]
    fn of_uses_at_once_one_is_the_first() {
        let (used, together) = (UsedProofs::default(), std::sync::Barrier::new(8));
        for digest in 0..200 {
            let answers = std::thread::scope(|scope| {
                let ask = || {
                    together.wait();
                    note(&used, digest, 0)
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(answers.iter().filter(|one| **one == Use::First).count(), 1, "{digest}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_goes_when_it_is_over() {
        let used = UsedProofs::default();
        let last = 5 * GENERATION_LEN as u128 / 2;
        for digest in 0..=last {
            note(&used, digest, 0);
        }
        let remembered = |used: &UsedProofs| {
            let all = used.lock();
            all.young.len() + all.old.len()
        };
        let before = remembered(&used);
        assert!((GENERATION_LEN..=2 * GENERATION_LEN).contains(&before), "{before}");
        assert_eq!(note(&used, last, 9), Use::Again);
        assert_eq!(note(&used, last - GENERATION_LEN as u128, 9), Use::Again);
        assert_eq!(note(&used, last, 10), Use::First, "it is over by itself");
        assert_eq!(remembered(&used), 1);
    }
}
