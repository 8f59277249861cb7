//! The quiet account: eight agents that together make 20 writes and 20 reads a second.
//!
//! A request is sent when it is due, whether or not earlier ones have responses, and its time
//! counts from when it was due. So if the server stalls for a second, every request of that second
//! shows it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::client::{Client, ClientError, RequestSpec};
use crate::latency::Latencies;

/// Requests a second of all agents together.
const PER_SECOND: u32 = 40;
/// A request without a response within this time has failed.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many failures are reported, and how many bytes of each response.
const SHOWN_FAILURES: usize = 3;
const SHOWN_BYTES: usize = 200;

/// The agents of the quiet account.
#[derive(Debug, Clone)]
pub(crate) struct QuietAccount {
    pub(crate) agents: Vec<Agent>,
}

/// The requests of an agent. Each list is repeated in turn.
#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) writes: Vec<RequestSpec>,
    pub(crate) reads: Vec<RequestSpec>,
}

/// The measurements of the quiet account.
#[derive(Debug, Default)]
pub(crate) struct QuietReport {
    /// The times of all requests, failed ones included, from when each was due.
    pub(crate) times: Latencies,
    pub(crate) failed: usize,
    /// Requests that were sent again because the server closed their connection as they were sent.
    pub(crate) retried: usize,
    /// Descriptions of the first failures.
    pub(crate) failures: Vec<String>,
}

/// The idle connections of each agent.
type IdleConnections = Arc<Mutex<HashMap<usize, Vec<Client>>>>;

impl QuietAccount {
    /// The request of this number, and the number of its agent. Agents take turns, each with a
    /// write and a read.
    fn request(&self, number: usize) -> (usize, &RequestSpec) {
        let agent = number / 2 % self.agents.len();
        let round = number / 2 / self.agents.len();
        let Agent { writes, reads } = &self.agents[agent];
        let requests = if number.is_multiple_of(2) { writes } else { reads };
        // The number of the agent is added so that agents do different things at the same time.
        (agent, &requests[(agent + round) % requests.len()])
    }

    /// Sends requests from the address `from`, for `warm_up`, which does not count, and for `time`.
    ///
    /// # Errors
    /// The runtime can't be created, or a request is not valid.
    pub(crate) fn run(
        &self,
        server: SocketAddr,
        from: IpAddr,
        warm_up: Duration,
        time: Duration,
    ) -> Result<QuietReport, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let begun = Instant::now();
            let idle = IdleConnections::default();
            let mut tasks = JoinSet::new();
            let mut number = 0;
            loop {
                let after =
                    Duration::from_secs(1) / PER_SECOND * u32::try_from(number).unwrap_or(0);
                if after >= warm_up + time {
                    break;
                }
                let due = begun + after;
                sleep_until(due.into()).await;
                let (agent, spec) = self.request(number);
                // Half of the requests use a new connection each, as from a command line.
                let keeps = (number / 2 / self.agents.len()).is_multiple_of(2);
                let idle = keeps.then(|| (Arc::clone(&idle), agent));
                let (request, path) = (spec.to_http()?, spec.path.clone());
                let counts = after >= warm_up;
                tasks.spawn(async move {
                    let result = timeout(TIMEOUT, send(server, from, idle, request)).await;
                    let (retried, failure) = match result {
                        Ok(Ok(RequestOutcome { refusal, retried })) => {
                            (retried, refusal.map(|refusal| format!("{path}: {refusal}")))
                        }
                        Ok(Err(error)) => (false, Some(format!("{path}: {error}"))),
                        Err(_) => (false, Some(format!("{path}: no response within 10 s"))),
                    };
                    (counts, due.elapsed(), retried, failure)
                });
                number += 1;
            }
            let mut report = QuietReport::default();
            while let Some(ended) = tasks.join_next().await {
                let Ok((true, took, retried, failure)) = ended else { continue };
                report.times.record(took);
                report.retried += usize::from(retried);
                report.failed += usize::from(failure.is_some());
                if report.failures.len() < SHOWN_FAILURES {
                    report.failures.extend(failure);
                }
            }
            Ok(report)
        })
    }
}

/// The result of a request that got a response.
struct RequestOutcome {
    /// The status and the body of a refusal.
    refusal: Option<String>,
    retried: bool,
}

/// Sends one request.
///
/// The server may close an idle connection just as the request is sent. It has then done nothing,
/// because it closes no connection whose request it has read. So the client retries over a new
/// connection.
async fn send(
    server: SocketAddr,
    from: IpAddr,
    idle: Option<(IdleConnections, usize)>,
    request: Request<Full<Bytes>>,
) -> Result<RequestOutcome, ClientError> {
    let mut kept = idle.as_ref().and_then(|(idle, agent)| {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get_mut(agent)?.pop()
    });
    // The server may have closed the idle connection: the client then uses a new one.
    if let Some(client) = &mut kept
        && !client.is_open().await
    {
        kept = None;
    }
    let mut retried = false;
    let response = match kept {
        None => None,
        Some(mut client) => match client.send(request.clone()).await {
            Err(ClientError::NoResponse(_)) => {
                retried = true;
                None
            }
            sent => Some((sent?, client)),
        },
    };
    let (response, client) = if let Some(response) = response {
        response
    } else {
        let mut client = Client::open_from(server, Some(from)).await?;
        (client.send(request).await?, client)
    };
    if let Some((idle, agent)) = idle {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.entry(agent).or_default().push(client);
    }
    let shown = &response.body[..response.body.len().min(SHOWN_BYTES)];
    let refusal = || format!("{} {}", response.status, String::from_utf8_lossy(shown));
    Ok(RequestOutcome { refusal: (!response.status.is_success()).then(refusal), retried })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    fn quiet(agents: usize) -> QuietAccount {
        let agent = |number| Agent {
            writes: vec![
                RequestSpec::get(format!("/w{number}a")),
                RequestSpec::get(format!("/w{number}b")),
            ],
            reads: vec![RequestSpec::get(format!("/r{number}"))],
        };
        QuietAccount { agents: (0..agents).map(agent).collect() }
    }

    #[test]
    fn agents_take_turns_and_each_writes_as_often_as_it_reads() {
        let quiet = quiet(2);
        let sent: Vec<_> = (0..8).map(|number| quiet.request(number).1.path.as_str()).collect();
        assert_eq!(sent, ["/w0a", "/r0", "/w1b", "/r1", "/w0b", "/r0", "/w1a", "/r1"]);
    }

    #[tokio::test]
    async fn failures_are_counted_and_the_first_ones_reported() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/r0", get(|| async { "read" }))
            .fallback(|| async { (StatusCode::SERVICE_UNAVAILABLE, "busy") });
        tokio::spawn(async { axum::serve(listener, router).await });
        let time = Duration::from_millis(390);
        let ran = tokio::task::spawn_blocking(move || {
            quiet(1).run(address, Ipv4Addr::LOCALHOST.into(), Duration::from_millis(100), time)
        });
        let report = ran.await.unwrap().unwrap();
        // The four requests of the warm-up do not count.
        assert_eq!((report.times.quantiles().count, report.failed), (16, 8));
        assert_eq!(report.failures.len(), SHOWN_FAILURES);
        assert!(
            report.failures[0].ends_with("503 Service Unavailable busy"),
            "{:?}",
            report.failures
        );
    }
}
