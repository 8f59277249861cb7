//! Searches. They open very many texts, so they run on threads of their own and few at a time.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use roots_domain::model::id::{AccountId, ActorId};
use roots_domain::service::ReadError;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use super::fair_permits::{FairPermit, FairPermits, PermitLimits, QueueFull};
use crate::problem::Problem;

/// Longest time that a search waits for others to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Limits on searches. Clones share them.
#[derive(Debug, Clone)]
pub struct Searches {
    /// An actor has one search at a time.
    of_actors: FairPermits<(AccountId, ActorId)>,
    /// Accounts take turns.
    of_accounts: FairPermits,
}

/// The permits of a running search.
struct SearchPermits {
    _of_actor: FairPermit<(AccountId, ActorId)>,
    _of_account: FairPermit,
}

impl Default for Searches {
    /// Searches take half of the processors, and at least one.
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::at_once(processors / 2)
    }
}

impl Searches {
    /// Limits with this number of searches at once, and at least one.
    #[must_use]
    pub fn at_once(most: usize) -> Self {
        let waiting = PermitLimits { at_once: 1, at_once_each: 1, waiting: 512, waiting_each: 64 };
        let of_actors = PermitLimits { at_once: usize::MAX, ..waiting };
        let most = most.max(1);
        let of_accounts = PermitLimits { at_once: most, at_once_each: most, ..waiting };
        Self { of_actors: FairPermits::new(of_actors), of_accounts: FairPermits::new(of_accounts) }
    }

    /// Runs an actor's search on a thread of its own once it is the account's turn. If the request
    /// ends first, the search ends at its next read.
    ///
    /// Inside: 503 if the search waited for 1 s, or too many others wait.
    ///
    /// # Errors
    /// The error of the search.
    pub async fn run<T: Send + 'static>(
        &self,
        actor: (AccountId, ActorId),
        search: impl Future<Output = Result<T, ReadError>> + Send + 'static,
    ) -> Result<Result<T, Problem>, ReadError> {
        let permits = tokio::time::timeout(PATIENCE, self.permits(actor)).await;
        let Ok(Ok(permits)) = permits else { return Ok(Err(Problem::too_many_searches())) };
        let (mut reply, found) = oneshot::channel();
        let (runtime, span) = (Handle::current(), Span::current());
        // A thread that serves others would do nothing else meanwhile.
        tokio::task::spawn_blocking(move || {
            let _permits = permits;
            let searching = async {
                tokio::select! {
                    biased;
                    () = reply.closed() => None,
                    found = search => Some(found),
                }
            };
            if let Some(found) = runtime.block_on(searching.instrument(span)) {
                // The request may have ended.
                let _ = reply.send(found);
            }
        });
        match found.await {
            Ok(found) => found.map(Ok),
            Err(_) => Ok(Err(Problem::internal("a search panicked"))),
        }
    }

    async fn permits(&self, actor: (AccountId, ActorId)) -> Result<SearchPermits, QueueFull> {
        // First the actor's: its searches wait for each other without a place among the others.
        let of_actor = self.of_actors.take(actor).await?;
        let of_account = self.of_accounts.take(actor.0).await?;
        Ok(SearchPermits { _of_actor: of_actor, _of_account: of_account })
    }
}

#[cfg(test)]
mod tests {
    use roots_domain::port::store::StoreError;
    use tokio::task::JoinHandle;

    use super::*;

    const ONE: (AccountId, ActorId) = (AccountId(1), ActorId(1));

    type Outcome = Result<Result<u8, Problem>, ReadError>;

    /// Begins a search that ends when it is told to.
    async fn begin(searches: &Searches) -> (oneshot::Sender<()>, JoinHandle<Outcome>) {
        let searches = searches.clone();
        let (started, has_started) = oneshot::channel();
        let (end, told) = oneshot::channel();
        let search = async move {
            started.send(()).unwrap();
            told.await.unwrap();
            Ok(7)
        };
        let running = tokio::spawn(async move { searches.run(ONE, search).await });
        has_started.await.unwrap();
        (end, running)
    }

    fn panics() -> u8 {
        panic!("on purpose")
    }

    fn status(outcome: &Outcome) -> u16 {
        outcome.as_ref().unwrap().as_ref().map_or_else(|problem| problem.status().as_u16(), |_| 200)
    }

    #[tokio::test]
    async fn searches_beyond_the_limit_wait_for_1_s_and_then_get_503() {
        let searches = Searches::at_once(1);
        let (end, running) = begin(&searches).await;
        for other in [ONE, (AccountId(1), ActorId(2)), (AccountId(2), ActorId(1))] {
            assert_eq!(status(&searches.run(other, async { Ok(1) }).await), 503, "{other:?}");
        }
        end.send(()).unwrap();
        assert_eq!(running.await.unwrap().unwrap().unwrap(), 7);
        assert_eq!(status(&searches.run(ONE, async { Ok(1) }).await), 200);
    }

    #[tokio::test]
    async fn an_actor_has_one_search_at_a_time_and_others_go_on() {
        let searches = Searches::at_once(2);
        let (end, running) = begin(&searches).await;
        assert_eq!(status(&searches.run(ONE, async { Ok(1) }).await), 503);
        let other = (AccountId(1), ActorId(2));
        assert_eq!(status(&searches.run(other, async { Ok(1) }).await), 200);
        end.send(()).unwrap();
        assert_eq!(status(&running.await.unwrap()), 200);
    }

    #[tokio::test]
    async fn errors_and_panics_of_a_search_are_answered_and_end_it() {
        let searches = Searches::at_once(0);
        let error = ReadError::Store(StoreError::EpochMoved);
        let failed = error.clone();
        let outcome = searches.run::<u8>(ONE, async { Err(failed) }).await;
        assert_eq!(outcome.unwrap_err(), error);
        let outcome = searches.run(ONE, async { Ok(panics()) }).await;
        assert_eq!(status(&outcome), 500);
        assert_eq!(status(&searches.run(ONE, async { Ok(1) }).await), 200);
    }
}
