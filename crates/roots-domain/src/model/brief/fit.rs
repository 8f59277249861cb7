//! Shortens a brief to a size.
//!
//! The size is that of the JSON, which only the edge can tell: a function measures it. What matters
//! most stays: the counts, the next action with the first rows of its list, and the session. Then
//! each list gives one row after the other, so that none pushes out another.

use super::document::{Brief, NextAction};
use super::limits::TextLimits;
use super::rows::BriefChange;
use super::text::BriefText;
use crate::model::activity::Activity;
use crate::model::session::ListedSession;
use crate::model::todo::ListedTodo;

/// More bytes of a row than where it stands alone: a comma before it, and one more before each of
/// its pointers in `cut`, whose numbers may have two more digits.
const BESIDE_BYTES: usize = 1 + 2 * (1 + 2);

/// A row of a list, or the session.
trait Row: Clone {
    /// Shortens its texts.
    fn shorten(&mut self, limits: TextLimits);
    /// The bytes of its texts.
    fn text_bytes(&self) -> usize;
}

impl Row for ListedTodo<BriefText> {
    fn shorten(&mut self, limits: TextLimits) {
        let content = &mut self.todo.content;
        content.title = content.title.shortened(limits.title);
        content.description = content.description.as_ref().map(|text| text.shortened(limits.text));
    }

    fn text_bytes(&self) -> usize {
        self.todo.texts().map(|text| text.as_str().len()).sum()
    }
}

impl Row for Activity<BriefText> {
    fn shorten(&mut self, limits: TextLimits) {
        self.description = self.description.shortened(limits.text);
    }

    fn text_bytes(&self) -> usize {
        self.description.as_str().len()
    }
}

impl Row for BriefChange<BriefText> {
    fn shorten(&mut self, limits: TextLimits) {
        self.title = self.title.shortened(limits.title);
        self.change.note = self.change.note.as_ref().map(|text| text.shortened(limits.text));
    }

    fn text_bytes(&self) -> usize {
        let note = self.change.note.as_ref().map_or(0, |note| note.as_str().len());
        self.title.as_str().len() + note
    }
}

impl Row for ListedSession<BriefText> {
    fn shorten(&mut self, limits: TextLimits) {
        self.session.notes = self.session.notes.as_ref().map(|notes| notes.shortened(limits.notes));
    }

    fn text_bytes(&self) -> usize {
        self.session.texts().map(|text| text.as_str().len()).sum()
    }
}

/// Access to a list of a brief.
type List<R> = fn(&mut Brief) -> &mut Vec<R>;

const TODOS: [List<ListedTodo<BriefText>>; 4] = [
    |brief| &mut brief.in_progress,
    |brief| &mut brief.left_behind,
    |brief| &mut brief.overdue,
    |brief| &mut brief.next,
];
const WAITING: List<Activity<BriefText>> = |brief| &mut brief.waiting;
const STATUS_CHANGES: List<BriefChange<BriefText>> = |brief| &mut brief.status_changes;
const ACTIVITIES: List<Activity<BriefText>> = |brief| &mut brief.activities;

/// The same brief in at most `max_bytes` bytes, as `bytes` measures it: with as many rows as fit,
/// and with shortened texts. The same brief is always shortened in the same way.
///
/// `max_bytes` must be at least the smallest number that callers may ask for. A brief without rows
/// always fits into that.
#[must_use]
pub fn fit(brief: Brief, max_bytes: usize, bytes: impl Fn(&Brief) -> usize) -> Brief {
    let mut brief = brief;
    for limits in TextLimits::of(max_bytes) {
        shorten(&mut brief, limits);
        // In JSON a text never has fewer bytes.
        if text_bytes(&mut brief) <= max_bytes && bytes(&brief) <= max_bytes {
            return brief;
        }
    }
    choose(brief, max_bytes, bytes)
}

/// Shortens all texts. Longer limits come first, so that no text is shortened more than it has to
/// be.
fn shorten(brief: &mut Brief, limits: TextLimits) {
    fn all<R: Row>(rows: &mut [R], limits: TextLimits) {
        for row in rows {
            row.shorten(limits);
        }
    }
    if let Some(session) = &mut brief.session {
        session.shorten(limits);
    }
    for list in TODOS {
        all(list(brief), limits);
    }
    all(WAITING(brief), limits);
    all(STATUS_CHANGES(brief), limits);
    all(ACTIVITIES(brief), limits);
    shorten_action(brief, limits.title);
}

fn shorten_action(brief: &mut Brief, most_bytes: usize) {
    if let Some(todo) = brief.next_action.todo_mut() {
        todo.title = todo.title.shortened(most_bytes);
    }
}

