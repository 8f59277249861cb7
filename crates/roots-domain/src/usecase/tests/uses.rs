//! Uses are noted once a key, written together, and not forgotten where that fails.

use super::*;
use crate::port::store::{KeysOver, MockAccountReader};
use crate::usecase::uses::{Backlog, Uses};

const ABROAD: AccountId = AccountId(2);

fn of(account: AccountId, key: i64) -> Caller {
    let caller = caller();
    Caller { account: AccountIdentity { id: account, ..caller.account }, key: KeyId(key), ..caller }
}

/// The units that a store was handed, which it answers so.
fn uses(
    answers: impl IntoIterator<Item = Result<(), ApplyError>>,
    looks: impl IntoIterator<Item = (Option<(AccountId, KeyId)>, KeysOver)>,
) -> (Uses, Arc<Mutex<Vec<Intent>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut units = MockUnitStore::new();
    let mut order = mockall::Sequence::new();
    for answer in answers {
        let seen = seen.clone();
        units.expect_apply().times(1).in_sequence(&mut order).returning(move |unit| {
            assert_eq!((unit.author, unit.charge), (Author::Program, None));
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(unit.intent);
            let row = AppliedRow::Account(Box::new(account()));
            answer.clone().map(|()| Applied { row, cost: 0, balance: LEFT, is_replay: false })
        });
    }
    let mut reader = MockAccountReader::new();
    let mut order = mockall::Sequence::new();
    for (after, found) in looks {
        let look = reader.expect_keys_over().times(1).in_sequence(&mut order);
        look.withf(move |at, from| (*at, *from) == (now(), after)).return_once(|_, _| Ok(found));
    }
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
    let last = Some((ABROAD, KeyId(9)));
    let over = KeysOver { keys: vec![(HOME, KeyId(3)), (ABROAD, KeyId(9))], last };
    let looks = [(None, over), (last, KeysOver::default()), (None, KeysOver::default())];
    let (uses, seen) = uses([Ok(()), Ok(())], looks);
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
    let looks = [(None, KeysOver::default()), (None, KeysOver::default())];
    let gone = ApplyError::Refused(Refusal::KeyNotInForce);
    let (uses, seen) = uses([Err(ApplyError::Fault(away())), Ok(()), Err(gone)], looks);
    uses.note(&of(HOME, 1));
    uses.note(&of(ABROAD, 2));
    assert_eq!(ready(uses.tend()), Err(away()));
    ready(uses.tend()).unwrap();
    let (home, abroad) = (tended(HOME, &[1], &[]), tended(ABROAD, &[2], &[]));
    assert_eq!(*seen.lock().unwrap_or_else(PoisonError::into_inner), [home.clone(), abroad, home]);
}

#[test]
fn a_database_that_is_away_is_not_asked_for_every_account() {
    let found = |last| KeysOver { keys: vec![(AccountId(9), KeyId(1))], last };
    let last = Some((AccountId(9), KeyId(1)));
    let looks = [(None, found(last)), (None, found(None))];
    let failed = || Err(ApplyError::Fault(away()));
    let broken = Err(ApplyError::Fault(StoreFault::Broken("one of them".to_owned())));
    let first = [failed(), broken, failed(), failed()];
    let (uses, seen) = uses(first.into_iter().chain((0..6).map(|_| Ok(()))), looks);
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

#[test]
fn one_unit_tends_so_many_keys_at_most() {
    let keys: Vec<_> = (1001..=1601).map(|id| (HOME, KeyId(id))).collect();
    let looks = [(None, KeysOver { keys, last: None })];
    let (uses, seen) = uses([Ok(()), Ok(()), Ok(())], looks);
    for key in 1..=700 {
        uses.note(&of(HOME, key));
    }
    ready(uses.tend()).unwrap();
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let lengths = seen.iter().map(|intent| match intent {
        Intent::TendKeys { used, over, .. } => (used.len(), over.len()),
        other => panic!("{other:?}"),
    });
    assert_eq!(lengths.collect::<Vec<_>>(), [(500, 0), (200, 300), (0, 301)]);
}
