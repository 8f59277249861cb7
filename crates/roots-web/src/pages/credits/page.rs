//! The page, from the request to the answer.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::html;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::pagination::List;
use roots_http_core::request::query::{FromParams, Params};

use super::cards;
use crate::agents::Agents;
use crate::answer;
use crate::app::App;
use crate::balance;
use crate::layout::{self, Frame, Section};
use crate::query;
use crate::viewer::Viewer;

/// The days of the curve, and of what was spent by agent.
const DAYS: i64 = 90;
/// The days of what was spent by day.
const SPENT_DAYS: i64 = 30;

/// The page has no filters.
pub(crate) struct NoFilter;

impl FromParams for NoFilter {
    fn from_params(_: &mut Params) -> Result<Self, InvalidNoted> {
        Ok(Self)
    }
}

/// `GET /credits`.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    List { page, .. }: List<NoFilter>,
) -> Result<Response, Problem> {
    let mut agents = Agents::read(&app, &mut viewer).await?;
    let request = page.request(&viewer.bearer)?;
    let (accounts, usage) = (&app.services.accounts, &app.services.usage);
    let ledger = |caller: Arc<_>| async move { accounts.ledger(&caller, None, request).await };
    let ledger = viewer.bearer.read_in_turn(ledger).await?;
    let calls = |caller: Arc<_>| async move { usage.of_month(&caller, None).await };
    let (month, calls) = viewer.bearer.read_in_turn(calls).await?;
    let scope = query::scope(None, viewer.is_owner());
    let spent = balance::spent(&app, &mut viewer, scope, DAYS).await?;
    let curve = balance::of_days(&viewer, &spent, DAYS, agents.account_made);
    let (dashboards, zone) = (&app.services.dashboards, &viewer.look.zone().clone());
    let forecast = |caller: Arc<_>| async move { dashboards.forecast(&caller, zone).await };
    let forecast = viewer.bearer.read_in_turn(forecast).await?;
    let spenders = spent.by_actor.iter().map(|(actor, _)| *actor);
    let named = ledger.items.iter().filter_map(|entry| entry.actor).chain(spenders);
    agents.learn(&app, &mut viewer, named.collect()).await?;
    let next = ledger.next.map(|last| page.after_link(&viewer.bearer, last, request.limit));
    let look = &viewer.look;
    Ok(answer::html(layout::page(
        &viewer,
        Frame {
            title: "Credits",
            section: Section::Credits,
            tools: html! {},
            next_change: None,
            content: html! {
                div.grid.even {
                    (cards::balance(look, &curve, forecast))
                    (cards::by_agent(&agents, &spent))
                    (cards::by_day(look, &spent, balance::window(&viewer, SPENT_DAYS)))
                    (cards::calls(month, &calls))
                    (cards::ledger(look, &agents, &ledger, next.as_deref()))
                }
            },
        },
    )))
}
