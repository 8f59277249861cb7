//! Ciphertexts and wraps that are moved within the database can't be decrypted.

use roots_crypto::RingLocksmith;
use roots_domain::command::NewAccount;
use roots_domain::model::Patch;
use roots_domain::model::api_key::{KeyEpoch, Wrap, WrapHolder, WrapSubject};
use roots_domain::model::id::{AccountId, ActivityId, ActorId, KeyId, SessionId, TodoId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::SessionPatch;
use roots_domain::model::text::LogNote;
use roots_domain::model::todo::TodoStatus;
use roots_domain::model::zone::Zone;
use roots_domain::port::crypto::{AccountIdentity, ActorIdentity, Locksmith};
use roots_domain::port::store::StoreError;
use roots_domain::service::access::Caller;
use roots_domain::service::activities::ActivitySelection;
use roots_domain::service::keyrings::Keyrings;
use roots_domain::service::sessions::SessionFilter;
use roots_domain::service::todos::{TodoChange, TodoFilter};
use roots_domain::service::{Preconditions, ReadError, Services, WriteError};
use roots_testkit::context::{
    TestContext, activity_draft, long_text, session_draft, title, todo_draft,
};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::{add_member, renew_member};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, Value};
use secrecy::SecretString;

roots_testkit::on_both! {
    a_ciphertext_opens_in_its_own_place_only,
    a_row_that_changes_its_actor_does_not_open,
    a_text_that_does_not_open_can_be_overwritten_and_deleted,
    a_wrap_opens_in_its_own_place_only,
    a_missing_wrap_is_never_recreated,
}

/// The sealed fields: table, column, and the column of the row's id.
const FIELDS: [(&str, &str, &str); 5] = [
    ("sessions", "notes", "session_id"),
    ("todos", "title", "todo_id"),
    ("todos", "description", "todo_id"),
    ("todo_logs", "note", "todo_id"),
    ("activities", "description", "activity_id"),
];

/// Two accounts. The first also has a member, whose key has been renewed.
struct TwoAccounts {
    context: TestContext,
    db: DatabaseConnection,
    /// The owner and the member of the first account, and the owner of the second.
    callers: [Caller; 3],
    /// The API keys of the callers, each with its account and id.
    keys: [(i64, KeyId, SecretString); 3],
    codes: [SecretString; 2],
    cells: Vec<Cell>,
}

/// A sealed field of a row.
#[derive(Debug, Clone)]
struct Cell {
    /// The index of the caller that wrote it.
    principal: usize,
    account: i64,
    table: &'static str,
    column: &'static str,
    id_column: &'static str,
    id: i64,
    text: String,
    stored: Vec<u8>,
}

impl TwoAccounts {
    async fn new(database: &TestDatabase) -> Self {
        let context = database.context();
        let db = database.connection().await;
        let [ours, theirs] = [context.found(100).await, context.found(100).await];
        let [owner, other] = [context.admit(&ours).await, context.admit(&theirs).await];
        let (member, member_id, member_key) = member(&context, database, &owner).await;
        let keys = [
            (owner.account.id.0, owner.key, ours.api_key),
            (owner.account.id.0, KeyId(3), member_key),
            (other.account.id.0, other.key, theirs.api_key),
        ];
        let renewed = admit(&context, &keys[1].2).await.unwrap();
        assert_eq!((renewed.actor.id, renewed.actor.key_epoch), (member_id, KeyEpoch(2)));
        let mut scene = Self {
            context,
            db,
            callers: [owner, renewed, other],
            keys,
            codes: [ours.recovery_code, theirs.recovery_code],
            cells: Vec::new(),
        };
        // The member writes before its key is renewed, so these rows have its first key epoch.
        scene.write(1, &member, "the member, before").await;
        for principal in 0..3 {
            let caller = scene.callers[principal].clone();
            scene.write(principal, &caller, &format!("caller {principal}, one")).await;
            scene.write(principal, &caller, &format!("caller {principal}, two")).await;
        }
        for cell in scene.cells.clone() {
            assert_eq!(scene.read(&cell).await.as_ref(), Ok(&cell.text));
        }
        scene
    }

