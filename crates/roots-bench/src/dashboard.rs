//! Measures what people who look at the dashboard use: its first page, the streams that keep it up
//! to date, and the lists and statistics behind its pages.
//!
//! As in [`crate::measure()`], loads that are compared with each other take turns.

mod figures;
mod fixture;
mod reads;
mod rows;
mod shown;
mod streams;

use std::error::Error;
use std::time::{Duration, Instant};

use crate::client::RequestSpec;
use crate::figures::name::{LARGE, SMALL};
use crate::latency::{Latencies, number};
use crate::load::{LoadPattern, Window};
use crate::machine;
use crate::measure::{self, BenchPlan, CONNECTIONS, OtherWork, TURNS};
use crate::process::ServerProcess;
use crate::recorder::Recorder;
use crate::results::{Engine, Figure, PartResults, Round};

use figures::name;
use fixture::{AccountSize, DashboardServer, STREAMS, Team};
use streams::OpenStreams;

/// Writes a second while streams are open: 15 agents that each write ten times a second.
const WRITES_A_SECOND: f64 = 150.0;
/// Turns of the writes with and without streams in a round.
const STREAM_TURNS: usize = 2;

/// How much to measure.
struct DashboardScale {
    rounds: usize,
    /// Reads of one kind in a turn of the comparison of database sizes.
    reads: u64,
    /// The time in which writes beside streams are measured.
    window: Window,
    /// Writes in a round that a page waits for.
    shown: u32,
}

impl DashboardScale {
    const FULL: Self = Self {
        rounds: 3,
        reads: 100,
        window: Window { warm_up: Duration::from_secs(1), time: Duration::from_secs(6) },
        shown: 20,
    };
    /// A smoke test.
    const QUICK: Self = Self {
        rounds: 1,
        reads: 10,
        window: Window { warm_up: Duration::from_millis(500), time: Duration::from_secs(1) },
        shown: 3,
    };
}

/// Measures all loads of the dashboard.
///
/// # Errors
/// A process failed, or a response is not as expected.
pub(crate) fn measure(plan: &BenchPlan) -> Result<PartResults, Box<dyn Error>> {
    let scale = if plan.scale.is_quick { DashboardScale::QUICK } else { DashboardScale::FULL };
    let (mut recorder, mut figures) = (Recorder::default(), Vec::new());
    for engine in plan.engines() {
        let bench = DashboardBench::create(plan, engine)?;
        bench.measure(plan, &scale, &mut recorder, &mut figures)?;
    }
    Ok(PartResults {
        day: machine::today(),
        commit: plan.commit.clone(),
        machine: machine::this(),
        extent: format!(
            "{} rounds of {} s, {STREAMS} streams, {rows} activities, {rows} sessions, {rows} todos.",
            scale.rounds,
            scale.window.time.as_secs_f64(),
            rows = plan.scale.rows,
        ),
        remarks: recorder.remarks(plan.scale.is_quick),
        series: recorder.series,
        figures,
    })
}

/// The benchmark of one database.
struct DashboardBench {
    engine: Engine,
    small: DashboardServer,
    large: DashboardServer,
    /// A second process on the large database, where that is possible.
    second: Option<ServerProcess>,
    /// Other accounts in the large database, which streams watch and loads write to.
    teams: Vec<Team>,
}

impl DashboardBench {
    /// Fills both databases.
    fn create(plan: &BenchPlan, engine: Engine) -> Result<Self, Box<dyn Error>> {
        let rows = plan.scale.rows;
        eprintln!("{}: filling the database with {rows} rows of each kind", engine.name());
        let databases = plan.postgres.as_ref().filter(|_| engine == Engine::Postgres);
        let url = |of: fn(&measure::PostgresDatabases) -> &String| databases.map(of).cloned();
        let small = DashboardServer::fill(
            plan,
            (engine, "small", url(|databases| &databases.small)),
            AccountSize::SMALL,
        )?;
        let large = DashboardServer::fill(
            plan,
            (engine, "large", url(|databases| &databases.large)),
            AccountSize::large(rows),
        )?;
        let teams = large.add_teams()?;
        if let Some(databases) = databases {
            measure::vacuum(databases, &[&databases.small, &databases.large])?;
        }
        let second = match databases {
            Some(_) => Some(large.instance.start_second()?),
            None => None,
        };
        Ok(Self { engine, small, large, second, teams })
    }

