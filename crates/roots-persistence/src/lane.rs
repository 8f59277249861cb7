//! Writer lanes: each takes units from its own bounded [`Queue`], in which accounts take turns, and
//! applies them in batches.
//!
//! There is no timer: while one batch is made durable the next one gathers, so a lone write waits
//! for nobody and the cost of a write falls as load grows.
//!
//! Where several processes write, a lane has another one beside it: it hands over whom another process
//! locks out, and who comes after them of the same account, so that nobody else waits behind them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;

use roots_domain::model::id::AccountId;
use roots_domain::model::idempotency::AnswerKey;
use roots_domain::model::unit::{Applied, Intent, Refusal, UnitOfWork};
use roots_domain::port::store::{ApplyError, StoreFault};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::batch::{Answers, Wait};
use crate::fault::Failure;
use crate::queue::Queue;
use crate::source::Link;

/// How long a write waits for room in the queue before it is refused. A burst finds room in that time. And a refusal
/// costs nearly as much as a write: the later it comes, the less do those who ask again at once take from
/// those who were admitted.
const ROOM_WITHIN: Duration = Duration::from_millis(25);
/// How often a batch is tried that someone else was faster than.
const ATTEMPTS: u32 = 6;
/// From when on it is not tried again: waiting for a lock takes long already, and callers wait too.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long before the second attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(4);

type Answer = Result<Applied, ApplyError>;

/// A unit, and who waits for its answer.
pub(crate) struct Job {
    unit: UnitOfWork,
    caller: Waiting,
}

/// Where an answer goes. A caller that hung up drops its end, and nothing more: what was accepted is
/// done, and its name is taken until then.
struct Waiting {
    answer: oneshot::Sender<Answer>,
    claim: Claim,
    home: Home,
    /// Where it was handed over.
    stay: Option<Stay>,
}

/// Answers, and who waits for each.
type Letters = Vec<(oneshot::Sender<Answer>, Answer)>;

/// Where answers are told to those who wait for them on one thread.
type Home = mpsc::UnboundedSender<Letters>;

/// The home of this thread, which runs one runtime at a time.
fn home() -> Home {
    thread_local! {
        static HOME: RefCell<Option<Home>> = const { RefCell::new(None) };
    }
    HOME.with_borrow_mut(|home| match home {
        Some(home) if !home.is_closed() => home.clone(),
        _ => {
            let (near, mut far) = mpsc::unbounded_channel::<Letters>();
            tokio::spawn(async move {
                while let Some(answers) = far.recv().await {
                    for (caller, answer) in answers {
                        // An error here is a caller that hung up.
                        let _ = caller.send(answer);
                    }
                }
            });
            home.insert(near).clone()
        }
    })
}

/// Answers to be sent, by where they go: to wake another thread is dear, and each is woken once.
#[derive(Default)]
struct Mail(Vec<(Home, Letters)>);

impl Mail {
    /// Frees the name first: whoever has an answer may ask again at once.
    fn add(&mut self, Waiting { answer: caller, claim, home, stay }: Waiting, answer: Answer) {
        drop((claim, stay));
        let known = self.0.iter_mut().find(|(known, _)| known.same_channel(&home));
        match known {
            Some((_, answers)) => answers.push((caller, answer)),
            None => self.0.push((home, vec![(caller, answer)])),
        }
    }

    fn send(self) {
        for (home, answers) in self.0 {
            // An error here is callers that have ended with all that ran on their thread.
            let _ = home.send(answers);
        }
    }
}

/// The names of the requests that lanes hold, or that wait for room there.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<AnswerKey>>>);

impl InFlight {
    /// Takes the names of a unit, until the claim is dropped.
    fn claim(&self, unit: &UnitOfWork) -> Result<Claim, Refusal> {
        let keys: Vec<_> = unit.answer_keys().collect();
        if !keys.is_empty() {
            let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.iter().any(|key| taken.contains(key)) {
                return Err(Refusal::StillInFlight);
            }
            taken.extend(&keys);
        }
        Ok(Claim { of: self.clone(), keys })
    }
}

/// Names that are taken.
struct Claim {
    of: InFlight,
    keys: Vec<AnswerKey>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.keys.is_empty() {
            let mut taken = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
            for key in &self.keys {
                taken.remove(key);
            }
        }
    }
}

/// What the two ends of a lane share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Tells the lane that something was queued.
    filled: Notify,
    /// Tells callers, one for each unit that was taken, that there is room.
    room: Notify,
}

