//! The operations of operators.

use std::collections::BTreeSet;

use super::idempotency::name_of;
use super::*;
use crate::model::idempotency::Mac;

/// A third account, of operators.
const OPERATORS: AccountId = AccountId(3);
const SUSPENDED: AccountStatus = AccountStatus::Suspended;

fn operators() -> Account {
    Account { kind: AccountKind::Operator, ..account(OPERATORS) }
}

fn with_operators() -> WorkingSet {
    let mut working_set = working_set();
    working_set.load_account(operators());
    working_set
}

/// The command of an operator's actor, which may be any actor of that account.
fn by_bearer(bearer: KeyBearer, action: OperatorAction) -> Command {
    let charge = Some(Charge::nothing(ROUTE));
    Command { charge, ..uncharged(Action::Operate(Operator::Key(bearer), action)) }
}

fn by_operator(action: OperatorAction) -> Command {
    by_bearer(KeyBearer { account: OPERATORS, ..bearer(PEER) }, action)
}

fn decided(working_set: &mut WorkingSet, action: OperatorAction) -> Account {
    let applied = working_set.decide(by_operator(action)).unwrap();
    let AppliedRow::Account(account) = applied.row else { unreachable!("another row") };
    assert_eq!((applied.cost, applied.balance), (0, account.balance));
    *account
}

/// The operators' account after that many of its actions.
fn having_done(actions: i64) -> Account {
    let before = operators();
    let last_ids = LastIds { audit: before.last_ids.audit + actions, ..before.last_ids };
    Account { last_ids, version: 8, ..before }
}

fn own_event(action: AuditAction, subject: AccountId) -> AuditEvent {
    let bearer = KeyBearer { account: OPERATORS, ..bearer(PEER) };
    AuditEvent::of(action, bearer).to_account(subject)
}

#[test]
fn an_operators_grant_changes_the_balance_and_is_audited_in_both_accounts() {
    for status in [AccountStatus::Active, SUSPENDED] {
        let mut working_set = with_operators();
        let before = Account { status, ..account(HOME) };
        working_set.load_account(before.clone());
        let granted = decided(&mut working_set, grant(HOME, 40));
        let last_ids = LastIds { ledger: 51, audit: 61, ..before.last_ids };
        assert_eq!(granted, Account { balance: BALANCE + 40, last_ids, ..before });
        let entry = LedgerEntry {
            id: LedgerId(51),
            delta: 40,
            balance_after: BALANCE + 40,
            reason: Reason::OperatorGrant,
            endpoint: Some(ROUTE.into()),
            actor: None,
            note: Some("refill".into()),
            subject: None,
            steps: Steps::default(),
            created_at: now(),
        };
        let action = AuditAction::CreditsGranted;
        let expected = WriteSet {
            accounts_changed: vec![Account { version: 8, ..granted }, having_done(1)],
            ledger: vec![(HOME, entry)],
            audit_log: vec![
                (HOME, noted(61, AuditEvent::of_operator(action, OPERATORS))),
                (OPERATORS, noted(61, own_event(action, HOME))),
            ],
            counters: counters([(Counter::Ledger(Reason::OperatorGrant), 1)]),
            work: work(None, super::granted(40)),
            ..WriteSet::default()
        };
        assert_eq!(working_set.into_write_set(), expected);
    }
}

#[test]
fn an_operators_grant_to_its_own_account_is_audited_once() {
    let mut working_set = with_operators();
    let granted = decided(&mut working_set, grant(OPERATORS, 1));
    assert_eq!(granted.balance, BALANCE + 1);
    let noted = noted(61, own_event(AuditAction::CreditsGranted, OPERATORS));
    assert_eq!(working_set.into_write_set().audit_log, [(OPERATORS, noted)]);
}

#[test]
fn a_grant_that_is_repeated_is_done_once_and_answered_as_it_was_then() {
    let mut working_set = with_operators();
    let named =
        |request, action| Command { conditions: name_of(7, request), ..by_operator(action) };
    let command = named(1, grant(HOME, 40));
    let records = ReadSet::of([&command]).idempotency_records;
    assert_eq!(records, BTreeSet::from([(OPERATORS, PEER, Mac([7; 32]))]));
    let first = working_set.decide(command.clone()).unwrap();
    decided(&mut working_set, grant(HOME, 1));
    let again = working_set.decide(command).unwrap();
    assert_eq!((&again.row, again.is_replay), (&first.row, true));
    assert_refused(&mut working_set, named(2, grant(HOME, 40)), &Refusal::KeyOfAnotherRequest);
    assert_eq!(working_set.account(HOME).unwrap().balance, BALANCE + 41);
    let kept = working_set.into_write_set().idempotency_records;
    assert_eq!(kept.into_values().map(|record| record.row).collect::<Vec<_>>(), [first.row]);
}

