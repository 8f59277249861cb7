//! Key usage is recorded once per key, written in batches, and kept when a write fails.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;

use async_trait::async_trait;

use super::*;
use crate::model::api_key::AnyKeyId;
use crate::port::store::{CommandStore, KeysOver, MockAccountReader};
use crate::service::key_usage::{Backlog, KeyUsage};

const ABROAD: AccountId = AccountId(2);

fn of(account: AccountId, key: i64) -> Caller {
    let caller = caller();
    Caller { account: AccountIdentity { id: account, ..caller.account }, key: KeyId(key), ..caller }
}

fn api_key(id: i64) -> AnyKeyId {
    KeyId(id).into()
}

/// A read of the accounts with expired keys: those after an account, or from the first.
type SweepLook = (Option<AccountId>, KeysOver);

fn look(after: Option<i64>, accounts: &[AccountId], last: Option<i64>) -> SweepLook {
    (after.map(AccountId), KeysOver { accounts: accounts.to_vec(), last: last.map(AccountId) })
}

/// Key usage on a store that returns `answers`, and the actions that the store gets. The reader
/// returns `looks`, and the expired keys `over` until a command ends them.
fn key_usage(
    answers: impl IntoIterator<Item = Result<(), ApplyError>>,
    looks: impl IntoIterator<Item = SweepLook>,
    over: &[(AccountId, std::ops::RangeInclusive<i64>)],
) -> (KeyUsage, Arc<Mutex<Vec<Action>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let over: BTreeMap<_, Vec<_>> =
        over.iter().map(|(of, ids)| (*of, ids.clone().map(api_key).collect())).collect();
    let over = Arc::new(Mutex::new(over));
    let mut commands = MockCommandStore::new();
    let mut order = mockall::Sequence::new();
    for answer in answers {
        let (seen, over) = (seen.clone(), over.clone());
        commands.expect_apply().times(1).in_sequence(&mut order).returning(move |command| {
            assert_eq!(command.charge, None);
            if answer.is_ok()
                && let Action::System(SystemAction::MaintainKeys { account, over: ended, .. }) =
                    &command.action
                && let Some(left) =
                    over.lock().unwrap_or_else(PoisonError::into_inner).get_mut(account)
            {
                left.retain(|key| !ended.contains(key));
            }
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(command.action);
            let row = AppliedRow::Account(Box::new(account()));
            answer.clone().map(|()| Applied { row, cost: 0, balance: LEFT, is_replay: false })
        });
    }
    let mut reader = MockAccountReader::new();
    let mut order = mockall::Sequence::new();
    for (after, found) in looks {
        let look = reader.expect_accounts_with_keys_over().times(1).in_sequence(&mut order);
        look.withf(move |at, from| (*at, *from) == (now(), after)).return_once(|_, _| Ok(found));
    }
    reader.expect_keys_over().returning(move |account, at, most| {
        assert_eq!(at, now());
        let over = over.lock().unwrap_or_else(PoisonError::into_inner);
        let left = over.get(&account).into_iter().flatten();
        Ok(left.take(most as usize).copied().collect())
    });
    let backlog = Backlog::default();
    let key_usage = KeyUsage {
        commands: Arc::new(commands),
        reader: Arc::new(reader),
        clock: clock(),
        backlog,
    };
    (key_usage, seen)
}

fn maintained(account: AccountId, used: &[i64], over: &[i64]) -> Action {
    let used = used.iter().map(|id| (api_key(*id), now())).collect();
    let over = over.iter().map(|id| api_key(*id)).collect();
    Action::System(SystemAction::MaintainKeys { account, used, over })
}

#[test]
fn used_and_ended_keys_are_written_in_one_command_per_account() {
    let looks =
        [look(None, &[HOME, ABROAD], Some(7)), look(Some(7), &[], None), look(None, &[], None)];
    let (key_usage, seen) = key_usage([Ok(()), Ok(())], looks, &[(HOME, 3..=3), (ABROAD, 9..=9)]);
    for key in [1, 1, 1] {
        key_usage.note(&of(HOME, key));
    }
    ready(key_usage.maintain()).unwrap();
    let written = [maintained(HOME, &[1], &[3]), maintained(ABROAD, &[], &[9])];
    assert_eq!(*seen.lock().unwrap_or_else(PoisonError::into_inner), written);
    // Nothing is written again. The sweep continues after the last account, then starts anew.
    ready(key_usage.maintain()).unwrap();
    ready(key_usage.maintain()).unwrap();
}

#[test]
fn a_use_that_failed_to_be_written_is_retried_and_does_not_block_other_accounts() {
    let looks = [look(None, &[], None), look(None, &[], None)];
    let gone = ApplyError::Refused(Refusal::KeyNotInForce);
    let (key_usage, seen) =
        key_usage([Err(ApplyError::Store(away())), Ok(()), Err(gone)], looks, &[]);
    key_usage.note(&of(HOME, 1));
    key_usage.note(&of(ABROAD, 2));
    assert_eq!(ready(key_usage.maintain()), Err(away()));
    ready(key_usage.maintain()).unwrap();
    let (home, abroad) = (maintained(HOME, &[1], &[]), maintained(ABROAD, &[2], &[]));
    assert_eq!(*seen.lock().unwrap_or_else(PoisonError::into_inner), [home.clone(), abroad, home]);
}

