//! The arguments of `roots todo`.

use clap::{Args, Subcommand, value_parser};
use roots_client::model::{ActorFilter, TodoStatus};

use crate::dates::{self, When};
use crate::paging::PagingArguments;
use crate::session_link::SessionChoice;
use crate::values::{actor, seconds, status};

/// What to do with todos.
#[derive(Debug, Subcommand)]
pub(crate) enum TodoCommand {
    /// Add a todo
    Add(AddArguments),
    /// List todos, by priority and then by age, highest and newest first
    #[command(visible_alias = "ls")]
    List(ListArguments),
    /// Show a todo, or the log of its status
    Show(ShowArguments),
    /// Claim the next open todo, or the one with this id, and put it in progress
    ///
    /// Exactly one of any number of workers gets it. The claim lives as long as you write: log
    /// activities in your session, or edit the todo. Exits with 3 if no todo is left to claim.
    Claim(ClaimArguments),
    /// Give up a claim: the todo is open again
    Release(ClaimedTodo),
    /// Put a todo in progress without a claim
    Start(StartArguments),
    /// Set a todo done
    Done(StatusArguments),
    /// Cancel a todo
    Cancel(StatusArguments),
    /// Open a todo again
    Reopen(StatusArguments),
    /// Change a todo; without an option your editor opens
    Edit(EditArguments),
    /// Delete a todo and its log
    Rm(RemoveArguments),
}

/// A todo to add.
#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// What is to be done; `-` reads it from standard input, and without it your editor opens: the
    /// first line is the title, the rest the description
    pub(super) title: Option<String>,
    /// What there is to say about it; `-` reads it from standard input
    #[arg(long, short, value_name = "TEXT")]
    pub(super) description: Option<String>,
    /// 0 (lowest, the default) to 3 (highest)
    #[arg(long, short, value_name = "0-3", value_parser = value_parser!(u8).range(0..=3))]
    pub(super) priority: Option<u8>,
    /// When it is due, such as `tomorrow 17:00`, `friday`, `2h` or `2026-12-31`
    #[arg(long, value_name = "TIME", value_parser = dates::coming)]
    pub(super) due: Option<When>,
    /// The actor that it will belong to; only an owner may name another
    #[arg(long, value_name = "ID")]
    pub(super) actor: Option<i64>,
    #[command(flatten)]
    pub(super) session: SessionChoice,
}

/// Which todos to list.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only todos with this status
    #[arg(long, short, value_parser = status())]
    pub(super) status: Option<TodoStatus>,
    /// Only todos of this priority
    #[arg(long, short, value_name = "0-3", value_parser = value_parser!(u8).range(0..=3))]
    pub(super) priority: Option<u8>,
    /// Only todos linked to this session
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<i64>,
    /// Only todos that are not finished and past their due date, the earliest due date first
    #[arg(long, conflicts_with_all = ["status", "priority", "session", "latest"])]
    pub(super) overdue: bool,
    /// List done or cancelled todos, the latest change of status first
    #[arg(long, requires = "status", conflicts_with = "session")]
    pub(super) latest: bool,
    /// The actor whose todos these are, or `all`
    #[arg(long, value_name = "ID|all", value_parser = actor)]
    pub(super) actor: Option<ActorFilter>,
    #[command(flatten)]
    pub(super) paging: PagingArguments,
}

/// Which todo to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The todo
    pub(super) id: i64,
    /// Show the log of its status, oldest change first
    #[arg(long)]
    pub(super) log: bool,
}

/// A claim to make.
#[derive(Debug, Args)]
pub(crate) struct ClaimArguments {
    /// The todo: the next one by default
    pub(super) id: Option<i64>,
    /// The lowest priority of the next one
    #[arg(long, value_name = "0-3", value_parser = value_parser!(u8).range(0..=3))]
    pub(super) min_priority: Option<u8>,
    /// How long the claim lives after the last write, such as `30m`: `2h` by default
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(super) lease: Option<u32>,
    /// The actor whose todo to claim; only an owner may name another
    #[arg(long, value_name = "ID")]
    pub(super) actor: Option<i64>,
    #[command(flatten)]
    pub(super) session: SessionChoice,
}

/// A todo that may be claimed.
#[derive(Debug, Args)]
pub(crate) struct ClaimedTodo {
    /// The todo
    pub(super) id: i64,
    /// The token of your claim: by default that of the claim made in this work tree
    #[arg(long, value_name = "TOKEN")]
    pub(super) token: Option<i64>,
    /// Do it even if another worker has claimed the todo, whose claim may end by it
    #[arg(long, conflicts_with = "token")]
    pub(super) without_claim: bool,
}

/// A todo to put in progress.
#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    #[command(flatten)]
    pub(super) change: StatusArguments,
    #[command(flatten)]
    pub(super) session: SessionChoice,
}

/// A change of a todo's status.
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    pub(super) todo: ClaimedTodo,
    /// A note for the log; `-` reads it from standard input
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
}

/// What to change of a todo.
#[derive(Debug, Args)]
pub(crate) struct EditArguments {
    #[command(flatten)]
    pub(super) todo: ClaimedTodo,
    /// The new title; `-` reads it from standard input
    #[arg(long, value_name = "TEXT")]
    pub(super) title: Option<String>,
    /// The new description; `-` reads it from standard input
    #[arg(long, short, value_name = "TEXT")]
    pub(super) description: Option<String>,
    /// Delete the description
    #[arg(long, conflicts_with = "description")]
    pub(super) no_description: bool,
    /// 0 (lowest) to 3 (highest)
    #[arg(long, short, value_name = "0-3", value_parser = value_parser!(u8).range(0..=3))]
    pub(super) priority: Option<u8>,
    /// When it is due, such as `tomorrow 17:00`, `friday`, `2h` or `2026-12-31`
    #[arg(long, value_name = "TIME", value_parser = dates::coming)]
    pub(super) due: Option<When>,
    /// It is not due at any time
    #[arg(long, conflicts_with = "due")]
    pub(super) no_due: bool,
    /// Link it to this session
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<i64>,
    /// Link it to no session
    #[arg(long, conflicts_with = "session")]
    pub(super) no_session: bool,
}

/// A todo to delete.
#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    #[command(flatten)]
    pub(super) todo: ClaimedTodo,
    /// Delete it without a question
    #[arg(long, short)]
    pub(super) yes: bool,
}
