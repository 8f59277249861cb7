//! Accepting connections, and ending them.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use roots_http_core::auth::client_ip::client_network;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio::{pin, select, time};
use tower::ServiceExt;
use tracing::{debug, error, warn};

use super::connections::progress::GivenUp;
use super::connections::{ConnectionCounts, Connections, Slotted, tracked};
use super::write_timeout::WriteTimeout;
use crate::stop::Stop;

/// Most connections of clients that read the metrics.
const METRICS_CONNECTIONS: usize = 16;
/// How long a new connection waits if all places are taken and none becomes free.
const PLACE_WITHIN: Duration = Duration::from_millis(100);
/// How often it looks for a place again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(5);
/// How many new connections may wait at once. Beyond that, one of the address with the most waiting
/// connections is refused.
pub(crate) const WAITING_MAX: usize = 64;
/// How many unsent bytes the system buffers for a connection. By default it buffers up to 4 MB, and
/// accepts more only after a third was sent: a client of 10 KiB/s would seem to read nothing for
/// two minutes.
const UNSENT_MAX: u32 = 128 * 1024;
/// How many connections the system holds until they are accepted: as many as Linux allows by
/// default (`net.core.somaxconn`). Beyond that it drops the first packet, and the client retries
/// after 1 s. 800 clients that connect at once overflow tokio's default of 128.
const ACCEPT_QUEUE: u32 = 4_096;
/// Shortest time between two log lines about a shortage of places.
const LOGGED_EVERY: Duration = Duration::from_mins(1);
/// The answer to a refused connection, if the system accepts it at once.
const REFUSAL: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 297\r\n\r\n\
    {\"type\":\"/docs/problems#unavailable\",\"title\":\"Temporarily unavailable\",\"status\":503,\
    \"detail\":\"Every connection that the server may have is busy. Nothing was done: try again shortly.\",\
    \"request_id\":\"\",\
    \"error\":\"Every connection that the server may have is busy. Nothing was done: try again shortly.\"}";
/// How long a connection may take to send the head of a request, and may be idle between two
/// requests.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// The maximum size of a request's head.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// How long accepting pauses after it failed, as it does when the process runs out of file
/// descriptors.
const REST_AFTER_ERROR: Duration = Duration::from_millis(200);
/// The part of the drain time reserved for the store, which only has to write what it has accepted.
const STORE_WITHIN: Duration = Duration::from_secs(1);

/// Listens on an address.
///
/// # Errors
/// The system refuses it.
pub(crate) fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server may start right after another one has stopped.
    socket.set_reuseaddr(true)?;
    // Each connection that is accepted inherits it.
    SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_MAX)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_QUEUE)
}

/// An accepted connection with a place.
struct Accepted {
    stream: Slotted<std::net::TcpStream>,
    peer: SocketAddr,
    /// Counts it as one of its server's connections.
    place: Arc<()>,
}

/// Hands accepted connections to the runtime that serves them.
pub(crate) struct ConnectionSender {
    incoming: mpsc::UnboundedSender<Accepted>,
    /// Shared by its connections.
    places: Arc<()>,
}

/// Serves the connections that its sender hands over.
pub(crate) struct ConnectionReceiver {
    incoming: mpsc::UnboundedReceiver<Accepted>,
    router: Router,
    stop: Stop,
}

/// A channel from the thread that accepts to a runtime that serves.
pub(crate) fn connection_channel(
    router: Router,
    stop: Stop,
) -> (ConnectionSender, ConnectionReceiver) {
    // It never holds more than the maximum number of open connections.
    let (near, far) = mpsc::unbounded_channel();
    let sender = ConnectionSender { incoming: near, places: Arc::default() };
    (sender, ConnectionReceiver { incoming: far, router, stop })
}

/// Serves the metrics on this runtime until `stop`; then it accepts no more connections and lets
/// running requests finish.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: Stop) {
    let (sender, receiver) = connection_channel(router, stop.clone());
    let connections = Connections::new(METRICS_CONNECTIONS, Vec::new());
    tokio::join!(accept(listener, connections, vec![sender], stop), receiver.serve());
}

/// Accepts connections until `stop`, and gives each to the server that has the fewest.
pub(crate) async fn accept(
    listener: TcpListener,
    connections: Connections,
    senders: Vec<ConnectionSender>,
    mut stop: Stop,
) {
    let mut waiting = WaitingConnections { connections: connections.clone(), new: Vec::new() };
    let mut shortage = Shortage::default();
    let mut seconds = time::interval(Duration::from_secs(1));
    let next = accepted(&listener);
    pin!(next);
    loop {
        select! {
            biased;
            _ = stop.requested() => return,
            _ = seconds.tick() => {
                connections.a_second_passed();
                shortage.tell(&connections);
                continue;
            }
            (stream, peer) = &mut next => {
                waiting.add(stream, peer);
                next.set(accepted(&listener));
            }
            () = time::sleep(LOOK_AGAIN_AFTER), if !waiting.new.is_empty() => {}
        }
        for (stream, peer) in waiting.placed() {
            let at_work = senders.iter().filter(|sender| !sender.incoming.is_closed());
            let fewest = at_work.min_by_key(|sender| Arc::strong_count(&sender.places));
            let Some(ConnectionSender { incoming, places }) = fewest else {
                error!("no thread is left that serves");
                return;
            };
            // If the server has ended meanwhile, the connection is dropped.
            let _ = incoming.send(Accepted { stream, peer, place: Arc::clone(places) });
        }
    }
}

