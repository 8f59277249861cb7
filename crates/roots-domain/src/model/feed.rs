//! A feed: entries of one session in the same ten minutes fold into one row.

use super::activity::Activity;
use super::id::SessionId;
use super::time::Timestamp;

/// Entries of a session fold into a row for each ten minutes of the clock. So a new entry never
/// moves another one to another row, and what is unfolded stays unfolded.
const FOLD_MICROS: i64 = 600_000_000;

/// The name of a row that can be unfolded: its session, and the number of its ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FoldName(pub SessionId, pub i64);

/// An entry of a feed.
pub trait FeedEntry {
    /// The session that it belongs to, if any.
    fn session(&self) -> Option<SessionId>;
    /// When it happened.
    fn happened_at(&self) -> Timestamp;

    /// The name of the row that it belongs to; an entry without a session has a row of its own.
    fn fold_name(&self) -> Option<FoldName> {
        let ten_minutes = self.happened_at().micros().div_euclid(FOLD_MICROS);
        self.session().map(|session| FoldName(session, ten_minutes))
    }
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
    /// Earlier entries of the same session and the same ten minutes, the newest first.
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
        let name = entry.fold_name();
        let of_name = |row: &&mut FeedRow<E>| name.is_some() && row.newest.fold_name() == name;
        match rows.iter_mut().rev().find(of_name) {
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
    fn entries_of_a_session_in_the_same_ten_minutes_are_one_row() {
        let (a, b) = (Some(1), Some(2));
        let entries = [
            Entry(5_000, a),
            Entry(4_900, b),
            Entry(4_800, a),
            Entry(4_799, a),
            Entry(4_300, b),
            Entry(4_000, None),
            Entry(3_999, None),
        ];
        // The ten minutes begin at 4,800 and at 4,200 s.
        let expected = [(5_000, 2), (4_900, 1), (4_799, 1), (4_300, 1), (4_000, 1), (3_999, 1)];
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
                    prop_assert!(row.newest.0 - folded.0 < 600);
                }
            }
        }

        #[test]
        fn a_new_entry_joins_a_row_or_begins_one_and_changes_no_other(
            mut entries in proptest::collection::vec(
                (0_i64..5_000, proptest::option::of(0_i64..3)), 1..60
            )
        ) {
            entries.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            let entries: Vec<_> = entries.into_iter().map(|(at, of)| Entry(at, of)).collect();
            let lines = |row: FeedRow<Entry>| [vec![row.newest], row.folded].concat();
            let after: Vec<_> = fold(entries.iter().copied()).into_iter().map(lines).collect();
            for lines in fold(entries[1..].iter().copied()).into_iter().map(lines) {
                let joined = [vec![entries[0]], lines.clone()].concat();
                prop_assert!(after.contains(&lines) || after[0] == joined);
            }
        }
    }
}
