//! What is measured, in which order.
//!
//! The machine may have other work, and the disk its moods. So what is compared is measured in turns,
//! in rounds, and a round's figures are compared with the floors of that round.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::asks::{self, Owner};
use crate::book::{self, Book};
use crate::client::Ask;
use crate::figures::{self, name};
use crate::floor::pgbench::Pgbench;
use crate::floor::store::{self, Store};
use crate::floor::{sync, web};
use crate::load::{Order, Pace, Told, Window};
use crate::machine;
use crate::process::{self, ProcessError, Server};
use crate::results::{Engine, Figure, Results, Round, Run};
use crate::roots::Roots;
use crate::stage::{Script, Side, Stage};

/// How often in a round the two sizes take turns.
const TURNS: usize = 5;
/// Connections that ask at once, but where a figure says otherwise.
const CONNECTIONS: usize = 64;
/// Those of the statistics.
const STATS_CONNECTIONS: usize = 16;
/// Those that find out what the server sustains: while one batch is written the next one gathers, and
/// both are full.
const MOST_CONNECTIONS: usize = 128;
/// Those of the load that is too much: as many as the server takes on, less some to spare.
const OVERLOAD_CONNECTIONS: usize = 850;
/// How much more it asks than the server sustains.
pub(crate) const OVERLOAD: f64 = 2.0;

/// What to measure, and how thoroughly.
pub(crate) struct Plan {
    /// The program to measure.
    pub(crate) program: PathBuf,
    /// An empty folder, on the disk to measure.
    pub(crate) folder: PathBuf,
    /// Where it is to be measured on PostgreSQL, too.
    pub(crate) postgres: Option<Postgres>,
    /// Whether to measure it on SQLite.
    pub(crate) on_sqlite: bool,
    /// What is measured.
    pub(crate) commit: Option<String>,
    pub(crate) scale: Scale,
}

/// A PostgreSQL with three empty databases.
pub(crate) struct Postgres {
    /// The folder of its programs.
    pub(crate) programs: PathBuf,
    pub(crate) small: String,
    pub(crate) large: String,
    pub(crate) floor: String,
}

/// How thoroughly.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) is_quick: bool,
    pub(crate) rounds: usize,
    pub(crate) window: Window,
    pub(crate) rows: u64,
    pub(crate) accounts: usize,
    pub(crate) starts: usize,
    /// Accounts that are asked with cold keys after each start.
    pub(crate) cold: usize,
    /// Reads and writes of a round where the two sizes are compared.
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
        cold: 3_000,
        reads: 400,
        writes: 100,
    };
    /// Whether it runs at all.
    pub(crate) const QUICK: Self = Self {
        is_quick: true,
        rounds: 2,
        window: Window { warm_up: Duration::from_millis(100), time: Duration::from_millis(400) },
        rows: 20_000,
        accounts: 50,
        starts: 2,
        cold: 50,
        reads: 50,
        writes: 20,
    };
}

/// The floor of the store, for each database.
enum StoreFloor {
    Sqlite(Store),
    Postgres(Pgbench),
}

/// A stage, its floor, and the loads on it.
struct Act {
    stage: Stage,
    floor: StoreFloor,
    loads: Vec<Load>,
    overload: Vec<Told>,
}

/// A load on the large server.
struct Load {
    name: &'static str,
    asks: Vec<Ask>,
    connections: usize,
    /// The number of the next one to ask.
    next: u64,
}

/// Measures everything.
///
/// # Errors
/// Something did not do its part.
pub(crate) fn perform(plan: &Plan) -> Result<Results, Box<dyn Error>> {
    if !plan.on_sqlite && plan.postgres.is_none() {
        return Err("there is nothing to measure".into());
    }
    let mut book = Book::default();
    let (mut figures, mut unsent) = (Vec::new(), Vec::new());
    // One after the other: a database that was filled has work to do by itself for a while.
    if plan.on_sqlite {
        let act = sqlite(plan)?;
        unsent.extend(perform_on(act, plan, &mut book, &mut figures)?);
    }
    if let Some(postgres) = &plan.postgres {
        let act = self::postgres(plan, postgres)?;
        unsent.extend(perform_on(act, plan, &mut book, &mut figures)?);
    }
    let scale = &plan.scale;
    let run = Run {
        day: machine::today(),
        commit: plan.commit.clone(),
        is_quick: scale.is_quick,
        rounds: scale.rounds,
        seconds: scale.window.time.as_secs_f64(),
        connections: CONNECTIONS,
        rows: scale.rows,
        accounts: scale.accounts,
    };
    let remarks = book.remarks(&run).into_iter().chain(unsent).collect();
    Ok(Results {
        run,
        machine: machine::this(),
        series: book.series,
        figures,
        remarks,
        neighbours: None,
    })
}

