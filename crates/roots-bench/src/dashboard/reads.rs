//! The reads whose time must not grow with the database.

use std::net::SocketAddr;
use std::time::Instant;

use hyper::StatusCode;

use crate::client::{self, Client, ClientError, RequestSpec};
use crate::latency::Latencies;

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Now,
    Events,
    SessionsActiveSince,
    SessionsStarted,
    TodosOverdue,
    TodosDone,
    TodoStats,
    CreditStats,
}

/// A read that is compared between the two database sizes.
pub(crate) struct ComparedRead {
    pub(crate) what: Read,
    /// Begins the names of its series.
    pub(crate) name: &'static str,
    /// Whether each read comes after a write of the same account, so that nothing is answered from
    /// what was computed for the account's version before.
    pub(crate) is_after_a_write: bool,
}

pub(crate) const ALL: [ComparedRead; 9] = [
    read(Read::Now, "GET /", false),
    read(Read::Now, "GET / after a write", true),
    read(Read::Events, "GET /events, the last 20", false),
    read(Read::SessionsActiveSince, "GET /sessions?active_since=", false),
    read(Read::SessionsStarted, "GET /sessions?since=&until=", false),
    read(Read::TodosOverdue, "GET /todos?overdue=true", false),
    read(Read::TodosDone, "GET /todos?status=done&sort=status_since", false),
    read(Read::TodoStats, "GET /todos/stats after a write", true),
    read(Read::CreditStats, "GET /credits/stats after a write", true),
];

const fn read(what: Read, name: &'static str, is_after_a_write: bool) -> ComparedRead {
    ComparedRead { what, name, is_after_a_write }
}

/// Sends a read again and again over one connection, each after `write` if there is one, and
/// returns the times of the reads.
///
/// # Errors
/// A response is no success.
pub(crate) fn measure(
    address: SocketAddr,
    write: Option<&RequestSpec>,
    read: &RequestSpec,
    reads: u64,
) -> Result<Latencies, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut client = Client::open(address).await?;
        let mut times = Latencies::default();
        for _ in 0..reads {
            if let Some(write) = write {
                let status = client.send_and_discard(write.to_http()?).await?;
                expect_success(write, status)?;
            }
            let (request, begun) = (read.to_http()?, Instant::now());
            let status = client.send_and_discard(request).await?;
            times.record(begun.elapsed());
            expect_success(read, status)?;
        }
        Ok(times)
    })
}

fn expect_success(request: &RequestSpec, status: StatusCode) -> Result<(), ClientError> {
    if status.is_success() { Ok(()) } else { Err(client::unexpected(request, status, b"")) }
}
