//! Measures a release build of Roots against floors of the machine it runs on.
//!
//! `cargo xtask bench` builds the server and starts this program. `docs/performance.md` says what
//! is measured and how to read it.
//!
//! - [`mod@measure`]: runs the loads in rounds on a [`fixture`]; [`recorder`] collects the rounds.
//! - [`floor`]: measures what the machine can do without Roots.
//! - [`load`]: the load generator, a process of its own with many [`client`] connections;
//!   [`requests`] builds the requests.
//! - [`agents`]: measures what agents use: the brief, claims, search and MCP.
//! - [`dashboard`]: measures what people who look at the dashboard use: its first page, streams and
//!   lists.
//! - [`against`]: compares the writes of this build with those of another one.
//! - [`mod@cluster`]: compares a Citus cluster with one PostgreSQL.
//! - [`neighbours`]: measures a [`quiet`] account beside neighbours; [`noise`] is a neighbour, a
//!   process of its own.
//! - [`process`]: starts and stops processes; [`instance`] is a server with its database.
//! - [`figures`]: computes the figures and holds their targets; [`results`] is what is stored.
//! - [`report`] and [`plot`]: write the tables and the plots.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the developer at the terminal reads the progress and the tables"
)]

mod against;
mod agents;
mod client;
mod cluster;
mod dashboard;
mod figures;
mod fixture;
mod floor;
mod instance;
mod latency;
mod load;
mod machine;
mod measure;
mod neighbours;
mod noise;
mod plot;
mod process;
mod quiet;
mod recorder;
mod report;
mod requests;
mod results;
mod usage;

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser};

use measure::{BenchPlan, PostgresDatabases, Scale};
use plot::RenderedPlot;
use results::{Engine, Part, Results};

/// The server uses this allocator, so the web floor does too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures Roots; `cargo xtask bench` starts it")]
enum BenchCommand {
    /// Measure, print the tables and store the results
    Measure(MeasureArgs),
    /// Write stored results into a page, and the plots beside the results
    Report(ReportArgs),
    /// Generate the load described by a load request on the standard input
    Load,
    /// Act as the neighbour described by a noise request on the standard input
    Noise,
    /// Serve the web floor: bare Axum handlers
    Floor(FloorArgs),
}

#[derive(Args)]
struct MeasureArgs {
    /// The `roots-server` to measure
    #[arg(long, value_name = "PROGRAM")]
    server: PathBuf,
    /// The commit it was built from
    #[arg(long)]
    commit: Option<String>,
    /// An empty folder on the disk to measure; the caller removes it
    #[arg(long)]
    folder: PathBuf,
    /// Measure on one database only
    #[arg(long)]
    only: Option<Engine>,
    /// Three empty `PostgreSQL` databases: small, large, and one for the store floor
    #[arg(long, value_name = "URL", num_args = 3, requires = "programs")]
    postgres: Option<Vec<String>>,
    /// The folder of the `PostgreSQL` programs
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Run a smoke test; its figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Measure only the effect of neighbours. With a NAME, measure those whose name contains it,
    /// and store nothing
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    neighbours: Option<String>,
    /// Measure only what agents use: the brief, claims, search and MCP
    #[arg(long, conflicts_with = "neighbours")]
    agents: bool,
    /// Measure only what people who look at the dashboard use: its first page, streams and lists
    #[arg(long, conflicts_with_all = ["neighbours", "agents"])]
    dashboard: bool,
    /// Compare the writes with those of another build: a `roots-server`
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["neighbours", "agents", "dashboard"])]
    against: Option<PathBuf>,
    /// Compare a Citus cluster with one `PostgreSQL`: the URL of an empty database on its
    /// coordinator, which has the extension and knows the nodes
    #[arg(long, value_name = "URL", requires = "postgres",
        conflicts_with_all = ["neighbours", "agents", "dashboard", "against", "only"])]
    cluster: Option<String>,
    /// Activities in the large database; with `--agents`, its open todos; with `--dashboard`, also
    /// its sessions and todos
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    rows: Option<u64>,
    /// The file to store the results in
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args)]
struct ReportArgs {
    /// The stored results
    #[arg(long, value_name = "FILE")]
    results: PathBuf,
    /// A Markdown page with markers around the tables
    #[arg(long, value_name = "FILE")]
    page: PathBuf,
}