    /// Writes a row of each kind, and adds its sealed fields to the cells.
    async fn write(&mut self, principal: usize, caller: &Caller, by: &str) {
        let Services { sessions, todos, activities, .. } = &self.context.services;
        let text = |table: &str, column: &str| format!("{table}.{column} by {by}");
        let draft = session_draft(&text("sessions", "notes"));
        let session = sessions.start(caller, draft, Preconditions::default()).await.unwrap().value;
        let mut draft = todo_draft(&text("todos", "title"));
        draft.content.description = Some(long_text(&text("todos", "description")));
        let todo = todos.create(caller, draft, Preconditions::default()).await.unwrap().value;
        let change = TodoChange {
            status: Some(TodoStatus::InProgress),
            note: Some(LogNote::parse(text("todo_logs", "note")).unwrap()),
            ..TodoChange::EMPTY
        };
        todos.patch(caller, todo.id, change, Preconditions::default()).await.unwrap();
        let draft = activity_draft(&text("activities", "description"));
        let activity = activities.log(caller, draft, Preconditions::default()).await.unwrap().value;
        let ids = [session.id.0, todo.id.0, todo.id.0, todo.id.0, activity.id.0];
        for ((table, column, id_column), id) in FIELDS.into_iter().zip(ids) {
            let (text, stored, account) = (text(table, column), Vec::new(), caller.account.id.0);
            let mut cell = Cell { principal, account, table, column, id_column, id, text, stored };
            cell.stored = self.stored(&cell, column).await;
            self.cells.push(cell);
        }
    }

    async fn stored<T: sea_orm::TryGetable>(&self, cell: &Cell, column: &str) -> T {
        let Cell { account, table, id_column, id, .. } = cell;
        let sql =
            format!("SELECT {column} FROM {table} WHERE account_id = $1 AND {id_column} = $2");
        let values = [(*account).into(), (*id).into()];
        let query = Statement::from_sql_and_values(self.db.get_database_backend(), sql, values);
        self.db.query_one_raw(query).await.unwrap().unwrap().try_get("", column).unwrap()
    }

    async fn put(&self, cell: &Cell, column: &str, value: impl Into<Value>) {
        let Cell { account, table, id_column, id, .. } = cell;
        let sql =
            format!("UPDATE {table} SET {column} = $1 WHERE account_id = $2 AND {id_column} = $3");
        let values = [value.into(), (*account).into(), (*id).into()];
        assert_eq!(execute(&self.db, &sql, values).await, 1, "{cell:?}");
    }

    /// The notes in the log of a todo.
    async fn notes(&self, caller: &Caller, id: TodoId) -> Result<Vec<String>, ReadError> {
        let log = self.context.todos.log_after(caller, id, None).await?.unwrap();
        let steps = self.context.accounts.opening(caller, log.steps).await?;
        steps.map(|step| Ok(step?.note.unwrap())).collect()
    }

    /// Reads a cell as the caller that wrote it.
    async fn read(&self, cell: &Cell) -> Result<String, ReadError> {
        let (caller, context) = (&self.callers[cell.principal], &self.context);
        let todo = async || context.todos.get(caller, TodoId(cell.id)).await;
        Ok(match (cell.table, cell.column) {
            ("sessions", _) => {
                context.sessions.get(caller, SessionId(cell.id)).await?.unwrap().notes.unwrap()
            }
            ("todos", "title") => todo().await?.unwrap().content.title,
            ("todos", _) => todo().await?.unwrap().content.description.unwrap(),
            ("todo_logs", _) => {
                let [note] =
                    <[_; 1]>::try_from(self.notes(caller, TodoId(cell.id)).await?).unwrap();
                note
            }
            _ => context.activities.get(caller, ActivityId(cell.id)).await?.unwrap().description,
        })
    }
}

