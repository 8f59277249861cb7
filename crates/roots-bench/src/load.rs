//! The load generator: many connections that send requests at once. It is a process of its own, so
//! that its processor time can be told from the server's.
//!
//! It reads a [`LoadRequest`] from the standard input and writes a [`LoadReport`] to the standard
//! output.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use crate::client::{Client, ClientError, RequestSpec};
use crate::latency::{Latencies, Quantiles, number};
use crate::usage::{self, UsageError};

/// The rate of the overload, in multiples of the server's peak rate.
pub(crate) const OVERLOAD: f64 = 2.0;
/// In an open loop, a request that finds no free connection for this long is not sent.
const UNSENT_AFTER: Duration = Duration::from_millis(100);
/// An error shows at most this many bytes of an unexpected response.
const SHOWN_BYTES: usize = 500;

/// The load to generate.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LoadRequest {
    /// The servers, over which the connections take turns.
    pub(crate) servers: Vec<LoadedServer>,
    /// Connections that send requests at the same time.
    pub(crate) connections: usize,
    pub(crate) pattern: LoadPattern,
    /// The requests, which are repeated in turn, except with [`LoadPattern::Spread`].
    pub(crate) requests: Vec<RequestSpec>,
    /// The number of the first request: the [`LoadReport::next`] of an earlier load to continue it.
    pub(crate) first: u64,
}

/// A server to load.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct LoadedServer {
    pub(crate) address: SocketAddr,
    /// Its process id.
    pub(crate) id: u32,
}

/// When requests are sent, and when the load ends.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum LoadPattern {
    /// Each connection sends its next request when it has a response.
    ClosedLoop(Window),
    /// Requests are sent at this rate, whether or not earlier ones have responses. Refusals with
    /// 503 are counted separately.
    OpenLoop { per_second: f64, window: Window },
    /// A closed loop that ends after this number of requests.
    Count(u64),
    /// As [`LoadPattern::Count`], but the requests keep their order: each is sent equally often
    /// before the next one.
    Spread(u64),
}

/// The time that is measured, and the warm-up before it, which does not count.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// The measurements of a load.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct LoadReport {
    /// The [`LoadRequest::first`] of a load that continues this one.
    pub(crate) next: u64,
    /// The measured seconds. All fields below are about this time.
    pub(crate) seconds: f64,
    /// Times of successful responses, from when each request was due.
    pub(crate) good: Quantiles,
    /// Times of refusals with 503, from when each request was sent.
    pub(crate) refused: Quantiles,
    /// Requests that were due but found no free connection.
    pub(crate) unsent: u64,
    /// Processor seconds of the load generator, of the servers, and of all processes.
    pub(crate) load_cpu: f64,
    pub(crate) server_cpu: f64,
    pub(crate) machine_cpu: f64,
    /// Processors of the machine.
    pub(crate) processors: usize,
}

impl LoadReport {
    /// Successful responses per second.
    pub(crate) fn rate(&self) -> f64 {
        number(self.good.count) / self.seconds
    }

    /// The share of the machine's processor time that was used.
    pub(crate) fn busy(&self) -> f64 {
        self.machine_cpu / (self.seconds * number(self.processors))
    }
}

/// Why a load failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("{address}: {cause}")]
    Client { address: SocketAddr, cause: ClientError },
    #[error("{address} returned {status}: {body}")]
    UnexpectedStatus { address: SocketAddr, status: StatusCode, body: String },
    #[error("invalid load request: {0}")]
    InvalidRequest(String),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Task(#[from] JoinError),
    #[error("a thread of the load generator panicked")]
    Panicked,
}

