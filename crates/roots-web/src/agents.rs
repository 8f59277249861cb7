//! The agents and people of an account, by name, and what the account has left.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use maud::{Markup, html};
use roots_domain::model::account::{AccountStatus, Actor};
use roots_domain::model::id::ActorId;
use roots_domain::model::time::Timestamp;
use roots_domain::service::access::Caller;
use roots_http_core::problem::Problem;

use crate::app::App;
use crate::text;
use crate::viewer::Viewer;

/// From this balance down, a button says what it costs.
const FEW_CREDITS: i64 = 50;
/// Most names that a page learns.
const NAMES_MAX: usize = 2_000;

/// The names of an account's actors. Of a very large account it knows the first hundred, the viewer
/// and those that a page [learns](Self::learn).
pub(crate) struct Agents {
    known: HashMap<ActorId, Actor>,
    /// The first hundred and the viewer, in the order of their ids.
    in_order: Vec<ActorId>,
    /// Whether the account has more of them.
    has_more: bool,
    /// The account's balance.
    pub(crate) balance: i64,
    /// When the account was made.
    pub(crate) account_made: Timestamp,
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
        let others = i64::try_from(found.other_actors.len()).unwrap_or(i64::MAX);
        let mut actors = found.other_actors;
        actors.push(own);
        actors.sort_unstable_by_key(|actor| actor.id);
        Ok(Self {
            in_order: actors.iter().map(|actor| actor.id).collect(),
            known: actors.into_iter().map(|actor| (actor.id, actor)).collect(),
            has_more: found.other_actors_total > others,
            balance: found.credits_remaining,
            account_made: found.created_at,
            status: found.status,
        })
    }

    /// These actors, all that there are.
    #[cfg(test)]
    pub(crate) fn of(actors: impl IntoIterator<Item = Actor>) -> Self {
        let known: HashMap<_, _> = actors.into_iter().map(|actor| (actor.id, actor)).collect();
        let mut in_order: Vec<_> = known.keys().copied().collect();
        in_order.sort_unstable();
        let account_made = Timestamp::FIRST;
        let status = AccountStatus::Active;
        Self { known, in_order, has_more: false, balance: 0, account_made, status }
    }

    /// Reads the names of these actors too, unless they are known. Only accounts with more than a
    /// hundred actors cost a read.
    ///
    /// # Errors
    /// A database error, or the sign-in has ended.
    pub(crate) async fn learn(
        &mut self,
        app: &App,
        viewer: &mut Viewer,
        ids: Vec<ActorId>,
    ) -> Result<(), Problem> {
        if !self.has_more {
            return Ok(());
        }
        let unknown = ids.into_iter().filter(|id| !self.known.contains_key(id));
        let unknown: BTreeSet<_> = unknown.take(NAMES_MAX).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown: Vec<_> = unknown.into_iter().collect();
        let (accounts, unknown) = (&app.services.accounts, &unknown);
        let read =
            |caller: Arc<Caller>| async move { accounts.actors_of_ids(&caller, unknown).await };
        let found = viewer.bearer.read(read).await?;
        self.known.extend(found.into_iter().map(|actor| (actor.id, actor)));
        Ok(())
    }

    /// Checks that the agent that a page is asked for is one that the viewer sees, and learns its
    /// name.
    ///
    /// # Errors
    /// 404 if it is not; otherwise as [`Self::learn`].
    pub(crate) async fn choose(
        &mut self,
        app: &App,
        viewer: &mut Viewer,
        agent: Option<ActorId>,
    ) -> Result<(), Problem> {
        let Some(id) = agent else { return Ok(()) };
        if viewer.bearer.reaches(id) {
            self.learn(app, viewer, vec![id]).await?;
            if self.known.contains_key(&id) {
                return Ok(());
            }
        }
        Err(Problem::not_found("agent"))
    }

    /// Whether there is a choice among several.
    pub(crate) fn are_several(&self) -> bool {
        self.in_order.len() > 1
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

    /// The choice of an actor, the first of which is `none` with an empty value. In a very large
    /// account not all fit: the page of each agent leads to the same page with that agent chosen.
    pub(crate) fn choice(&self, name: &str, none: &str, chosen: Option<ActorId>) -> Markup {
        let other = chosen.filter(|id| !self.in_order.contains(id));
        html! {
            select name=(name) id=(name) {
                option value="" { (none) }
                @for id in self.in_order.iter().copied().chain(other) {
                    option value=(id) selected[chosen == Some(id)] { (text::shown_or_blank(&self.plain_name(id))) }
                }
                @if self.has_more { option disabled { "Others: see the page Agents" } }
            }
        }
    }

    /// What a page says beforehand that has forms, if the account is suspended.
    pub(crate) fn suspension(&self) -> Markup {
        html! {
            @if self.status == AccountStatus::Suspended {
                p.note #suspended data-live { "The account is suspended. It reads, exports and revokes keys, and writes \
                          nothing else until the operator of the service lets it." }
            }
        }
    }

    /// What a page says beforehand that has forms, if nothing can be written.
    pub(crate) fn cost_when_out(&self) -> Markup {
        html! {
            (self.suspension())
            @if self.balance <= 0 {
                p.note #out data-live { "The account has no credits left. You can still read; writing needs credits." }
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
