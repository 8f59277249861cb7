//! `POST /access/export`: all rows as a file, by an API key that is typed again.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_http_core::export::answer;
use roots_http_core::problem::Problem;

use super::overview::own_key;
use super::wrong_key::show_again;
use crate::address::Address;
use crate::app::App;
use crate::form::{self, Faults, Posted};
use crate::viewer::Viewer;

/// The form, and the command that does the same.
pub(super) fn form(address: &str, viewer: &Viewer, faults: &Faults) -> Markup {
    let whose = if viewer.is_owner() { "All rows of the account" } else { "All of your rows" };
    html! {
        p { (whose) " with their texts, one JSON object a line." }
        form.stack method="post" action="/access/export" {
            (faults.above())
            (form::shown_to(viewer))
            (own_key("export-own", faults))
            div.buttons { button { "Download" } }
        }
        p.muted { "A command does the same:" }
        pre { "curl -H \"X-API-Key: $ROOTS_API_KEY\" " (address) "/api/v1/export > roots.jsonl" }
    }
}

/// Sends the export while it is read. It ends with the key that was typed.
pub(crate) async fn download(
    State(app): State<App>,
    Address(address): Address,
    posted: Posted,
) -> Response {
    match begin(&app, &posted).await {
        Ok(export) => export,
        Err(problem) => {
            show_again(posted, problem, "Export", |viewer, faults| form(&address, viewer, faults))
        }
    }
}

async fn begin(app: &App, posted: &Posted) -> Result<Response, Problem> {
    // The key is read when the act is authorized.
    form::read(&posted.typed, |params| params.take("api_key", |_| Ok(())))?;
    let typed = posted.typed.get("api_key").unwrap_or_default();
    let mut author = posted.viewer.authorize(typed).await?;
    let running = &app.shared.exports;
    let place = running.begin(author.account.id)?;
    answer(running, place, &app.services.exports, &mut author, None).await
}
