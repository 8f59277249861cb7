//! One activity.

use axum::extract::State;
use axum::response::Response;
use maud::html;
use roots_domain::model::id::ActivityId;
use roots_http_core::problem::Problem;
use roots_http_core::request::path::Id;
use roots_http_core::request::query::{NoParams, Query};

use crate::agents::Agents;
use crate::answer;
use crate::app::App;
use crate::layout::{self, Frame, Section};
use crate::rows;
use crate::text;
use crate::time;
use crate::viewer::Viewer;

/// `GET /activity/{id}`.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    Id(id): Id<ActivityId>,
    _: Query<NoParams>,
) -> Result<Response, Problem> {
    let mut agents = Agents::read(&app, &mut viewer).await?;
    let activities = &app.services.activities;
    let find = |caller: std::sync::Arc<_>| async move { activities.find_one(&caller, id).await };
    let (found, room) = rows::one(&app, &mut viewer, "activity", find).await?;
    let entry = found.row;
    agents.learn(&app, &mut viewer, vec![entry.actor]).await?;
    let look = &viewer.look;
    let title = format!("Entry {id}");
    let answer = answer::html(layout::page(
        &viewer,
        Frame {
            title: &title,
            section: Section::Activity,
            tools: html! {},
            next_change: None,
            content: html! {
                section.card aria-labelledby="entry-h" {
                    header {
                        h2 #entry-h { (text::line(entry.activity_type.as_str())) }
                        span.muted { (time::full(look, entry.logged_at)) }
                    }
                    (text::markdown(&entry.description))
                    p.muted {
                        "By " a href={ "/agents/" (entry.actor) } { (agents.name(entry.actor)) }
                        @if let Some(session) = entry.session {
                            " in " a href={ "/sessions/" (session) } { "session " (session) }
                        }
                        @if entry.created_at != entry.logged_at {
                            ", written " (time::full(look, entry.created_at))
                        }
                        "."
                    }
                }
            },
        },
    ));
    Ok(room.hold(answer).await)
}