/// The error of reading a cell that can't be decrypted.
fn unreadable(cell: &Cell) -> Result<String, ReadError> {
    let what = match cell.table {
        "sessions" => "session",
        "activities" => "activity",
        _ => "todo",
    };
    Err(ReadError::Unreadable { what, id: cell.id })
}

async fn admit(context: &TestContext, key: &SecretString) -> Result<Caller, ReadError> {
    context.access.admit(&context.access.parse_key(key)?).await
}

async fn execute<const N: usize>(db: &DatabaseConnection, sql: &str, values: [Value; N]) -> u64 {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    db.execute_raw(statement).await.unwrap().rows_affected()
}

/// Adds a member to the owner's account and renews its key. Returns the caller of the old key, the
/// actor's id and the new key.
pub(crate) async fn member(
    context: &TestContext,
    database: &TestDatabase,
    owner: &Caller,
) -> (Caller, ActorId, SecretString) {
    let first = add_member(database, owner, 2).await;
    let before = admit(context, &first).await.unwrap();
    let id = before.actor.id;
    let keys = Keyrings::in_force(&context.store, owner, id).await.unwrap();
    let renewal = keys.of_row(id).unwrap().renew(KeyId(3)).unwrap();
    renew_member(database, owner, id.0, &renewal).await;
    (before, id, renewal.key.secret)
}

async fn a_ciphertext_opens_in_its_own_place_only(database: TestDatabase) {
    let scene = TwoAccounts::new(&database).await;
    assert_eq!(scene.cells.len(), 7 * FIELDS.len());
    for to in &scene.cells {
        for from in &scene.cells {
            let is_home = (from.account, from.table, from.column, from.id)
                == (to.account, to.table, to.column, to.id);
            scene.put(to, to.column, from.stored.clone()).await;
            let expected = if is_home { Ok(to.text.clone()) } else { unreadable(to) };
            assert_eq!(scene.read(to).await, expected, "{from:?} in the place of {to:?}");
            // The uid of the source row does not help if another caller wrote it.
            if from.principal != to.principal && from.table == to.table && from.column == to.column
            {
                let mine: uuid::Uuid = scene.stored(to, "uid").await;
                let foreign: uuid::Uuid = scene.stored(from, "uid").await;
                scene.put(to, "uid", foreign).await;
                assert_eq!(scene.read(to).await, unreadable(to), "{from:?} as {to:?}");
                scene.put(to, "uid", mine).await;
            }
        }
        // A changed epoch, a flipped bit, a missing byte, no bytes and plaintext are unreadable
        // too.
        let mut other_epoch = to.stored.clone();
        other_epoch[4] ^= 3;
        let mut flipped = to.stored.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let cut = to.stored[..to.stored.len() - 1].to_vec();
        for changed in [other_epoch, flipped, cut, Vec::new(), to.text.clone().into_bytes()] {
            scene.put(to, to.column, changed).await;
            assert_eq!(scene.read(to).await, unreadable(to), "{to:?}");
        }
        scene.put(to, to.column, to.stored.clone()).await;
        assert_eq!(scene.read(to).await.as_ref(), Ok(&to.text));
    }
}

async fn a_row_that_changes_its_actor_does_not_open(database: TestDatabase) {
    let scene = TwoAccounts::new(&database).await;
    let of_first =
        scene.cells.iter().filter(|cell| cell.principal < 2 && cell.table != "todo_logs");
    for cell in of_first {
        let (mine, other) = (cell.principal, 1 - cell.principal);
        let id_of = |principal: usize| scene.callers[principal].actor.id.0;
        scene.put(cell, "actor_id", id_of(other)).await;
        let moved = Cell { principal: other, ..cell.clone() };
        assert_eq!(scene.read(&moved).await, unreadable(cell));
        scene.put(cell, "actor_id", id_of(mine)).await;
        assert_eq!(scene.read(cell).await.as_ref(), Ok(&cell.text));
    }
}

