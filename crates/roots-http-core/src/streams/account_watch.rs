//! Follows accounts: one statement each 500 ms tells how far all of those have come that a stream
//! of this process follows.
//!
//! Nothing is asked while no stream is open. A process of PostgreSQL learns in the same way what
//! other processes have written: `NOTIFY` would take a lock over all accounts at each COMMIT, and
//! tell nothing on a connection that was cut.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use roots_domain::model::id::AccountId;
use roots_domain::port::store::{AccountState, EventReader, Placement, STATES_MAX, by_server};
use tokio::sync::watch;
use tokio::time::{self, Instant, MissedTickBehavior};
use tracing::warn;

/// How often it asks.
pub const ROUND_EVERY: Duration = Duration::from_millis(500);
/// How long one statement may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// After how long without an answer the streams of an account end: they would show what is old as
/// if it were new.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// Follows accounts. Clones follow together.
#[derive(Clone)]
pub struct AccountWatch(Arc<Watch>);

struct Watch {
    reader: Arc<dyn EventReader>,
    placement: Arc<dyn Placement>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    followed: HashMap<AccountId, Followed>,
    /// Whether a [`WatchTask`] runs.
    is_served: bool,
}

struct Followed {
    /// `None` before the first answer. It is sent in each round, changed or not.
    states: watch::Sender<Option<AccountState>>,
    /// The last answer, or when it was first asked about.
    answered: Instant,
}

/// A stream's view of its account.
pub struct Following(watch::Receiver<Option<AccountState>>);

/// The account is gone, or the database has not answered for 5 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

impl Following {
    /// Waits for the next round that begins after the last one that this has told of. It is over
    /// within 500 ms and the time that the database takes. Returns the last known state; `None` if
    /// the database has not answered yet.
    ///
    /// # Errors
    /// The account can't be followed any more.
    pub async fn round(&mut self) -> Result<Option<AccountState>, Lost> {
        self.0.changed().await.map_err(|_| Lost)?;
        Ok(*self.0.borrow_and_update())
    }

    /// Waits until the account can't be followed any more, and leaves all rounds to
    /// [`Self::round`].
    pub async fn lost(&self) {
        let mut rounds = self.0.clone();
        while rounds.changed().await.is_ok() {}
    }
}

impl AccountWatch {
    /// Follows accounts by this reader.
    #[must_use]
    pub fn new(reader: Arc<dyn EventReader>, placement: Arc<dyn Placement>) -> Self {
        Self(Arc::new(Watch { reader, placement, table: Mutex::default() }))
    }

