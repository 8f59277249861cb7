//! The rows of one table: as loaded, as they are now, and the difference.

use std::collections::BTreeMap;

use crate::model::id::AccountId;

/// A row's key: ids are counted per account.
pub type RowKey<I> = (AccountId, I);

/// The rows of one table: as loaded, and as they are now.
#[derive(Debug, Clone)]
pub(super) struct Rows<I, T>(pub(super) BTreeMap<RowKey<I>, Row<T>>);

#[derive(Debug, Clone)]
pub(super) struct Row<T> {
    pub(super) loaded: Option<T>,
    pub(super) now: Option<T>,
}

impl<I: Ord + Copy, T: Clone + PartialEq> Rows<I, T> {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn load(&mut self, key: RowKey<I>, row: T) {
        self.0.insert(key, Row { loaded: Some(row.clone()), now: Some(row) });
    }

    pub(super) fn get(&self, key: RowKey<I>) -> Option<&T> {
        self.0.get(&key).and_then(|row| row.now.as_ref())
    }

    /// The current rows of an account.
    pub(super) fn of(&self, account: AccountId) -> impl Iterator<Item = &T> {
        let rows = self.0.iter().filter(move |((of, _), _)| *of == account);
        rows.filter_map(|(_, row)| row.now.as_ref())
    }

    pub(super) fn set(&mut self, key: RowKey<I>, now: Option<T>) {
        self.0.entry(key).or_insert(Row { loaded: None, now: None }).now = now;
    }

    /// Changes the rows of an account as if they had been loaded that way.
    pub(super) fn for_each_of(&mut self, account: AccountId, change: impl Fn(&mut T)) {
        let rows = self.0.iter_mut().filter(|((of, _), _)| *of == account);
        for (_, Row { loaded, now }) in rows {
            loaded.iter_mut().chain(now).for_each(&change);
        }
    }

    pub(super) fn difference(self) -> Difference<I, T> {
        let mut difference = Difference::default();
        for (key, row) in self.0 {
            match (row.loaded, row.now) {
                (None, Some(now)) => difference.inserted.push((key.0, now)),
                (Some(loaded), Some(now)) if loaded != now => {
                    difference.updated.push((key.0, now));
                }
                (Some(_), None) => difference.deleted.push(key),
                _ => {}
            }
        }
        difference
    }
}

/// A batch's changes to the rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference<I, T> {
    /// New rows.
    pub inserted: Vec<(AccountId, T)>,
    /// Changed rows, with all columns.
    pub updated: Vec<(AccountId, T)>,
    /// Deleted rows.
    pub deleted: Vec<RowKey<I>>,
}

impl<I, T> Difference<I, T> {
    /// The new and the changed rows.
    pub fn written(&self) -> impl Iterator<Item = &(AccountId, T)> {
        self.inserted.iter().chain(&self.updated)
    }
}

impl<I, T> Default for Difference<I, T> {
    fn default() -> Self {
        Self { inserted: Vec::new(), updated: Vec::new(), deleted: Vec::new() }
    }
}
