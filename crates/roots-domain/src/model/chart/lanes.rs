//! Sessions as bars, in a lane for each agent.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::id::{ActorId, SessionId};
use crate::model::session::SessionActivity;
use crate::model::time::Timestamp;

/// A lane has so many units from its left to its right.
pub const WIDTH: u32 = 1_000;
/// A bar that would be narrower is short: it is drawn so wide, and merges with short ones beside
/// it.
pub const MERGE_BELOW: u32 = 6;
/// Most bars above one another in a lane. Further sessions at the same time merge with the last.
const TRACKS_MAX: u32 = 4;

/// How far back a timeline reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum LaneSpan {
    /// Six hours.
    SixHours,
    /// 24 hours.
    #[default]
    Day,
    /// Seven days.
    Week,
    /// 30 days.
    Month,
    /// 90 days.
    Quarter,
}

impl LaneSpan {
    /// All of them, the shortest first.
    pub const ALL: [Self; 5] = [Self::SixHours, Self::Day, Self::Week, Self::Month, Self::Quarter];

    /// Its name in an address.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SixHours => "6h",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.name() == name)
    }

    /// Its length in seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::SixHours => 6 * 3_600,
            Self::Day => 86_400,
            Self::Week => 7 * 86_400,
            Self::Month => 30 * 86_400,
            Self::Quarter => 90 * 86_400,
        }
    }

    /// The range that ends at that time.
    #[must_use]
    pub fn range(self, end: Timestamp) -> (Timestamp, Timestamp) {
        (end.plus_seconds(-self.seconds()), end)
    }

    /// The end of the span before the one that ends at that time, to the second; `None` where time
    /// begins.
    #[must_use]
    pub fn earlier(self, end: Timestamp) -> Option<Timestamp> {
        let (since, _) = self.range(end);
        let since = Timestamp::from_micros(since.micros() - since.micros().rem_euclid(1_000_000));
        (since > Timestamp::FIRST).then_some(since)
    }

    /// The end of the span after the one that ends at that time; `None` if that is now or ahead.
    #[must_use]
    pub fn later(self, end: Timestamp, now: Timestamp) -> Option<Timestamp> {
        Some(end.plus_seconds(self.seconds())).filter(|later| *later < now)
    }
}

/// A session of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneSession {
    /// Its id.
    pub id: SessionId,
    /// Its actor.
    pub actor: ActorId,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
    /// When something was last written to it.
    pub last_active_at: Timestamp,
}

impl LaneSession {
    /// Its signs of life.
    const fn activity(self) -> SessionActivity {
        let Self { id: session, last_active_at, .. } = self;
        SessionActivity { session, last_active_at, is_open: self.ended_at.is_none() }
    }
}

/// The sessions of a timeline as they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSessions {
    /// The sessions, the newest first.
    pub sessions: Vec<LaneSession>,
    /// Whether older ones are left out.
    pub are_cut: bool,
}

impl LaneSessions {
    /// The newest of these sessions, at most `most`.
    #[must_use]
    pub fn newest(mut sessions: Vec<LaneSession>, most: u32) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let are_cut = sessions.len() > most;
        sessions.sort_by_key(|one| Reverse((one.started_at, one.id)));
        sessions.truncate(most);
        Self { sessions, are_cut }
    }
}

/// A bar, in units of [`WIDTH`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// Its left end.
    pub left: u32,
    /// Its right end, where it stops being known that the agent was at work.
    pub right: u32,
    /// Where the time without a write ends that follows, if a session is quiet.
    pub quiet_until: Option<u32>,
    /// Its place among the bars of the same time, from 0 at the top.
    pub track: u32,
    /// Its first session.
    pub session: SessionId,
    /// The number of its sessions.
    pub sessions: u32,
    /// When its first session started.
    pub started_at: Timestamp,
    /// When its last session ended; `None` while one is active.
    pub ended_at: Option<Timestamp>,
    is_short: bool,
}

impl Bar {
    fn end(&self) -> u32 {
        self.quiet_until.unwrap_or(self.right).max(self.right)
    }

    fn merge(&mut self, other: &Self) {
        let end = self.end().max(other.end());
        self.left = self.left.min(other.left);
        self.right = self.right.max(other.right);
        self.quiet_until = (end > self.right).then_some(end);
        self.sessions += other.sessions;
        self.started_at = self.started_at.min(other.started_at);
        self.ended_at = self.ended_at.zip(other.ended_at).map(|(one, other)| one.max(other));
    }
}

