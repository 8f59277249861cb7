//! Stopping the server, and the deadline for it.

use std::io;
use std::time::Duration;

use tokio::select;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::log;

/// How long stopping may take: the running requests, and then the store.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);
/// Signals within this time after the first count as the same one: `timeout` and others send it to
/// the process and to its group.
const SAME_SIGNAL_WITHIN: Duration = Duration::from_millis(500);

/// Tells when to stop, and the deadline.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<Option<Instant>>);

impl Stop {
    /// Stops on SIGTERM or Ctrl-C. A second signal ends the process at once.
    ///
    /// # Errors
    /// The system can't handle signals.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (tell, stop) = watch::channel(None);
        tokio::spawn(async move {
            select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            info!("stopping: waiting for requests in flight");
            let first = Instant::now();
            tell.send_replace(Some(first + DRAIN_WITHIN));
            loop {
                select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                if first.elapsed() > SAME_SIGNAL_WITHIN {
                    warn!("stopped at once");
                    log::finish();
                    std::process::exit(1);
                }
            }
        });
        Ok(Self(stop))
    }

    /// One that stops when the function is called.
    #[cfg(test)]
    pub(crate) fn by_hand() -> (impl FnOnce(), Self) {
        let (tell, stop) = watch::channel(None);
        let request = move || {
            tell.send_replace(Some(Instant::now() + DRAIN_WITHIN));
        };
        (request, Self(stop))
    }

    /// Waits for the stop, and returns the deadline.
    pub(crate) async fn requested(&mut self) -> Instant {
        let deadline = self.0.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline);
        // Without the sender, nothing can tell.
        deadline.unwrap_or_else(|| Instant::now() + DRAIN_WITHIN)
    }
}
