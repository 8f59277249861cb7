//! Connections: accepting them, and letting them end.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::{select, time};
use tracing::{debug, info, warn};

/// How many connections are open at once; the next ones wait in the system's queue. Below the 1,024
/// open files that a process commonly may have, so that the database and the log find theirs.
const CONNECTIONS_MAX: usize = 900;
/// How long a connection may take to send the head of a request, and lie idle between two.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How large the head of a request may be.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// How long accepting rests after it failed, as it does while the process has no file left to open.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(200);
/// How long what is in flight may take to end.
pub(crate) const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Signals that come so soon after the first are the same one: `timeout` and others send it to the
/// process and to its group.
const SAME_SIGNAL_WITHIN: Duration = Duration::from_millis(500);

/// Tells when to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// On SIGTERM or Ctrl-C. A second one ends the process at once.
    ///
    /// # Errors
    /// The system does not let signals be heard.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (tell, stop) = watch::channel(false);
        tokio::spawn(async move {
            select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            info!("stopping: what is in flight may end");
            tell.send_replace(true);
            let told = Instant::now();
            loop {
                select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                if told.elapsed() > SAME_SIGNAL_WITHIN {
                    warn!("stopped at once");
                    std::process::exit(1);
                }
            }
        });
        Ok(Self(stop))
    }

    /// Waits until it is time.
    async fn requested(&mut self) {
        // An error says that nobody is left to tell.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Serves until `stop`; then accepts no more, and lets what is in flight end.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut stop: Stop) {
    let mut http = http1::Builder::new();
    // It takes a hundred headers by default, and has them on the stack as long as none says how many.
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_header_size(HEAD_MAX_BYTES);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = GracefulShutdown::new();
    loop {
        let (stream, place) = select! {
            biased;
            () = stop.requested() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection failed");
            }
            drop(place);
        });
    }
    drop(listener);
    if time::timeout(DRAIN_WITHIN, connections.shutdown()).await.is_err() {
        let open = CONNECTIONS_MAX - places.available_permits();
        warn!(open, "connections were cut off: they did not end in time");
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // It is never closed, so that a place is always given in the end.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "a connection can't be told to send without delay");
                }
                return (stream, place);
            }
            // Whoever wanted that connection has gone; the next one may be fine.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                warn!(%error, "connections can't be accepted just now");
                time::sleep(REST_AFTER_FAILURE).await;
            }
        }
    }
}
