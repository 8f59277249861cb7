//! `roots todo`: todos and their claims.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, value_parser};
use dialoguer::Confirm;
use interim::{Interval, parse_duration};
use roots_client::Patch;
use roots_client::model::{
    ActorFilter, ListedTodo, NewClaim, NewTodo, PageStart, Paging, Release, Todo, TodoChange,
    TodoFilter, TodoStatus,
};

use super::todo_text;
use crate::connection::connect;
use crate::dates::{self, When};
use crate::error::CliError;
use crate::output::{
    Output, TODO, TODO_CLAIMED, TODO_DELETED, TODO_LIST, TODO_LOG, View, one_line, tell,
};
use crate::session_link::{SessionChoice, SessionLink};
use crate::text_source;
use crate::work_tree::WorkTree;

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
    title: Option<String>,
    /// What there is to say about it; `-` reads it from standard input
    #[arg(long, short, value_name = "TEXT")]
    description: Option<String>,
    /// 0 (lowest, the default) to 3 (highest)
    #[arg(long, short, value_name = "0-3", value_parser = value_parser!(u8).range(0..=3))]
    priority: Option<u8>,
    /// When it is due, such as `tomorrow 17:00`, `friday`, `2h` or `2026-12-31`
    #[arg(long, value_name = "TIME", value_parser = dates::coming)]
    due: Option<When>,
    /// The actor that it will belong to; only an owner may name another
    #[arg(long, value_name = "ID")]
    actor: Option<i64>,
    #[command(flatten)]
    session: SessionChoice,
}

/// Which todos to list.
#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only todos with this status
    #[arg(long, short, value_parser = status())]
    status: Option<TodoStatus>,
    /// Only todos of this priority
    #[arg(long, short, value_name = "0-3", value_parser = value_parser!(u8).range(0..=3))]
    priority: Option<u8>,
    /// Only todos linked to this session
    #[arg(long, value_name = "ID")]
    session: Option<i64>,
    /// The actor whose todos these are, or `all`
    #[arg(long, value_name = "ID|all", value_parser = actor)]
    actor: Option<ActorFilter>,
    /// The most todos to list: 20 by default
    #[arg(long, short = 'n', value_name = "1-100", value_parser = value_parser!(u32).range(1..=100))]
    limit: Option<u32>,
    /// Go on where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Which todo to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The todo
    id: i64,
    /// Show the log of its status, oldest change first
    #[arg(long)]
    log: bool,
}

/// A claim to make.
#[derive(Debug, Args)]
pub(crate) struct ClaimArguments {
    /// The todo: the next one by default
    id: Option<i64>,
    /// The lowest priority of the next one
    #[arg(long, value_name = "0-3", value_parser = value_parser!(u8).range(0..=3))]
    min_priority: Option<u8>,
    /// How long the claim lives after the last write, such as `30m`: `2h` by default
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    lease: Option<u32>,
    /// The actor whose todo to claim; only an owner may name another
    #[arg(long, value_name = "ID")]
    actor: Option<i64>,
    #[command(flatten)]
    session: SessionChoice,
}

/// A todo that may be claimed.
#[derive(Debug, Args)]
pub(crate) struct ClaimedTodo {
    /// The todo
    id: i64,
    /// The token of your claim: by default that of the claim made in this work tree
    #[arg(long, value_name = "TOKEN")]
    token: Option<i64>,
}

/// A todo to put in progress.
#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    #[command(flatten)]
    change: StatusArguments,
    #[command(flatten)]
    session: SessionChoice,
}

/// A change of a todo's status.
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    todo: ClaimedTodo,
    /// A note for the log; `-` reads it from standard input
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// What to change of a todo.
#[derive(Debug, Args)]
pub(crate) struct EditArguments {
    #[command(flatten)]
    todo: ClaimedTodo,
    /// The new title; `-` reads it from standard input
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// The new description; `-` reads it from standard input
    #[arg(long, short, value_name = "TEXT")]
    description: Option<String>,
    /// Delete the description
    #[arg(long, conflicts_with = "description")]
    no_description: bool,
    /// 0 (lowest) to 3 (highest)
    #[arg(long, short, value_name = "0-3", value_parser = value_parser!(u8).range(0..=3))]
    priority: Option<u8>,
    /// When it is due, such as `tomorrow 17:00`, `friday`, `2h` or `2026-12-31`
    #[arg(long, value_name = "TIME", value_parser = dates::coming)]
    due: Option<When>,
    /// It is not due at any time
    #[arg(long, conflicts_with = "due")]
    no_due: bool,
    /// Link it to this session
    #[arg(long, value_name = "ID")]
    session: Option<i64>,
    /// Link it to no session
    #[arg(long, conflicts_with = "session")]
    no_session: bool,
}

