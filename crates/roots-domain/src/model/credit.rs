//! Credits: the cost of writes, and the ledger that accounts for every credit.

use std::fmt;

use super::id::{ActorId, LedgerId};
use super::page::{Listed, SortKey};
use super::step::{Steps, Subject};
use super::time::Timestamp;

/// The cost of a POST, PATCH or DELETE of sessions, todos and activities, and of each row that an
/// import writes. Reads cost nothing.
pub const WRITE_COST: i64 = 1;
/// The most credits that one grant gives.
pub const GRANT_MAX: i64 = 1_000_000_000;

/// The reason of a ledger entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The credits that an account starts with.
    BootstrapGrant,
    /// An operator granted credits.
    OperatorGrant,
    /// A write.
    ApiWrite,
    /// Rows that one batch of an import wrote.
    Import,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 4] =
        [Self::BootstrapGrant, Self::OperatorGrant, Self::ApiWrite, Self::Import];

    /// Its name on the wire and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BootstrapGrant => "bootstrap_grant",
            Self::OperatorGrant => "operator_grant",
            Self::ApiWrite => "api_write",
            Self::Import => "import",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// A row of the ledger, which is only ever appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its id within the account, without gaps.
    pub id: LedgerId,
    /// The change of the balance.
    pub delta: i64,
    /// The balance after it.
    pub balance_after: i64,
    /// Why.
    pub reason: Reason,
    /// The route of the write: `PATCH /todos/{id}`.
    pub endpoint: Option<String>,
    /// The actor that made the write.
    pub actor: Option<ActorId>,
    /// The operator's note on a grant.
    pub note: Option<String>,
    /// The row that the write wrote. An import has none, and neither has a grant.
    pub subject: Option<Subject>,
    /// The steps that todos took by the write.
    pub steps: Steps,
    /// When.
    pub created_at: Timestamp,
}

impl LedgerEntry {
    /// The entry as a member sees it. All see the amounts, because all spend the same credits. The
    /// actor of a write and an operator's note are told to the owner, and of one's own writes.
    #[must_use]
    pub fn told_to_member(self, member: ActorId) -> Self {
        if self.actor == Some(member) {
            return self;
        }
        Self { actor: None, note: None, subject: None, steps: Steps::default(), ..self }
    }
}

impl Listed for LedgerEntry {
    fn sort_key(&self) -> SortKey {
        SortKey([0, 0, self.id.0])
    }
}

/// The reason why a balance can't change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalanceRefusal {
    /// The balance is below the cost.
    TooLow {
        /// The balance.
        balance: i64,
        /// The cost of the write.
        cost: i64,
    },
    /// The balance would exceed 63 bits.
    TooHigh,
}

/// The balance after paying `cost`, which is not negative. It never goes below 0.
///
/// # Errors
/// [`BalanceRefusal::TooLow`].
pub const fn debit(balance: i64, cost: i64) -> Result<i64, BalanceRefusal> {
    match balance.checked_sub(cost) {
        Some(after) if after >= 0 => Ok(after),
        _ => Err(BalanceRefusal::TooLow { balance, cost }),
    }
}

/// The balance after a grant of `amount`, which is not negative.
///
/// # Errors
/// [`BalanceRefusal::TooHigh`].
pub const fn grant(balance: i64, amount: i64) -> Result<i64, BalanceRefusal> {
    match balance.checked_add(amount) {
        Some(after) => Ok(after),
        None => Err(BalanceRefusal::TooHigh),
    }
}

/// An error in a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerMismatch {
    /// A row's id does not follow the id of the row before.
    Gap {
        /// The expected id.
        expected: LedgerId,
        /// The actual id.
        found: LedgerId,
    },
    /// A row's `balance_after` is not the balance of the row before plus its change.
    BrokenChain {
        /// The row.
        at: LedgerId,
        /// The expected balance.
        expected: i64,
        /// The stored balance.
        found: i64,
    },
    /// The balance went below 0.
    Negative {
        /// The row.
        at: LedgerId,
    },
    /// The account's balance is not the sum of its ledger.
    WrongBalance {
        /// The sum of the ledger.
        expected: i64,
        /// The account's balance.
        found: i64,
    },
    /// The number of ledger ids that the account has assigned differs from its number of rows.
    WrongCount {
        /// The number of assigned ids.
        expected: i64,
        /// The number of rows.
        found: i64,
    },
}

impl fmt::Display for LedgerMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { expected, found } => {
                write!(f, "ledger row {expected} is missing: row {found} stands in its place")
            }
            Self::BrokenChain { at, expected, found } => write!(
                f,
                "ledger row {at} states the balance {found}, but {expected} follows from the rows before"
            ),
            Self::Negative { at } => write!(f, "ledger row {at} takes the balance below 0"),
            Self::WrongBalance { expected, found } => {
                write!(f, "the balance is {found}, but the ledger adds up to {expected}")
            }
            Self::WrongCount { expected, found } => {
                write!(f, "{expected} ledger rows were written, but {found} are there")
            }
        }
    }
}

/// Verifies a ledger, row by row from the first: ids have no gaps, each `balance_after` follows
/// from the row before, no balance is below 0, and the last one is the account's balance.
#[derive(Debug, Default)]
pub struct LedgerVerifier {
    /// The sum of all rows.
    sum: i64,
    /// The balance stored in the row before. The next row is checked against it, so that one break
    /// is one mismatch.
    stated: i64,
    rows: i64,
    mismatches: Vec<LedgerMismatch>,
}

