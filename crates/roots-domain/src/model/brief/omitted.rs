//! What a brief leaves out, and where it is.

use crate::model::id::{ActorId, SessionId};
use crate::model::time::Timestamp;
use crate::model::todo::TodoStatus;

/// A list of a brief, or its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BriefList {
    /// The session.
    Session(SessionId),
    /// Todos in progress.
    InProgress,
    /// Todos whose claim has lapsed.
    LeftBehind,
    /// Open todos past their due date.
    Overdue,
    /// Other open todos.
    Next,
    /// Sessions that wait, with an activity of this type.
    Waiting(&'static str),
    /// Activities.
    Activities,
    /// Status changes.
    StatusChanges,
}

impl BriefList {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::InProgress => "in_progress",
            Self::LeftBehind => "left_behind",
            Self::Overdue => "overdue",
            Self::Next => "next",
            Self::Waiting(_) => "waiting",
            Self::Activities => "activities",
            Self::StatusChanges => "status_changes",
        }
    }

    /// The names of all lists.
    pub const NAMES: [&str; 8] = [
        "session",
        "in_progress",
        "left_behind",
        "overdue",
        "next",
        "waiting",
        "activities",
        "status_changes",
    ];
}

/// Rows that a brief leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Omitted {
    /// The list.
    pub list: BriefList,
    /// How many of its rows are left out.
    pub count: i64,
}

/// The actors that a brief is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BriefActors {
    /// The caller.
    pub caller: ActorId,
    /// The actor; `None` for all actors of the account.
    pub chosen: Option<ActorId>,
}

/// What shows rows that a brief leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A session.
    Session(SessionId),
    /// The list of todos.
    Todos,
    /// The list of activities.
    Activities,
    /// The export.
    Export,
}

impl Omitted {
    /// What shows these rows, and the filters that it needs, by their names on the wire. `since` is
    /// the start of what the brief reports.
    #[must_use]
    pub fn shown_by(
        &self,
        actors: BriefActors,
        since: Option<Timestamp>,
    ) -> (Resource, Vec<(&'static str, String)>) {
        let status = |status: TodoStatus| Some(("status", status.name().to_owned()));
        let (resource, filter) = match self.list {
            BriefList::Session(id) => return (Resource::Session(id), Vec::new()),
            BriefList::InProgress | BriefList::LeftBehind => {
                (Resource::Todos, status(TodoStatus::InProgress))
            }
            BriefList::Overdue | BriefList::Next => (Resource::Todos, status(TodoStatus::Open)),
            BriefList::Waiting(name) => (Resource::Activities, Some(("type", name.to_owned()))),
            BriefList::Activities => {
                (Resource::Activities, since.map(|since| ("since", since.to_string())))
            }
            // No list has the status changes of several todos.
            BriefList::StatusChanges => (Resource::Export, None),
        };
        (resource, filter.into_iter().chain(actors.filter(resource)).collect())
    }
}

impl BriefActors {
    /// The filter by the actors. Without one, a list has the caller's rows, and an export has those
    /// of all actors.
    fn filter(self, resource: Resource) -> Option<(&'static str, String)> {
        let is_export = resource == Resource::Export;
        let value = match self.chosen {
            Some(actor) if is_export || actor != self.caller => actor.to_string(),
            None if !is_export => "all".to_owned(),
            Some(_) | None => return None,
        };
        Some(("actor_id", value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_is_shown_by_a_resource_with_the_actors_of_the_brief() {
        let since = Timestamp::FIRST;
        let request = |list, chosen: Option<i64>| {
            let actors = BriefActors { caller: ActorId(1), chosen: chosen.map(ActorId) };
            let (resource, filters) = Omitted { list, count: 1 }.shown_by(actors, Some(since));
            let filters = filters.iter().map(|(name, value)| format!("{name}={value}"));
            (resource, filters.collect::<Vec<_>>().join("&"))
        };
        let of_session = request(BriefList::Session(SessionId(7)), None);
        assert_eq!(of_session, (Resource::Session(SessionId(7)), String::new()));
        for (chosen, filter) in [(Some(1), ""), (Some(2), "&actor_id=2"), (None, "&actor_id=all")] {
            for (list, resource, first) in [
                (BriefList::InProgress, Resource::Todos, "status=in_progress".to_owned()),
                (BriefList::LeftBehind, Resource::Todos, "status=in_progress".to_owned()),
                (BriefList::Overdue, Resource::Todos, "status=open".to_owned()),
                (BriefList::Next, Resource::Todos, "status=open".to_owned()),
                (BriefList::Waiting("blocked"), Resource::Activities, "type=blocked".to_owned()),
                (BriefList::Activities, Resource::Activities, format!("since={since}")),
            ] {
                assert_eq!(request(list, chosen), (resource, first + filter));
            }
        }
        let exported = |chosen| request(BriefList::StatusChanges, chosen).1;
        assert_eq!([Some(1), Some(2), None].map(exported), ["actor_id=1", "actor_id=2", ""]);
    }
}
