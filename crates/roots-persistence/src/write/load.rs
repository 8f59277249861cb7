//! Loads the rows that the commands of a batch depend on.

use std::collections::{BTreeMap, BTreeSet};

use roots_domain::command::{Command, IdempotencyRecord};
use roots_domain::decide::{ActivityTypes, Directory, ReadSet, RowKey, WorkingSet};
use roots_domain::model::account::{Account, AccountKind, AccountStatus, Actor};
use roots_domain::model::activity::Activity;
use roots_domain::model::api_key::{ApiKey, RecoveryCode};
use roots_domain::model::deadline::Deadline;
use roots_domain::model::id::{AccountId, ActorId, SessionId};
use roots_domain::model::session::{Session, SessionActivity};
use roots_domain::model::sign_in::SignIn;
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{Priority, Todo};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, Statement, Value,
};

use super::claims;
use super::filter::{self, ChunkedFilter, one_of};
use super::memory::AccountMemory;
use super::transaction::BatchTransaction;
use crate::errors::BatchError;
use crate::table::shown::Shown;
use crate::table::{
    accounts, activities, actors, api_keys, claim_deadlines, counters, directory, idempotency,
    imports, recovery_codes, session_activity, sessions, sign_ins, todos,
};

/// The working set in which a command would be decided now. It takes no lock and writes nothing.
pub(crate) async fn look(
    tx: &BatchTransaction,
    command: &Command,
) -> Result<WorkingSet, BatchError> {
    let commands = std::slice::from_ref(command);
    read(tx, &mut AccountMemory::default(), commands, ReadSet::of(commands), None).await
}

/// Loads what commands depend on, once their accounts are locked.
pub(super) async fn load(
    tx: &BatchTransaction,
    memory: &mut AccountMemory,
    commands: &[Command],
    read_set: ReadSet,
    shared_now: Timestamp,
) -> Result<WorkingSet, BatchError> {
    let mut working_set = read(tx, memory, commands, read_set, Some(shared_now)).await?;
    working_set.set_shared_now(shared_now);
    Ok(working_set)
}

/// Reads what commands depend on, except what is remembered. Claims need the time by which leases
/// are judged.
async fn read(
    tx: &BatchTransaction,
    memory: &mut AccountMemory,
    commands: &[Command],
    mut read_set: ReadSet,
    now: Option<Timestamp>,
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
    load_sign_ins(tx, &mut working_set, &read_set).await?;
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
    if let Some(now) = now {
        let lapsed =
            claims::load_candidates(tx, &mut working_set, &read_set, commands, now).await?;
        let columns = (todos::Column::AccountId, todos::Column::TodoId);
        let ids = lapsed.iter().map(|(account, id)| (account.0, id.0));
        for row in rows_by_id::<todos::Entity>(tx, columns, ids).await? {
            working_set.load_todo(AccountId(row.account_id), Todo::try_from(row)?);
        }
    }
    let columns = (claim_deadlines::Column::AccountId, claim_deadlines::Column::TodoId);
    let claimed = working_set.claimed_todos();
    let ids = claimed.iter().map(|(account, id)| (account.0, id.0));
    for row in rows_by_id::<claim_deadlines::Entity>(tx, columns, ids).await? {
        working_set.load_deadline(AccountId(row.account_id), Deadline::try_from(row)?);
    }
    let touched = working_set.sessions_to_touch(&read_set);
    let columns = (session_activity::Column::AccountId, session_activity::Column::SessionId);
    let ids = touched.iter().map(|(account, id)| (account.0, id.0));
    for row in rows_by_id::<session_activity::Entity>(tx, columns, ids).await? {
        let account = AccountId(row.account_id);
        working_set.load_session_activity(account, SessionActivity::from(row));
    }
    load_newest_entries(tx, &mut working_set, &read_set.newest_entries).await?;
    load_idempotency_records(tx, &mut working_set, &read_set).await?;
    let activity_types = working_set.activity_types_to_count(&read_set);
    load_activity_types(tx, memory, &mut working_set, activity_types).await?;
    Ok(working_set)
}

