//! Computes the figures of what agents use, and sets their targets.

use crate::figures::{self, GROWTH, each, ratios, rounds_of};
use crate::results::{Engine, Figure, FigureTarget, Round, Series};

/// The names of loads.
pub(crate) mod name {
    pub(crate) const BRIEF_SMALL: &str = "GET /brief, small";
    pub(crate) const BRIEF_LARGE: &str = "GET /brief, large";
    pub(crate) const CLAIM: &str = "POST /todos/claim";
    pub(crate) const LIST: &str = "GET /todos?limit=20";
    pub(crate) const CALL: &str = "list_todos over MCP, 20 todos";
    pub(crate) const SEARCH: &str = "POST /search, one client";
    pub(crate) const SEARCH_BESIDE: &str = "POST /search beside pages of others";
    pub(crate) const PAGES: &str = "a page of others";
    pub(crate) const PAGES_BESIDE: &str = "a page of others beside a search";
    pub(crate) const PAGES_ALONE: &str = "a page of others, one client";
    pub(crate) const PAGES_ALONE_BESIDE: &str = "a page of others, one client, beside a search";
}

/// The limit for the p50 of a brief in the large database.
const BRIEF_MS: f64 = 3.0;
/// The share of the web floor that claims must reach. It is set for SQLite only.
const CLAIM_OF_WEB: f64 = 0.10;
/// The limit for the time of a search without a hit: on SQLite, and on PostgreSQL.
const SEARCH_SECONDS: [f64; 2] = [0.5, 0.8];
/// The limit for the memory that a search adds, and that calls of tools leave behind.
const SEARCH_MIB: f64 = 16.0;
/// The limit for the p99 of others' pages beside a search, against that without one.
const BESIDE_SEARCH: f64 = 2.0;
/// The share of the API's rate that the same page over MCP must reach.
const CALL_OF_LIST: f64 = 0.5;
/// The idle memory of commit 547f264, which had no MCP: on SQLite, and on PostgreSQL. MCP may add
/// [`MCP_MIB`] to it.
const IDLE_BEFORE_MCP_MIB: [f64; 2] = [24.0, 21.3];
const MCP_MIB: f64 = 5.0;

/// Resident memory of the large server, in MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AgentMemory {
    /// Before the first request.
    pub(crate) idle: f64,
    /// What calls of tools leave behind, after as many calls before them.
    pub(crate) calls: f64,
    /// The peak of a search above what was used before it.
    pub(crate) search: f64,
}

/// The measurements that one database's figures are computed from.
pub(crate) struct AgentMeasurements<'a> {
    /// All series.
    pub(crate) series: &'a [Series],
    /// How many rounds this database had. The web floor may have earlier rounds, of another
    /// database.
    pub(crate) rounds: usize,
    /// The size of a response to a claim.
    pub(crate) claim_bytes: usize,
    /// Activities that a search reads.
    pub(crate) activities: u64,
    pub(crate) memory: AgentMemory,
}