#[test]
fn a_suspension_raises_the_auth_epoch_and_a_resumption_does_not() {
    let mut working_set = with_operators();
    let suspended = decided(&mut working_set, set_status(HOME, SUSPENDED));
    assert_eq!((suspended.status, suspended.auth_epoch), (SUSPENDED, EPOCH + 1));
    assert_refused(&mut working_set, stale_of(EPOCH + 1), &Refusal::Suspended);
    let resumed = decided(&mut working_set, set_status(HOME, AccountStatus::Active));
    assert_eq!((resumed.status, resumed.auth_epoch), (AccountStatus::Active, EPOCH + 1));
    assert!(working_set.decide(stale_of(EPOCH + 1)).is_ok());
    // Callers admitted before are checked again.
    assert_refused(&mut working_set, mine(start()), &Refusal::KeyNotInForce);
    let actions: Vec<_> = working_set.into_write_set().audit_log;
    let (suspended, resumed) = (AuditAction::AccountSuspended, AuditAction::AccountResumed);
    let expected = [
        (HOME, noted(61, AuditEvent::of_operator(suspended, OPERATORS))),
        (OPERATORS, noted(61, own_event(suspended, HOME))),
        (HOME, noted(62, AuditEvent::of_operator(resumed, OPERATORS))),
        (OPERATORS, noted(62, own_event(resumed, HOME))),
    ];
    assert_eq!(actions, expected);
}

fn stale_of(auth_epoch: i64) -> Command {
    of(KeyBearer { auth_epoch, ..bearer(ME) }, start())
}

#[test]
fn setting_an_account_to_the_status_already_set_changes_nothing() {
    let mut working_set = with_operators();
    decided(&mut working_set, set_status(HOME, AccountStatus::Active));
    decided(&mut working_set, set_status(OPERATORS, AccountStatus::Active));
    assert_eq!(working_set.clone().into_write_set(), WriteSet::default());
    decided(&mut working_set, set_status(HOME, SUSPENDED));
    let once = working_set.clone().into_write_set();
    decided(&mut working_set, set_status(HOME, SUSPENDED));
    assert_eq!(working_set.into_write_set(), once);
}

#[test]
fn an_operator_can_suspend_another_operator_but_not_itself() {
    let mut working_set = with_operators();
    let own = by_operator(set_status(OPERATORS, SUSPENDED));
    assert_refused(&mut working_set, own, &Refusal::OwnAccount);
    working_set.load_account(Account { kind: AccountKind::Operator, ..account(ABROAD) });
    decided(&mut working_set, set_status(ABROAD, SUSPENDED));
    // The suspended operators' account can't act any more.
    let suspended = KeyBearer { account: ABROAD, auth_epoch: EPOCH + 1, ..bearer(ME) };
    for action in [set_status(OPERATORS, SUSPENDED), set_status(ABROAD, AccountStatus::Active)] {
        let command = by_bearer(suspended, action);
        assert_refused(&mut working_set, command, &Refusal::Suspended);
    }
}

#[test]
fn only_operators_can_grant_credits_or_set_an_accounts_status() {
    for action in [
        grant(HOME, 1),
        grant(ABROAD, 1),
        grant(AccountId(9), 1),
        set_status(HOME, SUSPENDED),
        set_status(ABROAD, SUSPENDED),
        set_status(AccountId(9), SUSPENDED),
    ] {
        let command = by_bearer(bearer(ME), action);
        assert_refused(&mut with_operators(), command, &Refusal::OperatorOnly);
    }
}

#[test]
fn an_operators_command_requires_a_key_in_force() {
    let stale = KeyBearer { account: OPERATORS, auth_epoch: 1, ..bearer(PEER) };
    for action in [grant(HOME, 1), set_status(HOME, SUSPENDED)] {
        let command = by_bearer(stale, action);
        assert_refused(&mut with_operators(), command, &Refusal::KeyNotInForce);
    }
}

#[test]
fn the_command_line_suspends_and_resumes_any_account_without_a_key() {
    let mut working_set = with_operators();
    for (status, epoch) in [(SUSPENDED, EPOCH + 1), (AccountStatus::Active, EPOCH + 1)] {
        working_set.decide(by_command_line(set_status(OPERATORS, status))).unwrap();
        let account = working_set.account(OPERATORS).unwrap();
        assert_eq!((account.status, account.auth_epoch), (status, epoch));
    }
    let by_program = |id, action| (OPERATORS, noted(id, AuditEvent::of_program(action)));
    let expected = [
        by_program(61, AuditAction::AccountSuspended),
        by_program(62, AuditAction::AccountResumed),
    ];
    assert_eq!(working_set.into_write_set().audit_log, expected);
}

#[test]
fn an_operators_command_is_refused_on_an_unknown_account_or_a_balance_overflow() {
    let nobody = AccountId(9);
    for action in [grant(nobody, 1), set_status(nobody, SUSPENDED)] {
        let command = by_operator(action);
        assert_refused(&mut with_operators(), command, &Refusal::NoSuchAccount(nobody));
    }
    let mut working_set = with_operators();
    working_set.load_account(Account { balance: i64::MAX, ..account(HOME) });
    assert_refused(&mut working_set, by_operator(grant(HOME, 1)), &Refusal::BalanceTooHigh);
}