#[derive(Default)]
struct State {
    queue: Queue<Job>,
    /// Nothing is queued any more.
    is_closed: bool,
}

/// Why a unit is not queued.
#[derive(Debug)]
enum NoPlace {
    Full,
    Closed,
}

/// A place in the queue. The queue is locked until it is filled.
struct Place<'a> {
    state: MutexGuard<'a, State>,
    filled: &'a Notify,
}

impl Place<'_> {
    fn fill(self, job: Job) {
        let Self { mut state, filled } = self;
        state.queue.push(turn_of(&job.unit), job.unit.intent.stands_alone(), job);
        drop(state);
        filled.notify_one();
    }
}

/// The account whose turn a unit takes: its author's, or else the one that it writes in. Units of none
/// take turns with accounts as if they were those of an account 0, which there is not.
fn turn_of(unit: &UnitOfWork) -> AccountId {
    unit.accounts().next().unwrap_or(AccountId(0))
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a unit of that account.
    fn place(&self, turn: AccountId) -> Result<Place<'_>, NoPlace> {
        let state = self.state();
        match (state.is_closed, state.queue.has_room(turn)) {
            (true, _) => Err(NoPlace::Closed),
            (false, false) => Err(NoPlace::Full),
            (false, true) => Ok(Place { state, filled: &self.filled }),
        }
    }

    fn take(&self, most: usize) -> Vec<Job> {
        let batch = self.state().queue.take(most);
        for _ in &batch {
            self.room.notify_one();
        }
        batch
    }

    /// The next batch. Empty once the queue is closed and empty.
    async fn next(&self, most: usize) -> Vec<Job> {
        loop {
            // Before the look at the queue, so that nothing is closed unseen in between.
            let is_closed = self.state().is_closed;
            let batch = self.take(most);
            if is_closed || !batch.is_empty() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    fn close(&self) {
        self.state().is_closed = true;
        self.room.notify_waiters();
    }
}

/// The near end of a lane.
#[derive(Clone)]
pub(crate) struct LaneHandle {
    shared: Arc<Shared>,
    in_flight: InFlight,
}

/// The far end of a lane.
pub(crate) struct Lane {
    shared: Arc<Shared>,
    closing: watch::Receiver<bool>,
    /// Without one it waits with those whom another process locks out.
    aside: Option<Aside>,
}

impl Drop for Lane {
    /// What is queued still has callers, who are told that its outcome is unknown.
    fn drop(&mut self) {
        self.shared.close();
        let queue = std::mem::take(&mut self.shared.state().queue);
        drop(queue);
    }
}

/// Where a lane hands over whom another process locks out.
#[derive(Clone)]
struct Aside {
    lane: Arc<Shared>,
    /// How many units of each account are there. All of one account come from one lane.
    staying: Arc<Mutex<HashMap<AccountId, usize>>>,
}

impl Aside {
    fn staying(&self) -> MutexGuard<'_, HashMap<AccountId, usize>> {
        self.staying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Splits off what has to follow others that are there.
    fn followers(&self, batch: Batch) -> (Batch, Batch) {
        let staying = self.staying();
        if staying.is_empty() {
            return (Batch::default(), batch);
        }
        let follows = |job: &Job| job.unit.accounts().any(|account| staying.contains_key(&account));
        let (followers, others): (Vec<_>, Vec<_>) = batch.into_jobs().partition(follows);
        (followers.into(), others.into())
    }

    /// Hands jobs over, in their order. Refuses those that find no room, and gives back those for which
    /// it is too late.
    fn take(&self, batch: Batch) -> Batch {
        let mut late = Vec::new();
        let mut mail = Mail::default();
        for mut job in batch.into_jobs() {
            let accounts: Vec<_> = job.unit.accounts().collect();
            for account in &accounts {
                *self.staying().entry(*account).or_default() += 1;
            }
            job.caller.stay = Some(Stay { aside: self.clone(), accounts });
            match self.lane.place(turn_of(&job.unit)) {
                Ok(place) => place.fill(job),
                Err(NoPlace::Closed) => late.push(job),
                Err(NoPlace::Full) => mail.add(job.caller, Err(StoreFault::Busy.into())),
            }
        }
        mail.send();
        late.into()
    }
}

/// That a unit of those accounts is aside.
struct Stay {
    aside: Aside,
    accounts: Vec<AccountId>,
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut staying = self.aside.staying();
        for account in &self.accounts {
            if let Some(units) = staying.get_mut(account) {
                *units -= 1;
                if *units == 0 {
                    staying.remove(account);
                }
            }
        }
    }
}

