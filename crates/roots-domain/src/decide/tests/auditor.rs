//! A second opinion on the working set: a world of plain maps that does one command after the
//! other, tries each on a copy, and counts by going through all rows. It shares no rule with them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::model::import::{Import, ImportRow, Imported, Origin};

mod script;

/// The rows of a database, and what is counted beside them.
#[derive(Debug, Clone, Default, PartialEq)]
struct ReferenceModel {
    accounts: BTreeMap<AccountId, Account>,
    sessions: BTreeMap<RowKey<SessionId>, Session<Sealed>>,
    todos: BTreeMap<RowKey<TodoId>, Todo<Sealed>>,
    activities: BTreeMap<RowKey<ActivityId>, Activity<Sealed>>,
    logs: BTreeMap<RowKey<LogId>, StatusChange<Sealed>>,
    ledger: BTreeMap<RowKey<LedgerId>, LedgerEntry>,
    imported: BTreeMap<ImportKey, i64>,
}

/// What a database keeps beside its rows.
#[derive(Debug, Clone, Default, PartialEq)]
struct Counts {
    counters: BTreeMap<(AccountId, Counter), i64>,
    quarter_hours: BTreeMap<(AccountId, QuarterHourCounter), i64>,
}

type Answer = Result<Applied, Refusal>;

/// The actor that asks, and its role.
type Who = (ActorId, Role);

fn may_touch(who: Who, whose: ActorId) -> bool {
    who == (whose, Role::Member) || who.1 == Role::Owner
}

/// A row may only be made for an actor whose rows the caller may touch.
fn check_maker(who: Who, whose: ActorId) -> Result<(), Refusal> {
    if may_touch(who, whose) { Ok(()) } else { Err(Refusal::OwnerOnly) }
}

/// What has become of a key since its bearer was authenticated.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Good,
    ExpiresAfterADay,
    Revoked,
    OfAnother,
}

const FATES: [Fate; 4] = [Fate::Good, Fate::ExpiresAfterADay, Fate::Revoked, Fate::OfAnother];

/// Each actor has a key of each fate, and the id tells both.
fn key_of(actor: ActorId, fate: Fate) -> KeyId {
    KeyId(10 * actor.0 + fate as i64)
}

fn fate_of(id: KeyId) -> Fate {
    FATES[usize::try_from(id.0 % 10).unwrap()]
}

/// A key as the store would find it.
fn checked(id: KeyId) -> ApiKey {
    let fate = fate_of(id);
    ApiKey {
        id,
        actor: if fate == Fate::OfAnother { ActorId(99) } else { ActorId(id.0 / 10) },
        lookup: LookupHash([0; 32]),
        prefix: String::new(),
        label: None,
        created_at: at(0),
        last_used: None,
        expires_at: (fate == Fate::ExpiresAfterADay).then(|| at(DAY_SECONDS)),
        status: if fate == Fate::Revoked { KeyStatus::Ended } else { KeyStatus::Current },
        succession: None,
        first_used_at: None,
    }
}

impl ReferenceModel {
    /// Two accounts with a few rows and that many credits, the second perhaps suspended.
    fn new(credits: [i64; 2], suspended: bool) -> Self {
        let mut world = Self::default();
        for (id, balance) in [HOME, ABROAD].into_iter().zip(credits) {
            let status = if suspended && id == ABROAD {
                AccountStatus::Suspended
            } else {
                AccountStatus::Active
            };
            let last_ids = LastIds { actor: 2, key: 5, recovery: 1, ..LastIds::default() };
            let new = Account { balance: 0, status, last_ids, version: 1, ..account(id) };
            world.accounts.insert(id, new);
            world.enter(id, balance, Reason::BootstrapGrant, [None, None], None, at(0));
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
            let action = naming(actor, action);
            world.perform(account, (actor, Role::Member), action, at(DAY_SECONDS)).unwrap();
        }
        world
    }

