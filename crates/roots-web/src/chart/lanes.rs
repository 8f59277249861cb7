//! Sessions as bars, in a lane for each agent.

use maud::{Markup, html};
use roots_domain::model::chart::{Bar, Timeline, WIDTH};
use roots_domain::model::id::ActorId;
use roots_domain::model::time::{Day, Timestamp};

use super::frame::{number, plural, scrolling, shortened, table};
use crate::look::Look;
use crate::text;
use crate::time;

/// The names stand left of the bars, in a drawing of their own: they stay where bars scroll.
const NAMES: i64 = 96;
const BARS: i64 = 1_020;
/// Height of the marks, of a bar and of the step from bar to bar, in units.
const TOP: i64 = 18;
const BAR: i64 = 16;
const STEP: i64 = 20;
const GAP: i64 = 4;
/// Most characters of a name in the chart.
const NAME_CHARS: usize = 14;
/// Most marks of an axis.
const MARKS_MAX: usize = 4;
const HOUR: i64 = 3_600;

/// The lanes with their table. `names` tells the name of an agent.
pub(crate) fn chart(
    look: &Look,
    names: &dyn Fn(ActorId) -> String,
    timeline: &Timeline,
    id: &str,
) -> Markup {
    let agents = i64::try_from(timeline.lanes.len()).unwrap_or(i64::MAX);
    let name = format!(
        "{} of {}, {} to {}",
        plural(timeline.sessions.into(), "session", "sessions"),
        plural(agents, "agent", "agents"),
        time::full(look, timeline.since),
        time::full(look, timeline.until),
    );
    let mut y = TOP;
    let lanes: Vec<_> = timeline
        .lanes
        .iter()
        .map(|lane| {
            let top = y;
            y += i64::from(lane.tracks) * STEP + GAP;
            (top, lane)
        })
        .collect();
    let height = y + GAP;
    // Readers have the names in the table.
    let shown_names = html! {
        svg aria-hidden="true" width=(NAMES) height=(height)
            viewBox={ "0 0 " (NAMES) " " (height) } {
            @for (top, lane) in &lanes {
                text x="0" y=(top + 12) { (shortened(&names(lane.actor), NAME_CHARS)) }
            }
        }
    };
    let drawing = html! {
        svg role="img" aria-labelledby={ (id) "-name" } width=(BARS) height=(height)
            viewBox={ "0 0 " (BARS) " " (height) } {
            title id={ (id) "-name" } { (name) }
            @for (at, mark) in marks(look, timeline) {
                @let x = x_of(timeline.position(at));
                path.axis d={ "M" (x) " 14V" (height - GAP) } {}
                text x=(x + 3) y="11" { (mark) }
            }
            @for (top, lane) in &lanes { @for bar in &lane.bars { (drawn(bar, *top)) } }
            @if timeline.since <= look.now && look.now <= timeline.until {
                path.nowl d={ "M" (x_of(timeline.position(look.now))) " 14V" (height - GAP) } {}
            }
        }
    };
    html! {
        @if timeline.is_cut {
            p.muted { "The newest " (number(timeline.sessions.into())) " of these sessions are drawn." }
        }
        div.beside { (shown_names) (scrolling("Timeline", &drawing)) }
        (numbers(look, names, timeline, id))
    }
}

fn x_of(position: u32) -> i64 {
    i64::from(position) * BARS / i64::from(WIDTH)
}

fn drawn(bar: &Bar, top: i64) -> Markup {
    let y = top + i64::from(bar.track) * STEP;
    let (left, right) = (x_of(bar.left), x_of(bar.right));
    let link = (bar.sessions == 1).then(|| format!("/sessions/{}", bar.session));
    html! {
        rect.bar x=(left) y=(y) width=(right - left) height=(BAR) rx="3"
            data-href=[link.as_deref()] {}
        @if let Some(end) = bar.quiet_until {
            rect.bar.q x=(right) y=(y) width=((x_of(end) - right).max(1)) height=(BAR) rx="3"
                data-href=[link.as_deref()] {}
        }
    }
}

/// Each bar, the newest first.
fn numbers(
    look: &Look,
    names: &dyn Fn(ActorId) -> String,
    timeline: &Timeline,
    id: &str,
) -> Markup {
    let bars = timeline.lanes.iter().flat_map(|lane| {
        lane.bars.iter().rev().map(move |bar| {
            let sessions = if bar.sessions == 1 {
                html! { a href={ "/sessions/" (bar.session) } { "Session " (bar.session) } }
            } else {
                html! { (plural(bar.sessions.into(), "session", "sessions")) }
            };
            let end = match bar.ended_at {
                Some(at) => html! { (time::full(look, at)) },
                None if bar.quiet_until.is_some() => html! { "active, quiet" },
                None => html! { "active" },
            };
            let name = text::line(&names(lane.actor));
            vec![name, sessions, html! { (time::full(look, bar.started_at)) }, end]
        })
    });
    table(id, &["Agent", "Sessions", "Started", "Ended"], bars)
}

/// At most four marks in the viewer's zone: hours, or days.
fn marks(look: &Look, timeline: &Timeline) -> Vec<(Timestamp, String)> {
    let zone = look.zone();
    let (since, until) = (timeline.since, timeline.until);
    let hours = (until.micros() - since.micros()) / 1_000_000 / HOUR;
    let inside = |at: &Timestamp| since <= *at && *at <= until;
    let first = zone.wall_clock(since).day;
    let last = zone.wall_clock(until).day;
    if hours <= 36 {
        let step = if hours <= 8 { 2 } else { 6 };
        let days = (first.0..=last.0).map(|day| zone.first_instant(Day(day)));
        let all = days
            .flat_map(|day| (0..24 / step).map(move |index| day.plus_seconds(index * step * HOUR)));
        let all = all.filter(inside).take(MARKS_MAX);
        return all.map(|at| (at, zone.wall_clock(at).to_string())).collect();
    }
    let days = last.0 - first.0 + 1;
    let step = [2, 7, 14, 28].into_iter().find(|step| days / step <= 4).unwrap_or(28);
    // Whole weeks begin on Monday.
    let begin = if step == 2 { first.0 + 1 } else { first.0 - first.weekday() + 7 };
    let days = (begin..=last.0).step_by(usize::try_from(step).unwrap_or(1)).map(Day);
    let marks = days.map(|day| (zone.first_instant(day), time::day(look, day)));
    marks.filter(|(at, _)| inside(at)).take(MARKS_MAX).collect()
}
