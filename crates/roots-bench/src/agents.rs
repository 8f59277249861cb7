//! Measures what agents use: the brief, claims, search and MCP.
//!
//! As in [`crate::measure()`], loads that are compared with each other take turns. Claims come
//! last, because they take away the todos that the briefs are measured with.

mod figures;
mod fixture;

use std::error::Error;
use std::thread;
use std::time::Duration;

use crate::client::RequestSpec;
use crate::fixture::{IDLE_TIME, ROWS_SMALL};
use crate::floor::web;
use crate::instance::RootsInstance;
use crate::load::{LoadPattern, Window};
use crate::machine;
use crate::measure::{self, BenchPlan, CONNECTIONS, TURNS};
use crate::process::{ProcessError, ServerProcess};
use crate::recorder::Recorder;
use crate::results::{Engine, Figure, PartResults};

use figures::{AgentMeasurements, AgentMemory, name};
use fixture::{AccountSize, AgentServer, OtherAccount};

/// The account in the small database.
const SMALL: AccountSize =
    AccountSize { todos: ROWS_SMALL, activities: 100, sessions: 10, active: 64 };
/// The active sessions of the large database. All rounds together claim some 30 todos for each, not
/// more than a session claims in a day.
const ACTIVE: u64 = 4_096;
/// A search beside a load starts this long before it, and ends this long after it.
const SEARCH_MARGIN: Duration = Duration::from_millis(500);

/// How much to fill and to measure.
struct AgentScale {
    rounds: usize,
    /// Open todos in the large database beyond the rows of the plan: those that all rounds claim.
    spare_todos: u64,
    activities: u64,
    sessions: u64,
    /// Briefs in a turn of the comparison of database sizes.
    briefs: u64,
    /// Searches in a round.
    searches: u64,
    /// Calls of an MCP tool before the memory is read, and again before it is read once more.
    calls: u64,
}

impl AgentScale {
    const FULL: Self = Self {
        rounds: 3,
        spare_todos: 200_000,
        activities: 100_000,
        sessions: 1_000,
        briefs: 200,
        searches: 3,
        calls: 5_000,
    };
    /// A smoke test.
    const QUICK: Self = Self {
        rounds: 1,
        spare_todos: 40_000,
        activities: 2_000,
        sessions: 20,
        briefs: 20,
        searches: 2,
        calls: 200,
    };
}

/// Measures all loads of agents.
///
/// # Errors
/// A process failed, or a response is not as expected.
pub(crate) fn measure(plan: &BenchPlan) -> Result<PartResults, Box<dyn Error>> {
    if !plan.on_sqlite && plan.postgres.is_none() {
        return Err("there is nothing to measure".into());
    }
    let scale = if plan.scale.is_quick { AgentScale::QUICK } else { AgentScale::FULL };
    let mut recorder = Recorder::default();
    let (mut figures, mut scarce) = (Vec::new(), Vec::new());
    if plan.on_sqlite {
        let bench = AgentBench::create(plan, &scale, Engine::Sqlite)?;
        scarce.extend(bench.measure(plan, &scale, &mut recorder, &mut figures)?);
    }
    if plan.postgres.is_some() {
        let bench = AgentBench::create(plan, &scale, Engine::Postgres)?;
        scarce.extend(bench.measure(plan, &scale, &mut recorder, &mut figures)?);
    }
    Ok(PartResults {
        day: machine::today(),
        commit: plan.commit.clone(),
        machine: machine::this(),
        extent: format!(
            "{} rounds of {} s, {CONNECTIONS} connections, {} todos, {} activities.",
            scale.rounds,
            plan.scale.window.time.as_secs_f64(),
            plan.scale.rows,
            scale.activities,
        ),
        remarks: recorder.remarks(plan.scale.is_quick).into_iter().chain(scarce).collect(),
        series: recorder.series,
        figures,
    })
}

/// The benchmark of one database.
struct AgentBench {
    engine: Engine,
    small: AgentServer,
    large: AgentServer,
    /// Another account in the large database.
    other: OtherAccount,
    /// A search of the owner of the large database.
    search: RequestSpec,
}

