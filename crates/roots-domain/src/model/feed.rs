//! A feed: entries of one session that follow each other closely fold into one row.

use super::activity::Activity;
use super::id::SessionId;
use super::time::Timestamp;

/// Entries of a session fold into a row that spans at most so many seconds.
pub const FOLD_SECONDS: i64 = 600;

/// An entry of a feed.
pub trait FeedEntry {
    /// The session that it belongs to, if any.
    fn session(&self) -> Option<SessionId>;
    /// When it happened.
    fn happened_at(&self) -> Timestamp;
}

impl<T> FeedEntry for Activity<T> {
    fn session(&self) -> Option<SessionId> {
        self.session
    }

    fn happened_at(&self) -> Timestamp {
        self.logged_at
    }
}

/// A row of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRow<E> {
    /// The newest entry.
    pub newest: E,
    /// Earlier entries of the same session, up to [`FOLD_SECONDS`] older, the newest first.
    pub folded: Vec<E>,
}

impl<E> FeedRow<E> {
    /// The number of its entries.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.folded.len() + 1
    }
}

/// The rows of entries that come with the newest first. Entries without a session, and those of
/// other sessions in between, keep rows of their own.
#[must_use]
pub fn fold<E: FeedEntry>(entries: impl IntoIterator<Item = E>) -> Vec<FeedRow<E>> {
    let mut rows = Vec::<FeedRow<E>>::new();
    for entry in entries {
        let (session, at) = (entry.session(), entry.happened_at());
        let is_close =
            |row: &&mut FeedRow<E>| row.newest.happened_at() <= at.plus_seconds(FOLD_SECONDS);
        let of_session = |row: &&mut FeedRow<E>| row.newest.session() == session;
        // Rows begin with descending times, so only the last ones can be close.
        let mut close = rows.iter_mut().rev().take_while(is_close);
        match close.find(of_session).filter(|_| session.is_some()) {
            Some(row) => row.folded.push(entry),
            None => rows.push(FeedRow { newest: entry, folded: Vec::new() }),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Entry(i64, Option<i64>);

    impl FeedEntry for Entry {
        fn session(&self) -> Option<SessionId> {
            self.1.map(SessionId)
        }

        fn happened_at(&self) -> Timestamp {
            Timestamp::FIRST.plus_seconds(self.0)
        }
    }

    fn counts(entries: &[Entry]) -> Vec<(i64, usize)> {
        fold(entries.iter().copied()).iter().map(|row| (row.newest.0, row.count())).collect()
    }

    #[test]
    fn entries_of_a_session_within_ten_minutes_are_one_row() {
        let (a, b) = (Some(1), Some(2));
        let entries = [
            Entry(5_000, a),
            Entry(4_900, b),
            Entry(4_400, a),
            Entry(4_399, a),
            Entry(4_300, b),
            Entry(4_000, None),
            Entry(3_999, None),
        ];
        // The first row of session 1 ends ten minutes before its newest entry.
        let expected = [(5_000, 2), (4_900, 2), (4_399, 1), (4_000, 1), (3_999, 1)];
        assert_eq!(counts(&entries), expected);
        assert_eq!(counts(&[]), []);
    }

    proptest! {
        #[test]
        fn folding_keeps_every_entry_and_the_order_of_the_rows(
            mut entries in proptest::collection::vec(
                (0_i64..5_000, proptest::option::of(0_i64..3)), 0..60
            )
        ) {
            entries.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            let entries: Vec<_> = entries.into_iter().map(|(at, of)| Entry(at, of)).collect();
            let rows = fold(entries.iter().copied());
            prop_assert_eq!(rows.iter().map(FeedRow::count).sum::<usize>(), entries.len());
            prop_assert!(rows.is_sorted_by_key(|row| -row.newest.0));
            for row in &rows {
                for folded in &row.folded {
                    prop_assert_eq!(folded.1, row.newest.1);
                    prop_assert!(row.newest.0 - folded.0 <= FOLD_SECONDS);
                }
            }
        }
    }
}
