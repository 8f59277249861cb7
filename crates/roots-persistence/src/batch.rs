//! A batch of commands in one transaction: lock and load, decide, write the difference.
//!
//! What is decided stands in [`roots_domain::model::working_set`]; here are only the statements. Their
//! number depends on which tables a batch touches, not on how many commands it holds, as long as it binds
//! no more values than a statement may.

use std::collections::{BTreeMap, BTreeSet};

use roots_domain::command::IdempotencyRecord;
use roots_domain::command::{Applied, Command, Refusal};
use roots_domain::decide::{Directory, Kinds, ReadSet, RowKey, WorkingSet, WriteSet};
use roots_domain::model::account::{Account, AccountKind, AccountStatus, Actor};
use roots_domain::model::activity::Activity;
use roots_domain::model::api_key::{ApiKey, RecoveryCode, WrapHolder};
use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::model::idempotency::FORGET_MAX_ROWS;
use roots_domain::model::session::Session;
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::QuarterHour;
use roots_domain::model::todo::Todo;
use roots_domain::port::clock::Clock;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend,
    EntityName, EntityTrait, FromQueryResult, ModelTrait, QueryFilter, QueryOrder, QuerySelect,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};

use crate::entity::{
    accounts, activities, activity_daily, activity_quarters, actors, api_keys, directory,
    idempotency, imports, key_wraps, recovery_codes, sessions, tallies, todos, usage,
};
use crate::erase;
use crate::errors::{self, BatchError};
use crate::postgres;
use crate::row::{self, InvalidRow};
use crate::unlink::{self, Shown};
use filter::{ChunkedFilter, one_of};
use upsert::OnConflict;
use upsert::OnConflict::{Adding, InPlace, New, NewerBy};

mod filter;
mod memory;
mod upsert;

pub(crate) use filter::{look_ups, padded};
pub(crate) use memory::AccountMemory;

/// What each command of a batch is answered, once the batch is durable.
pub(crate) type Decisions = Vec<Result<Applied, Refusal>>;

impl From<InvalidRow> for BatchError {
    fn from(invalid: InvalidRow) -> Self {
        Self::Data(invalid.to_string())
    }
}

/// How long to wait for a lock that another process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// As long as callers can: nobody else waits with them.
    Out,
    /// A moment: others wait behind, who want nothing of what is locked.
    Briefly,
}

/// Applies the commands in their order in one transaction. On failure nothing of them stands, but for
/// [`BatchError::OutcomeUnknown`]. Before COMMIT is sent, `committing` is set to the accounts whose keys
/// may end by it: as long as it is `None`, nothing stands, whatever happens.
///
/// All commands are decided as of one time, which is taken once the locks are held and the rows are
/// loaded: after every wait.
pub(crate) async fn apply(
    db: &DatabaseConnection,
    memory: &mut AccountMemory,
    clock: &dyn Clock,
    committing: &mut Option<Vec<AccountId>>,
    commands: &[Command],
    wait: Wait,
) -> Result<Decisions, BatchError> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let tx = db.begin_with_options(options).await?;
    let mut working_set = load(&tx, memory, commands, wait).await?;
    let now = clock.now();
    let answers: Decisions =
        commands.iter().map(|command| working_set.decide_at(command.clone(), now)).collect();
    let rest = working_set.take_unchanged();
    let write_set = working_set.into_write_set();
    write(&tx, &write_set).await?;
    let erased = write_set.erased.iter().map(|(account, _)| *account);
    *committing = Some(write_set.auth_epochs_moved.iter().copied().chain(erased).collect());
    tx.commit().await.map_err(errors::of_commit)?;
    memory.learn(write_set, rest);
    Ok(answers)
}

/// The working set in which a command would be decided now. It takes no lock and writes nothing.
pub(crate) async fn look(
    tx: &DatabaseTransaction,
    command: &Command,
) -> Result<WorkingSet, BatchError> {
    let commands = std::slice::from_ref(command);
    read(tx, &mut AccountMemory::default(), commands, ReadSet::of(commands)).await
}

async fn load(
    tx: &DatabaseTransaction,
    memory: &mut AccountMemory,
    commands: &[Command],
    wait: Wait,
) -> Result<WorkingSet, BatchError> {
    let read_set = ReadSet::of(commands);
    lock(tx, &read_set, wait).await?;
    memory.check(tx).await?;
    read(tx, memory, commands, read_set).await
}

