//! Random commands, decided one by one and in batches, leave what the reference model says.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::claim::{ClaimToken, LeaseSeconds};
use crate::model::import::{Import, ImportRow, Origin};
use crate::reference_model::{ReferenceModel, counts};

mod random_commands;

type Decided = Result<Applied, Refusal>;
/// Each account with its rows.
type AccountModels = BTreeMap<AccountId, ReferenceModel>;

/// An actor's keys, one for each state that a key may be in when its command is decided: in force,
/// in force for one more day, revoked, or another actor's.
fn keys_of(actor: ActorId) -> [ApiKey; 4] {
    let key = |number| ApiKey {
        id: KeyId(10 * actor.0 + number),
        actor,
        lookup: LookupHash([0; 32]),
        prefix: String::new(),
        label: None,
        created_at: at(0),
        last_used: None,
        expires_at: None,
        status: KeyStatus::Current,
        succession: None,
        first_used_at: None,
    };
    [
        key(0),
        ApiKey { expires_at: Some(at(DAY_SECONDS)), ..key(1) },
        ApiKey { status: KeyStatus::Ended, ..key(2) },
        ApiKey { actor: ActorId(99), ..key(3) },
    ]
}

/// Two accounts with a few rows and that many credits, the second perhaps suspended.
fn accounts_with(credits: [i64; 2], suspended: bool) -> AccountModels {
    let keys = [ME, PEER].into_iter().flat_map(keys_of);
    let keys: BTreeMap<_, _> = keys.map(|key| (key.id, key)).collect();
    let mut accounts = AccountModels::new();
    for (id, credits) in [HOME, ABROAD].into_iter().zip(credits) {
        let model = ReferenceModel::new(id, EPOCH, credits, at(0));
        accounts.insert(id, ReferenceModel { keys: keys.clone(), ..model });
    }
    for (account, actor, action) in [
        (HOME, ME, start()),
        (HOME, ME, start()),
        (HOME, PEER, start()),
        (HOME, ME, new_todo(Some(SessionId(1)))),
        (HOME, ME, new_todo(None)),
        (HOME, PEER, new_todo(Some(SessionId(3)))),
        (HOME, ME, log("deploy", Some(SessionId(2)))),
        (HOME, PEER, log("deploy", None)),
        (ABROAD, ME, start()),
        (ABROAD, ME, new_todo(Some(SessionId(1)))),
        (ABROAD, ME, log("review", Some(SessionId(1)))),
    ] {
        let bearer = KeyBearer { account, ..bearer(actor) };
        let action = Action::Resource(bearer, naming(actor, action));
        expect(&mut accounts, &Command::uncharged(action, at(DAY_SECONDS))).unwrap();
    }
    if suspended {
        accounts.get_mut(&ABROAD).unwrap().account.status = AccountStatus::Suspended;
    }
    accounts
}

/// The answer that the model expects to a command.
fn expect(accounts: &mut AccountModels, command: &Command) -> Decided {
    let account = command.account().unwrap();
    accounts.get_mut(&account).ok_or(Refusal::NoSuchAccount(account))?.expect(command)
}

/// The first `most` todos that a claim takes, by its order.
fn first_todos<'a>(
    rows: impl Iterator<Item = &'a Todo<Sealed>>,
    most: u64,
) -> impl Iterator<Item = TodoId> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|row| {
        let due_at = row.content.due_at;
        let priority = std::cmp::Reverse(row.content.priority);
        (priority, due_at.is_none(), due_at, row.created_at, row.id)
    });
    rows.into_iter().map(|row| row.id).take(usize::try_from(most).unwrap())
}

/// The candidates of claims, as a database finds them: the first open ones, and the first lapsed
/// ones of each session that the batch names, and of all others.
fn candidates(
    rows: &ReferenceModel,
    scope: ClaimScope,
    most: u64,
    named: &BTreeSet<SessionId>,
) -> BTreeSet<TodoId> {
    let of_scope = || {
        let of_actor = rows.todos.values().filter(move |row| row.actor == scope.actor);
        of_actor.filter(move |row| row.content.priority >= scope.min_priority)
    };
    let open = of_scope().filter(|row| row.status == TodoStatus::Open);
    let open: Vec<_> = first_todos(open, most).collect();
    // Where there are enough open ones, lapsed ones of their lowest priority are not reached.
    let is_enough = open.len() as u64 >= most;
    let lowest = open.last().filter(|_| is_enough).map(|id| rows.todos[id].content.priority);
    let lapsed = || {
        let above = |row: &&Todo<_>| lowest.is_none_or(|lowest| row.content.priority > lowest);
        of_scope().filter(above).filter(|row| rows.has_lapsed(row, at(0)))
    };
    let session = |row: &Todo<_>| rows.deadlines.get(&row.id).and_then(|row| row.session);
    let others = lapsed().filter(|row| session(row).is_none_or(|of| !named.contains(&of)));
    let of_named = named
        .iter()
        .flat_map(|named| first_todos(lapsed().filter(|row| session(row) == Some(*named)), most));
    let others = first_todos(others, most);
    open.into_iter().chain(others).chain(of_named).collect()
}

