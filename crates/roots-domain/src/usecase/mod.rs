//! What callers ask for: one service a resource.
//!
//! A read asks a reader and opens what it finds. A write validates, seals and hands the store one
//! [`UnitOfWork`]; the store decides. Authorization is by construction: every call demands the
//! [`Caller`], and finders demand the account.

use std::fmt;
use std::sync::Arc;

use crate::model::id::{ActorId, Uid};
use crate::model::idempotency::{EPOCHS_BEFORE_MAX, Idempotency, Mac, NamedRequest};
use crate::model::page::Page;
use crate::model::sealed::{Field, Sealed, TextPlace};
use crate::model::tag::EntityTag;
use crate::model::unit::{Applied, Charge, Conditions, Intent, Refusal, Resealed, UnitOfWork};
use crate::port::ambient::Clock;
use crate::port::keys::{KeyError, Keyring, MacPurpose};
use crate::port::store::{AccountReader, ApplyError, StoreFault, StoreResult, UnitStore};
use access::Caller;
use keyrings::Keyrings;

pub mod access;
pub mod accounts;
pub mod activities;
pub mod erasures;
pub mod exports;
pub mod imports;
pub mod keyrings;
pub mod keys;
pub mod leftovers;
pub mod operators;
pub mod recovery;
pub mod sessions;
pub mod todos;
pub mod upkeep;
pub mod usage;
pub mod uses;

#[cfg(test)]
mod tests;

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database did not do its part.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// A stored text does not open: it is damaged, or not of the place it stands in.
    #[error("The text of {what} {id} can't be read. It can still be deleted or overwritten.")]
    Unreadable {
        /// What it belongs to: `session`, `todo`, `activity`.
        what: &'static str,
        /// The id of that.
        id: i64,
    },
}

/// Why a write failed. It cost nothing, but where it says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A patch that names nothing.
    #[error("The patch names nothing to change.")]
    EmptyPatch,
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database did not do its part.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The text could not be sealed.
    #[error(transparent)]
    Seal(#[from] KeyError),
    /// The write stands and was charged, but another text of the row does not open.
    #[error(
        "The change was saved, but another text of {what} {id} can't be read. It can still be deleted or overwritten."
    )]
    SavedUnreadable {
        /// What it belongs to.
        what: &'static str,
        /// The id of that.
        id: i64,
        /// What the write cost.
        cost: i64,
        /// The account's balance after it.
        balance: i64,
    },
}

impl From<ApplyError> for WriteError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Refused(refusal) => Self::Refused(refusal),
            ApplyError::Fault(fault) => Self::Store(fault),
        }
    }
}

impl WriteError {
    /// The store answered a unit with a row of another kind.
    fn mismatched() -> Self {
        Self::Store(StoreFault::Broken("a unit was answered with another kind of row".into()))
    }
}

/// A write that stands, what it cost and what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// The row as it stands now.
    pub value: T,
    /// What the write cost.
    pub cost: i64,
    /// The account's balance: after it, or, for a replay, now.
    pub balance: i64,
    /// Whether it was done before, and this tells again what was answered then.
    pub is_replay: bool,
}

impl<T> Written<T> {
    fn of(value: T, applied: &Applied) -> Self {
        let Applied { cost, balance, is_replay, .. } = *applied;
        Self { value, cost, balance, is_replay }
    }
}

/// What a caller ties a write to. By default it is tied to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The states of the row in one of which it must be; an empty list allows none.
    pub if_match: Option<Vec<EntityTag>>,
    /// What makes it safe to repeat.
    pub named: Option<Named>,
}

/// A request that its caller has named by a key, to repeat it safely. It holds texts: it is never
/// printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Named {
    /// The key.
    pub key: String,
    /// All that makes the request this one and no other.
    pub request: Vec<u8>,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Named(…)")
    }
}

