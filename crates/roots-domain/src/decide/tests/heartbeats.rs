//! Heartbeats of sessions, and the end of silent ones.

use super::*;

const IDLE_SECONDS: i64 = 300;

fn last_active(seconds: i64) -> SessionActivity {
    SessionActivity { session: ACTIVE, last_active_at: at(seconds), is_open: true }
}

/// The working set with a session that was last active then.
fn since(seconds: i64) -> WorkingSet {
    let mut working_set = working_set();
    working_set.load_session_activity(HOME, last_active(seconds));
    working_set
}

fn stored(working_set: WorkingSet) -> Difference<SessionId, SessionActivity> {
    working_set.into_write_set().session_activity
}

fn end_silent(sessions: &[SessionId]) -> Command {
    let (account, sessions) = (HOME, sessions.to_vec());
    program(SystemAction::EndIdleSessions { account, sessions, idle_seconds: IDLE_SECONDS })
}

#[test]
fn each_write_that_names_a_session_stores_a_heartbeat() {
    let note = SessionPatch { status: None, notes: Patch::Clear };
    for action in [
        new_todo(Some(ACTIVE)),
        new_todos([None, Some(ACTIVE), None]),
        step(TODO, TodoStatus::Done),
        patch_todo(TODO_OF_ME, TodoPatch { session: Patch::Set(ACTIVE), ..TodoPatch::EMPTY }),
        log("deploy", Some(ACTIVE)),
        patch_session(ACTIVE, note),
    ] {
        let mut working_set = since(0);
        working_set.load_todo(HOME, Todo { id: TODO_OF_ME, ..todo(TODO) }.linked_to(None));
        apply(&mut working_set, action.clone());
        let next = SessionActivity { last_active_at: now(), ..last_active(0) };
        assert_eq!(stored(working_set), updated(next), "{action:?}");
    }
}

const TODO_OF_ME: TodoId = TodoId(3);

#[test]
fn writes_that_name_no_session_store_no_heartbeat() {
    for action in [
        new_todo(None),
        new_todos([None, None]),
        log("deploy", None),
        ResourceAction::DeleteTodo { id: TODO, claim_token: None },
    ] {
        let mut working_set = since(0);
        apply(&mut working_set, action);
        assert_eq!(stored(working_set), Difference::default());
    }
}

#[test]
fn a_heartbeat_less_than_a_minute_newer_is_not_stored() {
    let begun = 2 * DAY_SECONDS + 500;
    for (age, is_stored) in [(59, false), (60, true)] {
        let mut working_set = since(begun - age);
        apply(&mut working_set, log("deploy", Some(ACTIVE)));
        assert_eq!(stored(working_set) != Difference::default(), is_stored, "{age} s");
    }
}

#[test]
fn a_refused_write_stores_no_heartbeat() {
    let mut working_set = since(0);
    let command = by(PEER, step(TODO, TodoStatus::Done));
    assert_refused(&mut working_set, command, &Refusal::NotFound("todo"));
}

#[test]
fn heartbeats_are_of_the_clock_that_processes_share() {
    let mut working_set = since(0);
    working_set.set_shared_now(at(77));
    apply(&mut working_set, log("deploy", Some(ACTIVE)));
    let next = SessionActivity { last_active_at: at(77), ..last_active(0) };
    assert_eq!(stored(working_set), updated(next));
}

#[test]
fn ending_a_session_closes_its_activity_and_deleting_it_deletes_it() {
    let mut working_set = since(0);
    apply(&mut working_set, end(ACTIVE));
    let closed = SessionActivity { last_active_at: now(), is_open: false, ..last_active(0) };
    assert_eq!(stored(working_set.clone()), updated(closed));
    apply(&mut working_set, ResourceAction::DeleteSession(ACTIVE));
    assert_eq!(stored(working_set), deleted(ACTIVE));
}

#[test]
fn a_write_after_the_end_of_its_session_stores_no_heartbeat() {
    let note = SessionPatch { status: None, notes: Patch::Clear };
    for action in [step(TODO, TodoStatus::Done), patch_session(ACTIVE, note)] {
        let mut working_set = since(0);
        working_set.set_shared_now(at(70));
        apply(&mut working_set, end(ACTIVE));
        working_set.set_shared_now(at(500));
        apply(&mut working_set, action.clone());
        let closed = SessionActivity { is_open: false, ..last_active(70) };
        assert_eq!(stored(working_set), updated(closed), "{action:?}");
    }
}