#[test]
fn the_read_set_of_an_operators_command_has_both_accounts() {
    for action in [grant(HOME, 1), set_status(HOME, SUSPENDED)] {
        // Which operators are left is decided one after the other.
        let directory = matches!(action, OperatorAction::SetAccountStatus { .. });
        let command = by_operator(action);
        let accounts = BTreeSet::from([HOME, OPERATORS]);
        assert_eq!(ReadSet::of([&command]), ReadSet { directory, accounts, ..ReadSet::default() });
        assert_eq!(command.account(), Some(HOME), "it goes where the other account's commands go");
    }
}

#[test]
fn an_owners_changes_of_actors_and_keys_are_audited_unless_nothing_changes() {
    let owner = KeyBearer { role: Role::Owner, ..bearer(ME) };
    let actor = |id, role| Actor {
        id,
        uid: uid(70),
        name: name("ada"),
        kind: ActorKind::Human,
        role,
        is_active: true,
        key_epoch: KeyEpoch::FIRST,
        renewals: Renewals::NONE,
        created_at: at(0),
    };
    let key = |id, actor| ApiKey {
        id,
        actor,
        lookup: LookupHash([1; 32]),
        prefix: "roots_1_abc".into(),
        label: None,
        created_at: at(0),
        last_used: None,
        expires_at: None,
        status: KeyStatus::Current,
        succession: None,
        first_used_at: None,
    };
    let theirs = KeyId(2);
    let mut working_set = working_set();
    working_set.load_actor(HOME, actor(ME, Role::Owner));
    working_set.load_actor(HOME, actor(PEER, Role::Member));
    working_set.load_key(HOME, key(KEY, ME));
    working_set.load_key(HOME, key(theirs, PEER));
    let patch = |new: &str, is_active| ManageAction::PatchActor {
        id: PEER,
        name: Some(name(new)),
        is_active,
    };
    // Each action is sent twice. The second one changes nothing and is not logged.
    for action in [
        ManageAction::RevokeKey(theirs),
        ManageAction::RevokeKey(theirs),
        patch("eve", None),
        patch("eve", Some(false)),
        patch("eve", Some(false)),
        patch("eve", Some(true)),
    ] {
        let auth_epoch = working_set.account(HOME).unwrap().auth_epoch;
        let bearer = KeyBearer { auth_epoch, ..owner };
        working_set.decide(uncharged(Action::Manage(bearer, action))).unwrap();
    }
    let done: Vec<_> =
        working_set.into_write_set().audit_log.into_iter().map(|(_, it)| it.event).collect();
    let to_peer = |action| AuditEvent::of(action, owner).to_actor(PEER);
    let expected = [
        AuditEvent::of(AuditAction::KeyRevoked, owner).to_key(PEER, theirs),
        to_peer(AuditAction::ActorRenamed),
        to_peer(AuditAction::ActorDeactivated),
        to_peer(AuditAction::ActorActivated),
    ];
    assert_eq!(done, expected);
}

fn export(bearer: KeyBearer, actor: Option<ActorId>) -> Command {
    uncharged(Action::Transfer(bearer, TransferAction::NoteExport { actor }))
}

#[test]
fn an_owners_export_is_audited_even_while_its_account_is_suspended() {
    let owner = KeyBearer { role: Role::Owner, ..bearer(ME) };
    for status in [AccountStatus::Active, SUSPENDED] {
        let mut working_set = working_set();
        working_set.load_account(Account { status, ..account(HOME) });
        working_set.decide(export(owner, None)).unwrap();
        working_set.decide(export(owner, Some(PEER))).unwrap();
        let event = AuditEvent::of(AuditAction::Exported, owner);
        let expected = [(HOME, noted(61, event)), (HOME, noted(62, event.to_actor(PEER)))];
        assert_eq!(working_set.into_write_set().audit_log, expected);
    }
    let by_member = export(bearer(ME), Some(ME));
    assert_refused(&mut working_set(), by_member, &Refusal::OwnerOnly);
}

#[test]
fn an_owners_import_is_audited_and_must_come_from_another_account() {
    let owner = KeyBearer { role: Role::Owner, ..bearer(ME) };
    let import = |source, actor| {
        uncharged(Action::Transfer(owner, TransferAction::NoteImport { source, actor }))
    };
    let mut working_set = working_set();
    working_set.decide(import(uid(7), None)).unwrap();
    working_set.decide(import(uid(7), Some(PEER))).unwrap();
    let own = account(HOME).uid;
    assert_refused(&mut working_set, import(own, None), &Refusal::OwnExport);
    let by_member = borne_by(bearer(ME), import(uid(7), None));
    assert_refused(&mut working_set, by_member, &Refusal::OwnerOnly);
    working_set.load_account(Account { status: SUSPENDED, ..account(HOME) });
    assert_refused(&mut working_set, import(uid(7), None), &Refusal::Suspended);
    let audit_log = working_set.into_write_set().audit_log;
    let event = AuditEvent::of(AuditAction::Imported, owner);
    let expected = [event, event.to_actor(PEER)];
    assert_eq!(audit_log.iter().map(|(_, entry)| entry.event).collect::<Vec<_>>(), expected);
}
