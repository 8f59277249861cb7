//! Which calls are counted, and how long counts wait to be written.

use super::*;
use crate::model::time::Day;
use crate::model::usage::{Calls, Endpoint, Month};
use crate::port::store::{MockPlacement, MockUsageReader};
use crate::service::WriteBehind;
use crate::service::usage::Usage;

fn endpoint(route: &str) -> Endpoint {
    Endpoint { route: route.to_owned(), method: "GET".to_owned() }
}

fn calls(route: &str, count: i64) -> (Calls, i64) {
    (Calls { account: HOME, day: Day(0), endpoint: endpoint(route) }, count)
}

type WrittenCalls = Arc<Mutex<Vec<Vec<(Calls, i64)>>>>;

/// A store that returns these errors, one after the other, and then succeeds. The second value
/// holds what it was asked to write.
fn store(answers: Vec<StoreError>) -> (MockCommandStore, WrittenCalls) {
    let (mut commands, written) = (MockCommandStore::new(), WrittenCalls::default());
    let seen = Arc::clone(&written);
    let mut answers = answers.into_iter();
    commands.expect_apply().returning_st(move |command| {
        assert_eq!(command.charge, None);
        let Action::System(SystemAction::CountCalls(counts)) = command.action else {
            panic!("another action")
        };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(counts);
        match answers.next() {
            Some(error) => Err(ApplyError::Store(error)),
            None => Ok(Applied { row: AppliedRow::Counted, cost: 0, balance: 0, is_replay: false }),
        }
    });
    (commands, written)
}

fn usage(commands: MockCommandStore) -> Usage {
    Usage {
        commands: Arc::new(commands),
        reader: Arc::new(MockUsageReader::new()),
        placement: Arc::new(servers()),
        clock: clock(),
        pending: WriteBehind::default(),
    }
}

/// Two servers: the one of the tests' account, and one of the account 99.
fn servers() -> MockPlacement {
    let mut placement = MockPlacement::new();
    placement.expect_server_of().returning(|account| usize::from(account.0 == 99));
    placement
}

#[test]
fn a_server_that_is_away_keeps_no_counts_of_other_servers_accounts_from_being_written() {
    let away = || StoreError::Unavailable("away".to_owned());
    let (commands, written) = store(vec![away()]);
    let usage = usage(commands);
    let elsewhere = || {
        let calls = Calls { account: AccountId(99), day: Day(0), endpoint: endpoint("/a") };
        (calls, 1)
    };
    usage.count(&caller(), endpoint("/a"));
    let (calls_elsewhere, count) = elsewhere();
    usage.pending.note(calls_elsewhere, count, |known, more| *known += more);
    assert_eq!(ready(usage.flush()), Err(away()));
    assert_eq!(written.lock().unwrap()[1], [elsewhere()], "the other server's");
    ready(usage.flush()).unwrap();
    assert_eq!(written.lock().unwrap()[2..], [vec![calls("/a", 1)]]);
}

#[test]
fn calls_are_added_up_and_written_once() {
    let (commands, written) = store(vec![]);
    let usage = usage(commands);
    for route in ["/a", "/b", "/a"] {
        usage.count(&caller(), endpoint(route));
    }
    ready(usage.flush()).unwrap();
    ready(usage.flush()).unwrap();
    assert_eq!(*written.lock().unwrap(), [vec![calls("/a", 2), calls("/b", 1)]]);
}

#[test]
fn counts_that_were_not_written_are_kept_for_the_next_flush() {
    let away = || StoreError::Unavailable("away".to_owned());
    let (commands, written) = store(vec![away(), StoreError::Busy]);
    let usage = usage(commands);
    usage.count(&caller(), endpoint("/a"));
    assert_eq!(ready(usage.flush()), Err(away()));
    usage.count(&caller(), endpoint("/a"));
    assert_eq!(ready(usage.flush()), Err(StoreError::Busy));
    ready(usage.flush()).unwrap();
    assert_eq!(written.lock().unwrap().last(), Some(&vec![calls("/a", 2)]));
}

#[test]
fn counts_that_the_database_rejects_are_dropped_and_the_rest_is_written() {
    let broken = StoreError::Broken("no such table".to_owned());
    let (commands, written) = store(vec![broken]);
    let usage = usage(commands);
    for route in 0..600 {
        usage.count(&caller(), endpoint(&format!("/{route:03}")));
    }
    let expected = StoreError::Broken("500 counts let go: no such table".to_owned());
    assert_eq!(ready(usage.flush()), Err(expected));
    ready(usage.flush()).unwrap();
    let lengths: Vec<_> = written.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(lengths, [500, 100], "each once");
    assert_eq!(written.lock().unwrap()[1][0], calls("/500", 1));
}

#[test]
fn counts_whose_outcome_is_unknown_are_not_written_again() {
    let unknown = || StoreError::OutcomeUnknown("gone".to_owned());
    let (commands, written) = store(vec![unknown()]);
    let usage = usage(commands);
    usage.count(&caller(), endpoint("/a"));
    assert_eq!(ready(usage.flush()), Err(unknown()));
    ready(usage.flush()).unwrap();
    assert_eq!(written.lock().unwrap().len(), 1);
}

#[test]
fn counts_are_written_500_a_command_and_none_is_lost_when_a_command_fails() {
    let (commands, written) = store(vec![StoreError::Busy]);
    let usage = usage(commands);
    for n in 0..1_100 {
        usage.count(&caller(), endpoint(&format!("/{n}")));
    }
    assert_eq!(ready(usage.flush()), Err(StoreError::Busy));
    ready(usage.flush()).unwrap();
    let lengths: Vec<_> = written.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(lengths, [500, 500, 500, 100]);
}

#[test]
fn counts_of_at_most_50_000_endpoints_wait_to_be_written() {
    let (commands, written) = store(vec![]);
    let usage = usage(commands);
    for n in 0..60_000 {
        usage.count(&caller(), endpoint(&format!("/{n}")));
    }
    usage.count(&caller(), endpoint("/0"));
    ready(usage.flush()).unwrap();
    let written = written.lock().unwrap();
    let counted: i64 = written.iter().flatten().map(|(_, count)| count).sum();
    assert_eq!(counted, 50_001);
}

#[test]
fn usage_is_of_the_current_month_unless_another_is_given() {
    for (asked, first, last) in [(None, 0, 30), (Month::parse("1970-02").ok(), 31, 58)] {
        let mut reader = MockUsageReader::new();
        let expected = (HOME, Day(first), Day(last));
        reader
            .expect_calls()
            .times(2)
            .withf(move |by, from, to| (by.account, *from, *to) == expected)
            .returning(|_, day, _| Ok(vec![(day, endpoint("/a"), 3)]));
        let mut usage = usage(MockCommandStore::new());
        usage.reader = Arc::new(reader);
        let (month, found) = ready(usage.of_month(&caller(), asked)).unwrap();
        assert_eq!(month.days(), (Day(first), Day(last)));
        assert_eq!((found.used, found.top), (3, vec![(endpoint("/a"), 3)]));
        let (_, days) = ready(usage.by_day(&caller(), asked)).unwrap();
        assert_eq!(days, [(Day(first), 3)]);
    }
}
