//! Compares a Citus cluster that the caller has started with one PostgreSQL.
//!
//! Both are served by the same program. As in [`crate::against`], the two sides take turns in short
//! rounds, and only values of the same round are compared. All servers share one machine, so a
//! figure is what it costs to spread the accounts, and not what more machines would give.

mod database;

use std::error::Error;
use std::time::Duration;

use crate::client::{self, RequestSpec};
use crate::figures::{name, ratios, rounds_of};
use crate::fixture::{self, FILL_CONNECTIONS};
use crate::instance::RootsInstance;
use crate::load::{LoadPattern, LoadReport, LoadedServer, Window};
use crate::machine;
use crate::measure::{self, BenchPlan, CONNECTIONS, OtherWork};
use crate::process::ServerProcess;
use crate::recorder::Recorder;
use crate::requests::{self, ApiUser};
use crate::results::{Engine, Figure, FigureTarget, PartResults, Round, Series};

/// The shards that the accounts are divided into: what `distribute` makes by default.
const SHARDS: &str = "32";
/// Sessions of the one account. There are as many as connections.
const SESSIONS: usize = CONNECTIONS;
/// Activities of each account before the first round: a full page.
const PAGE: usize = 20;
/// End the names of the series of the two sides.
const CLUSTER: &str = ", cluster";
const PLAIN: &str = ", plain";

/// Loads of one account go to one process, loads of many accounts to both.
const LOG_MANY: &str = "POST /activities, many accounts by two processes";
const GET_SESSION: &str = "GET /sessions/{id}, one account";
const GET_SESSION_MANY: &str = "GET /sessions/{id}, many accounts by two processes";
const LIST: &str = "GET /activities?limit=20, one account";
const LIST_MANY: &str = "GET /activities?limit=20, many accounts by two processes";

/// The rate on the cluster that each load must reach, against that on one PostgreSQL.
const RATES: [(&str, f64); 6] = [
    (name::LOG, 0.5),
    (LOG_MANY, 0.4),
    (GET_SESSION, 0.5),
    (GET_SESSION_MANY, 0.5),
    (LIST, 0.5),
    (LIST_MANY, 0.5),
];

/// How many rounds each look at the other work of the machine serves.
const ROUNDS_A_FLOOR: usize = 10;

/// How much to measure.
struct ClusterScale {
    rounds: usize,
    window: Window,
    /// The many accounts. Each has a client of its own, which waits for each response.
    accounts: usize,
}

impl ClusterScale {
    const FULL: Self = Self {
        rounds: 30,
        window: Window { warm_up: Duration::from_millis(200), time: Duration::from_millis(800) },
        accounts: 200,
    };
    /// A smoke test.
    const QUICK: Self = Self { rounds: 2, ..Self::FULL };
}

/// Measures both sides.
///
/// # Errors
/// The URL is not that of an empty database of a cluster, a process failed, or a response is not
/// as expected.
pub(crate) fn measure(plan: &BenchPlan, url: &str) -> Result<PartResults, Box<dyn Error>> {
    let scale = if plan.scale.is_quick { ClusterScale::QUICK } else { ClusterScale::FULL };
    let postgres = plan.postgres.as_ref().ok_or("there is no PostgreSQL to compare with")?;
    let databases = database::look(&postgres.programs, url, &postgres.large)?;
    eprintln!("filling the database of the cluster and the plain one");
    let mut sides = [
        Side::start(plan, &scale, CLUSTER, url)?,
        Side::start(plan, &scale, PLAIN, &postgres.large)?,
    ];
    measure::vacuum(postgres, &[url, &postgres.large])?;
    let mut recorder = Recorder::default();
    let other_work = OtherWork::start(plan)?;
    for round in 1..=scale.rounds {
        if round % ROUNDS_A_FLOOR == 1 {
            other_work.record(plan, &mut recorder)?;
        }
        eprintln!("round {round} of {}", scale.rounds);
        for load in 0..sides[0].loads.len() {
            // Each side is first in every second round.
            let first = (round + load) % 2;
            for turn in [first, 1 - first] {
                let (name, report) = sides[turn].send(load, scale.window)?;
                recorder.record_load(Some(Engine::Postgres), &name, &report);
            }
        }
    }
    eprintln!("verifying the databases");
    for Side { servers, instance, .. } in sides {
        for server in servers {
            server.stop()?;
        }
        instance.verify()?;
    }
    let remarks = recorder.remarks(plan.scale.is_quick).into_iter().chain(databases.remark);
    Ok(PartResults {
        day: machine::today(),
        commit: plan.commit.clone(),
        machine: machine::this(),
        extent: format!(
            "{} rounds of {} s, {CONNECTIONS} connections of one account or one of each of {} \
             accounts, {SHARDS} shards on {} workers.\nCitus {} on PostgreSQL {}, against PostgreSQL {}.",
            scale.rounds,
            scale.window.time.as_secs_f64(),
            scale.accounts,
            databases.workers,
            databases.citus,
            databases.coordinator,
            databases.plain,
        ),
        remarks: remarks.collect(),
        figures: compute(&recorder.series, machine::this().processors),
        series: recorder.series,
    })
}

/// A database with the two processes that serve it.
struct Side {
    /// Ends the names of its series.
    suffix: &'static str,
    instance: RootsInstance,
    servers: [ServerProcess; 2],
    loads: Vec<SideLoad>,
}

/// A load on a side.
struct SideLoad {
    name: &'static str,
    servers: Vec<LoadedServer>,
    requests: Vec<RequestSpec>,
    connections: usize,
    /// The number of the next request to send.
    next: u64,
}

