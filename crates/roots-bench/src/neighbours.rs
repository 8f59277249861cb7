//! Measures how neighbours slow a quiet account down, one neighbour after the other.
//!
//! The quiet account runs in this process, and the neighbour in a process of the lowest priority.
//! Each neighbour gets a freshly started server with its default limits.

use std::error::Error;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::client::{self, RequestSpec};
use crate::instance::{RateLimiting, RootsInstance};
use crate::machine;
use crate::measure::BenchPlan;
use crate::noise::{self, ImportLines, NoiseKind, NoiseRequest, ResponseCounts};
use crate::process::{ServerProcess, WorkerProcess};
use crate::quiet::{Agent, QuietAccount};
use crate::requests::{self, ApiUser};
use crate::results::{Engine, NeighbourResult, NeighbourResults};

/// Agents of the quiet account. Each sends 5 requests a second, far below the rate limits.
const AGENTS: usize = 8;
/// Accounts of the writers that use many accounts, and of the importers.
const CROWD: usize = 100;
const IMPORTERS: usize = 12;
/// Activities on a page of 38 MiB, and the bytes of each: control characters, which JSON escapes as
/// six bytes each.
const LARGE_ROWS: usize = 100;
const LARGE_BYTES: usize = 65_536;
/// The address of all neighbours, and that of the quiet account unless it shares theirs.
const NEIGHBOUR_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const QUIET_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// A neighbour must end within this time after the measurement.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long and how much to measure.
struct NeighbourScale {
    warm_up: Duration,
    time: Duration,
    /// Rows that are linked to the session that is deleted.
    links: u64,
}

impl NeighbourScale {
    const FULL: Self =
        Self { warm_up: Duration::from_secs(2), time: Duration::from_secs(12), links: 200_000 };
    /// A smoke test.
    const QUICK: Self =
        Self { warm_up: Duration::from_millis(500), time: Duration::from_secs(2), links: 2_000 };
}

/// A client that loads the server without regard for the quiet account.
struct Neighbour {
    name: &'static str,
    limits: RateLimiting,
    connections: usize,
    kind: NoiseKind,
    /// Whether to measure it a second time with both clients at the same address.
    also_at_same_address: bool,
}

/// Measures every neighbour whose name contains `filter`.
///
/// # Errors
/// A process failed, or a response is not as expected.
pub(crate) fn measure(plan: &BenchPlan, filter: &str) -> Result<NeighbourResults, Box<dyn Error>> {
    let scale = if plan.scale.is_quick { NeighbourScale::QUICK } else { NeighbourScale::FULL };
    let mut rows = Vec::new();
    if plan.on_sqlite {
        rows.extend(measure_engine(plan, Engine::Sqlite, None, &scale, filter)?);
    }
    if let Some(postgres) = &plan.postgres {
        let url = Some(postgres.small.clone());
        rows.extend(measure_engine(plan, Engine::Postgres, url, &scale, filter)?);
    }
    Ok(NeighbourResults {
        day: machine::today(),
        commit: plan.commit.clone(),
        machine: machine::this(),
        is_quick: plan.scale.is_quick,
        seconds: scale.time.as_secs_f64(),
        rows,
    })
}

fn measure_engine(
    plan: &BenchPlan,
    engine: Engine,
    url: Option<String>,
    scale: &NeighbourScale,
    filter: &str,
) -> Result<Vec<NeighbourResult>, Box<dyn Error>> {
    eprintln!("{}: filling the database for the neighbours", engine.name());
    let name = format!("{} neighbours", engine.name());
    let folder = plan.folder.join(&name);
    let instance = RootsInstance::new(name, &plan.program, folder.clone(), url)?;
    let (quiet, neighbours) = fill(&instance, scale)?;
    let mut rows = Vec::new();
    for neighbour in neighbours.iter().filter(|neighbour| neighbour.name.contains(filter)) {
        let addresses: &[IpAddr] = if neighbour.also_at_same_address {
            &[QUIET_ADDRESS, NEIGHBOUR_ADDRESS]
        } else {
            &[QUIET_ADDRESS]
        };
        for from in addresses {
            let row = measure_beside(&instance, &quiet, neighbour, engine, *from, scale)?;
            eprintln!("  {row}");
            rows.push(row);
        }
    }
    instance.verify()?;
    // The next database may need the disk space.
    fs::remove_dir_all(folder)?;
    Ok(rows)
}

