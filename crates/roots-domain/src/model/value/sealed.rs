//! Encrypted texts, and the places they belong to.

use std::fmt;

use super::id::Uid;

/// A text as it is stored: encrypted, and bound to its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

/// Prints only the length, so that no log line has a ciphertext.
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

    /// Its table. Ciphertexts are bound to this name: never rename it.
    #[must_use]
    pub const fn table(self) -> &'static str {
        match self {
            Self::SessionNotes => "sessions",
            Self::TodoTitle | Self::TodoDescription => "todos",
            Self::LogNote => "todo_logs",
            Self::ActivityDescription => "activities",
        }
    }

    /// Its column. Ciphertexts are bound to this name: never rename it.
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

/// The place of a text in an actor's data. In another place it does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPlace {
    /// The field.
    pub field: Field,
    /// The row.
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
