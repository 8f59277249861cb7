//! Connections: accepting them, and letting them end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio::{select, time};
use tower::ServiceExt;
use tracing::{debug, error, info, warn};

use crate::logging;
use crate::write_limit::WriteLimit;

/// How many connections are open at once; the next ones wait in the system's queue. Below the 1,024
/// open files that a process commonly may have, so that the database and the log find theirs.
const CONNECTIONS_MAX: usize = 900;
/// How long a connection may take to send the head of a request, and lie idle between two.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How large the head of a request may be.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// How long accepting rests after it failed, as it does while the process has no file left to open.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(200);
/// How long an answer may rest while the client does not read on.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// How long everything may take to end: what is in flight, and then the store.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);
/// How much of it is kept for the store, which has only to write what it has accepted.
const STORE_WITHIN: Duration = Duration::from_secs(1);

/// Signals that come so soon after the first are the same one: `timeout` and others send it to the
/// process and to its group.
const SAME_SIGNAL_WITHIN: Duration = Duration::from_millis(500);

/// Tells when to stop, and by when all must have ended.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<Option<Instant>>);

impl Stop {
    /// On SIGTERM or Ctrl-C. A second one ends the process at once.
    ///
    /// # Errors
    /// The system does not let signals be heard.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (tell, stop) = watch::channel(None);
        tokio::spawn(async move {
            select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            info!("stopping: what is in flight may end");
            let told = Instant::now();
            tell.send_replace(Some(told + DRAIN_WITHIN));
            loop {
                select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                if told.elapsed() > SAME_SIGNAL_WITHIN {
                    warn!("stopped at once");
                    logging::finish();
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

    /// Waits until it is time, and answers by when all must have ended.
    pub(crate) async fn requested(&mut self) -> Instant {
        let told = self.0.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline);
        // Without it, nobody is left to tell.
        told.unwrap_or_else(|| Instant::now() + DRAIN_WITHIN)
    }
}

/// A connection that was accepted.
struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    /// Its place among those that may be open, and among those of its server.
    place: (Option<OwnedSemaphorePermit>, Arc<()>),
}

/// The near end of what serves connections.
pub(crate) struct Server {
    incoming: mpsc::UnboundedSender<Accepted>,
    /// Shared by its connections.
    places: Arc<()>,
}

/// The far end.
pub(crate) struct Duty {
    incoming: mpsc::UnboundedReceiver<Accepted>,
    router: Router,
    stop: Stop,
    /// How long an answer may rest while the client does not read on.
    write_within: Duration,
}

/// What serves connections, on whichever runtime its duty is done.
pub(crate) fn server(router: Router, stop: Stop) -> (Server, Duty) {
    // There are no more in it than connections may be open.
    let (near, far) = mpsc::unbounded_channel();
    let server = Server { incoming: near, places: Arc::default() };
    (server, Duty { incoming: far, router, stop, write_within: WRITE_WITHIN })
}

/// Serves on this runtime until `stop`; then accepts no more, and lets what is in flight end.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: Stop) {
    let (server, duty) = server(router, stop.clone());
    tokio::join!(accept(listener, vec![server], stop), duty.fulfil());
}

/// Accepts connections until `stop`, each for the server that has the fewest.
pub(crate) async fn accept(listener: TcpListener, servers: Vec<Server>, stop: Stop) {
    accept_some(CONNECTIONS_MAX, listener, servers, stop).await;
}

async fn accept_some(most: usize, listener: TcpListener, servers: Vec<Server>, mut stop: Stop) {
    let places = Arc::new(Semaphore::new(most));
    loop {
        let (stream, peer, place) = select! {
            biased;
            _ = stop.requested() => return,
            accepted = next(&listener, &places) => accepted,
        };
        let at_work = servers.iter().filter(|server| !server.incoming.is_closed());
        let fewest = at_work.min_by_key(|server| Arc::strong_count(&server.places));
        let Some(Server { incoming, places }) = fewest else {
            error!("no thread is left that serves");
            return;
        };
        // One that has ended since takes it with it.
        let _ = incoming.send(Accepted { stream, peer, place: (place, Arc::clone(places)) });
    }
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (std::net::TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // It is never closed, so that a place is always given in the end.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "a connection can't be told to send without delay");
                }
                match stream.into_std() {
                    Ok(stream) => return (stream, peer, place),
                    Err(error) => debug!(%error, "a connection can't be handed on"),
                }
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

impl Duty {
    /// Serves what is accepted until no more is, and lets what is in flight end.
    pub(crate) async fn fulfil(mut self) {
        let mut http = http1::Builder::new();
        // It takes a hundred headers by default, and has them on the stack as long as none says how many.
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_header_size(HEAD_MAX_BYTES);
        let connections = GracefulShutdown::new();
        while let Some(Accepted { stream, peer, place }) = self.incoming.recv().await {
            let stream = match TcpStream::from_std(stream) {
                Ok(stream) => WriteLimit::new(stream, self.write_within),
                Err(error) => {
                    warn!(%error, "a connection can't be served");
                    continue;
                }
            };
            let service = self.router.clone().map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                request
            });
            let service = TowerToHyperService::new(service);
            let connection = http.serve_connection(TokioIo::new(stream), service);
            let connection = connections.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    debug!(%error, "a connection failed");
                }
                drop(place);
            });
        }
        let deadline = self.stop.requested().await;
        let open = connections.count();
        if time::timeout_at(deadline - STORE_WITHIN, connections.shutdown()).await.is_err() {
            warn!(
                open,
                "connections were cut off: of those that were open, some did not end in time"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    use super::*;

    /// More than the system takes off the server's hands.
    const LARGE: usize = 64 * 1024 * 1024;

    #[tokio::test]
    async fn who_does_not_read_the_answer_loses_the_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/large", get(|| async { vec![b'x'; LARGE] }))
            .route("/small", get(|| async { "small" }));
        let (_tell, stop) = Stop::by_hand();
        // With one place, the second client waits for the first one's.
        let (server, duty) = server(router, stop.clone());
        tokio::spawn(accept_some(1, listener, vec![server], stop));
        tokio::spawn(Duty { write_within: Duration::from_millis(100), ..duty }.fulfil());

        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stuck = socket.connect(address).await.unwrap();
        stuck.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // Its answer has begun, so the place is its.
        stuck.read_exact(&mut [0; 12]).await.unwrap();

        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        // Before the head of a further request is overdue, which would free the place as well.
        let answered = time::timeout(HEAD_WITHIN / 2, next.read_to_string(&mut answer)).await;
        answered.expect("a place for the next client").unwrap();
        assert!(answer.ends_with("small"), "{answer}");
    }
}
