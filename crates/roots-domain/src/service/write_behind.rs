//! Values that are noted in memory, off the path of requests, and written together later.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Values that wait to be written, one a key and at most `MAX`. Clones share them.
///
/// They are lost if the process is killed.
#[derive(Debug)]
pub struct WriteBehind<K, V, const MAX: usize>(Arc<Mutex<HashMap<K, V>>>);

impl<K, V, const MAX: usize> Clone for WriteBehind<K, V, MAX> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V, const MAX: usize> Default for WriteBehind<K, V, MAX> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Ord, V, const MAX: usize> WriteBehind<K, V, MAX> {
    /// Notes a value, or merges it into the one that waits under its key. While `MAX` values wait,
    /// a value of another key is dropped: the database is away then.
    pub(super) fn note(&self, key: K, value: V, merge: impl FnOnce(&mut V, V)) {
        let mut waiting = self.waiting();
        let is_full = waiting.len() >= MAX;
        match waiting.entry(key) {
            Entry::Occupied(mut known) => merge(known.get_mut(), value),
            Entry::Vacant(new) if !is_full => {
                new.insert(value);
            }
            Entry::Vacant(_) => {}
        }
    }

    /// Takes all that waits, in the order of the keys.
    pub(super) fn take(&self) -> BTreeMap<K, V> {
        let waiting = std::mem::take(&mut *self.waiting());
        waiting.into_iter().collect()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_key_are_merged_and_new_keys_are_dropped_when_it_is_full() {
        let waiting = WriteBehind::<_, _, 2>::default();
        for (key, value) in [("b", 1), ("a", 2), ("c", 4), ("b", 8)] {
            waiting.clone().note(key, value, |known, more| *known += more);
        }
        assert_eq!(waiting.take(), [("a", 2), ("b", 9)].into());
        assert_eq!(waiting.take(), [].into());
    }
}