    fn enter(
        &mut self,
        home: AccountId,
        delta: i64,
        reason: Reason,
        [endpoint, note]: [Option<&str>; 2],
        actor: Option<ActorId>,
        created_at: Timestamp,
    ) {
        let account = self.accounts.get_mut(&home).unwrap();
        account.balance += delta;
        account.last_ids.ledger += 1;
        let entry = LedgerEntry {
            id: LedgerId(account.last_ids.ledger),
            delta,
            balance_after: account.balance,
            reason,
            endpoint: endpoint.map(Into::into),
            actor,
            note: note.map(Into::into),
            created_at,
        };
        self.ledger.insert((home, entry.id), entry);
    }

    /// Does one command, or leaves the world as it was.
    fn replay(&mut self, command: &Command) -> Answer {
        let mut next = self.clone();
        let applied = next.attempt(command)?;
        *self = next;
        Ok(applied)
    }

    fn attempt(&mut self, command: &Command) -> Answer {
        if let Action::Operate(Operator::CommandLine, action) = &command.action {
            let OperatorAction::GrantCredits { account: home, amount, note } = action else {
                panic!("{action:?} is not among the commands at random");
            };
            if !self.accounts.contains_key(home) {
                return Err(Refusal::NoSuchAccount(*home));
            }
            let note = note.as_ref().map(Name::as_str);
            self.enter(*home, *amount, Reason::OperatorGrant, [None, note], None, command.at);
            self.ids(*home).audit += 1;
            let account = self.accounts[home].clone();
            let balance = account.balance;
            return Ok(Applied {
                row: AppliedRow::Account(Box::new(account)),
                cost: 0,
                balance,
                is_replay: false,
            });
        }
        let KeyBearer { account: home, actor, role, key, auth_epoch, .. } =
            command.action.bearer().unwrap();
        let ended = match fate_of(key) {
            Fate::Good => false,
            Fate::ExpiresAfterADay => command.at >= at(DAY_SECONDS),
            Fate::Revoked | Fate::OfAnother => true,
        };
        if auth_epoch != EPOCH && ended {
            return Err(Refusal::KeyNotInForce);
        }
        if self.accounts[&home].status == AccountStatus::Suspended {
            return Err(Refusal::Suspended);
        }
        let action = match &command.action {
            Action::Resource(_, action) => action,
            Action::Transfer(_, TransferAction::Import(import)) => {
                return self.import(home, (actor, role), import, command.at);
            }
            other => panic!("{other:?} is not among the commands at random"),
        };
        let row = self.perform(home, (actor, role), action.clone(), command.at)?;
        let mut cost = 0;
        if let Some(charge) = command.charge {
            cost = charge.cost;
            let balance = self.accounts[&home].balance;
            if balance < cost {
                return Err(Refusal::InsufficientCredits { balance, cost });
            }
            let endpoint = Some(charge.endpoint);
            self.enter(home, -cost, Reason::ApiWrite, [endpoint, None], Some(actor), command.at);
        }
        Ok(Applied { row, cost, balance: self.accounts[&home].balance, is_replay: false })
    }

    /// Tries each row on a copy, and keeps the copy if the row can be paid.
    fn import(
        &mut self,
        home: AccountId,
        (actor, role): Who,
        import: &Import,
        at: Timestamp,
    ) -> Answer {
        if role != Role::Owner {
            return Err(Refusal::OwnerOnly);
        }
        let balance = self.accounts[&home].balance;
        let (mut outcomes, mut cost) = (Vec::new(), 0);
        for row in &import.rows {
            let origin = row.origin();
            if let Some(id) = self.imported.get(&(home, import.source, origin)) {
                outcomes.push(Ok(Imported::Known(*id)));
                continue;
            }
            let mut next = self.clone();
            match next.bring_in(home, import, row) {
                Err(refusal) => outcomes.push(Err(refusal)),
                Ok(_) if cost == balance => {
                    outcomes.push(Err(Refusal::InsufficientCredits { balance: 0, cost: 1 }));
                    break;
                }
                Ok(id) => {
                    *self = next;
                    self.imported.insert((home, import.source, origin), id);
                    outcomes.push(Ok(Imported::New(id)));
                    cost += 1;
                }
            }
        }
        if cost > 0 {
            let endpoint = Some("POST /import");
            self.enter(home, -cost, Reason::Import, [endpoint, None], Some(actor), at);
        }
        let row = AppliedRow::Imported(outcomes);
        Ok(Applied { row, cost, balance: balance - cost, is_replay: false })
    }