#[derive(Args)]
struct FloorArgs {
    /// Sizes of the responses in bytes; `/BYTES` serves each
    #[arg(required = true)]
    sizes: Vec<usize>,
}

fn main() -> ExitCode {
    match run(BenchCommand::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: BenchCommand) -> Result<(), Box<dyn Error>> {
    match command {
        BenchCommand::Measure(args) => measure(args),
        BenchCommand::Report(args) => write_report(&args),
        BenchCommand::Load => {
            println!("{}", serde_json::to_string(&load::run()?)?);
            Ok(())
        }
        BenchCommand::Noise => {
            println!("{}", serde_json::to_string(&noise::run()?)?);
            Ok(())
        }
        BenchCommand::Floor(args) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(floor::web::serve(&args.sizes))?)
        }
    }
}

fn measure(args: MeasureArgs) -> Result<(), Box<dyn Error>> {
    let mut scale = if args.quick { Scale::QUICK } else { Scale::FULL };
    scale.rows = args.rows.unwrap_or(scale.rows);
    let urls = args.postgres.filter(|_| args.only != Some(Engine::Sqlite));
    let postgres = match (urls.as_deref(), args.programs) {
        (Some([small, large, floor]), Some(programs)) => Some(PostgresDatabases {
            programs,
            small: small.clone(),
            large: large.clone(),
            floor: floor.clone(),
        }),
        _ => None,
    };
    let plan = BenchPlan {
        program: args.server,
        folder: args.folder,
        postgres,
        on_sqlite: args.only != Some(Engine::Postgres),
        commit: args.commit,
        scale,
    };
    // A run measures one part, and keeps the stored results of the others.
    let stored = fs::read_to_string(&args.out).ok();
    let stored = stored.map(|text| serde_json::from_str::<Results>(&text)).transpose()?;
    if let Some(filter) = args.neighbours {
        let measured = neighbours::measure(&plan, &filter)?;
        println!("{}", report::neighbours(&measured));
        if let Some(stored) = stored.filter(|_| filter.is_empty()) {
            store(&args.out, &Results { neighbours: Some(measured), ..stored })?;
        }
        return Ok(());
    }
    let part = if args.agents {
        Some((Part::Agents, agents::measure(&plan)?))
    } else if args.dashboard {
        Some((Part::Dashboard, dashboard::measure(&plan)?))
    } else if let Some(other) = &args.against {
        Some((Part::Against, against::measure(&plan, other)?))
    } else if let Some(url) = &args.cluster {
        Some((Part::Cluster, cluster::measure(&plan, url)?))
    } else {
        None
    };
    if let Some((part, measured)) = part {
        println!("{}", report::part(&measured, part.name()));
        if let Some(mut stored) = stored {
            *part.of(&mut stored) = Some(measured);
            store(&args.out, &stored)?;
        }
        return Ok(());
    }
    let measured = measure::measure(&plan)?;
    println!("{}", report::tables(&measured));
    let Some(Results { neighbours, agents, dashboard, against, cluster, .. }) = stored else {
        return store(&args.out, &measured);
    };
    let parts = Results { neighbours, agents, dashboard, against, cluster, ..measured };
    store(&args.out, &parts)
}

fn store(file: &Path, results: &Results) -> Result<(), Box<dyn Error>> {
    fs::write(file, serde_json::to_string_pretty(results)? + "\n")?;
    eprintln!("stored in {}", file.display());
    Ok(())
}

fn write_report(args: &ReportArgs) -> Result<(), Box<dyn Error>> {
    let results: Results = serde_json::from_str(&fs::read_to_string(&args.results)?)?;
    let folder = args.results.parent().unwrap_or(&args.results);
    let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut text = report::tables(&results);
    for RenderedPlot { file, title, svg } in plot::render_all(&results)? {
        fs::write(folder.join(file), svg)?;
        let _ = write!(text, "\n![{title}]({folder_name}/{file})\n");
    }
    let mut results = results;
    for part in Part::ALL {
        if let Some(measured) = part.of(&mut results) {
            let _ = write!(text, "\n{}", report::part(measured, part.name()));
        }
    }
    if let Some(neighbours) = &results.neighbours {
        let _ = write!(text, "\n{}", report::neighbours(neighbours));
    }
    let page = fs::read_to_string(&args.page)?;
    let page = report::insert(&page, &text)
        .ok_or_else(|| format!("{} has no markers for the tables", args.page.display()))?;
    Ok(fs::write(&args.page, page)?)
}
