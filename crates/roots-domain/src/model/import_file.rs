//! The file of an import as a whole: whether it is complete, and which rows can be missing in it.

use super::Invalid;
use super::id::ActorId;
use super::import::OriginKind;

/// How many rows of each kind a file has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// Actors.
    pub actors: u64,
    /// Sessions.
    pub sessions: u64,
    /// Todos.
    pub todos: u64,
    /// Steps of todo logs.
    pub steps: u64,
    /// Activities.
    pub activities: u64,
}

impl FileCounts {
    const fn of(&mut self, kind: OriginKind) -> &mut u64 {
        match kind {
            OriginKind::Actor => &mut self.actors,
            OriginKind::Session => &mut self.sessions,
            OriginKind::Todo => &mut self.todos,
            OriginKind::Step => &mut self.steps,
            OriginKind::Activity => &mut self.activities,
        }
    }

    /// The number of rows of all kinds.
    const fn total(&self) -> u64 {
        let Self { actors, sessions, todos, steps, activities } = self;
        *actors + *sessions + *todos + *steps + *activities
    }
}

/// A file that is being imported, as its lines arrive.
#[derive(Debug)]
pub struct ImportFile {
    deletes_missing: bool,
    /// Whether the ids of all rows of the source could be read so far.
    has_every_id: bool,
    /// The lines that arrived, those with errors and skipped ones included.
    arrived: FileCounts,
    is_whole: bool,
}

impl ImportFile {
    /// A file whose header names `actor` as the only one whose rows were exported. With
    /// `deletes_missing`, rows that the file lacks are to be deleted.
    ///
    /// # Errors
    /// Says what the actor of the header must be: a file of one actor lacks the rows of all others,
    /// which must not be deleted for that.
    pub fn new(actor: Option<ActorId>, deletes_missing: bool) -> Result<Self, Invalid> {
        if deletes_missing && actor.is_some() {
            return Err(Invalid::new(
                "must be null with delete_missing: this file has the rows of one actor alone",
            ));
        }
        Ok(Self {
            deletes_missing,
            has_every_id: actor.is_none(),
            arrived: FileCounts::default(),
            is_whole: false,
        })
    }

    /// Counts a line with a row of that kind, or one with no row. A file that goes on after its
    /// last line is not whole.
    pub const fn count(&mut self, row: Option<OriginKind>) {
        self.is_whole = false;
        if let Some(kind) = row {
            *self.arrived.of(kind) += 1;
        }
    }

    /// Notes a line that can't be read. It could be any row, so no row is known to be missing.
    pub const fn note_unreadable(&mut self) {
        self.has_every_id = false;
    }

    /// Notes the last line, which counts the rows of the file.
    pub fn end(&mut self, counts: FileCounts, total: u64) {
        self.is_whole = counts == self.arrived && total == self.arrived.total();
    }

    /// Whether the file is a complete export: as many rows of each kind arrived as its last line
    /// counts.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether a row that the file lacks is missing in the source: the file is a complete export of
    /// a whole account, and the ids of all its rows could be read.
    #[must_use]
    pub const fn tells_missing(&self) -> bool {
        self.has_every_id && self.is_whole
    }

    /// Whether the missing rows are to be deleted.
    #[must_use]
    pub const fn deletes_missing(&self) -> bool {
        self.deletes_missing
    }
}

/// Where a search for missing rows is: at the rows of a kind after an id of the source, or at its
/// first ones.
///
/// Activities come first, then todos, then sessions, and missing rows are deleted in this order.
/// Deleting a session unlinks its todos and activities; those that are missing too are gone by
/// then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingPlace {
    /// The kind.
    pub kind: OriginKind,
    /// The id; `None` for the first rows.
    pub after: Option<i64>,
}

impl MissingPlace {
    /// Where a search begins.
    pub const FIRST: Self = Self { kind: OriginKind::Activity, after: None };

    /// Where it continues: after the last id that was found here, or at the next kind if there was
    /// none; `None` at the end.
    #[must_use]
    pub fn next(self, last: Option<i64>) -> Option<Self> {
        let kind = match (last, self.kind) {
            (Some(_), kind) => kind,
            (None, OriginKind::Activity) => OriginKind::Todo,
            (None, OriginKind::Todo) => OriginKind::Session,
            // A step goes with its todo, and an actor is never deleted.
            (None, OriginKind::Session | OriginKind::Step | OriginKind::Actor) => return None,
        };
        Some(Self { kind, after: last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(actor: Option<ActorId>) -> ImportFile {
        ImportFile::new(actor, false).unwrap()
    }

    fn counts(sessions: u64, steps: u64) -> FileCounts {
        FileCounts { actors: 1, sessions, steps, ..FileCounts::default() }
    }

    fn arrive(file: &mut ImportFile, kinds: &[OriginKind]) {
        for kind in kinds {
            file.count(Some(*kind));
        }
        // The last line.
        file.count(None);
    }

    const ROWS: [OriginKind; 3] = [OriginKind::Actor, OriginKind::Session, OriginKind::Step];

    #[test]
    fn a_file_is_whole_if_as_many_rows_of_each_kind_arrived_as_it_counts() {
        for (what, expected, total, is_whole) in [
            ("as counted", counts(1, 1), 3, true),
            ("a row fewer", counts(2, 1), 4, false),
            ("a row more", counts(1, 0), 2, false),
            ("another kind", counts(0, 2), 3, false),
            ("another total", counts(1, 1), 4, false),
        ] {
            let mut file = file(None);
            arrive(&mut file, &ROWS);
            assert!(!file.is_whole(), "{what}");
            file.end(expected, total);
            assert_eq!((file.is_whole(), file.tells_missing()), (is_whole, is_whole), "{what}");
        }
    }

    #[test]
    fn a_file_that_goes_on_after_its_last_line_is_not_whole() {
        for next in [None, Some(OriginKind::Session)] {
            let mut file = file(None);
            arrive(&mut file, &ROWS);
            file.end(counts(1, 1), 3);
            file.count(next);
            assert!(!file.is_whole(), "{next:?}");
        }
    }

    #[test]
    fn a_whole_file_tells_no_missing_rows_if_it_is_of_one_actor_or_has_an_unreadable_line() {
        let mut of_one = file(Some(ActorId(1)));
        let mut unreadable = file(None);
        unreadable.note_unreadable();
        for file in [&mut of_one, &mut unreadable] {
            arrive(file, &ROWS);
            file.end(counts(1, 1), 3);
            assert_eq!((file.is_whole(), file.tells_missing()), (true, false), "{file:?}");
        }
    }

    #[test]
    fn missing_rows_are_deleted_only_on_request_and_never_for_a_file_of_one_actor() {
        for deletes_missing in [false, true] {
            let file = ImportFile::new(None, deletes_missing).unwrap();
            assert_eq!(file.deletes_missing(), deletes_missing);
        }
        assert!(!file(Some(ActorId(1))).deletes_missing());
        assert_eq!(
            ImportFile::new(Some(ActorId(1)), true).unwrap_err().to_string(),
            "must be null with delete_missing: this file has the rows of one actor alone"
        );
    }

    #[test]
    fn a_search_for_missing_rows_goes_from_activities_over_todos_to_sessions() {
        let (mut at, mut kinds) = (Some(MissingPlace::FIRST), Vec::new());
        while let Some(place) = at {
            kinds.push(place.kind);
            let later = MissingPlace { after: Some(7), ..place };
            assert_eq!(place.next(Some(7)), Some(later));
            at = later.next(None);
        }
        assert_eq!(kinds, [OriginKind::Activity, OriginKind::Todo, OriginKind::Session]);
    }
}