    fn bring_in(
        &mut self,
        home: AccountId,
        Import { source, actors, .. }: &Import,
        row: &ImportRow,
    ) -> Result<i64, Refusal> {
        if let Some(there) = actors.get(&row.actor()) {
            let key = (home, *source, Origin::Actor(*there));
            if *self.imported.entry(key).or_insert(row.actor().0) != row.actor().0 {
                return Err(Refusal::NoSuchActor(*there));
            }
        }
        let link = |world: &Self, link: Option<SessionId>, actor| {
            let Some(there) = link else { return Ok(None) };
            let here = world.imported.get(&(home, *source, Origin::Session(there)));
            let here = SessionId(*here.ok_or(Refusal::NoSuchSession(there))?);
            match world.sessions.get(&(home, here)) {
                None => Ok(None),
                Some(row) if row.actor == actor => Ok(Some(here)),
                Some(_) => Err(Refusal::NoSuchSession(there)),
            }
        };
        match row.clone() {
            ImportRow::Session(row) => {
                self.ids(home).session += 1;
                let id = SessionId(self.ids(home).session);
                self.sessions.insert((home, id), Session { id, ..row });
                Ok(id.0)
            }
            ImportRow::Todo(row) => {
                let session = link(self, row.session, row.actor)?;
                self.ids(home).todo += 1;
                let id = TodoId(self.ids(home).todo);
                self.todos.insert((home, id), Todo { id, session, ..row });
                Ok(id.0)
            }
            ImportRow::Activity(row) => {
                let session = link(self, row.session, row.actor)?;
                self.ids(home).activity += 1;
                let id = ActivityId(self.ids(home).activity);
                self.activities.insert((home, id), Activity { id, session, ..row });
                Ok(id.0)
            }
            ImportRow::Step(actor, step) => {
                let here = self.imported.get(&(home, *source, Origin::Todo(step.todo))).copied();
                let found = here.and_then(|id| self.todos.get_mut(&(home, TodoId(id))));
                let todo = found.filter(|row| row.actor == actor);
                let todo = todo.ok_or(Refusal::NotFound("todo"))?;
                let (from, to) = (step.old_status, step.new_status);
                if todo.status != from {
                    return Err(Refusal::StepFromElsewhere { from, stands: todo.status });
                }
                if !STEPS.contains(&(from, to)) {
                    return Err(Refusal::ForbiddenStep { from, to });
                }
                todo.status = to;
                todo.version += 1;
                if step.logged_at > todo.updated_at {
                    todo.updated_at = step.logged_at;
                }
                let todo = todo.id;
                self.ids(home).log += 1;
                let id = LogId(self.ids(home).log);
                self.logs.insert((home, id), StatusChange { id, todo, ..step });
                Ok(id.0)
            }
            ImportRow::SessionAgain(_) => Err(Refusal::NotFound("session")),
            ImportRow::TodoAgain(_) => Err(Refusal::NotFound("todo")),
        }
    }

    fn session_of(
        &self,
        home: AccountId,
        actor: ActorId,
        id: SessionId,
    ) -> Option<Session<Sealed>> {
        self.sessions.get(&(home, id)).filter(|row| row.actor == actor).cloned()
    }