/// Reads what commands rest on, as far as it is not remembered.
async fn read(
    tx: &DatabaseTransaction,
    memory: &mut AccountMemory,
    commands: &[Command],
    mut read_set: ReadSet,
) -> Result<WorkingSet, BatchError> {
    let mut working_set = WorkingSet::default();
    if read_set.directory {
        let row = directory::Entity::find().one(tx).await?;
        working_set.load_directory(row.map(Directory::from).unwrap_or_default());
    }
    let mut unknown = BTreeSet::new();
    for id in &read_set.accounts {
        match memory.take_account(*id) {
            Some(account) => working_set.load_account(account),
            None => _ = unknown.insert(*id),
        }
    }
    for account in accounts_of(tx, &unknown).await? {
        working_set.load_account(account);
    }
    if let Some(account) = read_set.other_operator_than {
        let others = accounts::Entity::find()
            .filter(accounts::Column::AccountId.ne(account.0))
            .filter(accounts::Column::Kind.eq(AccountKind::Operator.name()))
            .filter(accounts::Column::Status.eq(AccountStatus::Active.name()));
        working_set.load_other_operator(others.one(tx).await?.is_some());
    }
    working_set.check_again(commands, &mut read_set);
    working_set.make_room(commands, &mut read_set);
    load_keys(tx, &mut working_set, &mut read_set).await?;
    load_imported(tx, &mut working_set, &read_set).await?;
    working_set.follow_imports(commands, &mut read_set);
    let columns = (sessions::Column::AccountId, sessions::Column::SessionId);
    let ids = read_set.sessions.iter().map(|(account, id)| (account.0, id.0));
    for row in rows_by_id::<sessions::Entity>(tx, columns, ids).await? {
        working_set.load_session(AccountId(row.account_id), Session::try_from(row)?);
    }
    let columns = (todos::Column::AccountId, todos::Column::TodoId);
    let ids = read_set.todos.iter().map(|(account, id)| (account.0, id.0));
    for row in rows_by_id::<todos::Entity>(tx, columns, ids).await? {
        working_set.load_todo(AccountId(row.account_id), Todo::try_from(row)?);
    }
    let columns = (activities::Column::AccountId, activities::Column::ActivityId);
    let ids = read_set.activities.iter().map(|(account, id)| (account.0, id.0));
    for row in rows_by_id::<activities::Entity>(tx, columns, ids).await? {
        working_set.load_activity(AccountId(row.account_id), Activity::try_from(row)?);
    }
    load_idempotency_records(tx, &mut working_set, &read_set).await?;
    let kinds = working_set.kinds_to_count(&read_set);
    load_kinds(tx, memory, &mut working_set, kinds).await?;
    Ok(working_set)
}

/// Whoever holds an account's lock is its only writer. SQLite has one writer in all, which BEGIN
/// IMMEDIATE made sure of. PostgreSQL takes advisory locks in the order of the ids, so that no two
/// batches wait for each other.
async fn lock(tx: &DatabaseTransaction, read_set: &ReadSet, wait: Wait) -> Result<(), BatchError> {
    let backend = tx.get_database_backend();
    if backend != DbBackend::Postgres {
        return Ok(());
    }
    let directory = read_set.directory.then_some(0);
    let ids = directory.into_iter().chain(read_set.accounts.iter().map(|id| id.0));
    let keys: Vec<i64> = ids.map(postgres::lock_key).collect();
    let sql = match wait {
        Wait::Out => postgres::LOCK,
        Wait::Briefly => postgres::LOCK_BRIEFLY,
    };
    tx.query_all_raw(Statement::from_sql_and_values(backend, sql, [keys.into()])).await?;
    Ok(())
}

