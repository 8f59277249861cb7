//! Rows that come in from elsewhere.

use super::super::DryRun;
use super::*;
use crate::model::import::{
    IMPORT_ENDPOINT, IMPORT_MAX_ROWS, Import, ImportEffect, ImportRow, Imported, Origin,
};

/// The account that rows come from.
fn source() -> Uid {
    uid(7_000)
}

fn import(rows: Vec<ImportRow>) -> Command {
    let owner = KeyBearer { role: Role::Owner, ..bearer(ME) };
    let actors = BTreeMap::from([(ME, THERE)]);
    let action = TransferAction::Import(Import { source: source(), actors, rows });
    uncharged(Action::Transfer(owner, action))
}

/// The actor of the source that is imported as `ME`.
const THERE: ActorId = ActorId(9);

fn outcomes(applied: Applied) -> Vec<Result<Imported, Refusal>> {
    match applied.row {
        AppliedRow::Imported(outcomes) => outcomes,
        row => panic!("{row:?}"),
    }
}

/// The outcomes of importing these rows together. Asserts that each written row is charged.
fn imported(working_set: &mut WorkingSet, rows: Vec<ImportRow>) -> Vec<Result<Imported, Refusal>> {
    let before = working_set.account(HOME).unwrap().balance;
    let applied = working_set.decide(import(rows)).unwrap();
    let (cost, balance) = (applied.cost, applied.balance);
    let outcomes = outcomes(applied);
    let written = outcomes.iter().filter(|it| matches!(it, Ok(Imported::New(_)))).count();
    assert_eq!((cost, balance), (i64::try_from(written).unwrap(), before - cost));
    outcomes
}

fn of(id: i64) -> Session<Sealed> {
    Session { id: SessionId(id), ..session(ENDED) }
}

fn linked(id: i64, session: Option<i64>) -> Todo<Sealed> {
    Todo {
        id: TodoId(id),
        content: TodoContent { session: session.map(SessionId), ..todo(TODO).content },
        version: 1,
        ..todo(TODO)
    }
}

fn moved(id: i64, todo: i64, from: TodoStatus, to: TodoStatus) -> ImportRow {
    ImportRow::Step(
        ME,
        StatusChange {
            id: LogId(id),
            uid: uid(4),
            todo: TodoId(todo),
            old_status: from,
            new_status: to,
            note: None,
            logged_at: at(40),
        },
    )
}

#[test]
fn imported_rows_keep_their_times_and_links_and_get_new_ids() {
    let mut working_set = working_set();
    let rows = vec![
        ImportRow::Session(of(70)),
        ImportRow::Todo(linked(80, Some(70))),
        moved(90, 80, TodoStatus::Open, TodoStatus::Done),
        ImportRow::Activity(Activity { session: Some(SessionId(70)), ..activity(ACTIVITY) }),
    ];
    let outcomes = imported(&mut working_set, rows.clone());
    assert_eq!(outcomes, [11, 21, 41, 31].map(|id| Ok(Imported::New(id))));
    // The same rows again are known.
    let again = imported(&mut working_set, rows);
    assert_eq!(again, [11, 21, 41, 31].map(|id| Ok(Imported::Unchanged(id))));
    let write_set = working_set.into_write_set();
    let session = Session { id: SessionId(11), ..of(70) };
    assert_eq!(write_set.sessions, inserted(session));
    let done = Todo {
        id: TodoId(21),
        status: TodoStatus::Done,
        // The time of its last step.
        updated_at: at(40),
        status_since: at(40),
        version: 2,
        ..linked(80, Some(11))
    };
    assert_eq!(write_set.todos, inserted(done));
    assert_eq!(write_set.logs.len(), 1);
    assert_eq!((write_set.logs[0].2.id.0, write_set.logs[0].2.todo), (41, TodoId(21)));
    assert_eq!(write_set.activities.inserted[0].1.session, Some(SessionId(11)));
    let of_actor = ((HOME, source(), Origin::Actor(THERE)), ME.0);
    assert_eq!((write_set.imported.len(), &write_set.imported[0]), (5, &of_actor));
    let entry = LedgerEntry {
        id: LedgerId(account(HOME).last_ids.ledger + 1),
        delta: -4,
        balance_after: BALANCE - 4,
        reason: Reason::Import,
        endpoint: Some(IMPORT_ENDPOINT.to_owned()),
        actor: Some(ME),
        note: None,
        subject: None,
        // When they were made and done, not when they came in.
        steps: steps([
            (ME, todo(TODO).created_at, TodoStep::Made, 1),
            (ME, at(40), TodoStep::Moved(TodoStatus::Done), 1),
        ]),
        created_at: now(),
    };
    assert_eq!(write_set.ledger, [(HOME, entry)], "one entry a batch");
    let counters = counters([
        (Counter::Ledger(Reason::Import), 1),
        (Counter::Sessions(ME, SessionStatusKind::Ended), 1),
        (Counter::Todos(ME, TodoStatus::Done, priority(2)), 1),
        (Counter::Activities(ME, activity_type("deploy")), 1),
    ]);
    assert_eq!(write_set.counters, counters);
}