/// A lane that takes units until `closing` turns true, and then finishes those it has.
pub(crate) fn lane(
    closing: watch::Receiver<bool>,
    in_flight: InFlight,
    aside: Option<&LaneHandle>,
) -> (LaneHandle, Lane) {
    let shared = Arc::<Shared>::default();
    let aside = aside.map(|lane| Aside { lane: Arc::clone(&lane.shared), staying: Arc::default() });
    (LaneHandle { shared: Arc::clone(&shared), in_flight }, Lane { shared, closing, aside })
}

impl LaneHandle {
    /// Whether nobody is left at the far end.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.state().is_closed
    }

    /// Hands a unit over and waits for its answer. One that is named as another that a lane still
    /// holds is refused at once, one that finds no room within 25 ms.
    pub(crate) async fn apply(&self, unit: UnitOfWork) -> Answer {
        let claim = self.in_flight.claim(&unit)?;
        let (answer, answered) = oneshot::channel();
        let caller = Waiting { answer, claim, home: home(), stay: None };
        self.queue(Job { unit, caller }).await?;
        // The lane answers each job that it takes; it can only fail to by being killed at work.
        let lost = || StoreFault::OutcomeUnknown("the writer stopped".to_owned());
        answered.await.unwrap_or_else(|_| Err(lost().into()))
    }

    /// Queues a job, once there is room for its account. It looks at once, whenever it is told of room,
    /// and once more when its time is up: room is told to one caller, which may not be one that may
    /// take it.
    async fn queue(&self, job: Job) -> Result<(), StoreFault> {
        let turn = turn_of(&job.unit);
        let mut room = pin!(self.shared.room.notified());
        let (mut until, mut is_late) = (None, false);
        loop {
            match self.shared.place(turn) {
                Ok(place) => {
                    place.fill(job);
                    return Ok(());
                }
                Err(NoPlace::Closed) => return Err(gone()),
                Err(NoPlace::Full) if is_late => return Err(StoreFault::Busy),
                Err(NoPlace::Full) => {}
            }
            if let Some(until) = until {
                is_late = tokio::time::timeout_at(until, room.as_mut()).await.is_err();
                room.set(self.shared.room.notified());
            } else {
                until = Some(Instant::now() + ROOM_WITHIN);
            }
            // Listens before it looks again, so that no room is made unheard in between.
            room.as_mut().enable();
        }
    }
}

pub(crate) fn gone() -> StoreFault {
    StoreFault::Unavailable("the writer has stopped".to_owned())
}

impl Lane {
    /// Works until it is told to close and its queue is empty.
    pub(crate) async fn run(self, link: Link) {
        let aside = self.aside.clone();
        self.each(link.batch_max(), |batch| work_off(&link, aside.as_ref(), batch)).await;
        link.close().await;
    }

    /// Takes batches of so many units at most, until it is told to close and its queue is empty. A batch
    /// that panics takes down its own callers, who are told that its outcome is unknown, and not the
    /// lane.
    async fn each<F: Future<Output = ()>>(
        mut self,
        batch_max: usize,
        mut work_off: impl FnMut(Vec<Job>) -> F,
    ) {
        let mut is_closed = false;
        loop {
            let batch = tokio::select! {
                biased;
                _ = self.closing.wait_for(|closing| *closing), if !is_closed => {
                    self.shared.close();
                    is_closed = true;
                    continue;
                }
                batch = self.shared.next(batch_max) => batch,
            };
            if batch.is_empty() {
                break;
            }
            if AssertUnwindSafe(work_off(batch)).catch_unwind().await.is_err() {
                tracing::error!("a batch panicked");
            }
        }
    }
}

