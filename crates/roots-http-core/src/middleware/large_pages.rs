//! Large pages: the memory that they hold until they are sent, however slowly they are read.
//!
//! How long a page becomes shows only when it is written. So it is written first, which takes one
//! thread a moment, and its memory is reserved before it is answered.

use axum::body::HttpBody;
use axum::response::Response;
use roots_domain::model::id::AccountId;

use super::fair_permits::{FairPermits, PermitLimits};
use super::list_permits::{Roomed, SMALL_MAX_BYTES, hold_until_sent};
use super::memory_budget::MemoryBudget;
use crate::problem::Problem;

/// Most large pages that an account has at once. Tabs in the background ask for none.
const AT_ONCE_EACH: usize = 2;

/// Limits on pages above 256 KiB: how many an account has at once, and how much memory they hold
/// together with other large answers.
pub struct LargePages {
    places: FairPermits,
    memory: MemoryBudget,
}

impl LargePages {
    /// Limits with this memory, which other large answers share.
    #[must_use]
    pub fn new(memory: MemoryBudget) -> Self {
        let places = FairPermits::new(PermitLimits {
            at_once: usize::MAX,
            at_once_each: AT_ONCE_EACH,
            // A page that waited would hold its memory meanwhile.
            waiting: 0,
            waiting_each: 0,
        });
        Self { places, memory }
    }

    /// Reserves memory for a page if it is large and has none, until it is sent. `account` is that
    /// of its reader, if it is known.
    ///
    /// # Errors
    /// 429: the account has its large pages. 503: no memory is left.
    pub(super) async fn hold(
        &self,
        account: Option<AccountId>,
        page: Response,
    ) -> Result<Response, Problem> {
        let length = page.body().size_hint().exact().unwrap_or_default();
        if length <= SMALL_MAX_BYTES || page.extensions().get::<Roomed>().is_some() {
            return Ok(page);
        }
        let too_many = || Problem::too_many_large(AT_ONCE_EACH, "pages");
        let take = |account| self.places.try_take(account).ok_or_else(too_many);
        let place = account.map(take).transpose()?;
        let taken = self.memory.take(length).ok_or_else(Problem::no_room_for_answer)?;
        Ok(hold_until_sent(page, (taken, place)).await)
    }
}
