//! Where the rounds of all loads are entered, and what is found out in passing.

use crate::latency::number;
use crate::load::Told;
use crate::measure::OVERLOAD;
use crate::results::{Engine, Round, Run, Series, Spread};

/// A machine that is busier than this has nothing left to give.
const SATURATED: f64 = 0.95;
/// More than this of what is spent is too much for a load.
const LOAD_SHARE: f64 = 0.6;
/// More than this of the machine, taken by others, spoils the figures.
const DISTURBED: f64 = 0.05;

/// The system tells of its processors in steps too coarse for less.
const LONG_SECONDS: f64 = 0.4;

/// All rounds.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) series: Vec<Series>,
    /// Beside each series, what was asked too much of the load.
    strained: Vec<usize>,
    /// How much of the machine others took beside the web floor, of 1.
    others: Vec<f64>,
}

impl Book {
    /// Enters a round.
    pub(crate) fn enter(&mut self, engine: Option<Engine>, name: &str, round: Round) {
        let at = self.index(engine, name);
        self.series[at].rounds.push(round);
    }

    /// Enters a round of a load.
    pub(crate) fn enter_load(&mut self, engine: Option<Engine>, name: &str, told: &Told) {
        let at = self.index(engine, name);
        let answers = number(told.good.count + told.refused.count);
        let is_long = told.seconds >= LONG_SECONDS && answers > 0.0;
        let each = |cpu: f64| is_long.then(|| cpu / answers * 1_000_000.0);
        self.series[at].rounds.push(Round {
            server_micros: each(told.server_cpu),
            load_micros: each(told.load_cpu),
            busy: is_long.then(|| told.busy()),
            ..Round::of(&told.good, told.seconds)
        });
        self.strained[at] += usize::from(is_strained(told));
        if engine.is_none() {
            let spent = told.seconds * number(told.processors);
            self.others.push((told.machine_cpu - told.load_cpu - told.server_cpu) / spent);
        }
    }

    fn index(&mut self, engine: Option<Engine>, name: &str) -> usize {
        let is_it = |series: &Series| series.engine == engine && series.name == name;
        self.series.iter().position(is_it).unwrap_or_else(|| {
            self.series.push(Series { engine, name: name.to_owned(), rounds: Vec::new() });
            self.strained.push(0);
            self.series.len() - 1
        })
    }

    /// What is to be known when reading the figures.
    pub(crate) fn remarks(&self, run: &Run) -> Vec<String> {
        let mut remarks = Vec::new();
        if run.is_quick {
            remarks.push("A smoke run, too short for its figures to mean anything.".to_owned());
        }
        let others = Spread::of(&self.others).median;
        if others > DISTURBED {
            let percent = others * 100.0;
            remarks.push(format!(
                "Other work took {percent:.0} % of the processors: the figures are worth little."
            ));
        }
        for (series, strained) in self.series.iter().zip(&self.strained) {
            if strained * 2 > series.rounds.len() {
                let engine = series.engine.map_or("", Engine::name);
                remarks.push(format!(
                    "The load was the bottleneck, not what it asked: {engine} {}.",
                    series.name
                ));
            }
        }
        remarks
    }
}

/// What there is to say of a load that was to be more than the server sustains: how much it was.
pub(crate) fn unsent(engine: Engine, loads: &[Told]) -> Option<String> {
    let share = |told: &Told| {
        let unsent = number(usize::try_from(told.unsent).unwrap_or(usize::MAX));
        unsent / (unsent + number(told.good.count + told.refused.count)).max(1.0)
    };
    let percent = 100.0 * Spread::of(&loads.iter().map(share).collect::<Vec<_>>()).median;
    (percent >= 1.0).then(|| {
        format!(
            "Of {OVERLOAD} × what it sustains on {}, {percent:.0} % was never asked, since all connections \
             waited for answers: it was asked {:.1} × of it.",
            engine.name(),
            OVERLOAD * (1.0 - percent / 100.0)
        )
    })
}

/// Whether the load took the machine for itself: nothing of it was left, and what answered did with
/// much less than the load. A client costs about what a bare server does, so a half is its due.
fn is_strained(told: &Told) -> bool {
    told.busy() > SATURATED && told.load_cpu > LOAD_SHARE * told.machine_cpu
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Quantiles;

    fn told(load_cpu: f64, server_cpu: f64, machine_cpu: f64) -> Told {
        Told {
            next: 0,
            seconds: 2.0,
            good: Quantiles { count: 1_000, p50_ms: 1.0, p99_ms: 2.0 },
            refused: Quantiles::default(),
            unsent: 0,
            load_cpu,
            server_cpu,
            machine_cpu,
            processors: 2,
        }
    }

    #[test]
    fn a_load_that_took_the_machine_for_itself_is_told() {
        assert!(is_strained(&told(3.9, 0.0, 3.9)));
        assert!(is_strained(&told(2.4, 1.5, 3.9)));
        assert!(!is_strained(&told(2.0, 1.9, 3.9)));
        // The machine had room: what was asked took its time.
        assert!(!is_strained(&told(1.0, 0.5, 1.6)));
    }

    #[test]
    fn what_spoils_the_figures_is_remarked() {
        let mut book = Book::default();
        let run = Run { is_quick: false, ..Run::default() };
        book.enter_load(None, "floor", &told(1.0, 2.0, 3.0));
        book.enter_load(Some(Engine::Sqlite), "a", &told(1.0, 2.0, 4.0));
        assert_eq!(book.remarks(&run), Vec::<String>::new());
        assert_eq!(book.series[1].rounds[0].server_micros, Some(2_000.0));
        for _ in 0..3 {
            book.enter_load(None, "floor", &told(1.0, 2.0, 4.0));
            book.enter_load(Some(Engine::Sqlite), "a", &told(3.0, 1.0, 4.0));
        }
        let remarks = book.remarks(&Run { is_quick: true, ..run });
        assert_eq!(remarks.len(), 3, "{remarks:?}");
        assert!(remarks[1].starts_with("Other work took 25 %"), "{remarks:?}");
        assert!(remarks[2].ends_with("SQLite a."), "{remarks:?}");
    }

    #[test]
    fn what_was_never_asked_is_told() {
        let all = told(1.0, 1.0, 2.0);
        assert_eq!(unsent(Engine::Sqlite, &[all]), None);
        let half = Told { unsent: 1_000, ..all };
        let said = unsent(Engine::Sqlite, &[half]).unwrap();
        assert!(said.starts_with("Of 2 × what it sustains on SQLite, 50 % was never"), "{said}");
    }
}