impl AgentBench {
    /// Fills both databases.
    fn create(
        plan: &BenchPlan,
        scale: &AgentScale,
        engine: Engine,
    ) -> Result<Self, Box<dyn Error>> {
        let todos = plan.scale.rows + scale.spare_todos;
        eprintln!("{}: filling the database with {todos} todos", engine.name());
        let databases = plan.postgres.as_ref().filter(|_| engine == Engine::Postgres);
        let instance = |size: &str, url| {
            let name = format!("{} agents {size}", engine.name());
            let folder = plan.folder.join(&name);
            RootsInstance::new(name, &plan.program, folder, url)
        };
        let url = databases.map(|databases| databases.small.clone());
        let small = AgentServer::fill(instance("small", url)?, SMALL)?;
        let url = databases.map(|databases| databases.large.clone());
        let size = AccountSize {
            todos,
            activities: scale.activities,
            sessions: scale.sessions,
            active: ACTIVE,
        };
        let large = AgentServer::fill(instance("large", url)?, size)?;
        let other = large.add_account()?;
        let search = large.search()?;
        if let Some(databases) = databases {
            measure::vacuum(databases, &[&databases.small, &databases.large])?;
        }
        Ok(Self { engine, small, large, other, search })
    }

    /// Measures all rounds and the memory. Returns a remark if the claims left too few open todos.
    fn measure(
        self,
        plan: &BenchPlan,
        scale: &AgentScale,
        recorder: &mut Recorder,
        figures: &mut Vec<Figure>,
    ) -> Result<Option<String>, Box<dyn Error>> {
        let engine = self.engine;
        for round in 1..=scale.rounds {
            eprintln!("{}: round {round} of {} for agents", engine.name(), scale.rounds);
            self.compare_briefs(scale, recorder)?;
            for (name, request) in [(name::LIST, &self.other.list), (name::CALL, &self.other.call)]
            {
                let requests = vec![request.clone()];
                let report = measure::steady(plan, &self.large.server, CONNECTIONS, requests, 0)?;
                recorder.record_load(Some(engine), name, &report);
            }
            self.search_alone(scale, recorder)?;
            self.search_beside_pages(plan, recorder)?;
        }
        let claim_bytes = self.large.claim_bytes()?;
        let remark = self.claim_todos(plan, scale, claim_bytes, recorder)?;
        let Self { small, large, other, search, .. } = self;
        large.server.stop()?;
        let server = large.instance.start()?;
        let memory = measure_memory(&server, scale, &other, &search)?;
        figures.extend(figures::compute(
            engine,
            &AgentMeasurements {
                series: &recorder.series,
                rounds: scale.rounds,
                claim_bytes,
                activities: scale.activities,
                memory,
            },
        ));
        eprintln!("{}: verifying the databases", engine.name());
        for (server, instance) in [(small.server, small.instance), (server, large.instance)] {
            server.stop()?;
            instance.verify()?;
        }
        Ok(remark)
    }

    /// Measures the time that one client waits for a brief, in the small and in the large database.
    fn compare_briefs(
        &self,
        scale: &AgentScale,
        recorder: &mut Recorder,
    ) -> Result<(), ProcessError> {
        let sizes = [(name::BRIEF_SMALL, &self.small), (name::BRIEF_LARGE, &self.large)];
        for (name, filled) in sizes.repeat(TURNS) {
            let brief = || vec![filled.brief()];
            // The first responses after a pause are slow and do not count.
            let warm_up = LoadPattern::Count(scale.briefs / 4);
            measure::send_load(&filled.server, 1, warm_up, brief(), 0)?;
            let pattern = LoadPattern::Count(scale.briefs);
            let report = measure::send_load(&filled.server, 1, pattern, brief(), 0)?;
            recorder.record_load(Some(self.engine), name, &report);
        }
        Ok(())
    }

    /// Measures searches of one client while nothing else is sent.
    fn search_alone(
        &self,
        scale: &AgentScale,
        recorder: &mut Recorder,
    ) -> Result<(), ProcessError> {
        let requests = || vec![self.search.clone()];
        let server = &self.large.server;
        measure::send_load(server, 1, LoadPattern::Count(1), requests(), 0)?;
        let pattern = LoadPattern::Count(scale.searches);
        let report = measure::send_load(server, 1, pattern, requests(), 0)?;
        recorder.record_load(Some(self.engine), name::SEARCH, &report);
        Ok(())
    }

