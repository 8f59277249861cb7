//! Entity tags: they distinguish each state of a row from every other state of any row.

use std::fmt;

use uuid::Uuid;

use super::id::Uid;

/// The tag of one state of one row. It is made of the row's uid and the number of its changes, so
/// it reveals nothing of the content, and no two rows of any account share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityTag {
    /// The row.
    pub uid: Uid,
    /// The version of the row, from 1.
    pub version: i64,
}

impl EntityTag {
    /// Parses a tag. `None` if this server did not make it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (uid, version) = text.split_once('-')?;
        let tag = Self { uid: Uid(Uuid::try_parse(uid).ok()?), version: version.parse().ok()? };
        // A tag has only one valid form.
        (tag.to_string() == text).then_some(tag)
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.uid.0.simple(), self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_tag_round_trips_and_has_one_spelling() {
        let uid = Uid(Uuid::from_u128(0x019d_728c_2e80_7000_8000_0000_0000_00ab));
        let tag = EntityTag { uid, version: 12 };
        let text = "019d728c2e80700080000000000000ab-12";
        assert_eq!(tag.to_string(), text);
        assert_eq!(EntityTag::parse(text), Some(tag));
        for other in [
            "",
            "-",
            "12",
            "019d728c2e80700080000000000000ab",
            "019d728c2e80700080000000000000ab-",
            "019d728c2e80700080000000000000ab-012",
            "019d728c2e80700080000000000000ab-+12",
            "019d728c2e80700080000000000000ab-12-",
            "019D728C2E80700080000000000000AB-12",
            "019d728c-2e80-7000-8000-0000000000ab-12",
            " 019d728c2e80700080000000000000ab-12",
        ] {
            assert_eq!(EntityTag::parse(other), None, "{other:?}");
        }
    }
}
