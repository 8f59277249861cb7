//! Usage: calls are counted in memory and written at intervals, outside of requests.

use std::sync::Arc;

use super::access::Caller;
use super::outcome::ReadError;
use super::write_behind::WriteBehind;
use crate::command::{Action, Command, SystemAction};
use crate::model::time::Day;
use crate::model::usage::{self, Calls, Endpoint, Month, MonthUsage};
use crate::port::clock::Clock;
use crate::port::store::{ApplyError, CommandStore, Placement, StoreError, UsageReader, by_server};

/// Most counts in memory. Calls that would need another one are not counted: this only happens if
/// the database is unavailable, and only statistics are lost.
pub const PENDING_MAX: usize = 50_000;
/// Most counts of one command.
const COMMAND_MAX_COUNTS: usize = 500;

/// Counts calls, and reads the counts.
#[derive(Clone)]
pub struct Usage {
    /// Writes the counts.
    pub commands: Arc<dyn CommandStore>,
    /// Reads them.
    pub reader: Arc<dyn UsageReader>,
    /// Tells which counts one command may write.
    pub placement: Arc<dyn Placement>,
    /// Tells the day of a call.
    pub clock: Arc<dyn Clock>,
    /// Counts that are not written yet. Clones share them.
    pub pending: WriteBehind<Calls, i64, PENDING_MAX>,
}

impl Usage {
    /// Counts a call of that caller.
    pub fn count(&self, caller: &Caller, endpoint: Endpoint) {
        let day = self.clock.now().day();
        self.add(Calls { account: caller.account.id, day, endpoint }, 1);
    }

    /// Writes the counts. Failed ones are kept for the next time. Counts whose outcome is unknown
    /// are dropped, so that no call is counted twice, and so are counts that the database refuses,
    /// so that they do not block others. A database server that fails does not block the counts of
    /// other servers' accounts.
    ///
    /// # Errors
    /// The last database error.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        let counts = self.pending.take();
        for counts in by_server(&*self.placement, counts, |(calls, _)| calls.account) {
            outcome = self.flush_to_server(counts).await.and(outcome);
        }
        outcome
    }

    async fn flush_to_server(&self, counts: Vec<(Calls, i64)>) -> Result<(), StoreError> {
        let mut rest = counts.into_iter();
        let mut outcome = Ok(());
        loop {
            let counts: Vec<_> = rest.by_ref().take(COMMAND_MAX_COUNTS).collect();
            if counts.is_empty() {
                return outcome;
            }
            match self.write(&counts).await {
                Ok(()) => {}
                Err(StoreError::Broken(cause)) => {
                    let lost = counts.len();
                    outcome = Err(StoreError::Broken(format!("{lost} counts let go: {cause}")));
                }
                Err(error) => {
                    let known = !matches!(error, StoreError::OutcomeUnknown(_));
                    for (calls, count) in counts.into_iter().filter(|_| known).chain(rest) {
                        self.add(calls, count);
                    }
                    return Err(error);
                }
            }
        }
    }

    fn add(&self, calls: Calls, count: i64) {
        self.pending.note(calls, count, |known, more| *known += more);
    }

    async fn write(&self, counts: &[(Calls, i64)]) -> Result<(), StoreError> {
        let action = Action::System(SystemAction::CountCalls(counts.to_vec()));
        let command = Command::uncharged(action, self.clock.now());
        match self.commands.apply(command).await {
            Ok(_) => Ok(()),
            Err(ApplyError::Store(error)) => Err(error),
            Err(ApplyError::Refused(refusal)) => Err(StoreError::Broken(refusal.to_string())),
        }
    }

    /// The calls of the caller's account in a month, by default the current one, without those not
    /// written yet.
    ///
    /// # Errors
    /// A database error.
    pub async fn of_month(
        &self,
        caller: &Caller,
        month: Option<Month>,
    ) -> Result<(Month, MonthUsage), ReadError> {
        let (month, counts) = self.counts(caller, month).await?;
        Ok((month, MonthUsage::of(counts)))
    }

    /// The same by day.
    ///
    /// # Errors
    /// A database error.
    pub async fn by_day(
        &self,
        caller: &Caller,
        month: Option<Month>,
    ) -> Result<(Month, Vec<(Day, i64)>), ReadError> {
        let (month, counts) = self.counts(caller, month).await?;
        Ok((month, usage::by_day(counts)))
    }

    async fn counts(
        &self,
        caller: &Caller,
        month: Option<Month>,
    ) -> Result<(Month, Vec<(Day, Endpoint, i64)>), ReadError> {
        let month = month.unwrap_or_else(|| Month::of(self.clock.now()));
        let (first, last) = month.days();
        Ok((month, self.reader.calls(caller.admission(), first, last).await?))
    }
}
