//! A card of the board.

use maud::{Markup, html};
use roots_domain::model::etag::EntityTag;
use roots_domain::model::id::{ActorId, TodoId};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{ListedTodo, Priority, TodoStatus};

use super::labels;
use crate::agents::Agents;
use crate::app::App;
use crate::form::{self, Faults, field};
use crate::look::Look;
use crate::rows::Opened;
use crate::text;
use crate::time;
use crate::viewer::Viewer;

/// What a card shows of a todo.
pub(super) struct Card {
    id: TodoId,
    tag: EntityTag,
    title: String,
    pub(super) actor: ActorId,
    pub(super) status: TodoStatus,
    pub(super) priority: Priority,
    pub(super) due_at: Option<Timestamp>,
    since: Timestamp,
}

impl Card {
    /// Keeps of a todo what a card shows.
    pub(super) fn of(Opened { row: ListedTodo { todo, .. }, .. }: Opened<ListedTodo>) -> Self {
        Self {
            id: todo.id,
            tag: todo.tag(),
            title: todo.content.title,
            actor: todo.actor,
            status: todo.status,
            priority: todo.content.priority,
            due_at: todo.content.due_at,
            since: todo.status_since,
        }
    }

    /// The card. Its menu moves it without script, and leads back to `back`.
    pub(super) fn show(&self, app: &App, viewer: &Viewer, agents: &Agents, back: &str) -> Markup {
        let look = &viewer.look;
        let next: Vec<_> = self.status.next().iter().map(|status| status.name()).collect();
        html! {
            article.todo id={ "todo-" (self.id) } tabindex="-1" data-row=""
                data-status=(self.status.name()) data-next=(next.join(" ")) {
                a href={ "/todos/" (self.id) } { (text::line(&self.title)) }
                div.meta {
                    (labels::priority(self.priority))
                    @if let Some(due_at) = self.due_at {
                        (labels::due(look, due_at, self.status))
                    }
                    (self.age(look))
                    span.tag { (agents.name(self.actor)) }
                    details.menu {
                        summary { span.vh { "Move todo " (self.id) } span aria-hidden="true" { "⋯" } }
                        (step_form((app, viewer), (self.id, self.tag, self.status), back, agents, None))
                    }
                }
            }
        }
    }

    /// How long it is in progress, or when it was done.
    fn age(&self, look: &Look) -> Markup {
        html! {
            @match self.status {
                TodoStatus::Open => {}
                TodoStatus::InProgress => {
                    span.tag.ok { (time::span(time::seconds_between(self.since, look.now))) }
                }
                TodoStatus::Done | TodoStatus::Cancelled => {
                    span.tag { (time::when(look, self.since)) }
                }
            }
        }
    }
}

/// The form that moves a todo along its allowed steps, with an optional note. It is shown again
/// with the note that was typed and its faults.
pub(super) fn step_form(
    (app, viewer): (&App, &Viewer),
    (id, tag, status): (TodoId, EntityTag, TodoStatus),
    back: &str,
    agents: &Agents,
    typed: Option<(&str, &Faults)>,
) -> Markup {
    html! {
        form.step method="post" action={ "/todos/" (id) "/status" } {
            (form::hidden(app, viewer, Some(tag)))
            input type="hidden" name="back" value=(back);
            @if let Some((note, faults)) = typed {
                (field(faults, "note", "Note, if any", &html! {
                    textarea #note name="note" rows="6" dir="auto"
                        aria-describedby=[faults.described("note")] { "\n" (note) }
                }))
            } @else {
                label for={ "note-" (id) } { "Note, if any" }
                input id={ "note-" (id) } name="note" autocomplete="off" dir="auto";
            }
            div.buttons {
                @for next in status.next() {
                    button name="status" value=(next.name()) { (labels::step_to(*next)) }
                }
            }
            (agents.cost())
        }
    }
}
