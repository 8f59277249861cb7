//! What erased accounts have left is swept, whatever can't be.

use super::*;
use crate::port::keys::MockLocksmith;
use crate::port::store::MockErasureReader;
use crate::usecase::erasures::{Erasures, Unswept};

/// Sweeps accounts that have so many steps left each, of which those of `stuck` fail.
fn sweep(left: &[(i64, u32)], stuck: &'static [i64]) -> (Result<(), Unswept>, Vec<i64>) {
    let left = Arc::new(Mutex::new(left.to_vec()));
    let swept = Arc::new(Mutex::new(Vec::new()));
    let (mut reader, mut units) = (MockErasureReader::new(), MockUnitStore::new());
    let of = left.clone();
    reader.expect_unswept().returning(move |from| {
        let left = of.lock().unwrap_or_else(PoisonError::into_inner);
        let found = left.iter().find(|(id, steps)| *id >= from.0 && *steps > 0);
        Ok(found.map(|(id, _)| AccountId(*id)))
    });
    let (of, seen) = (left, swept.clone());
    units.expect_apply().returning(move |unit| {
        assert_eq!((unit.author, unit.charge, unit.at), (Author::Program, None, now()));
        let Intent::SweepErased(AccountId(id)) = unit.intent else { panic!("{:?}", unit.intent) };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        if stuck.contains(&id) {
            return Err(StoreFault::Broken(format!("row of {id}")).into());
        }
        let mut left = of.lock().unwrap_or_else(PoisonError::into_inner);
        left.iter_mut().filter(|(of, _)| *of == id).for_each(|(_, steps)| *steps -= 1);
        Ok(Applied { row: AppliedRow::Deleted, cost: 0, balance: 0, is_replay: false })
    });
    let erasures = Erasures {
        units: Arc::new(units),
        reader: Arc::new(reader),
        locksmith: Arc::new(MockLocksmith::new()),
        clock: clock(),
    };
    let ended = ready(erasures.sweep());
    let swept = swept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (ended, swept)
}

#[test]
fn every_account_is_swept_to_its_end() {
    assert_eq!(sweep(&[], &[]), (Ok(()), vec![]));
    assert_eq!(sweep(&[(2, 3), (5, 1)], &[]), (Ok(()), vec![2, 2, 2, 5]));
}

#[test]
fn an_account_that_fails_holds_up_no_other_and_is_told_of() {
    let (ended, swept) = sweep(&[(2, 1), (3, 2), (4, 1), (9, 2)], &[2, 4]);
    assert_eq!(swept, [2, 3, 3, 4, 9, 9], "each that fails is tried once");
    let unswept = ended.unwrap_err();
    let error = StoreFault::Broken("row of 2".into()).into();
    assert_eq!(unswept, Unswept { account: Some(AccountId(2)), error });
    let told = "erased account 2: the database is at fault: row of 2";
    assert_eq!(unswept.to_string(), told);
}

#[test]
fn a_database_that_is_away_ends_it() {
    let mut reader = MockErasureReader::new();
    reader.expect_unswept().times(1).returning(|_| Err(away()));
    let erasures = Erasures {
        units: no_units(),
        reader: Arc::new(reader),
        locksmith: Arc::new(MockLocksmith::new()),
        clock: clock(),
    };
    let expected = Unswept { account: None, error: away().into() };
    assert_eq!(ready(erasures.sweep()), Err(expected));
}