impl LedgerVerifier {
    /// Checks the next row, in the order of ids.
    pub fn push(&mut self, id: LedgerId, delta: i64, balance_after: i64) {
        self.rows += 1;
        if id.0 != self.rows {
            self.mismatches.push(LedgerMismatch::Gap { expected: LedgerId(self.rows), found: id });
            self.rows = id.0;
        }
        let expected = self.stated.saturating_add(delta);
        if balance_after != expected {
            self.mismatches.push(LedgerMismatch::BrokenChain {
                at: id,
                expected,
                found: balance_after,
            });
        }
        if expected.min(balance_after) < 0 {
            self.mismatches.push(LedgerMismatch::Negative { at: id });
        }
        self.sum = self.sum.saturating_add(delta);
        self.stated = balance_after;
    }

    /// Compares with the account: its balance, and the number of ledger ids that it has assigned.
    #[must_use]
    pub fn finish(mut self, balance: i64, ids_given: i64) -> Vec<LedgerMismatch> {
        if self.sum != balance {
            self.mismatches
                .push(LedgerMismatch::WrongBalance { expected: self.sum, found: balance });
        }
        if self.rows != ids_given {
            self.mismatches
                .push(LedgerMismatch::WrongCount { expected: ids_given, found: self.rows });
        }
        self.mismatches
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_member_is_told_the_amounts_and_its_own_writes() {
        let entry = LedgerEntry {
            id: LedgerId(4),
            delta: 9,
            balance_after: 20,
            reason: Reason::OperatorGrant,
            endpoint: None,
            actor: Some(ActorId(2)),
            note: Some("April".to_owned()),
            subject: Some(Subject { id: 7, actor: None }),
            steps: Steps::default(),
            created_at: Timestamp::from_micros(0),
        };
        assert_eq!(entry.clone().told_to_member(ActorId(2)), entry);
        let told = entry.clone().told_to_member(ActorId(3));
        assert_eq!((told.delta, told.balance_after, told.id), (9, 20, LedgerId(4)));
        assert_eq!((told.actor, told.note, told.subject), (None, None, None));
    }

    #[test]
    fn a_debit_below_0_and_a_grant_beyond_the_maximum_are_refused() {
        assert_eq!(debit(1, 1), Ok(0));
        assert_eq!(debit(0, 1), Err(BalanceRefusal::TooLow { balance: 0, cost: 1 }));
        assert_eq!(debit(0, 0), Ok(0));
        assert_eq!(grant(i64::MAX, 1), Err(BalanceRefusal::TooHigh));
    }

    fn verify(rows: &[(i64, i64, i64)], balance: i64, ids_given: i64) -> Vec<LedgerMismatch> {
        let mut ledger = LedgerVerifier::default();
        for (id, delta, after) in rows {
            ledger.push(LedgerId(*id), *delta, *after);
        }
        ledger.finish(balance, ids_given)
    }

    #[test]
    fn each_error_of_a_ledger_is_named() {
        assert_eq!(verify(&[(1, 100, 100), (2, -1, 99)], 99, 2), []);
        assert_eq!(
            verify(&[(1, 100, 100), (3, -1, 99)], 99, 3),
            [LedgerMismatch::Gap { expected: LedgerId(2), found: LedgerId(3) }]
        );
        assert_eq!(
            verify(&[(1, 100, 100), (2, -1, 98), (3, -1, 97), (4, -1, 96)], 97, 4),
            [LedgerMismatch::BrokenChain { at: LedgerId(2), expected: 99, found: 98 }]
        );
        assert_eq!(
            verify(&[(1, 100, 100)], 101, 1),
            [LedgerMismatch::WrongBalance { expected: 100, found: 101 }]
        );
        assert_eq!(
            verify(&[(1, 100, 100)], 100, 2),
            [LedgerMismatch::WrongCount { expected: 2, found: 1 }]
        );
        assert_eq!(verify(&[(1, -1, -1)], -1, 1), [LedgerMismatch::Negative { at: LedgerId(1) }]);
    }

    proptest! {
        #[test]
        fn random_grants_and_debits_pass_the_ledger_audit(
            moves in proptest::collection::vec((any::<bool>(), 0_i64..50), 0..200)
        ) {
            let (mut balance, mut rows, mut count) = (0, Vec::new(), 0);
            for (is_grant, amount) in moves {
                let moved = if is_grant { grant(balance, amount) } else { debit(balance, amount) };
                if let Ok(after) = moved {
                    count += 1;
                    rows.push((count, after - balance, after));
                    balance = after;
                }
                prop_assert!(balance >= 0);
            }
            prop_assert_eq!(verify(&rows, balance, count), []);
        }
    }

    #[test]
    fn ledger_reasons_have_the_names_of_the_api_contract() {
        let names = ["bootstrap_grant", "operator_grant", "api_write", "import"];
        for (reason, text) in Reason::ALL.into_iter().zip(names) {
            assert_eq!((reason.name(), Reason::from_name(text)), (text, Some(reason)));
        }
        assert_eq!(Reason::from_name("grant"), None);
    }

    #[test]
    fn a_ledger_mismatch_displays_the_row_and_the_amounts() {
        let at = LedgerId(3);
        for (mismatch, sentence) in [
            (
                LedgerMismatch::Gap { expected: LedgerId(2), found: at },
                "ledger row 2 is missing: row 3 stands in its place",
            ),
            (
                LedgerMismatch::BrokenChain { at, expected: 99, found: 98 },
                "ledger row 3 states the balance 98, but 99 follows from the rows before",
            ),
            (LedgerMismatch::Negative { at }, "ledger row 3 takes the balance below 0"),
            (
                LedgerMismatch::WrongBalance { expected: 100, found: 101 },
                "the balance is 101, but the ledger adds up to 100",
            ),
            (
                LedgerMismatch::WrongCount { expected: 2, found: 1 },
                "2 ledger rows were written, but 1 are there",
            ),
        ] {
            assert_eq!(mismatch.to_string(), sentence);
        }
    }
}
