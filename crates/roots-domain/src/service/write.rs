//! Submitting commands to the store.

use std::fmt;
use std::sync::Arc;

use super::access::Caller;
use super::keyrings::Keyrings;
use super::outcome::{ReadError, WriteError, Written};
use super::sealing::{self, SealedRow};
use crate::command::{Action, Applied, Charge, Command, Conditions, ResourceAction};
use crate::model::claim::ClaimToken;
use crate::model::etag::EntityTag;
use crate::model::idempotency::{EPOCHS_BEFORE_MAX, Idempotency, IdempotencyMacs, Mac};
use crate::port::clock::Clock;
use crate::port::crypto::{CryptoError, Keyring, MacPurpose};
use crate::port::store::{AccountReader, CommandStore, StoreError};

/// The caller's conditions of a write. By default there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The states that the row may be in; an empty list allows none.
    pub if_match: Option<Vec<EntityTag>>,
    /// The idempotency key and fingerprint.
    pub idempotent: Option<IdempotentRequest>,
    /// The claim that must stand on the todo.
    pub claim_token: Option<ClaimToken>,
}

/// A request with an idempotency key. It has texts, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// The key.
    pub key: String,
    /// The fingerprint: everything that identifies the request.
    pub request: Vec<u8>,
}

impl fmt::Debug for IdempotentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotentRequest(…)")
    }
}

impl IdempotentRequest {
    /// Its MACs under the latest epochs of its caller's key.
    fn macs(&self, keys: &dyn Keyring) -> Result<Idempotency, CryptoError> {
        let (of_key, of_request) = (MacPurpose::IdempotencyKey, MacPurpose::RequestFingerprint);
        let both = |(key, request)| IdempotencyMacs { key: Mac(key), request: Mac(request) };
        let now = (keys.mac(of_key, self.key.as_bytes())?, keys.mac(of_request, &self.request)?);
        let most = EPOCHS_BEFORE_MAX;
        let earlier_keys = keys.earlier_macs(of_key, self.key.as_bytes(), most)?;
        let earlier_requests = keys.earlier_macs(of_request, &self.request, most)?;
        let before = earlier_keys.into_iter().zip(earlier_requests).map(both).collect();
        Ok(Idempotency { now: both(now), before })
    }
}

/// The idempotency of a caller's request, if it has a key.
///
/// # Errors
/// A database error, or the MACs can't be made.
pub(super) async fn idempotency(
    accounts: &dyn AccountReader,
    caller: &Caller,
    request: Option<IdempotentRequest>,
) -> Result<Option<Idempotency>, WriteError> {
    let Some(request) = request else { return Ok(None) };
    let keys = Keyrings::own_before(accounts, caller, EPOCHS_BEFORE_MAX).await?;
    Ok(Some(request.macs(&*keys)?))
}

/// Applies the writes of a caller's sessions, todos and activities, one credit for each row.
#[derive(Clone)]
pub struct Writes {
    /// Applies commands.
    pub commands: Arc<dyn CommandStore>,
    /// Reads the keys of the account's other actors.
    pub accounts: Arc<dyn AccountReader>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
}

impl Writes {
    /// Charges the caller for an action and applies it.
    pub(super) async fn apply(
        &self,
        caller: &Caller,
        action: ResourceAction,
        preconditions: Preconditions,
        endpoint: &'static str,
    ) -> Result<Applied, WriteError> {
        let charge = Some(Charge::of(&action, endpoint));
        let Preconditions { if_match, idempotent, .. } = preconditions;
        let idempotency = idempotency(&*self.accounts, caller, idempotent).await?;
        let conditions = Conditions { if_match, idempotency };
        let action = Action::Resource(caller.bearer(), action);
        let command = Command { action, charge, conditions, at: self.clock.now() };
        Ok(self.commands.apply(command).await?)
    }

    /// The result of a committed write of this row, with the row opened. If that fails, the write
    /// was done all the same, and the error says so.
    pub(super) async fn written<S: SealedRow + Clone>(
        &self,
        caller: &Caller,
        row: &S,
        applied: &Applied,
    ) -> Result<Written<S::Open>, WriteError> {
        let keys = sealing::row_keys(&*self.accounts, caller, row.actor(), row.texts()).await;
        match keys.map_err(ReadError::from).and_then(|keys| row.clone().open(&*keys)) {
            Ok(value) => Ok(Written::of(value, applied)),
            Err(error) => Err(unopened(error, row.named(), applied)),
        }
    }

    /// [`Self::written`] for several rows, with as many reads as for one.
    pub(super) async fn written_rows<S: SealedRow + Clone>(
        &self,
        caller: &Caller,
        rows: &[S],
        applied: &Applied,
    ) -> Result<Written<Vec<S::Open>>, WriteError> {
        let first = rows.first().ok_or_else(WriteError::mismatched)?;
        let opening = sealing::opening(&*self.accounts, caller, rows.to_vec()).await;
        match opening.map_err(ReadError::from).and_then(Iterator::collect) {
            Ok(values) => Ok(Written::of(values, applied)),
            Err(ReadError::Unreadable { what, id }) => {
                Err(unopened(ReadError::Unreadable { what, id }, (what, id), applied))
            }
            Err(error) => Err(unopened(error, first.named(), applied)),
        }
    }
}

/// The error of a write that was committed, if its row was not opened.
fn unopened(error: ReadError, (what, id): (&'static str, i64), applied: &Applied) -> WriteError {
    let Applied { cost, balance, .. } = *applied;
    match error {
        ReadError::Unreadable { .. } | ReadError::Store(StoreError::Broken(_)) => {
            WriteError::SavedUnreadable { what, id, cost, balance }
        }
        ReadError::Refused(refusal) => WriteError::Refused(refusal),
        ReadError::Store(error) => {
            let cause = format!("the write was committed, but its row was not opened: {error}");
            WriteError::Store(StoreError::OutcomeUnknown(cause))
        }
    }
}