/// Those accounts, as far as there are any.
async fn accounts_of(
    tx: &DatabaseTransaction,
    ids: &BTreeSet<AccountId>,
) -> Result<Vec<Account>, BatchError> {
    use accounts::Column::AccountId;
    let backend = tx.get_database_backend();
    let mut found = Vec::new();
    if backend == DbBackend::Postgres {
        for these in one_of(backend, AccountId, ids.iter().map(|id| id.0).collect()) {
            for row in accounts::Entity::find().filter(these).all(tx).await? {
                found.push(Account::try_from(row)?);
            }
        }
        return Ok(found);
    }
    let ids: Vec<_> = ids.iter().map(|id| [id.0.into()]).collect();
    let in_short =
        filter::on_sqlite::<accounts::Entity, 1>(row::ACCOUNT_IN_SHORT, [AccountId], &ids);
    for statement in in_short {
        for row in tx.query_all_raw(statement).await? {
            let rest: String = row.try_get_by_index(2)?;
            let (uid, name) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            found.push(row::account_in_short(uid, name, &rest)?);
        }
    }
    Ok(found)
}

async fn load_keys(
    tx: &DatabaseTransaction,
    working_set: &mut WorkingSet,
    read_set: &mut ReadSet,
) -> Result<(), BatchError> {
    use api_keys::Column::{
        AccountId as Account, ActorId as Of, EndsAt, FirstUsedAt, KeyId, ReplacesKeyId, Succession,
    };
    let backend = tx.get_database_backend();
    let ids = read_set.codes.iter().map(|id| id.0).collect();
    for these in one_of(backend, recovery_codes::Column::AccountId, ids) {
        for row in recovery_codes::Entity::find().filter(these).all(tx).await? {
            working_set.load_code(AccountId(row.account_id), RecoveryCode::try_from(row)?);
        }
    }
    working_set.follow_codes(read_set);
    let ids = |keys: &BTreeSet<RowKey<roots_domain::model::id::KeyId>>| {
        keys.iter().map(|(account, id)| (account.0, id.0)).collect::<Vec<_>>()
    };
    // What has not ended for good is found by two ranges of an index.
    let holders = || read_set.key_holders.iter().map(|(account, id)| (account.0, id.0));
    let open_ended = || EndsAt.is_null();
    let ending = || EndsAt.gt(ApiKey::ENDED.micros());
    let mut these = ChunkedFilter::default();
    these.add_ids((Account, KeyId), ids(&read_set.keys).into_iter(), Condition::all);
    these.add_ids(
        (Account, ReplacesKeyId),
        ids(&read_set.keys_replaced).into_iter(),
        Condition::all,
    );
    these.add_ids((Account, Of), holders(), || Condition::all().add(open_ended()));
    these.add_ids((Account, Of), holders(), || Condition::all().add(ending()));
    for these in these.packed() {
        for row in api_keys::Entity::find().filter(these).all(tx).await? {
            working_set.load_key(AccountId(row.account_id), ApiKey::try_from(row)?);
        }
    }
    for (account, most) in &read_set.ended_keys {
        // As the index has it, and as `ApiKey::may_be_forgotten` says.
        let ended = Expr::cust("ends_at = 0");
        let is_used = Condition::any()
            .add(FirstUsedAt.is_not_null())
            .add(Succession.is_null())
            .add(Succession.eq(row::SUCCESSION_ROTATION));
        let ended = api_keys::Entity::find().filter(Account.eq(account.0)).filter(ended);
        let ended = ended.filter(is_used).order_by_asc(KeyId).limit(*most);
        for row in ended.all(tx).await? {
            working_set.load_key(AccountId(row.account_id), ApiKey::try_from(row)?);
        }
    }
    let columns = (actors::Column::AccountId, actors::Column::ActorId);
    let ids = read_set.actors.iter().map(|(account, id)| (account.0, id.0));
    for row in rows_by_id::<actors::Entity>(tx, columns, ids).await? {
        working_set.load_actor(AccountId(row.account_id), Actor::try_from(row)?);
    }
    Ok(())
}

async fn load_idempotency_records(
    tx: &DatabaseTransaction,
    working_set: &mut WorkingSet,
    read_set: &ReadSet,
) -> Result<(), BatchError> {
    use idempotency::Column::{AccountId as Account, ActorId as Actor, KeyMac};
    let mut wanted = BTreeMap::<_, Vec<Vec<u8>>>::new();
    for (account, actor, key) in &read_set.idempotency_records {
        wanted.entry((account.0, actor.0)).or_default().push(key.0.to_vec());
    }
    let mut these = ChunkedFilter::default();
    for ((account, actor), keys) in wanted {
        let of = || Condition::all().add(Account.eq(account)).add(Actor.eq(actor));
        these.add_list(of, KeyMac, keys);
    }
    for these in these.packed() {
        for row in idempotency::Entity::find().filter(these).all(tx).await? {
            working_set.load_idempotency_record(
                AccountId(row.account_id),
                IdempotencyRecord::try_from(row)?,
            );
        }
    }
    Ok(())
}

