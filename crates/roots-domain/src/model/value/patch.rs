//! The change of a field in a patch.

/// The change of a field that may be empty (RFC 7396).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Absent: keeps it.
    #[default]
    Keep,
    /// `null`: clears it.
    Clear,
    /// Sets it to this.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether it keeps the field.
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }

    /// The field after the patch.
    #[must_use]
    pub fn apply(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Keep => current,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// Maps the new value with `change`.
    ///
    /// # Errors
    /// The error of `change`.
    pub fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(change(value)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_keeps_clears_or_sets_a_field() {
        assert_eq!(Patch::Keep.apply(Some(1)), Some(1));
        assert_eq!(Patch::Clear.apply(Some(1)), None);
        assert_eq!(Patch::Set(2).apply(Some(1)), Some(2));
        assert_eq!(Patch::Set(2).apply(None), Some(2));
        assert_eq!(Patch::<i32>::default(), Patch::Keep);
        assert_eq!(Patch::Set(2).try_map(Err::<i32, _>), Err(2));
        assert_eq!(Patch::Set(2).try_map(|two| Ok::<_, ()>(two + 1)), Ok(Patch::Set(3)));
        assert_eq!(Patch::Clear.try_map(Err::<i32, i32>), Ok(Patch::Clear));
        assert_eq!(Patch::Keep.try_map(Err::<i32, i32>), Ok(Patch::Keep));
    }
}
