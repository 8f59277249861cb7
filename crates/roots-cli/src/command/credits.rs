//! `roots credits`: the balance, the ledger and the calls.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use roots_client::model::{
    Credits, LedgerEntry, LedgerFilter, LedgerPage, LedgerReason, Usage, UsageHistory,
};

use crate::connection::connect;
use crate::dates::shown_short;
use crate::error::CliError;
use crate::output::{CREDITS, LEDGER, Output, Table, USAGE, USAGE_BY_DAY, View, bar, one_line};
use crate::paging::{PagingArguments, tell_next};

/// What to show of credits.
#[derive(Debug, Args)]
pub(crate) struct CreditsArguments {
    /// List the changes of the balance, newest first
    #[arg(long)]
    ledger: bool,
    /// Only changes with this reason
    #[arg(long, requires = "ledger", value_parser = reason())]
    reason: Option<LedgerReason>,
    #[command(flatten)]
    paging: PagingArguments,
    /// Count the calls of a month, with the ten most called endpoints
    #[arg(long, conflicts_with = "ledger")]
    usage: bool,
    /// Count the calls by day
    #[arg(long, requires = "usage")]
    by_day: bool,
    /// The month, in UTC: the present one by default
    #[arg(long, requires = "usage", value_name = "YYYY-MM")]
    month: Option<String>,
}

/// Shows the balance, the ledger or the calls.
///
/// # Errors
///
/// See [`CliError`].
pub(crate) async fn credits(arguments: &CreditsArguments, output: &Output) -> Result<(), CliError> {
    if arguments.paging.is_given() && !arguments.ledger {
        return Err(CliError::Usage("--limit and --cursor are for --ledger".to_owned()));
    }
    let view = View::new(
        output,
        match arguments {
            CreditsArguments { ledger: true, .. } => LEDGER,
            CreditsArguments { by_day: true, .. } => USAGE_BY_DAY,
            CreditsArguments { usage: true, .. } => USAGE,
            _ => CREDITS,
        },
    )?;
    let client = connect()?.client;
    let month = arguments.month.as_deref();
    if arguments.ledger {
        let filter = LedgerFilter { reason: arguments.reason.clone() };
        let page = client.list_ledger(&filter, &arguments.paging.paging()).await?;
        return view.show(&page, || {
            tell_next(page.next_cursor.as_deref());
            ledger(&page)
        });
    }
    if arguments.by_day {
        let history = client.get_usage_history(month).await?;
        return view.show(&history, || usage_by_day(&history));
    }
    if arguments.usage {
        let calls = client.get_usage(month).await?;
        return view.show(&calls, || usage(&calls));
    }
    let credits = client.get_credits().await?;
    view.show(&credits, || balance(&credits))
}

fn balance(credits: &Credits) -> String {
    let Credits { balance, cost_model, recent_ledger } = credits;
    let mut text = format!(
        "{balance} credits; a write costs {writes}, a read {reads}",
        writes = cost_model.writes,
        reads = cost_model.reads
    );
    if !recent_ledger.is_empty() {
        text.push_str("\n\n");
        text.push_str(&entries(recent_ledger).text());
        text.push_str("\nThe newest changes; `roots credits --ledger` lists all.");
    }
    text
}

fn ledger(page: &LedgerPage) -> String {
    entries(&page.entries).of_total(page.total)
}

fn entries(entries: &[LedgerEntry]) -> Table {
    let mut table = Table::new(&["ID", "TIME", "CHANGE", "BALANCE", "REASON", "REQUEST"]);
    for entry in entries {
        table.row([
            entry.ledger_id.to_string(),
            shown_short(entry.created_at),
            format!("{:+}", entry.delta),
            entry.balance_after.to_string(),
            entry.reason.to_string(),
            entry.related_endpoint.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn usage(usage: &Usage) -> String {
    let mut table = Table::new(&["ENDPOINT", "CALLS", ""]);
    let most = usage.top_endpoints.iter().map(|endpoint| endpoint.calls).max().unwrap_or(0);
    for endpoint in &usage.top_endpoints {
        table.row([
            format!("{method} {path}", method = endpoint.method, path = endpoint.endpoint),
            endpoint.calls.to_string(),
            bar(endpoint.calls, most),
        ]);
    }
    let shown: i64 = usage.top_endpoints.iter().map(|endpoint| endpoint.calls).sum();
    with_table(
        &format!("{calls} calls in {month}", calls = usage.used, month = one_line(&usage.period)),
        &table,
        &format!("{shown} of {calls} calls", calls = usage.used),
    )
}

fn usage_by_day(history: &UsageHistory) -> String {
    let mut table = Table::new(&["DAY", "CALLS", ""]);
    let most = history.daily.iter().map(|day| day.calls).max().unwrap_or(0);
    for day in &history.daily {
        table.row([day.day.to_string(), day.calls.to_string(), bar(day.calls, most)]);
    }
    let calls: i64 = history.daily.iter().map(|day| day.calls).sum();
    let heading = format!("{calls} calls in {month}", month = one_line(&history.period));
    with_table(&heading, &table, "")
}

/// A heading, and the table below it if it has rows.
fn with_table(heading: &str, table: &Table, end: &str) -> String {
    if table.is_empty() {
        return heading.to_owned();
    }
    format!("{heading}\n\n{table}\n{end}", table = table.text()).trim_end().to_owned()
}

/// Reads a reason.
fn reason() -> impl TypedValueParser<Value = LedgerReason> {
    let words = ["bootstrap_grant", "operator_grant", "api_write", "import"];
    PossibleValuesParser::new(words).map(|word| match word.as_str() {
        "bootstrap_grant" => LedgerReason::BootstrapGrant,
        "operator_grant" => LedgerReason::OperatorGrant,
        "api_write" => LedgerReason::ApiWrite,
        _ => LedgerReason::Import,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_balance_stands_before_its_newest_changes() {
        let credits = serde_json::from_value(json!({
            "balance": 98, "cost_model": {"reads": 0, "writes": 1},
            "recent_ledger": [
                {
                    "ledger_id": 2, "delta": -2, "balance_after": 98, "reason": "api_write",
                    "related_endpoint": "PATCH /todos/{id}", "created_at": "2026-04-09T10:00:00Z",
                },
                {
                    "ledger_id": 1, "delta": 100, "balance_after": 100, "reason": "a_new_one",
                    "related_endpoint": null, "created_at": "2026-04-09T10:00:00Z",
                },
            ],
        }));
        let time = "2026-04-09T10:00:00Z".parse().unwrap();
        let shown = balance(&credits.unwrap()).replace(&shown_short(time), "TIME");
        insta::assert_snapshot!(shown, @"");
    }

    #[test]
    fn the_calls_of_a_month_have_bars() {
        let calls = serde_json::from_value(json!({
            "period": "2026-04", "used": 30,
            "top_endpoints": [
                {"endpoint": "/todos", "method": "GET", "calls": 20},
                {"endpoint": "/todos/{id}", "method": "PATCH", "calls": 9},
            ],
        }));
        insta::assert_snapshot!(usage(&calls.unwrap()), @"");
        let history = serde_json::from_value(json!({
            "period": "2026-04",
            "daily": [{"day": "2026-04-08", "calls": 3}, {"day": "2026-04-09", "calls": 27}],
        }));
        insta::assert_snapshot!(usage_by_day(&history.unwrap()), @"");
        let none = UsageHistory { period: "2026-04".to_owned(), daily: Vec::new() };
        assert_eq!(usage_by_day(&none), "0 calls in 2026-04");
    }
}
