//! Rows as they were answered, in few bytes: what a kept answer holds. Texts stay sealed as they are.
//!
//! The first byte is the format, the second the kind of row; the fields follow in a fixed order.
//! Numbers have 8 bytes, the first the highest; what varies in length is preceded by it; what may be
//! missing, by 0 or 1. An answer is read for a day after it was written: a new field makes a new
//! format, beside which this one is still read for a release.

use roots_domain::model::activity::Activity;
use roots_domain::model::id::AccountId;
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::Session;
use roots_domain::model::todo::Todo;
use roots_domain::model::unit::AppliedRow;
use uuid::Uuid;

use crate::entity::{activities, sessions, todos};
use crate::row;

const FORMAT: u8 = 1;
const SESSION: u8 = 1;
const TODO: u8 = 2;
const ACTIVITY: u8 = 3;
const DELETED: u8 = 4;

/// Whose the rows are, the answer's own row says.
const NO_ACCOUNT: AccountId = AccountId(0);

/// Writes a row down. `None` for what is no answer to a request that can be named.
pub(crate) fn written(row: &AppliedRow) -> Option<Vec<u8>> {
    let mut out = Out(vec![FORMAT]);
    match row {
        AppliedRow::Session(session) => {
            let row = row::session_row(&(NO_ACCOUNT, session.clone()));
            out.byte(SESSION).int(row.session_id).uid(row.uid).int(row.actor_id);
            out.bytes(row.status.as_bytes()).maybe(row.notes.as_deref(), Out::bytes);
            out.int(row.started_at).maybe(row.ended_at, Out::int).int(row.version);
        }
        AppliedRow::Todo(todo) => {
            let row = row::todo_row(&(NO_ACCOUNT, todo.clone()));
            out.byte(TODO).int(row.todo_id).uid(row.uid).int(row.actor_id);
            out.maybe(row.session_id, Out::int).bytes(&row.title);
            out.maybe(row.description.as_deref(), Out::bytes).bytes(row.status.as_bytes());
            out.int(row.priority.into()).maybe(row.due_at, Out::int);
            out.int(row.created_at).int(row.updated_at).int(row.version);
        }
        AppliedRow::Activity(activity) => {
            let row = row::activity_row(&(NO_ACCOUNT, activity.clone()));
            out.byte(ACTIVITY).int(row.activity_id).uid(row.uid).int(row.actor_id);
            out.maybe(row.session_id, Out::int).bytes(row.activity_type.as_bytes());
            out.bytes(&row.description).int(row.logged_at).int(row.created_at).int(row.version);
        }
        AppliedRow::Deleted => {
            out.byte(DELETED);
        }
        _ => return None,
    }
    Some(out.0)
}

/// Reads a row that was written down. `None` for what never was.
pub(crate) fn read(bytes: &[u8]) -> Option<AppliedRow> {
    decode(bytes).ok()
}

/// Bytes that were never written so.
struct Torn;

fn decode(bytes: &[u8]) -> Result<AppliedRow, Torn> {
    let mut rest = In(bytes);
    if rest.byte()? != FORMAT {
        return Err(Torn);
    }
    let account_id = NO_ACCOUNT.0;
    let row = match rest.byte()? {
        SESSION => {
            let row = sessions::Model {
                account_id,
                session_id: rest.int()?,
                uid: rest.uid()?,
                actor_id: rest.int()?,
                status: rest.text()?,
                notes: rest.maybe(In::bytes)?,
                started_at: rest.int()?,
                ended_at: rest.maybe(In::int)?,
                version: rest.int()?,
            };
            AppliedRow::Session(Session::<Sealed>::try_from(row).map_err(|_| Torn)?)
        }
        TODO => {
            let row = todos::Model {
                account_id,
                todo_id: rest.int()?,
                uid: rest.uid()?,
                actor_id: rest.int()?,
                session_id: rest.maybe(In::int)?,
                title: rest.bytes()?,
                description: rest.maybe(In::bytes)?,
                status: rest.text()?,
                priority: rest.int()?.try_into().map_err(|_| Torn)?,
                due_at: rest.maybe(In::int)?,
                created_at: rest.int()?,
                updated_at: rest.int()?,
                version: rest.int()?,
            };
            AppliedRow::Todo(Todo::<Sealed>::try_from(row).map_err(|_| Torn)?)
        }
        ACTIVITY => {
            let row = activities::Model {
                account_id,
                activity_id: rest.int()?,
                uid: rest.uid()?,
                actor_id: rest.int()?,
                session_id: rest.maybe(In::int)?,
                activity_type: rest.text()?,
                description: rest.bytes()?,
                logged_at: rest.int()?,
                created_at: rest.int()?,
                version: rest.int()?,
            };
            AppliedRow::Activity(Activity::<Sealed>::try_from(row).map_err(|_| Torn)?)
        }
        DELETED => AppliedRow::Deleted,
        _ => return Err(Torn),
    };
    if rest.0.is_empty() { Ok(row) } else { Err(Torn) }
}