impl Named {
    /// What stands for it in the store, under the latest epochs of its caller's key.
    fn macs(&self, keys: &dyn Keyring) -> Result<Idempotency, KeyError> {
        let (of_key, of_request) = (MacPurpose::IdempotencyKey, MacPurpose::RequestFingerprint);
        let both = |(key, request)| NamedRequest { key: Mac(key), request: Mac(request) };
        let now = (keys.mac(of_key, self.key.as_bytes())?, keys.mac(of_request, &self.request)?);
        let most = EPOCHS_BEFORE_MAX;
        let earlier_keys = keys.earlier_macs(of_key, self.key.as_bytes(), most)?;
        let earlier_requests = keys.earlier_macs(of_request, &self.request, most)?;
        let before = earlier_keys.into_iter().zip(earlier_requests).map(both).collect();
        Ok(Idempotency { now: both(now), before })
    }
}

/// Has one write of a caller charged and applied.
async fn apply(
    units: &dyn UnitStore,
    accounts: &dyn AccountReader,
    clock: &dyn Clock,
    caller: &Caller,
    intent: Intent,
    terms: Terms,
    endpoint: &'static str,
) -> Result<Applied, WriteError> {
    let charge = Some(Charge::write(endpoint));
    let Terms { if_match, named } = terms;
    let idempotency = match named {
        Some(named) => {
            let keys = Keyrings::own_before(accounts, caller, EPOCHS_BEFORE_MAX).await?;
            Some(named.macs(&*keys)?)
        }
        None => None,
    };
    let conditions = Conditions { if_match, idempotency };
    let unit = UnitOfWork { author: caller.author(), intent, charge, conditions, at: clock.now() };
    Ok(units.apply(unit).await?)
}

/// The keys that seal what is to be of `actor`, if that may be.
async fn sealing_keys(
    reader: &dyn AccountReader,
    caller: &Caller,
    actor: ActorId,
) -> Result<Arc<dyn Keyring>, WriteError> {
    // The store refuses it too, but without that actor's keys there is nothing to hand it.
    if !caller.reaches(actor) {
        return Err(Refusal::OwnerOnly.into());
    }
    let keys = Keyrings::in_force(reader, caller, actor).await?;
    Ok(Arc::clone(keys.find(actor).ok_or(Refusal::NoSuchActor(actor))?))
}

/// The keys of the actor of one row, which the caller reaches, to open these texts of it.
async fn row_keys<'a>(
    reader: &dyn AccountReader,
    caller: &Caller,
    actor: ActorId,
    texts: impl IntoIterator<Item = &'a Sealed>,
) -> StoreResult<Arc<dyn Keyring>> {
    let keys = Keyrings::of(reader, caller, [(actor, texts)]).await?;
    Ok(Arc::clone(keys.of_row(actor)?))
}

/// A row as it was found: its texts are sealed with the keys of its actor.
pub trait SealedRow {
    /// The row with its texts opened.
    type Open;

    /// Whose it is.
    fn actor(&self) -> ActorId;

    /// Its sealed texts.
    fn texts(&self) -> impl Iterator<Item = &Sealed>;

    /// How many bytes its sealed texts have together. Opened, they have fewer.
    fn sealed_bytes(&self) -> usize {
        self.texts().map(|text| text.0.len()).sum()
    }

    /// Opens its texts with the keys of its actor.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    fn open(self, keys: &dyn Keyring) -> Result<Self::Open, ReadError>;
}

/// Rows to be opened one after the other. No text is opened before its row is asked for.
#[derive(Debug)]
pub struct Opening<S> {
    rows: std::vec::IntoIter<S>,
    keys: Keyrings,
}

impl<S: SealedRow> Iterator for Opening<S> {
    type Item = Result<S::Open, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        let keys = self.keys.of_row(row.actor()).map_err(ReadError::from);
        Some(keys.and_then(|keys| row.open(&**keys)))
    }
}