    /// Measures pages of another account alone, and while one client searches all the time.
    fn search_beside_pages(
        &self,
        plan: &BenchPlan,
        recorder: &mut Recorder,
    ) -> Result<(), Box<dyn Error>> {
        let engine = Some(self.engine);
        let server = &self.large.server;
        for (connections, without, beside) in [
            (CONNECTIONS, name::PAGES, name::PAGES_BESIDE),
            (1, name::PAGES_ALONE, name::PAGES_ALONE_BESIDE),
        ] {
            let pages =
                || measure::steady(plan, server, connections, vec![self.other.page.clone()], 0);
            recorder.record_load(engine, without, &pages()?);
            let Window { warm_up, time } = plan.scale.window;
            let window = Window { warm_up: SEARCH_MARGIN + warm_up, time: time + SEARCH_MARGIN };
            let (searches, pages) = thread::scope(|scope| {
                let searching = scope.spawn(|| {
                    let pattern = LoadPattern::ClosedLoop(window);
                    measure::send_load(server, 1, pattern, vec![self.search.clone()], 0)
                });
                thread::sleep(SEARCH_MARGIN);
                let pages = pages();
                (searching.join(), pages)
            });
            let searches = searches.map_err(|_| "the thread that searches panicked")??;
            recorder.record_load(engine, beside, &pages?);
            recorder.record_load(engine, name::SEARCH_BESIDE, &searches);
        }
        Ok(())
    }

    /// Measures claims and the web floor in turn. Returns a remark if fewer open todos than planned
    /// are left.
    fn claim_todos(
        &self,
        plan: &BenchPlan,
        scale: &AgentScale,
        claim_bytes: usize,
        recorder: &mut Recorder,
    ) -> Result<Option<String>, Box<dyn Error>> {
        let web = measure::start_web_floor(plan, &[claim_bytes])?;
        let open = self.large.open_todos()?;
        let mut claimed = 0;
        for round in 1..=scale.rounds {
            eprintln!("{}: round {round} of {} of claims", self.engine.name(), scale.rounds);
            let requests = vec![RequestSpec::get(web::path(claim_bytes))];
            let report = measure::steady(plan, &web, CONNECTIONS, requests, 0)?;
            recorder.record_load(None, &crate::figures::name::web(claim_bytes), &report);
            let claims = self.large.claims();
            let report = measure::steady(plan, &self.large.server, CONNECTIONS, claims, claimed)?;
            claimed = report.next;
            recorder.record_load(Some(self.engine), name::CLAIM, &report);
        }
        let left = self.large.open_todos()?;
        // A claim that finds no todo is a success too, with 204. Here each must have taken one.
        if open.checked_sub(left) != Some(claimed) {
            let counts = format!("{claimed} claims took the open todos from {open} to {left}");
            return Err(counts.into());
        }
        let rows = plan.scale.rows;
        let name = self.engine.name();
        Ok((left < rows).then(|| {
            format!(
                "The last claims on {name} had only {left} open todos to choose from, not {rows}."
            )
        }))
    }
}

/// Reads the memory of a server that was just started, then after calls of MCP tools, after as many
/// more, and after a search.
fn measure_memory(
    server: &ServerProcess,
    scale: &AgentScale,
    other: &OtherAccount,
    search: &RequestSpec,
) -> Result<AgentMemory, ProcessError> {
    let idle = || {
        thread::sleep(IDLE_TIME);
        Ok::<_, ProcessError>(server.memory()?.now)
    };
    let send = |connections, count, request: &RequestSpec| {
        let pattern = LoadPattern::Count(count);
        measure::send_load(server, connections, pattern, vec![request.clone()], 0)
    };
    let at_first = idle()?;
    // The allocator keeps what the first calls used, for the next ones.
    send(CONNECTIONS, scale.calls, &other.call)?;
    let after_first_calls = idle()?;
    send(CONNECTIONS, scale.calls, &other.call)?;
    let after_calls = idle()?;
    server.reset_peak_memory()?;
    send(1, scale.searches, search)?;
    let peak = server.memory()?.peak;
    Ok(AgentMemory {
        idle: at_first,
        calls: (after_calls - after_first_calls).max(0.0),
        search: (peak - after_calls).max(0.0),
    })
}
