//! Whether the database can be written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roots_domain::port::store::StoreError;

use super::source::Source;
use crate::errors::BatchError;

/// Whether the last batch failed for a reason that the next one may meet as well.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteHealth(Arc<AtomicBool>);

impl WriteHealth {
    /// Takes note of how a batch ended.
    pub(crate) fn note<T>(&self, applied: &Result<T, BatchError>) {
        match applied {
            Ok(_) => self.0.store(false, Ordering::Relaxed),
            Err(BatchError::Away(_) | BatchError::OutcomeUnknown(_)) => {
                self.0.store(true, Ordering::Relaxed);
            }
            // The database is there, and has judged what was asked of it.
            Err(BatchError::Contended(_) | BatchError::Locked(_) | BatchError::Data(_)) => {}
        }
    }

    /// Whether a write would go. The database is written to, and left as it was, where there is
    /// reason to doubt it: the last batch failed, or its disk is nearly full.
    pub(crate) async fn check(&self, source: &Source) -> Result<(), StoreError> {
        if !self.0.load(Ordering::Relaxed) && source.has_room() {
            return Ok(());
        }
        let tried = source.try_to_write().await;
        self.note(&tried);
        match tried {
            // It was busy with another write.
            Ok(()) | Err(BatchError::Contended(_) | BatchError::Locked(_)) => Ok(()),
            Err(
                BatchError::Away(cause)
                | BatchError::OutcomeUnknown(cause)
                | BatchError::Data(cause),
            ) => Err(StoreError::Unavailable(format!("it can't be written to: {cause}"))),
        }
    }
}
