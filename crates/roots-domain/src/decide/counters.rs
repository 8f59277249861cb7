//! Counters that change together with the rows that they count.

use super::working_set::WorkingSet;

use crate::model::activity::Activity;
use crate::model::counter::{Counter, QuarterHourCounter};
use crate::model::id::AccountId;
use crate::model::sealed::Sealed;

impl WorkingSet {
    pub(super) fn count(&mut self, account: AccountId, counter: Counter, moved: i64) {
        *self.write_set.counters.entry((account, counter)).or_insert(0) += moved;
    }

    pub(super) fn count_activity(
        &mut self,
        account: AccountId,
        activity: &Activity<Sealed>,
        moved: i64,
    ) {
        self.count(account, Counter::of_activity(activity), moved);
        *self
            .write_set
            .quarter_hours
            .entry((account, QuarterHourCounter::of(activity)))
            .or_insert(0) += moved;
    }
}
