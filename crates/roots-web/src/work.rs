//! Agents at work, one row each.

use maud::{Markup, html};
use roots_domain::model::dashboard::{
    AgentAtWork, AgentState, DashboardRows, DashboardTodo, ShownText,
};

use crate::agents::Agents;
use crate::entries;
use crate::look::Look;
use crate::time;

/// Most characters of a title.
const TITLE_CHARS: usize = 120;

/// The row of an agent: what it does, on what, since when, and its last sign of life.
pub(crate) fn row(
    look: &Look,
    agents: &Agents,
    rows: &DashboardRows<ShownText>,
    agent: &AgentAtWork,
) -> Markup {
    let class = match agent.state {
        AgentState::Waiting => "tag bad",
        AgentState::Working => "tag ok",
        AgentState::Quiet => "tag warn",
        AgentState::Idle => "tag",
    };
    html! {
        li.work {
            a.who href={ "/agents/" (agent.actor) } { (agents.name(agent.actor)) }
            span class=(class) { (agent.state.name()) }
            span.what {
                @for id in &agent.todos {
                    @if let Some(todo) = rows.todo(*id) { (todo_line(rows, todo)) }
                }
                @if agent.todos.is_empty() {
                    @if !rows.has_all_in_progress() { span.muted { "perhaps a newer todo" } }
                    @else if agent.session.is_some() { span.muted { "no todo" } }
                    @else { span.muted { "nothing in progress" } }
                }
            }
            span.t.se {
                @match agent.session {
                    Some(id) => a href={ "/sessions/" (id) } { "Session " (id) },
                    None => "–",
                }
            }
            span.t.du {
                @if let Some(since) = agent.since {
                    (time::span(time::seconds_between(since, look.now)))
                }
            }
            span.t.ls {
                @match agent.last_sign_at {
                    Some(at) => (time::when(look, at)),
                    None => "never",
                }
            }
        }
    }
}

fn todo_line(rows: &DashboardRows<ShownText>, todo: &DashboardTodo<ShownText>) -> Markup {
    html! {
        span.line {
            a href={ "/todos/" (todo.id) } {
                (entries::title(&todo.title, todo.id.0, TITLE_CHARS))
            }
            @if todo.is_lapsed(rows.at) { " " span.tag.warn { "claim lapsed" } }
        }
    }
}
