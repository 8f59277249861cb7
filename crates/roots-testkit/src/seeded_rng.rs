//! A seeded random number generator.

/// The `SplitMix64` generator, with its state.
#[derive(Debug, Clone)]
pub struct SeededRng(pub u64);

impl SeededRng {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end` - 1.
    pub fn below(&mut self, end: i64) -> i64 {
        i64::try_from(self.roll() % end.unsigned_abs()).expect("a number below another")
    }

    /// Returns true once in `times` calls on average.
    pub fn once_in(&mut self, times: i64) -> bool {
        self.below(times) == 0
    }

    /// A random element.
    ///
    /// # Panics
    ///
    /// Panics if `of` is empty.
    pub fn one<T: Clone>(&mut self, of: &[T]) -> T {
        let count = i64::try_from(of.len()).expect("few of them");
        of[usize::try_from(self.below(count)).expect("a place among them")].clone()
    }
}
