//! What the page shows.

use roots_domain::model::chart::{Curve, Timeline, Year};
use roots_domain::model::dashboard::{DashboardRows, DashboardRules, ShownText};
use roots_domain::model::id::ActorId;

use crate::agents::Agents;
use crate::look::Look;

/// What the page shows.
pub(super) struct Shown<'a> {
    pub(super) look: &'a Look,
    pub(super) rules: DashboardRules,
    pub(super) rows: &'a DashboardRows<ShownText>,
    pub(super) agents: &'a Agents,
    pub(super) today: &'a Timeline,
    pub(super) year: &'a Year,
    pub(super) balance: &'a Curve,
    /// The agent that was picked.
    pub(super) agent: Option<ActorId>,
}

impl Shown<'_> {
    /// The name of an agent.
    pub(super) fn name(&self, actor: ActorId) -> String {
        self.agents.plain_name(actor)
    }
}