    /// Measures all rounds.
    fn measure(
        self,
        plan: &BenchPlan,
        scale: &DashboardScale,
        recorder: &mut Recorder,
        figures: &mut Vec<Figure>,
    ) -> Result<(), Box<dyn Error>> {
        let name = self.engine.name();
        let (other_work, mut shown) = (OtherWork::start(plan)?, Latencies::default());
        for round in 1..=scale.rounds {
            eprintln!("{name}: round {round} of {} for the dashboard", scale.rounds);
            other_work.record(plan, recorder)?;
            self.compare_sizes(scale, recorder)?;
            self.write_beside_streams(scale, recorder)?;
            shown.append(self.show(scale)?);
        }
        figures.extend(figures::compute(self.engine, &recorder.series, &shown));
        let seconds = shown.seconds();
        recorder.record(Some(self.engine), name::SHOWN, Round::of(&shown.quantiles(), seconds));
        eprintln!("{name}: verifying the databases");
        if let Some(second) = self.second {
            second.stop()?;
        }
        for DashboardServer { instance, server, .. } in [self.small, self.large] {
            server.stop()?;
            instance.verify()?;
        }
        Ok(())
    }

    /// Measures the time that one client waits for a page, a list or statistics, in the small and
    /// in the large database.
    fn compare_sizes(
        &self,
        scale: &DashboardScale,
        recorder: &mut Recorder,
    ) -> Result<(), Box<dyn Error>> {
        for read in reads::ALL {
            for (size, filled) in [(SMALL, &self.small), (LARGE, &self.large)].repeat(TURNS) {
                let request = filled.request(read.what)?;
                let write = filled.owner.log_activity();
                let write = read.is_after_a_write.then_some(&write);
                // The first responses after a pause are slow and do not count.
                reads::measure(filled.server.address, write, &request, scale.reads / 4)?;
                let times = reads::measure(filled.server.address, write, &request, scale.reads)?;
                let seconds = times.seconds();
                let round = Round::of(&times.quantiles(), seconds);
                recorder.record(Some(self.engine), &format!("{}{size}", read.name), round);
            }
        }
        Ok(())
    }

    /// Measures agents' writes without a stream and with as many as a process takes, all of which
    /// are told of these writes.
    fn write_beside_streams(
        &self,
        scale: &DashboardScale,
        recorder: &mut Recorder,
    ) -> Result<(), Box<dyn Error>> {
        let server = &self.large.server;
        let writes: Vec<RequestSpec> = fixture::writes(&self.teams);
        let paced = LoadPattern::OpenLoop { per_second: WRITES_A_SECOND, window: scale.window };
        for with_streams in [false, true].repeat(STREAM_TURNS) {
            let open = if with_streams {
                Some(OpenStreams::open(server.address, fixture::streams(&self.teams))?)
            } else {
                None
            };
            let begun = Instant::now();
            let beside = |name: &str| match &open {
                Some(_) => format!("{name}{}", name::BESIDE),
                None => name.to_owned(),
            };
            for (name, pattern) in [
                (name::WRITES, paced),
                (name::WRITES_AT_MOST, LoadPattern::ClosedLoop(scale.window)),
            ] {
                let report = measure::send_load(server, CONNECTIONS, pattern, writes.clone(), 0)?;
                recorder.record_load(Some(self.engine), &beside(name), &report);
            }
            if let Some(open) = open {
                let told = open.close()?;
                let per_second = number(told) / begun.elapsed().as_secs_f64();
                recorder.record(
                    Some(self.engine),
                    name::TOLD,
                    Round { rate: per_second, ..Round::default() },
                );
            }
        }
        Ok(())
    }

    /// Measures how long it takes until a page shows a write.
    fn show(&self, scale: &DashboardScale) -> Result<Latencies, Box<dyn Error>> {
        let team = self.teams.first().ok_or("there is no team")?;
        let written = self.large.server.address;
        let shown = self.second.as_ref().map_or(written, |second| second.address);
        Ok(shown::measure(written, shown, team, scale.shown)?)
    }
}
