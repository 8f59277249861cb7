//! The agents and people of an account, by name, and what the account has left.

use std::collections::HashMap;
use std::sync::Arc;

use maud::{Markup, html};
use roots_domain::model::account::{AccountStatus, Actor};
use roots_domain::model::id::ActorId;
use roots_domain::service::access::Caller;
use roots_http_core::problem::Problem;

use crate::app::App;
use crate::text;
use crate::viewer::Viewer;

/// From this balance down, a button says what it costs.
const FEW_CREDITS: i64 = 50;

/// The names of an account's actors. Of a very large account it knows the first hundred, and the
/// viewer.
pub(crate) struct Agents {
    known: HashMap<ActorId, Actor>,
    /// In the order of their ids.
    in_order: Vec<ActorId>,
    /// The account's balance.
    pub(crate) balance: i64,
    /// Whether the account may write.
    status: AccountStatus,
}

impl Agents {
    /// Reads them, and the account's version. So read them before anything else of the page.
    ///
    /// # Errors
    /// A database error, or the sign-in has ended.
    pub(crate) async fn read(app: &App, viewer: &mut Viewer) -> Result<Self, Problem> {
        let accounts = &app.services.accounts;
        let read = |caller: Arc<Caller>| async move { accounts.whoami(&caller).await };
        let found = viewer.bearer.read(read).await?;
        viewer.version = Some(found.version);
        let own = viewer.bearer.actor.clone();
        let mut actors = found.other_actors;
        actors.push(own);
        actors.sort_unstable_by_key(|actor| actor.id);
        Ok(Self {
            in_order: actors.iter().map(|actor| actor.id).collect(),
            known: actors.into_iter().map(|actor| (actor.id, actor)).collect(),
            balance: found.credits_remaining,
            status: found.status,
        })
    }

    /// All of them, in the order of their ids.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Actor> {
        self.in_order.iter().filter_map(|id| self.known.get(id))
    }

    /// The name of an actor.
    pub(crate) fn name(&self, id: ActorId) -> Markup {
        if let Some(actor) = self.known.get(&id) {
            text::line(actor.name.as_str())
        } else {
            html! { "agent " (id) }
        }
    }

    /// The name of an actor as a text that is not escaped.
    pub(crate) fn plain_name(&self, id: ActorId) -> String {
        let known = self.known.get(&id).map(|actor| actor.name.as_str().to_owned());
        known.unwrap_or_else(|| format!("agent {id}"))
    }

    /// The choice of an actor, the first of which is `none` with an empty value.
    pub(crate) fn choice(&self, name: &str, none: &str, chosen: Option<ActorId>) -> Markup {
        html! {
            select name=(name) id=(name) {
                option value="" { (none) }
                @for actor in self.all() {
                    option value=(actor.id) selected[chosen == Some(actor.id)] {
                        (actor.name.as_str())
                    }
                }
            }
        }
    }

    /// What a page says beforehand that has forms, if the account is suspended.
    pub(crate) fn suspension(&self) -> Markup {
        html! {
            @if self.status == AccountStatus::Suspended {
                p.note { "The account is suspended. It reads, exports and revokes keys, and writes \
                          nothing else until the operator of the service lets it." }
            }
        }
    }

    /// What a page says beforehand that has forms, if nothing can be written.
    pub(crate) fn cost_when_out(&self) -> Markup {
        html! {
            (self.suspension())
            @if self.balance <= 0 {
                p.note { "The account has no credits left. Reading goes on; writing needs credits." }
            }
        }
    }

    /// What a form says of the cost of its write: nothing while there are many credits left.
    pub(crate) fn cost(&self) -> Markup {
        html! {
            @if self.status == AccountStatus::Suspended {
                span.muted { "The account is suspended, so this will be refused." }
            } @else if self.balance <= 0 {
                span.muted { "Writing needs credits, and none are left." }
            } @else if self.balance < FEW_CREDITS {
                span.muted { "1 credit of " (self.balance) }
            }
        }
    }
}
