//! `/accounts`: the accounts of customers, for operators.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use roots_domain::model::Invalid;
use roots_domain::model::account::AccountStatus;
use roots_domain::model::id::AccountId;
use roots_domain::model::page::PageRequest;
use roots_domain::model::text::Name;
use roots_domain::port::store::AccountOverview;
use roots_domain::service::access::Caller;
use roots_domain::service::accounts::Grant;
use roots_http_core::problem::Problem;
use roots_http_core::request::path::Id;
use roots_http_core::request::query::{NoParams, Query};

use crate::answer::{html, see_other};
use crate::app::App;
use crate::chart::number;
use crate::form::{self, Faults, Posted, again, field};
use crate::layout::{self, Frame, Section};
use crate::look::Look;
use crate::once::done_once;
use crate::query::{Skip, link, optional};
use crate::text;
use crate::time;
use crate::viewer::Viewer;

/// Accounts of a page.
const PAGE_ROWS: u32 = 50;

/// The list, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    mut viewer: Viewer,
    Query(Skip(offset)): Query<Skip>,
) -> Result<Response, Problem> {
    let operators = &app.services.operators;
    let request = PageRequest::skipping(offset, PAGE_ROWS);
    let find = |caller: Arc<Caller>| async move { operators.list(&caller, request).await };
    let page = viewer.bearer.read_in_turn(find).await?;
    let end = offset + i64::try_from(page.items.len()).unwrap_or_default();
    let at = |offset: i64| link("/accounts", &[("offset", Some(offset.to_string()))]);
    Ok(html(layout::page(
        &viewer,
        Frame {
            title: "Accounts",
            section: Section::Accounts,
            tools: html! {},
            next_change: None,
            content: html! {
                section.card #accounts data-live="" aria-label="Accounts" {
                    div.scroll role="region" aria-label="Accounts, scrolls sideways" tabindex="0" {
                        table {
                            thead { tr {
                                th { "Account" } th { "Kind" } th { "Status" } th { "Balance" }
                                th { "Last write" }
                            } }
                            tbody { @for row in &page.items { (list_row(&viewer.look, row)) } }
                        }
                    }
                    div.buttons {
                        @if offset > 0 {
                            a.button href=(at((offset - i64::from(PAGE_ROWS)).max(0))) { "Newer" }
                        }
                        @if end < page.total { a.button href=(at(end)) { "Older" } }
                        span.muted { (page.total) " in all" }
                    }
                }
            },
        },
    )))
}

fn list_row(
    look: &Look,
    AccountOverview { account, last_write_at, .. }: &AccountOverview,
) -> Markup {
    html! {
        tr id={ "row-account-" (account.id) } data-row {
            td { a href={ "/accounts/" (account.id) } { (text::line(account.name.as_str())) } }
            td { (account.kind.name()) }
            td { (status(account.status)) }
            td { (number(account.balance)) }
            td { @if let Some(at) = last_write_at { (time::when(look, *at)) } @else { "never" } }
        }
    }
}

fn status(status: AccountStatus) -> Markup {
    html! {
        @match status {
            AccountStatus::Active => span.tag.ok { "active" },
            AccountStatus::Suspended => span.tag.warn { "suspended" },
        }
    }
}

/// One account.
pub(crate) async fn show(
    State(app): State<App>,
    mut viewer: Viewer,
    Id(id): Id<AccountId>,
    Query(NoParams): Query<NoParams>,
) -> Result<Response, Problem> {
    page(&app, &mut viewer, id, &Filled::default(), &Faults::default()).await
}

/// What stands in the form of a grant.
#[derive(Default)]
struct Filled {
    amount: String,
    note: String,
}

async fn page(
    app: &App,
    viewer: &mut Viewer,
    id: AccountId,
    filled: &Filled,
    faults: &Faults,
) -> Result<Response, Problem> {
    let operators = &app.services.operators;
    let find = |caller: Arc<Caller>| async move { operators.get(&caller, id).await };
    let found = viewer.bearer.read(find).await?.ok_or_else(|| Problem::not_found("account"))?;
    let is_own = id == viewer.bearer.account.id;
    Ok(html(layout::page(
        viewer,
        Frame {
            title: &format!("Account {id}"),
            section: Section::Accounts,
            tools: html! {},
            next_change: None,
            content: html! {
                div.grid.even {
                    section.card.c6 #account data-live="" { (facts(&viewer.look, &found)) }
                    section.card.c6 aria-labelledby="grant-title" {
                        header { h2 id="grant-title" { "Grant credits" } }
                        (grant_form((app, viewer), id, filled, faults))
                    }
                    @if !is_own {
                        section.card.c6 #state data-live="" aria-labelledby="state-title" {
                            header { h2 id="state-title" { "Writing" } }
                            (state_form(viewer, &found))
                        }
                    }
                }
            },
        },
    )))
}

