//! Search: the words that a caller looks for, and what is found.

mod excerpt;
mod fold;
mod hit;
mod terms;

#[cfg(test)]
mod tests;

pub(crate) use hit::ItemMatch;
pub use hit::{SearchHit, SearchKind, SearchedKinds};
pub use terms::{SEARCH_MAX_CHARS, Scratch, SearchTerms, TERMS_MAX, TermSet, TextMatch};