/// Which of the rows that come in have come in before.
async fn load_imported(
    tx: &DatabaseTransaction,
    working_set: &mut WorkingSet,
    read_set: &ReadSet,
) -> Result<(), BatchError> {
    use imports::Column::{AccountId as Account, Kind, Source, SourceId};
    let mut wanted = BTreeMap::<_, BTreeSet<i64>>::new();
    for (account, source, origin) in &read_set.imported {
        wanted.entry((*account, *source, origin.kind())).or_default().insert(origin.id());
    }
    let mut these = ChunkedFilter::default();
    for ((account, source, kind), ids) in wanted {
        let of = || {
            let of = Condition::all().add(Account.eq(account.0)).add(Source.eq(source.0));
            of.add(Kind.eq(kind))
        };
        these.add_list(of, SourceId, ids.into_iter().collect());
    }
    for these in these.packed() {
        for row in imports::Entity::find().filter(these).all(tx).await? {
            let (key, id) = row::imported(&row)?;
            working_set.load_imported(key, id);
        }
    }
    Ok(())
}

/// How many activities the actors have of the needed kinds; and where one is new to an actor, how
/// many kinds it has in all, of which there are few.
async fn load_kinds(
    tx: &DatabaseTransaction,
    memory: &mut AccountMemory,
    working_set: &mut WorkingSet,
    needed: BTreeSet<(AccountId, ActorId, ActivityType)>,
) -> Result<(), BatchError> {
    use tallies::Column::{AccountId as Account, ActorId as Actor, Count, Label, Subject};
    let mut kinds = BTreeMap::<_, Kinds>::new();
    let mut wanted = BTreeMap::<_, Vec<ActivityType>>::new();
    for (account, actor, kind) in needed {
        let of = (account, actor);
        let known = kinds.entry(of).or_insert_with(|| memory.take_kinds(of));
        if !known.counts.contains_key(&kind) {
            wanted.entry(of).or_default().push(kind);
        }
    }
    let of = |(account, actor): (AccountId, ActorId)| {
        Condition::all().add(Account.eq(account.0)).add(Actor.eq(actor.0))
    };
    let counted = || {
        tallies::Entity::find()
            .filter(Subject.eq(row::COUNTER_ACTIVITIES))
            .filter(Count.gt(0))
            .select_only()
    };
    let rows = wanted.iter().flat_map(|((account, actor), labels)| {
        labels.iter().map(|label| {
            let subject = row::COUNTER_ACTIVITIES.into();
            [account.0.into(), actor.0.into(), subject, label.as_str().into()]
        })
    });
    let columns = [Account, Actor, Subject, Label];
    let of_one = || {
        let mut these = ChunkedFilter::default();
        for (actor, labels) in &wanted {
            let of = || of(*actor).add(Subject.eq(row::COUNTER_ACTIVITIES));
            let labels = labels.iter().map(|label| label.as_str().to_owned());
            these.add_list(of, Label, labels.collect());
        }
        these.packed()
    };
    let found = look_up::<tallies::Entity, 4>(tx, columns, rows.collect(), of_one).await?;
    for row in found.into_iter().filter(|row| row.count > 0) {
        let present = kinds.entry((AccountId(row.account_id), ActorId(row.actor_id))).or_default();
        present.counts.insert(row::activity_type(row.label)?, row.count);
    }
    let mut incomplete = ChunkedFilter::default();
    for (actor, labels) in &wanted {
        let lacks = |kinds: &Kinds| labels.iter().any(|label| !kinds.counts.contains_key(label));
        if kinds.get(actor).is_some_and(lacks) {
            incomplete.add(of(*actor));
        }
    }
    for incomplete in incomplete.packed() {
        let totals = counted()
            .columns([Account, Actor])
            .expr(Label.count())
            .filter(incomplete)
            .group_by(Account)
            .group_by(Actor);
        for (account, actor, total) in totals.into_tuple::<(i64, i64, i64)>().all(tx).await? {
            kinds.entry((AccountId(account), ActorId(actor))).or_default().total = total;
        }
    }
    for ((account, actor), kinds) in kinds {
        working_set.load_kinds(account, actor, kinds);
    }
    Ok(())
}

