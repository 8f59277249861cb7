//! The filters of the board. They stand in the URL.

use maud::{Markup, html};
use roots_domain::model::Invalid;
use roots_domain::model::id::ActorId;
use roots_domain::model::page::PageRequest;
use roots_domain::model::todo::{Priority, TodoStatus};
use roots_domain::model::todo_list::{FinishedStatus, TodoRows};
use roots_domain::service::todos::TodoFilter;
use roots_http_core::request::fields::{InvalidNoted, one_of};
use roots_http_core::request::query::{FromParams, Params};

use super::labels;
use crate::agents::Agents;
use crate::query::{agent, link, optional, scope};

/// The query of the board.
#[derive(Debug, Clone, Default)]
pub(crate) struct BoardQuery {
    pub(super) agent: Option<ActorId>,
    pub(super) priority: Option<Priority>,
    pub(super) is_overdue: bool,
    /// One column alone, with all of its pages.
    pub(super) status: Option<TodoStatus>,
    pub(super) offset: i64,
}

impl FromParams for BoardQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let agent = agent(params);
        let priority = optional(params, "priority", Priority::from_digit);
        let overdue = optional(params, "overdue", |text| match text {
            "true" => Ok(()),
            _ => Err(Invalid::new("must be true or absent")),
        });
        let named = |text: &str| one_of(&TodoStatus::ALL, TodoStatus::name, text);
        let status = optional(params, "status", named);
        let offset = optional(params, "offset", PageRequest::parse_offset);
        Ok(Self {
            agent: agent?,
            priority: priority?,
            is_overdue: overdue?.is_some(),
            status: status?,
            offset: offset?.unwrap_or_default(),
        })
    }
}

impl BoardQuery {
    /// The link to the page with this query.
    pub(super) fn path(&self) -> String {
        let is_paged = self.offset > 0;
        link(
            "/todos",
            &[
                ("agent", self.agent.map(|id| id.to_string())),
                ("priority", self.priority.map(|priority| priority.level().to_string())),
                ("overdue", self.is_overdue.then(|| "true".to_owned())),
                ("status", self.status.map(|status| status.name().to_owned())),
                ("offset", is_paged.then(|| self.offset.to_string())),
            ],
        )
    }

    /// The rows of one column: done and cancelled ones latest first.
    pub(super) fn column(&self, status: TodoStatus, is_owner: bool) -> TodoFilter {
        let priority = self.priority;
        let rows = match FinishedStatus::of(status) {
            Some(status) => TodoRows::Finished { status, priority },
            None => TodoRows::ByPriority { status: Some(status), priority, session: None },
        };
        TodoFilter { scope: scope(self.agent, is_owner), rows }
    }

    /// The overdue rows of all columns.
    pub(super) fn overdue(&self, is_owner: bool) -> TodoFilter {
        TodoFilter { scope: scope(self.agent, is_owner), rows: TodoRows::Overdue }
    }

    /// The controls.
    pub(super) fn controls(&self, agents: &Agents, is_owner: bool) -> Markup {
        html! {
            form.filters method="get" action="/todos" data-filter="" {
                @if is_owner {
                    label.vh for="agent" { "Agent" }
                    (agents.choice("agent", "All agents", self.agent))
                }
                label.vh for="priority" { "Priority" }
                select name="priority" id="priority" {
                    option value="" { "Any priority" }
                    @for priority in Priority::ALL.into_iter().rev() {
                        option value=(priority.level()) selected[self.priority == Some(priority)] {
                            "Priority " (labels::priority_name(priority))
                        }
                    }
                }
                label.check { input type="checkbox" name="overdue" value="true"
                    checked[self.is_overdue]; "Overdue" }
                @if let Some(status) = self.status {
                    input type="hidden" name="status" value=(status.name());
                }
                button { "Filter" }
            }
        }
    }
}
