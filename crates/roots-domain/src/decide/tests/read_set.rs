//! What a batch must load.

use super::*;

fn at_home() -> ReadSet {
    ReadSet { accounts: BTreeSet::from([HOME]), ..ReadSet::default() }
}

fn sessions<const N: usize>(ids: [SessionId; N]) -> ReadSet {
    ReadSet { sessions: ids.map(|id| (HOME, id)).into(), ..at_home() }
}

fn todos(id: TodoId) -> ReadSet {
    ReadSet { todos: BTreeSet::from([(HOME, id)]), ..at_home() }
}

#[test]
fn a_command_needs_the_rows_it_changes_deletes_or_rests_on() {
    let linked = TodoPatch { session: Patch::Set(ENDED), ..TodoPatch::EMPTY };
    let unlinked = TodoPatch { session: Patch::Clear, ..TodoPatch::EMPTY };
    let kinds = BTreeSet::from([(HOME, ME, kind("deploy"))]);
    for (action, expected) in [
        (start(), at_home()),
        (end(UNKNOWN), sessions([UNKNOWN])),
        (Action::DeleteSession(ENDED), sessions([ENDED])),
        (new_todo(None), at_home()),
        (new_todo(Some(ACTIVE)), sessions([ACTIVE])),
        (step(TODO, TodoStatus::Done), todos(TODO)),
        (patch_todo(TODO, unlinked), todos(TODO)),
        (patch_todo(TODO, linked), ReadSet { todos: todos(TODO).todos, ..sessions([ENDED]) }),
        (Action::DeleteTodo(TODO), todos(TODO)),
        (log("deploy", None), ReadSet { kinds: kinds.clone(), ..at_home() }),
        (log("deploy", Some(ACTIVE)), ReadSet { kinds, ..sessions([ACTIVE]) }),
        (
            Action::DeleteActivity(ACTIVITY),
            ReadSet { activities: BTreeSet::from([(HOME, ACTIVITY)]), ..at_home() },
        ),
    ] {
        let command = mine(action);
        assert_eq!(ReadSet::of([&command]), expected, "{:?}", command.action);
        assert_eq!(command.account(), Some(HOME));
    }
}

#[test]
fn founding_needs_the_directory_and_a_grant_its_account() {
    let directory = ReadSet { directory: true, ..ReadSet::default() };
    let abroad = BTreeSet::from([ABROAD]);
    for (action, expected) in [
        (Action::ReserveAccount, directory.clone()),
        (Action::NameInstallation(Uid::NIL), directory.clone()),
        (found(founding(ABROAD)), ReadSet { accounts: abroad.clone(), ..directory }),
        (grant(ABROAD, 1), ReadSet { accounts: abroad, ..ReadSet::default() }),
    ] {
        let command = program(action);
        assert_eq!(ReadSet::of([&command]), expected, "{:?}", command.action);
        assert_eq!(command.account(), expected.accounts.first().copied());
    }
}

#[test]
fn counting_calls_needs_the_accounts_that_called() {
    let command = program(Action::CountCalls(vec![called(HOME, 1), called(ABROAD, 2)]));
    let accounts = BTreeSet::from([HOME, ABROAD]);
    assert_eq!(ReadSet::of([&command]), ReadSet { accounts, ..ReadSet::default() });
}

#[test]
fn a_batch_needs_what_its_commands_need_each_once() {
    let abroad = Principal::Key(KeyBearer { account: ABROAD, ..bearer(ME) });
    let commands = [
        mine(end(ACTIVE)),
        mine(new_todo(Some(ACTIVE))),
        Command { principal: abroad, ..mine(end(ACTIVE)) },
        program(Action::ReserveAccount),
        by(PEER, log("deploy", None)),
    ];
    let expected = ReadSet {
        directory: true,
        accounts: BTreeSet::from([HOME, ABROAD]),
        sessions: BTreeSet::from([(HOME, ACTIVE), (ABROAD, ACTIVE)]),
        kinds: BTreeSet::from([(HOME, PEER, kind("deploy"))]),
        ..ReadSet::default()
    };
    assert_eq!(ReadSet::of(&commands), expected);
}