/// The next connection.
async fn accepted(listener: &TcpListener) -> (std::net::TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "a connection can't be told to send without delay");
                }
                match stream.into_std() {
                    Ok(stream) => return (stream, peer),
                    Err(error) => debug!(%error, "a connection can't be handed on"),
                }
            }
            // The client has closed that connection; the next one may be fine.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                warn!(%error, "connections can't be accepted at the moment");
                time::sleep(REST_AFTER_ERROR).await;
            }
        }
    }
}

/// New connections without a place, the oldest first.
struct WaitingConnections {
    connections: Connections,
    new: Vec<New>,
}

struct New {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    until: Instant,
}

impl New {
    /// Whether its client has sent something, most likely a request.
    fn has_sent(&self) -> bool {
        matches!(self.stream.peek(&mut [0]), Ok(1..))
    }
}

impl WaitingConnections {
    fn add(&mut self, stream: std::net::TcpStream, peer: SocketAddr) {
        self.new.push(New { stream, peer, until: Instant::now() + PLACE_WITHIN });
        if self.new.len() > WAITING_MAX {
            self.refuse(self.most_dispensable());
        }
    }

    /// The connection to refuse if too many wait: of the address with the most, the one that has
    /// waited longest without sending anything. If all have sent something, the one that has waited
    /// longest.
    fn most_dispensable(&self) -> usize {
        let mut waiting = HashMap::new();
        for new in &self.new {
            *waiting.entry(client_network(new.peer.ip())).or_insert(0) += 1;
        }
        let most = waiting.values().copied().max().unwrap_or(0);
        let of_most =
            |(_, new): &(usize, &New)| waiting.get(&client_network(new.peer.ip())) == Some(&most);
        let mut candidates = self.new.iter().enumerate().filter(of_most);
        let oldest = candidates.clone().next();
        let silent = candidates.find(|(_, new)| !new.has_sent());
        silent.or(oldest).map_or(0, |(at, _)| at)
    }

    /// Returns the connections that have a place now. Refuses those that have waited too long.
    fn placed(&mut self) -> Vec<(Slotted<std::net::TcpStream>, SocketAddr)> {
        let mut placed = Vec::new();
        // If no connection can be given up for one, none can for the next one either.
        let mut may_give_up = true;
        for New { stream, peer, until } in std::mem::take(&mut self.new) {
            match self.connections.place(stream, peer.ip(), may_give_up) {
                Ok(stream) => placed.push((stream, peer)),
                Err(stream) => {
                    may_give_up = false;
                    self.new.push(New { stream, peer, until });
                }
            }
        }
        let now = Instant::now();
        while self.new.first().is_some_and(|new| new.until <= now) {
            self.refuse(0);
        }
        placed
    }

    fn refuse(&mut self, at: usize) {
        let New { mut stream, .. } = self.new.remove(at);
        self.connections.refused();
        // An answer that can't be sent at once is dropped. Unread bytes are read first, since
        // closing a stream with unread bytes would discard the answer.
        let written = stream.write(REFUSAL.as_bytes()).and_then(|_| {
            stream.shutdown(Shutdown::Write)?;
            stream.read(&mut [0; 4096])
        });
        if let Err(error) = written {
            debug!(%error, "a connection was refused without an answer");
        }
    }
}

/// What was logged about a shortage of places.
#[derive(Default)]
struct Shortage {
    logged: ConnectionCounts,
    at: Option<Instant>,
}

impl Shortage {
    fn tell(&mut self, connections: &Connections) {
        let counts = connections.counts();
        if counts == self.logged || self.at.is_some_and(|at| at.elapsed() < LOGGED_EVERY) {
            return;
        }
        warn!(
            places = connections.most(),
            given_up_idle = counts.idle - self.logged.idle,
            given_up_unfinished = counts.unfinished - self.logged.unfinished,
            refused = counts.refused - self.logged.refused,
            "all places for connections were taken, and some were given up for new ones"
        );
        *self = Self { logged: counts, at: Some(Instant::now()) };
    }
}

