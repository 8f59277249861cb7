//! Writes of forms. Of a form that is sent twice at once, the second waits for the first and is
//! answered as it was.

use std::time::Duration;

use roots_domain::command::Refusal;
use roots_domain::model::id::AccountId;
use roots_domain::service::WriteError;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::middleware::fair_permits::{FairPermits, PermitLimits};
use roots_http_core::problem::Problem;

use crate::app::App;

/// How many requests wait for the same form that was sent before. Each holds its connection and
/// its form until the first has ended, at most as long as any request may take.
const WAITING: PermitLimits =
    PermitLimits { at_once: 64, at_once_each: 4, waiting: 0, waiting_each: 0 };
/// The first pause before it is tried again. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause: each attempt seals the texts anew.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// The places of requests that wait for the same form.
pub(crate) fn places() -> FairPermits<AccountId> {
    FairPermits::new(WAITING)
}

/// Runs a write that carries the idempotency key of its form. While the same form is being done, it
/// waits and tries again. Then the write finds what the first one did.
///
/// # Errors
/// What the write failed with: 409 if the same form is being done and too many wait already.
pub(crate) async fn done_once<T, F>(
    app: &App,
    bearer: &Bearer,
    write: impl Fn() -> F,
) -> Result<T, Problem>
where
    F: Future<Output = Result<T, WriteError>>,
{
    let mut outcome = write().await;
    if is_in_flight(&outcome)
        && let Some(_place) = app.same_forms.try_take(bearer.account.id)
    {
        let mut pause = FIRST_PAUSE;
        while is_in_flight(&outcome) {
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
            outcome = write().await;
        }
    }
    bearer.checked(outcome)
}

const fn is_in_flight<T>(outcome: &Result<T, WriteError>) -> bool {
    matches!(outcome, Err(WriteError::Refused(Refusal::StillInFlight)))
}
