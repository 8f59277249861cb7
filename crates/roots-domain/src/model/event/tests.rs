use proptest::prelude::*;

use super::super::id::{KeyId, SessionId};
use super::super::step::{StepKey, Steps, Subject};
use super::*;
use crate::model::audit::AuditEvent;

const ACCOUNT: AccountId = AccountId(7);
const OWNER: ActorId = ActorId(1);
const MEMBER: ActorId = ActorId(2);
const OTHER: ActorId = ActorId(3);

fn position(ledger: i64, audit: i64) -> EventPosition {
    EventPosition { ledger: LedgerId(ledger), audit: AuditId(audit) }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

/// A write of that route by the owner, of a row of the member.
fn write(id: i64, endpoint: &str) -> LedgerEntry {
    LedgerEntry {
        id: LedgerId(id),
        delta: -1,
        balance_after: 10,
        reason: Reason::ApiWrite,
        endpoint: Some(endpoint.to_owned()),
        actor: Some(OWNER),
        note: None,
        subject: Some(Subject { id: 5, actor: Some(MEMBER) }),
        steps: Steps::default(),
        created_at: second(id),
    }
}

fn note(id: i64, event: AuditEvent) -> AuditEntry {
    AuditEntry { id: AuditId(id), event, created_at: second(id) }
}

fn steps(taken: &[(ActorId, TodoStep, i64)]) -> Steps {
    let mut steps = Steps::default();
    for (actor, step, count) in taken {
        let quarter_hour = second(1).quarter_hour();
        steps.add(StepKey { actor: *actor, quarter_hour, step: *step }, *count);
    }
    steps
}

#[test]
fn each_route_that_costs_credits_tells_what_it_did() {
    for (endpoint, told) in [
        ("POST /sessions", (EventKind::Session, EventAction::Created)),
        ("PATCH /sessions/{id}", (EventKind::Session, EventAction::Updated)),
        ("DELETE /sessions/{id}", (EventKind::Session, EventAction::Deleted)),
        ("POST /todos", (EventKind::Todo, EventAction::Created)),
        ("PATCH /todos/{id}", (EventKind::Todo, EventAction::Updated)),
        ("DELETE /todos/{id}", (EventKind::Todo, EventAction::Deleted)),
        ("POST /todos/claim", (EventKind::Todo, EventAction::Claimed)),
        ("POST /todos/{id}/release", (EventKind::Todo, EventAction::Released)),
        ("POST /activities", (EventKind::Activity, EventAction::Created)),
        ("DELETE /activities/{id}", (EventKind::Activity, EventAction::Deleted)),
    ] {
        let event = Event::of_ledger(&write(4, endpoint), AuditId(9));
        assert_eq!((event.kind, event.action), told, "{endpoint}");
        assert_eq!(event.position, position(4, 9));
        assert_eq!((event.actor, event.subject), (Some(OWNER), Some(5)));
        assert_eq!((event.subject_actor, event.rows), (Some(MEMBER), 1));
        assert_eq!((event.credits, event.at), (Some(-1), second(4)));
    }
}

#[test]
fn a_todo_tells_the_status_that_it_has_come_to() {
    let status = |endpoint: &str, taken: &[(ActorId, TodoStep, i64)]| {
        let entry = LedgerEntry { steps: steps(taken), ..write(1, endpoint) };
        Event::of_ledger(&entry, AuditId(0)).status
    };
    let done = TodoStep::Moved(TodoStatus::Done);
    let open = TodoStep::Moved(TodoStatus::Open);
    let in_progress = TodoStep::Moved(TodoStatus::InProgress);
    assert_eq!(status("PATCH /todos/{id}", &[(MEMBER, done, 1)]), Some(TodoStatus::Done));
    assert_eq!(status("PATCH /todos/{id}", &[]), None);
    assert_eq!(status("POST /todos", &[(MEMBER, TodoStep::Made, 1)]), None);
    assert_eq!(status("POST /todos/{id}/release", &[(MEMBER, open, 1)]), Some(TodoStatus::Open));
    let retaken = [(MEMBER, open, 1), (MEMBER, in_progress, 1)];
    assert_eq!(status("POST /todos/claim", &retaken), Some(TodoStatus::InProgress));
}

#[test]
fn several_todos_and_imports_are_one_event_with_their_number() {
    let todos = LedgerEntry { delta: -3, ..write(1, "POST /todos") };
    let event = Event::of_ledger(&todos, AuditId(0));
    assert_eq!((event.subject, event.rows, event.credits), (Some(5), 3, Some(-3)));
    let batch = LedgerEntry { reason: Reason::Import, delta: -64, subject: None, ..todos };
    let event = Event::of_ledger(&batch, AuditId(0));
    assert_eq!((event.kind, event.action), (EventKind::Import, EventAction::Imported));
    assert_eq!((event.subject, event.rows), (None, 64));
    let grant = LedgerEntry { reason: Reason::OperatorGrant, delta: 500, actor: None, ..batch };
    let event = Event::of_ledger(&grant, AuditId(0));
    assert_eq!((event.kind, event.action), (EventKind::Credits, EventAction::Granted));
    assert_eq!((event.rows, event.credits, event.actor), (1, Some(500), None));
}

#[test]
fn an_audit_entry_tells_its_subject() {
    let told = |event| Event::of_audit(ACCOUNT, &note(3, event), LedgerId(8)).unwrap();
    let revoked = AuditEvent::of_program(AuditAction::KeyRevoked).to_key(MEMBER, KeyId(6));
    let event = told(revoked);
    assert_eq!((event.kind, event.action), (EventKind::Key, EventAction::Revoked));
    assert_eq!((event.subject, event.subject_actor), (Some(6), Some(MEMBER)));
    assert_eq!((event.position, event.credits, event.rows), (position(8, 3), None, 1));
    let idled = AuditEvent::of_program(AuditAction::SessionIdled).to_session(MEMBER, SessionId(4));
    let event = told(idled);
    assert_eq!((event.kind, event.action), (EventKind::Session, EventAction::Idled));
    assert_eq!((event.subject, event.subject_actor), (Some(4), Some(MEMBER)));
    let suspended = AuditEvent::of_program(AuditAction::AccountSuspended);
    assert_eq!(told(suspended).subject, None);
    assert_eq!(told(suspended.to_account(AccountId(9))).subject, Some(9));
    for action in AuditAction::ALL {
        let event = AuditEvent::of_program(*action).to_account(AccountId(9));
        let is_of_pages = matches!(
            action,
            AuditAction::SignedIn | AuditAction::SignedOut | AuditAction::SignInsEnded
        );
        let told = Event::of_audit(ACCOUNT, &note(1, event), LedgerId(0));
        assert_eq!(told.is_none(), is_of_pages, "{action:?}");
    }
}

#[test]
fn credits_that_the_ledger_tells_of_are_not_told_twice() {
    let granted = AuditEvent::of_operator(AuditAction::CreditsGranted, AccountId(1));
    let told = |event| Event::of_audit(ACCOUNT, &note(1, event), LedgerId(0)).is_some();
    assert!(!told(granted), "by an operator to this account");
    assert!(!told(granted.to_account(ACCOUNT)), "by an operator to its own account");
    assert!(told(granted.to_account(AccountId(9))), "by this operator to another account");
}

fn told_to(
    role: Role,
    actor: ActorId,
    ledger: &[LedgerEntry],
    audit: &[AuditEntry],
) -> Vec<String> {
    let until = position(
        ledger.last().map_or(0, |entry| entry.id.0),
        audit.last().map_or(0, |entry| entry.id.0),
    );
    let chunk = merge(ACCOUNT, (role, actor), (position(0, 0), until), ledger, audit);
    assert_eq!(chunk.position, until, "what is not told is read all the same");
    chunk.events.iter().map(|event| event.position.to_string()).collect()
}

#[test]
fn a_member_is_told_of_what_concerns_its_own_rows() {
    let of = |id, actor| LedgerEntry {
        subject: Some(Subject { id: 5, actor }),
        ..write(id, "PATCH /todos/{id}")
    };
    let mixed = steps(&[(OTHER, TodoStep::Made, 1), (MEMBER, TodoStep::Made, 1)]);
    let import = LedgerEntry { reason: Reason::Import, subject: None, ..write(5, "POST /import") };
    let grant = LedgerEntry { reason: Reason::OperatorGrant, actor: None, ..import.clone() };
    let old = LedgerEntry { subject: None, actor: Some(MEMBER), ..write(7, "PATCH /todos/{id}") };
    let ledger = [
        of(1, Some(MEMBER)),
        of(2, Some(OTHER)),
        LedgerEntry { steps: mixed, ..of(3, None) },
        of(4, None),
        import,
        LedgerEntry { id: LedgerId(6), ..grant },
        old,
    ];
    assert_eq!(told_to(Role::Member, MEMBER, &ledger, &[]), ["1.0", "3.0", "5.0", "7.0"]);
    assert_eq!(told_to(Role::Member, OWNER, &ledger, &[]), ["5.0"], "a role, not an id, decides");
    assert_eq!(told_to(Role::Owner, OWNER, &ledger, &[]).len(), 7);
    let audit = [
        note(1, AuditEvent::of_program(AuditAction::KeyRevoked).to_key(MEMBER, KeyId(1))),
        note(2, AuditEvent::of_program(AuditAction::KeyRevoked).to_key(OTHER, KeyId(2))),
        note(3, AuditEvent::of_program(AuditAction::AccountSuspended)),
        note(
            4,
            AuditEvent { actor: Some(MEMBER), ..AuditEvent::of_program(AuditAction::Exported) },
        ),
    ];
    assert_eq!(told_to(Role::Member, MEMBER, &[], &audit), ["0.1", "0.4"]);
    assert_eq!(told_to(Role::Owner, OWNER, &[], &audit).len(), 4);
}

#[test]
fn the_logs_are_merged_by_time_and_each_id_tells_both_places() {
    let audit_at = |id, at| AuditEntry {
        created_at: second(at),
        ..note(id, AuditEvent::of_program(AuditAction::ActorAdded).to_actor(MEMBER))
    };
    let ledger: Vec<_> = (1..=3).map(|id| write(id, "POST /todos")).collect();
    let audit = [audit_at(1, 0), audit_at(2, 2), audit_at(3, 9)];
    let told = told_to(Role::Owner, OWNER, &ledger, &audit);
    assert_eq!(told, ["0.1", "1.1", "1.2", "2.2", "3.2", "3.3"]);
}

#[test]
fn a_position_is_read_as_it_is_written_and_nothing_else_is() {
    for text in ["0.0", "118.42", "1.0", "999999999999999999.1"] {
        assert_eq!(EventPosition::parse(text).unwrap().to_string(), text);
    }
    for text in [
        "",
        ".",
        "1",
        "1.",
        ".1",
        "1.2.3",
        "01.2",
        "1.02",
        "-1.2",
        "+1.2",
        "1 .2",
        "1,2",
        "a.b",
        "1000000000000000000.1",
        "1.99999999999999999999",
    ] {
        assert_eq!(EventPosition::parse(text), None, "{text}");
    }
}

#[test]
fn a_resume_goes_on_where_it_was_unless_that_is_too_far_or_unknown() {
    let now = position(20_000, 500);
    let judge = |last| Resumption::judge(last, now);
    assert_eq!(judge(None), Resumption::From(now));
    assert_eq!(judge(Some(now)), Resumption::From(now));
    let at_limit = position(10_200, 300);
    assert_eq!(judge(Some(at_limit)), Resumption::From(at_limit));
    assert_eq!(judge(Some(position(10_199, 300))), Resumption::Reset(now));
    assert_eq!(judge(Some(position(10_200, 299))), Resumption::Reset(now));
    assert_eq!(judge(Some(position(20_001, 500))), Resumption::Reset(now), "never had");
    assert_eq!(judge(Some(position(19_000, 501))), Resumption::Reset(now), "never had");
    assert_eq!(judge(Some(position(0, 0))), Resumption::Reset(now));
}

fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap()
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap()
}

