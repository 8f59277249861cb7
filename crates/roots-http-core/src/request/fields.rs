//! Named values of a body or a query. Each is checked by itself, so that one answer has every error
//! and no typo goes unnoticed.

use std::collections::HashSet;

use roots_domain::model::Invalid;
use serde::Serialize;
use utoipa::ToSchema;

use super::secrets::may_hold_secret;

/// Most errors in one answer.
pub const ERRORS_MAX: usize = 100;
/// Most characters of an unknown field's name that an answer repeats.
const SHOWN_NAME_MAX_CHARS: usize = 32;
/// How similar (Jaro-Winkler) a name must be to a known one to be taken for a misspelling of it.
const ALIKE: f64 = 0.8;
/// Fewest characters of a name that is searched for among the words of another: `id` and `at` are
/// part of many.
const WORDS_MIN_CHARS: usize = 3;

/// An error of one field. The message continues a sentence that begins with the field's name. It
/// never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InvalidField {
    /// The field of the body, or the parameter of the query.
    #[schema(example = "priority")]
    pub field: String,
    /// The error.
    #[schema(example = "must be 0 (lowest) to 3 (highest)")]
    pub message: String,
}

/// A value could not be read, and its error was noted.
#[derive(Debug)]
pub struct InvalidNoted;

/// All errors of a body or a query.
#[derive(Debug)]
pub struct InvalidFields {
    /// The first of them, at most [`ERRORS_MAX`].
    pub listed: Vec<InvalidField>,
    /// The number of all errors.
    pub count: usize,
}

impl InvalidFields {
    /// Whether there is no error.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl From<Vec<InvalidField>> for InvalidFields {
    fn from(listed: Vec<InvalidField>) -> Self {
        Self { count: listed.len(), listed }
    }
}

/// Named values that were not all read yet.
#[derive(Debug)]
pub struct Fields<V> {
    noun: &'static str,
    given: Vec<(String, V)>,
    known: Vec<&'static str>,
    errors: Vec<InvalidField>,
}

impl<V> Fields<V> {
    /// Values in their given order; `noun` is what they are called in errors.
    #[must_use]
    pub const fn new(noun: &'static str, given: Vec<(String, V)>) -> Self {
        Self { noun, given, known: Vec::new(), errors: Vec::new() }
    }

    /// Takes the only value of that name and parses it with `read`. The name counts as known from
    /// then on.
    ///
    /// # Errors
    /// The value is invalid, or was given several times.
    pub fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(V) -> Result<T, Invalid>,
    ) -> Result<Option<T>, InvalidNoted> {
        self.known.push(name);
        let mut values = self.given.extract_if(.., |(given, _)| given == name);
        let first = values.next();
        if values.count() > 0 {
            return Err(self.error(name, "is given more than once"));
        }
        match first.map(|(_, value)| read(value)).transpose() {
            Ok(value) => Ok(value),
            Err(invalid) => Err(self.error(name, invalid.to_string())),
        }
    }

    /// Notes an error.
    pub fn error(&mut self, name: &str, message: impl Into<String>) -> InvalidNoted {
        self.errors.push(InvalidField { field: name.to_owned(), message: message.into() });
        InvalidNoted
    }

    /// Notes the errors of a value's own fields, under that value's name.
    pub fn adopt(&mut self, place: &str, errors: InvalidFields) -> InvalidNoted {
        self.errors.extend(errors.listed.into_iter().map(|InvalidField { field, message }| {
            InvalidField { field: format!("{place}.{field}"), message }
        }));
        InvalidNoted
    }

    /// Returns all errors, once everything known was read: whatever is left is unknown.
    #[must_use]
    pub fn finish(self) -> InvalidFields {
        let Self { noun, given, known, errors: mut listed } = self;
        let mut seen = HashSet::new();
        let names = given.iter().map(|(name, _)| name.as_str());
        let unknowns: Vec<_> = names.filter(|name| seen.insert(*name)).collect();
        let count = listed.len() + unknowns.len();
        // A body can have very many: beyond the limit they are only counted.
        listed.extend(unknowns.into_iter().take(ERRORS_MAX).map(|name| {
            let field = shown(name);
            let message = unknown(noun, &field, &known);
            InvalidField { field, message }
        }));
        listed.truncate(ERRORS_MAX);
        InvalidFields { listed, count }
    }
}