    fn check_link(
        &self,
        home: AccountId,
        actor: ActorId,
        link: Option<SessionId>,
    ) -> Result<(), Refusal> {
        let Some(id) = link else { return Ok(()) };
        match self.session_of(home, actor, id) {
            None => Err(Refusal::NoSuchSession(id)),
            Some(row) if row.status.ended_at().is_some() => Err(Refusal::SessionEnded(id)),
            Some(_) => Ok(()),
        }
    }

    fn ids(&mut self, home: AccountId) -> &mut LastIds {
        &mut self.accounts.get_mut(&home).unwrap().last_ids
    }

    fn perform(
        &mut self,
        home: AccountId,
        who: Who,
        action: ResourceAction,
        now: Timestamp,
    ) -> Result<AppliedRow, Refusal> {
        match action {
            ResourceAction::StartSession { actor, uid, notes } => {
                check_maker(who, actor)?;
                self.ids(home).session += 1;
                let id = SessionId(self.ids(home).session);
                let status = SessionStatus::Active;
                let (started_at, version) = (now, 1);
                let row = Session { id, uid, actor, status, notes, started_at, version };
                self.sessions.insert((home, id), row.clone());
                Ok(AppliedRow::Session(row))
            }
            ResourceAction::PatchSession(patch) => self.patch_session(home, who, patch, now),
            ResourceAction::DeleteSession(id) => {
                let found = self.sessions.get(&(home, id));
                if !found.is_some_and(|row| may_touch(who, row.actor)) {
                    return Err(Refusal::NotFound("session"));
                }
                self.sessions.remove(&(home, id));
                self.unlink(home, id);
                Ok(AppliedRow::Deleted)
            }
            ResourceAction::CreateTodo { uid, new } => {
                let NewTodo { actor, session, title, description, priority, due_at } = new;
                let actor = actor.unwrap_or(who.0);
                check_maker(who, actor)?;
                self.check_link(home, actor, session)?;
                self.ids(home).todo += 1;
                let row = Todo {
                    id: TodoId(self.ids(home).todo),
                    uid,
                    actor,
                    session,
                    title,
                    description,
                    status: TodoStatus::Open,
                    priority,
                    due_at,
                    created_at: now,
                    updated_at: now,
                    version: 1,
                };
                self.todos.insert((home, row.id), row.clone());
                Ok(AppliedRow::Todo(row))
            }
            ResourceAction::PatchTodo { row, log_uid } => {
                self.patch_todo(home, who, row, log_uid, now)
            }
            ResourceAction::DeleteTodo(id) => {
                let found = self.todos.get(&(home, id));
                if !found.is_some_and(|row| may_touch(who, row.actor)) {
                    return Err(Refusal::NotFound("todo"));
                }
                self.todos.remove(&(home, id));
                self.logs.retain(|(of, _), log| *of != home || log.todo != id);
                Ok(AppliedRow::Deleted)
            }
            ResourceAction::LogActivity { uid, new } => {
                let actor = new.actor.unwrap_or(who.0);
                check_maker(who, actor)?;
                self.check_link(home, actor, new.session)?;
                self.ids(home).activity += 1;
                let row = Activity {
                    id: ActivityId(self.ids(home).activity),
                    uid,
                    actor,
                    session: new.session,
                    activity_type: new.activity_type,
                    description: new.description,
                    logged_at: new.logged_at.unwrap_or(now),
                    created_at: now,
                    version: 1,
                };
                self.activities.insert((home, row.id), row.clone());
                Ok(AppliedRow::Activity(row))
            }
            ResourceAction::DeleteActivity(id) => {
                let found = self.activities.get(&(home, id));
                if !found.is_some_and(|row| may_touch(who, row.actor)) {
                    return Err(Refusal::NotFound("activity"));
                }
                self.activities.remove(&(home, id));
                Ok(AppliedRow::Deleted)
            }
        }
    }