impl Side {
    /// Makes the schema in an empty database, on the cluster spreads it, starts both processes and
    /// adds what the loads use.
    fn start(
        plan: &BenchPlan,
        scale: &ClusterScale,
        suffix: &'static str,
        url: &str,
    ) -> Result<Self, Box<dyn Error>> {
        let name = format!("PostgreSQL{suffix}");
        let folder = plan.folder.join(&name);
        let instance = RootsInstance::new(name, &plan.program, folder, Some(url.to_owned()))?;
        instance.run(&["migrate"])?;
        if suffix == CLUSTER {
            instance.run(&["distribute", "--shards", SHARDS])?;
        }
        let servers = [instance.start()?, instance.start_second()?];
        let owner = instance.owner()?;
        let mut crowd = Vec::new();
        let sign_ups = (0..scale.accounts).map(|_| requests::sign_up());
        for response in client::send_each(servers[0].address, sign_ups)? {
            crowd.push(ApiUser::new(fixture::field(&response, "api_key")?));
        }
        let all = |request: &dyn Fn(&ApiUser) -> RequestSpec| crowd.iter().map(request).collect();
        let page = |user: &ApiUser| user.get("/activities?limit=20");
        let session = |user: &ApiUser| user.get("/sessions/1");
        let fill = |server, count, requests| {
            fixture::fill(server, FILL_CONNECTIONS, fixture::count(count), requests)
        };
        fill(&servers[0], SESSIONS, vec![owner.start_session()])?;
        fill(&servers[0], PAGE, vec![owner.log_activity()])?;
        fill(&servers[0], scale.accounts, all(&ApiUser::start_session))?;
        fill(&servers[0], scale.accounts * PAGE, all(&ApiUser::log_activity))?;
        // The second process has not seen these keys yet.
        fill(&servers[1], scale.accounts, all(&session))?;

        let load = |name, servers: &[ServerProcess], connections, requests| SideLoad {
            name,
            servers: servers.iter().map(ServerProcess::loaded).collect(),
            requests,
            connections,
            next: 0,
        };
        let one = |name, requests| load(name, &servers[..1], CONNECTIONS, requests);
        let many = |name, requests| load(name, &servers, scale.accounts, requests);
        let sessions = (1..=SESSIONS).map(|id| owner.get(&format!("/sessions/{id}"))).collect();
        let loads = vec![
            one(name::LOG, vec![owner.log_activity()]),
            many(LOG_MANY, all(&ApiUser::log_activity)),
            one(GET_SESSION, sessions),
            many(GET_SESSION_MANY, all(&session)),
            one(LIST, vec![page(&owner)]),
            many(LIST_MANY, all(&page)),
        ];
        Ok(Self { suffix, instance, servers, loads })
    }

    /// Sends the load of this number for a while. Returns the name of its series.
    fn send(
        &mut self,
        number: usize,
        window: Window,
    ) -> Result<(String, LoadReport), Box<dyn Error>> {
        let load = &mut self.loads[number];
        let report = measure::send_divided(
            load.servers.clone(),
            load.connections,
            LoadPattern::ClosedLoop(window),
            load.requests.clone(),
            load.next,
        )?;
        load.next = report.next;
        Ok((format!("{}{}", load.name, self.suffix), report))
    }
}

/// Computes the figures: values on the cluster against those on one PostgreSQL.
fn compute(series: &[Series], processors: usize) -> Vec<Figure> {
    let engine = Engine::Postgres;
    let mut figures = Vec::new();
    for (load, least) in RATES {
        let cluster = rounds_of(series, Some(engine), &format!("{load}{CLUSTER}"));
        let plain = rounds_of(series, Some(engine), &format!("{load}{PLAIN}"));
        let mut figure = |what, of: &dyn Fn(&Round) -> Option<f64>, target| {
            figures.push(Figure {
                engine,
                name: format!("{load}: {what}"),
                unit: " ×".to_owned(),
                values: ratios(cluster, plain, of),
                target,
            });
        };
        figure("rate", &|round| Some(round.rate), FigureTarget::AtLeast(least));
        figure("processor time in Roots", &|round| round.server_micros, FigureTarget::Unset);
        let all = |round: &Round| round.micros_with_database(processors);
        figure("processor time with the databases", &all, FigureTarget::Unset);
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_is_compared_with_the_plain_database_in_the_same_round() {
        let round = |rate, server| Round {
            rate,
            server_micros: Some(server),
            load_micros: Some(20.0),
            busy: Some(0.5),
            ..Round::default()
        };
        let series = |name: String, rounds: [Round; 2]| Series {
            engine: Some(Engine::Postgres),
            name,
            rounds: rounds.into(),
        };
        let all = [
            series(format!("{LOG_MANY}{CLUSTER}"), [round(4_000.0, 60.0), round(2_500.0, 100.0)]),
            series(format!("{LOG_MANY}{PLAIN}"), [round(10_000.0, 50.0), round(5_000.0, 50.0)]),
        ];
        let figures = compute(&all, 2);
        let named = |part: &str| {
            figures.iter().find(|one| one.name == format!("{LOG_MANY}: {part}")).unwrap()
        };
        assert_eq!(named("rate").values, [0.4, 0.5]);
        assert!(named("rate").is_reached());
        assert_eq!(named("processor time in Roots").values, [1.2, 2.0]);
        // 2 processors are half busy: 1 s a second, without the 20 µs of each write's client.
        let with_databases = named("processor time with the databases").values[0];
        assert!((with_databases - (250.0 - 20.0) / (100.0 - 20.0)).abs() < 1e-9);
        assert!(figures.iter().any(|one| one.values.is_empty() && !one.is_reached()));
    }
}