/// Those accounts that exist.
async fn accounts_of(
    tx: &BatchTransaction,
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
    for statement in filter::look_ups::<accounts::Entity, 1>(tx.dialect, [AccountId], &ids) {
        for row in accounts::Model::find_by_statement(statement).all(tx).await? {
            found.push(Account::try_from(row)?);
        }
    }
    Ok(found)
}

async fn load_keys(
    tx: &BatchTransaction,
    working_set: &mut WorkingSet,
    read_set: &mut ReadSet,
) -> Result<(), BatchError> {
    use api_keys::Column::{
        AccountId as Account, ActorId as Of, FirstUsedAt, IsEnded, KeyId, ReplacesKeyId, Succession,
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
    let holders = read_set.key_holders.iter().map(|(account, id)| (account.0, id.0));
    let not_ended = || Condition::all().add(IsEnded.eq(0_i16));
    let mut these = ChunkedFilter::default();
    these.add_ids((Account, KeyId), ids(&read_set.keys).into_iter(), Condition::all);
    these.add_ids(
        (Account, ReplacesKeyId),
        ids(&read_set.keys_replaced).into_iter(),
        Condition::all,
    );
    these.add_ids((Account, Of), holders, not_ended);
    for these in these.packed() {
        for row in api_keys::Entity::find().filter(these).all(tx).await? {
            working_set.load_key(AccountId(row.account_id), ApiKey::try_from(row)?);
        }
    }
    for (account, most) in &read_set.ended_keys {
        // The condition of the index, which matches `ApiKey::may_be_forgotten`.
        let ended = Expr::cust("is_ended = 1");
        let is_used = Condition::any()
            .add(FirstUsedAt.is_not_null())
            .add(Succession.is_null())
            .add(Succession.eq(api_keys::SUCCESSION_ROTATION));
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

async fn load_sign_ins(
    tx: &BatchTransaction,
    working_set: &mut WorkingSet,
    read_set: &ReadSet,
) -> Result<(), BatchError> {
    use sign_ins::Column::{AccountId as Account, ActorId as Of, SignInId};
    let ids = read_set.sign_ins.iter().map(|(account, id)| (account.0, id.0));
    let actors = read_set.signed_in.iter().map(|(account, id)| (account.0, id.0));
    let mut these = ChunkedFilter::default();
    these.add_ids((Account, SignInId), ids, Condition::all);
    these.add_ids((Account, Of), actors, Condition::all);
    for these in these.packed() {
        for row in sign_ins::Entity::find().filter(these).all(tx).await? {
            working_set.load_sign_in(AccountId(row.account_id), SignIn::try_from(row)?);
        }
    }
    Ok(())
}

/// Loads when the newest entry of each of these sessions was: a few look-ups in an index for each.
async fn load_newest_entries(
    tx: &BatchTransaction,
    working_set: &mut WorkingSet,
    sessions: &BTreeSet<RowKey<SessionId>>,
) -> Result<(), BatchError> {
    let backend = tx.get_database_backend();
    // The index of a session's todos begins with the priority.
    let of_todos = Priority::ALL.map(|priority| {
        format!(
            "SELECT MAX(created_at) AS at FROM todos WHERE account_id = $1 AND session_id = $2 \
             AND priority = {}",
            priority.level()
        )
    });
    let of_activities = "SELECT MAX(logged_at) AS at FROM activities WHERE account_id = $1 \
                         AND session_id = $2";
    let sql = format!(
        "SELECT MAX(at) FROM ({} UNION ALL {of_activities}) AS entries",
        of_todos.join(" UNION ALL ")
    );
    for (account, session) in sessions {
        let values = [account.0.into(), session.0.into()];
        let asked = Statement::from_sql_and_values(backend, &sql, values);
        let row = tx.query_one_raw(asked).await?;
        let newest: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        if let Some(newest) = newest {
            working_set.load_newest_entry((*account, *session), Timestamp::from_micros(newest));
        }
    }
    Ok(())
}

async fn load_idempotency_records(
    tx: &BatchTransaction,
    working_set: &mut WorkingSet,
    read_set: &ReadSet,
) -> Result<(), BatchError> {
    use idempotency::Column::{AccountId as Account, ActorId as Actor, KeyMac};
    let rows = read_set
        .idempotency_records
        .iter()
        .map(|(account, actor, key)| [account.0.into(), actor.0.into(), key.0.to_vec().into()]);
    let (columns, rows) = ([Account, Actor, KeyMac], rows.collect::<Vec<_>>());
    for row in look_up::<idempotency::Entity, 3>(tx, columns, &rows).await? {
        let account = AccountId(row.account_id);
        working_set.load_idempotency_record(account, IdempotencyRecord::try_from(row)?);
    }
    Ok(())
}

/// Loads which of the imported rows were imported before.
async fn load_imported(
    tx: &BatchTransaction,
    working_set: &mut WorkingSet,
    read_set: &ReadSet,
) -> Result<(), BatchError> {
    let rows: Vec<_> = read_set.imported.iter().map(imports::values).collect();
    for row in look_up::<imports::Entity, 4>(tx, imports::KEY, &rows).await? {
        let (key, id) = row.try_into()?;
        working_set.load_imported(key, id);
    }
    Ok(())
}

/// Loads how many activities of the needed types the actors have and, if a type is new to an actor,
/// how many types it has in all, which are few.
async fn load_activity_types(
    tx: &BatchTransaction,
    memory: &mut AccountMemory,
    working_set: &mut WorkingSet,
    needed: BTreeSet<(AccountId, ActorId, ActivityType)>,
) -> Result<(), BatchError> {
    use counters::Column::{AccountId as Account, ActorId as Actor, Count, Label, Subject};
    let mut activity_types = BTreeMap::<_, ActivityTypes>::new();
    let mut wanted = BTreeMap::<_, Vec<ActivityType>>::new();
    for (account, actor, activity_type) in needed {
        let of = (account, actor);
        let known = activity_types.entry(of).or_insert_with(|| memory.take_activity_types(of));
        if !known.counts.contains_key(&activity_type) {
            wanted.entry(of).or_default().push(activity_type);
        }
    }
    let of = |(account, actor): (AccountId, ActorId)| {
        Condition::all().add(Account.eq(account.0)).add(Actor.eq(actor.0))
    };
    let counted = || {
        counters::Entity::find()
            .filter(Subject.eq(counters::SUBJECT_ACTIVITIES))
            .filter(Count.gt(0))
            .select_only()
    };
    let rows = wanted.iter().flat_map(|((account, actor), labels)| {
        labels.iter().map(|label| {
            let subject = counters::SUBJECT_ACTIVITIES.into();
            [account.0.into(), actor.0.into(), subject, label.as_str().into()]
        })
    });
    let columns = [Account, Actor, Subject, Label];
    let rows: Vec<_> = rows.collect();
    let found = look_up::<counters::Entity, 4>(tx, columns, &rows).await?;
    for row in found.into_iter().filter(|row| row.count > 0) {
        let present =
            activity_types.entry((AccountId(row.account_id), ActorId(row.actor_id))).or_default();
        present.counts.insert(activities::activity_type(row.label)?, row.count);
    }
    let mut incomplete = ChunkedFilter::default();
    for (actor, labels) in &wanted {
        let lacks = |of: &ActivityTypes| labels.iter().any(|label| !of.counts.contains_key(label));
        if activity_types.get(actor).is_some_and(lacks) {
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
            activity_types.entry((AccountId(account), ActorId(actor))).or_default().total = total;
        }
    }
    for ((account, actor), present) in activity_types {
        working_set.load_activity_types(account, actor, present);
    }
    Ok(())
}

/// The rows with those accounts and ids.
async fn rows_by_id<E: Shown>(
    tx: &BatchTransaction,
    columns: (E::Column, E::Column),
    rows: impl Iterator<Item = (i64, i64)>,
) -> Result<Vec<E::Model>, BatchError> {
    let rows: Vec<_> = rows.map(|(account, id)| [account.into(), id.into()]).collect();
    look_up::<E, 2>(tx, columns.into(), &rows).await
}

/// The rows with these values in these columns, the first of which is the account.
async fn look_up<E: Shown, const N: usize>(
    tx: &BatchTransaction,
    columns: [E::Column; N],
    rows: &[[Value; N]],
) -> Result<Vec<E::Model>, BatchError> {
    let mut found = Vec::new();
    for statement in filter::look_ups::<E, N>(tx.dialect, columns, rows) {
        found.extend(E::Model::find_by_statement(statement).all(tx).await?);
    }
    Ok(found)
}