/// Generates the load that the standard input requests.
///
/// # Errors
/// See [`LoadError`].
pub(crate) fn run() -> Result<LoadReport, LoadError> {
    let mut request = String::new();
    io::stdin().read_to_string(&mut request)?;
    let request: LoadRequest = serde_json::from_str(&request)
        .map_err(|error| LoadError::InvalidRequest(error.to_string()))?;
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = processors.min(request.connections);
    let (pattern, connections) = (request.pattern, request.connections);
    let run = Arc::new(LoadRun::new(&request)?);

    let share = |thread| connections / threads + usize::from(thread < connections % threads);
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let (run, connections) = (Arc::clone(&run), share(thread));
            thread::spawn(move || work(&run, connections))
        })
        .collect();
    let watched = match pattern {
        LoadPattern::ClosedLoop(window) | LoadPattern::OpenLoop { window, .. } => {
            thread::sleep(window.warm_up);
            let before = CpuSample::now(&run.servers)?;
            thread::sleep(window.time);
            Some((before, CpuSample::now(&run.servers)?))
        }
        LoadPattern::Count(_) | LoadPattern::Spread(_) => None,
    };
    for worker in workers {
        worker.join().map_err(|_| LoadError::Panicked)??;
    }
    let (before, after) = match watched {
        Some(watched) => watched,
        None => (run.before, CpuSample::now(&run.servers)?),
    };
    Ok(run.report(before, after, processors))
}

/// Processor time used up to a point in time.
#[derive(Clone, Copy)]
struct CpuSample {
    at: Instant,
    load: Duration,
    server: Duration,
    machine: Duration,
}

impl CpuSample {
    fn now(servers: &[LoadedServer]) -> Result<Self, UsageError> {
        Ok(Self {
            at: Instant::now(),
            load: usage::of_process(std::process::id())?,
            server: servers
                .iter()
                .map(|server| usage::of_process(server.id))
                .sum::<Result<_, _>>()?,
            machine: usage::of_machine()?,
        })
    }
}

/// A load in progress.
struct LoadRun {
    servers: Vec<LoadedServer>,
    /// How many connections have chosen a server.
    opened: AtomicUsize,
    pattern: LoadPattern,
    requests: Vec<Request<Full<Bytes>>>,
    first: u64,
    /// How many requests the connections have taken.
    taken: AtomicU64,
    begun: Instant,
    before: CpuSample,
    samples: Mutex<LoadSamples>,
}

/// The times of the requests that count.
#[derive(Default)]
struct LoadSamples {
    good: Latencies,
    refused: Latencies,
    unsent: u64,
}

impl LoadSamples {
    fn append(&mut self, other: Self) {
        self.good.append(other.good);
        self.refused.append(other.refused);
        self.unsent += other.unsent;
    }
}

/// A request to send now.
struct DueRequest {
    number: u64,
    at: Instant,
}

impl LoadRun {
    fn new(request: &LoadRequest) -> Result<Self, LoadError> {
        let requests: Result<Vec<_>, _> =
            request.requests.iter().map(RequestSpec::to_http).collect();
        let requests = requests.map_err(|error| LoadError::InvalidRequest(error.to_string()))?;
        if requests.is_empty() {
            return Err(LoadError::InvalidRequest("it has no requests".to_owned()));
        }
        if request.servers.is_empty() {
            return Err(LoadError::InvalidRequest("it has no servers".to_owned()));
        }
        Ok(Self {
            servers: request.servers.clone(),
            opened: AtomicUsize::new(0),
            pattern: request.pattern,
            requests,
            first: request.first,
            taken: AtomicU64::new(0),
            begun: Instant::now(),
            before: CpuSample::now(&request.servers)?,
            samples: Mutex::default(),
        })
    }

    fn request(&self, taken: u64) -> Request<Full<Bytes>> {
        let requests = self.requests.len() as u64;
        let number = match self.pattern {
            LoadPattern::Spread(count) => taken * requests / count,
            _ => (self.first + taken) % requests,
        };
        self.requests[usize::try_from(number).unwrap_or_default()].clone()
    }

    /// The measured time. No requests are sent after its end.
    fn window(&self) -> Option<(Instant, Instant)> {
        match self.pattern {
            LoadPattern::ClosedLoop(window) | LoadPattern::OpenLoop { window, .. } => {
                let from = self.begun + window.warm_up;
                Some((from, from + window.time))
            }
            LoadPattern::Count(_) | LoadPattern::Spread(_) => None,
        }
    }

