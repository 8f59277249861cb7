//! The tables as Markdown, for the terminal and for a page of the docs.

use std::fmt::Write;

use crate::results::{
    Engine, Figure, FigureTarget, Machine, NeighbourResult, NeighbourResults, PartResults, Results,
    Series, Spread,
};

/// The two lines of the page that enclose the results.
const BEGIN: &str = "<!-- measured: cargo xtask bench --report writes what follows -->";
const END: &str = "<!-- /measured -->";

/// The tables of all loads, floors and figures.
pub(crate) fn tables(results: &Results) -> String {
    let run = &results.run;
    let mut text = format!(
        "{}{} rounds of {} s, {} connections, {} activities, {} accounts.\n",
        measured_on(&run.day, run.commit.as_deref(), &results.machine),
        run.rounds,
        run.seconds,
        run.connections,
        run.rows,
        run.accounts,
    );
    text.push_str(&remarks_and_figures(&results.remarks, &results.figures, ""));
    let _ = write!(text, "\n### Loads and floors\n\n{}", series_table(&results.series));
    text
}

/// The tables of a part that a separate run measures. `of_what` ends their headings.
pub(crate) fn part(part: &PartResults, of_what: &str) -> String {
    let measured_on = measured_on(&part.day, part.commit.as_deref(), &part.machine);
    let mut text = format!("{measured_on}{}\n", part.extent);
    text.push_str(&remarks_and_figures(&part.remarks, &part.figures, &format!(" {of_what}")));
    let _ = write!(text, "\n### Loads {of_what}\n\n{}", series_table(&part.series));
    text
}

/// The tables of the quiet account beside its neighbours.
pub(crate) fn neighbours(neighbours: &NeighbourResults) -> String {
    let NeighbourResults { day, commit, machine, is_quick, seconds, rows } = neighbours;
    let measured_on = measured_on(day, commit.as_deref(), machine);
    let mut text = format!("{measured_on}{seconds} s for each neighbour.\n");
    if *is_quick {
        text.push_str("\n**This was a quick run. Its figures mean nothing.**\n");
    }
    for engine in Engine::ALL {
        let rows: Vec<_> = rows.iter().filter(|row| row.engine == engine).collect();
        if !rows.is_empty() {
            let _ = write!(
                text,
                "\n### {} with a neighbour\n\n{}",
                engine.name(),
                neighbour_table(&rows)
            );
        }
    }
    text
}

/// Two lines: the day and the commit, and the machine.
fn measured_on(day: &str, commit: Option<&str>, machine: &Machine) -> String {
    let commit = commit.map(|commit| format!(", commit {commit}")).unwrap_or_default();
    format!(
        "Measured on {day}{commit}:\n{}, {} processors, {:.0} GiB of memory, {}.\n",
        machine.processor,
        machine.processors,
        gibibytes(machine.memory_mib),
        machine.system,
    )
}

/// The remarks, and a table of figures for each database. `of_what` ends their headings.
fn remarks_and_figures(remarks: &[String], figures: &[Figure], of_what: &str) -> String {
    let mut text = String::new();
    for remark in remarks {
        let _ = write!(text, "\n**{remark}**\n");
    }
    for engine in Engine::ALL {
        let figures: Vec<_> = figures.iter().filter(|figure| figure.engine == engine).collect();
        if !figures.is_empty() {
            let name = engine.name();
            let _ = write!(text, "\n### {name}{of_what}\n\n{}", figure_table(&figures));
        }
    }
    text
}

fn neighbour_table(rows: &[&NeighbourResult]) -> String {
    let cells = rows.iter().map(|row| {
        [
            row.name(),
            short(row.p50_ms),
            short(row.p99_ms),
            short(row.worst_ms),
            format!("{} of {}", row.failed, row.requests),
            row.retried.to_string(),
            short(row.memory_mib),
            if row.is_reached() { "yes" } else { "**no**" }.to_owned(),
            row.responses_by_frequency(),
        ]
    });
    let head = [
        "neighbour",
        "p50, ms",
        "p99, ms",
        "worst, ms",
        "failed",
        "retried",
        "memory, MiB",
        "reached",
        "responses to the neighbour",
    ];
    table(head, cells)
}

#[expect(clippy::cast_precision_loss, reason = "a machine has less")]
fn gibibytes(mebibytes: u64) -> f64 {
    mebibytes as f64 / 1_024.0
}

