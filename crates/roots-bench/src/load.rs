//! The load: many connections that ask at once, in a process of its own, so that what it takes of the
//! machine is told apart from what is measured.
//!
//! What to ask comes in on the standard input as an [`Order`], what came of it goes out on the
//! standard output as a [`Told`].

use std::io::{self, Read};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use crate::client::{Ask, Client, ClientError};
use crate::latency::{Latencies, Quantiles, number};
use crate::usage::{self, Untold};

/// A request at a given rate that finds no free connection for so long is not sent any more.
const UNSENT_AFTER: Duration = Duration::from_millis(100);
/// How much of an answer that was not expected is shown.
const SHOWN_BYTES: usize = 500;

/// What to ask.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) address: SocketAddr,
    /// The process that answers.
    pub(crate) server: u32,
    /// Connections that ask at once.
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// The requests; in turn, over and over, but for [`Pace::Spread`].
    pub(crate) asks: Vec<Ask>,
    /// The number of the first one, to go on where the last order ended.
    pub(crate) first: u64,
}

/// How fast to ask, and until when.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Pace {
    /// Each connection asks again as soon as it is answered, for some time.
    Steady(Window),
    /// So many requests a second, whether the earlier ones are answered or not. What is refused with
    /// 503 is counted apart.
    Rate { per_second: f64, window: Window },
    /// As steady, but so many in all.
    Count(u64),
    /// As [`Pace::Count`], the requests in their order, each as often as the others.
    Spread(u64),
}

/// A time that counts, after one that does not.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// What came of an order.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The number that the next order begins with.
    pub(crate) next: u64,
    /// The seconds that count; all the rest is of them alone.
    pub(crate) seconds: f64,
    /// What was done.
    pub(crate) good: Quantiles,
    /// What was refused with 503.
    pub(crate) refused: Quantiles,
    /// What was due and found no free connection.
    pub(crate) unsent: u64,
    /// Seconds that processors spent on the load, on what answered it, and on all processes.
    pub(crate) load_cpu: f64,
    pub(crate) server_cpu: f64,
    pub(crate) machine_cpu: f64,
    /// Processors that there are.
    pub(crate) processors: usize,
}

impl Told {
    /// What was done a second.
    pub(crate) fn rate(&self) -> f64 {
        number(self.good.count) / self.seconds
    }

    /// How much of the machine was busy, of 1.
    pub(crate) fn busy(&self) -> f64 {
        self.machine_cpu / (self.seconds * number(self.processors))
    }
}

/// Why a load ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("{address}: {cause}")]
    Client { address: SocketAddr, cause: ClientError },
    #[error("{address} answered {status}: {body}")]
    Unexpected { address: SocketAddr, status: StatusCode, body: String },
    #[error("no order: {0}")]
    Order(String),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Untold(#[from] Untold),
    #[error(transparent)]
    Task(#[from] JoinError),
    #[error("a thread of the load panicked")]
    Panicked,
}

/// Carries out the order on the standard input.
///
/// # Errors
/// See [`LoadError`].
pub(crate) fn perform() -> Result<Told, LoadError> {
    let mut order = String::new();
    io::stdin().read_to_string(&mut order)?;
    let order: Order =
        serde_json::from_str(&order).map_err(|error| LoadError::Order(error.to_string()))?;
    let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = processors.min(order.connections);
    let (pace, connections) = (order.pace, order.connections);
    let run = Arc::new(Run::new(&order)?);

    let share = |thread| connections / threads + usize::from(thread < connections % threads);
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let (run, connections) = (Arc::clone(&run), share(thread));
            thread::spawn(move || work(&run, connections))
        })
        .collect();
    let watched = match pace {
        Pace::Steady(window) | Pace::Rate { window, .. } => {
            thread::sleep(window.warm_up);
            let before = Spent::now(run.server)?;
            thread::sleep(window.time);
            Some((before, Spent::now(run.server)?))
        }
        Pace::Count(_) | Pace::Spread(_) => None,
    };
    for worker in workers {
        worker.join().map_err(|_| LoadError::Panicked)??;
    }
    let (before, after) = match watched {
        Some(watched) => watched,
        None => (run.before, Spent::now(run.server)?),
    };
    Ok(run.told(before, after, processors))
}

/// What processors had spent at a time.
#[derive(Clone, Copy)]
struct Spent {
    at: Instant,
    load: Duration,
    server: Duration,
    machine: Duration,
}

impl Spent {
    fn now(server: u32) -> Result<Self, Untold> {
        Ok(Self {
            at: Instant::now(),
            load: usage::of_process(std::process::id())?,
            server: usage::of_process(server)?,
            machine: usage::of_machine()?,
        })
    }
}

/// An order that is carried out.
struct Run {
    address: SocketAddr,
    server: u32,
    pace: Pace,
    requests: Vec<Request<Full<Bytes>>>,
    first: u64,
    /// How many were taken on.
    taken: AtomicU64,
    begun: Instant,
    before: Spent,
    outcome: Mutex<Outcome>,
}

/// What came of the requests that count.
#[derive(Default)]
struct Outcome {
    good: Latencies,
    refused: Latencies,
    unsent: u64,
}

