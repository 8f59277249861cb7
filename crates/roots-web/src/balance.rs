//! Reads what an account spends, and the curve of its balance.

use std::sync::Arc;

use roots_domain::model::chart::{Curve, curve};
use roots_domain::model::time::{Day, TimeRange, Timestamp};
use roots_domain::model::work::CreditStats;
use roots_domain::service::access::{ActorScope, Caller};
use roots_http_core::problem::Problem;

use crate::app::App;
use crate::viewer::Viewer;

/// What these actors spent in the last `days` days of the viewer's zone, and the balance of the
/// account.
///
/// # Errors
/// The refusal, or a database error.
pub(crate) async fn spent(
    app: &App,
    viewer: &mut Viewer,
    scope: ActorScope,
    days: i64,
) -> Result<CreditStats, Problem> {
    let zone = &viewer.look.zone().clone();
    let (first, _) = window(viewer, days);
    let range = TimeRange { since: Some(zone.first_instant(first)), until: None };
    let accounts = &app.services.accounts;
    let stats = |caller: Arc<Caller>| async move {
        accounts.credit_stats(&caller, scope, range, zone).await
    };
    viewer.bearer.read_in_turn(stats).await
}

/// The first and the last of the last `days` days.
pub(crate) fn window(viewer: &Viewer, days: i64) -> (Day, Day) {
    let today = viewer.look.zone().wall_clock(viewer.look.now).day;
    (Day(today.0 - days + 1), today)
}

/// The balance of the account at the end of each of the last `days` days. `made` is when the
/// account was made.
pub(crate) fn of_days(viewer: &Viewer, stats: &CreditStats, days: i64, made: Timestamp) -> Curve {
    let changed = stats.by_day.iter().map(|day| (day.day, day.balance));
    let made = viewer.look.zone().wall_clock(made).day;
    curve(stats.balance_before, changed, window(viewer, days), made)
}