#[test]
fn an_unavailable_database_gets_at_most_64_commands_a_round() {
    let last = AccountId(1_000);
    let looks = [look(None, &[last], Some(10_000)), look(None, &[last], None)];
    let failed = || Err(ApplyError::Store(away()));
    let broken = Err(ApplyError::Store(StoreError::Broken("one of them".to_owned())));
    // One round sends 64 commands.
    let first = [failed(), broken].into_iter().chain((2..64).map(|_| failed()));
    let answers = first.chain((0..201).map(|_| Ok(())));
    let (key_usage, seen) = key_usage(answers, looks, &[(last, 1..=1)]);
    for account in 1..=200 {
        key_usage.note(&of(AccountId(account), 7));
    }
    assert_eq!(ready(key_usage.maintain()), Err(away()));
    assert_eq!(seen.lock().unwrap_or_else(PoisonError::into_inner).len(), 64);
    // The next round writes all of them, including the expired keys of the first round.
    ready(key_usage.maintain()).unwrap();
    let mut expected: Vec<_> = (1..=200).map(|id| maintained(AccountId(id), &[7], &[])).collect();
    expected.push(maintained(last, &[], &[1]));
    assert_eq!(seen.lock().unwrap_or_else(PoisonError::into_inner)[64..], expected);
}

fn lengths(seen: &Mutex<Vec<Action>>) -> Vec<(i64, usize, usize)> {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let lengths = seen.iter().map(|action| match action {
        Action::System(SystemAction::MaintainKeys { account, used, over }) => {
            (account.0, used.len(), over.len())
        }
        other => panic!("{other:?}"),
    });
    lengths.collect()
}

#[test]
fn one_command_maintains_at_most_500_keys() {
    let looks = [look(None, &[HOME], None)];
    let (key_usage, seen) = key_usage([Ok(()), Ok(()), Ok(())], looks, &[(HOME, 1001..=1601)]);
    for key in 1..=700 {
        key_usage.note(&of(HOME, key));
    }
    ready(key_usage.maintain()).unwrap();
    assert_eq!(lengths(&seen), [(1, 500, 0), (1, 200, 300), (1, 0, 301)]);
}

#[test]
fn an_account_with_20_000_ended_keys_does_not_delay_the_keys_of_others() {
    let looks = [look(None, &[HOME, ABROAD], None)];
    let over = [(HOME, 1..=20_000), (ABROAD, 1..=600)];
    let (key_usage, seen) = key_usage((0..12).map(|_| Ok(())), looks, &over);
    ready(key_usage.maintain()).unwrap();
    let mut expected = vec![(1, 0, 500), (2, 0, 500), (1, 0, 500), (2, 0, 100)];
    // The rest of what one call does for the account.
    expected.extend([(1, 0, 500); 8]);
    assert_eq!(lengths(&seen), expected);
}

/// A store with a writer queue: commands wait until a batch takes at most 64 of them.
#[derive(Default)]
struct Batching(Mutex<Batches>);

#[derive(Default)]
struct Batches {
    given: usize,
    waiting: VecDeque<(usize, Waker)>,
    durable: BTreeSet<usize>,
    longest: usize,
    actions: Vec<Action>,
}

impl Batching {
    fn batches(&self) -> std::sync::MutexGuard<'_, Batches> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies one batch and answers its callers.
    fn apply_batch(&self) {
        let mut batches = self.batches();
        let most = batches.waiting.len().min(64);
        assert!(most > 0, "something else is waited for");
        let batch: Vec<_> = batches.waiting.drain(..most).collect();
        batches.durable.extend(batch.iter().map(|(number, _)| number));
        drop(batches);
        for (_, caller) in batch {
            caller.wake();
        }
    }
}

#[async_trait]
impl CommandStore for Batching {
    async fn apply(&self, command: Command) -> Result<Applied, ApplyError> {
        let number = {
            let mut batches = self.batches();
            batches.actions.push(command.action);
            batches.given += 1;
            batches.given
        };
        poll_fn(|context| {
            let mut batches = self.batches();
            if batches.durable.contains(&number) {
                return Poll::Ready(());
            }
            batches.waiting.push_back((number, context.waker().clone()));
            batches.longest = batches.longest.max(batches.waiting.len());
            Poll::Pending
        })
        .await;
        let row = AppliedRow::Account(Box::new(account()));
        Ok(Applied { row, cost: 0, balance: LEFT, is_replay: false })
    }
}

/// A shutdown has 10 s, however slow the disk is, so the number of batches counts.
#[test]
fn the_uses_of_3000_accounts_are_written_in_47_batches() {
    for is_stop in [true, false] {
        let store = Arc::new(Batching::default());
        let mut reader = MockAccountReader::new();
        if !is_stop {
            let none = |_, _| Ok(KeysOver { accounts: Vec::new(), last: None });
            reader.expect_accounts_with_keys_over().times(1).returning(none);
        }
        let (commands, backlog) = (store.clone(), Backlog::default());
        let key_usage = KeyUsage { commands, reader: Arc::new(reader), clock: clock(), backlog };
        for account in 1..=3_000 {
            key_usage.note(&of(AccountId(account), 7));
        }
        let writing =
            async { if is_stop { key_usage.flush().await } else { key_usage.maintain().await } };
        let mut writing = pin!(writing);
        let mut batches = 0;
        while writing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            store.apply_batch();
            batches += 1;
        }
        assert_eq!(batches, 47);
        let found = store.batches();
        assert_eq!(found.longest, 64, "others find room in the queue");
        let expected: Vec<_> = (1..=3_000).map(|id| maintained(AccountId(id), &[7], &[])).collect();
        assert_eq!(found.actions, expected);
    }
}

#[test]
fn a_shutdown_writes_key_uses_and_leaves_ended_keys() {
    // A flush reads no expired keys.
    let (key_usage, seen) = key_usage([Ok(())], [], &[(HOME, 3..=3)]);
    key_usage.note(&of(HOME, 1));
    ready(key_usage.flush()).unwrap();
    ready(key_usage.flush()).unwrap();
    let written = [maintained(HOME, &[1], &[])];
    assert_eq!(*seen.lock().unwrap_or_else(PoisonError::into_inner), written);
}