/// Applies a batch and answers its jobs. What another process has locked holds up no more than its own
/// callers: the others are answered first, and then those wait it out, aside where there is a lane for it.
async fn work_off(link: &Link, aside: Option<&Aside>, jobs: Vec<Job>) {
    let mut batch = Batch::from(jobs);
    if let [UnitOfWork { intent: Intent::CountCalls(_), .. }] = batch.units[..] {
        // It locks many accounts, and comes again by itself.
        return batch.settle(link, Wait::Briefly).await;
    }
    let mut locked_out = Vec::new();
    if let Some(aside) = aside {
        let (followers, others) = aside.followers(batch);
        locked_out.push(followers);
        batch = others;
    }
    let accounts: BTreeSet<_> = batch.units.iter().flat_map(UnitOfWork::accounts).collect();
    let accounts = accounts.len();
    if accounts < 2 && aside.is_none() {
        return batch.settle(link, Wait::Out).await;
    }
    if !batch.units.is_empty() {
        match apply(link, &batch.units, Wait::Briefly).await {
            Err(Failure::Locked(_)) if accounts < 2 => locked_out.push(batch),
            Err(Failure::Locked(cause)) => {
                tracing::warn!(
                    cause,
                    accounts,
                    "a batch met a lock: trying each account by itself"
                );
                // Each takes half a second where it is locked: after some, the rest waits aside unasked.
                let patience = Instant::now() + PATIENCE;
                for batch in batch.by_accounts() {
                    if aside.is_some() && Instant::now() > patience {
                        locked_out.push(batch);
                        continue;
                    }
                    match apply(link, &batch.units, Wait::Briefly).await {
                        Err(Failure::Locked(_)) => locked_out.push(batch),
                        applied => batch.answer(link, applied).await,
                    }
                }
            }
            applied => batch.answer(link, applied).await,
        }
    }
    for mut batch in locked_out {
        if let Some(aside) = aside {
            batch = aside.take(batch);
        }
        if !batch.units.is_empty() {
            batch.settle(link, Wait::Out).await;
        }
    }
}

/// Units that are applied together, and who waits for each.
#[derive(Default)]
struct Batch {
    units: Vec<UnitOfWork>,
    callers: Vec<Waiting>,
}

impl From<Vec<Job>> for Batch {
    fn from(jobs: Vec<Job>) -> Self {
        let (units, callers) = jobs.into_iter().map(|job| (job.unit, job.caller)).unzip();
        Self { units, callers }
    }
}

impl Batch {
    /// The units of the same accounts together, in their order.
    fn by_accounts(self) -> impl Iterator<Item = Self> {
        let mut batches = BTreeMap::<_, Self>::new();
        for job in self.into_jobs() {
            let accounts: BTreeSet<_> = job.unit.accounts().collect();
            let batch = batches.entry(accounts).or_default();
            batch.units.push(job.unit);
            batch.callers.push(job.caller);
        }
        batches.into_values()
    }

    fn into_jobs(self) -> impl Iterator<Item = Job> {
        self.units.into_iter().zip(self.callers).map(|(unit, caller)| Job { unit, caller })
    }

    async fn settle(self, link: &Link, wait: Wait) {
        let applied = apply(link, &self.units, wait).await;
        self.answer(link, applied).await;
    }

    /// Answers all callers after COMMIT: a refusal too may rest on a batch-mate's write. Where the
    /// data is the cause of a failure, each unit is tried once alone, so that only the culprit fails.
    async fn answer(self, link: &Link, applied: Result<Answers, Failure>) {
        let Self { units, callers } = self;
        let mut mail = Mail::default();
        match applied {
            Err(Failure::Data(cause)) if units.len() > 1 => {
                tracing::warn!(
                    cause,
                    units = units.len(),
                    "a batch failed: trying each unit alone"
                );
                for (unit, caller) in units.into_iter().zip(callers) {
                    let alone = apply(link, &[unit], Wait::Out).await;
                    let mut mail = Mail::default();
                    mail.add(caller, worded(alone.map(|mut answers| answers.pop())));
                    // At once: the next one may take its time.
                    mail.send();
                }
            }
            Err(failure) => {
                for caller in callers {
                    mail.add(caller, worded(Err(failure.clone())));
                }
            }
            Ok(answers) => {
                for (caller, answer) in callers.into_iter().zip(answers) {
                    mail.add(caller, worded(Ok(Some(answer))));
                }
            }
        }
        mail.send();
    }
}

type Decided = Result<Applied, Refusal>;

fn worded(answer: Result<Option<Decided>, Failure>) -> Answer {
    match answer {
        Ok(Some(decided)) => decided.map_err(ApplyError::Refused),
        Ok(None) => Err(StoreFault::Broken("a unit was not decided".to_owned()).into()),
        Err(failure) => Err(ApplyError::Fault(failure.into())),
    }
}

async fn apply(link: &Link, units: &[UnitOfWork], wait: Wait) -> Result<Answers, Failure> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match link.apply(units, wait).await {
            Err(Failure::Contended(cause)) if begun.elapsed() < PATIENCE => {
                tracing::debug!(cause, "a batch was overtaken");
            }
            settled => return settled,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    link.apply(units, wait).await
}

