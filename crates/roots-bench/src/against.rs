//! Compares the writes of this build with those of another one, on the same machine.
//!
//! A machine changes its speed from second to second. So the two builds take turns in short rounds,
//! each with a database of its own, and only values of the same round are compared.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use crate::client::{self, RequestSpec};
use crate::figures::{name, ratios, rounds_of};
use crate::fixture::{self, FILL_CONNECTIONS};
use crate::instance::RootsInstance;
use crate::load::{LoadPattern, LoadReport, Window};
use crate::machine;
use crate::measure::{self, BenchPlan, CONNECTIONS, OtherWork};
use crate::process::ServerProcess;
use crate::recorder::Recorder;
use crate::requests::{self, ApiUser};
use crate::results::{Engine, Figure, FigureTarget, PartResults, Round, Series};

/// Todos that are moved from status to status.
const TODOS: usize = 2_048;
/// Ends the name of a series of the other build.
const OTHER: &str = ", other build";
/// The limits: a write may cost 5 % more, and so many fewer are done in the same time.
const RATE: f64 = 0.95;
const COST: f64 = 1.05;

/// How many rounds each look at the other work of the machine serves.
const ROUNDS_A_FLOOR: usize = 10;

/// How much to measure.
struct AgainstScale {
    rounds: usize,
    window: Window,
}

impl AgainstScale {
    const FULL: Self = Self {
        rounds: 30,
        window: Window { warm_up: Duration::from_millis(200), time: Duration::from_millis(800) },
    };
    /// A smoke test.
    const QUICK: Self = Self { rounds: 2, ..Self::FULL };
}

/// Measures the writes of both builds.
///
/// # Errors
/// A process failed, or a response is not as expected.
pub(crate) fn measure(plan: &BenchPlan, other: &Path) -> Result<PartResults, Box<dyn Error>> {
    let scale = if plan.scale.is_quick { AgainstScale::QUICK } else { AgainstScale::FULL };
    let mut recorder = Recorder::default();
    let mut figures = Vec::new();
    for engine in plan.engines() {
        eprintln!("{}: filling two databases", engine.name());
        let databases = plan.postgres.as_ref().filter(|_| engine == Engine::Postgres);
        let [ours, theirs] = match databases {
            Some(databases) => [&databases.large, &databases.small].map(|url| Some(url.clone())),
            None => [None, None],
        };
        let mut builds = [
            Build::start(plan, engine, (&plan.program, ours), "")?,
            Build::start(plan, engine, (other, theirs), OTHER)?,
        ];
        if let Some(databases) = databases {
            measure::vacuum(databases, &[&databases.small, &databases.large])?;
        }
        let other_work = OtherWork::start(plan)?;
        for round in 1..=scale.rounds {
            if round % ROUNDS_A_FLOOR == 1 {
                other_work.record(plan, &mut recorder)?;
            }
            eprintln!("{}: round {round} of {}", engine.name(), scale.rounds);
            for load in 0..builds[0].loads.len() {
                // Each build is first in every second round.
                let first = (round + load) % 2;
                for turn in [first, 1 - first] {
                    let (name, report) = builds[turn].send(load, scale.window)?;
                    recorder.record_load(Some(engine), &name, &report);
                }
            }
        }
        figures.extend(compute(engine, &recorder.series, machine::this().processors));
        eprintln!("{}: verifying the databases", engine.name());
        for Build { server, instance, .. } in builds {
            server.stop()?;
            instance.verify()?;
        }
    }
    Ok(PartResults {
        day: machine::today(),
        commit: plan.commit.clone(),
        machine: machine::this(),
        extent: format!(
            "{} rounds of {} s, {CONNECTIONS} connections, {} accounts.",
            scale.rounds,
            scale.window.time.as_secs_f64(),
            plan.scale.accounts,
        ),
        remarks: recorder.remarks(plan.scale.is_quick),
        series: recorder.series,
        figures,
    })
}

/// A build with its database.
struct Build {
    /// Ends the names of its series.
    suffix: &'static str,
    instance: RootsInstance,
    server: ServerProcess,
    loads: Vec<WriteLoad>,
}

/// A load of writes.
struct WriteLoad {
    name: &'static str,
    requests: Vec<RequestSpec>,
    /// The number of the next request to send.
    next: u64,
}

