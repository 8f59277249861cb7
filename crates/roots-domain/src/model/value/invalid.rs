//! Values that break a rule.

use std::borrow::Cow;
use std::fmt;

/// A value that breaks a rule. It displays as the end of a sentence whose subject is the field
/// ("must not be empty"), and never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(Cow<'static, str>);

impl Invalid {
    /// An error with that sentence.
    pub fn new(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