    fn patch_session(
        &mut self,
        home: AccountId,
        who: Who,
        RowPatch { id, sealed_for, patch }: RowPatch<SessionId, SessionPatch<Resealed>>,
        now: Timestamp,
    ) -> Result<AppliedRow, Refusal> {
        let found = self.sessions.get(&(home, id)).filter(|row| may_touch(who, row.actor));
        let before = found
            .cloned()
            .filter(|row| sealed_for.is_none_or(|uid| uid == row.uid))
            .ok_or(Refusal::NotFound("session"))?;
        let mut row = before.clone();
        if before.status.ended_at().is_some() {
            match patch.status {
                Some(SessionStatusKind::Ended) => return Err(Refusal::AlreadyEnded(id)),
                Some(SessionStatusKind::Active) => return Err(Refusal::CannotReopen(id)),
                None => {}
            }
        } else if patch.status == Some(SessionStatusKind::Ended) {
            let at = if now < row.started_at { row.started_at } else { now };
            row.status = SessionStatus::Ended { at };
        }
        put_text(&mut row.notes, patch.notes);
        if row != before {
            row.version += 1;
        }
        self.sessions.insert((home, id), row.clone());
        Ok(AppliedRow::Session(row))
    }

    fn patch_todo(
        &mut self,
        home: AccountId,
        who: Who,
        RowPatch { id, sealed_for, patch }: RowPatch<TodoId, TodoPatch<Resealed>>,
        log_uid: Uid,
        now: Timestamp,
    ) -> Result<AppliedRow, Refusal> {
        let found = self.todos.get(&(home, id)).filter(|row| may_touch(who, row.actor));
        let before = found
            .filter(|row| sealed_for.is_none_or(|uid| uid == row.uid))
            .ok_or(Refusal::NotFound("todo"))?
            .clone();
        let mut row = before.clone();
        match patch.session {
            Patch::Keep => {}
            Patch::Clear => row.session = None,
            Patch::Set(link) => {
                self.session_of(home, before.actor, link).ok_or(Refusal::NoSuchSession(link))?;
                row.session = Some(link);
            }
        }
        let (from, to) = (before.status, patch.status.unwrap_or(before.status));
        let steps = from != to;
        if steps && !STEPS.contains(&(from, to)) {
            return Err(Refusal::ForbiddenStep { from, to });
        }
        if patch.note.is_some() && !steps {
            return Err(Refusal::NoteWithoutChange);
        }
        row.status = to;
        let mut title = Some(row.title.clone());
        if let Some(new) = patch.title {
            put_text(&mut title, Patch::Set(new));
        }
        row.title = title.unwrap();
        put_text(&mut row.description, patch.description);
        row.priority = patch.priority.unwrap_or(row.priority);
        match patch.due_at {
            Patch::Keep => {}
            Patch::Clear => row.due_at = None,
            Patch::Set(due) => row.due_at = Some(due),
        }
        if row != before {
            row.version += 1;
            row.updated_at = if now < before.updated_at { before.updated_at } else { now };
        }
        if steps {
            self.ids(home).log += 1;
            let log = StatusChange {
                id: LogId(self.ids(home).log),
                uid: log_uid,
                todo: id,
                old_status: from,
                new_status: to,
                note: patch.note.map(|note| note.sealed),
                logged_at: row.updated_at,
            };
            self.logs.insert((home, log.id), log);
        }
        self.todos.insert((home, id), row.clone());
        Ok(AppliedRow::Todo(row))
    }

    fn unlink(&mut self, home: AccountId, id: SessionId) {
        for ((of, _), row) in &mut self.todos {
            if *of == home && row.session == Some(id) {
                row.session = None;
                row.version += 1;
            }
        }
        for ((of, _), row) in &mut self.activities {
            if *of == home && row.session == Some(id) {
                row.session = None;
                row.version += 1;
            }
        }
    }

