//! Measures the loads and floors in rounds.
//!
//! A machine is slower in some minutes than in others. So each round measures the floors and the
//! loads, and a figure compares values of the same round.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::client::RequestSpec;
use crate::figures::{self, name};
use crate::fixture::{EngineFixture, FilledServer, FixturePlan};
use crate::floor::pgbench::Pgbench;
use crate::floor::store::{self, SqliteFloor};
use crate::floor::{sync, web};
use crate::instance::RootsInstance;
use crate::load::{LoadPattern, LoadReport, LoadRequest, LoadedServer, OVERLOAD, Window};
use crate::machine;
use crate::process::{self, ProcessError, ServerProcess};
use crate::recorder::{self, Recorder};
use crate::requests::{self, ApiUser};
use crate::results::{Engine, Figure, Results, Round, RunInfo};

/// How often the two database sizes take turns in a round.
pub(crate) const TURNS: usize = 5;
/// Connections of a load, unless its name says otherwise.
pub(crate) const CONNECTIONS: usize = 64;
/// Connections of the load on statistics.
const STATS_CONNECTIONS: usize = 16;
/// Connections for the peak rate. They fill two batches of 64: one that is written, and one that
/// waits.
const PEAK_CONNECTIONS: usize = 128;
/// Connections of the overload: somewhat fewer than the 900 that the server accepts.
const OVERLOAD_CONNECTIONS: usize = 850;

/// What to measure, and how thoroughly.
pub(crate) struct BenchPlan {
    /// The program to measure.
    pub(crate) program: PathBuf,
    /// An empty folder on the disk to measure.
    pub(crate) folder: PathBuf,
    /// The PostgreSQL databases, if PostgreSQL is measured.
    pub(crate) postgres: Option<PostgresDatabases>,
    /// Whether SQLite is measured.
    pub(crate) on_sqlite: bool,
    /// The commit of the program.
    pub(crate) commit: Option<String>,
    pub(crate) scale: Scale,
}

impl BenchPlan {
    /// The databases to measure, one after the other.
    pub(crate) fn engines(&self) -> Vec<Engine> {
        let is_measured = |engine: &Engine| match engine {
            Engine::Sqlite => self.on_sqlite,
            Engine::Postgres => self.postgres.is_some(),
        };
        Engine::ALL.into_iter().filter(is_measured).collect()
    }
}

/// Three empty PostgreSQL databases.
pub(crate) struct PostgresDatabases {
    /// The folder of the PostgreSQL programs.
    pub(crate) programs: PathBuf,
    pub(crate) small: String,
    pub(crate) large: String,
    pub(crate) floor: String,
}

/// How thoroughly to measure.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) is_quick: bool,
    pub(crate) rounds: usize,
    pub(crate) window: Window,
    pub(crate) rows: u64,
    pub(crate) accounts: usize,
    pub(crate) starts: usize,
    /// Accounts that send a request with a cold key after each start.
    pub(crate) cold_accounts: usize,
    /// Reads and writes in a turn of the comparison of database sizes.
    pub(crate) reads: u64,
    pub(crate) writes: u64,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        is_quick: false,
        rounds: 5,
        window: Window { warm_up: Duration::from_millis(500), time: Duration::from_secs(2) },
        rows: 1_000_000,
        accounts: 1_000,
        starts: 5,
        cold_accounts: 3_000,
        reads: 400,
        writes: 100,
    };
    /// A smoke test.
    pub(crate) const QUICK: Self = Self {
        is_quick: true,
        rounds: 2,
        window: Window { warm_up: Duration::from_millis(100), time: Duration::from_millis(400) },
        rows: 20_000,
        accounts: 50,
        starts: 2,
        cold_accounts: 50,
        reads: 50,
        writes: 20,
    };
}

/// The store floor of a database.
enum StoreFloor {
    Sqlite(SqliteFloor),
    Postgres(Pgbench),
}

/// The benchmark of one database: its fixture, store floor and workloads.
struct EngineBench {
    fixture: EngineFixture,
    floor: StoreFloor,
    workloads: Vec<Workload>,
    overload: Vec<LoadReport>,
}

/// A load on the server of the large database.
struct Workload {
    name: &'static str,
    requests: Vec<RequestSpec>,
    connections: usize,
    /// The number of the next request to send.
    next: u64,
}