fn figure_table(figures: &[&Figure]) -> String {
    let rows = figures.iter().map(|figure| {
        let Spread { median, least, most } = figure.spread();
        let unit = &figure.unit;
        let target = match figure.target {
            FigureTarget::AtLeast(target) => format!("≥ {}{unit}", short(target)),
            FigureTarget::AtMost(target) => format!("≤ {}{unit}", short(target)),
            FigureTarget::Unset => "–".to_owned(),
        };
        let reached = match figure.target {
            FigureTarget::Unset => "–",
            _ if figure.is_reached() => "yes",
            _ => "**no**",
        };
        let spread = match figure.values.len() {
            0 => return [figure.name.clone(), "–".into(), String::new(), target, reached.into()],
            1 => String::new(),
            _ => format!("{} – {}", short(least), short(most)),
        };
        let name = figure.name.clone();
        [name, format!("{}{unit}", short(median)), spread, target, reached.to_owned()]
    });
    table(["figure", "median", "spread", "target", "reached"], rows)
}

fn series_table(series: &[Series]) -> String {
    let rows = series.iter().map(|series| {
        let database = series.engine.map_or("–", Engine::name);
        let rates: Vec<f64> = series.rounds.iter().map(|round| round.rate).collect();
        let Spread { median, least, most } = Spread::of(&rates);
        let cell = |value: Option<f64>| value.map(short).unwrap_or_default();
        [
            series.name.clone(),
            database.to_owned(),
            format!("{median:.0}"),
            format!("{least:.0} – {most:.0}"),
            cell(series.median(|round| round.p50_ms)),
            cell(series.median(|round| round.p99_ms)),
            cell(series.median(|round| round.server_micros)),
            cell(series.median(|round| round.load_micros)),
            cell(series.median(|round| round.busy.map(|busy| busy * 100.0))),
        ]
    });
    let head = [
        "load",
        "database",
        "per second",
        "spread",
        "p50, ms",
        "p99, ms",
        "server, µs",
        "load, µs",
        "busy, %",
    ];
    table(head, rows)
}

/// Rounds to three digits but keeps all before the point. Values below 1.5 get three decimals,
/// because many targets are near 1.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        less if less < 1.5 => 3,
        less if less < 10.0 => 2,
        less if less < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// A table with padded columns; all but the first are aligned to the right.
fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0).max(3));
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let cell = if column == 0 { format!("{cell}{padding}") } else { padding + cell };
            let _ = write!(text, "| {cell} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.into_iter().enumerate() {
                let rule = "-".repeat(width - usize::from(column > 0));
                let side = if column == 0 { "" } else { ":" };
                let _ = write!(text, "| {rule}{side} ");
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Replaces the text between the markers of a page. Returns nothing if the page has no markers.
pub(crate) fn insert(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned() {
        let rows = [["a page", "1.00 µs"], ["b", "25"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["figure", "value"], rows.into_iter()),
            "| figure |   value |\n| ------ | ------: |\n| a page | 1.00 µs |\n| b      |      25 |\n"
        );
    }

    #[test]
    fn a_figure_is_shown_with_its_spread_and_its_target() {
        let figure = |values: &[f64], target| Figure {
            engine: Engine::Sqlite,
            name: "a".to_owned(),
            unit: " ms".to_owned(),
            values: values.to_vec(),
            target,
        };
        let table = figure_table(&[
            &figure(&[1.5, 2.0, 12.25], FigureTarget::AtMost(1.25)),
            &figure(&[150.4], FigureTarget::AtLeast(0.5)),
            &figure(&[], FigureTarget::AtLeast(0.5)),
            &figure(&[1.5, 2.0, 12.25], FigureTarget::Unset),
        ]);
        let rows: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(rows[0], "| a      | 2.00 ms | 1.50 – 12.2 | ≤ 1.250 ms |  **no** |");
        assert_eq!(rows[1], "| a      |  150 ms |             | ≥ 0.500 ms |     yes |");
        assert_eq!(rows[2], "| a      |       – |             | ≥ 0.500 ms |  **no** |");
        assert_eq!(rows[3], "| a      | 2.00 ms | 1.50 – 12.2 |          – |       – |");
    }

    #[test]
    fn new_results_replace_the_old_ones_in_the_page() {
        let page = format!("# A\n\n{BEGIN}\nold\n{END}\n\nmore\n");
        let inserted = insert(&page, "new\n").unwrap();
        assert_eq!(inserted, format!("# A\n\n{BEGIN}\n\nnew\n\n{END}\n\nmore\n"));
        assert_eq!(insert(&inserted, "new").unwrap(), inserted);
        assert_eq!(insert("# A\n", "new"), None);
    }
}
