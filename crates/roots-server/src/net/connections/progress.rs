//! The progress of a connection's requests: its own thread writes it, and the acceptor reads it.
//! Nothing here locks. A request costs half a dozen writes to an atomic word, which no other thread
//! touches while there are free places.
//!
//! Only a read can tell that the client has sent nothing more. So a connection may be given up only
//! while the server waits for its client: the last read found nothing, and either no request has
//! begun, or its handler asks for more of the body. In all other states the client waits for the
//! server.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::time::Instant;

use super::give_up::ConnectionActivity;

/// No request is in flight; the head of one may be arriving.
const BETWEEN: u64 = 0;
/// The head of a request was read, and its body is incomplete.
const ARRIVING: u64 = 1;
/// A request was received completely, and its answer is not handed over yet.
const WHOLE: u64 = 2;
/// The bits of the three phases above.
const PHASE: u64 = 0b11;
/// The last read found nothing.
const READ_WAITS: u64 = 1 << 2;
/// The handler waits for more of the body.
const BODY_WAITS: u64 = 1 << 3;
/// An answer was handed over, but the system has not accepted all of it.
const UNSENT: u64 = 1 << 4;
/// The connection was given up: further bytes are ignored.
const GIVEN_UP: u64 = 1 << 5;
/// The number of the request, above these bits: no state repeats, so that a state that was read can
/// be claimed if and only if nothing has happened since.
const NEXT_REQUEST: u64 = 1 << 6;

/// The connection was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection was given up for another client's")]
pub(crate) struct GivenUp;

/// One of a connection's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestNumber(u64);

/// What was seen of a connection at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u64);

/// The progress of a connection.
#[derive(Debug)]
pub(crate) struct ConnectionProgress {
    state: AtomicU64,
    /// Bytes received in all requests.
    received: AtomicU64,
    /// The same number when the last answer was handed over.
    began: AtomicU64,
    /// The time since which no request is in flight, in microseconds of `clock`.
    idle_since: AtomicU64,
    clock: Instant,
}

impl ConnectionProgress {
    /// The progress of a new connection. Connections that are compared share the clock.
    pub(crate) fn new(clock: Instant) -> Self {
        let progress = Self {
            // Nothing was read yet. A connection is checked for unread bytes before it is given up.
            state: AtomicU64::new(BETWEEN | READ_WAITS),
            received: AtomicU64::new(0),
            began: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            clock,
        };
        progress.is_idle_from_now();
        progress
    }