/// Computes the figures of one database.
pub(crate) fn compute(engine: Engine, measured: &AgentMeasurements) -> Vec<Figure> {
    let own = |name: &str| rounds_of(measured.series, Some(engine), name);
    let figure = |name: String, unit: &str, values: Vec<f64>, target| Figure {
        engine,
        name,
        unit: unit.to_owned(),
        values,
        target,
    };
    let on = |values: [f64; 2]| match engine {
        Engine::Sqlite => values[0],
        Engine::Postgres => values[1],
    };
    let rate = |round: &Round| Some(round.rate);
    let p50 = |round: &Round| round.p50_ms;
    let p99 = |round: &Round| round.p99_ms;

    let values = each(own(name::BRIEF_LARGE), p50);
    let target = FigureTarget::AtMost(BRIEF_MS);
    let mut figures = vec![figure("GET /brief, one client: p50".to_owned(), " ms", values, target)];
    let values = ratios(own(name::BRIEF_LARGE), own(name::BRIEF_SMALL), p50);
    let target = FigureTarget::AtMost(GROWTH);
    let brief = "GET /brief, large against small: p50".to_owned();
    figures.push(figure(brief, " ×", values, target));

    if engine == Engine::Sqlite {
        let web = rounds_of(measured.series, None, &figures::name::web(measured.claim_bytes));
        let web = &web[web.len().saturating_sub(measured.rounds)..];
        let values = ratios(own(name::CLAIM), web, rate);
        let target = FigureTarget::AtLeast(CLAIM_OF_WEB);
        figures.push(figure(format!("{}: of the web floor", name::CLAIM), " ×", values, target));
    }

    let values = each(own(name::SEARCH), |round| Some(round.p50_ms? / 1_000.0));
    let target = FigureTarget::AtMost(on(SEARCH_SECONDS));
    let search = format!("POST /search of {} activities, no hit: p50", measured.activities);
    figures.push(figure(search, " s", values, target));
    for (beside, without) in
        [(name::PAGES_BESIDE, name::PAGES), (name::PAGES_ALONE_BESIDE, name::PAGES_ALONE)]
    {
        let values = ratios(own(beside), own(without), p99);
        let target = FigureTarget::AtMost(BESIDE_SEARCH);
        figures.push(figure(format!("{beside}: p99, against without"), " ×", values, target));
    }

    let values = ratios(own(name::CALL), own(name::LIST), rate);
    let target = FigureTarget::AtLeast(CALL_OF_LIST);
    figures.push(figure(format!("{}: of {}", name::CALL, name::LIST), " ×", values, target));

    let AgentMemory { idle, calls, search } = measured.memory;
    let idle_most = on(IDLE_BEFORE_MCP_MIB) + MCP_MIB;
    for (what, value, most) in [
        ("idle", idle, idle_most),
        ("added by calls of MCP tools", calls, SEARCH_MIB),
        ("added by a search", search, SEARCH_MIB),
    ] {
        let name = format!("resident memory, {what}");
        figures.push(figure(name, " MiB", vec![value], FigureTarget::AtMost(most)));
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(engine: Option<Engine>, name: &str, values: &[f64]) -> Series {
        let round = |value: &f64| Round {
            rate: *value,
            p50_ms: Some(*value),
            p99_ms: Some(*value),
            ..Round::default()
        };
        Series { engine, name: name.to_owned(), rounds: values.iter().map(round).collect() }
    }

    #[test]
    fn figures_of_agents_are_compared_with_their_own_database_and_round() {
        let [sqlite, postgres] = Engine::ALL.map(Some);
        let all = [
            series(sqlite, name::BRIEF_SMALL, &[2.0, 2.0]),
            series(sqlite, name::BRIEF_LARGE, &[2.0, 3.0]),
            series(sqlite, name::CLAIM, &[10.0, 30.0]),
            series(sqlite, name::SEARCH, &[400.0, 600.0]),
            series(postgres, name::SEARCH, &[700.0, 900.0]),
            series(sqlite, name::PAGES, &[1.0, 1.0]),
            series(sqlite, name::PAGES_BESIDE, &[2.5, 2.5]),
            series(sqlite, name::LIST, &[100.0, 100.0]),
            series(sqlite, name::CALL, &[50.0, 40.0]),
            series(None, &figures::name::web(300), &[1.0, 200.0, 100.0]),
        ];
        let memory = AgentMemory { idle: 28.0, calls: 17.0, search: 15.0 };
        let measured =
            AgentMeasurements { series: &all, rounds: 2, claim_bytes: 300, activities: 9, memory };
        let figures = compute(Engine::Sqlite, &measured);
        let named = |part: &str| figures.iter().find(|one| one.name.contains(part)).unwrap();
        assert_eq!(named("one client: p50").values, [2.0, 3.0]);
        assert_eq!(named("large against small").values, [1.0, 1.5]);
        assert_eq!(named("of the web floor").values, [0.05, 0.3]);
        assert_eq!(named("of 9 activities").values, [0.4, 0.6]);
        assert_eq!(named("page of others beside a search").values, [2.5, 2.5]);
        assert!(!named("page of others beside a search").is_reached());
        assert_eq!(named("over MCP").values, [0.5, 0.4]);
        assert!(named("memory, idle").is_reached());
        assert!(!named("calls of MCP tools").is_reached());
        assert!(named("memory, added by a search").is_reached());

        let figures = compute(Engine::Postgres, &measured);
        let named = |part: &str| figures.iter().find(|one| one.name.contains(part));
        assert!(named("of the web floor").is_none(), "the target is set for SQLite only");
        assert_eq!(named("of 9 activities").unwrap().values, [0.7, 0.9]);
        assert_eq!(named("of 9 activities").unwrap().target, FigureTarget::AtMost(0.8));
        assert!(!named("memory, idle").unwrap().is_reached());
    }
}
