//! The tables, as Markdown: at the terminal, and in a page of the docs.

use std::fmt::Write;

use crate::results::{Beside, Engine, Figure, Neighbours, Results, Series, Spread, Target};

/// Between these two lines of a page, what was measured stands.
const BEGIN: &str = "<!-- measured: cargo xtask bench --report writes what follows -->";
const END: &str = "<!-- /measured -->";

/// Everything but the plots.
pub(crate) fn tables(results: &Results) -> String {
    let run = &results.run;
    let machine = &results.machine;
    let commit = run.commit.as_ref().map(|commit| format!(", commit {commit}")).unwrap_or_default();
    let mut text = format!(
        "Measured on {}{commit}: {}, {} processors, {:.0} GiB of memory, {}. {} rounds of {} s, {} connections, \
         {} activities, {} accounts.\n",
        run.day,
        machine.processor,
        machine.processors,
        gibibytes(machine.memory_mib),
        machine.system,
        run.rounds,
        run.seconds,
        run.connections,
        run.rows,
        run.accounts,
    );
    for remark in &results.remarks {
        let _ = write!(text, "\n**{remark}**\n");
    }
    for engine in Engine::ALL {
        let figures: Vec<_> =
            results.figures.iter().filter(|figure| figure.engine == engine).collect();
        if !figures.is_empty() {
            let _ = write!(text, "\n### {}\n\n{}", engine.name(), figure_table(&figures));
        }
    }
    let _ = write!(text, "\n### Loads and floors\n\n{}", series_table(&results.series));
    text
}

/// What a quiet account felt of its neighbours.
pub(crate) fn neighbours(neighbours: &Neighbours) -> String {
    let Neighbours { day, commit, machine, is_quick, seconds, rows } = neighbours;
    let commit = commit.as_ref().map(|commit| format!(", commit {commit}")).unwrap_or_default();
    let mut text = format!(
        "Measured on {day}{commit}: {}, {} processors, {:.0} GiB of memory, {}. {seconds} s beside each neighbour.\n",
        machine.processor,
        machine.processors,
        gibibytes(machine.memory_mib),
        machine.system,
    );
    if *is_quick {
        text.push_str("\n**A smoke run, too short for its figures to mean anything.**\n");
    }
    for engine in Engine::ALL {
        let rows: Vec<_> = rows.iter().filter(|row| row.engine == engine).collect();
        if !rows.is_empty() {
            let _ =
                write!(text, "\n### {}, beside a neighbour\n\n{}", engine.name(), beside(&rows));
        }
    }
    text
}

fn beside(rows: &[&Beside]) -> String {
    let cells = rows.iter().map(|row| {
        [
            row.name(),
            short(row.p50_ms),
            short(row.p99_ms),
            short(row.worst_ms),
            format!("{} of {}", row.failed, row.requests),
            row.asked_again.to_string(),
            short(row.memory_mib),
            if row.is_reached() { "yes" } else { "**no**" }.to_owned(),
            row.answered(),
        ]
    });
    let head = [
        "neighbour",
        "p50, ms",
        "p99, ms",
        "worst, ms",
        "failed",
        "asked again",
        "memory, MiB",
        "reached",
        "what the neighbour was answered",
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
            Target::AtLeast(target) => format!("≥ {}{unit}", short(target)),
            Target::AtMost(target) => format!("≤ {}{unit}", short(target)),
        };
        let reached = if figure.is_reached() { "yes" } else { "**no**" };
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
        let whose = series.engine.map_or("–", Engine::name);
        let rates: Vec<f64> = series.rounds.iter().map(|round| round.rate).collect();
        let Spread { median, least, most } = Spread::of(&rates);
        let cell = |value: Option<f64>| value.map(short).unwrap_or_default();
        [
            series.name.clone(),
            whose.to_owned(),
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
        "what",
        "where",
        "a second",
        "spread",
        "p50, ms",
        "p99, ms",
        "server, µs",
        "load, µs",
        "busy, %",
    ];
    table(head, rows)
}

/// Three digits, or all before the point; four of what is little more than 1, as targets are.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        less if less < 1.5 => 3,
        less if less < 10.0 => 2,
        less if less < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// A table whose columns are as wide as what they hold; all but the first are aligned to the right.
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

/// The page with `measured` in its place; nothing if it has no place for it.
pub(crate) fn place(page: &str, measured: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", measured.trim()))
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
    fn a_figure_is_told_with_its_spread_and_its_target() {
        let figure = |values: &[f64], target| Figure {
            engine: Engine::Sqlite,
            name: "a".to_owned(),
            unit: " ms".to_owned(),
            values: values.to_vec(),
            target,
        };
        let told = figure_table(&[
            &figure(&[1.5, 2.0, 12.25], Target::AtMost(1.25)),
            &figure(&[150.4], Target::AtLeast(0.5)),
            &figure(&[], Target::AtLeast(0.5)),
        ]);
        let rows: Vec<_> = told.lines().skip(2).collect();
        assert_eq!(rows[0], "| a      | 2.00 ms | 1.50 – 12.2 | ≤ 1.250 ms |  **no** |");
        assert_eq!(rows[1], "| a      |  150 ms |             | ≥ 0.500 ms |     yes |");
        assert_eq!(rows[2], "| a      |       – |             | ≥ 0.500 ms |  **no** |");
    }

    #[test]
    fn what_was_measured_takes_the_place_of_what_was_before() {
        let page = format!("# A\n\n{BEGIN}\nold\n{END}\n\nmore\n");
        let placed = place(&page, "new\n").unwrap();
        assert_eq!(placed, format!("# A\n\n{BEGIN}\n\nnew\n\n{END}\n\nmore\n"));
        assert_eq!(place(&placed, "new").unwrap(), placed);
        assert_eq!(place("# A\n", "new"), None);
    }
}