async fn write(tx: &DatabaseTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    let is_usual =
        write_set.forgotten.is_empty() && write_set.erased.is_empty() && write_set.swept.is_empty();
    if !is_usual && tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared(postgres::PLAN_ANEW).await?;
    }
    for (account, at) in &write_set.erased {
        erase::end(tx, *account, *at).await?;
    }
    for (account, at) in &write_set.swept {
        erase::sweep(tx, *account, *at).await?;
    }
    write_accounts(tx, write_set).await?;
    put(tx, write_set.sessions.written().map(row::session_row), NewerBy(sessions::Column::Version))
        .await?;
    put(tx, write_set.todos.written().map(row::todo_row), NewerBy(todos::Column::Version)).await?;
    put(tx, write_set.logs.iter().map(row::log_row), New).await?;
    put(tx, write_set.activities.written().map(row::activity_row), New).await?;
    put(tx, write_set.ledger.iter().map(row::ledger_row), New).await?;
    put(tx, write_set.imported.iter().map(row::import_row), New).await?;
    put(tx, write_set.audit_log.iter().map(row::audit_row), New).await?;
    let records = write_set
        .idempotency_records
        .iter()
        .map(row::idempotency_row)
        .collect::<Result<Vec<_>, _>>()?;
    // The younger answer overwrites one that has expired.
    put(tx, records.into_iter(), NewerBy(idempotency::Column::CreatedAt)).await?;
    for (account, before) in &write_set.forgotten {
        forget_idempotency_records(tx, account.0, before.micros()).await?;
    }
    write_counters(tx, write_set).await?;
    write_spans(tx, write_set).await?;
    put(tx, write_set.calls.iter().map(row::usage_row), Adding(usage::Column::Calls)).await?;
    unlink::write(tx, write_set).await?;
    let deleted = write_set.activities.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (activities::Column::AccountId, activities::Column::ActivityId);
    delete::<activities::Entity>(tx, columns, deleted).await?;
    let deleted = write_set.todos.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (todos::Column::AccountId, todos::Column::TodoId);
    delete::<todos::Entity>(tx, columns, deleted).await?;
    let deleted = write_set.sessions.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (sessions::Column::AccountId, sessions::Column::SessionId);
    delete::<sessions::Entity>(tx, columns, deleted).await
}

async fn write_accounts(tx: &DatabaseTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    if let Some(Directory { last_account, accounts, installation }) = write_set.directory {
        let updated = directory::Entity::update_many()
            .col_expr(directory::Column::LastAccountId, Expr::value(last_account))
            .col_expr(directory::Column::Accounts, Expr::value(accounts))
            .col_expr(directory::Column::Installation, Expr::value(installation.map(|id| id.0)))
            .exec(tx)
            .await?;
        expect_rows("directory", 1, updated.rows_affected)?;
    }
    put(tx, write_set.accounts_founded.iter().map(accounts::Model::from), New).await?;
    let moved = write_set.accounts_changed.iter().map(accounts::Model::from);
    put(tx, moved, NewerBy(accounts::Column::Version)).await?;
    write_keys(tx, write_set).await
}

async fn write_keys(tx: &DatabaseTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    put(tx, write_set.actors.written().map(row::actor_row), InPlace).await?;
    let deleted = write_set.keys.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (api_keys::Column::AccountId, api_keys::Column::KeyId);
    delete::<api_keys::Entity>(tx, columns, deleted).await?;
    put(tx, write_set.keys.written().map(row::key_row), InPlace).await?;
    let deleted = write_set.codes.deleted.iter().map(|(account, id)| (account.0, id.0));
    let columns = (recovery_codes::Column::AccountId, recovery_codes::Column::RecoveryId);
    delete::<recovery_codes::Entity>(tx, columns, deleted).await?;
    put(tx, write_set.codes.written().map(row::code_row), InPlace).await?;
    empty_holders(tx, &write_set.holders_emptied).await?;
    put(tx, write_set.wraps.iter().map(row::wrap_row), New).await
}