/// The sessions of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The agent.
    pub actor: ActorId,
    /// Its bars, by their left ends.
    pub bars: Vec<Bar>,
    /// How many bars are above one another: at least 1.
    pub tracks: u32,
}

/// The lanes of a range of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Its first instant.
    pub since: Timestamp,
    /// Its last instant.
    pub until: Timestamp,
    /// A lane for each agent, by id.
    pub lanes: Vec<Lane>,
    /// The number of sessions in it.
    pub sessions: u32,
    /// When the next of its sessions becomes quiet, if nothing is written meanwhile.
    pub next_quiet: Option<Timestamp>,
    /// Whether older sessions are left out.
    pub is_cut: bool,
}

impl Timeline {
    /// Lays out the sessions that were read for a range, as [`of`](Self::of) does.
    #[must_use]
    pub fn of_read(
        read: LaneSessions,
        range: (Timestamp, Timestamp),
        quiet_after_seconds: Option<i64>,
        now: Timestamp,
    ) -> Self {
        let is_cut = read.are_cut;
        Self { is_cut, ..Self::of(read.sessions, range, quiet_after_seconds, now) }
    }

    /// Lays sessions out. Those outside of the range are left out. An active session that was
    /// silent for `quiet_after_seconds` at `now` is quiet since its last write.
    #[must_use]
    pub fn of(
        sessions: impl IntoIterator<Item = LaneSession>,
        (since, until): (Timestamp, Timestamp),
        quiet_after_seconds: Option<i64>,
        now: Timestamp,
    ) -> Self {
        let mut sessions: Vec<_> = sessions.into_iter().collect();
        sessions.sort_by_key(|one| (one.started_at, one.id));
        let scale = Scale { since, until };
        let (mut lanes, mut count) = (BTreeMap::<ActorId, Vec<Bar>>::new(), 0);
        let mut flips = Vec::new();
        for session in sessions {
            let end = session.ended_at.unwrap_or(now);
            if session.started_at > until || end < since {
                continue;
            }
            count += 1;
            flips.extend(quiet_after_seconds.and_then(|it| session.activity().silent_from(it)));
            let bar = scale.bar(session, quiet_after_seconds, now);
            place(lanes.entry(session.actor).or_default(), bar);
        }
        let lane = |(actor, bars): (_, Vec<Bar>)| {
            let tracks = bars.iter().map(|bar| bar.track + 1).max().unwrap_or(1);
            Lane { actor, bars, tracks }
        };
        let lanes = lanes.into_iter().map(lane).collect();
        Self { since, until, lanes, sessions: count, is_cut: false, next_quiet: now.next_of(flips) }
    }

    /// Where an instant lies, in units of [`WIDTH`]; beyond an end it is that end.
    #[must_use]
    pub fn position(&self, at: Timestamp) -> u32 {
        Scale { since: self.since, until: self.until }.position(at)
    }
}

/// Adds a bar to a lane whose bars began earlier.
fn place(bars: &mut Vec<Bar>, mut bar: Bar) {
    let mut ends = [None::<usize>; TRACKS_MAX as usize];
    for (index, earlier) in bars.iter().enumerate() {
        if let Some(end) = ends.get_mut(earlier.track as usize) {
            *end = Some(index);
        }
    }
    for (track, last) in (0..).zip(ends) {
        let Some(last) = last.and_then(|index| bars.get_mut(index)) else {
            bar.track = track;
            return bars.push(bar);
        };
        if last.is_short && bar.is_short && bar.left <= last.end() + MERGE_BELOW {
            return last.merge(&bar);
        }
        if bar.left > last.end() {
            bar.track = track;
            return bars.push(bar);
        }
    }
    // All tracks are taken at this time.
    let last = ends.last().copied().flatten().and_then(|index| bars.get_mut(index));
    if let Some(last) = last {
        last.merge(&bar);
        last.is_short = false;
    }
}

/// A range of time on [`WIDTH`] units.
#[derive(Clone, Copy)]
struct Scale {
    since: Timestamp,
    until: Timestamp,
}

impl Scale {
    fn position(self, at: Timestamp) -> u32 {
        let at = at.clamp(self.since, self.until.max(self.since));
        let passed = i128::from(at.micros() - self.since.micros()) * i128::from(WIDTH);
        let whole = i128::from((self.until.micros() - self.since.micros()).max(1));
        u32::try_from(passed / whole).unwrap_or(WIDTH)
    }