/// The rows of this account that came in before, by their ids there.
fn came_before() -> WorkingSet {
    let mut working_set = working_set();
    for (origin, here) in [
        (Origin::Session(SessionId(70)), ACTIVE.0),
        (Origin::Session(SessionId(71)), 1_000),
        (Origin::Todo(TodoId(80)), TODO.0),
    ] {
        working_set.load_imported((HOME, source(), origin), here);
    }
    working_set
}

#[test]
fn reimporting_a_changed_row_updates_the_stored_row_and_is_charged() {
    let mut working_set = came_before();
    let notes = Some(Sealed(vec![9]));
    let ended = Session {
        id: SessionId(70),
        status: SessionStatus::ended(at(90)),
        notes: notes.clone(),
        ..session(ACTIVE)
    };
    let title = Sealed(vec![8]);
    let newer = Todo {
        id: TodoId(80),
        content: TodoContent {
            title: title.clone(),
            session: Some(SessionId(70)),
            ..todo(TODO).content
        },
        updated_at: at(5_000),
        ..todo(TODO)
    };
    let rows = vec![ImportRow::SessionAgain(ended), ImportRow::TodoAgain(newer)];
    let before = working_set.account(HOME).unwrap().balance;
    let applied = working_set.decide(import(rows.clone())).unwrap();
    assert_eq!((applied.cost, applied.balance), (2, before - 2));
    assert_eq!(outcomes(applied), [ACTIVE.0, TODO.0].map(|id| Ok(Imported::Updated(id))));
    // The same rows again change nothing.
    let again = imported(&mut working_set, rows);
    assert_eq!(again, [ACTIVE.0, TODO.0].map(|id| Ok(Imported::Unchanged(id))));

    let write_set = working_set.into_write_set();
    let session = &write_set.sessions.updated[0].1;
    assert_eq!(
        (session.id, session.status, &session.notes),
        (ACTIVE, SessionStatus::ended(at(90)), &notes)
    );
    let changed = &write_set.todos.updated[0].1;
    assert_eq!(
        (changed.id, changed.content.session, &changed.content.title),
        (TODO, Some(ACTIVE), &title)
    );
    assert_eq!((changed.status, changed.updated_at), (todo(TODO).status, at(5_000)));
    assert_eq!(changed.status_since, todo(TODO).status_since);
    assert_eq!((write_set.imported.len(), write_set.ledger.len()), (0, 1));
}

