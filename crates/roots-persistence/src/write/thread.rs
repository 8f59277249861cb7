//! The threads of the writer queues' workers, each with a runtime of its own. A batch is a dozen
//! statements one after the other, and on its own thread none of them waits for requests.

use std::io;
use std::sync::Arc;

use roots_domain::port::clock::Clock;
use tokio::sync::oneshot;

use super::connection::{Listeners, WriterConnection};
use super::worker::QueueWorker;
use crate::connect::source::{OpenError, Source};
use crate::connect::write_health::WriteHealth;

/// Starts a worker on a thread of its own, which first calls `first`. Returns once it is connected.
/// The receiver tells when it has stopped.
pub(crate) async fn start(
    source: Source,
    clock: Arc<dyn Clock>,
    listeners: Listeners,
    health: WriteHealth,
    worker: QueueWorker,
    first: Option<Arc<dyn Fn() + Send + Sync>>,
) -> Result<oneshot::Receiver<()>, OpenError> {
    let (ready, opened) = oneshot::channel();
    let (stopped, end) = oneshot::channel();
    std::thread::Builder::new()
        .name("roots-writer".to_owned())
        .spawn(move || {
            if let Some(first) = first {
                first();
            }
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            match source {
                // It only waits for another thread, which is cheaper without an I/O driver. That
                // thread sends rows one by one and shares this one's processor. So when the first
                // row wakes this thread, it lets the other one send the rest.
                Source::Sqlite { .. } => {
                    runtime.enable_time().on_thread_unpark(std::thread::yield_now)
                }
                Source::Postgres(_) => runtime.enable_all(),
            };
            let runtime = match runtime.build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = ready.send(Err(OpenError::Writer(error)));
                    return;
                }
            };
            runtime.block_on(async {
                match WriterConnection::open(source, clock, listeners, health).await {
                    Ok(connection) => {
                        let _ = ready.send(Ok(()));
                        worker.run(connection).await;
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error.into()));
                    }
                }
            });
            let _ = stopped.send(());
        })
        .map_err(OpenError::Writer)?;
    let died = |_| OpenError::Writer(io::Error::other("the writer's thread died"));
    opened.await.map_err(died)??;
    Ok(end)
}