/// A todo to delete.
#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    #[command(flatten)]
    todo: ClaimedTodo,
    /// Delete it without a question
    #[arg(long, short)]
    yes: bool,
}

/// Works with todos.
///
/// # Errors
///
/// See [`CliError`].
pub(crate) async fn run(command: &TodoCommand, output: &Output) -> Result<(), CliError> {
    let view = View::new(
        output,
        match command {
            TodoCommand::List(_) => TODO_LIST,
            TodoCommand::Show(ShowArguments { log: true, .. }) => TODO_LOG,
            TodoCommand::Claim(_) => TODO_CLAIMED,
            TodoCommand::Rm(_) => TODO_DELETED,
            _ => TODO,
        },
    )?;
    let connection = connect()?;
    let tree = WorkTree::current(&connection)?;
    let link = SessionLink { connection: &connection, tree: &tree };
    let todos = Todos { link, view };
    match command {
        TodoCommand::Add(arguments) => todos.add(arguments).await,
        TodoCommand::List(arguments) => todos.list(arguments).await,
        TodoCommand::Show(arguments) => todos.show(arguments).await,
        TodoCommand::Claim(arguments) => todos.claim(arguments).await,
        TodoCommand::Release(arguments) => todos.release(arguments).await,
        TodoCommand::Start(arguments) => todos.start(arguments).await,
        TodoCommand::Done(arguments) => todos.set(arguments, TodoStatus::Done).await,
        TodoCommand::Cancel(arguments) => todos.set(arguments, TodoStatus::Cancelled).await,
        TodoCommand::Reopen(arguments) => todos.set(arguments, TodoStatus::Open).await,
        TodoCommand::Edit(arguments) => todos.edit(arguments).await,
        TodoCommand::Rm(arguments) => todos.remove(arguments).await,
    }
}

/// The todos of the caller, as seen from a work tree.
struct Todos<'a> {
    link: SessionLink<'a>,
    view: View<'a>,
}

