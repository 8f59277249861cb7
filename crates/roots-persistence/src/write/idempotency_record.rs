//! Idempotency records as they are stored: the caller, and the row of the answer. Texts stay sealed
//! as they are.
//!
//! The row is stored as CBOR, under the names of its columns. A column that is added later has its
//! default in older records, which are kept for a day.

use roots_domain::command::{AppliedRow, IdempotencyRecord};
use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::model::idempotency::{IdempotencyMacs, IdempotencyRecordKey, Mac};
use roots_domain::model::sealed::Sealed;
use roots_domain::model::todo::Todo;
use serde::{Deserialize, Serialize};

use crate::table::{InvalidRow, accounts, activities, at, idempotency, known, sessions, todos};

/// A row that was answered.
#[derive(Serialize, Deserialize)]
enum StoredRow {
    Session(sessions::Model),
    Todo(todos::Model),
    Todos(Vec<todos::Model>),
    /// A todo that was claimed, and until when the claim lives, in microseconds since 1970.
    Claimed(todos::Model, i64),
    Activity(activities::Model),
    Account(accounts::Model),
    Deleted,
    ShownOnce,
}

pub(super) fn row(
    ((account, ..), record): (&IdempotencyRecordKey, &IdempotencyRecord),
) -> Result<idempotency::Model, InvalidRow> {
    Ok(idempotency::Model {
        account_id: account.0,
        actor_id: record.actor.0,
        key_mac: record.request.key.0.to_vec(),
        request_mac: record.request.request.0.to_vec(),
        answer: known(written(*account, &record.row), "idempotency", "answer")?,
        cost: record.cost,
        created_at: record.created_at.micros(),
    })
}

impl TryFrom<idempotency::Model> for IdempotencyRecord {
    type Error = InvalidRow;

    fn try_from(row: idempotency::Model) -> Result<Self, InvalidRow> {
        let mac =
            |bytes: Vec<u8>, column| known(bytes.try_into().ok().map(Mac), "idempotency", column);
        Ok(Self {
            actor: ActorId(row.actor_id),
            request: IdempotencyMacs {
                key: mac(row.key_mac, "key_mac")?,
                request: mac(row.request_mac, "request_mac")?,
            },
            row: known(read(&row.answer), "idempotency", "answer")?,
            cost: row.cost,
            created_at: at(row.created_at),
        })
    }
}

/// Encodes the row of an answer. `None` if its request can't have an idempotency key.
fn written(account: AccountId, row: &AppliedRow) -> Option<Vec<u8>> {
    let answer = match row {
        AppliedRow::Session(session) => {
            StoredRow::Session(sessions::Model::from(&(account, session.clone())))
        }
        AppliedRow::Todo(todo) => StoredRow::Todo(todos::Model::from(&(account, todo.clone()))),
        AppliedRow::Todos(created) => {
            let rows = created.iter().map(|todo| todos::Model::from(&(account, todo.clone())));
            StoredRow::Todos(rows.collect())
        }
        AppliedRow::Claimed(todo, until) => {
            StoredRow::Claimed(todos::Model::from(&(account, todo.clone())), until.micros())
        }
        AppliedRow::Activity(activity) => {
            StoredRow::Activity(activities::Model::from(&(account, activity.clone())))
        }
        AppliedRow::Account(account) => StoredRow::Account((&**account).into()),
        AppliedRow::Deleted => StoredRow::Deleted,
        AppliedRow::ShownOnce => StoredRow::ShownOnce,
        _ => return None,
    };
    let mut bytes = Vec::new();
    ciborium::into_writer(&answer, &mut bytes).ok()?;
    Some(bytes)
}

/// Decodes a row. `None` if the bytes are not an encoded row.
fn read(mut bytes: &[u8]) -> Option<AppliedRow> {
    let answer = ciborium::from_reader(&mut bytes).ok()?;
    let row = applied(answer).ok()?;
    bytes.is_empty().then_some(row)
}

fn applied(answer: StoredRow) -> Result<AppliedRow, InvalidRow> {
    Ok(match answer {
        StoredRow::Session(row) => AppliedRow::Session(row.try_into()?),
        StoredRow::Todo(row) => AppliedRow::Todo(todo(row)?),
        StoredRow::Todos(rows) => {
            let created = rows.into_iter().map(todo);
            AppliedRow::Todos(created.collect::<Result<_, _>>()?)
        }
        StoredRow::Claimed(row, until) => AppliedRow::Claimed(todo(row)?, at(until)),
        StoredRow::Activity(row) => AppliedRow::Activity(row.try_into()?),
        StoredRow::Account(row) => AppliedRow::Account(Box::new(row.try_into()?)),
        StoredRow::Deleted => AppliedRow::Deleted,
        StoredRow::ShownOnce => AppliedRow::ShownOnce,
    })
}

/// A todo. A record that is older than the column says nothing of the time of the last change of
/// status: then that of the last change is taken.
fn todo(mut row: todos::Model) -> Result<Todo<Sealed>, InvalidRow> {
    if row.status_since == todos::Model::default().status_since {
        row.status_since = row.updated_at;
    }
    row.try_into()
}

