//! A proxy to PostgreSQL that records and checks every statement.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::connection_settings::{ConnectionSettings, Node, TrackedSettings};
use crate::{citus_stand_in, spread_lint, tenant_lint};

/// A proxy to PostgreSQL that records every statement. On drop it fails the test if a statement
/// does not name its tenant: see [`tenant_lint::check`].
pub struct SqlProxy {
    /// The URL to connect to instead of the server's.
    pub url: String,
    /// The port of this machine that it listens on.
    pub port: u16,
    /// Whether the stores that connect through it take their tables for spread over a cluster. If
    /// so, it also fails the test if a cluster would refuse a statement: see
    /// [`spread_lint::check`].
    pub judge_spread: bool,
    /// The node of the cluster that it stands for.
    pub node: Node,
    record: Arc<Mutex<Record>>,
    is_cut: watch::Sender<bool>,
}

/// What a proxy has seen.
#[derive(Default)]
struct Record {
    statements: BTreeSet<String>,
    /// Each statement with the settings under which it was run.
    runs: BTreeSet<(String, ConnectionSettings)>,
}

impl SqlProxy {
    /// Starts a proxy to the database with that URL.
    pub async fn on(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("a URL");
        let (authority, path) = rest.split_once('/').expect("a URL with a database");
        let (user, server) = authority.rsplit_once('@').expect("a URL with a user");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let record = Arc::new(Mutex::new(Record::default()));
        let (server, notes) = (server.to_owned(), record.clone());
        let (is_cut, cut) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (mut cut, passing) = (cut.clone(), pass(near, server.clone(), notes.clone()));
                tokio::spawn(async move {
                    tokio::select! {
                        biased;
                        _ = cut.wait_for(|cut| *cut) => {}
                        () = passing => {}
                    }
                });
            }
        });
        let url = format!("{scheme}://{user}@{address}/{path}");
        let (judge_spread, node) = (false, Node::Coordinator);
        Self { url, port: address.port(), judge_spread, node, record, is_cut }
    }

    /// The statements that it recorded so far.
    #[must_use]
    pub fn statements(&self) -> BTreeSet<String> {
        locked(&self.record).statements.clone()
    }

    /// Cuts all connections and takes no more, as a server does that was killed, or takes them
    /// again.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }

    /// Forgets the recorded statements.
    pub fn forget(&self) {
        *locked(&self.record) = Record::default();
    }
}

impl Drop for SqlProxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let errors = self.statements().into_iter().filter_map(|sql| {
            tenant_lint::check(&citus_stand_in::of_all_shards(&sql))
                .err()
                .map(|error| format!("{error}: {sql}"))
        });
        assert_eq!(errors.collect::<Vec<_>>(), [""; 0], "statements without a tenant");
        if !self.judge_spread {
            return;
        }
        let runs = std::mem::take(&mut locked(&self.record).runs);
        // The tables of a shard are like those of any PostgreSQL.
        let runs = runs.into_iter().filter(|(sql, _)| !citus_stand_in::is_on_shard(sql));
        let errors = runs.filter_map(|(sql, settings)| {
            let settings = ConnectionSettings { node: self.node, ..settings };
            let refused = spread_lint::check(&sql, settings).err();
            refused.map(|error| format!("{error}: {sql} under {settings:?}"))
        });
        assert_eq!(errors.collect::<Vec<_>>(), [""; 0], "statements that a cluster refuses");
    }
}