    /// Counts every row.
    fn recount(&self) -> Counts {
        let mut counts = Counts::default();
        let counters = &mut counts.counters;
        for ((home, _), row) in &self.sessions {
            *counters
                .entry((*home, Counter::Sessions(row.actor, row.status.kind())))
                .or_default() += 1;
        }
        for ((home, _), row) in &self.todos {
            let counter = Counter::Todos(row.actor, row.status, row.priority);
            *counters.entry((*home, counter)).or_default() += 1;
        }
        for ((home, _), row) in &self.ledger {
            *counters.entry((*home, Counter::Ledger(row.reason))).or_default() += 1;
        }
        for ((home, _), row) in &self.activities {
            let counter = Counter::Activities(row.actor, row.activity_type.clone());
            *counters.entry((*home, counter)).or_default() += 1;
            let quarter_hour = QuarterHour(row.logged_at.micros() / 1_000_000 / 900);
            let activity_type = row.activity_type.clone();
            let quarter_hours =
                QuarterHourCounter { actor: row.actor, quarter_hour, activity_type };
            *counts.quarter_hours.entry((*home, quarter_hours)).or_default() += 1;
        }
        counts
    }

    /// Loads what the commands say they need, and no more.
    fn load(&self, commands: &[Command]) -> WorkingSet {
        let mut read_set = ReadSet::of(commands);
        let mut working_set = WorkingSet::default();
        for id in &read_set.accounts {
            self.accounts.get(id).into_iter().for_each(|row| working_set.load_account(row.clone()));
        }
        working_set.check_again(commands, &mut read_set);
        read_set.keys.iter().for_each(|(home, id)| working_set.load_key(*home, checked(*id)));
        for (home, id) in &read_set.actors {
            working_set.load_actor(*home, Actor { id: *id, ..accounts::owner() });
        }
        for key in &read_set.imported {
            let found = self.imported.get(key).into_iter();
            found.for_each(|id| working_set.load_imported(*key, *id));
        }
        working_set.follow_imports(commands, &mut read_set);
        for key in &read_set.sessions {
            let found = self.sessions.get(key).into_iter();
            found.for_each(|row| working_set.load_session(key.0, row.clone()));
        }
        for key in &read_set.todos {
            let found = self.todos.get(key).into_iter();
            found.for_each(|row| working_set.load_todo(key.0, row.clone()));
        }
        for key in &read_set.activities {
            let found = self.activities.get(key).into_iter();
            found.for_each(|row| working_set.load_activity(key.0, row.clone()));
        }
        for (home, actor, _) in &read_set.kinds {
            let own =
                self.activities.iter().filter(|((of, _), row)| (of, &row.actor) == (home, actor));
            let mut counts = BTreeMap::new();
            own.for_each(|(_, row)| *counts.entry(row.activity_type.clone()).or_insert(0) += 1);
            let total = i64::try_from(counts.len()).unwrap();
            working_set.load_kinds(*home, *actor, Kinds { counts, total });
        }
        working_set
    }
}

/// How a todo may go.
const STEPS: [(TodoStatus, TodoStatus); 10] = [
    (TodoStatus::Open, TodoStatus::InProgress),
    (TodoStatus::Open, TodoStatus::Done),
    (TodoStatus::Open, TodoStatus::Cancelled),
    (TodoStatus::InProgress, TodoStatus::Open),
    (TodoStatus::InProgress, TodoStatus::Done),
    (TodoStatus::InProgress, TodoStatus::Cancelled),
    (TodoStatus::Done, TodoStatus::Open),
    (TodoStatus::Done, TodoStatus::InProgress),
    (TodoStatus::Cancelled, TodoStatus::Open),
    (TodoStatus::Cancelled, TodoStatus::InProgress),
];

/// What a patch does to a text: the same text again leaves its ciphertext.
fn put_text(field: &mut Option<Sealed>, patch: Patch<Resealed>) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *field = None,
        Patch::Set(Resealed { sealed, same_as }) => {
            if field.is_none() || *field != same_as {
                *field = Some(sealed);
            }
        }
    }
}

