//! Reads the curve of the balance.

use roots_domain::model::chart::Curve;
use roots_http_core::problem::Problem;

use crate::app::App;
use crate::viewer::Viewer;

/// The balance at the end of each of the last `days` days.
///
/// # Errors
/// A database error.
pub(crate) async fn read(_: &App, _: &mut Viewer, _: i64) -> Result<Curve, Problem> {
    Ok(Curve { points: Vec::new() })
}
