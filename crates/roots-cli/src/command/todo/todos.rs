//! What `roots todo` does.

use roots_client::Patch;
use roots_client::model::{
    ListedTodo, NewClaim, NewTodo, Release, Todo, TodoChange, TodoFilter, TodoSort, TodoStatus,
};

use super::arguments::{
    AddArguments, ClaimArguments, ClaimedTodo, EditArguments, ListArguments, RemoveArguments,
    ShowArguments, StartArguments, StatusArguments, TodoCommand,
};
use super::text as todo_text;
use crate::connection::connect;
use crate::error::CliError;
use crate::output::{
    Output, TODO, TODO_CLAIMED, TODO_DELETED, TODO_LIST, TODO_LOG, View, one_line,
};
use crate::paging::tell_next;
use crate::question::ask;
use crate::session_link::SessionLink;
use crate::text_source;
use crate::work_tree::WorkTree;

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
        let text = text_source::required(arguments.title.as_deref(), "")?;
        let (title, description) = match text_source::optional(arguments.description.as_deref())? {
            Some(description) => (text, Some(description)),
            None => title_and_description(&text),
        };
        let new = NewTodo {
            title,
            description,
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
            overdue: arguments.overdue,
            sort: arguments.latest.then_some(TodoSort::StatusSince),
            actor: arguments.actor,
        };
        let paging = arguments.paging.paging();
        let page = self.link.connection.client.list_todos(&filter, &paging).await?;
        self.view.show(&page, || {
            tell_next(page.next_cursor.as_deref());
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
        self.view.show(&todo, || todo_text::details(&todo))?;
        // A todo that is no longer in progress has no claim of another worker to protect.
        if todo.status == TodoStatus::InProgress { Ok(()) } else { self.forget_claim(todo.todo_id) }
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
        if arguments.without_claim {
            let change = TodoChange { status: Some(TodoStatus::Open), ..TodoChange::default() };
            let todo = self.change(arguments, change).await?;
            return self.show_todo("Released", &todo);
        }
        let Some(claim_token) = self.token(arguments)? else {
            return Err(CliError::NotThere(format!(
                "this work tree has no claim of todo {id}: give the claim's --token, or open the \
                 todo with `roots todo reopen {id}`",
                id = arguments.id
            )));
        };
        let release = Release { claim_token };
        let client = &self.link.connection.client;
        let todo = client.release_todo(arguments.id, &release).await?.value;
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
            Some(etag) => request.if_match(etag).await?,
            None => request.await?,
        };
        Ok(changed.value)
    }

    async fn remove(&self, arguments: &RemoveArguments) -> Result<(), CliError> {
        let id = arguments.todo.id;
        let client = &self.link.connection.client;
        if !arguments.yes {
            let title = one_line(&client.get_todo(id).await?.value.title);
            ask(
                &format!("Delete todo {id} ({title}) and its log?"),
                &format!("roots todo rm {id} --yes"),
            )?;
        }
        let request = client.delete_todo(id);
        let deleted = match self.token(&arguments.todo)? {
            Some(token) => request.claim_token(token).await?,
            None => request.await?,
        };
        let deleted = deleted.value;
        self.forget_claim(id)?;
        self.view.show(&deleted, || format!("Deleted todo {id}"))
    }

    /// Changes a todo, with the token of its claim.
    async fn change(&self, todo: &ClaimedTodo, change: TodoChange) -> Result<Todo, CliError> {
        let change = TodoChange { claim_token: self.token(todo)?, ..change };
        Ok(self.link.connection.client.update_todo(todo.id, &change).await?.value)
    }

    /// Shows what a todo is now. If its claim has ended, its token is forgotten.
    fn show_todo(&self, done: &str, todo: &Todo) -> Result<(), CliError> {
        let forgotten = if todo.claim.is_none() { self.forget_claim(todo.todo_id) } else { Ok(()) };
        self.view.show(todo, || todo_text::in_short(done, todo))?;
        forgotten
    }

    /// The token that was given, or else that of the claim made in this work tree, even if that
    /// claim is lost: without it, a command that is repeated would end the claim of another worker.
    fn token(&self, todo: &ClaimedTodo) -> Result<Option<i64>, CliError> {
        match todo.token {
            _ if todo.without_claim => Ok(None),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_title() {
        let parts = |text| title_and_description(text);
        assert_eq!(parts("a"), ("a".to_owned(), None));
        assert_eq!(parts(" a \n\n b\nc\n"), ("a".to_owned(), Some("b\nc".to_owned())));
    }
}
