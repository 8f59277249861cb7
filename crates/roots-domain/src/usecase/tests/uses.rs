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
fn what_could_not_be_written_is_noted_still() {
    let looks = [(None, KeysOver::default()), (None, KeysOver::default())];
    let gone = ApplyError::Refused(Refusal::KeyNotInForce);
    let (uses, seen) = uses([Err(ApplyError::Fault(away())), Ok(()), Err(gone)], looks);
    uses.note(&of(HOME, 1));
    uses.note(&of(ABROAD, 2));
    assert_eq!(ready(uses.tend()), Err(away()));
    ready(uses.tend()).unwrap();
    let (home, abroad) = (tended(HOME, &[1], &[]), tended(ABROAD, &[2], &[]));
    assert_eq!(*seen.lock().unwrap_or_else(PoisonError::into_inner), [home.clone(), home, abroad]);
}
