//! Entries in a feed: those of one session that follow each other closely are one row.

use maud::{Markup, html};
use roots_domain::model::activity::Activity;
use roots_domain::model::dashboard::ShownText;
use roots_domain::model::feed::{FeedEntry, FeedRow, FoldName};
use roots_domain::model::time::Timestamp;

use crate::look::Look;
use crate::text;

/// Most characters of an entry on its line.
const LINE_CHARS: usize = 160;

/// The title of a todo of a dashboard on one line. It is no Markdown.
pub(crate) fn title(shown: &ShownText, id: i64, chars: usize) -> Markup {
    match shown {
        ShownText::Open(text) => text::start_of(text, chars),
        other => description(other, ("todo", id), chars),
    }
}

/// A text in Markdown of a dashboard on one line.
pub(crate) fn description(shown: &ShownText, (what, id): (&str, i64), chars: usize) -> Markup {
    match shown {
        ShownText::Open(text) => text::excerpt(text, chars),
        ShownText::TooLong => html! { em.muted { "a long text" } },
        ShownText::Unreadable => {
            html! { em.muted { "The text of " (what) " " (id) " can't be read: it is damaged." } }
        }
    }
}

/// The rows of a feed. `when` writes a time, `write` the text of an entry on one line, and `who`
/// names its agent.
pub(crate) fn feed<T>(
    look: &Look,
    rows: &[FeedRow<Activity<T>>],
    when: fn(&Look, Timestamp) -> Markup,
    write: &dyn Fn(&T, i64, usize) -> Markup,
    who: &dyn Fn(&Activity<T>) -> Markup,
) -> Markup {
    html! {
        ul.rows {
            @for row in rows {
                @let entry = &row.newest;
                li.feedrow {
                    span.t { (when(look, entry.logged_at)) }
                    span.what {
                        (line(entry, write))
                        @if !row.folded.is_empty() {
                            details.fold id=[fold_id(entry)] {
                                summary { "and " (row.folded.len()) " more of " (session(entry)) }
                                ul {
                                    @for folded in &row.folded {
                                        li {
                                            span.t { (when(look, folded.logged_at)) } " "
                                            (line(folded, write))
                                        }
                                    }
                                }
                            }
                        }
                    }
                    span.t { (who(entry)) }
                }
            }
        }
    }
}

/// The id of what unfolds, which stays when another entry joins it.
fn fold_id<T>(entry: &Activity<T>) -> Option<String> {
    entry.fold_name().map(|FoldName(session, number)| format!("fold-{session}-{number}"))
}

fn line<T>(entry: &Activity<T>, write: &dyn Fn(&T, i64, usize) -> Markup) -> Markup {
    html! {
        a href={ "/activity/" (entry.id) } { (write(&entry.description, entry.id.0, LINE_CHARS)) }
        " " span.tag { (text::line(entry.activity_type.as_str())) }
    }
}

fn session<T>(entry: &Activity<T>) -> Markup {
    html! { @if let Some(id) = entry.session { "session " (id) } }
}
