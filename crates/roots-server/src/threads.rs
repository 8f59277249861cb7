//! The threads that work, and where: one that serves for each processor, with a runtime of its own, so
//! that a request and all that is done for it stay together; and those that write.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use axum::Router;
use roots_persistence::{Threads, take_seat};
use tokio::runtime;
use tokio::sync::oneshot;

use crate::listen::{self, Server, Stop};

/// Most threads that serve: each has connections of its own to the database, and with those open files, of
/// which a process commonly may have 1,024.
const SERVING_MAX: usize = 8;

/// How many threads can run at a time.
fn parallelism() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// How many threads serve.
fn serving() -> usize {
    parallelism().min(SERVING_MAX)
}

/// Where the threads that write are. On SQLite they are two, which hand each other every statement; on
/// one processor neither has to wake another one for it. On PostgreSQL they hand it to the database's,
/// and whatever processor theirs is, the system brings the two together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriterProcessor {
    /// On the last one, where all that the program may run on are its own to use up. Where it may use
    /// up but a share of them, others that go by the same rule may have the same one.
    Auto,
    /// Wherever the system likes.
    Any,
    /// On that one.
    Number(usize),
}

impl WriterProcessor {
    fn number(self) -> Option<usize> {
        match self {
            Self::Auto => last_of_own(&processors(), parallelism()),
            Self::Any => None,
            Self::Number(number) => Some(number),
        }
    }
}

/// The last processor, where as many threads can run at a time as there are.
fn last_of_own(processors: &[usize], parallelism: usize) -> Option<usize> {
    processors.last().copied().filter(|_| processors.len() == parallelism)
}

/// What a store has to know of the threads that work with it.
pub(crate) fn of_store(writer: WriterProcessor) -> Threads {
    let at_writer = writer.number().map(|number| -> Arc<dyn Fn() + Send + Sync> {
        Arc::new(move || {
            if let Err(error) = keep_to(number) {
                tracing::warn!(%error, processor = number, "a writer can't be kept to a processor");
            }
        })
    });
    Threads { serving: serving(), at_writer }
}

/// Starts the threads that serve. Each tells once it has ended, which it does on `stop`.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn serve(
    router: &Router,
    stop: &Stop,
) -> io::Result<Vec<(Server, oneshot::Receiver<()>)>> {
    let start = |number| {
        let (server, duty) = listen::server(router.clone(), stop.clone());
        let (ended, end) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name(format!("roots-serve-{number}")).spawn(move || {
            take_seat(number);
            runtime.block_on(duty.fulfil());
            // What has not ended by now is not waited for.
            runtime.shutdown_background();
            let _ = ended.send(());
        })?;
        Ok((server, end))
    };
    (0..serving()).map(start).collect()
}

/// The processors that the program may run on, in their order; none where that can't be told.
#[cfg(target_os = "linux")]
pub(crate) fn processors() -> Vec<usize> {
    use nix::sched::{CpuSet, sched_getaffinity};
    use nix::unistd::Pid;
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|number| set.is_set(*number) == Ok(true)).collect()
}

/// Keeps this thread, and those that it starts from now on, to a processor.
#[cfg(target_os = "linux")]
fn keep_to(processor: usize) -> nix::Result<()> {
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
fn keep_to(_: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_and_those_it_starts_are_kept_to_a_processor() {
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
    fn the_writer_is_kept_where_it_was_asked_to_be() {
        assert_eq!(WriterProcessor::Any.number(), None);
        assert_eq!(WriterProcessor::Number(3).number(), Some(3));
        assert_eq!(last_of_own(&[0, 3], 2), Some(3));
        // A share of them, as a container has; and where it can't be told which there are.
        assert_eq!(last_of_own(&[0, 1, 2, 3], 2), None);
        assert_eq!(last_of_own(&[], 2), None);
    }
}
