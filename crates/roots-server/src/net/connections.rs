//! The open connections, and which of them is closed if all places are taken.
//!
//! - [`give_up`]: the rule, on plain types.
//! - [`progress`]: the progress of each, updated without a lock.
//! - [`tracked`]: the stream, requests and answers, which report it.

pub(crate) mod give_up;
pub(crate) mod progress;
pub(crate) mod tracked;

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use metrics::{counter, gauge};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, recv, shutdown};
use roots_http_core::auth::client_ip::TrustedProxy;
use roots_http_core::auth::client_ip::client_network;
use roots_http_core::auth::client_ip::is_trusted;
use tracing::debug;

use give_up::{ConnectionActivity, GiveUpReason, HeldConnection, rank};
use progress::{ConnectionProgress, Seen};

/// How many connections that were given up may still be open. Each gives its place to another one
/// at once, so that new connections do not wait for a busy thread.
pub(crate) const ENDING_MAX: usize = 64;
/// Spare places for the first connections of addresses that have none, if all others are taken and
/// none can be given up.
pub(crate) const SPARE_PLACES: usize = 32;
/// The number of seconds over which a client's bytes are counted.
const RECENT_SECONDS: usize = 10;

/// The open connections. Clones share them.
#[derive(Clone)]
pub(crate) struct Connections(Arc<ConnectionRegistry>);

struct ConnectionRegistry {
    most: usize,
    trusted_proxies: Vec<TrustedProxy>,
    clock: Instant,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    addresses: HashMap<IpAddr, Vec<Entry>>,
    /// The total number of open connections.
    open: usize,
    /// The number of connections that were given up and have not ended yet.
    ending: usize,
    /// Where in each [`Entry::received`] the next second goes.
    second: usize,
    counts: ConnectionCounts,
}

struct Entry {
    connection: Arc<Connection>,
    /// What had been received at each of the last seconds.
    received: [u64; RECENT_SECONDS],
}

/// Counts of connections that were closed or refused because all places were taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ConnectionCounts {
    /// Idle ones that were given up.
    pub(crate) idle: u64,
    /// Those given up in the middle of a request.
    pub(crate) unfinished: u64,
    /// New ones that were refused.
    pub(crate) refused: u64,
}

/// A connection that is open.
#[derive(Debug)]
pub(crate) struct Connection {
    address: IpAddr,
    is_trusted_proxy: bool,
    progress: ConnectionProgress,
    /// The socket, as long as it certainly belongs to this connection.
    socket: Mutex<Option<RawFd>>,
}

/// A connection's place. Dropping it frees the place.
pub(crate) struct ConnectionSlot {
    connections: Connections,
    connection: Arc<Connection>,
}

/// A stream with its place, which is freed before the stream is closed.
pub(crate) struct Slotted<S> {
    place: ConnectionSlot,
    stream: S,
}

impl Connections {
    /// Room for `most` connections.
    pub(crate) fn new(most: usize, trusted_proxies: Vec<TrustedProxy>) -> Self {
        let (clock, table) = (Instant::now(), Mutex::default());
        Self(Arc::new(ConnectionRegistry { most, trusted_proxies, clock, table }))
    }

