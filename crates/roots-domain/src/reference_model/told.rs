//! What the ledger of the reference model tells of a write, found by comparing its rows before and
//! after.

use std::collections::BTreeMap;

use super::rows::{ReferenceModel, counts};
use crate::command::{AppliedRow, ResourceAction};
use crate::model::account::LastIds;
use crate::model::counter::{WorkCounter, WorkCounts};
use crate::model::credit::Reason;
use crate::model::id::ActorId;
use crate::model::step::{StepKey, Steps, Subject, TodoStep};
use crate::model::time::QuarterHour;
use crate::model::todo::TodoStatus;

/// Steps and subjects, and the counts that follow from them.
impl ReferenceModel {
    /// The steps that todos have taken since those ids were the last ones.
    pub(super) fn steps_since(&self, last: LastIds) -> Steps {
        let made = self.todos.values().filter(|row| row.id.0 > last.todo);
        let made = made.map(|row| (row.actor, row.created_at, TodoStep::Made));
        let moved = self.logs.values().filter(|row| row.id.0 > last.log);
        let moved = moved.filter_map(|row| {
            let todo = self.todos.get(&row.todo)?;
            Some((todo.actor, row.logged_at, TodoStep::Moved(row.new_status)))
        });
        let mut steps = Steps::default();
        for (actor, at, step) in made.chain(moved) {
            let quarter_hour = QuarterHour(at.micros().div_euclid(900_000_000));
            steps.add(StepKey { actor, quarter_hour, step }, 1);
        }
        steps
    }

    /// The row that an action has written. A deleted one is among those from before.
    pub(super) fn subject(&self, action: &ResourceAction, written: &AppliedRow) -> Option<Subject> {
        let (id, actor) = match (written, action) {
            (AppliedRow::Session(row), _) => (row.id.0, Some(row.actor)),
            (AppliedRow::Todo(row) | AppliedRow::Claimed(row, _), _) => (row.id.0, Some(row.actor)),
            (AppliedRow::Todos(rows), _) => {
                let actors = counts(rows.iter().map(|row| row.actor));
                let only = actors.keys().next().filter(|_| actors.len() == 1);
                (rows.first()?.id.0, only.copied())
            }
            (AppliedRow::Activity(row), _) => (row.id.0, Some(row.actor)),
            (_, ResourceAction::DeleteSession(id)) => (id.0, self.sessions.get(id)?.actor.into()),
            (_, ResourceAction::DeleteTodo { id, .. }) => (id.0, self.todos.get(id)?.actor.into()),
            (_, ResourceAction::DeleteActivity(id)) => {
                (id.0, self.activities.get(id)?.actor.into())
            }
            _ => return None,
        };
        Some(Subject { id, actor })
    }

    /// The counts of todos and credits, from the ledger.
    #[must_use]
    pub fn work(&self) -> BTreeMap<WorkCounter, WorkCounts> {
        let mut work = BTreeMap::<WorkCounter, WorkCounts>::new();
        let mut of = |quarter_hour, actor: Option<ActorId>, raise: &dyn Fn(&mut WorkCounts)| {
            raise(work.entry(WorkCounter { quarter_hour, actor }).or_default());
        };
        for entry in self.ledger.values() {
            let now = QuarterHour(entry.created_at.micros().div_euclid(900_000_000));
            match entry.reason {
                Reason::BootstrapGrant | Reason::OperatorGrant => {
                    of(now, None, &|counts| counts.credits_granted += entry.delta);
                }
                Reason::ApiWrite | Reason::Import if entry.delta != 0 => {
                    of(now, entry.actor, &|counts| counts.credits_spent -= entry.delta);
                }
                Reason::ApiWrite | Reason::Import => {}
            }
            for (StepKey { actor, quarter_hour, step }, count) in entry.steps.iter() {
                match step {
                    TodoStep::Made => {
                        of(quarter_hour, Some(actor), &|counts| counts.todos_made += count);
                    }
                    TodoStep::Moved(TodoStatus::Done) => {
                        of(quarter_hour, Some(actor), &|counts| counts.todos_done += count);
                    }
                    TodoStep::Moved(TodoStatus::Cancelled) => {
                        of(quarter_hour, Some(actor), &|counts| counts.todos_cancelled += count);
                    }
                    TodoStep::Moved(_) => {}
                }
            }
        }
        work
    }
}