/// Deletes whatever those holders open.
async fn empty_holders(
    tx: &DatabaseTransaction,
    holders: &BTreeSet<RowKey<WrapHolder>>,
) -> Result<(), BatchError> {
    use key_wraps::Column::{AccountId as Account, HolderEpoch, HolderId, HolderKind};
    let mut ids = BTreeMap::<_, Vec<i64>>::new();
    for (account, holder) in holders {
        let (kind, id, epoch) = row::holder(*holder);
        ids.entry((account.0, kind, epoch)).or_default().push(id);
    }
    let mut these = ChunkedFilter::default();
    for ((account, kind, epoch), ids) in ids {
        let of = || {
            let of = Condition::all().add(Account.eq(account)).add(HolderKind.eq(kind));
            of.add(HolderEpoch.eq(epoch))
        };
        these.add_list(of, HolderId, ids);
    }
    for these in these.packed() {
        key_wraps::Entity::delete_many().filter(these).exec(tx).await?;
    }
    Ok(())
}

/// Writes rows, and checks that each was written.
async fn put<M: ModelTrait>(
    tx: &DatabaseTransaction,
    rows: impl Iterator<Item = M>,
    on_conflict: OnConflict<<M::Entity as EntityTrait>::Column>,
) -> Result<(), BatchError> {
    let rows: Vec<_> = rows.collect();
    for rows in rows.chunks(upsert::rows_max::<M>()) {
        let statement = upsert::statement(tx.get_database_backend(), rows, on_conflict);
        let met = tx.execute_raw(statement).await?.rows_affected();
        expect_rows(M::Entity::default().table_name(), rows.len() as u64, met)?;
    }
    Ok(())
}

/// Every write checks how many rows it met. A row that was not met where it was loaded under the
/// account's lock was moved by someone without it: try again from the start.
fn expect_rows(table: &str, expected: u64, met: u64) -> Result<(), BatchError> {
    if expected == met {
        return Ok(());
    }
    Err(BatchError::Contended(format!("{table}: {met} rows written instead of {expected}")))
}

async fn write_counters(tx: &DatabaseTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    use tallies::Column::{AccountId as Account, ActorId, Count, Label, Subject};
    let moves = || write_set.counters.iter();
    let rows =
        moves().map(|((account, counter), moved)| row::counter_row(*account, counter, *moved));
    put(tx, rows, Adding(Count)).await?;
    // Counts of activity types are swept at zero, since types come and go; the rest are few.
    let mut emptied = ChunkedFilter::default();
    for ((account, counter), _) in moves().filter(|(_, moved)| **moved < 0) {
        let row = row::counter_row(*account, counter, 0);
        if row.subject == row::COUNTER_ACTIVITIES {
            emptied.add(
                Condition::all()
                    .add(Account.eq(row.account_id))
                    .add(ActorId.eq(row.actor_id))
                    .add(Subject.eq(row.subject))
                    .add(Label.eq(row.label)),
            );
        }
    }
    sweep::<tallies::Entity>(tx, emptied, Count).await
}

/// Counts by quarter hours, and what those add up to by days: most questions are for days.
async fn write_spans(tx: &DatabaseTransaction, write_set: &WriteSet) -> Result<(), BatchError> {
    let rows = || {
        write_set
            .quarter_hours
            .iter()
            .map(|((of, it), moved)| row::quarter_hour_row(*of, it, *moved))
    };
    put(tx, rows(), Adding(activity_quarters::Column::Count)).await?;
    let mut emptied = ChunkedFilter::default();
    for row in rows().filter(|row| row.count < 0) {
        use activity_quarters::Column::{AccountId, ActivityType, ActorId, Quarter};
        emptied.add(
            Condition::all()
                .add(AccountId.eq(row.account_id))
                .add(ActorId.eq(row.actor_id))
                .add(Quarter.eq(row.quarter))
                .add(ActivityType.eq(row.activity_type)),
        );
    }
    sweep::<activity_quarters::Entity>(tx, emptied, activity_quarters::Column::Count).await?;

    let mut days = BTreeMap::new();
    for row in rows() {
        let day = QuarterHour(row.quarter).day().0;
        *days.entry((row.account_id, row.actor_id, day, row.activity_type)).or_insert(0) +=
            row.count;
    }
    days.retain(|_, moved| *moved != 0);
    let rows = || {
        days.iter().map(|((account_id, actor_id, day, activity_type), count)| {
            activity_daily::Model {
                account_id: *account_id,
                actor_id: *actor_id,
                day: *day,
                activity_type: activity_type.clone(),
                count: *count,
            }
        })
    };
    put(tx, rows(), Adding(activity_daily::Column::Count)).await?;
    let mut emptied = ChunkedFilter::default();
    for row in rows().filter(|row| row.count < 0) {
        use activity_daily::Column::{AccountId, ActivityType, ActorId, Day};
        emptied.add(
            Condition::all()
                .add(AccountId.eq(row.account_id))
                .add(ActorId.eq(row.actor_id))
                .add(Day.eq(row.day))
                .add(ActivityType.eq(row.activity_type)),
        );
    }
    sweep::<activity_daily::Entity>(tx, emptied, activity_daily::Column::Count).await
}