#[test]
fn a_silent_session_is_ended_free_and_noted_and_raises_the_accounts_version() {
    let mut working_set = since(100);
    let decided = working_set.decide(end_silent(&[ACTIVE, ENDED, UNKNOWN])).unwrap();
    assert_eq!((decided.row, decided.cost), (AppliedRow::SessionsEnded(1), 0));
    let write_set = working_set.into_write_set();
    let status = SessionStatus::Ended { at: at(100), reason: EndReason::Idle };
    assert_eq!(write_set.sessions, updated(Session { status, version: 2, ..session(ACTIVE) }));
    let closed = SessionActivity { is_open: false, ..last_active(100) };
    assert_eq!(write_set.session_activity, updated(closed));
    let event = AuditEvent::of_program(AuditAction::SessionIdled).to_session(ME, ACTIVE);
    assert_eq!(write_set.audit_log, [(HOME, noted(61, event))]);
    assert_eq!(write_set.accounts_changed[0].version, 8);
    assert_eq!(write_set.accounts_changed[0].balance, BALANCE);
    let moved = counters([
        (Counter::Sessions(ME, SessionStatusKind::Active), -1),
        (Counter::Sessions(ME, SessionStatusKind::Ended), 1),
    ]);
    assert_eq!(write_set.counters, moved);
}

#[test]
fn a_session_with_a_newer_entry_ends_no_earlier_than_it() {
    let mut working_set = since(100);
    working_set.load_newest_entry((HOME, ACTIVE), at(130));
    working_set.decide(end_silent(&[ACTIVE])).unwrap();
    assert_eq!(working_set.session_status(ACTIVE).ended_at(), Some(at(130)));
}

#[test]
fn a_session_that_was_written_to_meanwhile_goes_on() {
    let mut working_set = since(100);
    apply(&mut working_set, log("deploy", Some(ACTIVE)));
    let decided = working_set.decide(end_silent(&[ACTIVE])).unwrap();
    assert_eq!(decided.row, AppliedRow::SessionsEnded(0));
    assert_eq!(working_set.session_status(ACTIVE), SessionStatus::Active);
}

#[test]
fn silence_is_judged_by_the_clock_that_processes_share() {
    for (shared_now, ended) in [(459, 0), (460, 1)] {
        let mut working_set = since(100);
        working_set.set_shared_now(at(shared_now));
        let decided = working_set.decide(end_silent(&[ACTIVE])).unwrap();
        assert_eq!(decided.row, AppliedRow::SessionsEnded(ended));
    }
}

#[test]
fn silence_in_an_account_that_is_gone_is_refused() {
    let account = AccountId(9);
    let action = SystemAction::EndIdleSessions { account, sessions: vec![], idle_seconds: 300 };
    let refusal = Refusal::NoSuchAccount(account);
    assert_refused(&mut working_set(), program(action), &refusal);
}

#[test]
fn a_session_that_was_ended_for_its_silence_takes_no_writes_but_deletion() {
    let idle = || {
        let mut working_set = since(100);
        working_set.load_todo(HOME, Todo { id: TODO_OF_ME, ..todo(TODO) }.linked_to(None));
        working_set.decide(end_silent(&[ACTIVE])).unwrap();
        working_set
    };
    let link = || TodoPatch { session: Patch::Set(ACTIVE), ..TodoPatch::EMPTY };
    let note = SessionPatch { status: None, notes: Patch::Clear };
    for action in [
        new_todo(Some(ACTIVE)),
        patch_todo(TODO_OF_ME, link()),
        log("deploy", Some(ACTIVE)),
        end(ACTIVE),
        patch_session(ACTIVE, note),
    ] {
        assert_refused(&mut idle(), mine(action), &Refusal::SessionIdle(ACTIVE));
    }
    // Its todos can be worked on, and it can be deleted.
    let mut working_set = idle();
    apply(&mut working_set, step(TODO, TodoStatus::Done));
    apply(&mut working_set, patch_todo(TODO, link()));
    apply(&mut working_set, ResourceAction::DeleteSession(ACTIVE));
}

impl WorkingSet {
    fn session_status(&self, id: SessionId) -> SessionStatus {
        self.sessions.get((HOME, id)).unwrap().status
    }
}
