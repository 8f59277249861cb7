//! `roots stats`: how many activities, of which types and on which days.

use clap::Args;
use roots_client::model::{ActivityStats, ActorFilter, StatsFilter};

use super::todo::actor;
use crate::connection::connect;
use crate::dates::{self, When};
use crate::error::CliError;
use crate::output::{Output, STATS, Table, View, bar, tell};

/// The most days in the text.
const DAYS_MAX: usize = 31;

/// Which activities to count.
#[derive(Debug, Args)]
pub(crate) struct StatsArguments {
    /// From this time on, such as `7 days` ago or `2026-11-01`
    #[arg(long, value_name = "TIME", value_parser = dates::past)]
    since: Option<When>,
    /// Until this time; a day is counted whole
    #[arg(long, value_name = "TIME", value_parser = dates::past)]
    until: Option<When>,
    /// Only activities linked to this session
    #[arg(long, value_name = "ID")]
    session: Option<i64>,
    /// The IANA time zone of the days, such as `Asia/Kathmandu`: that of this machine by default
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// The actor whose activities these are, or `all`
    #[arg(long, value_name = "ID|all", value_parser = actor)]
    actor: Option<ActorFilter>,
}

/// Counts activities.
///
/// # Errors
///
/// See [`CliError`].
pub(crate) async fn stats(arguments: &StatsArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, STATS)?;
    let filter = StatsFilter {
        session_id: arguments.session,
        time_zone: arguments.tz.clone().or_else(dates::zone_name),
        since: arguments.since.as_ref().map(|time| time.start().into()),
        until: arguments.until.as_ref().map(|time| time.end().into()),
        actor: arguments.actor,
    };
    let stats = connect()?.client.get_activity_stats(&filter).await?;
    view.show(&stats, || {
        if let Some(range) = range(arguments) {
            tell(&range);
        }
        text(&stats)
    })
}

/// The range as it was understood.
fn range(arguments: &StatsArguments) -> Option<String> {
    match (&arguments.since, &arguments.until) {
        (None, None) => None,
        (Some(since), None) => Some(format!("Since {since}")),
        (None, Some(until)) => Some(format!("Until {end}", end = dates::shown(until.end()))),
        (Some(since), Some(until)) => {
            Some(format!("From {since} until {end}", end = dates::shown(until.end())))
        }
    }
}

fn text(stats: &ActivityStats) -> String {
    let mut parts = vec![format!(
        "{activities} activities; {sessions} sessions, {active} active",
        activities = stats.total_activities,
        sessions = stats.sessions.total,
        active = stats.sessions.active
    )];
    if !stats.by_type.is_empty() {
        let mut table = Table::new(&["TYPE", "COUNT", ""]);
        let most = stats.by_type.iter().map(|kind| kind.count).max().unwrap_or(0);
        for kind in &stats.by_type {
            table.row([kind.activity_type.clone(), kind.count.to_string(), bar(kind.count, most)]);
        }
        let total = total(stats.by_type.len(), stats.by_type_omitted);
        parts.push(format!("{table} types", table = table.of_total(total)));
    }
    if !stats.by_day.is_empty() {
        let mut table = Table::new(&["DAY", "COUNT", ""]);
        let newest = &stats.by_day[stats.by_day.len().saturating_sub(DAYS_MAX)..];
        let most = newest.iter().map(|day| day.count).max().unwrap_or(0);
        for day in newest {
            table.row([
                day.day.format("%a %Y-%m-%d").to_string(),
                day.count.to_string(),
                bar(day.count, most),
            ]);
        }
        let total = total(stats.by_day.len(), stats.by_day_omitted);
        let older = if total > i64::try_from(newest.len()).unwrap_or(i64::MAX) {
            "; --until and --json show older ones"
        } else {
            ""
        };
        parts.push(format!("{table} days{older}", table = table.of_total(total)));
    }
    parts.join("\n\n")
}

fn total(listed: usize, omitted: i64) -> i64 {
    i64::try_from(listed).unwrap_or(i64::MAX).saturating_add(omitted)
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use roots_client::model::{DayCount, SessionCounts, TypeCount};

    use super::*;

    fn stats(days: u32) -> ActivityStats {
        let day = |n| DayCount {
            day: NaiveDate::from_ymd_opt(2026, 3 + n / 28, 1 + n % 28).unwrap(),
            count: i64::from(n) + 1,
        };
        let kind = |name: &str, count| TypeCount { activity_type: name.to_owned(), count };
        ActivityStats {
            total_activities: 47,
            by_type: vec![kind("general", 27), kind("deploy", 12), kind("review", 8)],
            by_type_omitted: 0,
            by_day: (0..days).map(day).collect(),
            by_day_omitted: 0,
            sessions: SessionCounts { total: 5, active: 1 },
        }
    }

    #[test]
    fn types_and_days_have_bars() {
        insta::assert_snapshot!(text(&stats(3)), @"");
    }

    #[test]
    fn the_text_has_the_newest_days_and_says_so() {
        let shown = text(&ActivityStats { by_day_omitted: 100, ..stats(40) });
        assert!(shown.ends_with("31 of 140 days; --until and --json show older ones"), "{shown}");
        assert!(!shown.contains("2026-03-09"), "{shown}");
        assert!(shown.contains("2026-03-10"), "{shown}");
    }

    #[test]
    fn without_activities_there_are_no_tables() {
        let nothing = ActivityStats { by_type: Vec::new(), total_activities: 0, ..stats(0) };
        assert_eq!(text(&nothing), "0 activities; 5 sessions, 1 active");
    }
}