async fn a_text_that_does_not_open_can_be_overwritten_and_deleted(database: TestDatabase) {
    let scene = TwoAccounts::new(&database).await;
    let (context, caller) = (&scene.context, &scene.callers[0]);
    // Swap the texts of the two rows of each kind.
    let mine: Vec<_> = scene.cells.iter().filter(|cell| cell.principal == 0).collect();
    let (first, second) = mine.split_at(FIELDS.len());
    for (to, from) in first.iter().zip(second).chain(second.iter().zip(first)) {
        scene.put(to, to.column, from.stored.clone()).await;
        assert_eq!(scene.read(to).await, unreadable(to));
    }
    let [session, todo, _, _, activity] = <[&Cell; 5]>::try_from(first).unwrap();
    let page = PageRequest::default();
    let filter = TodoFilter::default();
    let selection = ActivitySelection::default();
    let message_of = |error: ReadError| error.to_string();
    let newest = &second[0];
    let listed =
        context.sessions.list(caller, SessionFilter::default(), page).await.map_err(message_of);
    assert_eq!(listed.unwrap_err(), message_of(unreadable(newest).unwrap_err()));
    assert!(context.todos.list(caller, filter, page).await.is_err());
    assert!(context.activities.list(caller, selection.clone(), page).await.is_err());
    // Statistics decrypt nothing.
    assert_eq!(context.activities.stats(caller, selection, &Zone::UTC).await.unwrap().total, 2);

    let patch = SessionPatch { status: None, notes: Patch::Set(long_text("mended")) };
    let mended = context
        .sessions
        .patch(caller, SessionId(session.id), patch, Preconditions::default())
        .await
        .unwrap()
        .value;
    assert_eq!(mended.notes.as_deref(), Some("mended"));

    let todo = TodoId(todo.id);
    let change = |change| context.todos.patch(caller, todo, change, Preconditions::default());
    let balance = async || context.accounts.whoami(caller).await.unwrap().credits_remaining;
    let before = balance().await;
    let renamed = TodoChange { title: Some(title("mended")), ..TodoChange::EMPTY };
    let (cost, balance_left) = (1, before - 1);
    let saved =
        Err(WriteError::SavedUnreadable { what: "todo", id: todo.0, cost, balance: balance_left });
    assert_eq!(change(renamed).await, saved, "the description is still unreadable");
    assert_eq!(balance().await, before - 1);
    let described =
        TodoChange { description: Patch::Set(long_text("mended too")), ..TodoChange::EMPTY };
    let mended = change(described).await.unwrap().value;
    assert_eq!(
        (mended.content.title.as_str(), mended.content.description.as_deref()),
        ("mended", Some("mended too"))
    );
    assert_eq!(context.todos.get(caller, todo).await.unwrap().unwrap(), mended);
    // Deleting the todo also deletes the unreadable note in its log.
    assert!(scene.notes(caller, todo).await.is_err());
    context.todos.delete(caller, todo, Preconditions::default()).await.unwrap();
    assert_eq!(context.todos.get(caller, todo).await, Ok(None));
    context
        .activities
        .delete(caller, ActivityId(activity.id), Preconditions::default())
        .await
        .unwrap();

    let [session, todo, _, _, activity] = <[&Cell; 5]>::try_from(second).unwrap();
    context.sessions.delete(caller, SessionId(session.id), Preconditions::default()).await.unwrap();
    context.todos.delete(caller, TodoId(todo.id), Preconditions::default()).await.unwrap();
    context
        .activities
        .delete(caller, ActivityId(activity.id), Preconditions::default())
        .await
        .unwrap();
    assert_eq!(
        context.sessions.list(caller, SessionFilter::default(), page).await.unwrap().total,
        1
    );
    assert_eq!(context.todos.list(caller, filter, page).await.unwrap().total, 0);
}

