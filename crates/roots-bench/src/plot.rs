//! The plots, as SVG: horizontal bars with their names on the left.

use std::error::Error;

use plotters::coord::ranged1d::SegmentValue;
use plotters::prelude::*;

use crate::results::{Engine, Results, Series, Spread};

/// Pixels.
const WIDTH: u32 = 960;
const ROW_HEIGHT: u32 = 22;
const MARGIN_HEIGHT: u32 = 110;
const NAMES_WIDTH: u32 = 420;
/// Longer bars are cut off: they would hide the differences near the target.
const SURPLUS_MAX: f64 = 5.0;

const OWN: [(Engine, RGBColor); 2] =
    [(Engine::Sqlite, RGBColor(31, 119, 180)), (Engine::Postgres, RGBColor(44, 160, 44))];
const FLOOR: RGBColor = RGBColor(150, 150, 150);
const MISSED: RGBColor = RGBColor(214, 39, 40);

/// A bar chart.
struct Plot {
    title: String,
    axis: &'static str,
    /// Where to draw a line across all bars.
    line: Option<f64>,
    bars: Vec<Bar>,
}

struct Bar {
    name: String,
    value: f64,
    /// The ends of the line that is drawn over the bar.
    range: (f64, f64),
    color: RGBColor,
}

/// A plot as SVG.
pub(crate) struct RenderedPlot {
    /// The name of its file.
    pub(crate) file: &'static str,
    pub(crate) title: String,
    pub(crate) svg: String,
}

/// Draws all plots.
///
/// # Errors
/// The library fails.
pub(crate) fn render_all(results: &Results) -> Result<Vec<RenderedPlot>, Box<dyn Error>> {
    let plots = [
        ("targets.svg", targets(results)),
        ("rates.svg", rates(results)),
        ("latencies.svg", latencies(results)),
    ];
    let draw =
        |(file, plot): (_, Plot)| Ok(RenderedPlot { file, svg: plot.draw()?, title: plot.title });
    plots.into_iter().map(draw).collect()
}

fn color(engine: Option<Engine>) -> RGBColor {
    let own = OWN.iter().find(|(own, _)| Some(*own) == engine);
    own.map_or(FLOOR, |(_, color)| *color)
}

fn label(series: &Series) -> String {
    series
        .engine
        .map_or(series.name.clone(), |engine| format!("{}: {}", engine.name(), series.name))
}

fn targets(results: &Results) -> Plot {
    let bars = results.figures.iter().map(|figure| {
        let surplus = figure.surplus().min(SURPLUS_MAX);
        Bar {
            name: format!("{}: {}", figure.engine.name(), figure.name),
            value: surplus,
            range: (surplus, surplus),
            color: if figure.is_reached() { color(Some(figure.engine)) } else { MISSED },
        }
    });
    Plot {
        title: "Figures against their targets".to_owned(),
        axis: "1 is the target, 2 is twice as good; cut off at 5",
        line: Some(1.0),
        bars: bars.collect(),
    }
}

fn rates(results: &Results) -> Plot {
    let bars = results.series.iter().filter(|series| !is_compared(series)).map(|series| {
        let rates: Vec<f64> = series.rounds.iter().map(|round| round.rate).collect();
        let Spread { median, least, most } = Spread::of(&rates);
        let color = if is_floor(series) { FLOOR } else { color(series.engine) };
        Bar { name: label(series), value: median, range: (least, most), color }
    });
    Plot {
        title: "Rates".to_owned(),
        axis: "per second; the line at the end of a bar spans the worst round to the best",
        line: None,
        bars: bars.collect(),
    }
}

fn latencies(results: &Results) -> Plot {
    let own =
        |series: &&Series| series.engine.is_some() && !is_compared(series) && !is_floor(series);
    let bars = results.series.iter().filter(own).filter_map(|series| {
        let p50 = series.median(|round| round.p50_ms)?;
        let p99 = series.median(|round| round.p99_ms)?;
        let color = color(series.engine);
        Some(Bar { name: label(series), value: p50, range: (p50, p99), color })
    });
    Plot {
        title: "Latencies".to_owned(),
        axis: "milliseconds; the bar is the p50, the line at its end reaches the p99",
        line: None,
        bars: bars.collect(),
    }
}

