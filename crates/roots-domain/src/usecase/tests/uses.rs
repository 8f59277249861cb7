//! Uses are noted once a key, written together, and not forgotten where that fails.

use std::collections::BTreeMap;

use super::*;
use crate::port::store::{KeysOver, MockAccountReader};
use crate::usecase::uses::{Backlog, Uses};

const ABROAD: AccountId = AccountId(2);

fn of(account: AccountId, key: i64) -> Caller {
    let caller = caller();
    Caller { account: AccountIdentity { id: account, ..caller.account }, key: KeyId(key), ..caller }
}

/// A look at the accounts above one.
type Look = (i64, KeysOver);

fn look(after: i64, accounts: &[AccountId], last: Option<i64>) -> Look {
    (after, KeysOver { accounts: accounts.to_vec(), last: last.map(AccountId) })
}

/// The units that a store was handed, which it answers so. The keys that are over are told as often as
/// they are asked for.
fn uses(
    answers: impl IntoIterator<Item = Result<(), ApplyError>>,
    looks: impl IntoIterator<Item = Look>,
    over: &[(AccountId, std::ops::RangeInclusive<i64>)],
) -> (Uses, Arc<Mutex<Vec<Intent>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let over: BTreeMap<_, Vec<_>> =
        over.iter().map(|(of, ids)| (*of, ids.clone().map(KeyId).collect())).collect();
    let over = Arc::new(Mutex::new(over));
    let mut units = MockUnitStore::new();
    let mut order = mockall::Sequence::new();
    for answer in answers {
        let (seen, over) = (seen.clone(), over.clone());
        units.expect_apply().times(1).in_sequence(&mut order).returning(move |unit| {
            assert_eq!((unit.author, unit.charge), (Author::Program, None));
            if let (Ok(()), Intent::TendKeys { account, over: ended, .. }) = (&answer, &unit.intent)
                && let Some(left) =
                    over.lock().unwrap_or_else(PoisonError::into_inner).get_mut(account)
            {
                left.retain(|key| !ended.contains(key));
            }
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(unit.intent);
            let row = AppliedRow::Account(Box::new(account()));
            answer.clone().map(|()| Applied { row, cost: 0, balance: LEFT, is_replay: false })
        });
    }
    let mut reader = MockAccountReader::new();
    let mut order = mockall::Sequence::new();
    for (after, found) in looks {
        let look = reader.expect_accounts_with_keys_over().times(1).in_sequence(&mut order);
        look.withf(move |at, from| (*at, from.0) == (now(), after)).return_once(|_, _| Ok(found));
    }
    reader.expect_keys_over().returning(move |account, at, most| {
        assert_eq!(at, now());
        let over = over.lock().unwrap_or_else(PoisonError::into_inner);
        let left = over.get(&account).into_iter().flatten();
        Ok(left.take(most as usize).copied().collect())
    });
    let backlog = Backlog::default();
    let uses = Uses { units: Arc::new(units), reader: Arc::new(reader), clock: clock(), backlog };
    (uses, seen)
}

fn tended(account: AccountId, used: &[i64], over: &[i64]) -> Intent {
    let used = used.iter().map(|id| (KeyId(*id), now())).collect();
    Intent::TendKeys { account, used, over: over.iter().map(|id| KeyId(*id)).collect() }
}

#[test]
fn what_was_used_is_written_once_an_account_with_what_is_over() {
    let looks = [look(0, &[HOME, ABROAD], Some(7)), look(7, &[], None), look(0, &[], None)];
    let (uses, seen) = uses([Ok(()), Ok(())], looks, &[(HOME, 3..=3), (ABROAD, 9..=9)]);
    for key in [1, 1, 1] {
        uses.note(&of(HOME, key));
    }
    ready(uses.tend()).unwrap();
    let written = [tended(HOME, &[1], &[3]), tended(ABROAD, &[], &[9])];
    assert_eq!(*seen.lock().unwrap_or_else(PoisonError::into_inner), written);
    // Nothing more is written of it, and the look goes on from where it was, and then anew.
    ready(uses.tend()).unwrap();
    ready(uses.tend()).unwrap();
}

#[test]
fn what_could_not_be_written_is_noted_still_and_is_not_in_the_way_of_others() {
    let looks = [look(0, &[], None), look(0, &[], None)];
    let gone = ApplyError::Refused(Refusal::KeyNotInForce);
    let (uses, seen) = uses([Err(ApplyError::Fault(away())), Ok(()), Err(gone)], looks, &[]);
    uses.note(&of(HOME, 1));
    uses.note(&of(ABROAD, 2));
    assert_eq!(ready(uses.tend()), Err(away()));
    ready(uses.tend()).unwrap();
    let (home, abroad) = (tended(HOME, &[1], &[]), tended(ABROAD, &[2], &[]));
    assert_eq!(*seen.lock().unwrap_or_else(PoisonError::into_inner), [home.clone(), abroad, home]);
}

#[test]
fn a_database_that_is_away_is_not_asked_for_every_account() {
    let nine = AccountId(9);
    let looks = [look(0, &[nine], Some(10_000)), look(0, &[nine], None)];
    let failed = || Err(ApplyError::Fault(away()));
    let broken = Err(ApplyError::Fault(StoreFault::Broken("one of them".to_owned())));
    let first = [failed(), broken, failed(), failed()];
    let answers = first.into_iter().chain((0..6).map(|_| Ok(())));
    let (uses, seen) = uses(answers, looks, &[(nine, 1..=1)]);
    for account in 1..=5 {
        uses.note(&of(AccountId(account), 7));
    }
    assert_eq!(ready(uses.tend()), Err(away()));
    assert_eq!(seen.lock().unwrap_or_else(PoisonError::into_inner).len(), 4);
    // All of it is done the next time, what the look had found included.
    ready(uses.tend()).unwrap();
    let mut expected: Vec<_> = (1..=5).map(|id| tended(AccountId(id), &[7], &[])).collect();
    expected.push(tended(AccountId(9), &[], &[1]));
    assert_eq!(seen.lock().unwrap_or_else(PoisonError::into_inner)[4..], expected);
}

fn lengths(seen: &Mutex<Vec<Intent>>) -> Vec<(i64, usize, usize)> {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let lengths = seen.iter().map(|intent| match intent {
        Intent::TendKeys { account, used, over } => (account.0, used.len(), over.len()),
        other => panic!("{other:?}"),
    });
    lengths.collect()
}

#[test]
fn one_unit_tends_so_many_keys_at_most() {
    let looks = [look(0, &[HOME], None)];
    let (uses, seen) = uses([Ok(()), Ok(()), Ok(())], looks, &[(HOME, 1001..=1601)]);
    for key in 1..=700 {
        uses.note(&of(HOME, key));
    }
    ready(uses.tend()).unwrap();
    assert_eq!(lengths(&seen), [(1, 500, 0), (1, 200, 300), (1, 0, 301)]);
}

#[test]
fn an_account_with_very_many_keys_that_are_over_delays_nobody_elses() {
    let looks = [look(0, &[HOME, ABROAD], None)];
    let over = [(HOME, 1..=20_000), (ABROAD, 1..=600)];
    let (uses, seen) = uses((0..12).map(|_| Ok(())), looks, &over);
    ready(uses.tend()).unwrap();
    let mut expected = vec![(1, 0, 500), (2, 0, 500), (1, 0, 500), (2, 0, 100)];
    // The rest of what it gets in one call.
    expected.extend([(1, 0, 500); 8]);
    assert_eq!(lengths(&seen), expected);
}