/// Prepares to open rows that the caller reaches: looks up the keys of their actors.
///
/// # Errors
/// The database's fault.
async fn opening<S: SealedRow>(
    reader: &dyn AccountReader,
    caller: &Caller,
    rows: Vec<S>,
) -> StoreResult<Opening<S>> {
    let texts = rows.iter().map(|row| (row.actor(), row.texts()));
    let keys = Keyrings::of(reader, caller, texts).await?;
    Ok(Opening { rows: rows.into_iter(), keys })
}

/// The same page with its rows opened.
async fn opened<S: SealedRow>(
    reader: &dyn AccountReader,
    caller: &Caller,
    page: Page<S>,
) -> Opened<S::Open> {
    let Page { items, total, request, next } = page;
    let items = opening(reader, caller, items).await?.collect::<Result<_, _>>()?;
    Ok(Page { items, total, request, next })
}

/// The same row opened.
async fn opened_one<S: SealedRow>(
    reader: &dyn AccountReader,
    caller: &Caller,
    row: Option<S>,
) -> Result<Option<S::Open>, ReadError> {
    let rows = row.into_iter().collect();
    opening(reader, caller, rows).await?.next().transpose()
}

/// What a committed write of a row of `actor` comes to, once that row is opened. Whatever fails
/// then, the write stands, and no answer says otherwise.
async fn written<S: SealedRow, T>(
    reader: &dyn AccountReader,
    caller: &Caller,
    row: &S,
    (what, id): (&'static str, i64),
    applied: &Applied,
    open: impl FnOnce(&dyn Keyring, &S) -> Result<T, ReadError>,
) -> Result<Written<T>, WriteError> {
    let Applied { cost, balance, .. } = *applied;
    let keys = row_keys(reader, caller, row.actor(), row.texts()).await;
    match keys.map_err(ReadError::from).and_then(|keys| open(&*keys, row)) {
        Ok(value) => Ok(Written::of(value, applied)),
        Err(ReadError::Unreadable { .. } | ReadError::Store(StoreFault::Broken(_))) => {
            Err(WriteError::SavedUnreadable { what, id, cost, balance })
        }
        Err(ReadError::Refused(refusal)) => Err(WriteError::Refused(refusal)),
        Err(ReadError::Store(fault)) => {
            let cause = format!("the write stands, but its row was not opened: {fault}");
            Err(WriteError::Store(StoreFault::OutcomeUnknown(cause)))
        }
    }
}

/// Opens the texts of one row.
struct Opener<'a> {
    keys: &'a dyn Keyring,
    row: Uid,
    what: &'static str,
    id: i64,
}

impl Opener<'_> {
    fn open(&self, field: Field, sealed: &Sealed) -> Result<String, ReadError> {
        self.keys
            .open(TextPlace { field, row: self.row }, sealed)
            .map_err(|_| ReadError::Unreadable { what: self.what, id: self.id })
    }

    fn open_some(
        &self,
        field: Field,
        sealed: Option<&Sealed>,
    ) -> Result<Option<String>, ReadError> {
        sealed.map(|sealed| self.open(field, sealed)).transpose()
    }
}

/// Seals the texts of one row.
struct Sealer<'a> {
    keys: &'a Arc<dyn Keyring>,
    row: Uid,
}

impl Sealer<'_> {
    fn seal(&self, field: Field, text: &str) -> Result<Sealed, KeyError> {
        self.keys.seal(TextPlace { field, row: self.row }, text)
    }

    /// Seals a text for a row that exists, and notes whether the ciphertext that stands there now
    /// holds the same text. One that does not open counts as another: it may be overwritten.
    fn reseal(
        &self,
        field: Field,
        text: &str,
        current: Option<&Sealed>,
    ) -> Result<Resealed, KeyError> {
        let place = TextPlace { field, row: self.row };
        let is_same = |sealed: &&Sealed| self.keys.open(place, sealed).as_deref() == Ok(text);
        let same_as = current.filter(is_same).cloned();
        Ok(Resealed { sealed: self.seal(field, text)?, same_as })
    }
}

/// A page whose rows were opened.
type Opened<T> = Result<Page<T>, ReadError>;