/// Runs the quiet account beside a neighbour.
fn measure_beside(
    instance: &RootsInstance,
    quiet: &QuietAccount,
    neighbour: &Neighbour,
    engine: Engine,
    from: IpAddr,
    scale: &NeighbourScale,
) -> Result<NeighbourResult, Box<dyn Error>> {
    let server = instance.start_with(neighbour.limits)?;
    let (address, warm_up, time) = (server.address, scale.warm_up, scale.time);
    let running = {
        let quiet = quiet.clone();
        thread::spawn(move || quiet.run(address, from, warm_up, time))
    };
    // The neighbour starts when the measured time starts, so its first moments count.
    thread::sleep(warm_up);
    let request = NoiseRequest {
        address,
        connections: neighbour.connections,
        time,
        kind: neighbour.kind.clone(),
    };
    let program = std::env::current_exe()?;
    let noise = WorkerProcess::start(
        "the neighbour",
        Command::new("nice").args(["-n", "19"]).arg(program).arg("noise"),
        &request,
    )?;
    let report = running.join().map_err(|_| "the quiet account panicked")??;
    let responses: ResponseCounts = noise.report(EXIT_TIMEOUT)?;
    let memory_mib = server.memory()?.peak;
    // Killed, because finishing the neighbour's requests could take as long as a shutdown may. The
    // database is verified after the last neighbour.
    drop(server);
    let worst_ms = report.times.worst_ms();
    let quantiles = report.times.quantiles();
    Ok(NeighbourResult {
        engine,
        neighbour: neighbour.name.to_owned(),
        shares_address: from == NEIGHBOUR_ADDRESS,
        requests: quantiles.count,
        p50_ms: quantiles.p50_ms,
        p99_ms: quantiles.p99_ms,
        worst_ms,
        failed: report.failed,
        retried: report.retried,
        failures: report.failures,
        memory_mib,
        responses: responses.0,
    })
}

/// Fills the database, and returns the quiet account and its neighbours.
fn fill(
    instance: &RootsInstance,
    scale: &NeighbourScale,
) -> Result<(QuietAccount, Vec<Neighbour>), Box<dyn Error>> {
    let server = instance.start()?;
    let sign_ups = (0..6 + CROWD + IMPORTERS).map(|_| requests::sign_up());
    let mut owners = Vec::new();
    for response in client::send_each(server.address, sign_ups)? {
        owners.push(ApiUser::new(text(&response, "api_key")?));
    }
    let crowd = owners.split_off(6 + IMPORTERS);
    let importers: Vec<_> = owners.split_off(6).iter().map(ApiUser::key).collect();
    let [quiet, writer, reader, linker, renewer, dripper] = &owners[..] else {
        return Err("six owners were expected".into());
    };
    let agents = (0..AGENTS).map(|_| agent(&server, quiet)).collect::<Result<_, _>>()?;
    let large = "\u{1}".repeat(LARGE_BYTES);
    let rows = (0..LARGE_ROWS).map(|_| reader.log(&large));
    client::send_each(server.address, rows)?;
    noise::import_blocking(
        server.address,
        &linker.key(),
        ImportLines::new(link).take(scale.links + 1),
    )?;
    let sessions = client::send_for_json(server.address, linker.get("/sessions?limit=1"))?;
    let session = id(&sessions["sessions"][0], "session_id")?;
    let page = client::send_each(server.address, [RequestSpec::get("/docs/".to_owned())])?.concat();
    let docs = pages_of(&String::from_utf8_lossy(&page));
    if docs.len() < 3 {
        return Err(format!("the page at /docs refers to no files: {docs:?}").into());
    }
    server.stop()?;

    let neighbour = |name, connections, kind| Neighbour {
        name,
        limits: RateLimiting::Default,
        connections,
        kind,
        also_at_same_address: false,
    };
    let writers = |name, connections, requests| Neighbour {
        limits: RateLimiting::Lifted,
        ..neighbour(name, connections, NoiseKind::Requests(requests))
    };
    let also = |neighbour| Neighbour { also_at_same_address: true, ..neighbour };
    let many = crowd.iter().map(ApiUser::log_activity).collect();
    let docs = docs.into_iter().map(RequestSpec::get).collect();
    let neighbours = vec![
        neighbour("none", 0, NoiseKind::IdleSockets),
        writers("64 writers of one account", 64, vec![writer.log_activity()]),
        writers("800 writers of one account", 800, vec![writer.log_activity()]),
        writers("800 writers of 100 accounts", 800, many),
        neighbour(
            "64 readers of 38 MiB pages",
            64,
            NoiseKind::Requests(vec![reader.get(&format!("/activities?limit={LARGE_ROWS}"))]),
        ),
        neighbour("24 imports of 12 accounts", 24, NoiseKind::Imports(importers.clone())),
        neighbour("24 imports of one account", 24, NoiseKind::Imports(importers[..1].to_vec())),
        neighbour(
            "a session with 200,000 links deleted",
            1,
            NoiseKind::RequestsOnce(vec![linker.delete(&format!("/sessions/{session}"))]),
        ),
        also(neighbour("1,500 idle sockets", 1_500, NoiseKind::IdleSockets)),
        also(neighbour(
            "900 dripping imports",
            900,
            NoiseKind::DrippingImports(vec![dripper.key()]),
        )),
        also(neighbour("a flood of /docs", 64, NoiseKind::CompressedRequests(docs))),
        also(neighbour("a flood of wrong keys", 64, NoiseKind::WrongKeys)),
        also(neighbour("a flood of sign-ups", 64, NoiseKind::Requests(vec![requests::sign_up()]))),
        neighbour("key renewals in a loop", 4, NoiseKind::Requests(vec![renewer.renew()])),
    ];
    Ok((QuietAccount { agents }, neighbours))
}