/// Loads only the rows that the commands' read set names.
fn load(rows: &AccountModels, commands: &[Command], shared_now: Timestamp) -> WorkingSet {
    let mut read_set = ReadSet::of(commands);
    let mut working_set = WorkingSet::default();
    working_set.set_shared_now(shared_now);
    for id in &read_set.accounts {
        let found = rows.get(id).into_iter();
        found.for_each(|row| working_set.load_account(row.account.clone()));
    }
    working_set.check_again(commands, &mut read_set);
    for (home, id) in &read_set.keys {
        working_set.load_key(*home, rows[home].keys[id].clone());
    }
    for (home, id) in &read_set.actors {
        working_set.load_actor(*home, Actor { id: *id, ..accounts::owner() });
    }
    for key @ (home, source, origin) in &read_set.imported {
        let found = rows[home].imported.get(&(*source, *origin)).into_iter();
        found.for_each(|id| working_set.load_imported(*key, *id));
    }
    working_set.follow_imports(commands, &mut read_set);
    for (home, id) in &read_set.sessions {
        let found = rows[home].sessions.get(id).into_iter();
        found.for_each(|row| working_set.load_session(*home, row.clone()));
    }
    for (home, id) in &read_set.todos {
        let found = rows[home].todos.get(id).into_iter();
        found.for_each(|row| working_set.load_todo(*home, row.clone()));
    }
    let named = working_set.sessions_to_touch(&read_set);
    for (scope, most) in working_set.claim_candidates(commands, &read_set) {
        let home = scope.account;
        let named = named.iter().filter(|(of, _)| *of == home).map(|(_, id)| *id).collect();
        for id in candidates(&rows[&home], scope, most, &named) {
            working_set.load_todo(home, rows[&home].todos[&id].clone());
        }
    }
    for (home, id) in working_set.claimed_todos() {
        working_set.load_deadline(home, rows[&home].deadlines[&id]);
    }
    for (home, id) in working_set.sessions_to_touch(&read_set) {
        let found = rows[&home].activity.get(&id).into_iter();
        found.for_each(|row| working_set.load_session_activity(home, *row));
    }
    for (home, id) in &read_set.activities {
        let found = rows[home].activities.get(id).into_iter();
        found.for_each(|row| working_set.load_activity(*home, row.clone()));
    }
    for (home, actor, _) in &read_set.activity_types {
        let own = rows[home].activities.values().filter(|row| row.actor == *actor);
        let counts = counts(own.map(|row| row.activity_type.clone()));
        let total = i64::try_from(counts.len()).unwrap();
        working_set.load_activity_types(*home, *actor, ActivityTypes { counts, total });
    }
    working_set
}

/// The counters that a database keeps beside its rows.
#[derive(Debug, Clone, PartialEq)]
struct Counts {
    counters: BTreeMap<(AccountId, Counter), i64>,
    quarter_hours: BTreeMap<(AccountId, QuarterHourCounter), i64>,
    work: BTreeMap<(AccountId, WorkCounter), WorkCounts>,
}

impl Counts {
    fn of(rows: &AccountModels) -> Self {
        fn keyed<K>(
            id: AccountId,
            of: BTreeMap<K, i64>,
        ) -> impl Iterator<Item = ((AccountId, K), i64)> {
            of.into_iter().map(move |(key, count)| ((id, key), count))
        }
        let counters = rows.iter().flat_map(|(id, rows)| keyed(*id, rows.counters()));
        let quarter_hours = rows.iter().flat_map(|(id, rows)| keyed(*id, rows.quarter_hours()));
        let work = rows.iter().flat_map(|(id, rows)| {
            rows.work().into_iter().map(|(counter, counts)| ((*id, counter), counts))
        });
        Self {
            counters: counters.collect(),
            quarter_hours: quarter_hours.collect(),
            work: work.collect(),
        }
    }
}

/// A database that applies write sets, and checks that each write finds its row. It unlinks rows of
/// a deleted session later, one row a step, and shows them as unlinked until then.
#[derive(Debug, Clone)]
struct Disk {
    rows: AccountModels,
    counts: Counts,
    unlinking: BTreeSet<RowKey<SessionId>>,
}

impl Disk {
    fn of(&mut self, home: AccountId) -> &mut ReferenceModel {
        self.rows.get_mut(&home).unwrap()
    }