    /// Follows an account until the result is dropped. Its first round is a later one than those
    /// that were told before. The first account is asked about by a task of this runtime.
    #[must_use]
    pub fn follow(&self, account: AccountId) -> Following {
        let mut table = self.table();
        let followed = table.followed.entry(account).or_insert_with(|| {
            let answered = Instant::now();
            Followed { states: watch::channel(None).0, answered }
        });
        let following = Following(followed.states.subscribe());
        let is_first = !mem::replace(&mut table.is_served, true);
        drop(table);
        if is_first {
            tokio::spawn(serve(WatchTask { watch: self.clone(), has_ended: false }));
        }
        following
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The accounts to ask about. If there are none, the calling task must end: the next stream
    /// starts another one.
    fn next(&self) -> Vec<AccountId> {
        let mut table = self.table();
        table.followed.retain(|_, followed| followed.states.receiver_count() > 0);
        table.is_served = !table.followed.is_empty();
        table.followed.keys().copied().collect()
    }

    /// Tells the streams of these accounts what was answered. Accounts without a state are gone.
    fn tell(&self, accounts: &[AccountId], states: &[AccountState]) {
        let now = Instant::now();
        let states: HashMap<_, _> = states.iter().map(|state| (state.account, *state)).collect();
        let mut table = self.table();
        for account in accounts {
            match (states.get(account), table.followed.get_mut(account)) {
                (Some(state), Some(followed)) => {
                    followed.answered = now;
                    followed.states.send_replace(Some(*state));
                }
                _ => {
                    table.followed.remove(account);
                }
            }
        }
    }

    /// Wakes the streams of these accounts, for which there was no answer. Those that have waited
    /// too long for one end.
    fn miss(&self, accounts: &[AccountId]) {
        let mut table = self.table();
        for account in accounts {
            let Some(followed) = table.followed.get(account) else { continue };
            if followed.answered.elapsed() > LOST_AFTER {
                table.followed.remove(account);
            } else {
                followed.states.send_modify(|_| ());
            }
        }
    }
}

/// The task that asks. If its runtime drops it early, all streams end, and the next one starts
/// another task.
struct WatchTask {
    watch: AccountWatch,
    has_ended: bool,
}

impl Drop for WatchTask {
    fn drop(&mut self) {
        // After its end another task may serve the accounts.
        if !self.has_ended {
            let left = mem::take(&mut *self.watch.table());
            drop(left);
        }
    }
}

/// Asks until no account is followed. The accounts of each database server are asked about by
/// themselves and at the same time, so that those of a server that is away delay no others.
async fn serve(mut task: WatchTask) {
    let mut rounds = time::interval(ROUND_EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        rounds.tick().await;
        let accounts = task.watch.next();
        if accounts.is_empty() {
            task.has_ended = true;
            return;
        }
        let servers = by_server(&*task.watch.0.placement, accounts, |account| *account);
        let asked = servers.iter().map(|accounts| ask(&task.watch, accounts));
        let cause = join_all(asked).await.into_iter().flatten().next();
        if let Some(cause) = cause.as_ref().filter(|_| !is_failing) {
            warn!(cause, "streams can't learn what has changed");
        }
        is_failing = cause.is_some();
    }
}

/// Asks about accounts of one server, and tells their streams. Returns why there was no answer.
async fn ask(watch: &AccountWatch, accounts: &[AccountId]) -> Option<String> {
    let mut cause = None;
    for chunk in accounts.chunks(STATES_MAX) {
        let asked = watch.0.reader.account_states(chunk);
        match time::timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(states)) => watch.tell(chunk, &states),
            Ok(Err(error)) => {
                cause = Some(error.to_string());
                watch.miss(chunk);
            }
            Err(_) => {
                cause = Some("the database took too long".to_owned());
                watch.miss(chunk);
            }
        }
    }
    cause
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use roots_domain::model::event::EventPosition;
    use roots_domain::model::id::{AuditId, LedgerId};
    use roots_domain::port::store::{MockEventReader, MockPlacement, StoreError};

    use super::*;

    /// What a reader was asked, and whether it fails. It answers with the accounts below 10, each
    /// at a version that counts the rounds.
    #[derive(Default)]
    struct Database {
        rounds: AtomicUsize,
        asked_about: AtomicUsize,
        is_down: AtomicBool,
    }

    impl Database {
        fn states(&self, accounts: &[AccountId]) -> Result<Vec<AccountState>, StoreError> {
            let round = self.rounds.fetch_add(1, Ordering::SeqCst) + 1;
            self.asked_about.store(accounts.len(), Ordering::SeqCst);
            if self.is_down.load(Ordering::SeqCst) {
                return Err(StoreError::Broken("down".to_owned()));
            }
            let position = EventPosition { ledger: LedgerId(1), audit: AuditId(0) };
            let version = i64::try_from(round).unwrap();
            let state = |account: &AccountId| AccountState {
                account: *account,
                version,
                auth_epoch: 1,
                sign_in_epoch: 1,
                position,
            };
            Ok(accounts.iter().filter(|account| account.0 < 10).map(state).collect())
        }
    }

    fn watching() -> (Arc<Database>, AccountWatch) {
        let (database, mut reader) = (Arc::new(Database::default()), MockEventReader::new());
        let asked = Arc::clone(&database);
        reader.expect_account_states().returning(move |accounts| asked.states(accounts));
        (database, AccountWatch::new(Arc::new(reader), Arc::new(two_servers())))
    }

    /// One server, and another one for accounts from 100 on.
    fn two_servers() -> MockPlacement {
        let mut placement = MockPlacement::new();
        placement.expect_server_of().returning(|account| usize::from(account.0 >= 100));
        placement
    }

    #[tokio::test(start_paused = true)]
    async fn one_statement_asks_about_all_accounts_each_500_ms() {
        let (database, watch) = watching();
        let begun = Instant::now();
        let mut two = [watch.follow(AccountId(1)), watch.follow(AccountId(2))];
        let _third = watch.follow(AccountId(1));
        for round in 1..=5 {
            for following in &mut two {
                let state = following.round().await.unwrap().unwrap();
                assert_eq!(state.version, round);
            }
        }
        assert_eq!(begun.elapsed(), 4 * ROUND_EVERY);
        assert_eq!(database.rounds.load(Ordering::SeqCst), 5);
        assert_eq!(database.asked_about.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_asked_while_no_stream_is_open() {
        let (database, watch) = watching();
        let mut one = watch.follow(AccountId(1));
        one.round().await.unwrap();
        drop(one);
        time::sleep(10 * ROUND_EVERY).await;
        let asked = database.rounds.load(Ordering::SeqCst);
        assert!(asked <= 2, "{asked}");
        assert!(!watch.table().is_served && watch.table().followed.is_empty());
        assert!(watch.follow(AccountId(1)).round().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_a_missing_account_ends_and_others_go_on() {
        let (_, watch) = watching();
        let (mut gone, mut there) = (watch.follow(AccountId(10)), watch.follow(AccountId(1)));
        assert_eq!(gone.round().await, Err(Lost));
        assert!(there.round().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_ends_no_streams_of_other_servers_accounts() {
        let (database, mut reader) = (Arc::new(Database::default()), MockEventReader::new());
        let asked = Arc::clone(&database);
        reader.expect_account_states().returning(move |accounts| {
            if accounts.contains(&AccountId(100)) {
                assert_eq!(accounts.len(), 1, "accounts of one server");
                return Err(StoreError::Unavailable("away".to_owned()));
            }
            asked.states(accounts)
        });
        let watch = AccountWatch::new(Arc::new(reader), Arc::new(two_servers()));
        let (mut lost, mut there) = (watch.follow(AccountId(100)), watch.follow(AccountId(1)));
        for round in 1..=20 {
            assert_eq!(there.round().await.unwrap().unwrap().version, round);
        }
        while lost.round().await.is_ok() {}
        assert!(there.round().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn streams_outlive_a_database_that_is_away_for_a_moment_and_not_one_that_stays_away() {
        let (database, watch) = watching();
        let mut one = watch.follow(AccountId(1));
        let before = one.round().await.unwrap();
        database.is_down.store(true, Ordering::SeqCst);
        assert_eq!(one.round().await, Ok(before), "woken, with what was known");
        database.is_down.store(false, Ordering::SeqCst);
        assert_ne!(one.round().await, Ok(before));
        database.is_down.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        while one.round().await.is_ok() {}
        assert_eq!(begun.elapsed(), LOST_AFTER + ROUND_EVERY);
    }
}
