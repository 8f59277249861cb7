//! The threads and their CPUs: one serving thread for each CPU, with a runtime of its own, so that
//! all work of a request stays together; and the writer threads.

use std::io;
use std::sync::Arc;
use std::thread;

use axum::Router;
use roots_persistence::{Threads, take_reader_slot};
use tokio::runtime;
use tokio::sync::oneshot;

use super::listen::{self, ConnectionSender};
use super::processors::{WriterProcessor, keep_to, parallelism};
use crate::stop::Stop;

/// Most serving threads: each has its own connections to the database, and with those open files,
/// of which a process may commonly have 1,024.
const SERVING_MAX: usize = 8;

/// The number of serving threads.
fn serving() -> usize {
    parallelism().min(SERVING_MAX)
}

/// The threads that work with a store.
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

/// Starts the serving threads. They end on `stop`, and each reports its end.
///
/// # Errors
/// The system can't start a thread.
pub(crate) fn serve(
    router: &Router,
    stop: &Stop,
) -> io::Result<Vec<(ConnectionSender, oneshot::Receiver<()>)>> {
    let start = |number| {
        let (sender, receiver) = listen::connection_channel(router.clone(), stop.clone());
        let (ended, end) = oneshot::channel();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name(format!("roots-serve-{number}")).spawn(move || {
            take_reader_slot(number);
            runtime.block_on(receiver.serve());
            // Tasks that still run are not waited for.
            runtime.shutdown_background();
            let _ = ended.send(());
        })?;
        Ok((sender, end))
    };
    (0..serving()).map(start).collect()
}
