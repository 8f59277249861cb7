//! Entity tags: what tells one state of a row from every other state of any row.

use std::fmt;

use uuid::Uuid;

use super::id::Uid;

/// One state of one row. It is made of whose state it is and how often that has changed, so it says
/// nothing of the content, and no two rows share one, whosever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityTag {
    /// The row.
    pub uid: Uid,
    /// Which of its states, from 1.
    pub version: i64,
}

impl EntityTag {
    /// The tag that reads so. `None` for what is no tag of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (uid, version) = text.split_once('-')?;
        let tag = Self { uid: Uid(Uuid::try_parse(uid).ok()?), version: version.parse().ok()? };
        // There is one way to write a tag.
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
