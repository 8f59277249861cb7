//! The fields of a todo in a form.

use maud::{Markup, html};
use roots_domain::model::Invalid;
use roots_domain::model::id::ActorId;
use roots_domain::model::text::{LongText, Title};
use roots_domain::model::time::Timestamp;
use roots_domain::model::todo::{Priority, Todo};
use roots_domain::model::zone::{WallClock, Zone};
use roots_http_core::problem::Problem;

use super::labels;
use crate::agents::Agents;
use crate::form::{self, Faults, Typed, field};
use crate::look::Look;
use crate::query::optional;

/// The names of the fields, as faults name them.
pub(super) const NAMES: [&str; 5] = ["title", "description", "actor_id", "priority", "due_at"];

/// What stands in the fields.
#[derive(Debug, Clone, Default)]
pub(super) struct Filled {
    title: String,
    description: String,
    actor: String,
    priority: String,
    due: String,
    /// The name of the zone that the due date is in.
    zone: String,
}

/// What was read from the fields.
pub(super) struct ReadTodo {
    pub(super) title: Title,
    pub(super) description: Option<LongText>,
    pub(super) actor: Option<ActorId>,
    pub(super) priority: Priority,
    pub(super) due_at: Option<Timestamp>,
}

impl Filled {
    /// The fields of a new todo, for an agent if one was chosen.
    pub(super) fn empty(look: &Look, agent: Option<ActorId>) -> Self {
        Self {
            actor: agent.map(|id| id.to_string()).unwrap_or_default(),
            priority: "0".to_owned(),
            zone: look.zone().name().to_owned(),
            ..Self::default()
        }
    }

    /// The agent that is chosen.
    pub(super) fn agent(&self) -> Option<ActorId> {
        ActorId::parse(&self.actor)
    }

    /// The fields of a todo as it is.
    pub(super) fn of(todo: &Todo, zone: &Zone) -> Self {
        let content = &todo.content;
        Self {
            title: content.title.clone(),
            // A browser sends line breaks as CR LF; they are compared as LF.
            description: content.description.as_deref().unwrap_or_default().replace("\r\n", "\n"),
            actor: todo.actor.to_string(),
            priority: content.priority.level().to_string(),
            due: content.due_at.map(|at| local(at, zone)).unwrap_or_default(),
            zone: zone.name().to_owned(),
        }
    }

    /// What was typed.
    pub(super) fn typed(typed: &Typed) -> Self {
        let get = |name| typed.get(name).unwrap_or_default().to_owned();
        Self {
            title: get("title"),
            description: get("description"),
            actor: get("actor_id"),
            priority: get("priority"),
            due: get("due_at"),
            zone: get("zone"),
        }
    }

    /// The zone that its due date is in.
    pub(super) fn zone(&self) -> Zone {
        Zone::parse(&self.zone).unwrap_or(Zone::UTC)
    }

    /// The fields that differ, each with its label and both values.
    pub(super) fn differences<'a>(
        &'a self,
        mine: &'a Self,
    ) -> Vec<(&'static str, &'a str, &'a str)> {
        [
            ("Title", &self.title, &mine.title),
            ("Description", &self.description, &mine.description),
            ("Priority", &self.priority, &mine.priority),
            ("Due", &self.due, &mine.due),
        ]
        .into_iter()
        .filter(|(_, theirs, mine)| theirs != mine)
        .map(|(label, theirs, mine)| (label, theirs.as_str(), mine.as_str()))
        .collect()
    }

    /// Whether a field is the same in both.
    pub(super) fn has_same(&self, other: &Self, name: &str) -> bool {
        match name {
            "title" => self.title == other.title,
            "description" => self.description == other.description,
            "priority" => self.priority == other.priority,
            _ => self.due == other.due,
        }
    }

    /// All of it as hidden fields, to be sent again.
    pub(super) fn hidden(&self) -> Markup {
        let fields = [
            ("title", &self.title),
            ("description", &self.description),
            ("priority", &self.priority),
            ("due_at", &self.due),
            ("zone", &self.zone),
        ];
        html! { @for (name, value) in fields { input type="hidden" name=(name) value=(value); } }
    }

    /// The controls, with their faults. `agents` are offered for a new todo.
    pub(super) fn controls(&self, faults: &Faults, agents: Option<&Agents>) -> Markup {
        let title = html! {
            input #title name="title" value=(self.title) required maxlength="500" dir="auto"
                autocomplete="off" autofocus aria-describedby=[faults.described("title")];
        };
        let description = html! {
            textarea #description name="description" rows="6" dir="auto"
                // The first line break after the tag is not part of the text.
                aria-describedby=[faults.described("description")] { "\n" (self.description) }
        };
        let priority = html! {
            select #priority name="priority" {
                @for priority in Priority::ALL.into_iter().rev() {
                    option value=(priority.level())
                        selected[self.priority == priority.level().to_string()] {
                        (labels::priority_name(priority))
                    }
                }
            }
        };
        let due = html! {
            input #due_at type="datetime-local" name="due_at" value=(self.due)
                aria-describedby=[faults.described("due_at")];
            p.muted { "In " (self.zone) "." }
        };
        html! {
            input type="hidden" name="zone" value=(self.zone);
            (field(faults, "title", "Title", &title))
            (field(faults, "description", "Description, in Markdown", &description))
            @if let Some(agents) = agents {
                (field(faults, "actor_id", "For",
                    &agents.choice("actor_id", "Me", self.agent())))
            }
            div.row {
                (field(faults, "priority", "Priority", &priority))
                (field(faults, "due_at", "Due", &due))
            }
        }
    }
}

/// Reads the fields.
///
/// # Errors
/// 422 that lists every fault.
pub(super) fn read(typed: &Typed) -> Result<ReadTodo, Problem> {
    let zone = Filled::typed(typed).zone();
    form::read(typed, |params| {
        let title = params.take("title", |text: String| Title::parse(text.trim()));
        let description = optional(params, "description", |text| LongText::parse(text));
        let actor = optional(params, "actor_id", |text| {
            ActorId::parse(text).ok_or_else(|| Invalid::new("must be one of the agents"))
        });
        let priority = optional(params, "priority", Priority::from_digit);
        let due = optional(params, "due_at", WallClock::parse);
        let zone_name = params.take("zone", |_| Ok(()));
        let Some(title) = title? else {
            return Err(params.error("title", "is required"));
        };
        zone_name?;
        Ok(ReadTodo {
            title,
            description: description?,
            actor: actor?,
            priority: priority?.unwrap_or_default(),
            due_at: due?.map(|clock| zone.instant_of(clock)),
        })
    })
}

/// A time as a control takes it: `2026-04-09T14:02`.
fn local(at: Timestamp, zone: &Zone) -> String {
    let clock = zone.wall_clock(at);
    format!("{}T{clock}", clock.day)
}
