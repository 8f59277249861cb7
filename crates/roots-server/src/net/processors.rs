//! The CPUs that the program may use, and the CPU of its writer threads.

use std::num::NonZeroUsize;
use std::thread;

/// The number of threads that can run at once.
pub(super) fn parallelism() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The CPU of the writer threads. On SQLite there are two, which hand each other every statement;
/// on one CPU neither has to wake another CPU for it. On PostgreSQL they hand it to the database's
/// processes, which the system moves near to them on any CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriterProcessor {
    /// The last CPU, if the program may use its CPUs completely. If it may use only a share of
    /// them, other programs with the same rule may use the same one.
    Auto,
    /// Any CPU.
    Any,
    /// That CPU.
    Number(usize),
}

impl WriterProcessor {
    pub(super) fn number(self) -> Option<usize> {
        match self {
            Self::Auto => last_of_own(&processors(), parallelism()),
            Self::Any => None,
            Self::Number(number) => Some(number),
        }
    }
}

/// The last CPU, if as many threads can run at once as there are CPUs.
fn last_of_own(processors: &[usize], parallelism: usize) -> Option<usize> {
    processors.last().copied().filter(|_| processors.len() == parallelism)
}

/// The CPUs that the program may use, in order; empty if they are unknown.
#[cfg(target_os = "linux")]
pub(crate) fn processors() -> Vec<usize> {
    use nix::sched::{CpuSet, sched_getaffinity};
    use nix::unistd::Pid;
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|number| set.is_set(*number) == Ok(true)).collect()
}

/// Pins this thread, and those that it starts from now on, to a CPU.
#[cfg(target_os = "linux")]
pub(super) fn keep_to(processor: usize) -> nix::Result<()> {
    use nix::sched::{CpuSet, sched_setaffinity};
    use nix::unistd::Pid;
    let mut set = CpuSet::new();
    set.set(processor)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn processors() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn keep_to(_: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_pinned_thread_and_the_threads_it_starts_run_on_one_processor() {
        let all = processors();
        let last = *all.last().unwrap();
        let kept = thread::spawn(move || {
            keep_to(last).unwrap();
            thread::spawn(processors).join().unwrap()
        });
        assert_eq!(kept.join().unwrap(), [last]);
        assert_eq!(processors(), all);
        assert!(thread::spawn(|| keep_to(usize::MAX)).join().unwrap().is_err());
    }

    #[test]
    fn the_writer_is_pinned_to_the_set_processor_or_the_last_of_all_processors() {
        assert_eq!(WriterProcessor::Any.number(), None);
        assert_eq!(WriterProcessor::Number(3).number(), Some(3));
        assert_eq!(last_of_own(&[0, 3], 2), Some(3));
        // A share of them, as in a container; and unknown CPUs.
        assert_eq!(last_of_own(&[0, 1, 2, 3], 2), None);
        assert_eq!(last_of_own(&[], 2), None);
    }
}
