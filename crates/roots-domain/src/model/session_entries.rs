//! What happened in a session, in one order: its todos, by their creation, and its activities.

use super::page::{Page, SortKey};

/// A page of the entries of a session: the newest ones after a position, the earliest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEntries<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// The position of the first of them, if there are earlier ones.
    pub earlier: Option<SortKey>,
}

impl<T> SessionEntries<T> {
    /// Merges pages of todos and of activities. Both were asked for as many rows after the same
    /// [position](super::search::SearchKind::position), the newest first, and each has the newest
    /// of its kind. So the newest of all are among them.
    #[must_use]
    pub fn merged([todos, activities]: [Page<T>; 2], position: impl Fn(&T) -> SortKey) -> Self {
        let limit = todos.request.limit.min(activities.request.limit);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut has_more = todos.next.is_some() || activities.next.is_some();
        let mut entries: Vec<_> = todos.items.into_iter().chain(activities.items).collect();
        entries.sort_by_key(&position);
        if let Some(more) = entries.len().checked_sub(limit).filter(|more| *more > 0) {
            entries.drain(..more);
            has_more = true;
        }
        let earlier = entries.first().filter(|_| has_more).map(position);
        Self { entries, earlier }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;
    use crate::model::page::{PageRequest, Start};
    use crate::model::search::SearchKind;
    use crate::model::time::Timestamp;

    /// A page of the rows of a kind after a position, as a store reads it.
    fn read(kind: SearchKind, rows: &[(i64, i64)], after: SortKey, limit: u32) -> Page<SortKey> {
        let start = kind.after(after);
        let mut behind: Vec<_> =
            rows.iter().filter(|(at, id)| SortKey([0, *at, *id]) < start).copied().collect();
        behind.sort_unstable_by_key(|row| std::cmp::Reverse(*row));
        let has_more = behind.len() > limit as usize;
        behind.truncate(limit as usize);
        let position = |(at, id): &(i64, i64)| kind.position(Timestamp::from_micros(*at), *id);
        let items: Vec<_> = behind.iter().map(position).collect();
        let next = behind.last().filter(|_| has_more).map(|(at, id)| SortKey([0, *at, *id]));
        let request = PageRequest { limit, start: Start::After(start) };
        Page { total: 0, items, request, next }
    }

    proptest! {
        #[test]
        fn the_pages_of_a_session_have_every_todo_and_activity_once_and_in_order(
            todos in btree_set((0..20_i64, 1..40_i64), 0..40),
            activities in btree_set((0..20_i64, 1..40_i64), 0..40),
            limit in 1..12_u32,
        ) {
            let (todos, activities): (Vec<_>, Vec<_>) =
                (todos.into_iter().collect(), activities.into_iter().collect());
            let mut seen = Vec::new();
            let mut after = Some(SortKey([i64::MAX; 3]));
            while let Some(from) = after {
                let pages = [
                    read(SearchKind::Todo, &todos, from, limit),
                    read(SearchKind::Activity, &activities, from, limit),
                ];
                let page = SessionEntries::merged(pages, |position| *position);
                prop_assert!(page.entries.len() <= limit as usize);
                prop_assert_eq!(page.earlier.is_some_and(|first| first >= from), false);
                seen.splice(0..0, page.entries);
                after = page.earlier;
            }
            let of = |kind: SearchKind, rows: &[(i64, i64)]| -> Vec<SortKey> {
                rows.iter().map(|(at, id)| kind.position(Timestamp::from_micros(*at), *id)).collect()
            };
            let mut all = of(SearchKind::Todo, &todos);
            all.extend(of(SearchKind::Activity, &activities));
            all.sort_unstable();
            prop_assert_eq!(seen, all);
        }
    }
}
