//! Failed sign-ins, counted per account and per address.

use sealwright_core::clock::MINUTE;
use sealwright_core::{Digest, UnixMicros};

use super::{AccessService, Result};
use crate::error::AccessError;
use crate::store::{self, Throttle};

/// The two counters that an attempt moves.
pub(crate) struct Attempt {
    account: Digest,
    address: Digest,
}

impl AccessService {
    /// Counts an attempt as failed before the password is looked at, so that parallel guesses cannot
    /// slip under the limit; [`Self::attempt_succeeded`] takes it back.
    pub(crate) async fn begin_attempt(&self, email: &str, address: &str) -> Result<Attempt> {
        let attempt = Attempt {
            account: Digest::of(format!("account {email}").as_bytes()),
            address: Digest::of(format!("address {address}").as_bytes()),
        };
        let policy = self.policy().clone();
        let now = self.now();
        let mut tx = self.store.begin().await?;
        // One order for the two rows, so that two sign-ins never wait for each other.
        tx.lock("access_throttle").await?;
        let mut wait = 0;
        let mut states = Vec::with_capacity(2);
        for (subject, allowed) in [
            (attempt.account, policy.account_failures),
            (attempt.address, policy.address_failures),
        ] {
            let mut state = store::find_throttle(&mut tx, subject)
                .await?
                .filter(|state| {
                    now.since(state.first_at) < policy.throttle_window || state.blocked_until > now
                })
                .unwrap_or(Throttle {
                    failures: 0,
                    first_at: now,
                    blocked_until: UnixMicros(0),
                });
            wait = wait.max(state.blocked_until.since(now));
            state.failures += 1;
            if state.failures >= allowed {
                let doublings = (state.failures - allowed).min(10) as u32;
                let block = (MINUTE << doublings).min(policy.throttle_window);
                state.blocked_until = now.plus(block);
                // The window follows the last failure, so that a block is not followed by a clean slate.
                state.first_at = now;
            }
            states.push((subject, state));
        }
        if wait > 0 {
            tx.rollback().await?;
            let seconds = wait.div_ceil_micros();
            return Err(AccessError::Throttled { seconds });
        }
        for (subject, state) in &states {
            store::put_throttle(&mut tx, *subject, state).await?;
        }
        tx.commit().await?;
        Ok(attempt)
    }

    /// Forgets the failures of the account, and takes this attempt off the address.
    pub(crate) async fn attempt_succeeded(&self, attempt: &Attempt) -> Result<()> {
        let mut tx = self.store.begin().await?;
        tx.lock("access_throttle").await?;
        store::clear_throttle(&mut tx, attempt.account).await?;
        if let Some(mut state) = store::find_throttle(&mut tx, attempt.address).await? {
            state.failures -= 1;
            if state.failures < self.policy().address_failures {
                state.blocked_until = UnixMicros(0);
            }
            store::put_throttle(&mut tx, attempt.address, &state).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

trait Seconds {
    /// Whole seconds, rounded up.
    fn div_ceil_micros(self) -> i64;
}

impl Seconds for i64 {
    fn div_ceil_micros(self) -> i64 {
        (self + 999_999) / 1_000_000
    }
}
