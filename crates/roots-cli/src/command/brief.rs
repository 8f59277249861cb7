//! `roots brief`: what to know when you begin.

use clap::{Args, value_parser};
use roots_client::model::{ActorFilter, BriefQuery};

use super::brief_text;
use crate::connection::connect;
use crate::dates::{self, When};
use crate::error::CliError;
use crate::output::{BRIEF, Output, View};
use crate::values::actor;

/// What the brief is about.
#[derive(Debug, Args)]
pub(crate) struct BriefArguments {
    /// How long the server's answer may be, in tokens of about 4 bytes: 2000 by default
    #[arg(long, value_name = "500-8000", value_parser = value_parser!(u32).range(500..=8000))]
    max_tokens: Option<u32>,
    /// Report activities and status changes from this time on, such as `2h` ago: since the end of
    /// the last session by default
    #[arg(long, value_name = "TIME", value_parser = dates::past)]
    since: Option<When>,
    /// The actor whose work it is about, or `all`
    #[arg(long, value_name = "ID|all", value_parser = actor)]
    actor: Option<ActorFilter>,
}

/// Shows the brief.
///
/// # Errors
///
/// See [`CliError`].
pub(crate) async fn brief(arguments: &BriefArguments, output: &Output) -> Result<(), CliError> {
    let view = View::new(output, BRIEF)?;
    let query = BriefQuery {
        max_tokens: arguments.max_tokens,
        since: arguments.since.as_ref().map(|time| time.start().into()),
        actor: arguments.actor,
        ..BriefQuery::default()
    };
    let brief = connect()?.client.brief(&query).await?;
    view.show(&brief, || brief_text::whole(&brief, &query))
}
