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
fn the_read_set_of_a_command_has_the_rows_it_changes_deletes_or_depends_on() {
    let linked = TodoPatch { session: Patch::Set(ENDED), ..TodoPatch::EMPTY };
    let unlinked = TodoPatch { session: Patch::Clear, ..TodoPatch::EMPTY };
    let activity_types = BTreeSet::from([(HOME, ME, activity_type("deploy"))]);
    for (action, expected) in [
        (start(), at_home()),
        (end(UNKNOWN), sessions([UNKNOWN])),
        (ResourceAction::DeleteSession(ENDED), sessions([ENDED])),
        (new_todo(None), at_home()),
        (new_todo(Some(ACTIVE)), sessions([ACTIVE])),
        (new_todos([None, Some(ACTIVE), Some(UNKNOWN)]), sessions([ACTIVE, UNKNOWN])),
        (step(TODO, TodoStatus::Done), todos(TODO)),
        (patch_todo(TODO, unlinked), todos(TODO)),
        (patch_todo(TODO, linked), ReadSet { todos: todos(TODO).todos, ..sessions([ENDED]) }),
        (ResourceAction::DeleteTodo { id: TODO, claim_token: None }, todos(TODO)),
        (log("deploy", None), ReadSet { activity_types: activity_types.clone(), ..at_home() }),
        (log("deploy", Some(ACTIVE)), ReadSet { activity_types, ..sessions([ACTIVE]) }),
        (
            ResourceAction::DeleteActivity(ACTIVITY),
            ReadSet { activities: BTreeSet::from([(HOME, ACTIVITY)]), ..at_home() },
        ),
    ] {
        let command = mine(action);
        assert_eq!(ReadSet::of([&command]), expected, "{:?}", command.action);
        assert_eq!(command.account(), Some(HOME));
    }
}

#[test]
fn the_read_set_of_founding_has_the_directory_and_that_of_a_grant_its_account() {
    let directory = ReadSet { directory: true, ..ReadSet::default() };
    let abroad = BTreeSet::from([ABROAD]);
    let founded = ReadSet { accounts: abroad.clone(), ..directory.clone() };
    let granted = ReadSet { accounts: abroad, ..ReadSet::default() };
    for (command, expected) in [
        (program(SystemAction::ReserveAccount), directory.clone()),
        (program(SystemAction::NameInstallation(Uid::NIL)), directory),
        (program(found(founding(ABROAD))), founded),
        (by_command_line(grant(ABROAD, 1)), granted),
    ] {
        assert_eq!(ReadSet::of([&command]), expected, "{:?}", command.action);
        assert_eq!(command.account(), expected.accounts.first().copied());
    }
}

#[test]
fn the_read_set_of_counting_calls_has_the_calling_accounts() {
    let command = program(SystemAction::CountCalls(vec![called(HOME, 1), called(ABROAD, 2)]));
    let accounts = BTreeSet::from([HOME, ABROAD]);
    assert_eq!(ReadSet::of([&command]), ReadSet { accounts, ..ReadSet::default() });
}

#[test]
fn the_read_set_of_a_batch_is_the_union_of_those_of_its_commands() {
    let abroad = KeyBearer { account: ABROAD, ..bearer(ME) };
    let commands = [
        mine(end(ACTIVE)),
        mine(new_todo(Some(ACTIVE))),
        of(abroad, end(ACTIVE)),
        program(SystemAction::ReserveAccount),
        by(PEER, log("deploy", None)),
    ];
    let expected = ReadSet {
        directory: true,
        accounts: BTreeSet::from([HOME, ABROAD]),
        sessions: BTreeSet::from([(HOME, ACTIVE), (ABROAD, ACTIVE)]),
        activity_types: BTreeSet::from([(HOME, PEER, activity_type("deploy"))]),
        ..ReadSet::default()
    };
    assert_eq!(ReadSet::of(&commands), expected);
}