#[cfg(test)]
mod tests {
    use roots_domain::model::account::{Account, AccountKind, AccountStatus, LastIds};
    use roots_domain::model::activity::Activity;
    use roots_domain::model::api_key::KeyEpoch;
    use roots_domain::model::claim::{Claim, Claims, LeaseSeconds};
    use roots_domain::model::id::{ActivityId, ActorId, SessionId, TodoId, Uid};
    use roots_domain::model::session::{Session, SessionStatus};
    use roots_domain::model::text::{ActivityType, Name};
    use roots_domain::model::time::Timestamp;
    use roots_domain::model::todo::{TodoContent, TodoStatus};
    use uuid::Uuid;

    use super::*;

    fn rows() -> Vec<AppliedRow> {
        let at = |seconds| Timestamp::FIRST.plus_seconds(seconds);
        let (uid, actor) = (Uid(Uuid::from_u128(7)), ActorId(3));
        let session = Session {
            id: SessionId(5),
            uid,
            actor,
            status: SessionStatus::Active,
            notes: None,
            started_at: at(1),
            version: 1,
        };
        let todo = Todo {
            id: TodoId(i64::MAX),
            uid,
            actor,
            content: TodoContent::titled(Sealed(vec![0, 255])),
            status: TodoStatus::Open,
            claims: Claims::NONE,
            created_at: at(1),
            updated_at: at(2),
            status_since: at(2),
            version: 4,
        };
        let claim = Claim {
            session: Some(SessionId(5)),
            claimed_at: at(5),
            lease: LeaseSeconds::default(),
        };
        let activity = Activity {
            id: ActivityId(9),
            uid,
            actor,
            session: None,
            activity_type: ActivityType::default(),
            description: Sealed(Vec::new()),
            logged_at: at(3),
            created_at: at(4),
            version: 1,
        };
        let account = Account {
            id: AccountId(2),
            uid,
            name: Name::parse("Acme").unwrap(),
            kind: AccountKind::Customer,
            status: AccountStatus::Suspended,
            balance: 1_097,
            auth_epoch: 2,
            sign_in_epoch: 3,
            key_epoch: KeyEpoch::FIRST,
            last_ids: LastIds { ledger: 7, sign_in: 8, ..LastIds::default() },
            keys: 4,
            created_at: at(1),
            version: 5,
        };
        vec![
            AppliedRow::Deleted,
            AppliedRow::Session(Session {
                status: SessionStatus::ended(at(8)),
                notes: Some(Sealed(vec![1; 300])),
                ..session.clone()
            }),
            AppliedRow::Session(session),
            AppliedRow::Todo(Todo {
                content: TodoContent {
                    session: Some(SessionId(5)),
                    description: Some(Sealed(vec![2])),
                    due_at: Some(at(9)),
                    ..todo.clone().content
                },
                status: TodoStatus::InProgress,
                ..todo.clone()
            }),
            AppliedRow::Todo(todo.clone()),
            AppliedRow::Todos(vec![todo.clone(), Todo { id: TodoId(2), ..todo.clone() }]),
            AppliedRow::Claimed(
                Todo {
                    status: TodoStatus::InProgress,
                    claims: Claims { count: 3, standing: Some(claim) },
                    ..todo
                },
                at(99),
            ),
            AppliedRow::Activity(Activity { session: Some(SessionId(5)), ..activity.clone() }),
            AppliedRow::Activity(activity),
            AppliedRow::Account(Box::new(account)),
            AppliedRow::ShownOnce,
        ]
    }

    #[test]
    fn each_recorded_row_round_trips() {
        for row in rows() {
            let bytes = written(AccountId(1), &row).unwrap();
            assert_eq!(read(&bytes), Some(row));
        }
        assert_eq!(written(AccountId(1), &AppliedRow::Reserved(AccountId(1))), None);
    }

    #[test]
    fn truncated_extended_and_unknown_bytes_are_not_read_as_a_row() {
        for row in rows() {
            let bytes = written(AccountId(1), &row).unwrap();
            for length in 0..bytes.len() {
                assert_eq!(read(&bytes[..length]), None, "cut off");
            }
            assert_eq!(read(&[&bytes[..], &[0]].concat()), None, "too long");
        }
        let mut unknown = Vec::new();
        ciborium::into_writer("Ledger", &mut unknown).unwrap();
        assert_eq!(read(&unknown), None, "another kind");
    }

    #[test]
    fn a_column_missing_from_a_record_has_its_default() {
        for row in rows() {
            let mut value: ciborium::Value =
                ciborium::from_reader(&written(AccountId(1), &row).unwrap()[..]).unwrap();
            let columns = match value.as_map_mut().map(Vec::as_mut_slice) {
                Some([(_, ciborium::Value::Map(columns))]) => columns,
                Some([(_, ciborium::Value::Array(parts))]) => parts[0].as_map_mut().unwrap(),
                _ => {
                    assert!(matches!(row, AppliedRow::Deleted | AppliedRow::ShownOnce));
                    continue;
                }
            };
            columns.retain(|(column, _)| column.as_text() != Some("version"));
            let mut bytes = Vec::new();
            ciborium::into_writer(&value, &mut bytes).unwrap();
            let version = match read(&bytes) {
                Some(AppliedRow::Session(session)) => session.version,
                Some(AppliedRow::Todo(todo) | AppliedRow::Claimed(todo, _)) => todo.version,
                Some(AppliedRow::Todos(todos)) => todos[0].version,
                Some(AppliedRow::Activity(activity)) => activity.version,
                Some(AppliedRow::Account(account)) => account.version,
                other => panic!("{other:?}"),
            };
            assert_eq!(version, 0);
        }
    }
}
