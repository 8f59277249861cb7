//! Reads the curve of the balance.

use std::sync::Arc;

use roots_domain::model::chart::{Curve, curve};
use roots_domain::model::time::{Day, TimeRange};
use roots_domain::service::access::ActorScope;
use roots_domain::service::work::WorkSelection;
use roots_http_core::problem::Problem;

use crate::app::App;
use crate::viewer::Viewer;

/// The balance at the end of each of the last `days` days.
///
/// # Errors
/// A database error.
pub(crate) async fn read(app: &App, viewer: &mut Viewer, days: i64) -> Result<Curve, Problem> {
    let zone = &viewer.look.zone().clone();
    let today = zone.wall_clock(viewer.look.now).day;
    let first = Day(today.0 - days + 1);
    let range = TimeRange { since: Some(zone.first_instant(first)), until: None };
    let accounts = &app.services.accounts;
    let scope = scope_of_balance(viewer);
    let stats = |caller: Arc<_>| async move {
        accounts.credit_stats(&caller, WorkSelection { scope, range }, zone).await
    };
    let found = viewer.bearer.read(stats).await?;
    Ok(curve(found.balance_before, found.balances, (first, today)))
}
