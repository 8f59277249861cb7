//! Text at rest, and the place it belongs to.

use std::fmt;

use super::id::Uid;

/// A text as it stands in the store: encrypted, and bound to its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

/// Tells the length and nothing else, so that no log line holds a ciphertext.
impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// The fields that are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// `sessions.notes`
    SessionNotes,
    /// `todos.title`
    TodoTitle,
    /// `todos.description`
    TodoDescription,
    /// `todo_logs.note`
    LogNote,
    /// `activities.description`
    ActivityDescription,
}

impl Field {
    /// Every sealed field.
    pub const ALL: [Self; 5] = [
        Self::SessionNotes,
        Self::TodoTitle,
        Self::TodoDescription,
        Self::LogNote,
        Self::ActivityDescription,
    ];

    /// The table it stands in. Part of what a ciphertext is bound to: never renamed.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::SessionNotes => "sessions",
            Self::TodoTitle | Self::TodoDescription => "todos",
            Self::LogNote => "todo_logs",
            Self::ActivityDescription => "activities",
        }
    }

    /// Its column. Part of what a ciphertext is bound to: never renamed.
    #[must_use]
    pub const fn column(self) -> &'static str {
        match self {
            Self::SessionNotes => "notes",
            Self::TodoTitle => "title",
            Self::TodoDescription | Self::ActivityDescription => "description",
            Self::LogNote => "note",
        }
    }
}

/// Where in an actor's data a text belongs. Moved to another place it does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPlace {
    /// Which field.
    pub field: Field,
    /// Of which row.
    pub row: Uid,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_sealed_field_has_its_own_table_and_column() {
        let places: BTreeSet<_> =
            Field::ALL.into_iter().map(|field| (field.table(), field.column())).collect();
        let expected = [
            ("activities", "description"),
            ("sessions", "notes"),
            ("todo_logs", "note"),
            ("todos", "description"),
            ("todos", "title"),
        ];
        assert_eq!(places, BTreeSet::from(expected));
    }

    #[test]
    fn debug_output_of_a_ciphertext_shows_only_its_length() {
        assert_eq!(format!("{:?}", Sealed(vec![200, 201])), "Sealed(2 bytes)");
    }
}
