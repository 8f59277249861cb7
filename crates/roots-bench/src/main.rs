//! Measures a release build of Roots against floors of the machine it runs on.
//!
//! `cargo xtask bench` builds what is measured and starts this; `docs/performance.md` says what is
//! measured and how to read it.
//!
//! - [`mod@measure`]: what is measured, in which order, on which [`stage`]; [`book`] takes it down.
//! - [`floor`]: what the machine can do at best, with nothing of ours in the way.
//! - [`load`]: many connections that ask, in a process of its own; [`asks`] is what they ask, and
//!   each is a [`client`].
//! - [`neighbours`]: what a [`quiet`] account feels of others; [`noise`] is what those do, each in a
//!   process of its own.
//! - [`process`]: the processes of a run; [`roots`] is a server with its database.
//! - [`figures`]: what is to be reached; [`results`] is all of it, as it is kept.
//! - [`report`] and [`plot`]: what is shown of it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells the developer at the terminal what it measures"
)]

mod asks;
mod book;
mod client;
mod figures;
mod floor;
mod latency;
mod load;
mod machine;
mod measure;
mod neighbours;
mod noise;
mod plot;
mod process;
mod quiet;
mod report;
mod results;
mod roots;
mod stage;
mod usage;

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser};

use measure::{Plan, Postgres, Scale};
use plot::Drawn;
use results::{Engine, Results};

/// As the server has it, so that the floor has it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Measures Roots; `cargo xtask bench` starts it")]
enum Asked {
    /// Measure, print the tables, and keep what was measured
    Measure(Measure),
    /// Write what was measured into a page, and its plots beside what was kept
    Report(Report),
    /// Carry out the load that is ordered on the standard input
    Load,
    /// Be the neighbour that is ordered on the standard input
    Noise,
    /// Serve the web floor: bare Axum handlers
    Floor(Floor),
}

#[derive(Args)]
struct Measure {
    /// The program to measure: a `roots-server`
    #[arg(long, value_name = "PROGRAM")]
    server: PathBuf,
    /// What it was built of
    #[arg(long)]
    commit: Option<String>,
    /// An empty folder, on the disk to measure; it is for the caller to remove
    #[arg(long)]
    folder: PathBuf,
    /// Measure on one database alone
    #[arg(long)]
    only: Option<Engine>,
    /// Three empty databases of a `PostgreSQL`: for few rows, for many, and for its floor
    #[arg(long, value_name = "URL", num_args = 3, requires = "programs")]
    postgres: Option<Vec<String>>,
    /// The folder of `PostgreSQL`'s programs
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// See whether it runs at all; the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Measure what a quiet account feels of its neighbours, and nothing else: of those whose name
    /// contains this, of which nothing is kept then
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    neighbours: Option<String>,
    /// Activities in the large database
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1_000..=100_000_000))]
    rows: Option<u64>,
    /// The file to keep what was measured in
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args)]
struct Report {
    /// What was kept
    #[arg(long, value_name = "FILE")]
    results: PathBuf,
    /// A page of Markdown with a place for the tables
    #[arg(long, value_name = "FILE")]
    page: PathBuf,
}

#[derive(Args)]
struct Floor {
    /// Bytes of an answer; for each a path of that name is served
    #[arg(required = true)]
    sizes: Vec<usize>,
}

fn main() -> ExitCode {
    match perform(Asked::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(asked: Asked) -> Result<(), Box<dyn Error>> {
    match asked {
        Asked::Measure(asked) => measure(asked),
        Asked::Report(asked) => write_report(&asked),
        Asked::Load => {
            println!("{}", serde_json::to_string(&load::perform()?)?);
            Ok(())
        }
        Asked::Noise => {
            println!("{}", serde_json::to_string(&noise::perform()?)?);
            Ok(())
        }
        Asked::Floor(asked) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(floor::web::serve(&asked.sizes))?)
        }
    }
}

fn measure(asked: Measure) -> Result<(), Box<dyn Error>> {
    let mut scale = if asked.quick { Scale::QUICK } else { Scale::FULL };
    scale.rows = asked.rows.unwrap_or(scale.rows);
    let urls = asked.postgres.filter(|_| asked.only != Some(Engine::Sqlite));
    let postgres = match (urls.as_deref(), asked.programs) {
        (Some([small, large, floor]), Some(programs)) => Some(Postgres {
            programs,
            small: small.clone(),
            large: large.clone(),
            floor: floor.clone(),
        }),
        _ => None,
    };
    let plan = Plan {
        program: asked.server,
        folder: asked.folder,
        postgres,
        on_sqlite: asked.only != Some(Engine::Postgres),
        commit: asked.commit,
        scale,
    };
    // What is measured apart stays as it was.
    let kept = fs::read_to_string(&asked.out).ok();
    let kept = kept.map(|text| serde_json::from_str::<Results>(&text)).transpose()?;
    if let Some(named) = asked.neighbours {
        let measured = neighbours::perform(&plan, &named)?;
        println!("{}", report::neighbours(&measured));
        if let Some(kept) = kept.filter(|_| named.is_empty()) {
            keep(&asked.out, &Results { neighbours: Some(measured), ..kept })?;
        }
        return Ok(());
    }
    let measured = measure::perform(&plan)?;
    println!("{}", report::tables(&measured));
    keep(&asked.out, &Results { neighbours: kept.and_then(|kept| kept.neighbours), ..measured })
}

fn keep(file: &Path, results: &Results) -> Result<(), Box<dyn Error>> {
    fs::write(file, serde_json::to_string_pretty(results)? + "\n")?;
    eprintln!("kept in {}", file.display());
    Ok(())
}

fn write_report(asked: &Report) -> Result<(), Box<dyn Error>> {
    let results: Results = serde_json::from_str(&fs::read_to_string(&asked.results)?)?;
    let folder = asked.results.parent().unwrap_or(&asked.results);
    let beside = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut measured = report::tables(&results);
    for Drawn { file, title, svg } in plot::all(&results)? {
        fs::write(folder.join(file), svg)?;
        let _ = write!(measured, "\n![{title}]({beside}/{file})\n");
    }
    if let Some(neighbours) = &results.neighbours {
        let _ = write!(measured, "\n{}", report::neighbours(neighbours));
    }
    let page = fs::read_to_string(&asked.page)?;
    let placed = report::place(&page, &measured)
        .ok_or_else(|| format!("{} has no place for the tables", asked.page.display()))?;
    Ok(fs::write(&asked.page, placed)?)
}