/// A row of `key_wraps`.
#[derive(Debug, Clone, PartialEq)]
struct StoredWrap {
    account: i64,
    holder: (String, i64, i64),
    subject: (String, i64, i64),
    sealed: Vec<u8>,
}

impl StoredWrap {
    async fn all(database: &TestDatabase) -> Vec<Self> {
        type Row = (i64, String, i64, i64, String, i64, i64, Vec<u8>);
        let sql = "SELECT account_id, holder_kind, holder_id, holder_epoch, \
            subject_kind, subject_id, subject_epoch, sealed FROM key_wraps ORDER BY 1, 2, 3, 4, 5";
        let rows = database.rows::<Row>(sql).await;
        rows.into_iter()
            .map(|(account, a, b, c, d, e, f, sealed)| Self {
                account,
                holder: (a, b, c),
                subject: (d, e, f),
                sealed,
            })
            .collect()
    }

    async fn put(&self, db: &DatabaseConnection, sealed: &[u8]) {
        let sql = "UPDATE key_wraps SET sealed = $1 WHERE account_id = $2 AND holder_kind = $3 \
            AND holder_id = $4 AND holder_epoch = $5 AND subject_kind = $6 AND subject_id = $7 \
            AND subject_epoch = $8";
        let (holder, subject) = (self.holder.clone(), self.subject.clone());
        let values = [
            sealed.to_vec().into(),
            self.account.into(),
            holder.0.into(),
            holder.1.into(),
            holder.2.into(),
            subject.0.into(),
            subject.1.into(),
            subject.2.into(),
        ];
        assert_eq!(execute(db, sql, values).await, 1, "{self:?}");
    }

    fn wrap(&self) -> Wrap {
        let epoch = |number: i64| KeyEpoch(i32::try_from(number).unwrap());
        let (holder, holder_id, holder_epoch) = &self.holder;
        let (subject, subject_id, subject_epoch) = &self.subject;
        Wrap {
            holder: match holder.as_str() {
                "api_key" => WrapHolder::ApiKey(KeyId(*holder_id)),
                "recovery" => WrapHolder::Recovery(NewAccount::CODE),
                "account" => WrapHolder::Account(epoch(*holder_epoch)),
                _ => WrapHolder::Actor(ActorId(*holder_id), epoch(*holder_epoch)),
            },
            subject: match subject.as_str() {
                "account" => WrapSubject::Account(epoch(*subject_epoch)),
                _ => WrapSubject::Actor(ActorId(*subject_id), epoch(*subject_epoch)),
            },
            sealed: Sealed(self.sealed.clone()),
        }
    }
}

