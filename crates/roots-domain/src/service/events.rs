//! Events: what has happened to an account, for those who follow it.

use std::sync::Arc;

use super::access::Caller;
use super::outcome::ReadError;
use crate::model::event::{EventChunk, EventPosition, Resumption, merge};
use crate::port::store::{EventReader, StoreError};

/// Reads events.
#[derive(Clone)]
pub struct Events {
    /// Reads the rows that tell them.
    pub reader: Arc<dyn EventReader>,
}

impl Events {
    /// Where a reader goes on whose last position is `last`, and how far the account has come; a
    /// new reader begins there.
    ///
    /// # Errors
    /// A database error. [`StoreError::EpochMoved`] if the caller was admitted under another auth
    /// epoch, or its account is gone.
    pub async fn resume(
        &self,
        caller: &Caller,
        last: Option<EventPosition>,
    ) -> Result<(Resumption, EventPosition), ReadError> {
        let states = self.reader.account_states(&[caller.account.id]).await?;
        let state = states.first().filter(|state| state.auth_epoch == caller.auth_epoch);
        let state = state.ok_or(StoreError::EpochMoved)?;
        Ok((Resumption::judge(last, state.position), state.position))
    }

    /// The next events behind `after`, of those up to `until`, which the account has reached. It
    /// reads a few rows, however many there are: ask again from the position that it returns, until
    /// that is `until`.
    ///
    /// # Errors
    /// A database error. [`StoreError::EpochMoved`] if the caller was admitted under another auth
    /// epoch, or its account is gone.
    pub async fn next(
        &self,
        caller: &Caller,
        after: EventPosition,
        until: EventPosition,
    ) -> Result<EventChunk, ReadError> {
        let (by, end) = (caller.admission(), after.next_chunk(until));
        let ledger = if end.ledger > after.ledger {
            self.reader.ledger_between(by, after.ledger, end.ledger).await?
        } else {
            Vec::new()
        };
        let audit = if end.audit > after.audit {
            self.reader.audit_between(by, after.audit, end.audit).await?
        } else {
            Vec::new()
        };
        let reader = (caller.actor.role, caller.actor.id);
        Ok(merge(caller.account.id, reader, (after, end), &ledger, &audit))
    }
}