impl Todos<'_> {
    async fn add(&self, arguments: &AddArguments) -> Result<(), CliError> {
        let (title, description) = match &arguments.title {
            Some(title) => (text_source::given(title)?, arguments.description.as_deref()),
            None => (text_source::required(None, "")?, arguments.description.as_deref()),
        };
        let (title, rest) = title_and_description(&title);
        let new = NewTodo {
            title,
            description: text_source::optional(description)?.or(rest),
            session_id: None,
            priority: arguments.priority,
            due_at: arguments.due.as_ref().map(|due| due.start().into()),
            actor_id: arguments.actor,
        };
        let client = &self.link.connection.client;
        let added = self.link.write_linked(&arguments.session, async |session_id| {
            client.create_todo(&NewTodo { session_id, ..new.clone() }).await
        });
        let todo = added.await?.value;
        self.show_todo("Added", &todo)
    }

    async fn list(&self, arguments: &ListArguments) -> Result<(), CliError> {
        let filter = TodoFilter {
            status: arguments.status,
            priority: arguments.priority,
            session_id: arguments.session,
            actor: arguments.actor,
        };
        let start = arguments.cursor.clone().map_or(PageStart::First, PageStart::Cursor);
        let paging = Paging { limit: arguments.limit, start };
        let page = self.link.connection.client.list_todos(&filter, &paging).await?;
        self.view.show(&page, || {
            if let Some(cursor) = &page.next_cursor {
                tell(&format!("The next page: --cursor {}", one_line(cursor)));
            }
            todo_text::list(&page)
        })
    }

    async fn show(&self, arguments: &ShowArguments) -> Result<(), CliError> {
        let client = &self.link.connection.client;
        if arguments.log {
            let log = client.get_todo_logs(arguments.id).await?;
            return self.view.show(&log, || todo_text::log(&log));
        }
        let todo = client.get_todo(arguments.id).await?.value;
        self.view.show(&todo, || todo_text::details(&todo))
    }

    async fn claim(&self, arguments: &ClaimArguments) -> Result<(), CliError> {
        let new = NewClaim {
            session_id: None,
            todo_id: arguments.id,
            min_priority: arguments.min_priority,
            lease_seconds: arguments.lease,
            actor_id: arguments.actor,
        };
        let client = &self.link.connection.client;
        let claimed = self.link.write_linked(&arguments.session, async |session_id| {
            client.claim_todo(&NewClaim { session_id, ..new.clone() }).await
        });
        let Some(claimed) = claimed.await? else {
            return Err(CliError::NotThere("no todo is left to claim".to_owned()));
        };
        let ListedTodo { todo, until } = &claimed.value;
        let remembered = match &todo.claim {
            Some(claim) => {
                self.link.tree.change(|state| state.claims.insert(todo.todo_id, claim.token))
            }
            None => Ok(None),
        };
        // The todo is claimed, so it is shown even if its token can't be remembered.
        self.view.show(&claimed.value, || todo_text::claimed(todo, *until))?;
        remembered.map(|_| ())
    }

    async fn release(&self, arguments: &ClaimedTodo) -> Result<(), CliError> {
        let Some(claim_token) = self.token(arguments)? else {
            return Err(CliError::NotThere(format!(
                "this work tree has no claim of todo {id}: give the claim's --token, or open the \
                 todo with `roots todo reopen {id}`",
                id = arguments.id
            )));
        };
        let release = Release { claim_token };
        let released = self.link.connection.client.release_todo(arguments.id, &release).await;
        let todo = self.settled(arguments.id, released)?.value;
        self.show_todo("Released", &todo)
    }

    async fn start(&self, arguments: &StartArguments) -> Result<(), CliError> {
        let StatusArguments { todo: id, note } = &arguments.change;
        let change = TodoChange {
            status: Some(TodoStatus::InProgress),
            note: text_source::optional(note.as_deref())?,
            claim_token: self.token(id)?,
            ..TodoChange::default()
        };
        let client = &self.link.connection.client;
        let started = self.link.write_linked(&arguments.session, async |session_id| {
            let session_id = session_id.map_or(Patch::Keep, Patch::Set);
            client.update_todo(id.id, &TodoChange { session_id, ..change.clone() }).await
        });
        let todo = started.await?.value;
        self.show_todo("Started", &todo)
    }

    async fn set(&self, arguments: &StatusArguments, status: TodoStatus) -> Result<(), CliError> {
        let change = TodoChange {
            status: Some(status),
            note: text_source::optional(arguments.note.as_deref())?,
            ..TodoChange::default()
        };
        let todo = self.change(&arguments.todo, change).await?;
        let done = match status {
            TodoStatus::Done => "Completed",
            TodoStatus::Cancelled => "Cancelled",
            TodoStatus::Open => "Reopened",
            TodoStatus::InProgress => "Started",
        };
        self.show_todo(done, &todo)
    }

    async fn edit(&self, arguments: &EditArguments) -> Result<(), CliError> {
        let change = TodoChange {
            title: text_source::optional(arguments.title.as_deref())?,
            description: patch(
                text_source::optional(arguments.description.as_deref())?,
                arguments.no_description,
            ),
            priority: arguments.priority,
            due_at: patch(arguments.due.as_ref().map(|due| due.start().into()), arguments.no_due),
            session_id: patch(arguments.session, arguments.no_session),
            ..TodoChange::default()
        };
        let todo = if change == TodoChange::default() {
            self.edit_by_hand(&arguments.todo).await?
        } else {
            self.change(&arguments.todo, change).await?
        };
        self.show_todo("Changed", &todo)
    }

    /// Opens the editor with the title and the description, and writes what comes of them, unless
    /// somebody else has changed the todo meanwhile.
    async fn edit_by_hand(&self, todo: &ClaimedTodo) -> Result<Todo, CliError> {
        if !text_source::has_terminal() {
            return Err(CliError::Usage(
                "nothing to change was given: see `roots todo edit --help`".to_owned(),
            ));
        }
        let client = &self.link.connection.client;
        let before = client.get_todo(todo.id).await?;
        let mut text = before.value.title.clone();
        if let Some(description) = &before.value.description {
            text.push_str("\n\n");
            text.push_str(description);
        }
        let (title, description) = title_and_description(&text_source::edited(&text)?);
        let change = TodoChange {
            title: Some(title),
            description: description.into(),
            claim_token: self.token(todo)?,
            ..TodoChange::default()
        };
        let request = client.update_todo(todo.id, &change);
        let changed = match &before.etag {
            Some(etag) => request.if_match(etag).await,
            None => request.await,
        };
        Ok(self.settled(todo.id, changed)?.value)
    }

    async fn remove(&self, arguments: &RemoveArguments) -> Result<(), CliError> {
        let id = arguments.todo.id;
        let client = &self.link.connection.client;
        if !arguments.yes {
            if !text_source::has_terminal() {
                return Err(CliError::Usage(format!(
                    "there is no terminal to ask at: `roots todo rm {id} --yes` deletes the todo"
                )));
            }
            let title = one_line(&client.get_todo(id).await?.value.title);
            let question = format!("Delete todo {id} ({title}) and its log?");
            let answer = Confirm::new().with_prompt(question).default(false).interact();
            let is_meant = answer.map_err(|error| match error {
                dialoguer::Error::IO(source) => {
                    CliError::System { what: "the question can't be asked", source }
                }
            })?;
            if !is_meant {
                return Err(CliError::Failed("nothing was deleted".to_owned()));
            }
        }
        let request = client.delete_todo(id);
        let deleted = match self.token(&arguments.todo)? {
            Some(token) => request.claim_token(token).await,
            None => request.await,
        };
        let deleted = self.settled(id, deleted)?.value;
        self.forget_claim(id)?;
        self.view.show(&deleted, || format!("Deleted todo {id}"))
    }

    /// Changes a todo, with the token of its claim.
    async fn change(&self, todo: &ClaimedTodo, change: TodoChange) -> Result<Todo, CliError> {
        let change = TodoChange { claim_token: self.token(todo)?, ..change };
        let changed = self.link.connection.client.update_todo(todo.id, &change).await;
        Ok(self.settled(todo.id, changed)?.value)
    }

    /// What came of a write of a todo. A claim that is lost is forgotten.
    fn settled<T>(&self, id: i64, written: Result<T, roots_client::Error>) -> Result<T, CliError> {
        if let Err(error) = &written
            && matches!(error.code(), Some("claim-lost" | "not-found"))
        {
            self.forget_claim(id)?;
        }
        Ok(written?)
    }

    /// Shows what a todo is now. If its claim has ended, its token is forgotten.
    fn show_todo(&self, done: &str, todo: &Todo) -> Result<(), CliError> {
        let forgotten = if todo.claim.is_none() { self.forget_claim(todo.todo_id) } else { Ok(()) };
        self.view.show(todo, || todo_text::in_short(done, todo))?;
        forgotten
    }

    /// The token that was given, or else that of the claim made in this work tree.
    fn token(&self, todo: &ClaimedTodo) -> Result<Option<i64>, CliError> {
        match todo.token {
            Some(token) => Ok(Some(token)),
            None => Ok(self.link.tree.state()?.claims.get(&todo.id).copied()),
        }
    }

    fn forget_claim(&self, id: i64) -> Result<(), CliError> {
        // Most todos have no claim here, and the lock is not needed to see that.
        if !self.link.tree.state()?.claims.contains_key(&id) {
            return Ok(());
        }
        self.link.tree.change(|state| {
            state.claims.remove(&id);
        })
    }
}