    fn is_idle_from_now(&self) {
        let micros = u64::try_from(self.clock.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.idle_since.store(micros, Relaxed);
    }

    /// The number of received bytes.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Changes the state, unless the connection was given up.
    fn change(&self, change: impl Fn(u64) -> u64) -> Result<u64, GivenUp> {
        let changed = |state: u64| (state & GIVEN_UP == 0).then(|| change(state));
        self.state.fetch_update(AcqRel, Acquire, changed).map_err(|_| GivenUp)
    }

    /// Bytes were read.
    ///
    /// # Errors
    /// The connection was given up: ignore the bytes.
    pub(crate) fn bytes_came(&self, count: usize) -> Result<(), GivenUp> {
        // Only the thread of the connection counts them.
        self.received.store(self.received().saturating_add(count as u64), Relaxed);
        let before = self.state.fetch_and(!(READ_WAITS | BODY_WAITS), AcqRel);
        if before & GIVEN_UP == 0 { Ok(()) } else { Err(GivenUp) }
    }

    /// A read has found nothing.
    pub(crate) fn read_waits(&self) {
        let state = self.state.load(Relaxed);
        if state & READ_WAITS != 0 || state & PHASE == WHOLE {
            return;
        }
        if state & PHASE == BETWEEN {
            self.is_idle_from_now();
        }
        self.state.fetch_or(READ_WAITS, AcqRel);
    }

    /// The head of a request was read, and `is_whole` if it has no body.
    ///
    /// # Errors
    /// The connection was given up: ignore the request.
    pub(crate) fn request_began(&self, is_whole: bool) -> Result<RequestNumber, GivenUp> {
        let phase = if is_whole { WHOLE } else { ARRIVING };
        let next = |state: u64| {
            (state & !(PHASE | READ_WAITS | BODY_WAITS)).wrapping_add(NEXT_REQUEST) | phase
        };
        self.change(next).map(|before| RequestNumber(next(before) / NEXT_REQUEST))
    }

    /// Its handler waits for more of the body (`waits`), or was given some.
    pub(crate) fn body_waits(&self, request: RequestNumber, waits: bool) {
        let bit = if waits { BODY_WAITS } else { 0 };
        if self.state.load(Relaxed) & BODY_WAITS != bit {
            // A connection that was given up ends by itself.
            let _ = self.change(|state| {
                let concerns = is(request, state) && state & PHASE == ARRIVING;
                if concerns { state & !BODY_WAITS | bit } else { state }
            });
        }
    }

    /// Its body is complete, or the rest is not needed.
    ///
    /// # Errors
    /// The connection was given up: ignore the request.
    pub(crate) fn body_ended(&self, request: RequestNumber) -> Result<(), GivenUp> {
        let ended = |state| {
            let concerns = is(request, state) && state & PHASE == ARRIVING;
            if concerns { state & !(PHASE | READ_WAITS | BODY_WAITS) | WHOLE } else { state }
        };
        self.change(ended).map(|_| ())
    }

    /// Its answer was handed over for sending.
    pub(crate) fn answer_handed_over(&self, request: RequestNumber) {
        self.began.store(self.received(), Relaxed);
        let handed = |state| {
            if is(request, state) {
                state & !(PHASE | READ_WAITS | BODY_WAITS) | BETWEEN | UNSENT
            } else {
                state
            }
        };
        // A connection that was given up ends by itself.
        let _ = self.change(handed);
    }

    /// All that was handed over was sent.
    pub(crate) fn all_sent(&self) {
        let state = self.state.load(Relaxed);
        if state & UNSENT == 0 {
            return;
        }
        if state & PHASE == BETWEEN {
            self.is_idle_from_now();
        }
        self.state.fetch_and(!UNSENT, AcqRel);
    }

    /// What the connection is doing. `earlier` is the number of bytes received until 10 s ago.
    pub(crate) fn activity(&self, earlier: u64) -> (Seen, ConnectionActivity) {
        let state = self.state.load(Acquire);
        let waits = match state & PHASE {
            BETWEEN => state & READ_WAITS != 0,
            ARRIVING => state & READ_WAITS != 0 && state & BODY_WAITS != 0,
            _ => false,
        };
        let (received, began) = (self.received(), self.began.load(Relaxed));
        let activity = if !waits || state & (UNSENT | GIVEN_UP) != 0 {
            ConnectionActivity::Served
        } else if state & PHASE == BETWEEN && received == began {
            ConnectionActivity::Idle { since_micros: self.idle_since.load(Relaxed) }
        } else {
            ConnectionActivity::Unfinished {
                recent_bytes: received.saturating_sub(began.max(earlier)),
            }
        };
        (Seen(state), activity)
    }

    /// Gives the connection up, if nothing has happened since it was seen.
    pub(crate) fn give_up(&self, Seen(state): Seen) -> bool {
        self.state.compare_exchange(state, state | GIVEN_UP, AcqRel, Relaxed).is_ok()
    }

    /// Whether it was given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.state.load(Acquire) & GIVEN_UP != 0
    }

    #[cfg(test)]
    fn now(&self) -> ConnectionActivity {
        self.activity(0).1
    }
}