/// A database that writes what it is told, and checks that each write meets the row it is for. It
/// unlinks what was linked to a deleted session later, a row a step, and shows it as unlinked until
/// then.
#[derive(Debug, Clone, PartialEq)]
struct Disk {
    rows: ReferenceModel,
    counts: Counts,
    unlinking: BTreeSet<RowKey<SessionId>>,
}

impl Disk {
    fn new(rows: ReferenceModel) -> Self {
        let counts = rows.recount();
        Self { rows, counts, unlinking: BTreeSet::new() }
    }

    /// The rows as everyone reads them.
    fn shown(&self) -> ReferenceModel {
        let mut shown = self.rows.clone();
        self.unlinking.iter().for_each(|(home, id)| shown.unlink(*home, *id));
        shown
    }

    /// Unlinks one row.
    fn step(&mut self) {
        let Some((home, id)) = self.unlinking.first().copied() else { return };
        let todo =
            self.rows.todos.iter_mut().find(|(key, row)| key.0 == home && row.session == Some(id));
        let activity = self
            .rows
            .activities
            .iter_mut()
            .find(|(key, row)| key.0 == home && row.session == Some(id));
        if let Some((_, row)) = todo {
            (row.session, row.version) = (None, row.version + 1);
        } else if let Some((_, row)) = activity {
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
            let stood = self.rows.accounts.insert(row.id, row.clone()).unwrap();
            assert_eq!(row.version, stood.version + 1, "the version guards the write");
        }
        write_table(&mut self.rows.sessions, sessions, |row| (row.id, row.version));
        let gone: Vec<_> = todos.deleted.clone();
        write_table(&mut self.rows.todos, todos, |row| (row.id, row.version));
        write_table(&mut self.rows.activities, activities, |row| (row.id, row.version));
        for (home, log) in write_set.logs {
            assert!(self.rows.todos.contains_key(&(home, log.todo)), "a log has its todo");
            assert_eq!(self.rows.logs.insert((home, log.id), log), None);
        }
        self.rows.logs.retain(|(home, _), log| !gone.contains(&(*home, log.todo)));
        for (home, entry) in write_set.ledger {
            assert_eq!(self.rows.ledger.insert((home, entry.id), entry), None);
        }
        for (key, id) in write_set.imported {
            assert_eq!(self.rows.imported.insert(key, id), None);
        }
        add(&mut self.counts.counters, write_set.counters);
        add(&mut self.counts.quarter_hours, write_set.quarter_hours);
        assert_eq!((write_set.directory, write_set.accounts_founded), (None, vec![]));
        let keys = (write_set.actors, write_set.keys, write_set.codes, write_set.holders_emptied);
        assert_eq!((keys, write_set.wraps), (Default::default(), vec![]));
    }

    /// Decides and writes a batch.
    fn apply(&mut self, commands: &[Command]) -> Vec<Answer> {
        let mut working_set = self.shown().load(commands);
        let answers = commands.iter().map(|command| working_set.decide(command.clone())).collect();
        self.write(working_set.into_write_set());
        answers
    }
}

