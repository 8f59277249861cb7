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
    /// What was done, from when it was due.
    pub(crate) good: Quantiles,
    /// What was refused with 503, from when it was sent.
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
            let sent = Instant::now();
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
                if refused {
                    outcome.refused.record(now - sent);
                } else {
                    outcome.good.record(now - due.at);
                }
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;
    use crate::floor::web;

    /// An order to the web floor, with answers of 8 to 10 bytes.
    async fn order(pace: Pace, sizes: &[usize]) -> Order {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, web::router(&[8, 9, 10])).await });
        let asks = sizes.iter().map(|bytes| Ask::plain(web::path(*bytes))).collect();
        Order { address, server: std::process::id(), connections: 4, pace, asks, first: 5 }
    }

    async fn carry_out(order: &Order) -> Result<Told, LoadError> {
        let run = Arc::new(Run::new(order)?);
        let (worker, connections) = (Arc::clone(&run), order.connections);
        tokio::task::spawn_blocking(move || work(&worker, connections)).await??;
        Ok(run.told(run.before, Spent::now(run.server)?, 1))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn as_many_as_were_ordered_are_asked() {
        let told = carry_out(&order(Pace::Count(50), &[8, 9]).await).await.unwrap();
        assert_eq!((told.good.count, told.refused.count, told.unsent), (50, 0, 0));
        assert_eq!(told.next, 55);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_answer_that_was_not_expected_ends_the_load() {
        let error = carry_out(&order(Pace::Count(50), &[8, 11]).await).await.unwrap_err();
        let LoadError::Unexpected { status, .. } = error else { panic!("{error}") };
        assert_eq!(status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn what_is_asked_goes_round_or_is_spread() {
        let asked = |run: &Run, taken| run.request(taken).uri().path().to_owned();
        let run = Run::new(&order(Pace::Count(9), &[8, 9, 10]).await).unwrap();
        // Where the last order ended: at the sixth.
        assert_eq!([0, 1, 2, 3].map(|taken| asked(&run, taken)), ["/10", "/8", "/9", "/10"]);
        let run = Run::new(&order(Pace::Spread(6), &[8, 9, 10]).await).unwrap();
        let spread = [0, 1, 2, 3, 4, 5].map(|taken| asked(&run, taken));
        assert_eq!(spread, ["/8", "/8", "/9", "/9", "/10", "/10"]);
    }

    #[tokio::test]
    async fn what_finds_no_connection_in_time_is_not_sent() {
        let window = Window { warm_up: Duration::ZERO, time: Duration::from_hours(1) };
        let pace = Pace::Rate { per_second: 100.0, window };
        let mut run = Run::new(&order(pace, &[8]).await).unwrap();
        run.begun = run.begun.checked_sub(Duration::from_mins(1)).unwrap();
        let mut outcome = Outcome::default();
        let due = run.next(&mut outcome).await.unwrap();
        // A minute late, of which it makes up all but the last moments.
        assert_eq!(due.number, outcome.unsent);
        assert!(outcome.unsent >= 5_990, "{}", outcome.unsent);
    }
}
