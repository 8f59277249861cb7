//! An open stream: it follows its account, and ends with the key that opened it.

use std::sync::Arc;
use std::time::Duration;

use roots_domain::model::id::AccountId;
use roots_domain::model::time::Timestamp;
use roots_domain::port::crypto::Lookup;
use roots_domain::port::store::AccountState;
use roots_domain::service::ReadError;
use roots_domain::service::access::Caller;
use tokio::select;
use tokio::time::{Instant, sleep_until, timeout};

use super::account_watch::Following;
use super::places::{StreamHolder, StreamPlace};
use crate::auth::authenticate::Bearer;
use crate::middleware::fair_permits::{FairPermit, QueueFull};
use crate::problem::Problem;
use crate::shutdown::Shutdown;
use crate::state::SharedState;

/// How often a comment is sent: sooner than proxies give up.
pub const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// How long a stream stays open. A client that has stopped reading, but whose system still takes
/// the few bytes of the comments, keeps its place no longer. Others open the stream again.
pub const OPEN_FOR: Duration = Duration::from_hours(1);

/// How long a read may take.
pub const READ_WITHIN: Duration = Duration::from_secs(2);

/// What opens a stream, and so what the stream counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// An actor, by an API key.
    Api,
    /// A sign-in, by a page.
    Page,
}

/// A stream that is open. Its place is free again once it is dropped. It holds no keys: it stays
/// open for long, and a page's stream opens nothing.
pub struct OpenStream {
    account: AccountId,
    lookup: Lookup,
    /// The time from which its key admits nobody.
    ends_at: Option<Timestamp>,
    state: SharedState,
    following: Following,
    shutdown: Shutdown,
    /// The auth epoch and the sign-in epoch under which the key was last found in force.
    checked: Option<(i64, i64)>,
    /// The state that was told last.
    told: Option<AccountState>,
    comment_at: Instant,
    until: Instant,
    _place: StreamPlace,
}

/// What an open stream has to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The account has come to this state. The first one comes with the first round.
    Moved(AccountState),
    /// [`COMMENT_EVERY`] has passed: whatever is told, something must be sent.
    Comment,
}

/// What came of waiting for the turn to read.
pub enum Turn<T> {
    /// It was this stream's turn.
    Taken(T),
    /// As [`Moment::Comment`]. Nothing was read.
    Comment,
    /// The stream ends. Nothing was read.
    Over,
}

impl OpenStream {
    /// Opens a stream for the bearer of a key.
    ///
    /// # Errors
    /// 503 if there is no place for it.
    pub fn open(bearer: &Bearer, kind: StreamKind) -> Result<Self, Problem> {
        let (account, now) = (bearer.account.id, Instant::now());
        let holder = match kind {
            StreamKind::Api => StreamHolder::Actor(account, bearer.actor.id),
            StreamKind::Page => StreamHolder::SignIn(account, bearer.lookup()),
        };
        let state = Arc::clone(bearer.state());
        let place = state.stream_places.take(holder)?;
        Ok(Self {
            account,
            lookup: bearer.lookup(),
            ends_at: bearer.ends_at,
            following: state.account_watch.follow(account),
            shutdown: state.shutdown.clone(),
            state,
            checked: None,
            told: None,
            comment_at: now + COMMENT_EVERY,
            until: now + OPEN_FOR,
            _place: place,
        })
    }

    /// Reads what it tells, in its turn: all streams learn in the same moment that something was
    /// written, and if they all read then, the agents that write would wait for them.
    ///
    /// # Errors
    /// As [`Bearer::read`]; 500 if it takes longer than [`READ_WITHIN`], so that no stream keeps
    /// the others waiting.
    pub async fn read<T, F>(
        &mut self,
        bearer: &mut Bearer,
        read: impl Fn(Arc<Caller>) -> F,
    ) -> Result<Turn<T>, Problem>
    where
        F: Future<Output = Result<T, ReadError>>,
    {
        let _turn = match self.turn().await {
            Turn::Taken(turn) => turn,
            Turn::Comment => return Ok(Turn::Comment),
            Turn::Over => return Ok(Turn::Over),
        };
        in_time(bearer.read(read)).await.map(Turn::Taken)
    }

    /// Waits for its turn to read, but for no longer than it may stay open.
    async fn turn(&mut self) -> Turn<Result<FairPermit, QueueFull>> {
        if self.has_expired() {
            return Turn::Over;
        }
        select! {
            biased;
            () = self.shutdown.begun() => Turn::Over,
            () = sleep_until(self.until) => Turn::Over,
            () = self.following.lost() => Turn::Over,
            turn = self.state.stream_turns.take(self.account) => Turn::Taken(turn),
            () = sleep_until(self.comment_at) => {
                self.comment_at = Instant::now() + COMMENT_EVERY;
                Turn::Comment
            }
        }
    }

    /// Whether the time at which its key ends by itself has passed.
    fn has_expired(&self) -> bool {
        self.state.access.has_ended(self.ends_at)
    }

    /// Waits for what to tell next. `None` ends the stream: its key has ended, the server stops,
    /// the account is gone, the database is away, or it was open for [`OPEN_FOR`].
    ///
    /// Each round looks whether the key has ended: by time, or by an act, which raises the
    /// account's auth epoch or its sign-in epoch. So wherever the act was done, a stream outlives
    /// its key by less than 1 s and the wait for its turn.
    pub async fn next(&mut self) -> Option<Moment> {
        loop {
            let round = select! {
                biased;
                () = self.shutdown.begun() => return None,
                () = sleep_until(self.until) => return None,
                () = sleep_until(self.comment_at) => {
                    self.comment_at = Instant::now() + COMMENT_EVERY;
                    return Some(Moment::Comment);
                }
                round = self.following.round() => round,
            };
            let state = round.ok()?;
            if self.has_expired() {
                return None;
            }
            let epoch = state.map(|state| (state.auth_epoch, state.sign_in_epoch));
            if epoch != self.checked {
                let _turn = match self.turn().await {
                    Turn::Taken(turn) => turn,
                    Turn::Comment => return Some(Moment::Comment),
                    Turn::Over => return None,
                };
                let check = self.state.access.check_again(self.lookup);
                let still = in_time(async { Ok(check.await?) }).await.ok()?;
                self.ends_at = still.ends_at;
                self.checked = epoch;
            }
            if state.is_some() && state != self.told {
                self.told = state;
                return state.map(Moment::Moved);
            }
        }
    }
}

/// A read's result, unless it takes longer than [`READ_WITHIN`].
async fn in_time<T>(read: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let late = |_| Err(Problem::internal("a read took too long"));
    timeout(READ_WITHIN, read).await.unwrap_or_else(late)
}
