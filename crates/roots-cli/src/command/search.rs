//! `roots search`: words in all texts.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, value_parser};
use roots_client::Client;
use roots_client::model::{
    ActorFilter, Search, SearchField, SearchKind, SearchResult, SearchResults, TodoStatus,
};

use crate::connection::connect;
use crate::dates::{self, When, shown_short};
use crate::error::CliError;
use crate::output::{Output, SEARCH_RESULTS, Table, View, one_line, tell};
use crate::values::{actor, status};

/// The most results of a page.
const PAGE_MAX: i64 = 100;

/// What to search for.
#[derive(Debug, Args)]
pub(crate) struct SearchArguments {
    /// Words that must all be found, in any case; `"…"` is a phrase, `word*` the beginning of a
    /// word
    ///
    /// Your shell takes quotes away, so put a phrase in two pairs: '"rate limit"'.
    #[arg(required = true)]
    words: Vec<String>,
    /// Only items of this kind
    #[arg(long, short, value_parser = kind())]
    kind: Option<SearchKind>,
    /// From this time on, such as `7 days` ago or `2026-11-01`
    #[arg(long, value_name = "TIME", value_parser = dates::past)]
    since: Option<When>,
    /// Until this time; a day is searched whole
    #[arg(long, value_name = "TIME", value_parser = dates::past)]
    until: Option<When>,
    /// Only this session, and what is linked to it
    #[arg(long, value_name = "ID")]
    session: Option<i64>,
    /// Only todos with this status
    #[arg(long, short, value_parser = status())]
    status: Option<TodoStatus>,
    /// The actor whose texts to search, or `all`
    #[arg(long, value_name = "ID|all", value_parser = actor)]
    actor: Option<ActorFilter>,
    /// The most results: 20 by default
    #[arg(long, short = 'n', value_name = "1-100", value_parser = value_parser!(i64).range(1..=100))]
    limit: Option<i64>,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    /// All results, page by page
    ///
    /// If a page fails, those before it are shown with the cursor to go on with, and the exit code
    /// tells why.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// Searches.
///
/// # Errors
///
/// See [`CliError`].
pub(crate) async fn search(arguments: &SearchArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, SEARCH_RESULTS)?;
    let client = connect()?.client;
    let search = Search {
        q: arguments.words.join(" "),
        kind: arguments.kind,
        since: arguments.since.as_ref().map(|time| time.start().into()),
        until: arguments.until.as_ref().map(|time| time.end().into()),
        session_id: arguments.session,
        status: arguments.status,
        actor_id: arguments.actor,
        limit: if arguments.all { Some(PAGE_MAX) } else { arguments.limit },
        cursor: arguments.cursor.clone(),
    };
    let times = times(&search);
    let mut found = client.search(&search).await?;
    let read = if arguments.all { add_pages(&client, search, &mut found).await } else { Ok(()) };
    // What was found is shown even if a later page is refused.
    view.show(&found, || {
        for notice in notices(&found, &times) {
            tell(&notice);
        }
        text(&found.results)
    })?;
    read
}

/// Adds all pages that follow. After an error the cursor is that of the page that failed.
async fn add_pages(
    client: &Client,
    mut search: Search,
    found: &mut SearchResults,
) -> Result<(), CliError> {
    while found.next_cursor.is_some() {
        search.cursor.clone_from(&found.next_cursor);
        let page = client.search(&search).await?;
        found.results.extend(page.results);
        found.unreadable += page.unreadable;
        found.complete = page.complete;
        found.next_cursor = page.next_cursor;
    }
    Ok(())
}

/// The range as options. A cursor holds only with the same one, and `2h` is another with each call.
fn times(search: &Search) -> String {
    let since = search.since.map(|time| format!(" --since {time}")).unwrap_or_default();
    let until = search.until.map(|time| format!(" --until {time}")).unwrap_or_default();
    since + &until
}

/// What to know beside the results.
fn notices(found: &SearchResults, times: &str) -> Vec<String> {
    let mut notices = Vec::new();
    if found.unreadable > 0 {
        notices.push(format!("{} texts are damaged and were not searched.", found.unreadable));
    }
    if let Some(cursor) = &found.next_cursor {
        let cursor = one_line(cursor);
        notices.push(if found.complete {
            format!("More may follow: --cursor {cursor}{times}, or --all.")
        } else {
            format!("Not all texts are searched yet. Go on: --cursor {cursor}{times}, or --all.")
        });
    }
    notices
}

fn text(results: &[SearchResult]) -> String {
    let mut table = Table::new(&["KIND", "ID", "TIME", "FIELD", "EXCERPT"]);
    for found in results {
        let excerpt = match &found.title {
            Some(title) if found.field != SearchField::Title => {
                format!("{title}: {excerpt}", excerpt = found.excerpt)
            }
            _ => found.excerpt.clone(),
        };
        table.row([
            found.kind.to_string(),
            found.id.to_string(),
            shown_short(found.at),
            found.field.to_string(),
            excerpt,
        ]);
    }
    match results.len() {
        0 => "0 results".to_owned(),
        1 => format!("{table}\n1 result", table = table.text()),
        n => format!("{table}\n{n} results", table = table.text()),
    }
}

/// Reads a kind of item.
fn kind() -> impl TypedValueParser<Value = SearchKind> {
    let words = SearchKind::ALL.iter().map(|kind| kind.as_str());
    PossibleValuesParser::new(words).map(|word| match word.as_str() {
        "session" => SearchKind::Session,
        "todo" => SearchKind::Todo,
        _ => SearchKind::Activity,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(next_cursor: Option<&str>, complete: bool) -> SearchResults {
        let time = "2026-04-09T10:00:00Z";
        serde_json::from_value(json!({
            "results": [
                {
                    "kind": "activity", "id": 12, "at": time, "field": "description",
                    "excerpt": "Deployed\nthe docs\u{1b}[2J", "actor_id": 1,
                },
                {
                    "kind": "todo", "id": 7, "at": time, "field": "note",
                    "excerpt": "…all three pages", "title": "Write API docs", "actor_id": 1,
                },
                {
                    "kind": "todo", "id": 8, "at": time, "field": "title",
                    "excerpt": "Read the docs", "title": "Read the docs", "actor_id": 1,
                },
            ],
            "next_cursor": next_cursor, "complete": complete, "unreadable": 2,
        }))
        .unwrap()
    }

    #[test]
    fn results_are_a_table() {
        let results = found(None, true).results;
        let time = shown_short(results[0].at);
        insta::assert_snapshot!(text(&results).replace(&time, "2026-04-09 10:00"), @"
        KIND      ID  TIME              FIELD        EXCERPT
        activity  12  2026-04-09 10:00  description  Deployed the docs�[2J
        todo      7   2026-04-09 10:00  note         Write API docs: …all three pages
        todo      8   2026-04-09 10:00  title        Read the docs
        3 results
        ");
        assert_eq!(text(&results[..1]).lines().last(), Some("1 result"));
        assert_eq!(text(&[]), "0 results");
    }

    #[test]
    fn what_was_not_searched_is_told() {
        assert_eq!(notices(&found(None, true), ""), ["2 texts are damaged and were not searched."]);
        let more = notices(&found(Some("c"), true), " --since T");
        assert_eq!(more[1], "More may follow: --cursor c --since T, or --all.");
        let incomplete = notices(&found(Some("c"), false), "");
        assert!(incomplete[1].starts_with("Not all texts are searched yet."), "{incomplete:?}");
    }
}