/// Measures all loads and floors.
///
/// # Errors
/// A process failed, or a file or result can't be read.
pub(crate) fn measure(plan: &BenchPlan) -> Result<Results, Box<dyn Error>> {
    if !plan.on_sqlite && plan.postgres.is_none() {
        return Err("there is nothing to measure".into());
    }
    let mut recorder = Recorder::default();
    let (mut figures, mut unsent) = (Vec::new(), Vec::new());
    // One database after the other: PostgreSQL works in the background for a while once it is
    // filled.
    if plan.on_sqlite {
        let bench = sqlite(plan)?;
        unsent.extend(measure_engine(bench, plan, &mut recorder, &mut figures)?);
    }
    if let Some(databases) = &plan.postgres {
        let bench = postgres(plan, databases)?;
        unsent.extend(measure_engine(bench, plan, &mut recorder, &mut figures)?);
    }
    let scale = &plan.scale;
    let run = RunInfo {
        day: machine::today(),
        commit: plan.commit.clone(),
        is_quick: scale.is_quick,
        rounds: scale.rounds,
        seconds: scale.window.time.as_secs_f64(),
        connections: CONNECTIONS,
        rows: scale.rows,
        accounts: scale.accounts,
    };
    let remarks = recorder.remarks(scale.is_quick).into_iter().chain(unsent).collect();
    Ok(Results {
        run,
        machine: machine::this(),
        series: recorder.series,
        figures,
        remarks,
        neighbours: None,
        agents: None,
        dashboard: None,
        against: None,
        cluster: None,
    })
}

/// Measures one database and the floors. Returns a remark on the overload, if there is one.
fn measure_engine(
    mut bench: EngineBench,
    plan: &BenchPlan,
    recorder: &mut Recorder,
    figures: &mut Vec<Figure>,
) -> Result<Option<String>, Box<dyn Error>> {
    let engine = bench.fixture.engine;
    let floors = web_floors(&bench.fixture)?;
    let mut sizes: Vec<usize> = floors.iter().map(|(_, bytes)| *bytes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let web = start_web_floor(plan, &sizes)?;
    for round in 1..=plan.scale.rounds {
        eprintln!("{}: round {round} of {}", engine.name(), plan.scale.rounds);
        let synced = sync::measure(&plan.folder, plan.scale.window.time)?.quantiles();
        recorder.record(None, name::SYNC, Round::of(&synced, plan.scale.window.time.as_secs_f64()));
        for bytes in &sizes {
            let requests = vec![RequestSpec::get(web::path(*bytes))];
            let report = steady(plan, &web, CONNECTIONS, requests, 0)?;
            recorder.record_load(None, &name::web(*bytes), &report);
        }
        bench.run_round(plan, recorder)?;
    }
    drop(web);
    figures.extend(figures::compute(
        engine,
        &figures::EngineMeasurements {
            series: &recorder.series,
            rounds: plan.scale.rounds,
            floors: &floors,
            overload: &bench.overload,
            starts: &bench.fixture.starts,
            cold: &bench.fixture.cold,
            idle_mib: bench.fixture.idle_mib,
            peak_mib: bench.fixture.large.server.memory()?.peak,
        },
    ));
    eprintln!("{}: verifying the databases", engine.name());
    let unsent = recorder::unsent_remark(engine, &bench.overload);
    bench.fixture.verify()?;
    Ok(unsent)
}

fn sqlite(plan: &BenchPlan) -> Result<EngineBench, Box<dyn Error>> {
    let fixture = create_fixture(plan, Engine::Sqlite, None)?;
    let folder = plan.folder.join("SQLite floor");
    let instance = RootsInstance::new("SQLite floor".to_owned(), &plan.program, folder, None)?;
    instance.initialize()?;
    let bytes = store::description_bytes(&fixture.small.instance.file())?;
    let floor = SqliteFloor::open(&instance.file(), bytes)?;
    Ok(EngineBench::new(fixture, StoreFloor::Sqlite(floor)))
}

fn postgres(plan: &BenchPlan, postgres: &PostgresDatabases) -> Result<EngineBench, Box<dyn Error>> {
    let databases = [postgres.small.clone(), postgres.large.clone()];
    let fixture = create_fixture(plan, Engine::Postgres, Some(databases))?;
    let folder = plan.folder.join("PostgreSQL floor");
    let url = Some(postgres.floor.clone());
    RootsInstance::new("PostgreSQL floor".to_owned(), &plan.program, folder.clone(), url)?
        .initialize()?;
    vacuum(postgres, &[&postgres.small, &postgres.large, &postgres.floor])?;
    let mut psql = Command::new(postgres.programs.join("psql"));
    psql.args(["--no-psqlrc", "--tuples-only", "--command"]);
    psql.args(["SELECT length(description) FROM activities LIMIT 1", &postgres.small]);
    let bytes = process::output("psql", &mut psql)?.trim().parse()?;
    let (program, url) = (postgres.programs.join("pgbench"), postgres.floor.clone());
    let floor = Pgbench::new(program, url, folder.join("pgbench"), bytes)?;
    Ok(EngineBench::new(fixture, StoreFloor::Postgres(floor)))
}

/// Vacuums and analyzes these databases. Autovacuum would do it within a minute, during the
/// measurement.
pub(crate) fn vacuum(postgres: &PostgresDatabases, urls: &[&str]) -> Result<(), ProcessError> {
    for url in urls {
        let mut vacuum = Command::new(postgres.programs.join("vacuumdb"));
        process::output("vacuumdb", vacuum.args(["--quiet", "--analyze", "--dbname", url]))?;
    }
    Ok(())
}

fn create_fixture(
    plan: &BenchPlan,
    engine: Engine,
    databases: Option<[String; 2]>,
) -> Result<EngineFixture, Box<dyn Error>> {
    eprintln!("{}: filling the database with {} activities", engine.name(), plan.scale.rows);
    Ok(EngineFixture::create(FixturePlan {
        engine,
        program: &plan.program,
        folder: &plan.folder,
        databases,
        rows: plan.scale.rows,
        accounts: plan.scale.accounts,
        starts: plan.scale.starts,
        cold_accounts: plan.scale.cold_accounts,
    })?)
}

/// The loads that are compared with the web floor, with the sizes of their responses.
fn web_floors(fixture: &EngineFixture) -> Result<Vec<(&'static str, usize)>, Box<dyn Error>> {
    let writer = &fixture.writer;
    let log = fixture.response_bytes(writer.log_activity())?;
    let todo = fixture.response_bytes(writer.create_todo())?;
    let session = fixture.response_bytes(writer.get("/sessions/1"))?;
    let page = fixture.response_bytes(fixture.large.owner.get("/activities?limit=20"))?;
    Ok(vec![
        (name::LOG, log),
        (name::LOG_ALL, log),
        (name::CREATE_TODO, todo),
        (name::STEP_TODO, todo),
        (name::GET_SESSION, session),
        (name::LIST, page),
    ])
}

/// Starts the web floor with responses of these sizes.
pub(crate) fn start_web_floor(
    plan: &BenchPlan,
    sizes: &[usize],
) -> Result<ServerProcess, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("floor").args(sizes.iter().map(usize::to_string));
    Ok(ServerProcess::start("the web floor", &mut command, &plan.folder.join("web floor"))?)
}

