//! What large answers may hold of the memory together, however slowly they are read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is held together where nothing else is said.
const BUDGET_BYTES: usize = 64 * 1024 * 1024;
/// What is counted by.
const KIB: usize = 1024;

/// Bytes of memory that large answers share. Clones are one and the same budget; by default it is
/// 64 MiB.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    /// A permit for each KiB that is left.
    left: Arc<Semaphore>,
    whole: u32,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::of(BUDGET_BYTES)
    }
}

impl MemoryBudget {
    /// One of so many bytes, in whole KiB.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        let whole = u32::try_from(bytes / KIB).unwrap_or(u32::MAX);
        Self { left: Arc::new(Semaphore::new(bytes / KIB)), whole }
    }

    /// How many bytes are not taken.
    #[must_use]
    pub fn left_bytes(&self) -> usize {
        self.left.available_permits() * KIB
    }

    /// What is larger than the whole budget takes all of it.
    fn permits(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(KIB as u64)).unwrap_or(u32::MAX).min(self.whole)
    }

    /// Takes that much at once, if it is there.
    #[must_use]
    pub fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.left).try_acquire_many_owned(self.permits(bytes)).ok()
    }

    /// Gives back what was taken beyond so many bytes.
    pub fn shrink(taken: &mut OwnedSemaphorePermit, bytes: u64) {
        let needed = usize::try_from(bytes.div_ceil(KIB as u64)).unwrap_or(usize::MAX);
        drop(taken.split(taken.num_permits().saturating_sub(needed)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_rounds_up_to_whole_kib_and_never_gives_more_than_its_size() {
        let budget = MemoryBudget::of(10 * KIB);
        assert_eq!([1, 1024, 1025, u64::MAX].map(|bytes| budget.permits(bytes)), [1, 1, 2, 10]);
        let taken = budget.take(9 * 1024 + 1);
        assert_eq!((taken.is_some(), budget.left_bytes()), (true, 0));
        assert!(budget.take(1).is_none());
        let mut taken = taken.unwrap();
        MemoryBudget::shrink(&mut taken, 2 * 1024 + 1);
        assert_eq!(budget.left_bytes(), 7 * KIB);
        MemoryBudget::shrink(&mut taken, 5 * 1024);
        assert_eq!(budget.left_bytes(), 7 * KIB);
        drop(taken);
        assert_eq!(budget.left_bytes(), 10 * KIB);
    }
}
