//! What a quiet account feels of its neighbours, one neighbour after the other.
//!
//! The quiet client runs in this process; a neighbour in one of its own and of the lowest priority.
//! Each neighbour meets a server that was just started, with the limits that it has by default.

use std::error::Error;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::asks::{self, Owner};
use crate::client::{self, Ask};
use crate::machine;
use crate::measure::Plan;
use crate::noise::{self, Answers, Kind, Lines, Order};
use crate::process::{Helper, Server};
use crate::quiet::{Agent, Quiet};
use crate::results::{Beside, Engine, Neighbours};
use crate::roots::{Limits, Roots};

/// Agents of the quiet account. Each asks 5 times a second, so none comes near a limit.
const AGENTS: usize = 8;
/// Accounts of a load that is spread over many, and of imports that are.
const CROWD: usize = 100;
const IMPORTERS: usize = 12;
/// Activities of a page of 38 MiB, and the bytes of each: control characters, six bytes each in JSON.
const LARGE_ROWS: usize = 100;
const LARGE_BYTES: usize = 65_536;
/// Where neighbours come from, and the quiet account unless it shares that address.
const THEIRS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// How long a neighbour may take to end beyond its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long and how much.
struct Extent {
    warm_up: Duration,
    time: Duration,
    /// Links of the session that is deleted.
    links: u64,
}

impl Extent {
    const FULL: Self =
        Self { warm_up: Duration::from_secs(2), time: Duration::from_secs(12), links: 200_000 };
    /// Whether it runs at all.
    const QUICK: Self =
        Self { warm_up: Duration::from_millis(500), time: Duration::from_secs(2), links: 2_000 };
}

/// One that does not think of others.
struct Neighbour {
    name: &'static str,
    limits: Limits,
    connections: usize,
    kind: Kind,
    /// Whether it is tried a second time from the address that the quiet account comes from.
    also_from_one_address: bool,
}

/// Measures every neighbour whose name contains `named`.
///
/// # Errors
/// Something did not do its part.
pub(crate) fn perform(plan: &Plan, named: &str) -> Result<Neighbours, Box<dyn Error>> {
    let extent = if plan.scale.is_quick { Extent::QUICK } else { Extent::FULL };
    let mut rows = Vec::new();
    if plan.on_sqlite {
        rows.extend(perform_on(plan, Engine::Sqlite, None, &extent, named)?);
    }
    if let Some(postgres) = &plan.postgres {
        let url = Some(postgres.small.clone());
        rows.extend(perform_on(plan, Engine::Postgres, url, &extent, named)?);
    }
    Ok(Neighbours {
        day: machine::today(),
        commit: plan.commit.clone(),
        machine: machine::this(),
        is_quick: plan.scale.is_quick,
        seconds: extent.time.as_secs_f64(),
        rows,
    })
}

fn perform_on(
    plan: &Plan,
    engine: Engine,
    url: Option<String>,
    extent: &Extent,
    named: &str,
) -> Result<Vec<Beside>, Box<dyn Error>> {
    eprintln!("{}: filling it for the neighbours", engine.name());
    let name = format!("{} neighbours", engine.name());
    let folder = plan.folder.join(&name);
    let roots = Roots::new(name, &plan.program, folder.clone(), url)?;
    let (quiet, neighbours) = set(&roots, extent)?;
    let mut rows = Vec::new();
    for neighbour in neighbours.iter().filter(|neighbour| neighbour.name.contains(named)) {
        let addresses: &[IpAddr] =
            if neighbour.also_from_one_address { &[OWN, THEIRS] } else { &[OWN] };
        for from in addresses {
            let row = beside(&roots, &quiet, neighbour, engine, *from, extent)?;
            eprintln!("  {row}");
            rows.push(row);
        }
    }
    roots.verify()?;
    // The next database may need the room.
    fs::remove_dir_all(folder)?;
    Ok(rows)
}

/// Lets the quiet account live beside a neighbour.
fn beside(
    roots: &Roots,
    quiet: &Quiet,
    neighbour: &Neighbour,
    engine: Engine,
    from: IpAddr,
    extent: &Extent,
) -> Result<Beside, Box<dyn Error>> {
    let server = roots.start_with(neighbour.limits)?;
    let (address, warm_up, time) = (server.address, extent.warm_up, extent.time);
    let living = {
        let quiet = quiet.clone();
        thread::spawn(move || quiet.live(address, from, warm_up, time))
    };
    // What the neighbour does first is a part of what is measured.
    thread::sleep(warm_up);
    let order =
        Order { address, connections: neighbour.connections, time, kind: neighbour.kind.clone() };
    let program = std::env::current_exe()?;
    let noise = Helper::start(
        "the neighbour",
        Command::new("nice").args(["-n", "19"]).arg(program).arg("noise"),
        &order,
    )?;
    let met = living.join().map_err(|_| "the quiet account panicked")??;
    let answers: Answers = noise.told(PATIENCE)?;
    let memory_mib = server.memory()?.highest;
    // Killed: what the neighbour has left would take as long to end as it may. Verifying comes last.
    drop(server);
    let worst_ms = met.times.worst_ms();
    let quantiles = met.times.quantiles();
    Ok(Beside {
        engine,
        neighbour: neighbour.name.to_owned(),
        shares_address: from == THEIRS,
        requests: quantiles.count,
        p50_ms: quantiles.p50_ms,
        p99_ms: quantiles.p99_ms,
        worst_ms,
        failed: met.failed,
        asked_again: met.asked_again,
        failures: met.failures,
        memory_mib,
        answers: answers.0,
    })
}