struct Out(Vec<u8>);

impl Out {
    fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    fn int(&mut self, number: i64) -> &mut Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn uid(&mut self, uid: Uuid) -> &mut Self {
        self.0.extend(uid.as_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        // A length in memory is far below what 63 bits count.
        self.int(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        self.0.extend(bytes);
        self
    }

    fn maybe<T>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T) -> &mut Self,
    ) -> &mut Self {
        self.byte(value.is_some().into());
        match value {
            Some(value) => write(self, value),
            None => self,
        }
    }
}

struct In<'a>(&'a [u8]);

impl In<'_> {
    fn byte(&mut self) -> Result<u8, Torn> {
        self.array().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Torn> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Torn)?;
        self.0 = rest;
        Ok(*first)
    }

    fn int(&mut self) -> Result<i64, Torn> {
        self.array().map(i64::from_be_bytes)
    }

    fn uid(&mut self) -> Result<Uuid, Torn> {
        self.array().map(Uuid::from_bytes)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, Torn> {
        let length = usize::try_from(self.int()?).map_err(|_| Torn)?;
        let (first, rest) = self.0.split_at_checked(length).ok_or(Torn)?;
        self.0 = rest;
        Ok(first.to_vec())
    }

    fn text(&mut self) -> Result<String, Torn> {
        String::from_utf8(self.bytes()?).map_err(|_| Torn)
    }

    fn maybe<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Torn>,
    ) -> Result<Option<T>, Torn> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Torn),
        }
    }
}

#[cfg(test)]
mod tests {
    use roots_domain::model::id::{ActivityId, ActorId, SessionId, TodoId, Uid};
    use roots_domain::model::session::SessionStatus;
    use roots_domain::model::text::ActivityType;
    use roots_domain::model::time::Timestamp;
    use roots_domain::model::todo::{Priority, TodoStatus};

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
            ended_at: None,
            version: 1,
        };
        let todo = Todo {
            id: TodoId(i64::MAX),
            uid,
            actor,
            session: None,
            title: Sealed(vec![0, 255]),
            description: None,
            status: TodoStatus::Open,
            priority: Priority::default(),
            due_at: None,
            created_at: at(1),
            updated_at: at(2),
            version: 4,
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
        vec![
            AppliedRow::Deleted,
            AppliedRow::Session(Session {
                status: SessionStatus::Ended,
                notes: Some(Sealed(vec![1; 300])),
                ended_at: Some(at(8)),
                ..session.clone()
            }),
            AppliedRow::Session(session),
            AppliedRow::Todo(Todo {
                session: Some(SessionId(5)),
                description: Some(Sealed(vec![2])),
                status: TodoStatus::InProgress,
                due_at: Some(at(9)),
                ..todo.clone()
            }),
            AppliedRow::Todo(todo),
            AppliedRow::Activity(Activity { session: Some(SessionId(5)), ..activity.clone() }),
            AppliedRow::Activity(activity),
        ]
    }

    #[test]
    fn each_row_reads_back_as_it_was() {
        for row in rows() {
            let bytes = written(&row).unwrap();
            assert_eq!(read(&bytes), Some(row));
        }
        assert_eq!(written(&AppliedRow::Reserved(AccountId(1))), None);
    }

    #[test]
    fn what_was_never_written_is_no_row() {
        for row in rows() {
            let bytes = written(&row).unwrap();
            for length in 0..bytes.len() {
                assert_eq!(read(&bytes[..length]), None, "cut off");
            }
            assert_eq!(read(&[&bytes[..], &[0]].concat()), None, "too long");
            assert_eq!(read(&[&[2], &bytes[1..]].concat()), None, "another format");
            assert_eq!(read(&[&[1, 9], &bytes[2..]].concat()), None, "another kind");
        }
    }

    #[test]
    fn format_1_stays_as_it_is() {
        let bytes = written(&rows()[2]).unwrap();
        let fields = [
            "0101",
            "0000000000000005",
            "00000000000000000000000000000007",
            "0000000000000003",
            "0000000000000006616374697665",
            "00",
            "00000000000f4240",
            "00",
            "0000000000000001",
        ];
        let digits = fields.concat();
        let expected = (0..digits.len()).step_by(2);
        let expected = expected.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
        assert_eq!(bytes, expected.collect::<Vec<_>>());
    }
}
