//! The parameters of the list of todos.

use roots_domain::model::id::SessionId;
use roots_domain::model::todo::{Priority, TodoStatus};
use roots_domain::model::todo_list::{TodoChoice, TodoRows, TodoSort};
use roots_domain::service::access::ActorScope;
use utoipa::IntoParams;

use crate::openapi::choice;
use crate::todo_bodies::{TodoStatusName, status};
use roots_http_core::request::fields::{InvalidField, InvalidNoted, one_of};
use roots_http_core::request::query::{FromParams, Params, actor_scope, flag, session_filter};
use roots_http_core::schema;

/// The filter of the list, and its order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TodoParams {
    /// Only todos with this status.
    #[param(value_type = Option<TodoStatusName>, inline)]
    status: Option<TodoStatus>,
    /// Filter by priority (0–3).
    #[param(value_type = Option<i64>, minimum = 0, maximum = 3)]
    priority: Option<Priority>,
    /// Filter by linked session.
    #[param(value_type = Option<i64>, minimum = 1)]
    session_id: Option<SessionId>,
    /// `true` lists only todos that are open or in progress and past their due date, the earliest
    /// due date first. It goes with no other filter but `actor_id`, and without `sort`.
    #[param(value_type = Option<bool>, default = false)]
    overdue: bool,
    /// `priority` lists the highest priority first, then the newest. `status_since` lists the
    /// latest change of status first. It needs `status=done` or `status=cancelled`, and does
    /// not go with `session_id`.
    #[param(value_type = Option<TodoSortName>, inline)]
    sort: Option<TodoSort>,
    /// An actor's id, or `all` for every actor of the account. The default is the caller; only the
    /// owner may ask for others.
    #[param(rename = "actor_id", value_type = Option<schema::ActorFilter>)]
    pub(crate) scope: ActorScope,
}

impl FromParams for TodoParams {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let status = params.take("status", |name| status(&name));
        let priority = params.take("priority", |digit| Priority::from_digit(&digit));
        let session_id = session_filter(params);
        let overdue = params.take("overdue", |text| flag(&text));
        let sort = params.take("sort", |name| one_of(TodoSort::ALL, TodoSort::name, &name));
        let scope = actor_scope(params);
        let read = Self {
            status: status?,
            priority: priority?,
            session_id: session_id?,
            overdue: overdue?.unwrap_or_default(),
            sort: sort?,
            scope: scope?,
        };
        match read.rows() {
            Ok(_) => Ok(read),
            Err(InvalidField { field, message }) => Err(params.error(&field, message)),
        }
    }
}

impl TodoParams {
    /// The rows, and their order.
    ///
    /// # Errors
    /// No list serves this combination of parameters.
    pub(crate) fn rows(&self) -> Result<TodoRows, InvalidField> {
        let Self { status, priority, session_id, overdue, sort, .. } = *self;
        let choice = TodoChoice { status, priority, session: session_id, overdue, sort };
        TodoRows::try_from(choice).map_err(|unserved| {
            let (field, message) = unserved.explained();
            InvalidField { field: field.to_owned(), message: message.to_owned() }
        })
    }
}

choice!(TodoSortName, "TodoSort", TodoSort::ALL.iter().copied().map(TodoSort::name));