    /// Takes the next request, when it is due.
    async fn next(&self, samples: &mut LoadSamples) -> Option<DueRequest> {
        loop {
            if self.window().is_some_and(|(_, until)| Instant::now() >= until) {
                return None;
            }
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            let per_second = match self.pattern {
                LoadPattern::ClosedLoop(_) => {
                    return Some(DueRequest { number, at: Instant::now() });
                }
                LoadPattern::Count(count) | LoadPattern::Spread(count) => {
                    return (number < count).then(|| DueRequest { number, at: Instant::now() });
                }
                LoadPattern::OpenLoop { per_second, .. } => per_second,
            };
            #[expect(clippy::cast_precision_loss, reason = "a few millions at most")]
            let at = self.begun + Duration::from_secs_f64(number as f64 / per_second);
            let (from, until) = self.window().unwrap_or((at, at));
            if at >= until {
                return None;
            }
            let now = Instant::now();
            if now.duration_since(at) < UNSENT_AFTER {
                if at > now {
                    sleep_until(at.into()).await;
                }
                return Some(DueRequest { number, at });
            }
            samples.unsent += u64::from(at >= from);
        }
    }

    /// Whether a response that arrives now counts.
    fn counts(&self, now: Instant) -> bool {
        self.window().is_none_or(|(from, until)| (from..until).contains(&now))
    }

    /// Sends requests over one connection until the load ends, and awaits the last response.
    async fn send_all(&self) -> Result<LoadSamples, LoadError> {
        let turn = self.opened.fetch_add(1, Ordering::Relaxed);
        let address = self.servers[turn % self.servers.len()].address;
        let failed = |cause| LoadError::Client { address, cause };
        let mut client = Client::open(address).await.map_err(failed)?;
        let mut samples = LoadSamples::default();
        while let Some(due) = self.next(&mut samples).await {
            let sent = Instant::now();
            let response = client.send(self.request(due.number)).await.map_err(failed)?;
            let now = Instant::now();
            let refused = matches!(self.pattern, LoadPattern::OpenLoop { .. })
                && response.status == StatusCode::SERVICE_UNAVAILABLE;
            if !refused && !response.status.is_success() {
                let shown = &response.body[..response.body.len().min(SHOWN_BYTES)];
                return Err(LoadError::UnexpectedStatus {
                    address,
                    status: response.status,
                    body: String::from_utf8_lossy(shown).into_owned(),
                });
            }
            if self.counts(now) {
                if refused {
                    samples.refused.record(now - sent);
                } else {
                    samples.good.record(now - due.at);
                }
            }
        }
        Ok(samples)
    }

    fn report(&self, before: CpuSample, after: CpuSample, processors: usize) -> LoadReport {
        let taken = self.taken.load(Ordering::Relaxed);
        let sent = match self.pattern {
            LoadPattern::Count(count) | LoadPattern::Spread(count) => taken.min(count),
            LoadPattern::ClosedLoop(_) | LoadPattern::OpenLoop { .. } => taken,
        };
        let samples =
            std::mem::take(&mut *self.samples.lock().unwrap_or_else(PoisonError::into_inner));
        let seconds = match self.pattern {
            LoadPattern::ClosedLoop(window) | LoadPattern::OpenLoop { window, .. } => window.time,
            LoadPattern::Count(_) | LoadPattern::Spread(_) => after.at - before.at,
        };
        let cpu_seconds =
            |of: fn(&CpuSample) -> Duration| of(&after).saturating_sub(of(&before)).as_secs_f64();
        LoadReport {
            next: self.first + sent,
            seconds: seconds.as_secs_f64(),
            good: samples.good.quantiles(),
            refused: samples.refused.quantiles(),
            unsent: samples.unsent,
            load_cpu: cpu_seconds(|sample| sample.load),
            server_cpu: cpu_seconds(|sample| sample.server),
            machine_cpu: cpu_seconds(|sample| sample.machine),
            processors,
        }
    }
}

