//! The quiet account: eight agents that together write 20 times and read 20 times a second.
//!
//! A request is sent when it is due, whether or not the earlier ones are answered, and its time counts
//! from when it was due. So a server that answers nothing for a second is told in every request of that
//! second.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::client::{Ask, Client, ClientError};
use crate::latency::Latencies;

/// Requests a second, of all agents together.
const PER_SECOND: u32 = 40;
/// An agent that has no answer by then gives up, and the request has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many failures are told in words, and how much of each answer.
const TOLD_FAILURES: usize = 3;
const SHOWN_BYTES: usize = 200;

/// What the agents of a quiet account ask.
#[derive(Debug, Clone)]
pub(crate) struct Quiet {
    /// What each agent writes and reads, each list in turn.
    pub(crate) agents: Vec<Agent>,
}

#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) writes: Vec<Ask>,
    pub(crate) reads: Vec<Ask>,
}

/// What the agents met.
#[derive(Debug, Default)]
pub(crate) struct Met {
    /// From when each request was due, those that failed included.
    pub(crate) times: Latencies,
    pub(crate) failed: usize,
    /// How many were asked once more, for the connection was closed just when they were sent.
    pub(crate) asked_again: usize,
    /// The first failures, in words.
    pub(crate) failures: Vec<String>,
}

/// Kept connections of an agent that are not in use.
type Idle = Arc<Mutex<HashMap<usize, Vec<Client>>>>;

impl Quiet {
    /// The request of that number: who asks, and what. Agents take turns, each with a write and a read.
    fn ask(&self, number: usize) -> (usize, &Ask) {
        let agent = number / 2 % self.agents.len();
        let round = number / 2 / self.agents.len();
        let Agent { writes, reads } = &self.agents[agent];
        let asks = if number.is_multiple_of(2) { writes } else { reads };
        // Agents do different things at a time.
        (agent, &asks[(agent + round) % asks.len()])
    }

    /// Asks for `warm_up`, which does not count, and for `time`, which does. The connections come from
    /// the address `from`.
    ///
    /// # Errors
    /// The runtime can't be made, or a request can't be written.
    pub(crate) fn live(
        &self,
        server: SocketAddr,
        from: IpAddr,
        warm_up: Duration,
        time: Duration,
    ) -> Result<Met, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let begun = Instant::now();
            let idle = Idle::default();
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
                let (agent, ask) = self.ask(number);
                // Half of the requests come over a connection of their own, as from a command line.
                let keeps = (number / 2 / self.agents.len()).is_multiple_of(2);
                let idle = keeps.then(|| (Arc::clone(&idle), agent));
                let (request, path) = (ask.request()?, ask.path.clone());
                let counts = after >= warm_up;
                tasks.spawn(async move {
                    let asked = timeout(PATIENCE, perform(server, from, idle, request)).await;
                    let (asked_again, failure) = match asked {
                        Ok(Ok(Told { refused, asked_again })) => {
                            (asked_again, refused.map(|refused| format!("{path}: {refused}")))
                        }
                        Ok(Err(error)) => (false, Some(format!("{path}: {error}"))),
                        Err(_) => (false, Some(format!("{path}: no answer within 10 s"))),
                    };
                    (counts, due.elapsed(), asked_again, failure)
                });
                number += 1;
            }
            let mut met = Met::default();
            while let Some(ended) = tasks.join_next().await {
                let Ok((true, took, asked_again, failure)) = ended else { continue };
                met.times.record(took);
                met.asked_again += usize::from(asked_again);
                met.failed += usize::from(failure.is_some());
                if met.failures.len() < TOLD_FAILURES {
                    met.failures.extend(failure);
                }
            }
            Ok(met)
        })
    }
}

/// What became of a request.
struct Told {
    /// How it was refused, if it was.
    refused: Option<String>,
    asked_again: bool,
}

/// Sends one request.
///
/// A connection that lay idle may be closed just when the request is sent. The server has then done
/// nothing, for it cuts no request that it has read, so the client connects anew and asks once more.
async fn perform(
    server: SocketAddr,
    from: IpAddr,
    idle: Option<(Idle, usize)>,
    request: Request<Full<Bytes>>,
) -> Result<Told, ClientError> {
    let mut kept = idle.as_ref().and_then(|(idle, agent)| {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get_mut(agent)?.pop()
    });
    // The server closes what lies idle; a client then connects anew.
    if let Some(client) = &mut kept
        && !client.is_open().await
    {
        kept = None;
    }
    let mut asked_again = false;
    let answered = match kept {
        None => None,
        Some(mut client) => match client.send(request.clone()).await {
            Err(ClientError::NoneBegan(_)) => {
                asked_again = true;
                None
            }
            sent => Some((sent?, client)),
        },
    };
    let (answer, client) = if let Some(answered) = answered {
        answered
    } else {
        let mut client = Client::open_from(server, Some(from)).await?;
        (client.send(request).await?, client)
    };
    if let Some((idle, agent)) = idle {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.entry(agent).or_default().push(client);
    }
    let shown = &answer.body[..answer.body.len().min(SHOWN_BYTES)];
    let refused = || format!("{} {}", answer.status, String::from_utf8_lossy(shown));
    Ok(Told { refused: (!answer.status.is_success()).then(refused), asked_again })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    fn quiet(agents: usize) -> Quiet {
        let agent = |number| Agent {
            writes: vec![Ask::plain(format!("/w{number}a")), Ask::plain(format!("/w{number}b"))],
            reads: vec![Ask::plain(format!("/r{number}"))],
        };
        Quiet { agents: (0..agents).map(agent).collect() }
    }

    #[test]
    fn agents_take_turns_and_each_writes_as_often_as_it_reads() {
        let quiet = quiet(2);
        let asked: Vec<_> = (0..8).map(|number| quiet.ask(number).1.path.as_str()).collect();
        assert_eq!(asked, ["/w0a", "/r0", "/w1b", "/r1", "/w0b", "/r0", "/w1a", "/r1"]);
    }

    #[tokio::test]
    async fn what_fails_is_counted_and_told() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/r0", get(|| async { "read" }))
            .fallback(|| async { (StatusCode::SERVICE_UNAVAILABLE, "busy") });
        tokio::spawn(async { axum::serve(listener, router).await });
        let time = Duration::from_millis(390);
        let lived = tokio::task::spawn_blocking(move || {
            quiet(1).live(address, Ipv4Addr::LOCALHOST.into(), Duration::from_millis(100), time)
        });
        let met = lived.await.unwrap().unwrap();
        // The warm-up's four do not count.
        assert_eq!((met.times.quantiles().count, met.failed), (16, 8));
        assert_eq!(met.failures.len(), TOLD_FAILURES);
        assert!(met.failures[0].ends_with("503 Service Unavailable busy"), "{:?}", met.failures);
    }
}