impl Outcome {
    fn append(&mut self, other: Self) {
        self.good.append(other.good);
        self.refused.append(other.refused);
        self.unsent += other.unsent;
    }
}

/// A request that is to be sent now.
struct Due {
    number: u64,
    at: Instant,
}

impl Run {
    fn new(order: &Order) -> Result<Self, LoadError> {
        let requests: Result<Vec<_>, _> = order.asks.iter().map(Ask::request).collect();
        let requests = requests.map_err(|error| LoadError::Order(error.to_string()))?;
        if requests.is_empty() {
            return Err(LoadError::Order("it asks nothing".to_owned()));
        }
        Ok(Self {
            address: order.address,
            server: order.server,
            pace: order.pace,
            requests,
            first: order.first,
            taken: AtomicU64::new(0),
            begun: Instant::now(),
            before: Spent::now(order.server)?,
            outcome: Mutex::default(),
        })
    }

    fn request(&self, taken: u64) -> Request<Full<Bytes>> {
        let requests = self.requests.len() as u64;
        let number = match self.pace {
            Pace::Spread(count) => taken * requests / count,
            _ => (self.first + taken) % requests,
        };
        self.requests[usize::try_from(number).unwrap_or_default()].clone()
    }

    /// From when on answers count, and until when requests are sent.
    fn window(&self) -> Option<(Instant, Instant)> {
        match self.pace {
            Pace::Steady(window) | Pace::Rate { window, .. } => {
                let from = self.begun + window.warm_up;
                Some((from, from + window.time))
            }
            Pace::Count(_) | Pace::Spread(_) => None,
        }
    }

    /// Takes on the next request, once it is due.
    async fn next(&self, outcome: &mut Outcome) -> Option<Due> {
        loop {
            if self.window().is_some_and(|(_, until)| Instant::now() >= until) {
                return None;
            }
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            let per_second = match self.pace {
                Pace::Steady(_) => return Some(Due { number, at: Instant::now() }),
                Pace::Count(count) | Pace::Spread(count) => {
                    return (number < count).then(|| Due { number, at: Instant::now() });
                }
                Pace::Rate { per_second, .. } => per_second,
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
                return Some(Due { number, at });
            }
            outcome.unsent += u64::from(at >= from);
        }
    }

    /// Whether a request that was answered now counts.
    fn counts(&self, now: Instant) -> bool {
        self.window().is_none_or(|(from, until)| (from..until).contains(&now))
    }

    /// Asks over one connection until nothing is left to ask, and waits for the last answer.
    async fn ask(&self) -> Result<Outcome, LoadError> {
        let failed = |cause| LoadError::Client { address: self.address, cause };
        let mut client = Client::open(self.address).await.map_err(failed)?;
        let mut outcome = Outcome::default();
        while let Some(due) = self.next(&mut outcome).await {
            let answer = client.send(self.request(due.number)).await.map_err(failed)?;
            let now = Instant::now();
            let refused = matches!(self.pace, Pace::Rate { .. })
                && answer.status == StatusCode::SERVICE_UNAVAILABLE;
            if !refused && !answer.status.is_success() {
                let shown = &answer.body[..answer.body.len().min(SHOWN_BYTES)];
                return Err(LoadError::Unexpected {
                    address: self.address,
                    status: answer.status,
                    body: String::from_utf8_lossy(shown).into_owned(),
                });
            }
            if self.counts(now) {
                let kind = if refused { &mut outcome.refused } else { &mut outcome.good };
                kind.record(now - due.at);
            }
        }
        Ok(outcome)
    }

    fn told(&self, before: Spent, after: Spent, processors: usize) -> Told {
        let taken = self.taken.load(Ordering::Relaxed);
        let asked = match self.pace {
            Pace::Count(count) | Pace::Spread(count) => taken.min(count),
            Pace::Steady(_) | Pace::Rate { .. } => taken,
        };
        let outcome =
            std::mem::take(&mut *self.outcome.lock().unwrap_or_else(PoisonError::into_inner));
        let seconds = match self.pace {
            Pace::Steady(window) | Pace::Rate { window, .. } => window.time,
            Pace::Count(_) | Pace::Spread(_) => after.at - before.at,
        };
        let spent =
            |of: fn(&Spent) -> Duration| of(&after).saturating_sub(of(&before)).as_secs_f64();
        Told {
            next: self.first + asked,
            seconds: seconds.as_secs_f64(),
            good: outcome.good.quantiles(),
            refused: outcome.refused.quantiles(),
            unsent: outcome.unsent,
            load_cpu: spent(|spent| spent.load),
            server_cpu: spent(|spent| spent.server),
            machine_cpu: spent(|spent| spent.machine),
            processors,
        }
    }
}

/// What one thread does: so many connections, none of which it shares.
fn work(run: &Arc<Run>, connections: usize) -> Result<(), LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let run = Arc::clone(run);
            tasks.spawn(async move { run.ask().await });
        }
        while let Some(ended) = tasks.join_next().await {
            let outcome = ended??;
            run.outcome.lock().unwrap_or_else(PoisonError::into_inner).append(outcome);
        }
        Ok(())
    })
}
