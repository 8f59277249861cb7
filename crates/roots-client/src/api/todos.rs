//! Todos and their logs.

use futures_util::Stream;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{
    ListedTodo, NewTodo, Paging, Todo, TodoChange, TodoDeleted, TodoFilter, TodoLog, TodoPage,
    TodoStats, WindowFilter,
};
use crate::operation::Operation;
use crate::pages::{page, rows};
use crate::request::{Change, Create, Read};

impl Client {
    /// A page of todos, by priority and then by age, highest and newest first, unless the filter
    /// has another order.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn list_todos(
        &self,
        filter: &TodoFilter,
        paging: &Paging,
    ) -> Result<TodoPage, Error> {
        page(self, Operation::ListTodos, filter.query(), paging).await
    }

    /// All todos, in the order of the list, page by page as they are taken.
    pub fn todos<'c>(
        &'c self,
        filter: &TodoFilter,
    ) -> impl Stream<Item = Result<ListedTodo, Error>> + use<'c> {
        rows::<TodoPage>(self, Operation::ListTodos, filter.query())
    }

    /// Counts the todos that were made, done and cancelled in a window, by actor and by day.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_todo_stats(&self, filter: &WindowFilter) -> Result<TodoStats, Error> {
        let call = Call::new(Operation::GetTodoStats).with_query(filter.query());
        self.send(&call).await?.json()
    }

    /// Creates a todo. Costs 1 credit.
    pub fn create_todo(&self, todo: &NewTodo) -> Create<'_, Todo> {
        Create::new(self, Call::new(Operation::CreateTodo), todo)
    }

    /// One todo.
    pub fn get_todo(&self, id: i64) -> Read<'_, Todo> {
        Read::json(self, Call::of_row(Operation::GetTodo, id))
    }

    /// Changes a todo. A change of its status is logged. Costs 1 credit.
    pub fn update_todo(&self, id: i64, change: &TodoChange) -> Change<'_, Todo> {
        Change::patch(self, Call::of_row(Operation::UpdateTodo, id), change)
    }

    /// Deletes a todo and its log. Costs 1 credit.
    pub fn delete_todo(&self, id: i64) -> Change<'_, TodoDeleted> {
        Change::delete(self, Call::of_row(Operation::DeleteTodo, id))
    }

    /// The complete status history of a todo, oldest first.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_todo_logs(&self, id: i64) -> Result<TodoLog, Error> {
        self.send(&Call::of_row(Operation::GetTodoLogs, id)).await?.json()
    }
}