    /// The rows as everyone reads them.
    fn shown(&self) -> AccountModels {
        let mut shown = self.rows.clone();
        for (home, id) in &self.unlinking {
            shown.get_mut(home).unwrap().unlink(*id);
        }
        shown
    }

    /// Unlinks one row.
    fn step(&mut self) {
        let Some((home, id)) = self.unlinking.first().copied() else { return };
        let rows = self.of(home);
        let todo = rows.todos.values_mut().find(|row| row.content.session == Some(id));
        let activity = rows.activities.values_mut().find(|row| row.session == Some(id));
        if let Some(row) = todo {
            (row.content.session, row.version) = (None, row.version + 1);
        } else if let Some(row) = activity {
            (row.session, row.version) = (None, row.version + 1);
        } else {
            self.unlinking.remove(&(home, id));
        }
    }

    fn write(&mut self, write_set: WriteSet) {
        let WriteSet { accounts_changed, sessions, todos, activities, unlinked, .. } = write_set;
        assert_eq!(unlinked, []);
        self.unlinking.extend(sessions.deleted.iter().copied());
        for row in accounts_changed {
            let stood = &mut self.of(row.id).account;
            assert_eq!(row.version, stood.version + 1, "the version guards the write");
            *stood = row;
        }
        for (home, activity) in write_set.session_activity.written() {
            self.of(*home).activity.insert(activity.session, *activity);
        }
        for (home, id) in write_set.session_activity.deleted {
            self.of(home).activity.remove(&id).unwrap();
        }
        for (home, deadline) in write_set.deadlines.written() {
            self.of(*home).deadlines.insert(deadline.todo, *deadline);
        }
        for (home, id) in write_set.deadlines.deleted {
            self.of(home).deadlines.remove(&id).unwrap();
        }
        for ((home, id), at) in write_set.claims_left {
            self.of(home).leave_claims(id, at);
        }
        let gone = todos.deleted.clone();
        self.write_table(sessions, |rows| &mut rows.sessions, |row| (row.id, row.version));
        self.write_table(todos, |rows| &mut rows.todos, |row| (row.id, row.version));
        self.write_table(activities, |rows| &mut rows.activities, |row| (row.id, row.version));
        for (home, _, log) in write_set.logs {
            let rows = self.of(home);
            assert!(rows.todos.contains_key(&log.todo), "a log has its todo");
            assert_eq!(rows.logs.insert(log.id, log), None);
        }
        for (home, todo) in gone {
            self.of(home).logs.retain(|_, log| log.todo != todo);
        }
        for (home, entry) in write_set.ledger {
            let ledger = &mut self.of(home).ledger;
            assert_eq!(ledger.insert(entry.id, entry), None);
        }
        for ((home, source, origin), id) in write_set.imported {
            let imported = &mut self.of(home).imported;
            assert_eq!(imported.insert((source, origin), id), None);
        }
        add(&mut self.counts.counters, write_set.counters);
        add(&mut self.counts.quarter_hours, write_set.quarter_hours);
        for (counter, more) in write_set.work {
            self.counts.work.entry(counter).or_default().add(more);
        }
        assert_eq!((write_set.directory, write_set.accounts_founded), (None, vec![]));
        let keys = (write_set.actors, write_set.keys, write_set.codes, write_set.holders_emptied);
        assert_eq!((keys, write_set.wraps), (Default::default(), vec![]));
    }

    fn write_table<I: Ord + Copy + Debug, T: Debug + PartialEq>(
        &mut self,
        difference: Difference<I, T>,
        table: fn(&mut ReferenceModel) -> &mut BTreeMap<I, T>,
        key: fn(&T) -> (I, i64),
    ) {
        for (home, row) in difference.inserted {
            let (id, version) = key(&row);
            assert!(version >= 1);
            assert_eq!(
                table(self.of(home)).insert(id, row),
                None,
                "a new row takes no one's place"
            );
        }
        for (home, row) in difference.updated {
            let (id, version) = key(&row);
            let stood = table(self.of(home)).insert(id, row).unwrap();
            assert!(version > key(&stood).1, "the version tells the newer row");
        }
        for (home, id) in difference.deleted {
            table(self.of(home)).remove(&id).unwrap();
        }
    }

    /// Decides and writes a batch.
    fn apply(&mut self, commands: &[Command], shared_now: Timestamp) -> Vec<Decided> {
        for rows in self.rows.values_mut() {
            rows.shared_now = Some(shared_now);
        }
        let mut working_set = load(&self.shown(), commands, shared_now);
        let answers = commands.iter().map(|command| working_set.decide(command.clone())).collect();
        self.write(working_set.into_write_set());
        answers
    }
}