fn is(RequestNumber(number): RequestNumber, state: u64) -> bool {
    state / NEXT_REQUEST == number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted() -> ConnectionProgress {
        ConnectionProgress::new(Instant::now())
    }

    fn is_idle(progress: &ConnectionProgress) -> bool {
        matches!(progress.now(), ConnectionActivity::Idle { .. })
    }

    fn give_up(progress: &ConnectionProgress) -> bool {
        let (seen, activity) = progress.activity(0);
        activity != ConnectionActivity::Served && progress.give_up(seen)
    }

    /// A connection that has received a whole request without a body.
    fn asked() -> (ConnectionProgress, RequestNumber) {
        let progress = accepted();
        progress.bytes_came(100).unwrap();
        let request = progress.request_began(true).unwrap();
        (progress, request)
    }

    #[test]
    fn a_connection_is_idle_before_its_first_request_and_after_each_answer() {
        let progress = accepted();
        assert!(is_idle(&progress));
        for _ in 0..3 {
            progress.bytes_came(100).unwrap();
            assert_eq!(
                progress.now(),
                ConnectionActivity::Served,
                "these bytes may be a whole request"
            );
            let request = progress.request_began(true).unwrap();
            progress.read_waits();
            assert_eq!(progress.now(), ConnectionActivity::Served, "an answer is owed");
            progress.answer_handed_over(request);
            assert_eq!(progress.now(), ConnectionActivity::Served, "the answer is not sent");
            progress.all_sent();
            assert_eq!(progress.now(), ConnectionActivity::Served, "another request may have come");
            progress.read_waits();
            assert!(is_idle(&progress));
        }
    }

    #[test]
    fn a_connection_is_served_until_its_answer_is_sent_completely() {
        let (progress, request) = asked();
        progress.answer_handed_over(request);
        progress.read_waits();
        assert_eq!(progress.now(), ConnectionActivity::Served);
        progress.all_sent();
        assert!(is_idle(&progress));
    }

    #[test]
    fn half_a_request_head_is_unfinished() {
        let progress = accepted();
        progress.bytes_came(10).unwrap();
        progress.read_waits();
        assert_eq!(progress.now(), ConnectionActivity::Unfinished { recent_bytes: 10 });
        assert_eq!(progress.activity(4).1, ConnectionActivity::Unfinished { recent_bytes: 6 });
    }

    #[test]
    fn half_a_request_body_is_unfinished_only_while_its_handler_waits_for_more() {
        let progress = accepted();
        progress.bytes_came(100).unwrap();
        let request = progress.request_began(false).unwrap();
        assert_eq!(progress.now(), ConnectionActivity::Served, "nobody has asked for the body");
        progress.body_waits(request, true);
        assert_eq!(progress.now(), ConnectionActivity::Served, "nobody has looked for more of it");
        progress.read_waits();
        assert_eq!(progress.now(), ConnectionActivity::Unfinished { recent_bytes: 100 });
        progress.bytes_came(20).unwrap();
        progress.read_waits();
        assert_eq!(progress.now(), ConnectionActivity::Served, "the last of it may have come");
        progress.body_waits(request, true);
        assert_eq!(progress.now(), ConnectionActivity::Unfinished { recent_bytes: 120 });
        progress.body_waits(request, false);
        assert_eq!(
            progress.now(),
            ConnectionActivity::Served,
            "the handler works on what it was given"
        );
        progress.body_ended(request).unwrap();
        progress.read_waits();
        assert_eq!(progress.now(), ConnectionActivity::Served);
    }

    #[test]
    fn only_bytes_of_the_unfinished_request_count() {
        let (progress, request) = asked();
        progress.answer_handed_over(request);
        progress.all_sent();
        progress.bytes_came(7).unwrap();
        progress.read_waits();
        assert_eq!(progress.now(), ConnectionActivity::Unfinished { recent_bytes: 7 });
    }

    #[test]
    fn a_request_behind_an_unsent_answer_keeps_the_connection() {
        let (progress, request) = asked();
        progress.answer_handed_over(request);
        let next = progress.request_began(false).unwrap();
        progress.body_waits(next, true);
        progress.read_waits();
        assert_eq!(progress.now(), ConnectionActivity::Served);
        progress.all_sent();
        assert_eq!(progress.now(), ConnectionActivity::Unfinished { recent_bytes: 0 });
    }

    #[test]
    fn late_events_of_a_request_do_not_affect_the_next_request() {
        let (progress, request) = asked();
        progress.answer_handed_over(request);
        progress.all_sent();
        progress.read_waits();
        progress.body_waits(request, true);
        progress.body_ended(request).unwrap();
        assert!(is_idle(&progress));
        progress.bytes_came(100).unwrap();
        let next = progress.request_began(false).unwrap();
        progress.body_waits(next, true);
        progress.read_waits();
        progress.body_ended(request).unwrap();
        progress.answer_handed_over(request);
        assert!(matches!(progress.now(), ConnectionActivity::Unfinished { .. }));
    }

    #[test]
    fn a_connection_that_was_given_up_accepts_no_bytes_and_no_request() {
        let progress = accepted();
        assert!(give_up(&progress));
        assert!(progress.is_given_up());
        assert_eq!(progress.bytes_came(100), Err(GivenUp));
        assert_eq!(progress.request_began(true), Err(GivenUp));
        assert_eq!(progress.now(), ConnectionActivity::Served);
        assert!(!give_up(&progress));

        let progress = accepted();
        progress.bytes_came(100).unwrap();
        let request = progress.request_began(false).unwrap();
        progress.body_waits(request, true);
        progress.read_waits();
        assert!(give_up(&progress));
        assert_eq!(progress.body_ended(request), Err(GivenUp));
    }

    #[test]
    fn activity_after_an_observation_prevents_giving_up_the_connection() {
        let progress = accepted();
        let (seen, _) = progress.activity(0);
        progress.bytes_came(100).unwrap();
        assert!(!progress.give_up(seen));
        // The same holds once it is idle again: it has not been idle for longest any more.
        let request = progress.request_began(true).unwrap();
        progress.answer_handed_over(request);
        progress.all_sent();
        progress.read_waits();
        assert!(!progress.give_up(seen));
        assert!(give_up(&progress));
    }

    #[test]
    fn a_request_is_accepted_or_its_connection_given_up_but_never_both() {
        for _ in 0..2_000 {
            let progress = accepted();
            let (taken, given_up) = std::thread::scope(|scope| {
                let giving_up = scope.spawn(|| give_up(&progress));
                let taken = progress.bytes_came(9).and_then(|()| progress.request_began(true));
                (taken.is_ok(), giving_up.join().unwrap())
            });
            assert_ne!(taken, given_up);
        }
    }
}
