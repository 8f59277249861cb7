//! Imports: which rows a file lacks.

use super::*;
use crate::model::id::ActivityId;
use crate::model::import::{Origin, OriginKind};
use crate::model::import_file::{FileCounts, ImportFile, MissingPlace};
use crate::model::session::SessionStatus;
use crate::model::source_row::{SourceRow, SourceSession};
use crate::port::archive::{ImportedId, MockImportReader};
use crate::service::imports::{ImportMode, Importing, Imports, MissingRow};

/// An import from a source of which no actor was imported before.
fn begun(mut reader: MockImportReader) -> Importing {
    reader.expect_imported_actors().returning(|_, _| Ok(Vec::new()));
    let (commands, _) = commands(Ok(AppliedRow::Counted));
    let imports = Imports {
        commands,
        accounts: no_others(),
        reader: Arc::new(reader),
        clock: clock(),
        uids: uids(50),
    };
    ready(imports.begin(Arc::new(owner()), uid(7), None, ImportMode::Write)).unwrap()
}

/// A row that was imported before.
fn imported(origin: Origin, exists: bool) -> ImportedId {
    ImportedId { origin, here: 100 + origin.id(), exists }
}

fn activity(id: i64) -> Origin {
    Origin::Activity(ActivityId(id))
}

fn session(id: i64) -> Origin {
    Origin::Session(SessionId(id))
}

#[test]
fn rows_that_exist_here_and_that_a_whole_file_lacks_are_missing_activities_first() {
    let mut reader = MockImportReader::new();
    reader.expect_imported_after().returning(|_, _, kind, after| {
        Ok(match (kind, after) {
            (OriginKind::Activity, None) => {
                vec![imported(activity(1), true), imported(activity(2), false)]
            }
            (OriginKind::Activity, Some(2)) => vec![imported(activity(3), true)],
            (OriginKind::Session, None) => {
                vec![imported(session(4), true), imported(session(5), true)]
            }
            _ => Vec::new(),
        })
    });
    let mut importing = begun(reader);
    importing.pass_over(&SourceRow::Session(SourceSession {
        id: SessionId(4),
        actor: ME,
        status: SessionStatus::Active,
        notes: None,
        started_at: at(1),
    }));
    let mut file = ImportFile::new(None, false).unwrap();
    file.count(Some(OriginKind::Session));
    file.end(FileCounts { sessions: 1, ..FileCounts::default() }, 1);
    let (mut missing, mut place) = (Vec::new(), Some(MissingPlace::FIRST));
    while let Some(from) = place {
        let (rows, next) = ready(importing.missing(&file, from)).unwrap().unwrap();
        missing.extend(rows);
        place = next;
    }
    let expected = [activity(1), activity(3), session(5)];
    let expected = expected.map(|origin| MissingRow { origin, here: 100 + origin.id() });
    assert_eq!(missing, expected);
}

#[test]
fn a_file_without_its_last_line_tells_no_missing_rows() {
    // The reader must not be asked.
    let importing = begun(MockImportReader::new());
    let mut file = ImportFile::new(None, true).unwrap();
    file.count(Some(OriginKind::Session));
    assert_eq!(ready(importing.missing(&file, MissingPlace::FIRST)).unwrap(), None);
}