fn add<K: Ord + Debug>(counts: &mut BTreeMap<K, i64>, moves: BTreeMap<K, i64>) {
    for (key, moved) in moves {
        assert_ne!(moved, 0, "{key:?}");
        *counts.entry(key).or_default() += moved;
    }
    assert!(counts.values().all(|count| *count >= 0));
    counts.retain(|_, count| *count != 0);
}

/// The answer without the account's version, which counts batches: the model has no batches.
fn without_version(mut answer: Decided) -> Decided {
    if let Ok(Applied { row: AppliedRow::Account(account), .. }) = &mut answer {
        account.version = 0;
    }
    answer
}

fn without_versions(mut accounts: AccountModels) -> AccountModels {
    for rows in accounts.values_mut() {
        (rows.account.version, rows.shared_now) = (0, None);
    }
    accounts
}

/// Asserts what must be true of any account after any commands.
fn assert_sound(rows: &ReferenceModel) {
    let mut balance = 0;
    for (entry, id) in rows.ledger.values().zip(1..) {
        balance += entry.delta;
        assert_eq!((entry.id, entry.balance_after), (LedgerId(id), balance));
        assert!(balance >= 0);
    }
    assert_eq!(rows.account.balance, balance);
    assert_eq!(rows.account.last_ids.ledger, i64::try_from(rows.ledger.len()).unwrap());
    for (id, todo) in &rows.todos {
        let mut imported = rows.imported.iter();
        let is_imported =
            imported.any(|((_, origin), here)| *here == id.0 && matches!(origin, Origin::Todo(_)));
        let (mut status, mut since) = (TodoStatus::Open, todo.created_at);
        for log in rows.logs.values().filter(|log| log.todo == *id) {
            assert_eq!(log.old_status, status);
            assert_ne!(log.new_status, status);
            // Imported rows keep the times of their source.
            assert!(log.logged_at >= since || is_imported);
            (status, since) = (log.new_status, log.logged_at);
        }
        assert_eq!(todo.status, status);
    }
    let standing = rows.todos.values().filter(|row| row.claims.standing.is_some());
    assert!(standing.clone().all(|row| row.status == TodoStatus::InProgress));
    assert!(rows.deadlines.keys().eq(standing.map(|row| &row.id)), "each claim has a deadline");
    assert!(rows.logs.values().all(|log| rows.todos.contains_key(&log.todo)));
    let links = rows.todos.values().map(|row| (row.actor, row.content.session));
    let others = rows.activities.values().map(|row| (row.actor, row.session));
    for (actor, link) in links.chain(others) {
        if let Some(id) = link {
            assert_eq!(rows.sessions[&id].actor, actor, "a link stays with its actor");
        }
    }
}

proptest! {
    #[test]
    fn batches_and_single_commands_agree_with_the_reference_model(
        credits in [1..60_i64, 1..20_i64],
        suspended in proptest::bool::weighted(0.1),
        // Each command, and how many seconds later a batch begins with it, if one does.
        script in vec(
            (random_commands::commands(), proptest::option::weighted(0.2, 0..200_i64)),
            1..80,
        ),
    ) {
        let mut model = accounts_with(credits, suspended);
        let (rows, counts) = (model.clone(), Counts::of(&model));
        let mut one_by_one = Disk { rows, counts, unlinking: BTreeSet::new() };
        let mut in_batches = one_by_one.clone();

        let mut answers = Vec::new();
        let mut shared_now = at(DAY_SECONDS);
        for (command, later) in &script {
            shared_now = shared_now.plus_seconds(later.unwrap_or(0));
            for rows in model.values_mut() {
                rows.shared_now = Some(shared_now);
            }
            let expected = without_version(expect(&mut model, command));
            let alone = std::slice::from_ref(command);
            let decided = one_by_one.apply(alone, shared_now).pop().unwrap();
            one_by_one.step();
            prop_assert_eq!(&without_version(decided), &expected, "{:?}", command);
            answers.push(expected);
        }
        let mut shared_now = at(DAY_SECONDS);
        let batches = script.chunk_by(|_, (_, later)| later.is_none());
        let batched: Vec<_> = batches
            .flat_map(|batch| {
                shared_now = shared_now.plus_seconds(batch[0].1.unwrap_or(0));
                let commands = batch.iter().map(|(command, _)| command.clone());
                in_batches.apply(&commands.collect::<Vec<_>>(), shared_now)
            })
            .map(without_version)
            .collect();
        prop_assert_eq!(&batched, &answers);

        model.values().for_each(assert_sound);
        let (model, counts) = (without_versions(model.clone()), Counts::of(&model));
        for disk in [one_by_one, in_batches] {
            prop_assert_eq!(&without_versions(disk.shown()), &model);
            prop_assert_eq!(&disk.counts, &counts);
        }
    }
}
