//! The memory that large answers may hold together, however slowly they are read.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The default budget.
const BUDGET_BYTES: usize = 64 * 1024 * 1024;
/// The unit of the budget.
const KIB: usize = 1024;

/// The memory that large answers share, by default 64 MiB. Clones refer to the same budget.
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
    /// A budget of `bytes`, in whole KiB.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        let whole = u32::try_from(bytes / KIB).unwrap_or(u32::MAX);
        Self { left: Arc::new(Semaphore::new(bytes / KIB)), whole }
    }

    /// The number of free bytes.
    #[must_use]
    pub fn left_bytes(&self) -> usize {
        self.left.available_permits() * KIB
    }

    /// An answer larger than the whole budget takes all of it.
    fn permits(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(KIB as u64)).unwrap_or(u32::MAX).min(self.whole)
    }

    /// Takes that much without waiting, if it is free.
    #[must_use]
    pub fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.left).try_acquire_many_owned(self.permits(bytes)).ok()
    }

    /// Gives back what exceeds `bytes`.
    pub fn shrink(taken: &mut OwnedSemaphorePermit, bytes: u64) {
        let needed = usize::try_from(bytes.div_ceil(KIB as u64)).unwrap_or(usize::MAX);
        drop(taken.split(taken.num_permits().saturating_sub(needed)));
    }

    /// Takes what is missing to `bytes`, without waiting. Returns whether it was free.
    #[must_use]
    pub fn grow(&self, taken: &mut OwnedSemaphorePermit, bytes: u64) -> bool {
        let have = u32::try_from(taken.num_permits()).unwrap_or(u32::MAX);
        let missing = self.permits(bytes).saturating_sub(have);
        let more = Arc::clone(&self.left).try_acquire_many_owned(missing);
        more.map(|more| taken.merge(more)).is_ok()
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
        assert!(budget.grow(&mut taken, 5 * 1024) && budget.grow(&mut taken, 1024));
        assert_eq!(budget.left_bytes(), 5 * KIB);
        let other = budget.take(4 * 1024);
        assert!(!budget.grow(&mut taken, 7 * 1024));
        assert_eq!(budget.left_bytes(), KIB);
        drop(other);
        assert!(budget.grow(&mut taken, u64::MAX));
        assert_eq!(budget.left_bytes(), 0);
        drop(taken);
        assert_eq!(budget.left_bytes(), 10 * KIB);
    }
}
