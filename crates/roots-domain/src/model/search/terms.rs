//! The terms of a search, and where a text has them.

use std::ops::Range;

use secrecy::zeroize::Zeroizing;
use unicode_segmentation::UnicodeSegmentation;

use super::fold::fold_into;
use crate::model::Invalid;

/// Most characters of a search.
pub const SEARCH_MAX_CHARS: usize = 200;
/// Most terms of a search.
pub const TERMS_MAX: usize = 8;

/// What is searched for: 1 to [`TERMS_MAX`] terms.
///
/// Terms are separated by white space. A term is a word, a phrase in straight double quotes, or the
/// beginning of a word with `*` at its end. Words are those of Unicode's UAX 29. A term of several
/// words, such as `on-call`, is a phrase: its words must follow each other. Case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchTerms(Vec<Term>);

/// Words that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    /// Folded; at least one.
    words: Vec<String>,
    /// Whether the last word may go on.
    is_prefix: bool,
}

/// Some terms of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TermSet(u8);

impl TermSet {
    /// The terms of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The number of terms.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    const fn of(index: usize) -> Self {
        Self(1 << index)
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a text has of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextMatch {
    /// The terms that the text has.
    pub terms: TermSet,
    /// The bytes of the first of them.
    pub first: Range<usize>,
}

/// Memory that is used again for each text. It is zeroized when it is dropped.
#[derive(Debug, Default)]
pub struct Scratch {
    folded: Zeroizing<String>,
    words: Vec<Word>,
}

/// A word of a text: its bytes there, and those of its folded form.
#[derive(Debug)]
struct Word {
    place: Range<usize>,
    folded: Range<usize>,
}

impl SearchTerms {
    /// Parses a search.
    ///
    /// # Errors
    /// It is empty or too long, has too many terms, a term without a word, or an open quote.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.chars().count() > SEARCH_MAX_CHARS {
            return Err(Invalid::new(format!("must have at most {SEARCH_MAX_CHARS} characters")));
        }
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (term, behind) = if let Some(inner) = rest.strip_prefix('"') {
                let unclosed = || Invalid::new("has a quote that is not closed");
                let (phrase, behind) = inner.split_once('"').ok_or_else(unclosed)?;
                (Term::of(phrase, false), behind)
            } else {
                let ends = |c: char| c == '"' || c.is_whitespace();
                let (token, behind) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
                (Term::of(token, token.ends_with('*')), behind)
            };
            terms.push(term.ok_or_else(|| Invalid::new("has a term without a letter or digit"))?);
            rest = behind.trim_start();
        }
        if terms.is_empty() || terms.len() > TERMS_MAX {
            return Err(Invalid::new(format!("must have 1 to {TERMS_MAX} terms")));
        }
        Ok(Self(terms))
    }

    /// All of the terms.
    #[must_use]
    pub fn all(&self) -> TermSet {
        self.sets().fold(TermSet::default(), |all, (_, one)| all.with(one))
    }

    /// The terms that a text has; `None` if it has none of them.
    #[must_use]
    pub fn find(&self, text: &str, scratch: &mut Scratch) -> Option<TextMatch> {
        let Scratch { folded, words } = scratch;
        folded.clear();
        fold_into(text, folded);
        // Most texts end here: cutting a text into words costs far more than looking for letters.
        let possible = self.sets().filter(|(term, _)| term.is_possible(folded));
        let possible = possible.fold(TermSet::default(), |all, (_, one)| all.with(one));
        if possible.is_empty() {
            return None;
        }
        folded.clear();
        words.clear();
        for (at, word) in text.unicode_word_indices() {
            let start = folded.len();
            fold_into(word, folded);
            words.push(Word { place: at..at + word.len(), folded: start..folded.len() });
        }
        let mut found: Option<TextMatch> = None;
        for (term, one) in self.sets().filter(|(_, one)| possible.has(*one)) {
            let Some(place) = term.first_place(folded, words) else { continue };
            found = Some(match found {
                Some(TextMatch { terms, first }) => TextMatch {
                    terms: terms.with(one),
                    first: if place.start < first.start { place } else { first },
                },
                None => TextMatch { terms: one, first: place },
            });
        }
        found
    }

    fn sets(&self) -> impl Iterator<Item = (&Term, TermSet)> {
        self.0.iter().enumerate().map(|(index, term)| (term, TermSet::of(index)))
    }
}

impl Term {
    /// `None` if there is no word.
    fn of(text: &str, is_prefix: bool) -> Option<Self> {
        let folded = |word: &str| {
            let mut folded = String::new();
            fold_into(word, &mut folded);
            folded
        };
        let words: Vec<_> = text.unicode_words().map(folded).collect();
        (!words.is_empty()).then_some(Self { words, is_prefix })
    }

    /// Whether the letters of all its words are somewhere in the folded text.
    fn is_possible(&self, folded: &str) -> bool {
        self.words.iter().all(|word| folded.contains(word.as_str()))
    }

    /// The bytes of the first place where its words follow each other.
    fn first_place(&self, folded: &str, words: &[Word]) -> Option<Range<usize>> {
        let last = self.words.len() - 1;
        let is_here = |window: &&[Word]| {
            self.words.iter().zip(*window).enumerate().all(|(index, (wanted, word))| {
                let word = &folded[word.folded.clone()];
                if self.is_prefix && index == last {
                    word.starts_with(wanted.as_str())
                } else {
                    word == wanted
                }
            })
        };
        let window = words.windows(self.words.len()).find(is_here)?;
        Some(window.first()?.place.start..window.last()?.place.end)
    }
}
