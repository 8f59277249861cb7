//! The mix of types.

/// Most types that are told apart. The rest is "other".
pub const MIX_MAX: usize = 8;

/// Counts by name, the most frequent first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix<N> {
    /// The first [`MIX_MAX`] names.
    pub parts: Vec<(N, i64)>,
    /// All others together.
    pub other: i64,
    /// How many other names there are.
    pub others: usize,
}

impl<N> Mix<N> {
    /// The same with other names.
    #[must_use]
    pub fn map_names<M>(self, mut change: impl FnMut(N) -> M) -> Mix<M> {
        let Self { parts, other, others } = self;
        let parts = parts.into_iter().map(|(name, count)| (change(name), count)).collect();
        Mix { parts, other, others }
    }

    /// All that was counted.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.parts.iter().fold(self.other, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// The mix of counts, each name once, by descending count, then by name.
#[must_use]
pub fn mix<N: Ord>(counts: impl IntoIterator<Item = (N, i64)>) -> Mix<N> {
    let mut parts: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    parts.sort_by(|(one, of_one), (other, of_other)| {
        of_other.cmp(of_one).then_with(|| one.cmp(other))
    });
    let rest = parts.split_off(parts.len().min(MIX_MAX));
    let other = rest.iter().fold(0_i64, |sum, (_, count)| sum.saturating_add(*count));
    Mix { parts, other, others: rest.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ninth_type_is_other() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        let found = mix((0..).zip(names).map(|(count, name)| (name, count)));
        assert_eq!(found.parts.first(), Some(&("k", 10)));
        assert_eq!((found.parts.len(), found.other, found.others), (MIX_MAX, 3, 2));
        assert_eq!(found.total(), 55);
        assert_eq!(mix([("b", 1), ("a", 1)]).parts, [("a", 1), ("b", 1)]);
    }
}