#[cfg(test)]
mod tests {
    use roots_domain::model::time::Timestamp;
    use roots_domain::model::unit::{Author, Conditions, Intent};

    use super::*;
    use crate::queue::{QUEUE_BOUND_UNITS, QUEUE_MAX_UNITS};

    fn job(intent: Intent) -> Job {
        let unit = UnitOfWork {
            author: Author::Program,
            intent,
            charge: None,
            conditions: Conditions::default(),
            at: Timestamp::FIRST,
        };
        let claim = InFlight::default().claim(&unit).unwrap();
        let home = mpsc::unbounded_channel().0;
        Job { unit, caller: Waiting { answer: oneshot::channel().0, claim, home, stay: None } }
    }

    #[test]
    fn a_lane_that_nobody_works_is_told_closed() {
        let (_open, closing) = watch::channel(false);
        let (near, far) = lane(closing, InFlight::default(), None);
        assert!(!near.is_closed());
        drop(far);
        assert!(near.is_closed());
    }

    #[tokio::test]
    async fn an_account_follows_its_own_aside_until_they_are_answered() {
        let (_open, closing) = watch::channel(false);
        let (near, far) = lane(closing.clone(), InFlight::default(), None);
        let (_, own) = lane(closing, InFlight::default(), Some(&near));
        let aside = own.aside.clone().unwrap();
        let of = |account| job(Intent::SweepErased(AccountId(account)));
        let accounts = |batch: Batch| -> Vec<_> {
            batch.units.iter().flat_map(UnitOfWork::accounts).map(|id| id.0).collect()
        };
        let split = |jobs: Vec<Job>| {
            let (followers, others) = aside.followers(jobs.into());
            (accounts(followers), accounts(others))
        };
        assert_eq!(split(vec![of(1), of(2)]), (vec![], vec![1, 2]));
        assert_eq!(aside.take(vec![of(1), of(1)].into()).units, []);
        assert_eq!(split(vec![of(2), of(1), of(3)]), (vec![1], vec![2, 3]));

        for expected in [vec![1], vec![]] {
            let job = far.shared.take(1).pop().unwrap();
            Mail::default().add(job.caller, Err(gone_fault()));
            assert_eq!(split(vec![of(1)]).0, expected);
        }
        // Where there is no room they are refused, and where it ends they come back.
        let most = i64::try_from(QUEUE_BOUND_UNITS).unwrap();
        assert_eq!(aside.take((0..=most).map(of).collect::<Vec<_>>().into()).units, []);
        assert_eq!(split(vec![of(most), of(0)]), (vec![0], vec![most]));
        drop(far);
        assert_eq!(split(vec![of(0)]), (vec![], vec![0]));
        assert_eq!(accounts(aside.take(vec![of(7)].into())), [7]);
    }

    #[tokio::test]
    async fn a_batch_that_panics_takes_down_its_own_callers_only() {
        let (open, closing) = watch::channel(false);
        let (near, far) = lane(closing, InFlight::default(), None);
        let mut first = true;
        let working = tokio::spawn(far.each(64, move |jobs| {
            let is_first = std::mem::take(&mut first);
            async move {
                assert!(!is_first, "the first batch");
                let mut mail = Mail::default();
                for job in jobs {
                    let failed = Failure::Data("the second batch".to_owned());
                    mail.add(job.caller, worded(Err(failed)));
                }
                mail.send();
            }
        }));
        let lost = near.apply(job(Intent::ReserveAccount).unit).await;
        assert!(matches!(lost, Err(ApplyError::Fault(StoreFault::OutcomeUnknown(_)))), "{lost:?}");
        let next = near.apply(job(Intent::ReserveAccount).unit).await;
        assert!(matches!(next, Err(ApplyError::Fault(StoreFault::Broken(_)))), "{next:?}");
        open.send_replace(true);
        working.await.unwrap();
        let late = near.apply(job(Intent::ReserveAccount).unit).await;
        assert_eq!(late, Err(gone_fault()));
    }

    #[tokio::test]
    async fn callers_whose_thread_has_ended_keep_no_answer_from_others() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let gone = std::thread::spawn(move || runtime().block_on(async { home() })).join().unwrap();
        assert!(gone.is_closed() && !home().is_closed());
        assert!(home().same_channel(&home()) && !home().same_channel(&gone));

