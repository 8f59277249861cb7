//! What callers ask for: one service a resource.
//!
//! A read asks a reader and opens what it finds. A write validates, seals and hands the store one
//! [`UnitOfWork`]; the store decides. Authorization is by construction: every call demands the
//! [`Caller`], and finders demand the account.

use std::sync::Arc;

use crate::model::id::Uid;
use crate::model::page::Page;
use crate::model::sealed::{Field, Sealed, TextPlace};
use crate::model::tag::EntityTag;
use crate::model::unit::{Applied, Charge, Conditions, Intent, Refusal, Resealed, UnitOfWork};
use crate::port::ambient::Clock;
use crate::port::keys::{KeyError, Keyring};
use crate::port::store::{ApplyError, StoreFault, UnitStore};
use access::Caller;

pub mod access;
pub mod accounts;
pub mod activities;
pub mod keyrings;
pub mod sessions;
pub mod todos;

#[cfg(test)]
mod tests;

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
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
    /// The account's balance after it.
    pub balance: i64,
}

/// What a caller ties a write to. By default it is tied to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// The states of the row in one of which it must be; an empty list allows none.
    pub if_match: Option<Vec<EntityTag>>,
}

/// Has one write of a caller charged and applied.
async fn apply(
    units: &dyn UnitStore,
    clock: &dyn Clock,
    caller: &Caller,
    intent: Intent,
    terms: Terms,
    endpoint: &'static str,
) -> Result<Applied, WriteError> {
    let charge = Some(Charge::write(endpoint));
    let conditions = Conditions { if_match: terms.if_match };
    let unit = UnitOfWork { author: caller.author(), intent, charge, conditions, at: clock.now() };
    Ok(units.apply(unit).await?)
}

/// What a committed write comes to, once its row was opened.
fn written<T>(
    opened: Result<T, ReadError>,
    cost: i64,
    balance: i64,
) -> Result<Written<T>, WriteError> {
    match opened {
        Ok(value) => Ok(Written { value, cost, balance }),
        Err(ReadError::Unreadable { what, id }) => {
            Err(WriteError::SavedUnreadable { what, id, cost, balance })
        }
        Err(ReadError::Store(fault)) => Err(WriteError::Store(fault)),
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