impl TwoAccounts {
    /// The ways to a key that fail: 0 to 2 are the API keys of the callers, 3 and 4 the recovery
    /// codes of the two accounts, and 5 is the owner's key to the member.
    async fn failing_ways(&self, wraps: &[StoredWrap]) -> Vec<usize> {
        let mut failing = Vec::new();
        for (way, (.., key)) in self.keys.iter().enumerate() {
            match admit(&self.context, key).await {
                Ok(caller) => {
                    let mut cells = self.cells.iter().filter(|cell| cell.principal == way);
                    let cell = cells.next().unwrap();
                    let scene_caller = &self.callers[way];
                    assert_eq!(caller.actor, scene_caller.actor);
                    // Admission reads no wraps of earlier epochs. A missing one shows when a text
                    // needs it.
                    match self.context.sessions.get(&caller, SessionId(cell.id)).await {
                        Ok(found) => assert_eq!(found.unwrap().notes.as_ref(), Some(&cell.text)),
                        Err(ReadError::Store(StoreError::Broken(_))) => failing.push(way),
                        Err(other) => unreachable!("{other}"),
                    }
                }
                Err(ReadError::Store(StoreError::Broken(_))) => failing.push(way),
                Err(other) => unreachable!("{other}"),
            }
        }
        let of = |account: AccountId| -> Vec<Wrap> {
            let own = wraps.iter().filter(|wrap| wrap.account == account.0);
            own.map(StoredWrap::wrap).collect()
        };
        let identity = |caller: &Caller| ActorIdentity {
            id: caller.actor.id,
            uid: caller.actor.uid,
            epoch: caller.actor.key_epoch,
        };
        for (way, (caller, code)) in [(3, (0, 0)), (4, (2, 1))] {
            let owner = &self.callers[caller];
            let account: AccountIdentity = owner.account;
            let wraps = of(account.id);
            let locksmith = RingLocksmith::default();
            let code = locksmith.parse_code(&self.codes[code]).unwrap();
            let recovered =
                locksmith.recover(&code, account, identity(owner), NewAccount::CODE, &wraps);
            failing.extend(recovered.is_err().then_some(way));
        }
        let [owner, member, _] = &self.callers;
        let reached = owner.keys.for_actor(identity(member), &of(owner.account.id));
        failing.extend(reached.is_err().then_some(5));
        failing
    }
}

async fn a_wrap_opens_in_its_own_place_only(database: TestDatabase) {
    let scene = TwoAccounts::new(&database).await;
    let wraps = StoredWrap::all(&database).await;
    // Each account has four wraps. The member adds five, for its two keys and its two epochs.
    assert_eq!(wraps.len(), 2 * 4 + 5);
    assert_eq!(scene.failing_ways(&wraps).await, [0; 0]);
    let mut failures_by_way = [0; 6];
    for (at, target) in wraps.iter().enumerate() {
        let mut outcomes = Vec::new();
        let mut others: Vec<Vec<u8>> = wraps.iter().map(|wrap| wrap.sealed.clone()).collect();
        others.remove(at);
        others.extend([Vec::new(), vec![0; target.sealed.len()]]);
        for other in others {
            target.put(&scene.db, &other).await;
            let mut stored = wraps.clone();
            stored[at].sealed = other;
            outcomes.push(scene.failing_ways(&stored).await);
        }
        target.put(&scene.db, &target.sealed).await;
        // Every other content makes the same ways fail.
        outcomes.dedup();
        assert_eq!(outcomes.len(), 1, "{target:?}: {outcomes:?}");
        let outcome = &outcomes[0];
        // Only the wrap of the member's old API key is used by none of the ways.
        assert_eq!(outcome.is_empty(), target.holder == ("api_key".into(), 2, 0), "{target:?}");
        for way in outcome {
            failures_by_way[*way] += 1;
        }
    }
    assert!(failures_by_way.iter().all(|count| *count > 0), "{failures_by_way:?}");
    assert_eq!(scene.failing_ways(&wraps).await, [0; 0]);
}

async fn a_missing_wrap_is_never_recreated(database: TestDatabase) {
    let scene = TwoAccounts::new(&database).await;
    let before = StoredWrap::all(&database).await.len();
    for (way, (account, key, _)) in scene.keys.iter().enumerate() {
        let sql = "DELETE FROM key_wraps WHERE account_id = $1 AND holder_kind = 'api_key' \
            AND holder_id = $2";
        assert!(execute(&scene.db, sql, [(*account).into(), key.0.into()]).await > 0);
        let refused = admit(&scene.context, &scene.keys[way].2).await;
        assert!(matches!(refused, Err(ReadError::Store(StoreError::Broken(_)))), "{way}");
    }
    assert_eq!(StoredWrap::all(&database).await.len(), before - 2 - 1 - 2);
    // The error reveals neither the key nor the wrap.
    let refused = admit(&scene.context, &scene.keys[0].2).await.unwrap_err().to_string();
    assert!(refused.ends_with("a key wrap is missing"), "{refused}");
}
