//! The idempotency keys of the writes in progress.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use roots_domain::command::{Command, Refusal};
use roots_domain::model::idempotency::IdempotencyRecordKey;

/// The idempotency keys of the writes that are queued, wait for space or are being applied.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<IdempotencyRecordKey>>>);

impl InFlight {
    /// Claims the idempotency keys of a command until the claim is dropped.
    pub(super) fn claim(&self, command: &Command) -> Result<Claim, Refusal> {
        let keys: Vec<_> = command.idempotency_record_keys().collect();
        if !keys.is_empty() {
            let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.iter().any(|key| taken.contains(key)) {
                return Err(Refusal::StillInFlight);
            }
            taken.extend(&keys);
        }
        Ok(Claim { of: self.clone(), keys })
    }
}

/// Claimed idempotency keys.
pub(super) struct Claim {
    of: InFlight,
    keys: Vec<IdempotencyRecordKey>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            let mut taken = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
            for key in &self.keys {
                taken.remove(key);
            }
        }
    }
}