/// Runs one thread with this number of connections.
fn work(run: &Arc<LoadRun>, connections: usize) -> Result<(), LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let run = Arc::clone(run);
            tasks.spawn(async move { run.send_all().await });
        }
        while let Some(ended) = tasks.join_next().await {
            let samples = ended??;
            run.samples.lock().unwrap_or_else(PoisonError::into_inner).append(samples);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;
    use crate::floor::web;

    /// A load on the web floor, which serves responses of 8 to 10 bytes.
    async fn load_request(pattern: LoadPattern, sizes: &[usize]) -> LoadRequest {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, web::router(&[8, 9, 10])).await });
        let requests = sizes.iter().map(|bytes| RequestSpec::get(web::path(*bytes))).collect();
        LoadRequest {
            servers: vec![LoadedServer { address, id: std::process::id() }],
            connections: 4,
            pattern,
            requests,
            first: 5,
        }
    }

    async fn run_load(request: &LoadRequest) -> Result<LoadReport, LoadError> {
        let run = Arc::new(LoadRun::new(request)?);
        let (worker, connections) = (Arc::clone(&run), request.connections);
        tokio::task::spawn_blocking(move || work(&worker, connections)).await??;
        Ok(run.report(run.before, CpuSample::now(&run.servers)?, 1))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_counted_load_sends_that_many_requests() {
        let report = run_load(&load_request(LoadPattern::Count(50), &[8, 9]).await).await.unwrap();
        assert_eq!((report.good.count, report.refused.count, report.unsent), (50, 0, 0));
        assert_eq!(report.next, 55);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn connections_take_turns_over_the_servers() {
        let mut request = load_request(LoadPattern::Count(50), &[8]).await;
        let there = load_request(LoadPattern::Count(50), &[8]).await.servers[0];
        // Nothing listens here: the server's listener is gone.
        let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let away = LoadedServer { address: gone.local_addr().unwrap(), ..there };
        drop(gone);
        request.servers.push(there);
        assert_eq!(run_load(&request).await.unwrap().good.count, 50);
        request.servers.push(away);
        let error = run_load(&request).await.unwrap_err();
        let LoadError::Client { address, .. } = error else { panic!("{error}") };
        assert_eq!(address, away.address, "of four connections, the third is for this server");
        request.servers.clear();
        assert!(matches!(run_load(&request).await, Err(LoadError::InvalidRequest(_))));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_unexpected_status_ends_the_load() {
        let error =
            run_load(&load_request(LoadPattern::Count(50), &[8, 11]).await).await.unwrap_err();
        let LoadError::UnexpectedStatus { status, .. } = error else { panic!("{error}") };
        assert_eq!(status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn requests_are_repeated_in_turn_or_spread_in_order() {
        let sent = |run: &LoadRun, taken| run.request(taken).uri().path().to_owned();
        let run = LoadRun::new(&load_request(LoadPattern::Count(9), &[8, 9, 10]).await).unwrap();
        // The load starts at number 5, the third of three requests.
        assert_eq!([0, 1, 2, 3].map(|taken| sent(&run, taken)), ["/10", "/8", "/9", "/10"]);
        let run = LoadRun::new(&load_request(LoadPattern::Spread(6), &[8, 9, 10]).await).unwrap();
        let spread = [0, 1, 2, 3, 4, 5].map(|taken| sent(&run, taken));
        assert_eq!(spread, ["/8", "/8", "/9", "/9", "/10", "/10"]);
    }

    #[tokio::test]
    async fn an_open_loop_load_skips_requests_overdue_by_more_than_100_ms() {
        let window = Window { warm_up: Duration::ZERO, time: Duration::from_hours(1) };
        let pattern = LoadPattern::OpenLoop { per_second: 100.0, window };
        let mut run = LoadRun::new(&load_request(pattern, &[8]).await).unwrap();
        run.begun = run.begun.checked_sub(Duration::from_mins(1)).unwrap();
        let mut samples = LoadSamples::default();
        let due = run.next(&mut samples).await.unwrap();
        // All requests of the last minute are overdue; only those of the last 100 ms are sent.
        assert_eq!(due.number, samples.unsent);
        assert!(samples.unsent >= 5_990, "{}", samples.unsent);
    }
}