fn locked(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forwards data between one connection and the server until either of them closes.
async fn pass(near: TcpStream, server: String, record: Arc<Mutex<Record>>) {
    // If the server can't be reached, the client sees its connection close.
    let Ok(far) = TcpStream::connect(server).await else { return };
    for stream in [&near, &far] {
        // Without this option the connection is only slower.
        let _ = stream.set_nodelay(true);
    }
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let asks = async {
        let mut messages = ClientMessages::default();
        let mut bytes = vec![0; 16_384];
        while let Ok(count @ 1..) = from_near.read(&mut bytes).await {
            messages.read(&bytes[..count], &mut locked(&record));
            if to_far.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    let answers = tokio::io::copy(&mut from_far, &mut to_near);
    tokio::select! {
        () = asks => {}
        // The client and the server report errors of the connection themselves.
        _ = answers => {}
    }
}

/// The messages of a client, of which `rest` is not complete yet. A message has a kind, a length
/// and a body. The messages before the start have no kind.
#[derive(Default)]
struct ClientMessages {
    rest: Vec<u8>,
    has_started: bool,
    settings: TrackedSettings,
    /// The prepared statements by their names.
    prepared: BTreeMap<String, String>,
}

impl ClientMessages {
    /// Adds bytes and records the messages that are now complete.
    fn read(&mut self, bytes: &[u8], record: &mut Record) {
        self.rest.extend_from_slice(bytes);
        loop {
            let kind_bytes = usize::from(self.has_started);
            let Some(length) = number(&self.rest, kind_bytes) else { return };
            let end = kind_bytes + length as usize;
            if self.rest.len() < end {
                return;
            }
            let message: Vec<_> = self.rest.drain(..end).collect();
            let body = &message[kind_bytes + 4..];
            if self.has_started {
                self.read_message(message[0], body, record);
            } else {
                self.read_start(body);
            }
        }
    }

    fn read_start(&mut self, body: &[u8]) {
        const START: u32 = 196_608;
        // Messages before the start message ask for encryption, which the test server does not
        // offer.
        self.has_started = number(body, 0) == Some(START);
        if self.has_started {
            self.settings = TrackedSettings::at_start(&body[4..]);
        }
    }

    fn read_message(&mut self, kind: u8, body: &[u8], record: &mut Record) {
        let words = body.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word));
        let mut words = words.map(Cow::into_owned);
        match (kind, words.next(), words.next()) {
            // `Query` has only a statement.
            (b'Q', Some(sql), _) => {
                record.statements.insert(sql.clone());
                self.run(sql, record);
            }
            // `Parse` has a name before it.
            (b'P', Some(name), Some(sql)) => {
                record.statements.insert(sql.clone());
                self.prepared.insert(name, sql);
            }
            // `Bind` has the name of a portal before that of a statement.
            (b'B', Some(_), Some(name)) => {
                if let Some(sql) = self.prepared.get(&name) {
                    self.run(sql.clone(), record);
                }
            }
            _ => {}
        }
    }

    fn run(&mut self, sql: String, record: &mut Record) {
        let settings = self.settings.now();
        self.settings.run(&sql);
        record.runs.insert((sql, settings));
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection_settings::PlanCacheMode;

    /// A message with its length.
    fn message(kind: &str, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [kind.as_bytes(), &length, body].concat()
    }

    /// A statement is prepared once, but the settings may differ each time that it is run.
    #[test]
    fn a_statement_is_recorded_with_the_settings_of_each_of_its_runs() {
        let start = [&196_608_u32.to_be_bytes()[..], b"options\0-c plan_cache_mode=auto\0\0"];
        let sent = [
            message("", &start.concat()),
            message("P", b"s1\0SELECT $1\0\0\0"),
            message("B", b"\0s1\0\0\0"),
            message("Q", b"SET plan_cache_mode = force_generic_plan\0"),
            message("B", b"\0s1\0\0\0"),
        ];
        let (mut messages, mut record) = (ClientMessages::default(), Record::default());
        for byte in sent.concat() {
            messages.read(&[byte], &mut record);
        }
        let modes = record.runs.iter().filter(|(sql, _)| sql == "SELECT $1");
        let modes: Vec<_> = modes.map(|(_, settings)| settings.plan_cache_mode).collect();
        assert_eq!(modes, [PlanCacheMode::Auto, PlanCacheMode::ForceGeneric]);
        assert_eq!(record.statements.len(), 2);
    }
}