proptest! {
    /// A reader that is cut off after any event, and comes back with its id, is told of each event
    /// exactly once, in the order of each log, however far the account has come at each read.
    #[test]
    fn readers_that_come_back_miss_and_repeat_nothing(
        ledger_times in prop::collection::vec(0_i64..50, 0..250),
        audit_times in prop::collection::vec(0_i64..50, 0..250),
        growth in prop::collection::vec((0_usize..150, 0_usize..150), 1..8),
        cuts in prop::collection::vec(0_usize..120, 0..8),
    ) {
        let ledger: Vec<_> = (1..).zip(&ledger_times).map(|(id, at)| LedgerEntry {
            created_at: second(*at),
            ..write(id, "POST /todos")
        }).collect();
        let audit: Vec<_> = (1..).zip(&audit_times).map(|(id, at)| AuditEntry {
            created_at: second(*at),
            ..note(id, AuditEvent::of_program(AuditAction::ActorAdded).to_actor(MEMBER))
        }).collect();
        let mut told = Vec::new();
        let (mut at, mut now) = (position(0, 0), (0, 0));
        let mut cuts = cuts.into_iter();
        // At last everything is there.
        for (more, notes) in growth.into_iter().chain([(1_000, 1_000)]) {
            now = (ledger.len().min(now.0 + more), audit.len().min(now.1 + notes));
            let reached = position(number(now.0), number(now.1));
            while !at.reaches(reached) {
                let end = at.next_chunk(reached);
                prop_assert!(end != at, "each read comes nearer");
                let (from, to) = (index(at.ledger.0), index(end.ledger.0));
                let (old, new) = (index(at.audit.0), index(end.audit.0));
                let chunk = merge(
                    ACCOUNT, (Role::Owner, OWNER), (at, end), &ledger[from..to], &audit[old..new],
                );
                prop_assert_eq!(chunk.position, end);
                at = end;
                match cuts.next() {
                    Some(cut) if cut < chunk.events.len() => {
                        told.extend(chunk.events[..cut].iter().map(|event| event.position));
                        if let Some(last) = chunk.events[..cut].last() {
                            at = EventPosition::parse(&last.position.to_string()).unwrap();
                        } else {
                            at = told.last().copied().unwrap_or(position(0, 0));
                        }
                    }
                    _ => told.extend(chunk.events.iter().map(|event| event.position)),
                }
            }
        }
        prop_assert_eq!(told.len(), ledger.len() + audit.len());
        for pair in told.windows(2) {
            let (before, after) = (pair[0], pair[1]);
            let steps = (after.ledger.0 - before.ledger.0, after.audit.0 - before.audit.0);
            prop_assert!(steps == (1, 0) || steps == (0, 1), "{} after {}", after, before);
        }
    }
}
