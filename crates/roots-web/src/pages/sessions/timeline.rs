//! The lanes above the list of sessions: who was at work when.

use std::sync::Arc;

use maud::{Markup, html};
use roots_domain::model::chart::{LaneSession, LaneSpan, Timeline};
use roots_domain::model::page::{PageRequest, Start};
use roots_domain::model::session::SessionWindow;
use roots_domain::model::time::Timestamp;
use roots_domain::service::access::{ActorScope, Caller};
use roots_domain::service::sessions::SessionFilter;
use roots_http_core::problem::Problem;

use crate::agents::Agents;
use crate::app::App;
use crate::chart::lanes;
use crate::look::Look;
use crate::rows;
use crate::viewer::Viewer;

/// Sessions that one read returns, and the most reads of a page.
const ROWS: u32 = 100;
const READS_MAX: usize = 5;

/// The sessions that were active in a span that ends now.
pub(super) struct Lanes {
    timeline: Timeline,
    /// The sessions that are left out, those that ended earliest.
    omitted: i64,
}

impl Lanes {
    /// Reads them. Their notes stay sealed.
    ///
    /// # Errors
    /// As [`rows::read`].
    pub(super) async fn read(
        app: &App,
        viewer: &mut Viewer,
        scope: ActorScope,
        span: LaneSpan,
    ) -> Result<Self, Problem> {
        let now = viewer.look.now;
        let since = now.plus_seconds(-span.seconds());
        let window = SessionWindow::ActiveSince(since);
        let filter = SessionFilter { scope, status: None, window };
        let sessions = &app.services.sessions;
        let (mut found, mut total) = (Vec::new(), 0);
        let mut start = Start::Offset(0);
        for _ in 0..READS_MAX {
            let request = PageRequest { limit: ROWS, start };
            let find =
                |caller: Arc<Caller>| async move { sessions.find(&caller, filter, request).await };
            let (page, _room) = rows::read(viewer, find).await?;
            total = page.total;
            found.extend(page.items.iter().map(|listed| LaneSession {
                id: listed.session.id,
                actor: listed.session.actor,
                started_at: listed.session.started_at,
                ended_at: listed.session.status.ended_at(),
                last_active_at: listed.last_active_at,
            }));
            match page.next {
                Some(next) => start = Start::After(next),
                None => break,
            }
        }
        let omitted = total - i64::try_from(found.len()).unwrap_or(total);
        let timeline = Timeline::of(found, (since, now), app.rules.quiet_after_seconds, now);
        Ok(Self { timeline, omitted: omitted.max(0) })
    }

    /// When the next tail is drawn as quiet.
    pub(super) const fn next_change(&self) -> Option<Timestamp> {
        self.timeline.next_quiet
    }

    /// The drawing, and the choice of the span, each of which `path` leads to.
    pub(super) fn show(
        &self,
        look: &Look,
        agents: &Agents,
        chosen: LaneSpan,
        path: impl Fn(LaneSpan) -> String,
    ) -> Markup {
        let names = |id| agents.plain_name(id);
        html! {
            section.card.hide-s #lanes data-live="" aria-labelledby="lanes-title" {
                header {
                    h2 id="lanes-title" { "Who was at work" }
                    span.buttons {
                        @for span in LaneSpan::ALL {
                            a href=(path(span)) aria-current=[(span == chosen).then_some("true")] {
                                (span.name())
                            }
                        }
                    }
                }
                @if self.timeline.lanes.is_empty() {
                    p.muted { "Nobody was at work in this span." }
                } @else {
                    (lanes::chart(look, &names, &self.timeline, "lanes-chart"))
                }
                @if self.omitted > 0 {
                    p.muted { (self.omitted) " more, which ended earlier, are not drawn." }
                }
            }
        }
    }
}