impl ConnectionReceiver {
    /// Serves accepted connections until no more are accepted, and then waits for running requests.
    pub(crate) async fn serve(mut self) {
        let mut http = http1::Builder::new();
        // By default the library allows 100 headers, and keeps them on the stack if no number is
        // set.
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_header_size(HEAD_MAX_BYTES);
        let connections = GracefulShutdown::new();
        while let Some(Accepted { stream, peer, place }) = self.incoming.recv().await {
            let limited = |stream| Ok(WriteTimeout::new(TcpStream::from_std(stream)?));
            let stream = match stream.try_map(limited) {
                Ok(stream) => stream,
                Err::<_, io::Error>(error) => {
                    warn!(%error, "a connection can't be served");
                    continue;
                }
            };
            let (router, connection) = (self.router.clone(), Arc::clone(stream.connection()));
            let service = service_fn(move |request: Request<Incoming>| {
                let (parts, body) = request.into_parts();
                let tracked = tracked::track(&connection, body);
                let router = router.clone();
                async move {
                    let (body, owed) = tracked?;
                    let mut request = Request::from_parts(parts, body);
                    request.extensions_mut().insert(ConnectInfo(peer));
                    let Ok(answer) = router.oneshot(request).await;
                    Ok::<_, GivenUp>(answer.map(|body| owed.by(body)))
                }
            });
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

    use super::*;

    /// More than the system buffers.
    const LARGE: usize = 64 * 1024 * 1024;
    /// How long a test waits for an event before it fails.
    const PATIENCE: Duration = Duration::from_mins(1);

    #[test]
    fn a_refusal_is_a_complete_503_response() {
        let (head, body) = REFUSAL.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["status"], 503);
    }

    #[test]
    fn among_too_many_waiting_clients_one_that_has_sent_nothing_is_refused_first() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting =
            WaitingConnections { connections: Connections::new(0, Vec::new()), new: Vec::new() };
        let mut clients = Vec::new();
        for number in 0..=WAITING_MAX {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            let (stream, peer) = listener.accept().unwrap();
            if number < 2 {
                client.write_all(b"GET").unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.peek(&mut [0]).unwrap();
            }
            stream.set_nonblocking(true).unwrap();
            waiting.add(stream, peer);
            clients.push(client);
        }
        let left = |waiting: &WaitingConnections| -> Vec<_> {
            let is_there = |client: &std::net::TcpStream| {
                let address = client.local_addr().unwrap();
                waiting.new.iter().any(|new| new.peer == address)
            };
            clients.iter().enumerate().filter(|(_, at)| !is_there(at)).map(|(at, _)| at).collect()
        };
        assert_eq!(left(&waiting), [2]);
        // If all have sent something, the one that has waited longest is refused.
        for client in &clients {
            let _ = (&mut &*client).write_all(b"GET");
        }
        for new in &waiting.new {
            let begun = std::time::Instant::now();
            while !new.has_sent() {
                assert!(begun.elapsed() < PATIENCE, "nothing came from {}", new.peer);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let refused = waiting.most_dispensable();
        assert_eq!(waiting.new[refused].peer, clients[0].local_addr().unwrap());
    }

    #[tokio::test]
    async fn clients_that_connect_at_once_wait_for_a_busy_server_without_loss() {
        let listener = listener("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        // More than tokio's default of 128, but few enough for the open files of a test.
        for _ in 0..300 {
            // If the system's queue were full, this would wait for an accept that never happens.
            let connected = time::timeout(PATIENCE, TcpStream::connect(address)).await;
            clients.push(connected.expect("the system holds it").unwrap());
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answer_loses_its_connection() {
        let listener = listener("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/large", get(|| async { vec![b'x'; LARGE] }))
            .route("/small", get(|| async { "small" }));
        let (_tell, stop) = Stop::by_hand();
        // With one place, the second client has none while the first one has it.
        let (sender, receiver) = connection_channel(router, stop.clone());
        let connections = Connections::new(1, Vec::new());
        tokio::spawn(accept(listener, connections, vec![sender], stop));
        tokio::spawn(receiver.serve());

        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut stuck = socket.connect(address).await.unwrap();
        stuck.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // Once its answer has begun, it holds the only place.
        time::timeout(PATIENCE, stuck.read_exact(&mut [0; 12])).await.unwrap().unwrap();

        let ask = async || {
            let mut next = TcpStream::connect(address).await.unwrap();
            // The server may refuse the connection before the request is sent, so writing and
            // reading may fail.
            let ask = b"GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            let _ = next.write_all(ask).await;
            let mut answer = String::new();
            let _ = time::timeout(PATIENCE, next.read_to_string(&mut answer)).await.unwrap();
            answer.ends_with("small")
        };
        assert!(!ask().await, "it was let in");
        // The server closes a connection whose client reads nothing for two minutes. The time
        // starts again whenever the system accepts another piece of the answer.
        let mut is_let_in = false;
        for _ in 0..8 {
            time::pause();
            time::advance(Duration::from_mins(3)).await;
            time::resume();
            is_let_in = is_let_in || ask().await;
        }
        assert!(is_let_in, "the place was never free again");
    }
}
