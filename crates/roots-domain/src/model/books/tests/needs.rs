//! What a batch must load.

use super::*;

fn at_home() -> Needs {
    Needs { accounts: BTreeSet::from([HOME]), ..Needs::default() }
}

fn sessions<const N: usize>(ids: [SessionId; N]) -> Needs {
    Needs { sessions: ids.map(|id| (HOME, id)).into(), ..at_home() }
}

fn todos(id: TodoId) -> Needs {
    Needs { todos: BTreeSet::from([(HOME, id)]), ..at_home() }
}

#[test]
fn a_unit_needs_the_rows_it_changes_deletes_or_rests_on() {
    let linked = TodoPatch { session: Patch::Set(ENDED), ..TodoPatch::EMPTY };
    let unlinked = TodoPatch { session: Patch::Clear, ..TodoPatch::EMPTY };
    let kinds = BTreeSet::from([(HOME, ME, kind("deploy"))]);
    for (intent, expected) in [
        (start(), at_home()),
        (end(UNKNOWN), sessions([UNKNOWN])),
        (Intent::DeleteSession(ENDED), sessions([ENDED])),
        (new_todo(None), at_home()),
        (new_todo(Some(ACTIVE)), sessions([ACTIVE])),
        (step(TODO, TodoStatus::Done), todos(TODO)),
        (patch_todo(TODO, unlinked), todos(TODO)),
        (patch_todo(TODO, linked), Needs { todos: todos(TODO).todos, ..sessions([ENDED]) }),
        (Intent::DeleteTodo(TODO), todos(TODO)),
        (log("deploy", None), Needs { kinds: kinds.clone(), ..at_home() }),
        (log("deploy", Some(ACTIVE)), Needs { kinds, ..sessions([ACTIVE]) }),
        (
            Intent::DeleteActivity(ACTIVITY),
            Needs { activities: BTreeSet::from([(HOME, ACTIVITY)]), ..at_home() },
        ),
    ] {
        let unit = mine(intent);
        assert_eq!(Needs::of([&unit]), expected, "{:?}", unit.intent);
        assert_eq!(unit.account(), Some(HOME));
    }
}

#[test]
fn founding_needs_the_directory_and_a_grant_its_account() {
    let directory = Needs { directory: true, ..Needs::default() };
    let abroad = BTreeSet::from([ABROAD]);
    for (intent, expected) in [
        (Intent::ReserveAccount, directory.clone()),
        (found(founding(ABROAD)), Needs { accounts: abroad.clone(), ..directory }),
        (grant(ABROAD, 1), Needs { accounts: abroad, ..Needs::default() }),
    ] {
        let unit = program(intent);
        assert_eq!(Needs::of([&unit]), expected, "{:?}", unit.intent);
        assert_eq!(unit.account(), expected.accounts.first().copied());
    }
}

#[test]
fn counting_calls_needs_the_accounts_that_called() {
    let unit = program(Intent::CountCalls(vec![called(HOME, 1), called(ABROAD, 2)]));
    let accounts = BTreeSet::from([HOME, ABROAD]);
    assert_eq!(Needs::of([&unit]), Needs { accounts, ..Needs::default() });
}

#[test]
fn a_batch_needs_what_its_units_need_each_once() {
    let abroad = Author::Key(KeyBearer { account: ABROAD, ..bearer(ME) });
    let units = [
        mine(end(ACTIVE)),
        mine(new_todo(Some(ACTIVE))),
        UnitOfWork { author: abroad, ..mine(end(ACTIVE)) },
        program(Intent::ReserveAccount),
        by(PEER, log("deploy", None)),
    ];
    let expected = Needs {
        directory: true,
        accounts: BTreeSet::from([HOME, ABROAD]),
        sessions: BTreeSet::from([(HOME, ACTIVE), (ABROAD, ACTIVE)]),
        kinds: BTreeSet::from([(HOME, PEER, kind("deploy"))]),
        ..Needs::default()
    };
    assert_eq!(Needs::of(&units), expected);
}
