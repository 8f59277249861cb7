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
    /// Records the result of a batch.
    pub(crate) fn note<T>(&self, applied: &Result<T, BatchError>) {
        match applied {
            Ok(_) => self.0.store(false, Ordering::Relaxed),
            Err(BatchError::Away(_) | BatchError::OutcomeUnknown(_)) => {
                self.0.store(true, Ordering::Relaxed);
            }
            // The database is available and has rejected the statement.
            Err(
                BatchError::Contended(_)
                | BatchError::Locked(_)
                | BatchError::Moved
                | BatchError::Data(_),
            ) => {}
        }
    }

    /// Whether the next batch may fail as the last one did.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Checks whether a write would succeed. If that is in doubt, because the last batch failed or
    /// the disk is nearly full, it writes to the database and undoes it.
    pub(crate) async fn check(&self, source: &Source) -> Result<(), StoreError> {
        if !self.is_in_doubt() && source.has_room() {
            return Ok(());
        }
        let tried = source.try_to_write().await;
        self.note(&tried);
        match tried {
            // It was busy with another write.
            Ok(()) | Err(BatchError::Contended(_) | BatchError::Locked(_) | BatchError::Moved) => {
                Ok(())
            }
            Err(
                BatchError::Away(cause)
                | BatchError::OutcomeUnknown(cause)
                | BatchError::Data(cause),
            ) => Err(StoreError::Unavailable(format!("it can't be written to: {cause}"))),
        }
    }
}
