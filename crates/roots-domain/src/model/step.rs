//! What a ledger entry tells of its write: the row that was written, and the steps of todos.
//!
//! Counts of todos are raised by exactly these steps. So they can be recounted from the ledger
//! alone, and deleting a todo takes nothing back.

use std::collections::BTreeMap;

use super::id::ActorId;
use super::time::QuarterHour;
use super::todo::{StatusChange, Todo, TodoStatus};

/// The row that a paid write wrote. Its kind follows from the route that the ledger names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Its id. If one write creates several rows, it is the first of their ids, which have no gaps.
    pub id: i64,
    /// The actor that the row belongs to; `None` if one write creates rows of several actors.
    pub actor: Option<ActorId>,
}

/// A step in the life of a todo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TodoStep {
    /// It was made.
    Made,
    /// Its status changed to this one.
    Moved(TodoStatus),
}

impl TodoStep {
    /// Every step.
    pub const ALL: [Self; 5] = [
        Self::Made,
        Self::Moved(TodoStatus::Open),
        Self::Moved(TodoStatus::InProgress),
        Self::Moved(TodoStatus::Done),
        Self::Moved(TodoStatus::Cancelled),
    ];

    /// Its name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Moved(status) => status.name(),
        }
    }

    /// The step of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// The actor whose todo took a step, and the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey {
    /// The actor that the todo belongs to.
    pub actor: ActorId,
    /// The quarter hour. It is in the past if the step was imported.
    pub quarter_hour: QuarterHour,
    /// The step.
    pub step: TodoStep,
}

/// The steps that todos took by one write, counted by actor and quarter hour.
///
/// In the store this is a text. One step of the entry's subject in the quarter hour of the entry is
/// its name alone: `done`. Any others are a list of `actor/quarter hour/step/count`:
/// `2/1961234/made/3,2/1961235/done/1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps(BTreeMap<StepKey, i64>);

impl Steps {
    /// The step of a new todo.
    pub fn of_new<T>(todo: &Todo<T>) -> Self {
        let quarter_hour = todo.created_at.quarter_hour();
        let key = StepKey { actor: todo.actor, quarter_hour, step: TodoStep::Made };
        Self([(key, 1)].into())
    }

    /// The steps of a todo of that actor.
    pub fn of_changes<'a, T: 'a>(
        actor: ActorId,
        changes: impl IntoIterator<Item = &'a StatusChange<T>>,
    ) -> Self {
        let mut steps = Self::default();
        for change in changes {
            let quarter_hour = change.logged_at.quarter_hour();
            let step = TodoStep::Moved(change.new_status);
            steps.add(StepKey { actor, quarter_hour, step }, 1);
        }
        steps
    }

    /// Adds a number of steps.
    pub fn add(&mut self, key: StepKey, count: i64) {
        *self.0.entry(key).or_insert(0) += count;
    }

    /// Adds all steps of another write.
    pub fn extend(&mut self, others: &Self) {
        others.iter().for_each(|(key, count)| self.add(key, count));
    }

    /// The steps, by actor, then by quarter hour.
    pub fn iter(&self) -> impl Iterator<Item = (StepKey, i64)> + '_ {
        self.0.iter().map(|(key, count)| (*key, *count))
    }

    /// The text in the store; `None` if there are no steps. `subject` is the actor of the entry's
    /// subject and `now` the quarter hour of the entry.
    #[must_use]
    pub fn text(&self, subject: Option<ActorId>, now: QuarterHour) -> Option<String> {
        let mut all = self.iter();
        if let (Some((key, 1)), None) = (all.next(), all.next())
            && Some(key.actor) == subject
            && key.quarter_hour == now
        {
            return Some(key.step.name().to_owned());
        }
        let texts = self.iter().map(|(StepKey { actor, quarter_hour, step }, count)| {
            format!("{actor}/{}/{}/{count}", quarter_hour.0, step.name())
        });
        Some(texts.collect::<Vec<_>>().join(",")).filter(|text| !text.is_empty())
    }

    /// The steps of a text in the store; `None` if it is malformed.
    #[must_use]
    pub fn from_text(
        text: Option<&str>,
        subject: Option<ActorId>,
        now: QuarterHour,
    ) -> Option<Self> {
        let mut steps = Self::default();
        let Some(text) = text else { return Some(steps) };
        if !text.contains('/') {
            let step = TodoStep::from_name(text)?;
            steps.add(StepKey { actor: subject?, quarter_hour: now, step }, 1);
            return Some(steps);
        }
        for text in text.split(',') {
            let mut parts = text.split('/');
            let mut next = || parts.next();
            let (actor, quarter_hour) = (next()?.parse().ok()?, next()?.parse().ok()?);
            let (step, count) = (TodoStep::from_name(next()?)?, next()?.parse().ok()?);
            if next().is_some() {
                return None;
            }
            let (actor, quarter_hour) = (ActorId(actor), QuarterHour(quarter_hour));
            steps.add(StepKey { actor, quarter_hour, step }, count);
        }
        Some(steps)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: QuarterHour = QuarterHour(1_961_234);

    fn steps(all: &[(i64, i64, TodoStep, i64)]) -> Steps {
        let mut steps = Steps::default();
        for (actor, quarter_hour, step, count) in all {
            let (actor, quarter_hour) = (ActorId(*actor), QuarterHour(*quarter_hour));
            steps.add(StepKey { actor, quarter_hour, step: *step }, *count);
        }
        steps
    }

    #[test]
    fn one_step_of_the_subject_is_a_word_and_others_are_a_list() {
        let done = TodoStep::Moved(TodoStatus::Done);
        for (all, text) in [
            (steps(&[]), None),
            (steps(&[(2, NOW.0, done, 1)]), Some("done")),
            (steps(&[(2, NOW.0, done, 2)]), Some("2/1961234/done/2")),
            (steps(&[(3, NOW.0, done, 1)]), Some("3/1961234/done/1")),
            (steps(&[(2, 5, TodoStep::Made, 1)]), Some("2/5/made/1")),
            (
                steps(&[(2, NOW.0, TodoStep::Made, 1), (2, NOW.0, done, 1)]),
                Some("2/1961234/made/1,2/1961234/done/1"),
            ),
        ] {
            assert_eq!(all.text(Some(ActorId(2)), NOW).as_deref(), text);
            assert_eq!(Steps::from_text(text, Some(ActorId(2)), NOW), Some(all));
        }
    }

    #[test]
    fn a_malformed_text_has_no_steps() {
        for text in
            ["", "gone", "2/5/made", "2/5/made/x", "2/5/gone/1", "2/5/made/1/1", "2/5/made/1,"]
        {
            assert_eq!(Steps::from_text(Some(text), Some(ActorId(2)), NOW), None, "{text}");
        }
        // A word needs the actor of a subject.
        assert_eq!(Steps::from_text(Some("made"), None, NOW), None);
    }

    proptest! {
        #[test]
        fn any_steps_are_read_back_from_their_text(
            all in proptest::collection::vec((1..4_i64, 0..3_i64, 0..5_usize, 1..3_i64), 0..6),
            subject in proptest::option::of(1..4_i64),
            now in 0..3_i64,
        ) {
            let all: Vec<_> = all
                .into_iter()
                .map(|(actor, at, step, count)| (actor, at, TodoStep::ALL[step], count))
                .collect();
            let (all, subject) = (steps(&all), subject.map(ActorId));
            let text = all.text(subject, QuarterHour(now));
            let read = Steps::from_text(text.as_deref(), subject, QuarterHour(now));
            prop_assert_eq!(read, Some(all));
        }
    }
}