/// Measures one database, and the floors beside it. Answers what there is to remark.
fn perform_on(
    mut act: Act,
    plan: &Plan,
    book: &mut Book,
    figures: &mut Vec<Figure>,
) -> Result<Option<String>, Box<dyn Error>> {
    let engine = act.stage.engine;
    let floors = web_floors(&act.stage)?;
    let mut sizes: Vec<usize> = floors.iter().map(|(_, bytes)| *bytes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let web = start_web_floor(plan, &sizes)?;
    for round in 1..=plan.scale.rounds {
        eprintln!("{}: round {round} of {}", engine.name(), plan.scale.rounds);
        let synced = sync::measure(&plan.folder, plan.scale.window.time)?.quantiles();
        book.enter(None, name::SYNC, Round::of(&synced, plan.scale.window.time.as_secs_f64()));
        for bytes in &sizes {
            let asks = vec![Ask::plain(web::path(*bytes))];
            let told = steady(plan, &web, CONNECTIONS, asks, 0)?;
            book.enter_load(None, &name::web(*bytes), &told);
        }
        act.play(plan, book)?;
    }
    drop(web);
    figures.extend(figures::of(
        engine,
        &figures::Measured {
            series: &book.series,
            rounds: plan.scale.rounds,
            floors: &floors,
            overload: &act.overload,
            starts: &act.stage.starts,
            cold: &act.stage.cold,
            idle_mib: act.stage.idle_mib,
            highest_mib: act.stage.large.server.memory()?.highest,
        },
    ));
    eprintln!("{}: proving that everything adds up", engine.name());
    let unsent = book::unsent(engine, &act.overload);
    act.stage.strike()?;
    Ok(unsent)
}

fn sqlite(plan: &Plan) -> Result<Act, Box<dyn Error>> {
    let stage = set(plan, Engine::Sqlite, None)?;
    let folder = plan.folder.join("SQLite floor");
    let roots = Roots::new("SQLite floor".to_owned(), &plan.program, folder, None)?;
    roots.found()?;
    let bytes = store::description_bytes(&stage.small.roots.file())?;
    let floor = Store::open(&roots.file(), bytes)?;
    Ok(Act::new(stage, StoreFloor::Sqlite(floor)))
}

fn postgres(plan: &Plan, postgres: &Postgres) -> Result<Act, Box<dyn Error>> {
    let databases = [postgres.small.clone(), postgres.large.clone()];
    let stage = set(plan, Engine::Postgres, Some(databases))?;
    let folder = plan.folder.join("PostgreSQL floor");
    let url = Some(postgres.floor.clone());
    Roots::new("PostgreSQL floor".to_owned(), &plan.program, folder.clone(), url)?.found()?;
    for url in [&postgres.small, &postgres.large, &postgres.floor] {
        // What the database does by itself within a minute, so that it does not do so meanwhile.
        let mut vacuum = Command::new(postgres.programs.join("vacuumdb"));
        process::output("vacuumdb", vacuum.args(["--quiet", "--analyze", "--dbname", url]))?;
    }
    let mut psql = Command::new(postgres.programs.join("psql"));
    psql.args(["--no-psqlrc", "--tuples-only", "--command"]);
    psql.args(["SELECT length(description) FROM activities LIMIT 1", &postgres.small]);
    let bytes = process::output("psql", &mut psql)?.trim().parse()?;
    let (program, url) = (postgres.programs.join("pgbench"), postgres.floor.clone());
    let floor = Pgbench::new(program, url, folder.join("pgbench"), bytes)?;
    Ok(Act::new(stage, StoreFloor::Postgres(floor)))
}

fn set(
    plan: &Plan,
    engine: Engine,
    databases: Option<[String; 2]>,
) -> Result<Stage, Box<dyn Error>> {
    eprintln!("{}: filling it with {} activities", engine.name(), plan.scale.rows);
    Ok(Stage::set(Script {
        engine,
        program: &plan.program,
        folder: &plan.folder,
        databases,
        rows: plan.scale.rows,
        accounts: plan.scale.accounts,
        starts: plan.scale.starts,
        cold: plan.scale.cold,
    })?)
}

/// Each load that is compared with the web floor, and how many bytes it is answered with.
fn web_floors(stage: &Stage) -> Result<Vec<(&'static str, usize)>, Box<dyn Error>> {
    let busy = &stage.busy;
    let log = stage.answer_bytes(busy.log_activity())?;
    let todo = stage.answer_bytes(busy.create_todo())?;
    let session = stage.answer_bytes(busy.get("/sessions/1"))?;
    let page = stage.answer_bytes(stage.large.owner.get("/activities?limit=20"))?;
    Ok(vec![
        (name::LOG, log),
        (name::LOG_ALL, log),
        (name::CREATE_TODO, todo),
        (name::STEP_TODO, todo),
        (name::GET_SESSION, session),
        (name::LIST, page),
    ])
}

fn start_web_floor(plan: &Plan, sizes: &[usize]) -> Result<Server, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("floor").args(sizes.iter().map(usize::to_string));
    Ok(Server::start("the web floor", &mut command, &plan.folder.join("web floor"))?)
}

fn steady(
    plan: &Plan,
    server: &Server,
    connections: usize,
    asks: Vec<Ask>,
    first: u64,
) -> Result<Told, ProcessError> {
    let pace = Pace::Steady(plan.scale.window);
    order(server, connections, pace, asks, first)
}

