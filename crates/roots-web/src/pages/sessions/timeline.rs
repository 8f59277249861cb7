//! The lanes above the list of sessions: who was at work when.

use std::sync::Arc;

use maud::{Markup, html};
use roots_domain::model::chart::{LaneSpan, Timeline};
use roots_domain::model::id::ActorId;
use roots_domain::model::time::Timestamp;
use roots_domain::service::access::{ActorScope, Caller};
use roots_http_core::problem::Problem;

use crate::agents::Agents;
use crate::app::App;
use crate::chart::lanes;
use crate::look::Look;
use crate::time;
use crate::viewer::Viewer;

/// The sessions that were active in a span.
pub(super) struct Lanes {
    span: LaneSpan,
    timeline: Timeline,
}

impl Lanes {
    /// Reads those of the span that ends at `until`. Their notes are not read.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub(super) async fn read(
        app: &App,
        viewer: &mut Viewer,
        scope: ActorScope,
        span: LaneSpan,
        until: Timestamp,
    ) -> Result<Self, Problem> {
        let range = span.range(until);
        let dashboards = &app.services.dashboards;
        let find = |caller: Arc<Caller>| async move {
            dashboards.lane_sessions(&caller, scope, range).await
        };
        let found = viewer.bearer.read_in_turn(find).await?;
        let (quiet, now) = (app.rules.quiet_after_seconds, viewer.look.now);
        Ok(Self { span, timeline: Timeline::of_read(found, range, quiet, now) })
    }

    /// When the next tail is drawn as quiet.
    pub(super) const fn next_change(&self) -> Option<Timestamp> {
        self.timeline.next_quiet
    }

    /// The agents of the sessions.
    pub(super) fn agents(&self) -> impl Iterator<Item = ActorId> {
        self.timeline.lanes.iter().map(|lane| lane.actor)
    }

    /// The drawing, the choice of the span, and the steps to the spans before and after. `path`
    /// leads to a span that ends at that time, or now.
    pub(super) fn show(
        &self,
        look: &Look,
        agents: &Agents,
        path: impl Fn(LaneSpan, Option<Timestamp>) -> String,
    ) -> Markup {
        let names = |id| agents.plain_name(id);
        let Self { span, timeline } = self;
        let end = timeline.until;
        let is_now = end >= look.now;
        let chosen_end = (!is_now).then_some(end);
        html! {
            section.card #lanes data-live="" aria-labelledby="lanes-title" {
                header {
                    h2 id="lanes-title" { "Who was at work" }
                    span.buttons {
                        @for one in LaneSpan::ALL {
                            a href=(path(one, chosen_end))
                                aria-current=[(one == *span).then_some("true")] { (one.name()) }
                        }
                    }
                }
                p.buttons {
                    @if let Some(earlier) = span.earlier(end) {
                        a.earlier data-earlier="" href=(path(*span, Some(earlier))) { "Earlier" }
                    }
                    span.muted {
                        (time::full(look, timeline.since)) " to " (until(look, end))
                        " (" (look.zone().name()) ")"
                    }
                    @if !is_now {
                        a.earlier data-later="" href=(path(*span, span.later(end, look.now))) {
                            "Later"
                        }
                        a.earlier href=(path(*span, None)) { "Now" }
                    }
                }
                div.hide-s {
                    @if timeline.lanes.is_empty() {
                        p.muted { "Nobody was at work in this span." }
                    } @else {
                        (lanes::chart(look, &names, timeline, "lanes-chart"))
                    }
                }
            }
        }
    }
}

fn until(look: &Look, end: Timestamp) -> String {
    if end < look.now { time::full(look, end) } else { "now".to_owned() }
}