fn text_bytes(brief: &mut Brief) -> usize {
    fn of<R: Row>(rows: &[R]) -> usize {
        rows.iter().map(Row::text_bytes).sum()
    }
    let session = brief.session.as_ref().map_or(0, Row::text_bytes);
    let todos: usize = TODOS.into_iter().map(|list| of(list(brief))).sum();
    session + todos + of(WAITING(brief)) + of(STATUS_CHANGES(brief)) + of(ACTIVITIES(brief))
}

/// The brief with as many of its rows as fit.
fn choose(mut all: Brief, max_bytes: usize, bytes: impl Fn(&Brief) -> usize) -> Brief {
    let session = all.session.take();
    let [in_progress, left_behind, overdue, next] =
        TODOS.map(|list| std::mem::take(list(&mut all)));
    let waiting = std::mem::take(WAITING(&mut all));
    let status_changes = std::mem::take(STATUS_CHANGES(&mut all));
    let activities = std::mem::take(ACTIVITIES(&mut all));
    let mut title_bytes = TextLimits::TITLE_BYTES;
    while bytes(&all) > max_bytes && title_bytes > 0 {
        title_bytes /= 2;
        shorten_action(&mut all, title_bytes);
    }
    let first = match &all.next_action {
        NextAction::Resume(_) => Some(0),
        NextAction::TakeOver(_) => Some(1),
        NextAction::Claim(todo) => {
            let is_first = |row: &ListedTodo<_>| row.todo.id == todo.id;
            Some(if overdue.first().is_some_and(is_first) { 2 } else { 3 })
        }
        NextAction::None => None,
    };
    let alone = bytes(&all);
    let mut filling =
        Filling { shown: all.clone(), probe: all, alone, size: alone, max_bytes, bytes };
    let todos = [in_progress, left_behind, overdue, next].map(Vec::into_iter);
    let mut todos: Vec<_> = TODOS.into_iter().zip(todos).map(Rest::new).collect();
    let mut waiting = Rest::new((WAITING, waiting.into_iter()));
    let mut status_changes = Rest::new((STATUS_CHANGES, status_changes.into_iter()));
    let mut activities = Rest::new((ACTIVITIES, activities.into_iter()));
    if let Some(list) = first.and_then(|first| todos.get_mut(first)) {
        list.give(&mut filling);
    }
    if let Some(session) = session {
        filling.show_session(session);
    }
    let mut goes_on = true;
    while goes_on {
        goes_on = false;
        for list in &mut todos {
            goes_on |= list.give(&mut filling);
        }
        goes_on |= waiting.give(&mut filling);
        goes_on |= status_changes.give(&mut filling);
        goes_on |= activities.give(&mut filling);
    }
    filling.shown
}

/// The rows of a list that are not shown yet.
struct Rest<R> {
    list: List<R>,
    rows: std::vec::IntoIter<R>,
    is_closed: bool,
}

impl<R: Row> Rest<R> {
    fn new((list, rows): (List<R>, std::vec::IntoIter<R>)) -> Self {
        Self { list, rows, is_closed: false }
    }

    /// Shows the next row. A list ends with the first row that does not fit: it has no gaps.
    fn give(&mut self, filling: &mut Filling<impl Fn(&Brief) -> usize>) -> bool {
        if self.is_closed {
            return false;
        }
        let shown = self.rows.next().is_some_and(|row| filling.show(self.list, row));
        self.is_closed = !shown;
        shown
    }
}

/// A brief that is being filled.
struct Filling<F> {
    shown: Brief,
    /// The same brief without rows, to measure one.
    probe: Brief,
    /// The bytes of the brief without rows.
    alone: usize,
    /// At least the bytes of what is shown.
    size: usize,
    max_bytes: usize,
    bytes: F,
}

impl<F: Fn(&Brief) -> usize> Filling<F> {
    /// Shows a row, if need be with less text. Returns whether it fits.
    fn show<R: Row>(&mut self, list: List<R>, row: R) -> bool {
        let mut short = row.clone();
        short.shorten(TextLimits::SHORT);
        for row in [row, short] {
            list(&mut self.probe).push(row);
            let size = (self.bytes)(&self.probe).saturating_sub(self.alone) + BESIDE_BYTES;
            let Some(row) = list(&mut self.probe).pop() else { break };
            if self.size + size <= self.max_bytes {
                list(&mut self.shown).push(row);
                self.size += size;
                return true;
            }
        }
        false
    }

    fn show_session(&mut self, session: ListedSession<BriefText>) {
        let mut short = session.clone();
        short.shorten(TextLimits::SHORT);
        for session in [session, short] {
            self.probe.session = Some(session);
            let size = (self.bytes)(&self.probe).saturating_sub(self.alone) + BESIDE_BYTES;
            let session = self.probe.session.take();
            if self.size + size <= self.max_bytes {
                self.shown.session = session;
                self.size += size;
                return;
            }
        }
    }
}
