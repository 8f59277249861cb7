//! Admission: which callers' commands are decided at all.

use super::*;
use crate::command::Reservation;

fn key() -> ApiKey {
    ApiKey {
        id: KEY,
        actor: ME,
        lookup: LookupHash([1; 32]),
        prefix: "roots_1_abc".into(),
        label: None,
        created_at: at(0),
        last_used: None,
        expires_at: None,
        status: KeyStatus::Current,
        succession: None,
        first_used_at: None,
    }
}

fn of_epoch(auth_epoch: i64, action: ResourceAction) -> Command {
    of(KeyBearer { auth_epoch, ..bearer(ME) }, action)
}

fn stale(action: ResourceAction) -> Command {
    of_epoch(EPOCH - 1, action)
}

/// A working set with the caller's key, if it was found, and its actor.
fn with_key(key: Option<ApiKey>, is_active: bool) -> WorkingSet {
    let mut working_set = working_set();
    working_set.load_actor(HOME, Actor { id: ME, is_active, ..accounts::owner() });
    if let Some(key) = key {
        working_set.load_key(HOME, key);
    }
    working_set
}

#[test]
fn a_command_of_another_auth_epoch_needs_a_key_that_is_still_in_force() {
    let later = now().plus_seconds(1);
    let grace = |until| KeyStatus::InGrace { until };
    let revoked = ApiKey { status: KeyStatus::Ended, ..key() };
    for (why, found, is_active) in [
        ("it is gone", None, true),
        ("it is another actor's", Some(ApiKey { actor: PEER, ..key() }), true),
        ("its actor is deactivated", Some(key()), false),
        ("it is revoked", Some(revoked), true),
        ("its grace is over", Some(ApiKey { status: grace(now()), ..key() }), true),
        ("it has expired", Some(ApiKey { expires_at: Some(now()), ..key() }), true),
        ("it is another key", Some(ApiKey { id: KeyId(2), ..key() }), true),
    ] {
        let mut working_set = with_key(found, is_active);
        let before = stands(&working_set);
        // An epoch ahead of the account's was read before a backup was restored.
        for epoch in [EPOCH - 1, EPOCH + 1] {
            let decided = working_set.decide(of_epoch(epoch, start()));
            assert_eq!(decided, Err(Refusal::KeyNotInForce), "{why}");
        }
        assert_eq!(stands(&working_set), before, "{why}");
        assert!(working_set.decide(mine(start())).is_ok(), "the epoch has not moved, though {why}");
    }
    for good in [
        key(),
        ApiKey { status: grace(later), ..key() },
        ApiKey { expires_at: Some(later), ..key() },
    ] {
        assert!(with_key(Some(good), true).decide(stale(start())).is_ok());
    }
}

/// Commands of every kind of principal that bears a key, and that would otherwise be applied.
fn commands_of(bearer: KeyBearer) -> Vec<Command> {
    let owner = KeyBearer { role: Role::Owner, ..bearer };
    let export = TransferAction::NoteExport { actor: None };
    let reserve = ManageAction::ReserveIds(Reservation::Key);
    let operator = Operator::Key(KeyBearer { account: ABROAD, ..bearer });
    let suspend = set_status(HOME, AccountStatus::Suspended);
    vec![
        of(owner, start()),
        uncharged(Action::Transfer(owner, export)),
        uncharged(Action::Manage(owner, reserve)),
        uncharged(Action::Operate(operator, grant(HOME, 1))),
        uncharged(Action::Operate(operator, suspend)),
    ]
}

#[test]
fn a_key_that_expires_while_its_command_waits_is_refused() {
    let end = now().plus_seconds(1);
    let bearer = KeyBearer { ends_at: Some(end), ..bearer(ME) };
    for command in commands_of(bearer) {
        let mut working_set = with_key(Some(key()), true);
        working_set.account_mut(ABROAD).unwrap().kind = AccountKind::Operator;
        let before = stands(&working_set);
        for late in [end, end.plus_seconds(60)] {
            let decided = working_set.decide_at(command.clone(), late);
            assert_eq!(decided, Err(Refusal::KeyNotInForce), "{:?}", command.action);
        }
        assert_eq!(stands(&working_set), before);
        assert!(working_set.decide_at(command.clone(), now()).is_ok(), "{:?}", command.action);
    }
}

#[test]
fn a_rechecked_key_must_be_in_force_at_the_time_of_the_decision() {
    let end = now().plus_seconds(1);
    let expiring = ApiKey { expires_at: Some(end), ..key() };
    let mut working_set = with_key(Some(expiring), true);
    assert_eq!(working_set.decide_at(stale(start()), end), Err(Refusal::KeyNotInForce));
    assert!(working_set.decide_at(stale(start()), now()).is_ok());
}

#[test]
fn a_row_carries_the_time_of_its_command_not_of_the_decision() {
    let mut working_set = working_set();
    let applied = working_set.decide_at(mine(start()), now().plus_seconds(9)).unwrap();
    let AppliedRow::Session(session) = applied.row else { panic!("{applied:?}") };
    assert_eq!(session.started_at, now());
}

#[test]
fn a_key_of_another_account_does_not_authorize_a_stale_command() {
    let mut working_set = working_set();
    working_set.load_key(ABROAD, key());
    working_set.load_actor(ABROAD, accounts::owner());
    assert_refused(&mut working_set, stale(start()), &Refusal::KeyNotInForce);
}

#[test]
fn only_keys_of_another_auth_epoch_or_beside_a_key_change_are_rechecked() {
    let nowhere = KeyBearer { account: AccountId(9), auth_epoch: 0, ..bearer(ME) };
    let ahead = KeyBearer { key: KeyId(5), auth_epoch: EPOCH + 1, ..bearer(PEER) };
    let commands = [
        mine(start()),
        by_command_line(grant(HOME, 1)),
        stale(start()),
        stale(end(ACTIVE)),
        of(nowhere, start()),
        of(ahead, start()),
    ];
    let check = |commands: &[Command]| {
        let mut read_set = ReadSet::default();
        working_set().check_again(commands, &mut read_set);
        (read_set.keys, read_set.actors)
    };
    let keys = BTreeSet::from([(HOME, KEY), (HOME, KeyId(5))]);
    assert_eq!(check(&commands), (keys, BTreeSet::from([(HOME, ME), (HOME, PEER)])));
    assert_eq!(check(&commands[..2]), Default::default());
    // If a command of the batch may end keys, all keys of its account are checked.
    let using = program(SystemAction::UseKey { account: HOME, actor: PEER, key: KeyId(7) });
    let (keys, actors) = check(&[using, mine(start()), by_command_line(grant(HOME, 1))]);
    assert_eq!((keys, actors), (BTreeSet::from([(HOME, KEY)]), BTreeSet::from([(HOME, ME)])));
}