/// The first line, and what follows it.
fn title_and_description(text: &str) -> (String, Option<String>) {
    let (title, rest) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
    let rest = rest.trim();
    (title.trim().to_owned(), (!rest.is_empty()).then(|| rest.to_owned()))
}

fn patch<T>(value: Option<T>, is_cleared: bool) -> Patch<T> {
    match value {
        Some(value) => Patch::Set(value),
        None if is_cleared => Patch::Clear,
        None => Patch::Keep,
    }
}

/// Reads a status.
fn status() -> impl TypedValueParser<Value = TodoStatus> {
    let words = TodoStatus::ALL.iter().map(|status| status.as_str());
    PossibleValuesParser::new(words).map(|word| {
        let known = TodoStatus::ALL.iter().find(|status| status.as_str() == word);
        known.copied().unwrap_or(TodoStatus::Open)
    })
}

/// Reads an actor's id, or `all`.
fn actor(text: &str) -> Result<ActorFilter, &'static str> {
    match text {
        "all" => Ok(ActorFilter::All),
        id => id.parse().map(ActorFilter::One).map_err(|_| "it is the id of an actor, or `all`"),
    }
}

/// Reads a time span in seconds, or such as `30m`.
fn seconds(text: &str) -> Result<u32, &'static str> {
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => Ok(seconds),
        Err(_) => match parse_duration(text) {
            Ok(Interval::Seconds(seconds)) => Ok(i64::from(seconds)),
            Ok(Interval::Days(days)) => Ok(i64::from(days) * 86_400),
            _ => Err(()),
        },
    };
    let seconds = seconds.ok().and_then(|seconds| u32::try_from(seconds).ok());
    seconds.ok_or("it is a time span, such as 30m or 2h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_title() {
        let parts = |text| title_and_description(text);
        assert_eq!(parts("a"), ("a".to_owned(), None));
        assert_eq!(parts(" a \n\n b\nc\n"), ("a".to_owned(), Some("b\nc".to_owned())));
    }

    #[test]
    fn a_lease_is_a_time_span() {
        for (text, value) in [("90", 90), ("30m", 1800), ("2h", 7200), ("1 day", 86_400)] {
            assert_eq!(seconds(text), Ok(value), "{text}");
        }
        for text in ["", "-5", "tomorrow", "5 years", "30m ago"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_actor_is_an_id_or_all() {
        assert_eq!(actor("all"), Ok(ActorFilter::All));
        assert_eq!(actor("7"), Ok(ActorFilter::One(7)));
        assert!(actor("bob").is_err());
    }
}
