//! What a search found, and where it stands in the results.

use std::cmp::Ordering;

use super::excerpt::excerpt;
use super::terms::{Scratch, SearchTerms, TermSet};
use crate::model::Invalid;
use crate::model::id::ActorId;
use crate::model::page::SortKey;
use crate::model::sealed::Field;
use crate::model::time::Timestamp;
use crate::model::todo::TodoStatus;

/// The kinds of items that are found. A log note belongs to its todo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SearchKind {
    /// A session, by its notes.
    Session,
    /// A todo, by its title, its description and the notes of its log.
    Todo,
    /// An activity, by its description.
    Activity,
}

impl SearchKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Session, Self::Todo, Self::Activity];

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Todo => "todo",
            Self::Activity => "activity",
        }
    }

    /// The position of an item of this kind among all results, which descend: by time, then by
    /// kind, then by id.
    #[must_use]
    pub const fn position(self, at: Timestamp, id: i64) -> SortKey {
        SortKey([at.micros(), self as i64, id])
    }

    /// Where the items of this kind go on after such a position, which may be one of another kind:
    /// the time and the id that they come before.
    #[must_use]
    pub fn after(self, SortKey([at, kind, id]): SortKey) -> SortKey {
        let id = match (self as i64).cmp(&kind) {
            Ordering::Less => i64::MAX,
            Ordering::Equal => id,
            Ordering::Greater => 0,
        };
        SortKey([0, at, id])
    }
}

/// The kinds that a search goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchedKinds {
    kind: Option<SearchKind>,
    status: Option<TodoStatus>,
}

impl SearchedKinds {
    /// Only that kind, and only todos of that status. A status alone means todos.
    ///
    /// # Errors
    /// Another kind than todos has no such status.
    pub fn new(kind: Option<SearchKind>, status: Option<TodoStatus>) -> Result<Self, Invalid> {
        match (kind, status) {
            (Some(SearchKind::Session | SearchKind::Activity), Some(_)) => {
                Err(Invalid::new("must be left out with a kind other than todo"))
            }
            (kind, None) => Ok(Self { kind, status: None }),
            (_, Some(_)) => Ok(Self { kind: Some(SearchKind::Todo), status }),
        }
    }

    /// Whether it includes items of that kind.
    #[must_use]
    pub fn includes(self, kind: SearchKind) -> bool {
        self.kind.is_none_or(|only| only == kind)
    }

    /// The only status of todos.
    #[must_use]
    pub const fn status(self) -> Option<TodoStatus> {
        self.status
    }
}

/// A found item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// Its kind.
    pub kind: SearchKind,
    /// Its id.
    pub id: i64,
    /// The actor that it belongs to.
    pub actor: ActorId,
    /// When a session started, a todo was made, or an activity happened.
    pub at: Timestamp,
    /// The text with the most terms; of several, the first.
    pub field: Field,
    /// The part of that text around the first match.
    pub excerpt: String,
    /// The title of a todo, if it could be read.
    pub title: Option<String>,
}

impl SearchHit {
    /// Its position among the results.
    #[must_use]
    pub const fn position(&self) -> SortKey {
        self.kind.position(self.at, self.id)
    }
}

/// What the texts of one item have of a search, as far as they were read. All terms must be found,
/// each in any of the texts.
#[derive(Debug, Default)]
pub(crate) struct ItemMatch {
    found: TermSet,
    best: Option<(TermSet, Field, String)>,
}

impl ItemMatch {
    /// Adds a text of the item.
    pub(crate) fn add(
        &mut self,
        terms: &SearchTerms,
        field: Field,
        text: &str,
        scratch: &mut Scratch,
    ) {
        let Some(of_text) = terms.find(text, scratch) else { return };
        self.found = self.found.with(of_text.terms);
        let is_better =
            |(best, ..): &(TermSet, Field, String)| of_text.terms.count() > best.count();
        if self.best.as_ref().is_none_or(is_better) {
            self.best = Some((of_text.terms, field, excerpt(text, of_text.first)));
        }
    }

    /// The best text and its excerpt, if all terms were found.
    pub(crate) fn whole(self, terms: &SearchTerms) -> Option<(Field, String)> {
        let (_, field, excerpt) = self.best?;
        (self.found == terms.all()).then_some((field, excerpt))
    }
}