fn write_table<I: Ord + Copy + Debug, T: Debug + PartialEq>(
    table: &mut BTreeMap<RowKey<I>, T>,
    difference: Difference<I, T>,
    key: impl Fn(&T) -> (I, i64),
) {
    for (home, row) in difference.inserted {
        let (id, version) = key(&row);
        assert!(version >= 1);
        assert_eq!(table.insert((home, id), row), None, "a new row takes no one's place");
    }
    for (home, row) in difference.updated {
        let (id, version) = key(&row);
        let stood = table.insert((home, id), row).unwrap();
        assert!(version > key(&stood).1, "the version tells the newer row");
    }
    for key in difference.deleted {
        table.remove(&key).unwrap();
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

/// An account's version counts its batches, which the world knows nothing of.
fn without_version(mut answer: Answer) -> Answer {
    if let Ok(Applied { row: AppliedRow::Account(account), .. }) = &mut answer {
        account.version = 0;
    }
    answer
}

fn without_versions(mut world: ReferenceModel) -> ReferenceModel {
    world.accounts.values_mut().for_each(|account| account.version = 0);
    world
}

/// Asserts what must be true of any world, however it was made.
fn assert_sound(world: &ReferenceModel) {
    for (home, account) in &world.accounts {
        let rows: Vec<_> =
            world.ledger.iter().filter(|((of, _), _)| of == home).map(|(_, row)| row).collect();
        let mut balance = 0;
        for (row, id) in rows.iter().zip(1..) {
            balance += row.delta;
            assert_eq!((row.id, row.balance_after), (LedgerId(id), balance));
            assert!(balance >= 0);
        }
        assert_eq!(account.balance, balance);
        assert_eq!(account.last_ids.ledger, i64::try_from(rows.len()).unwrap());
    }
    let is_imported = |home, id: TodoId| {
        let mut rows = world.imported.iter();
        rows.any(|((of, _, origin), here)| {
            (*of, *here) == (home, id.0) && matches!(origin, Origin::Todo(_))
        })
    };
    for ((home, id), todo) in &world.todos {
        let mut status = TodoStatus::Open;
        let mut since = todo.created_at;
        let own = world.logs.iter().filter(|((of, _), log)| of == home && log.todo == *id);
        for (_, log) in own {
            assert_eq!(log.old_status, status);
            assert_ne!(log.new_status, status);
            // What came in from elsewhere has the times that it had there.
            assert!(log.logged_at >= since || is_imported(*home, *id));
            (status, since) = (log.new_status, log.logged_at);
        }
        assert_eq!(todo.status, status);
    }
    for ((home, _), log) in &world.logs {
        assert!(world.todos.contains_key(&(*home, log.todo)));
    }
    let links = world.todos.iter().map(|((home, _), row)| (home, row.actor, row.session));
    let others = world.activities.iter().map(|((home, _), row)| (home, row.actor, row.session));
    for (home, actor, link) in links.chain(others) {
        if let Some(id) = link {
            assert_eq!(world.sessions[&(*home, id)].actor, actor, "a link stays with its actor");
        }
    }
}

/// Cuts commands into batches.
fn batches<'a>(commands: &'a [Command], cuts: &[bool]) -> Vec<&'a [Command]> {
    let mut batches = Vec::new();
    let mut from = 0;
    for to in 1..commands.len() {
        if cuts[to] {
            batches.push(&commands[from..to]);
            from = to;
        }
    }
    batches.push(&commands[from..]);
    batches
}

proptest! {
    #[test]
    fn batches_and_single_commands_agree_with_the_reference_model(
        credits in [1..60_i64, 1..20_i64],
        suspended in proptest::bool::weighted(0.1),
        script in vec((script::commands(), proptest::bool::weighted(0.2)), 1..80),
    ) {
        let (commands, cuts): (Vec<_>, Vec<_>) = script.into_iter().unzip();
        let mut world = ReferenceModel::new(credits, suspended);
        let mut one_by_one = Disk::new(world.clone());
        let mut in_batches = one_by_one.clone();

        let mut answers = Vec::new();
        for command in &commands {
            let expected = without_version(world.replay(command));
            let decided = one_by_one.apply(std::slice::from_ref(command)).pop().unwrap();
            one_by_one.step();
            prop_assert_eq!(&without_version(decided), &expected, "{:?}", command);
            answers.push(expected);
        }
        let batched: Vec<_> = batches(&commands, &cuts)
            .into_iter()
            .flat_map(|batch| in_batches.apply(batch))
            .map(without_version)
            .collect();
        prop_assert_eq!(&batched, &answers);

        assert_sound(&world);
        let (world, counts) = (without_versions(world.clone()), world.recount());
        for disk in [one_by_one, in_batches] {
            prop_assert_eq!(&without_versions(disk.shown()), &world);
            prop_assert_eq!(&disk.counts, &counts);
        }
    }
}