fn facts(
    look: &Look,
    AccountOverview { account, writes, last_write_at }: &AccountOverview,
) -> Markup {
    html! {
        dl.facts {
            dt { "Name" } dd { (text::line(account.name.as_str())) }
            dt { "Kind" } dd { (account.kind.name()) }
            dt { "Status" } dd { (status(account.status)) }
            dt { "Balance" } dd { (number(account.balance)) }
            dt { "Actors" } dd { (account.last_ids.actor) }
            dt { "Paid writes" } dd { (writes) }
            dt { "Last write" }
            dd { @if let Some(at) = last_write_at { (time::when(look, *at)) } @else { "never" } }
            dt { "Made" } dd { (time::full(look, account.created_at)) }
        }
    }
}

fn grant_form(
    (app, viewer): (&App, &Viewer),
    id: AccountId,
    filled: &Filled,
    faults: &Faults,
) -> Markup {
    let amount = html! {
        input #amount name="amount" inputmode="numeric" required value=(filled.amount)
            autocomplete="off" aria-describedby=[faults.described("amount")];
    };
    let note = html! {
        input #note name="note" maxlength="100" value=(filled.note) autocomplete="off"
            aria-describedby=[faults.described("note")];
    };
    html! {
        form.stack method="post" action={ "/accounts/" (id) "/credits" } {
            (faults.above())
            (form::hidden(app, viewer, None))
            (field(faults, "amount", "Credits", &amount))
            (field(faults, "note", "Note for the ledger, if any", &note))
            div.buttons { button.primary { "Grant" } }
        }
    }
}

fn state_form(viewer: &Viewer, AccountOverview { account, .. }: &AccountOverview) -> Markup {
    let id = account.id;
    html! {
        @match account.status {
            AccountStatus::Active => {
                p { "A suspended account reads, exports and revokes keys, and writes nothing else." }
                form method="post" action={ "/accounts/" (id) "/suspend" } {
                    (form::shown_to(viewer))
                    button.bad { "Suspend account " (id) }
                }
            }
            AccountStatus::Suspended => {
                form method="post" action={ "/accounts/" (id) "/resume" } {
                    (form::shown_to(viewer))
                    button.primary { "Let account " (id) " write again" }
                }
            }
        }
    }
}

/// Grants credits and leads to the account.
pub(crate) async fn grant(
    State(app): State<App>,
    Id(id): Id<AccountId>,
    mut posted: Posted,
) -> Response {
    let problem = match try_grant(&app, id, &posted).await {
        Ok(()) => return see_other(&format!("/accounts/{id}")),
        Err(problem) => problem,
    };
    let status = problem.status();
    let faults = match Faults::of(problem, &["amount", "note"]) {
        Ok(faults) => faults,
        Err(problem) => return posted.fail(problem),
    };
    let get = |name| posted.typed.get(name).unwrap_or_default().to_owned();
    let filled = Filled { amount: get("amount"), note: get("note") };
    match page(&app, &mut posted.viewer, id, &filled, &faults).await {
        Ok(page) => again(status, page),
        Err(problem) => posted.fail(problem),
    }
}

async fn try_grant(app: &App, id: AccountId, posted: &Posted) -> Result<(), Problem> {
    let (amount, note) = form::read(&posted.typed, |params| {
        let amount = params.take("amount", |text: String| {
            let whole = || Invalid::new("must be a whole number");
            text.trim().parse().map_err(|_| whole()).and_then(Grant::parse)
        });
        let note = optional(params, "note", |text| Name::parse(text));
        match amount? {
            Some(amount) => Ok((amount, note?)),
            None => Err(params.error("amount", "is required")),
        }
    })?;
    let (bearer, repeat) = (&posted.viewer.bearer, Some(posted.idempotent()?));
    let operators = &app.services.operators;
    done_once(app, bearer, || operators.grant(bearer, id, amount, note.clone(), repeat.clone()))
        .await?;
    Ok(())
}

/// Suspends an account.
pub(crate) async fn suspend(state: State<App>, id: Id<AccountId>, posted: Posted) -> Response {
    set_status(state, id, posted, AccountStatus::Suspended).await
}

/// Lets an account write again.
pub(crate) async fn resume(state: State<App>, id: Id<AccountId>, posted: Posted) -> Response {
    set_status(state, id, posted, AccountStatus::Active).await
}

async fn set_status(
    State(app): State<App>,
    Id(id): Id<AccountId>,
    posted: Posted,
    status: AccountStatus,
) -> Response {
    let bearer = &posted.viewer.bearer;
    let outcome = app.services.operators.set_status(bearer, id, status).await;
    match bearer.checked(outcome) {
        Ok(_) => see_other(&format!("/accounts/{id}")),
        Err(problem) => posted.fail(problem),
    }
}