/// An unknown name in the form that an answer repeats: shortened, or hidden if it could hold a key
/// or a code.
fn shown(name: &str) -> String {
    if may_hold_secret(name) {
        return "…".to_owned();
    }
    match name.char_indices().nth(SHOWN_NAME_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn unknown(noun: &str, name: &str, known: &[&'static str]) -> String {
    let alike = |one: &&str| likeness(one, name);
    let nearest = known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest {
        None => format!("is not a known {noun}: there are none here"),
        Some(nearest) if alike(nearest) >= ALIKE => {
            format!("is not a known {noun}: did you mean {nearest}?")
        }
        Some(_) => format!("is not a known {noun}: there are {}", known.join(", ")),
    }
}

fn likeness(one: &str, other: &str) -> f64 {
    let spelled = strsim::jaro_winkler(&plain(one), &plain(other));
    if holds_words(one, other) || holds_words(other, one) { spelled.max(ALIKE) } else { spelled }
}

/// Whether the words of one name are part of another: `type` in `activity_type`.
fn holds_words(long: &str, short: &str) -> bool {
    plain(short).chars().count() >= WORDS_MIN_CHARS && words(long).contains(&words(short))
}

/// A name in lower case without punctuation: `sessionId` for `session_id` is the most likely
/// mistake.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A name's words in lower case, each between blanks.
fn words(name: &str) -> String {
    let mut words = String::from(" ");
    for c in name.chars() {
        if (c.is_uppercase() || !c.is_alphanumeric()) && !words.ends_with(' ') {
            words.push(' ');
        }
        if c.is_alphanumeric() {
            words.extend(c.to_lowercase());
        }
    }
    if !words.ends_with(' ') {
        words.push(' ');
    }
    words
}

/// Refuses a value that is none of the names given.
///
/// # Errors
/// Lists all of them.
pub fn one_of<T: Copy>(
    all: &[T],
    name: impl Fn(T) -> &'static str,
    given: &str,
) -> Result<T, Invalid> {
    let found = all.iter().copied().find(|one| name(*one) == given);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().copied().map(name).collect();
        Invalid::new(format!("must be one of {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(given: &[&str], known: &[&'static str]) -> Vec<String> {
        let given = given.iter().map(|name| ((*name).to_owned(), ())).collect();
        let mut fields = Fields::new("field", given);
        for name in known {
            let _ = fields.take(name, Ok);
        }
        let text = |error: InvalidField| format!("{} {}", error.field, error.message);
        fields.finish().listed.into_iter().map(text).collect()
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_nearest_known_name() {
        let known = ["title", "description", "session_id", "due_at"];
        let errors = checked(&["titel", "sessionId", "desc", "zzz", "due_at"], &known);
        assert_eq!(
            errors,
            [
                "titel is not a known field: did you mean title?",
                "sessionId is not a known field: did you mean session_id?",
                "desc is not a known field: did you mean description?",
                "zzz is not a known field: there are title, description, session_id, due_at",
            ]
        );
    }

    #[test]
    fn a_field_name_with_an_extra_or_missing_word_is_near_to_the_known_name() {
        let known = ["type", "session_id", "since", "limit"];
        let errors = checked(&["activity_type", "activityType", "TYPE", "session"], &known);
        let offered: Vec<_> =
            errors.iter().filter_map(|error| error.split("mean ").nth(1)).collect();
        assert_eq!(offered, ["type?", "type?", "type?", "session_id?"]);
        assert_eq!(
            checked(&["type"], &["description", "activity_type", "session_id"]),
            ["type is not a known field: did you mean activity_type?"]
        );
        // Neither a part of a word nor a word that is in many names.
        for (given, known) in [("prototype", "type"), ("id", "session_id"), ("_", "due_at")] {
            let error = checked(&[given], &[known]).concat();
            assert!(error.ends_with(&format!("there are {known}")), "{error}");
        }
    }

    #[test]
    fn a_repeated_field_is_one_error_whether_known_or_unknown() {
        let errors = checked(&["title", "x", "title", "x", "title"], &["title"]);
        assert_eq!(
            errors,
            ["title is given more than once", "x is not a known field: there are title"]
        );
    }

    #[test]
    fn errors_beyond_the_maximum_are_counted_but_not_listed() {
        let given = (0..200_000).map(|count| (count.to_string(), ())).collect();
        let mut fields = Fields::new("field", given);
        fields.error("title", "is required");
        let errors = fields.finish();
        assert_eq!((errors.listed.len(), errors.count), (ERRORS_MAX, 200_001));
    }

    #[test]
    fn a_long_field_name_is_not_repeated_in_full() {
        let long = "é".repeat(500_000);
        let errors = checked(&[&long], &["title"]);
        assert!(errors.concat().len() < 300);
    }

    #[test]
    fn a_field_name_that_may_hold_a_secret_is_not_repeated() {
        // A recovery code of 47 characters and the shortest key.
        for secret in ["GHJKM-".repeat(8)[..47].to_owned(), format!("roots_1_{:x>48}", "")] {
            assert_eq!(
                checked(&[&secret], &["title"]),
                ["… is not a known field: there are title"]
            );
        }
    }
}
