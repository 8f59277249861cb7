//! Sealing and opening the texts of rows.

use super::outcome::{ReadError, WriteError};
use std::sync::Arc;

use super::access::Caller;
use super::keyrings::Keyrings;
use crate::command::{Refusal, Resealed};
use crate::model::id::{ActorId, Uid};
use crate::model::page::Page;
use crate::model::sealed::{Field, Sealed, TextPlace};
use crate::port::crypto::{CryptoError, Keyring};
use crate::port::store::{AccountReader, StoreResult};

/// The keys to seal rows of `actor` with, if the caller may write them.
pub(super) async fn sealing_keys(
    reader: &dyn AccountReader,
    caller: &Caller,
    actor: ActorId,
) -> Result<Arc<dyn Keyring>, WriteError> {
    // The store refuses it too, but without that actor's keys nothing could be submitted.
    if !caller.reaches(actor) {
        return Err(Refusal::OwnerOnly.into());
    }
    let keys = Keyrings::in_force(reader, caller, actor).await?;
    Ok(Arc::clone(keys.find(actor).ok_or(Refusal::NoSuchActor(actor))?))
}

/// The keys of the actor of one row, to open these texts of it. The caller must reach the actor.
pub(super) async fn row_keys<'a>(
    reader: &dyn AccountReader,
    caller: &Caller,
    actor: ActorId,
    texts: impl IntoIterator<Item = &'a Sealed>,
) -> StoreResult<Arc<dyn Keyring>> {
    let keys = Keyrings::of(reader, caller, [(actor, texts)]).await?;
    Ok(Arc::clone(keys.of_row(actor)?))
}

/// A row with sealed texts.
pub trait SealedRow {
    /// The row with its texts opened.
    type Open;

    /// The kind of the item it belongs to and that item's id, for errors: `("todo", 7)`.
    fn named(&self) -> (&'static str, i64);

    /// The actor that the row belongs to.
    fn actor(&self) -> ActorId;

    /// Its sealed texts.
    fn texts(&self) -> impl Iterator<Item = &Sealed>;

    /// The total size of its sealed texts in bytes. Opened, they are smaller.
    fn sealed_bytes(&self) -> usize {
        self.texts().map(|text| text.0.len()).sum()
    }

    /// Opens its texts with the keys of its actor.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    fn open(self, keys: &dyn Keyring) -> Result<Self::Open, ReadError>;
}

/// Rows to be opened one after the other. No text is opened before its row is requested.
#[derive(Debug)]
pub struct Opening<S> {
    pub(super) rows: std::vec::IntoIter<S>,
    pub(super) keys: Keyrings,
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
/// A database error.
pub(super) async fn opening<S: SealedRow>(
    reader: &dyn AccountReader,
    caller: &Caller,
    rows: Vec<S>,
) -> StoreResult<Opening<S>> {
    let texts = rows.iter().map(|row| (row.actor(), row.texts()));
    let keys = Keyrings::of(reader, caller, texts).await?;
    Ok(Opening { rows: rows.into_iter(), keys })
}

/// The same page with its rows opened.
pub(super) async fn opened<S: SealedRow>(
    reader: &dyn AccountReader,
    caller: &Caller,
    page: Page<S>,
) -> Opened<S::Open> {
    let Page { items, total, request, next } = page;
    let items = opening(reader, caller, items).await?.collect::<Result<_, _>>()?;
    Ok(Page { items, total, request, next })
}

/// The same row opened.
pub(super) async fn opened_one<S: SealedRow>(
    reader: &dyn AccountReader,
    caller: &Caller,
    row: Option<S>,
) -> Result<Option<S::Open>, ReadError> {
    let rows = row.into_iter().collect();
    opening(reader, caller, rows).await?.next().transpose()
}

/// Opens one text of the row `uid`, which is part of the item `named`.
pub(super) fn open_text(
    keys: &dyn Keyring,
    (uid, (what, id)): (Uid, (&'static str, i64)),
    field: Field,
    sealed: &Sealed,
) -> Result<String, ReadError> {
    let opened = keys.open(TextPlace { field, row: uid }, sealed);
    opened.map_err(|_| ReadError::Unreadable { what, id })
}

/// Seals the texts of one row.
pub(super) struct Sealer<'a> {
    pub(super) keys: &'a Arc<dyn Keyring>,
    pub(super) row: Uid,
}

impl Sealer<'_> {
    pub(super) fn seal(&self, field: Field, text: &str) -> Result<Sealed, CryptoError> {
        self.keys.seal(TextPlace { field, row: self.row }, text)
    }

    /// Seals a text for an existing row, and notes whether the current ciphertext has the same
    /// text. A ciphertext that does not open counts as different: it may be overwritten.
    pub(super) fn reseal(
        &self,
        field: Field,
        text: &str,
        current: Option<&Sealed>,
    ) -> Result<Resealed, CryptoError> {
        let place = TextPlace { field, row: self.row };
        let is_same = |sealed: &&Sealed| self.keys.open(place, sealed).as_deref() == Ok(text);
        let same_as = current.filter(is_same).cloned();
        Ok(Resealed { sealed: self.seal(field, text)?, same_as })
    }
}

/// A page whose rows were opened.
pub(super) type Opened<T> = Result<Page<T>, ReadError>;