/// Creates an agent of the quiet account, with a session and a todo.
fn agent(server: &ServerProcess, owner: &ApiUser) -> Result<Agent, Box<dyn Error>> {
    let actor = id(&client::send_for_json(server.address, owner.add_agent())?, "actor_id")?;
    let made = client::send_each(server.address, [owner.create_key(actor)])?.concat();
    let agent = ApiUser::new(text(&made, "api_key")?);
    let session = id(&client::send_for_json(server.address, agent.start_session())?, "session_id")?;
    let todo = id(&client::send_for_json(server.address, agent.create_todo())?, "todo_id")?;
    Ok(Agent {
        writes: vec![
            agent.create_todo(),
            agent.log_activity(),
            agent.patch_priority(todo, 1),
            agent.log_activity(),
            agent.patch_priority(todo, 2),
        ],
        reads: vec![
            agent.get(&format!("/sessions/{session}")),
            agent.get("/todos?limit=20"),
            agent.get("/activities?limit=20"),
        ],
    })
}

/// An import line: a session in row 1, and activities and todos that are linked to it in all
/// others.
fn link(row: u64) -> String {
    let time = "2025-06-01T10:00:00Z";
    match row {
        1 => format!(
            "{{\"kind\":\"session\",\"session_id\":1,\"status\":\"active\",\"notes\":null,\
             \"started_at\":\"{time}\",\"ended_at\":null,\"actor_id\":1}}\n"
        ),
        id if id.is_multiple_of(2) => format!(
            "{{\"kind\":\"activity\",\"activity_id\":{id},\"session_id\":1,\"description\":\"A step.\",\
             \"logged_at\":\"{time}\",\"actor_id\":1}}\n"
        ),
        id => format!(
            "{{\"kind\":\"todo\",\"todo_id\":{id},\"session_id\":1,\"title\":\"A step\",\
             \"status\":\"open\",\"created_at\":\"{time}\",\"actor_id\":1}}\n"
        ),
    }
}

/// The page at `/docs/` and the files that it refers to. Their names contain hashes, so they are
/// read from the page.
fn pages_of(page: &str) -> Vec<String> {
    let quoted = page.split('"').filter(|text| text.starts_with("/docs/"));
    ["/docs/"].into_iter().chain(quoted).map(str::to_owned).collect()
}

fn text(response: &[u8], field: &str) -> Result<String, Box<dyn Error>> {
    let value: Value = serde_json::from_slice(response)?;
    let found = value[field].as_str().map(str::to_owned);
    found.ok_or_else(|| format!("the response has no {field}: {value}").into())
}

fn id(value: &Value, field: &str) -> Result<u64, Box<dyn Error>> {
    value[field].as_u64().ok_or_else(|| format!("the response has no {field}: {value}").into())
}