    /// How many places there are.
    pub(crate) fn most(&self) -> usize {
        self.0.most
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is consistent between any two statements that could panic.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new connection a place. If necessary, and if `may_give_up`, another one is given up
    /// for it.
    ///
    /// # Errors
    /// There is no place: the stream is returned.
    pub(crate) fn place<S: AsRawFd>(
        &self,
        stream: S,
        peer: IpAddr,
        may_give_up: bool,
    ) -> Result<Slotted<S>, S> {
        let (address, most) = (client_network(peer), self.0.most);
        let is_trusted_proxy = is_trusted(&self.0.trusted_proxies, peer);
        let mut table = self.table();
        // A proxy's connections belong to many clients.
        let own = if is_trusted_proxy { None } else { table.addresses.get(&address) };
        let own = own.map_or(0, Vec::len);
        // There are more than `most` after spare places were taken.
        while may_give_up && table.open >= most && table.ending < ENDING_MAX {
            if !table.give_one_up(own) {
                break;
            }
        }
        let has_none = !table.addresses.contains_key(&address);
        let places = if has_none { most + SPARE_PLACES } else { most };
        if table.open >= places {
            return Err(stream);
        }
        let connection = Arc::new(Connection {
            address,
            is_trusted_proxy,
            progress: ConnectionProgress::new(self.0.clock),
            socket: Mutex::new(Some(stream.as_raw_fd())),
        });
        let entry = Entry { connection: Arc::clone(&connection), received: [0; RECENT_SECONDS] };
        table.addresses.entry(address).or_default().push(entry);
        table.open += 1;
        drop(table);
        Ok(Slotted { place: ConnectionSlot { connections: self.clone(), connection }, stream })
    }

    /// Records the received bytes. Call it once a second.
    pub(crate) fn a_second_passed(&self) {
        let mut table = self.table();
        let second = table.second;
        for entry in table.addresses.values_mut().flatten() {
            entry.received[second] = entry.connection.progress.received();
        }
        table.second = (second + 1) % RECENT_SECONDS;
    }

    /// Counts a new connection that was refused.
    pub(crate) fn refused(&self) {
        self.table().counts.refused += 1;
        counter!("roots_connections_refused_total").increment(1);
    }

    /// Sets the gauge of open connections, by what each is doing.
    pub(crate) fn gauge(&self) {
        let table = self.table();
        let [mut idle, mut unfinished, mut served] = [0_u32; 3];
        for Entry { connection, received } in table.addresses.values().flatten() {
            let count = match connection.progress.activity(received[table.second]).1 {
                ConnectionActivity::Idle { .. } => &mut idle,
                ConnectionActivity::Unfinished { .. } => &mut unfinished,
                ConnectionActivity::Served => &mut served,
            };
            *count += 1;
        }
        drop(table);
        for (state, count) in [("idle", idle), ("unfinished", unfinished), ("served", served)] {
            gauge!("roots_connections", "state" => state).set(count);
        }
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> ConnectionCounts {
        self.table().counts
    }

    fn end(&self, connection: &Arc<Connection>) {
        let mut table = self.table();
        if connection.progress.is_given_up() {
            table.ending -= 1;
        } else {
            table.remove(connection);
        }
    }
}

impl Table {
    /// Gives up the connection that ranks first, for a new one of an address that has
    /// `newcomer_holds` connections. Returns whether there was one.
    fn give_one_up(&mut self, newcomer_holds: usize) -> bool {
        let Some((reason, connection)) = self.given_up(newcomer_holds) else { return false };
        let (reason, count) = match reason {
            GiveUpReason::Idle(_) => ("idle", &mut self.counts.idle),
            GiveUpReason::Unfinished(_) => ("unfinished", &mut self.counts.unfinished),
        };
        *count += 1;
        counter!("roots_connections_given_up_total", "reason" => reason).increment(1);
        debug!(reason, "a connection was given up for a new one");
        self.remove(&connection);
        self.ending += 1;
        true
    }

    /// A connection that was just given up, if one could be.
    fn given_up(&self, newcomer_holds: usize) -> Option<(GiveUpReason, Arc<Connection>)> {
        let mut candidates = Vec::with_capacity(self.open);
        for entries in self.addresses.values() {
            for Entry { connection, received } in entries {
                // The next record replaces the oldest.
                let (seen, activity) = connection.progress.activity(received[self.second]);
                let is_trusted_proxy = connection.is_trusted_proxy;
                let held = HeldConnection { of_address: entries.len(), is_trusted_proxy, activity };
                candidates.extend(rank(&held, newcomer_holds).map(|rank| (rank, seen, connection)));
            }
        }
        // Mostly the first one can be.
        while let Some(first) = (0..candidates.len()).min_by_key(|at| candidates[*at].0) {
            let (rank, seen, connection) = candidates.swap_remove(first);
            if connection.give_up(seen) {
                return Some((rank.reason(), Arc::clone(connection)));
            }
        }
        None
    }

    fn remove(&mut self, connection: &Arc<Connection>) {
        let Some(entries) = self.addresses.get_mut(&connection.address) else { return };
        let is_it = |entry: &Entry| Arc::ptr_eq(&entry.connection, connection);
        if let Some(at) = entries.iter().position(is_it) {
            entries.swap_remove(at);
            self.open -= 1;
        }
        if entries.is_empty() {
            self.addresses.remove(&connection.address);
        }
    }
}

impl Connection {
    /// Gives it up, unless something has happened since it was seen, or unread bytes of its client
    /// wait: they could be a whole request that a busy thread has not read yet. Its own thread then
    /// sees the end of the stream.
    fn give_up(&self, seen: Seen) -> bool {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(socket) = *socket else { return false };
        let peeked = recv(socket, &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
        let is_unread = matches!(peeked, Ok(1..) | Err(Errno::EINTR));
        if is_unread || !self.progress.give_up(seen) {
            return false;
        }
        if let Err(error) = shutdown(socket, Shutdown::Both) {
            // Its client has hung up, which its thread is about to find.
            debug!(%error, "a connection that was given up had ended");
        }
        true
    }

    /// From now on the socket may belong to another connection.
    fn leave_socket(&self) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl<S> Slotted<S> {
    /// Converts the stream. Meanwhile its socket is not used.
    pub(crate) fn try_map<T: AsRawFd, E>(
        self,
        map: impl FnOnce(S) -> Result<T, E>,
    ) -> Result<Slotted<T>, E> {
        let Self { place, stream } = self;
        place.connection.leave_socket();
        let stream = map(stream)?;
        *place.connection.socket.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(stream.as_raw_fd());
        Ok(Slotted { place, stream })
    }

    /// The connection.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.place.connection
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.connection.leave_socket();
        self.connections.end(&self.connection);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const CUSTOMER: &str = "203.0.113.1";
    const OTHER: &str = "203.0.113.2";
    const THIRD: &str = "203.0.113.3";
    const PROXY: &str = "10.0.0.1";

    /// Connections, and where clients connect to.
    struct Fixture {
        connections: Connections,
        listener: TcpListener,
    }

    /// A connection from both ends.
    struct Both {
        ours: Slotted<TcpStream>,
        theirs: TcpStream,
    }

    impl Fixture {
        fn new(most: usize) -> Self {
            let proxies = vec![TrustedProxy::parse(PROXY).unwrap()];
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            Self { connections: Connections::new(most, proxies), listener }
        }

        /// A new connection, as if from that address, if it has a place.
        fn connect(&self, peer: &str) -> Option<Both> {
            let theirs = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
            let (ours, _) = self.listener.accept().unwrap();
            let ours = self.connections.place(ours, peer.parse().unwrap(), true).ok()?;
            Some(Both { ours, theirs })
        }

        fn open(&self) -> (usize, usize) {
            let table = self.connections.table();
            (table.open, table.ending)
        }
    }

    impl Both {
        /// Whether it was given up, which its client sees too.
        fn is_given_up(&mut self) -> bool {
            let is_given_up = self.ours.connection().progress.is_given_up();
            if is_given_up {
                assert_eq!(self.theirs.read(&mut [0]).unwrap(), 0);
            }
            is_given_up
        }

        /// The client sends that, and the server has not read it.
        fn send(&mut self) {
            self.theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            self.ours.stream.peek(&mut [0]).unwrap();
        }

        /// The server owes an answer.
        fn owe(&self) {
            self.ours.connection().progress.bytes_came(1).unwrap();
        }
    }

    #[test]
    fn a_new_connection_evicts_the_longest_idle_one_of_the_address_with_the_most() {
        let fixture = Fixture::new(3);
        let mut first = fixture.connect(OTHER).unwrap();
        let mut second = fixture.connect(CUSTOMER).unwrap();
        let mut third = fixture.connect(CUSTOMER).unwrap();
        assert_eq!(fixture.open(), (3, 0));
        let mut newcomer = fixture.connect(CUSTOMER).unwrap();
        assert_eq!(fixture.open(), (3, 1));
        assert!(second.is_given_up());
        drop(second);
        assert_eq!(fixture.open(), (3, 0));
        assert!(!first.is_given_up() && !third.is_given_up() && !newcomer.is_given_up());
        drop((first, third, newcomer));
        assert_eq!(fixture.open(), (0, 0));
        assert!(fixture.connections.table().addresses.is_empty());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let fixture = Fixture::new(3);
        let mut first = fixture.connect(OTHER).unwrap();
        let mut second = fixture.connect("2001:db8:1:2::1").unwrap();
        let mut third = fixture.connect("2001:db8:1:2:3:4:5:6").unwrap();
        let _newcomer = fixture.connect(THIRD).unwrap();
        assert!(second.is_given_up() && !first.is_given_up() && !third.is_given_up());
    }

    #[test]
    fn a_request_that_no_thread_has_read_yet_keeps_its_connection() {
        let fixture = Fixture::new(2);
        let (mut first, mut second) =
            (fixture.connect(CUSTOMER).unwrap(), fixture.connect(CUSTOMER).unwrap());
        first.send();
        let _newcomer = fixture.connect(CUSTOMER).unwrap();
        assert!(!first.is_given_up() && second.is_given_up());
    }

    #[test]
    fn with_nothing_to_give_up_only_addresses_without_connections_are_accepted() {
        let fixture = Fixture::new(2);
        let held = [fixture.connect(CUSTOMER).unwrap(), fixture.connect(CUSTOMER).unwrap()];
        held.iter().for_each(Both::owe);
        assert!(fixture.connect(CUSTOMER).is_none());
        let mut spare = fixture.connect(OTHER).unwrap();
        assert_eq!(fixture.open(), (3, 0));
        spare.owe();
        assert!(fixture.connect(OTHER).is_none());
        let mut more = Vec::new();
        for number in 0..SPARE_PLACES {
            let placed = fixture.connect(&format!("198.51.100.{number}"));
            placed.iter().for_each(Both::owe);
            more.extend(placed);
        }
        assert_eq!(more.len(), SPARE_PLACES - 1);

        // Once one is idle, it makes room, though there are more than there are places.
        spare.ours.connection().progress.read_waits();
        assert!(!spare.is_given_up());
        drop(more);
        let _newcomer = fixture.connect(THIRD).unwrap();
        assert!(spare.is_given_up());
        assert_eq!(fixture.open(), (3, 1));
    }

    #[test]
    fn connections_that_were_given_up_but_do_not_end_are_bounded() {
        let fixture = Fixture::new(1);
        let mut held: Vec<_> =
            (0..=ENDING_MAX).map(|_| fixture.connect(CUSTOMER).unwrap()).collect();
        assert_eq!(fixture.open(), (1, ENDING_MAX));
        assert!(fixture.connect(CUSTOMER).is_none());
        drop(held.remove(0));
        assert!(fixture.connect(CUSTOMER).is_some());
    }

    #[test]
    fn a_trusted_proxy_yields_when_nothing_else_can() {
        let fixture = Fixture::new(3);
        let mut first = fixture.connect(PROXY).unwrap();
        let mut second = fixture.connect(PROXY).unwrap();
        let mut third = fixture.connect(OTHER).unwrap();
        let newcomer = fixture.connect(CUSTOMER).unwrap();
        assert!(third.is_given_up());
        newcomer.owe();
        let mut last = fixture.connect(OTHER).unwrap();
        assert!(first.is_given_up() && !second.is_given_up() && !last.is_given_up());
    }

    #[test]
    fn received_bytes_count_for_ten_seconds() {
        let fixture = Fixture::new(2);
        let (mut first, mut second) =
            (fixture.connect(CUSTOMER).unwrap(), fixture.connect(CUSTOMER).unwrap());
        let bring = |both: &Both, count| {
            both.ours.connection().progress.bytes_came(count).unwrap();
            both.ours.connection().progress.read_waits();
        };
        bring(&first, 1_000);
        bring(&second, 20);
        for _ in 0..RECENT_SECONDS {
            fixture.connections.a_second_passed();
        }
        bring(&first, 10);
        // It has brought the most in all, and the fewest of late.
        bring(&second, 20);
        let _newcomer = fixture.connect(CUSTOMER).unwrap();
        assert!(first.is_given_up() && !second.is_given_up());
        let expected = ConnectionCounts { unfinished: 1, ..ConnectionCounts::default() };
        assert_eq!(fixture.connections.counts(), expected);
    }
}