fn is_floor(series: &Series) -> bool {
    series.engine.is_none() || series.name.starts_with(crate::figures::name::STORE)
}

/// Whether the series only serves the comparison of database sizes.
fn is_compared(series: &Series) -> bool {
    use crate::figures::name::{LARGE, SMALL};
    series.name.ends_with(SMALL) || series.name.ends_with(LARGE)
}

impl Plot {
    fn draw(&self) -> Result<String, Box<dyn Error>> {
        let rows = u32::try_from(self.bars.len())?;
        let most = self.bars.iter().map(|bar| bar.range.1.max(bar.value)).fold(0.0, f64::max);
        let mut text = String::new();
        {
            let size = (WIDTH, MARGIN_HEIGHT + rows * ROW_HEIGHT);
            let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
            area.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(&area)
                .caption(&self.title, ("sans-serif", 20))
                .margin(12)
                .x_label_area_size(44)
                .y_label_area_size(NAMES_WIDTH)
                .build_cartesian_2d(
                    0.0..(most * 1.05).max(f64::EPSILON),
                    (0..rows.saturating_sub(1)).into_segmented(),
                )?;
            let edge = |row| if row < rows { SegmentValue::Exact(row) } else { SegmentValue::Last };
            // The first bar is at the top, so row 0 is the last one.
            let name = |value: &SegmentValue<u32>| match value {
                SegmentValue::CenterOf(row) => {
                    let bar = rows.checked_sub(row + 1).and_then(|at| self.bars.get(at as usize));
                    bar.map(|bar| bar.name.clone()).unwrap_or_default()
                }
                _ => String::new(),
            };
            chart
                .configure_mesh()
                .disable_y_mesh()
                .light_line_style(TRANSPARENT)
                .x_label_formatter(&|value| ((value * 100.0).round() / 100.0).to_string())
                .x_desc(self.axis)
                .y_labels(self.bars.len())
                .y_label_formatter(&name)
                .label_style(("sans-serif", 13))
                .draw()?;
            for (row, bar) in (0..rows).rev().zip(&self.bars) {
                let corners = [(0.0, edge(row)), (bar.value, edge(row + 1))];
                let mut body = Rectangle::new(corners, bar.color.filled());
                body.set_margin(3, 3, 0, 0);
                chart.draw_series([body])?;
                let middle = SegmentValue::CenterOf(row);
                let (least, most) = bar.range;
                let line = [(least, middle.clone()), (most, middle)];
                chart.draw_series([PathElement::new(line, BLACK)])?;
            }
            if let Some(at) = self.line {
                let line = [(at, edge(0)), (at, edge(rows))];
                chart.draw_series([PathElement::new(line, BLACK)])?;
            }
            area.present()?;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_shows_its_title_axis_and_the_names_of_its_bars() {
        let bar = |name: &str, value| Bar {
            name: name.to_owned(),
            value,
            range: (value, value * 2.0),
            color: FLOOR,
        };
        let bars = vec![bar("GET /a", 1.0), bar("GET /b", 3.0)];
        let plot = Plot { title: "How fast".to_owned(), axis: "a second", line: Some(1.0), bars };
        let drawn = plot.draw().unwrap();
        assert!(drawn.starts_with("<svg "), "{drawn}");
        for text in ["How fast", "a second", "GET /a", "GET /b"] {
            assert_eq!(drawn.matches(text).count(), 1, "{text}: {drawn}");
        }
    }

    #[test]
    fn a_plot_without_bars_can_be_drawn() {
        let plot =
            Plot { title: "None".to_owned(), axis: "a second", line: None, bars: Vec::new() };
        assert!(plot.draw().unwrap().contains("None"));
    }
}