/// The web floor that only shows how much other work the machine has.
pub(crate) struct OtherWork(ServerProcess);

impl OtherWork {
    const BYTES: usize = 1_000;

    pub(crate) fn start(plan: &BenchPlan) -> Result<Self, Box<dyn Error>> {
        Ok(Self(start_web_floor(plan, &[Self::BYTES])?))
    }

    /// Measures the floor, from which the recorder takes the share of other work.
    pub(crate) fn record(
        &self,
        plan: &BenchPlan,
        recorder: &mut Recorder,
    ) -> Result<(), ProcessError> {
        let requests = vec![RequestSpec::get(web::path(Self::BYTES))];
        let report = steady(plan, &self.0, CONNECTIONS, requests, 0)?;
        recorder.record_load(None, &name::web(Self::BYTES), &report);
        Ok(())
    }
}

/// Sends a closed loop for the time of a round.
pub(crate) fn steady(
    plan: &BenchPlan,
    server: &ServerProcess,
    connections: usize,
    requests: Vec<RequestSpec>,
    first: u64,
) -> Result<LoadReport, ProcessError> {
    let pattern = LoadPattern::ClosedLoop(plan.scale.window);
    send_load(server, connections, pattern, requests, first)
}

/// Sends a load to a server.
pub(crate) fn send_load(
    server: &ServerProcess,
    connections: usize,
    pattern: LoadPattern,
    requests: Vec<RequestSpec>,
    first: u64,
) -> Result<LoadReport, ProcessError> {
    send_divided(vec![server.loaded()], connections, pattern, requests, first)
}

/// Sends a load to several servers, each of which gets its share of the connections.
pub(crate) fn send_divided(
    servers: Vec<LoadedServer>,
    connections: usize,
    pattern: LoadPattern,
    requests: Vec<RequestSpec>,
    first: u64,
) -> Result<LoadReport, ProcessError> {
    process::load(&LoadRequest { servers, connections, pattern, requests, first })
}