impl Build {
    /// Starts a build on an empty database, which it migrates itself, and adds what the loads use.
    fn start(
        plan: &BenchPlan,
        engine: Engine,
        (program, url): (&Path, Option<String>),
        suffix: &'static str,
    ) -> Result<Self, Box<dyn Error>> {
        let name = format!("{} against{suffix}", engine.name());
        let folder = plan.folder.join(&name);
        let instance = RootsInstance::new(name, program, folder, url)?;
        let server = instance.start()?;
        let owner = instance.owner()?;
        let mut crowd = Vec::new();
        let sign_ups = (0..plan.scale.accounts).map(|_| requests::sign_up());
        for response in client::send_each(server.address, sign_ups)? {
            crowd.push(ApiUser::new(fixture::field(&response, "api_key")?));
        }
        fixture::fill(&server, FILL_CONNECTIONS, fixture::count(TODOS), vec![owner.create_todo()])?;
        let load = |name, requests| WriteLoad { name, requests, next: 0 };
        let loads = vec![
            load(name::LOG, vec![owner.log_activity()]),
            load(name::LOG_ALL, crowd.iter().map(ApiUser::log_activity).collect()),
            load(name::CREATE_TODO, vec![owner.create_todo()]),
            load(name::STEP_TODO, owner.step_todos(TODOS)),
        ];
        Ok(Self { suffix, instance, server, loads })
    }

    /// Sends the load of this number for a while. Returns the name of its series.
    fn send(
        &mut self,
        number: usize,
        window: Window,
    ) -> Result<(String, LoadReport), Box<dyn Error>> {
        let load = &mut self.loads[number];
        let pattern = LoadPattern::ClosedLoop(window);
        let requests = load.requests.clone();
        let report = measure::send_load(&self.server, CONNECTIONS, pattern, requests, load.next)?;
        load.next = report.next;
        Ok((format!("{}{}", load.name, self.suffix), report))
    }
}

/// Computes the figures of one database.
fn compute(engine: Engine, series: &[Series], processors: usize) -> Vec<Figure> {
    let mut figures = Vec::new();
    for load in [name::LOG, name::LOG_ALL, name::CREATE_TODO, name::STEP_TODO] {
        let ours = rounds_of(series, Some(engine), load);
        let theirs = rounds_of(series, Some(engine), &format!("{load}{OTHER}"));
        let mut figure = |what, of: &dyn Fn(&Round) -> Option<f64>, target| {
            figures.push(Figure {
                engine,
                name: format!("{load}: {what}"),
                unit: " ×".to_owned(),
                values: ratios(ours, theirs, of),
                target,
            });
        };
        figure("rate", &|round| Some(round.rate), FigureTarget::AtLeast(RATE));
        let cost = FigureTarget::AtMost(COST);
        figure("processor time in the server", &|round| round.server_micros, cost);
        if engine == Engine::Postgres {
            let all = |round: &Round| round.micros_with_database(processors);
            figure("processor time with the database", &all, cost);
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_compared_with_that_of_the_other_build_in_the_same_round() {
        let round = |rate, server| Round {
            rate,
            server_micros: Some(server),
            load_micros: Some(20.0),
            busy: Some(0.5),
            ..Round::default()
        };
        let series = |engine, name: String, rounds: [Round; 2]| Series {
            engine: Some(engine),
            name,
            rounds: rounds.into(),
        };
        let of = |engine| {
            [
                series(engine, name::LOG.to_owned(), [round(9_000.0, 55.0), round(5_000.0, 60.0)]),
                series(
                    engine,
                    format!("{}{OTHER}", name::LOG),
                    [round(10_000.0, 50.0), round(5_000.0, 50.0)],
                ),
            ]
        };
        let all = [of(Engine::Sqlite), of(Engine::Postgres)].concat();
        let named = |figures: &[Figure], part: &str| {
            figures.iter().find(|one| one.name.contains(part)).map(|one| one.values.clone())
        };
        let figures = compute(Engine::Sqlite, &all, 2);
        assert_eq!(named(&figures, "one account: rate"), Some(vec![0.9, 1.0]));
        assert_eq!(named(&figures, "one account: processor time in"), Some(vec![1.1, 1.2]));
        assert_eq!(named(&figures, "with the database"), None);
        let figures = compute(Engine::Postgres, &all, 2);
        // 2 processors are half busy: 1 s a second, without the 20 µs of each write's client.
        let with_database = named(&figures, "one account: processor time with").unwrap();
        assert!((with_database[0] - (1e6 / 9e3 - 20.0) / (100.0 - 20.0)).abs() < 1e-9);
    }
}