        let in_flight = InFlight::default();
        let claim = || in_flight.claim(&job(Intent::ReserveAccount).unit).unwrap();
        let mut mail = Mail::default();
        let mut answered = Vec::new();
        for home in [gone, home(), home()] {
            let (answer, told) = oneshot::channel();
            mail.add(Waiting { answer, claim: claim(), home, stay: None }, Err(gone_fault()));
            answered.push(told);
        }
        assert_eq!(mail.0.len(), 2, "one letter a thread");
        mail.send();
        let mut answered = answered.into_iter();
        assert!(answered.next().unwrap().await.is_err());
        for told in answered {
            assert_eq!(told.await.unwrap(), Err(gone_fault()));
        }
    }

    fn gone_fault() -> ApplyError {
        gone().into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_after_25_ms_but_for_an_account_below_its_share() {
        let (_open, closing) = watch::channel(false);
        let (near, far) = lane(closing, InFlight::default(), None);
        let of = |account| job(Intent::SweepErased(AccountId(account))).unit;
        let ask = |account| {
            let near = near.clone();
            tokio::spawn(async move { near.apply(of(account)).await })
        };
        let waiting: Vec<_> = (0..QUEUE_MAX_UNITS).map(|_| ask(1)).collect();
        while near.shared.state().queue.has_room(AccountId(1)) {
            tokio::task::yield_now().await;
        }
        let begun = Instant::now();
        assert_eq!(near.apply(of(1)).await, Err(ApplyError::Fault(StoreFault::Busy)));
        assert!(begun.elapsed() >= ROOM_WITHIN && begun.elapsed() <= 2 * ROOM_WITHIN);

        // One that finds room meanwhile is not refused.
        let next = ask(1);
        tokio::time::sleep(ROOM_WITHIN / 2).await;
        assert_eq!(far.shared.take(1).len(), 1);
        tokio::time::sleep(2 * ROOM_WITHIN).await;
        assert!(!next.is_finished() && !near.shared.state().queue.has_room(AccountId(1)));

        // Another account is queued at once, and is in the next batch but one.
        let other = ask(2);
        tokio::task::yield_now().await;
        let taken: Vec<_> = (0..2).flat_map(|_| far.shared.take(1)).collect();
        let accounts: Vec<_> = taken.iter().flat_map(|job| job.unit.accounts()).collect();
        assert_eq!(accounts, [AccountId(1), AccountId(2)]);

        // A lane that ends tells all that wait.
        drop(far);
        drop(taken);
        let lost = |answer| matches!(answer, Err(ApplyError::Fault(StoreFault::OutcomeUnknown(_))));
        for task in waiting.into_iter().chain([next, other]) {
            assert!(lost(task.await.unwrap()));
        }
    }
    /// Room is told to one caller for each unit that is taken. It is lost where that caller's account
    /// may not take it.
    #[tokio::test(start_paused = true)]
    async fn a_write_whose_room_was_told_to_another_is_queued_when_its_25_ms_end() {
        let (_open, closing) = watch::channel(false);
        let (near, far) = lane(closing, InFlight::default(), None);
        let ask = |account| {
            let near = near.clone();
            let account = AccountId(account);
            let unit = job(Intent::ForgetAnswers { account, before: Timestamp::FIRST }).unit;
            tokio::spawn(async move { near.apply(unit).await })
        };
        let mut queued = Vec::new();
        for account in [1, 2] {
            while near.shared.state().queue.has_room(AccountId(account)) {
                queued.push(ask(account));
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(queued.len(), QUEUE_MAX_UNITS + QUEUE_MAX_UNITS / 2);
        let begun = Instant::now();
        let of_two = ask(2);
        tokio::task::yield_now().await;
        let of_one = ask(1);
        tokio::task::yield_now().await;
        // The first unit taken is of account 1, and account 2's caller is told; then the other way round.
        let mut taken = Vec::new();
        for account in [1, 2] {
            taken.extend(far.shared.take(1));
            let accounts: Vec<_> = taken.iter().flat_map(|job| job.unit.accounts()).collect();
            assert_eq!(accounts.last(), Some(&AccountId(account)));
            tokio::task::yield_now().await;
        }
        assert!(near.shared.state().queue.has_room(AccountId(2)) && !of_two.is_finished());
        assert_eq!(of_one.await.unwrap(), Err(ApplyError::Fault(StoreFault::Busy)));
        assert!(begun.elapsed() >= ROOM_WITHIN);
        tokio::time::sleep(ROOM_WITHIN).await;
        assert!(!of_two.is_finished() && !near.shared.state().queue.has_room(AccountId(2)));
    }
}