impl EngineBench {
    fn new(fixture: EngineFixture, floor: StoreFloor) -> Self {
        let workload = |name, connections, requests: Vec<RequestSpec>| Workload {
            name,
            requests,
            connections,
            next: 0,
        };
        let writer = &fixture.writer;
        let year = format!("/activities/stats?{}", requests::year_query());
        let workloads = vec![
            workload(name::LOG, CONNECTIONS, vec![writer.log_activity()]),
            workload(
                name::LOG_ALL,
                CONNECTIONS,
                fixture.crowd.iter().map(ApiUser::log_activity).collect(),
            ),
            workload(name::CREATE_TODO, CONNECTIONS, vec![writer.create_todo()]),
            workload(name::STEP_TODO, CONNECTIONS, fixture.step_todos()),
            workload(name::LOG_ALONE, 1, vec![writer.log_activity()]),
            workload(name::GET_SESSION, CONNECTIONS, fixture.get_sessions()),
            workload(
                name::LIST,
                CONNECTIONS,
                vec![fixture.large.owner.get("/activities?limit=20")],
            ),
            workload(name::STATS, STATS_CONNECTIONS, vec![fixture.large.owner.get(&year)]),
            workload(name::LOG_PEAK, PEAK_CONNECTIONS, vec![writer.log_activity()]),
        ];
        Self { fixture, floor, workloads, overload: Vec::new() }
    }

    /// Measures one round.
    fn run_round(
        &mut self,
        plan: &BenchPlan,
        recorder: &mut Recorder,
    ) -> Result<(), Box<dyn Error>> {
        let engine = Some(self.fixture.engine);
        let time = plan.scale.window.time;
        match &mut self.floor {
            StoreFloor::Sqlite(store) => {
                let rate = store.measure(time)?;
                recorder.record(engine, name::STORE, Round { rate, ..Round::default() });
            }
            StoreFloor::Postgres(pgbench) => {
                for (name, clients) in [(name::STORE, CONNECTIONS), (name::STORE_ALONE, 1)] {
                    recorder.record(engine, name, pgbench.measure(clients, time)?);
                }
            }
        }
        // The store floor took some seconds, so the server has finished the work that the overload
        // of the round before left behind.
        self.compare_sizes(plan, recorder)?;
        let server = &self.fixture.large.server;
        let mut peak = 0.0;
        for workload in &mut self.workloads {
            let requests = workload.requests.clone();
            let report = steady(plan, server, workload.connections, requests, workload.next)?;
            workload.next = report.next;
            if workload.name == name::LOG_PEAK {
                peak = report.rate();
            }
            recorder.record_load(engine, workload.name, &report);
        }
        // Right after the peak rate, which may change within a minute. The warm-up is twice as
        // long, because the queues must fill first.
        let Window { warm_up, time } = plan.scale.window;
        let window = Window { warm_up: warm_up * 2, time };
        let pattern = LoadPattern::OpenLoop { per_second: OVERLOAD * peak, window };
        let requests = vec![self.fixture.writer.log_activity()];
        let report = send_load(server, OVERLOAD_CONNECTIONS, pattern, requests, 0)?;
        recorder.record_load(engine, name::OVERLOADED, &report);
        self.overload.push(report);
        Ok(())
    }

    /// Measures the time that one client waits, in the small and in the large database.
    fn compare_sizes(
        &self,
        plan: &BenchPlan,
        recorder: &mut Recorder,
    ) -> Result<(), Box<dyn Error>> {
        let small = size_comparisons(&self.fixture.small, plan.scale);
        let large = size_comparisons(&self.fixture.large, plan.scale);
        for (small, large) in small.iter().zip(&large) {
            let sizes = [
                (name::SMALL, &self.fixture.small, small),
                (name::LARGE, &self.fixture.large, large),
            ];
            for (size, filled, SizeComparison { name, request, count }) in sizes.repeat(TURNS) {
                // The first responses after a pause are slow and do not count.
                send_load(
                    &filled.server,
                    1,
                    LoadPattern::Count(count / 4),
                    vec![request.clone()],
                    0,
                )?;
                let report = send_load(
                    &filled.server,
                    1,
                    LoadPattern::Count(*count),
                    vec![request.clone()],
                    0,
                )?;
                recorder.record_load(Some(self.fixture.engine), &format!("{name}{size}"), &report);
            }
        }
        Ok(())
    }
}

/// A request whose time must not grow with the database.
struct SizeComparison {
    name: &'static str,
    request: RequestSpec,
    count: u64,
}

fn size_comparisons(filled: &FilledServer, scale: Scale) -> [SizeComparison; 6] {
    let FilledServer { owner, deep_cursor, .. } = filled;
    let days = requests::last_days_query();
    let read = |name, query: String| SizeComparison {
        name,
        request: owner.get(&format!("/activities{query}")),
        count: scale.reads,
    };
    [
        read("a page", "?limit=20".to_owned()),
        read("a page deep in the list", format!("?limit=20&cursor={deep_cursor}")),
        read("a total by type", "?limit=1&type=deploy".to_owned()),
        read("a total by days", format!("?limit=1&{days}")),
        read("stats", format!("/stats?{days}")),
        SizeComparison { name: "a create", request: owner.log_activity(), count: scale.writes },
    ]
}