fn order(
    server: &Server,
    connections: usize,
    pace: Pace,
    asks: Vec<Ask>,
    first: u64,
) -> Result<Told, ProcessError> {
    let (address, server) = (server.address, server.id());
    process::load(&Order { address, server, connections, pace, asks, first })
}

impl Act {
    fn new(stage: Stage, floor: StoreFloor) -> Self {
        let load = |name, connections, asks: Vec<Ask>| Load { name, asks, connections, next: 0 };
        let busy = &stage.busy;
        let year = format!("/activities/stats?{}", asks::the_year());
        let loads = vec![
            load(name::LOG, CONNECTIONS, vec![busy.log_activity()]),
            load(name::LOG_ALL, CONNECTIONS, stage.crowd.iter().map(Owner::log_activity).collect()),
            load(name::CREATE_TODO, CONNECTIONS, vec![busy.create_todo()]),
            load(name::STEP_TODO, CONNECTIONS, stage.step_todos()),
            load(name::LOG_ALONE, 1, vec![busy.log_activity()]),
            load(name::GET_SESSION, CONNECTIONS, stage.get_sessions()),
            load(name::LIST, CONNECTIONS, vec![stage.large.owner.get("/activities?limit=20")]),
            load(name::STATS, STATS_CONNECTIONS, vec![stage.large.owner.get(&year)]),
            load(name::LOG_MOST, MOST_CONNECTIONS, vec![busy.log_activity()]),
        ];
        Self { stage, floor, loads, overload: Vec::new() }
    }

    /// One round.
    fn play(&mut self, plan: &Plan, book: &mut Book) -> Result<(), Box<dyn Error>> {
        let engine = Some(self.stage.engine);
        let time = plan.scale.window.time;
        match &mut self.floor {
            StoreFloor::Sqlite(store) => {
                let rate = store.measure(time)?;
                book.enter(engine, name::STORE, Round { rate, ..Round::default() });
            }
            StoreFloor::Postgres(pgbench) => {
                for (name, clients) in [(name::STORE, CONNECTIONS), (name::STORE_ALONE, 1)] {
                    book.enter(engine, name, pgbench.measure(clients, time)?);
                }
            }
        }
        // The store's floor was measured since the large one was overloaded: what was left is done.
        self.compare_sizes(plan, book)?;
        let server = &self.stage.large.server;
        let mut peak = 0.0;
        for load in &mut self.loads {
            let asks = load.asks.clone();
            let told = steady(plan, server, load.connections, asks, load.next)?;
            load.next = told.next;
            if load.name == name::LOG_MOST {
                peak = told.rate();
            }
            book.enter_load(engine, load.name, &told);
        }
        // Right after the peak, since this machine may be another one in a minute. It takes some time
        // until everything that can wait does.
        let Window { warm_up, time } = plan.scale.window;
        let window = Window { warm_up: warm_up * 2, time };
        let pace = Pace::Rate { per_second: OVERLOAD * peak, window };
        let asks = vec![self.stage.busy.log_activity()];
        let told = order(server, OVERLOAD_CONNECTIONS, pace, asks, 0)?;
        book.enter_load(engine, name::OVERLOADED, &told);
        self.overload.push(told);
        Ok(())
    }

    /// What one caller waits for, in the small database and in the large one.
    fn compare_sizes(&self, plan: &Plan, book: &mut Book) -> Result<(), Box<dyn Error>> {
        let small = growing(&self.stage.small, plan.scale);
        let large = growing(&self.stage.large, plan.scale);
        for (small, large) in small.iter().zip(&large) {
            let sides =
                [(name::SMALL, &self.stage.small, small), (name::LARGE, &self.stage.large, large)];
            for (size, side, Growing { name, ask, count }) in sides.repeat(TURNS) {
                // A server that was not asked for a while answers the first ones late.
                order(&side.server, 1, Pace::Count(count / 4), vec![ask.clone()], 0)?;
                let told = order(&side.server, 1, Pace::Count(*count), vec![ask.clone()], 0)?;
                book.enter_load(Some(self.stage.engine), &format!("{name}{size}"), &told);
            }
        }
        Ok(())
    }
}

/// Something that is to take no longer the more there is.
struct Growing {
    name: &'static str,
    ask: Ask,
    count: u64,
}

fn growing(side: &Side, scale: Scale) -> [Growing; 6] {
    let Side { owner, deep, .. } = side;
    let days = asks::the_last_days();
    let read = |name, query: String| Growing {
        name,
        ask: owner.get(&format!("/activities{query}")),
        count: scale.reads,
    };
    [
        read("a page", "?limit=20".to_owned()),
        read("a page deep in the list", format!("?limit=20&cursor={deep}")),
        read("a total by type", "?limit=1&type=deploy".to_owned()),
        read("a total by days", format!("?limit=1&{days}")),
        read("stats", format!("/stats?{days}")),
        Growing { name: "a create", ask: owner.log_activity(), count: scale.writes },
    ]
}