    fn bar(self, session: LaneSession, quiet_after: Option<i64>, now: Timestamp) -> Bar {
        let LaneSession { id, started_at, ended_at, last_active_at, .. } = session;
        let is_quiet = quiet_after.is_some_and(|it| session.activity().is_silent(it, now));
        let known_until = match ended_at {
            Some(at) => at,
            None if is_quiet => last_active_at.max(started_at),
            None => now,
        };
        let (left, right) = (self.position(started_at), self.position(known_until));
        let tail = is_quiet.then(|| self.position(now));
        let is_short = tail.unwrap_or(right) < left + MERGE_BELOW;
        let (left, right) = if right < left + MERGE_BELOW {
            // As wide as the shortest one, and inside of the lane.
            let left = left.min(WIDTH - MERGE_BELOW);
            (left, left + MERGE_BELOW)
        } else {
            (left, right)
        };
        Bar {
            left,
            right,
            quiet_until: tail.filter(|end| *end > right),
            track: 0,
            session: id,
            sessions: 1,
            started_at,
            ended_at,
            is_short,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::FIRST.plus_seconds(seconds)
    }

    fn session(id: i64, actor: i64, started: i64, ended: Option<i64>, active: i64) -> LaneSession {
        LaneSession {
            id: SessionId(id),
            actor: ActorId(actor),
            started_at: at(started),
            ended_at: ended.map(at),
            last_active_at: at(active),
        }
    }

    /// A unit is a second.
    fn timeline(sessions: &[LaneSession]) -> Timeline {
        let range = (at(NOW - 1_000), at(NOW));
        Timeline::of(sessions.iter().copied(), range, Some(100), at(NOW))
    }

    fn ended(id: i64, from: i64, to: i64) -> LaneSession {
        session(id, 1, NOW - 1_000 + from, Some(NOW - 1_000 + to), NOW - 1_000 + to)
    }

    fn bars(timeline: &Timeline) -> Vec<(u32, u32, u32, u32)> {
        let bars = timeline.lanes.iter().flat_map(|lane| &lane.bars);
        bars.map(|bar| (bar.track, bar.left, bar.right, bar.sessions)).collect()
    }

    #[test]
    fn sessions_are_bars_in_the_lane_of_their_agent() {
        let found = timeline(&[
            session(1, 2, NOW - 500, Some(NOW - 400), NOW - 400),
            // It began before the range.
            session(2, 1, NOW - 5_000, Some(NOW - 900), NOW - 900),
            session(3, 1, NOW - 300, None, NOW - 10),
            // It ended before the range.
            session(4, 1, NOW - 5_000, Some(NOW - 2_000), NOW - 2_000),
        ]);
        assert_eq!(found.lanes.iter().map(|lane| lane.actor.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(bars(&found), [(0, 0, 100, 1), (0, 700, 1_000, 1), (0, 500, 600, 1)]);
        assert_eq!((found.sessions, found.position(at(NOW - 250))), (3, 750));
        let open: Vec<_> = found.lanes[0].bars.iter().map(|bar| bar.ended_at.is_none()).collect();
        assert_eq!(open, [false, true]);
    }

    #[test]
    fn the_time_since_the_last_write_of_a_quiet_session_is_drawn_apart() {
        let quiet = timeline(&[session(1, 1, NOW - 900, None, NOW - 400)]);
        let bar = &quiet.lanes[0].bars[0];
        assert_eq!((bar.left, bar.right, bar.quiet_until), (100, 600, Some(1_000)));
        // A minute more than is set, as the heartbeat may be behind.
        let writes = timeline(&[session(1, 1, NOW - 900, None, NOW - 159)]);
        assert_eq!(writes.lanes[0].bars[0].quiet_until, None);
        assert_eq!(writes.lanes[0].bars[0].right, 1_000);
    }

    #[test]
    fn a_timeline_knows_when_its_next_session_becomes_quiet() {
        // 160 s after their last writes, of which the first is quiet already.
        let silent = [400, 159, 100, 20].map(|ago| session(ago, 1, NOW - 900, None, NOW - ago));
        assert_eq!(timeline(&silent).next_quiet, Some(at(NOW + 1)));
        assert_eq!(timeline(&silent[..1]).next_quiet, None);
        assert_eq!(timeline(&[ended(1, 0, 990)]).next_quiet, None);
        let never = Timeline::of(silent, (at(NOW - 1_000), at(NOW)), None, at(NOW));
        assert_eq!(never.next_quiet, None);
    }

    #[test]
    fn short_sessions_beside_each_other_merge() {
        let short: Vec<_> = (0..5).map(|n| ended(n, n * 10, n * 10 + 2)).collect();
        assert_eq!(bars(&timeline(&short)), [(0, 0, 46, 5)]);
        let apart = [ended(1, 0, 2), ended(2, 500, 501), ended(3, 505, 800)];
        // The last one is long, and begins where the short one is still drawn.
        assert_eq!(bars(&timeline(&apart)), [(0, 0, 6, 1), (0, 500, 506, 1), (1, 505, 800, 1)]);
        assert_eq!(bars(&timeline(&[ended(1, 999, 1_000)])), [(0, 994, 1_000, 1)]);
    }

    #[test]
    fn sessions_at_the_same_time_stand_above_one_another_up_to_four() {
        let many: Vec<_> = (0..6).map(|n| ended(n, n, 900 - n)).collect();
        let found = timeline(&many);
        assert_eq!(found.lanes[0].tracks, 4);
        let expected = [(0, 0, 900, 1), (1, 1, 899, 1), (2, 2, 898, 1), (3, 3, 897, 3)];
        assert_eq!(bars(&found), expected);
    }

    #[test]
    fn spans_have_names_and_reach_from_six_hours_to_ninety_days() {
        for span in LaneSpan::ALL {
            assert_eq!(LaneSpan::from_name(span.name()), Some(span));
        }
        assert_eq!(LaneSpan::from_name("year"), None);
        let days = LaneSpan::ALL.map(|span| span.seconds() / 3_600);
        assert_eq!(days, [6, 24, 7 * 24, 30 * 24, 90 * 24]);
    }

    #[test]
    fn one_steps_from_span_to_span_and_not_beyond_now() {
        let (now, day) = (at(NOW), LaneSpan::Day);
        let before = day.earlier(now).unwrap();
        assert_eq!(before, at(NOW - 86_400));
        assert_eq!(day.range(before), (at(NOW - 2 * 86_400), before));
        assert_eq!(day.later(before, now), None, "the span that ends now");
        assert_eq!(day.later(at(NOW - 86_401), now), Some(at(NOW - 1)));
        assert_eq!(day.later(now, now), None);
        assert_eq!(LaneSpan::Quarter.earlier(at(60)), None);
    }

    #[test]
    fn the_newest_sessions_are_kept_and_it_is_known_that_others_were_not() {
        let sessions = || [session(1, 1, 5, None, 5), ended(2, 0, 1), session(3, 1, 9, None, 9)];
        let ids =
            |read: &LaneSessions| read.sessions.iter().map(|one| one.id.0).collect::<Vec<_>>();
        let cut = LaneSessions::newest(sessions().to_vec(), 2);
        assert_eq!((ids(&cut), cut.are_cut), (vec![2, 3], true));
        let whole = LaneSessions::newest(sessions().to_vec(), 3);
        assert_eq!((ids(&whole), whole.are_cut), (vec![2, 3, 1], false));
        assert!(Timeline::of_read(cut, (at(0), at(NOW)), None, at(NOW)).is_cut);
    }

    proptest! {
        #[test]
        fn every_session_is_in_one_bar_and_no_bars_of_a_track_overlap(
            sessions in proptest::collection::vec(
                (1_i64..3, -500_i64..1_100, 0_i64..400, 0_i64..400, any::<bool>()), 0..60
            )
        ) {
            let numbered = (1..).zip(sessions);
            let sessions = numbered.map(|(id, (actor, start, length, idle, open))| {
                let started = NOW - 1_000 + start;
                let end = (started + length + idle).min(NOW).max(started);
                session(id, actor, started, (!open).then_some(end), (started + length).min(end))
            });
            let sessions: Vec<_> = sessions.collect();
            let found = timeline(&sessions);
            let inside = sessions.iter().filter(|one| {
                one.started_at <= at(NOW) && one.ended_at.is_none_or(|end| end >= at(NOW - 1_000))
            });
            prop_assert_eq!(found.sessions as usize, inside.count());
            let all = found.lanes.iter().flat_map(|lane| &lane.bars);
            prop_assert_eq!(all.map(|bar| bar.sessions).sum::<u32>(), found.sessions);
            for lane in &found.lanes {
                prop_assert!(lane.tracks >= 1 && lane.tracks <= TRACKS_MAX);
                for track in 0..lane.tracks {
                    let bars: Vec<_> = lane.bars.iter().filter(|bar| bar.track == track).collect();
                    for bar in &bars {
                        prop_assert!(bar.left < bar.right && bar.right <= WIDTH);
                        let tail = bar.quiet_until.unwrap_or(WIDTH + 1);
                        prop_assert!(tail == WIDTH + 1 || tail > bar.right && tail <= WIDTH);
                    }
                    for pair in bars.windows(2) {
                        prop_assert!(pair[0].end() < pair[1].left, "{:?}", pair);
                    }
                }
            }
        }
    }
}