#[test]
fn a_reimported_row_is_not_updated_if_gone_replaced_no_newer_or_unpaid() {
    let mut working_set = came_before();
    let stands = todo(TODO);
    let again = |change: fn(&mut Todo<Sealed>)| {
        let mut row = Todo { id: TodoId(80), ..todo(TODO) };
        change(&mut row);
        ImportRow::TodoAgain(row)
    };
    let rows = vec![
        // The session was deleted here.
        ImportRow::SessionAgain(Session { id: SessionId(71), ..session(ACTIVE) }),
        // The local id belonged to a row that was deleted meanwhile.
        again(|row| (row.uid, row.updated_at) = (uid(9_999), at(5_000))),
        again(|row| row.updated_at = Timestamp::FIRST),
        again(|row| row.content.title = Sealed(vec![8])),
        again(|row| (row.content.session, row.updated_at) = (Some(SessionId(99)), at(5_000))),
    ];
    let expected = [
        Ok(Imported::Unchanged(1_000)),
        Ok(Imported::Unchanged(stands.id.0)),
        Ok(Imported::Unchanged(stands.id.0)),
        Err(Refusal::Contradicts(Origin::Todo(TodoId(80)))),
        Err(Refusal::NoSuchSession(SessionId(99))),
    ];
    assert_eq!(imported(&mut working_set, rows), expected);
    assert_eq!(working_set.into_write_set(), WriteSet::default());

    // An update that can't be paid for changes nothing either.
    let mut working_set = came_before();
    working_set.account_mut(HOME).unwrap().balance = 0;
    let rows = vec![again(|row| {
        (row.content.session, row.content.title, row.updated_at) =
            (None, Sealed(vec![8]), at(5_000));
    })];
    let refused = Refusal::InsufficientCredits { balance: 0, cost: 1 };
    assert_eq!(imported(&mut working_set, rows), [Err(refused)]);
}