/// Fills the database. Answers the quiet account, and its neighbours.
fn set(roots: &Roots, extent: &Extent) -> Result<(Quiet, Vec<Neighbour>), Box<dyn Error>> {
    let server = roots.start()?;
    let sign_ups = (0..6 + CROWD + IMPORTERS).map(|_| asks::sign_up());
    let mut owners = Vec::new();
    for answer in client::ask_each(server.address, sign_ups)? {
        owners.push(Owner::new(text(&answer, "api_key")?));
    }
    let crowd = owners.split_off(6 + IMPORTERS);
    let importers: Vec<_> = owners.split_off(6).iter().map(Owner::key).collect();
    let [quiet, writer, reader, linker, renewer, dripper] = &owners[..] else {
        return Err("there are too few accounts".into());
    };
    let agents = (0..AGENTS).map(|_| agent(&server, quiet)).collect::<Result<_, _>>()?;
    let large = "\u{1}".repeat(LARGE_BYTES);
    let rows = (0..LARGE_ROWS).map(|_| reader.log(&large));
    client::ask_each(server.address, rows)?;
    noise::import_alone(server.address, &linker.key(), Lines::new(link).take(extent.links + 1))?;
    let sessions = asked(&server, linker.get("/sessions?limit=1"))?;
    let session = id(&sessions["sessions"][0], "session_id")?;
    let page = client::ask_each(server.address, [Ask::plain("/docs/".to_owned())])?.concat();
    let docs = pages_of(&String::from_utf8_lossy(&page));
    if docs.len() < 3 {
        return Err(format!("the page of /docs refers to no files: {docs:?}").into());
    }
    server.stop()?;

    let neighbour = |name, connections, kind| Neighbour {
        name,
        limits: Limits::Default,
        connections,
        kind,
        also_from_one_address: false,
    };
    let writers = |name, connections, asks| Neighbour {
        limits: Limits::Lifted,
        ..neighbour(name, connections, Kind::Ask(asks))
    };
    let also = |neighbour| Neighbour { also_from_one_address: true, ..neighbour };
    let many = crowd.iter().map(Owner::log_activity).collect();
    let docs = docs.into_iter().map(Ask::plain).collect();
    let neighbours = vec![
        neighbour("nothing", 0, Kind::Idle),
        writers("64 writers of one account", 64, vec![writer.log_activity()]),
        writers("800 writers of one account", 800, vec![writer.log_activity()]),
        writers("800 writers of 100 accounts", 800, many),
        neighbour(
            "64 readers of 38 MiB pages",
            64,
            Kind::Ask(vec![reader.get(&format!("/activities?limit={LARGE_ROWS}"))]),
        ),
        neighbour("24 imports of 12 accounts", 24, Kind::Import(importers.clone())),
        neighbour("24 imports of one account", 24, Kind::Import(importers[..1].to_vec())),
        neighbour(
            "a session with 200,000 links deleted",
            1,
            Kind::AskOnce(vec![linker.delete(&format!("/sessions/{session}"))]),
        ),
        also(neighbour("1,500 idle sockets", 1_500, Kind::Idle)),
        also(neighbour("900 dripping imports", 900, Kind::Drip(vec![dripper.key()]))),
        also(neighbour("a flood of /docs", 64, Kind::AskCompressed(docs))),
        also(neighbour("a flood of wrong keys", 64, Kind::WrongKeys)),
        also(neighbour("a flood of sign-ups", 64, Kind::Ask(vec![asks::sign_up()]))),
        neighbour("key renewals in a loop", 4, Kind::Ask(vec![renewer.renew()])),
    ];
    Ok((Quiet { agents }, neighbours))
}

/// An agent of the quiet account, with a session and a todo.
fn agent(server: &Server, owner: &Owner) -> Result<Agent, Box<dyn Error>> {
    let actor = id(&asked(server, owner.add_agent())?, "actor_id")?;
    let made = client::ask_each(server.address, [owner.make_key(actor)])?.concat();
    let agent = Owner::new(text(&made, "api_key")?);
    let session = id(&asked(server, agent.start_session())?, "session_id")?;
    let todo = id(&asked(server, agent.create_todo())?, "todo_id")?;
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

/// A session, and behind it activities and todos that are linked to it.
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

/// The page of `/docs` and the files that it refers to, whose names hold a hash.
fn pages_of(page: &str) -> Vec<String> {
    let quoted = page.split('"').filter(|text| text.starts_with("/docs/"));
    ["/docs/"].into_iter().chain(quoted).map(str::to_owned).collect()
}

fn asked(server: &Server, ask: Ask) -> Result<Value, Box<dyn Error>> {
    Ok(serde_json::from_slice(&client::ask_each(server.address, [ask])?.concat())?)
}

fn text(answer: &[u8], field: &str) -> Result<String, Box<dyn Error>> {
    let value: Value = serde_json::from_slice(answer)?;
    let found = value[field].as_str().map(str::to_owned);
    found.ok_or_else(|| format!("the answer holds no {field}: {value}").into())
}

fn id(value: &Value, field: &str) -> Result<u64, Box<dyn Error>> {
    value[field].as_u64().ok_or_else(|| format!("the answer holds no {field}: {value}").into())
}
