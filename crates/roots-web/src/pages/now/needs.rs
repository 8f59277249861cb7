//! What needs a person.

use maud::{Markup, html};
use roots_domain::model::dashboard::{Need, NeedKind, NeedSubject};
use roots_domain::model::id::ActorId;
use roots_domain::model::time::Timestamp;

use super::shown::Shown;
use crate::chart::number;
use crate::entries;
use crate::text;
use crate::time;

/// Most rows that show at once. The others are folded.
const ROWS: usize = 12;
const TITLE_CHARS: usize = 120;

/// The card, also where nothing needs a person.
pub(super) fn card(shown: &Shown<'_>) -> Markup {
    let needs = shown.rows.needs(shown.rules);
    let (first, rest) = needs.split_at(needs.len().min(ROWS));
    let is_whole = shown.rows.is_whole();
    let more = if is_whole { "" } else { "+" };
    let class = if needs.is_empty() { "card c8" } else { "card c8 need" };
    html! {
        section class=(class) #needs data-live aria-labelledby="needs-h" {
            @if needs.is_empty() {
                header { h2 #needs-h { "Needs you" } }
                p.calm {
                    @if is_whole { "Nothing needs you." } @else { "Nothing shown here needs you, but not everything is shown." }
                    (last_entry(shown))
                }
            } @else {
                header {
                    h2 #needs-h { "Needs you (" (needs.len()) (more) ")" }
                    @if shown.rows.has_more_overdue {
                        a href="/todos?overdue=true" { "All overdue" }
                    }
                    @if shown.rows.has_more_keys { a href="/access" { "All keys" } }
                }
                ul.rows { @for need in first { (row(shown, need)) } }
                @if !rest.is_empty() {
                    details #needs-rest {
                        summary { "and " (rest.len()) " more" }
                        ul.rows { @for need in rest { (row(shown, need)) } }
                    }
                }
            }
        }
    }
}

fn last_entry(shown: &Shown<'_>) -> Markup {
    html! {
        @if let Some(entry) = shown.rows.latest.first() {
            " Last entry " (time::when(shown.look, entry.logged_at)) "."
        }
    }
}

fn row(shown: &Shown<'_>, need: &Need) -> Markup {
    let (what, actor) = subject(shown, need);
    html! {
        li.needrow data-told=(told(need)) {
            span.tags { @for (since, kind) in &need.reasons { (tag(shown, *kind, *since)) } }
            span.what { (what) }
            span.t { @if let Some(actor) = actor { (text::line(&shown.name(actor))) } }
        }
    }
}

/// What is said aloud when it is new: each reason, and what needs a person, but no age.
fn told(need: &Need) -> String {
    let reasons: Vec<_> = need.reasons.iter().map(|(_, kind)| look_of(*kind).2).collect();
    let reasons = reasons.join(", ");
    match need.subject {
        NeedSubject::Session(id) => format!("{reasons}: session {id}"),
        NeedSubject::Todo(id) => format!("{reasons}: todo {id}"),
        NeedSubject::Credits => reasons,
        NeedSubject::Key(id) => format!("{reasons}: key {id}"),
    }
}

/// How a reason looks: its class, its glyph and its word.
const fn look_of(kind: NeedKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        NeedKind::Asks => ("tag bad", "?", "Asks"),
        NeedKind::Blocked => ("tag bad", "!", "Blocked"),
        NeedKind::Overdue => ("tag bad", "!", "Overdue"),
        NeedKind::Quiet => ("tag warn", "◔", "Quiet"),
        NeedKind::LeftBehind => ("tag warn", "◇", "Left behind"),
        NeedKind::LongInProgress => ("tag warn", "◷", "In progress"),
        NeedKind::CreditsEnd => ("tag bad", "!", "Credits end"),
        NeedKind::KeyExpires => ("tag warn", "◷", "Key expires"),
    }
}

/// Why, and for how long: by colour, by a glyph and by a word.
fn tag(shown: &Shown<'_>, kind: NeedKind, since: Timestamp) -> Markup {
    let for_so_long = time::span(time::seconds_between(since, shown.look.now));
    let (class, glyph, word) = look_of(kind);
    let has_age = !matches!(kind, NeedKind::CreditsEnd | NeedKind::KeyExpires);
    html! {
        span class=(class) {
            span aria-hidden="true" { (glyph) } (word) @if has_age { " " (for_so_long) }
        }
    }
}

/// What needs a person, and whose it is.
fn subject(shown: &Shown<'_>, need: &Need) -> (Markup, Option<ActorId>) {
    let rows = shown.rows;
    match need.subject {
        NeedSubject::Session(id) => {
            let asked = rows.waiting.iter().find(|entry| entry.session == Some(id));
            let actor = asked.map(|entry| entry.actor);
            let actor = actor.or_else(|| rows.session(id).map(|session| session.actor));
            let link = format!("/sessions/{id}");
            let what = if let Some(entry) = asked {
                html! {
                    a href=(link) {
                        (entries::description(&entry.description, ("activity", entry.id.0), TITLE_CHARS))
                    }
                }
            } else {
                html! { a href=(link) { "Session " (id) } ", still active" }
            };
            (what, actor)
        }
        NeedSubject::Todo(id) => {
            let todo = rows.todo(id);
            let title = html! {
                a href={ "/todos/" (id) } {
                    @match todo {
                        Some(todo) => (entries::title(&todo.title, id.0, TITLE_CHARS)),
                        None => { "Todo " (id) },
                    }
                }
            };
            let is_left = need.reasons.iter().any(|(_, kind)| *kind == NeedKind::LeftBehind);
            let what = html! { (title) @if is_left { ": in progress, its session has ended" } };
            (what, todo.map(|todo| todo.actor))
        }
        NeedSubject::Credits => {
            let what = if rows.spending.balance <= 0 {
                html! { a href="/credits" { "No credits are left" } ": agents can only read" }
            } else if let Some(forecast) = rows.forecast() {
                html! {
                    a href="/credits" { (number(rows.spending.balance)) " credits" }
                    ", " (number(forecast.per_day())) " a day: none left on "
                    strong { (time::date(shown.look, forecast.ends_at)) }
                }
            } else {
                html! { a href="/credits" { "Credits" } }
            };
            (what, None)
        }
        NeedSubject::Key(id) => {
            let key = rows.keys.iter().find(|key| key.id == id);
            let what = html! {
                a href="/access" {
                    "Key "
                    @if let Some(key) = key {
                        span.mono { (key.prefix) "…" }
                        @if let Some(label) = &key.label { " " (text::line(label.as_str())) }
                    } @else { (id) }
                }
                @if let Some(key) = key { " expires " (time::when(shown.look, key.expires_at)) }
            };
            (what, key.map(|key| key.actor))
        }
    }
}
