//! The three things that a merge patch (RFC 7396) may say of a field that can be empty.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What happens to a field that can be empty.
///
/// A struct that holds one skips it where it is to stay:
/// `#[serde(default, skip_serializing_if = "Patch::is_keep")]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// It stays as it is: the patch does not name it.
    #[default]
    Keep,
    /// It becomes empty: `null`.
    Clear,
    /// It gets this value.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether the field stays.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

/// `Some` sets, `None` clears.
impl<T> From<Option<T>> for Patch<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Clear, Self::Set)
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    /// A field to keep has no JSON of its own. It is written as `null` unless it is skipped.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Set(value) => value.serialize(serializer),
            Self::Keep | Self::Clear => serializer.serialize_none(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Serialize, Deserialize, PartialEq)]
    struct Change {
        #[serde(default, skip_serializing_if = "Patch::is_keep")]
        notes: Patch<String>,
    }

    #[test]
    fn absent_null_and_a_value_are_three_things() {
        for (notes, json) in [
            (Patch::Keep, json!({})),
            (Patch::Clear, json!({"notes": null})),
            (Patch::Set("x".to_owned()), json!({"notes": "x"})),
        ] {
            let change = Change { notes };
            assert_eq!(serde_json::to_value(&change).unwrap(), json);
            assert_eq!(serde_json::from_value::<Change>(json).unwrap(), change);
        }
    }
}