#[test]
fn a_refused_row_does_not_fail_the_rest_of_an_import() {
    let mut working_set = working_set();
    working_set.load_imported((HOME, source(), Origin::Session(SessionId(5))), OF_PEER.0);
    working_set.load_imported((HOME, source(), Origin::Session(SessionId(6))), 1_000);
    let outcomes = imported(
        &mut working_set,
        vec![
            ImportRow::Todo(linked(1, Some(4))),
            ImportRow::Todo(linked(2, Some(5))),
            ImportRow::Todo(linked(3, Some(6))),
            moved(1, 3, TodoStatus::Done, TodoStatus::Open),
            moved(2, 3, TodoStatus::Open, TodoStatus::InProgress),
            moved(3, 3, TodoStatus::InProgress, TodoStatus::InProgress),
            moved(4, 1, TodoStatus::Open, TodoStatus::Done),
        ],
    );
    let expected = [
        Err(Refusal::NoSuchSession(SessionId(4))),
        Err(Refusal::NoSuchSession(SessionId(5))),
        // Its session was deleted here, so it is imported without the link.
        Ok(Imported::New(21)),
        Err(Refusal::StepFromOtherStatus { from: TodoStatus::Done, current: TodoStatus::Open }),
        Ok(Imported::New(41)),
        Err(Refusal::ForbiddenStep { from: TodoStatus::InProgress, to: TodoStatus::InProgress }),
        Err(Refusal::NotFound("todo")),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(working_set.into_write_set().todos.inserted[0].1.content.session, None);
}

#[test]
fn imported_activities_count_toward_the_limit_on_activity_types() {
    let mut working_set = working_set();
    working_set.load_activity_types(HOME, ME, activity_types(&[], ACTIVITY_TYPES_MAX));
    let outcomes = imported(&mut working_set, vec![ImportRow::Activity(activity(ACTIVITY))]);
    assert_eq!(outcomes, [Err(Refusal::NoSuchSession(ACTIVE))]);
    let unlinked = Activity { session: None, ..activity(ACTIVITY) };
    let outcomes = imported(&mut working_set, vec![ImportRow::Activity(unlinked)]);
    assert_eq!(outcomes, [Err(Refusal::TooManyActivityTypes)]);
}

#[test]
fn only_an_owner_can_import() {
    let mut working_set = working_set();
    let command = borne_by(bearer(ME), import(vec![]));
    assert_refused(&mut working_set, command, &Refusal::OwnerOnly);
}

#[test]
fn the_read_set_of_an_import_gains_linked_rows_once_their_ids_are_known() {
    let rows = vec![
        ImportRow::Todo(linked(80, Some(70))),
        moved(90, 81, TodoStatus::Open, TodoStatus::Done),
        ImportRow::Activity(Activity { session: None, ..activity(ACTIVITY) }),
    ];
    let command = import(rows);
    let mut read_set = ReadSet::of([&command]);
    let origins = [
        Origin::Actor(THERE),
        Origin::Session(SessionId(70)),
        Origin::Todo(TodoId(80)),
        Origin::Todo(TodoId(81)),
        Origin::Step(LogId(90)),
        Origin::Activity(ACTIVITY),
    ];
    let expected = ReadSet {
        accounts: BTreeSet::from([HOME]),
        imported: origins.map(|origin| (HOME, source(), origin)).into(),
        activity_types: BTreeSet::from([(HOME, ME, activity_type("deploy"))]),
        ..ReadSet::default()
    };
    assert_eq!(read_set, expected);
    let mut working_set = working_set();
    working_set.load_imported((HOME, source(), origins[1]), 4);
    working_set.load_imported((HOME, source(), origins[3]), 5);
    working_set.follow_imports([&command], &mut read_set);
    let expected = ReadSet {
        sessions: BTreeSet::from([(HOME, SessionId(4))]),
        todos: BTreeSet::from([(HOME, TodoId(5))]),
        ..expected
    };
    assert_eq!(read_set, expected);
}

fn with_credits(balance: i64) -> WorkingSet {
    let mut working_set = working_set();
    working_set.load_account(Account { balance, ..account(HOME) });
    working_set
}

fn logged(id: i64) -> ImportRow {
    ImportRow::Activity(Activity { id: ActivityId(id), session: None, ..activity(ACTIVITY) })
}

#[test]
fn an_import_stops_at_the_first_row_that_the_balance_does_not_cover() {
    let mut working_set = with_credits(2);
    working_set.load_imported((HOME, source(), Origin::Activity(ActivityId(3))), 7);
    let rows = vec![
        ImportRow::Todo(linked(1, Some(4))),
        logged(1),
        moved(1, 99, TodoStatus::Open, TodoStatus::Done),
        logged(2),
        logged(3),
        moved(2, 99, TodoStatus::Open, TodoStatus::Done),
        logged(4),
        logged(3),
    ];
    let applied = working_set.decide(import(rows.clone())).unwrap();
    assert_eq!((applied.cost, applied.balance), (2, 0));
    let expected = [
        Err(Refusal::NoSuchSession(SessionId(4))),
        Ok(Imported::New(31)),
        Err(Refusal::NotFound("todo")),
        Ok(Imported::New(32)),
        Ok(Imported::Unchanged(7)),
        Err(Refusal::NotFound("todo")),
        Err(Refusal::InsufficientCredits { balance: 0, cost: 1 }),
    ];
    assert_eq!(outcomes(applied), expected, "what is refused or known costs nothing");
    // With more credits it continues from there, and pays for no row twice.
    working_set.decide(by_command_line(grant(HOME, 1))).unwrap();
    let applied = working_set.decide(import(rows)).unwrap();
    assert_eq!((applied.cost, applied.balance), (1, 0));
    assert_eq!(outcomes(applied)[6..], [Ok(Imported::New(33)), Ok(Imported::Unchanged(7))]);
    let deltas: Vec<_> =
        working_set.into_write_set().ledger.iter().map(|(_, it)| it.delta).collect();
    assert_eq!(deltas, [-2, 1, -1]);
}

#[test]
fn an_import_that_adds_no_rows_writes_no_ledger_entry() {
    let mut working_set = with_credits(0);
    let rows = vec![ImportRow::Todo(linked(1, Some(4))), logged(1)];
    let applied = working_set.decide(import(rows)).unwrap();
    assert_eq!((applied.cost, applied.balance), (0, 0));
    let write_set = working_set.into_write_set();
    assert_eq!((write_set.ledger, write_set.imported), (vec![], vec![]));
}

#[test]
fn rows_are_refused_if_an_earlier_import_mapped_their_actor_to_another() {
    let mut working_set = working_set();
    working_set.load_imported((HOME, source(), Origin::Actor(THERE)), PEER.0);
    assert_eq!(imported(&mut working_set, vec![logged(1)]), [Err(Refusal::NoSuchActor(THERE))]);
}

/// Decides the batches of a dry run one after the other, each in an unchanged working set.
fn dry_run(
    batches: &[Vec<ImportRow>],
    fresh: impl Fn() -> WorkingSet,
) -> (Vec<Vec<ImportResult>>, i64) {
    let (mut dry_run, mut cost) = (DryRun::default(), 0);
    let decided = batches.iter().map(|rows| {
        let applied = dry_run.decide_at(fresh(), import(rows.clone()), now()).unwrap();
        cost += applied.cost;
        outcomes(applied).into_iter().map(|it| it.map(Imported::effect)).collect()
    });
    (decided.collect(), cost)
}

fn real_run(
    batches: &[Vec<ImportRow>],
    mut working_set: WorkingSet,
) -> (Vec<Vec<ImportResult>>, i64) {
    let mut cost = 0;
    let decided = batches.iter().map(|rows| {
        let applied = working_set.decide(import(rows.clone())).unwrap();
        cost += applied.cost;
        outcomes(applied).into_iter().map(|it| it.map(Imported::effect)).collect()
    });
    (decided.collect(), cost)
}

type ImportResult = Result<ImportEffect, Refusal>;

/// A working set after an earlier import of a todo, and of a session that was deleted since.
fn imported_before() -> WorkingSet {
    let mut working_set = with_credits(1_000_000);
    working_set.load_imported((HOME, source(), Origin::Todo(TodoId(5))), TODO.0);
    working_set.load_imported((HOME, source(), Origin::Session(SessionId(5))), 1_000);
    working_set.load_activity_types(HOME, ME, activity_types(&["deploy"], ACTIVITY_TYPES_MAX - 1));
    working_set
}

fn of_kind(id: i64, kind_name: &str) -> ImportRow {
    let activity_type = activity_type(kind_name);
    let row = activity(ACTIVITY);
    ImportRow::Activity(Activity { id: ActivityId(id), session: None, activity_type, ..row })
}

#[test]
fn a_dry_run_sees_the_rows_that_earlier_lines_would_have_added() {
    use TodoStatus::{Cancelled, Done, InProgress, Open};
    let batches = [
        vec![ImportRow::Session(of(1)), ImportRow::Todo(linked(2, Some(1)))],
        vec![moved(1, 2, Open, InProgress), moved(2, 5, Open, InProgress)],
        vec![moved(3, 2, InProgress, Done), moved(4, 5, Open, Done), moved(2, 5, Open, Done)],
        vec![moved(5, 2, InProgress, Open), moved(6, 5, InProgress, Cancelled)],
        vec![ImportRow::Todo(linked(3, Some(1))), ImportRow::Todo(linked(4, Some(5)))],
        vec![ImportRow::Todo(linked(6, Some(9))), ImportRow::Todo(linked(2, None))],
        vec![of_kind(1, "new"), of_kind(2, "newer"), of_kind(3, "new")],
        vec![of_kind(4, "new"), of_kind(5, "deploy"), of_kind(6, "newest"), of_kind(1, "deploy")],
    ];
    let real = real_run(&batches, imported_before());
    assert_eq!(dry_run(&batches, imported_before), real);
    assert_eq!(real.1, 12, "{:?}", real.0);
}

#[test]
fn a_dry_run_reports_the_whole_cost_and_the_unchanged_balance() {
    let mut dry_run = DryRun::default();
    let applied =
        dry_run.decide_at(with_credits(1), import((1..=3).map(logged).collect()), now()).unwrap();
    assert_eq!((applied.cost, applied.balance), (3, 1));
}

#[test]
fn a_dry_run_is_refused_on_a_suspended_account() {
    let mut working_set = working_set();
    working_set.load_account(Account { status: AccountStatus::Suspended, ..account(HOME) });
    let refused = DryRun::default().decide_at(working_set, import(vec![]), now());
    assert_eq!(refused, Err(Refusal::Suspended));
}

#[test]
fn a_dry_run_packs_consecutive_rows_and_is_refused_beyond_57344_marks() {
    let mut dry_run = DryRun::default();
    let mut decide = |first: i64, apart: i64| {
        let rows = (0..64).map(|number| logged(first + number * apart)).collect();
        let decided = dry_run.decide_at(with_credits(0), import(rows), now());
        decided.map(|_| dry_run.len())
    };
    for number in 0..500 {
        assert!(decide(1 + number * 64, 1).unwrap() <= 126 + 1);
    }
    let mut most = 0;
    let refused = (0..3_000).find_map(|number| {
        let decided = decide(1_000_000 + number * 64 * 1_000, 1_000);
        decided.map(|marks| most = marks).err()
    });
    assert_eq!(refused, Some(Refusal::DryRunTooLarge));
    assert!((57_344..57_344 + 64).contains(&most), "{most}");
}

#[test]
fn a_dry_run_refuses_a_link_to_a_session_of_another_actor() {
    let by = |actor, id| ImportRow::Todo(Todo { actor, ..linked(id, Some(1)) });
    let batches = [vec![ImportRow::Session(of(1))], vec![by(ME, 1), by(PEER, 2)]];
    let real = real_run(&batches, imported_before());
    let refused = Err(Refusal::NoSuchSession(SessionId(1)));
    assert_eq!(real.0[1], [Ok(ImportEffect::Added), refused]);
    assert_eq!(dry_run(&batches, imported_before), real);
}

/// For each id a session, of `actors` actors in turn, and a todo that is linked to it.
fn sessions_and_todos(
    ids: impl Iterator<Item = i64>,
    actors: i64,
    mut each: impl FnMut(Vec<ImportRow>),
) {
    let mut rows = Vec::new();
    for (number, id) in (0..).zip(ids) {
        let actor = ActorId(1 + number % actors);
        rows.push(ImportRow::Session(Session { actor, ..of(id) }));
        rows.push(ImportRow::Todo(Todo { actor, ..linked(id, Some(id)) }));
        if rows.len() == IMPORT_MAX_ROWS {
            each(std::mem::take(&mut rows));
        }
    }
    each(rows);
}

/// The number of marks for sessions and todos with those ids, of `actors` actors in turn.
fn marks_of(ids: impl Iterator<Item = i64>, actors: i64) -> usize {
    let mut dry_run = DryRun::default();
    sessions_and_todos(ids, actors, |rows| {
        let applied = dry_run.decide_at(with_credits(0), import(rows), now()).unwrap();
        assert!(outcomes(applied).iter().all(|it| matches!(it, Ok(Imported::New(_)))));
    });
    dry_run.len()
}

#[test]
fn the_marks_of_a_dry_run_stay_bounded_however_many_actors_alternate() {
    // 40 times 256 ids: a mark that they are there, and one of the todos' status.
    let there = 40 * 3;
    for (actors, digits) in [(1, 0), (2, 1), (15, 1), (200, 2), (255, 2), (1_000, 3), (5_000, 4)] {
        let owners = 40 * 2 * 4 * digits;
        let most = there + owners + usize::try_from(actors).unwrap();
        let marks = marks_of(256..41 * 256, actors);
        assert!(marks <= most, "{actors} actors: {marks} marks, {most} at most");
    }
    // What docs/api.md says of 200 actors: 660,000 sessions and as many todos, of all four
    // statuses.
    let of_ids = marks_of(256..41 * 256, 200) - 200 + 3 * 40;
    assert!(of_ids * 660_000 / (40 * 256) + 200 < 57_344, "{of_ids} marks");
}

#[test]
fn a_dry_run_holds_20_000_rows_of_200_actors_however_far_apart_their_ids_are() {
    for apart in [1, 3, 50, 64, 100, 256, 1_000_000] {
        for (actors, most) in [(1, 57_344), (200, 57_344), (5_000, 57_344 * 20 / 11)] {
            let marks = marks_of((1..=1_000).map(|number| number * apart), actors);
            // Both kinds of rows, 2,000 in all.
            let of_ids = marks - usize::try_from(actors.min(1_000)).unwrap();
            assert!(of_ids * 10 <= most, "{actors} actors, {apart} apart: {of_ids} marks");
        }
    }
}

#[test]
fn a_dry_run_of_700_actors_refuses_rows_of_other_actors_like_the_import() {
    let mut batches = Vec::new();
    sessions_and_todos((1..=2_000).map(|id| id * 3), 700, |rows| batches.push(rows));
    let next = |actor: ActorId| ActorId(1 + actor.0 % 700);
    let more = batches.clone().into_iter().flatten().enumerate().filter_map(|(number, row)| {
        let ImportRow::Todo(todo) = row else { return None };
        // Every other row is for another actor than the existing one.
        let actor = if number % 4 == 1 { todo.actor } else { next(todo.actor) };
        Some(if number % 8 < 4 {
            ImportRow::Todo(Todo { id: TodoId(todo.id.0 + 100_000), actor, ..todo })
        } else {
            match moved(todo.id.0, todo.id.0, todo.status, TodoStatus::Done) {
                ImportRow::Step(_, step) => ImportRow::Step(actor, step),
                row => row,
            }
        })
    });
    let more: Vec<_> = more.collect();
    batches.extend(more.chunks(IMPORT_MAX_ROWS).map(<[_]>::to_vec));
    let real = real_run(&batches, imported_before());
    let refused = real.0.iter().flatten().filter(|it| it.is_err()).count();
    assert_eq!((refused, real.1), (1_000, 5_000));
    assert_eq!(dry_run(&batches, imported_before), real);
}

proptest::proptest! {
    /// Rows with few different ids, so that many refer to each other.
    #[test]
    fn a_dry_run_of_random_rows_has_the_same_outcomes_as_their_import(
        rows in proptest::collection::vec(
            (0..5_u8, 1..7_i64, 1..7_i64, 0..4_usize, 1..4_i64),
            0..40,
        ),
        at_once in 1..10_usize,
    ) {
        let row = |(which, id, link, status, actor): (u8, i64, i64, usize, i64)| {
            let (from, to) = (TodoStatus::ALL[status], TodoStatus::ALL[(status + 1) % 4]);
            let actor = ActorId(actor);
            let by_actor = |row| match row {
                ImportRow::Step(_, step) => ImportRow::Step(actor, step),
                row => row,
            };
            match which {
                0 => ImportRow::Session(Session { actor, ..of(id) }),
                1 => {
                    let todo = linked(id, (link > 3).then_some(link));
                    ImportRow::Todo(Todo { actor, ..todo })
                }
                2 => by_actor(moved(id, link, from, to)),
                3 => by_actor(moved(id, link, TodoStatus::Open, to)),
                _ => of_kind(id, ["new", "newer", "deploy", "last"][status]),
            }
        };
        let rows: Vec<_> = rows.into_iter().map(row).collect();
        let batches: Vec<_> = rows.chunks(at_once).map(<[_]>::to_vec).collect();
        let real = real_run(&batches, imported_before());
        proptest::prop_assert_eq!(dry_run(&batches, imported_before), real);
    }
}