async fn sweep<E: EntityTrait>(
    tx: &DatabaseTransaction,
    emptied: ChunkedFilter,
    count: E::Column,
) -> Result<(), BatchError> {
    for emptied in emptied.packed() {
        E::delete_many().filter(count.eq(0)).filter(emptied).exec(tx).await?;
    }
    Ok(())
}

/// Forgets the oldest idempotency records of an account from before then, so many at most.
async fn forget_idempotency_records(
    tx: &DatabaseTransaction,
    account: i64,
    before: i64,
) -> Result<(), BatchError> {
    let sql = "DELETE FROM idempotency WHERE account_id = $1 AND (actor_id, key_mac) IN \
               (SELECT actor_id, key_mac FROM idempotency \
               WHERE account_id = $1 AND created_at < $2 ORDER BY created_at LIMIT $3)";
    let values = [account.into(), before.into(), i64::from(FORGET_MAX_ROWS).into()];
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
    Ok(())
}

async fn delete<E: EntityTrait>(
    tx: &DatabaseTransaction,
    columns: (E::Column, E::Column),
    rows: impl ExactSizeIterator<Item = (i64, i64)>,
) -> Result<(), BatchError> {
    let expected = rows.len() as u64;
    let mut met = 0;
    for these in by_id(columns, rows) {
        met += E::delete_many().filter(these).exec(tx).await?.rows_affected;
    }
    expect_rows(E::default().table_name(), expected, met)
}

/// The rows of those accounts and ids.
async fn rows_by_id<E: Shown>(
    tx: &DatabaseTransaction,
    columns: (E::Column, E::Column),
    rows: impl Iterator<Item = (i64, i64)>,
) -> Result<Vec<E::Model>, BatchError> {
    let ids: Vec<_> = rows.collect();
    let rows = ids.iter().map(|(account, id)| [(*account).into(), (*id).into()]).collect();
    let of_one = || by_id(columns, ids.iter().copied());
    look_up::<E, 2>(tx, columns.into(), rows, of_one).await
}

/// The rows that have such values in these columns, of which the first one is the account. Where all are
/// of one account, PostgreSQL is asked for them as `of_one` says: by its id, so that tables spread by
/// accounts are asked in one place, and by plain values, which a lone row is found by sooner.
async fn look_up<E: Shown, const N: usize>(
    tx: &DatabaseTransaction,
    columns: [E::Column; N],
    rows: Vec<[Value; N]>,
    of_one: impl FnOnce() -> Vec<Condition>,
) -> Result<Vec<E::Model>, BatchError> {
    let backend = tx.get_database_backend();
    let mut found = Vec::new();
    let is_of_one = rows.iter().all(|row| row[0] == rows[0][0]);
    if is_of_one && backend == DbBackend::Postgres {
        for these in of_one() {
            found.extend(E::shown().filter(these).all(tx).await?);
        }
        return Ok(found);
    }
    for statement in filter::look_ups::<E, N>(backend, columns, &rows) {
        found.extend(E::Model::find_by_statement(statement).all(tx).await?);
    }
    Ok(found)
}

/// What finds those rows.
fn by_id<C: ColumnTrait>(
    columns: (C, C),
    rows: impl Iterator<Item = (i64, i64)>,
) -> Vec<Condition> {
    let mut these = ChunkedFilter::default();
    these.add_ids(columns, rows, Condition::all);
    these.packed()
}

#[cfg(test)]
mod tests;
