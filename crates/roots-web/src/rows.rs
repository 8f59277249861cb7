//! Rows whose texts are encrypted: read in the account's turn, and opened one by one. A text that
//! does not open is replaced by a sentence that names its row, and spoils nothing else.

use std::convert::Infallible;
use std::sync::Arc;

use roots_domain::model::activity::Activity;
use roots_domain::model::page::Page;
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::{ListedSession, Session};
use roots_domain::model::todo::{ListedTodo, StatusChange, Todo};
use roots_domain::service::access::Caller;
use roots_domain::service::todos::LogStep;
use roots_domain::service::{ReadError, SealedRow};
use roots_http_core::middleware::list_permits::{FoundRows, Room};
use roots_http_core::problem::Problem;

use crate::app::App;
use crate::viewer::Viewer;

/// A row with its texts opened.
#[derive(Debug, Clone)]
pub(crate) struct Opened<T> {
    /// The row.
    pub(crate) row: T,
    /// Whether its texts are its own. Otherwise they did not open, and each is a sentence that says
    /// so: a form must not offer it to be changed.
    pub(crate) is_legible: bool,
}

/// A row that can be shown although its texts do not open.
pub(crate) trait StandIn: SealedRow + Clone {
    /// The row with this sentence in place of each of its texts.
    fn stand_in(self, sentence: &str) -> Self::Open;
}

/// Reads rows with `find`, in the account's turn and within the memory of large answers, which
/// [`Room`] holds: keep it until the page is written, and hold the answer with it.
///
/// # Errors
/// What [`roots_http_core::auth::authenticate::Bearer::read_rows`] fails with.
pub(crate) async fn read<T, E, F>(
    viewer: &mut Viewer,
    find: impl Fn(Arc<Caller>) -> F,
) -> Result<(T, Room), Problem>
where
    T: FoundRows,
    F: Future<Output = Result<T, E>>,
    ReadError: From<E>,
{
    viewer.bearer.read_rows(find).await
}

/// Opens the texts of rows that the viewer reaches.
///
/// # Errors
/// A database error.
pub(crate) async fn open<S: StandIn>(
    app: &App,
    viewer: &Viewer,
    rows: Vec<S>,
) -> Result<Vec<Opened<S::Open>>, Problem> {
    let stand_in = |row: &S| {
        let (what, id) = row.named();
        row.clone().stand_in(&format!("[A text of {what} {id} can't be read: it is damaged.]"))
    };
    let stand_ins: Vec<_> = rows.iter().map(stand_in).collect();
    let mut opening = app.services.accounts.opening(&viewer.bearer, rows).await?;
    let mut opened = Vec::with_capacity(stand_ins.len());
    for stand_in in stand_ins {
        match opening.next() {
            Some(Ok(row)) => opened.push(Opened { row, is_legible: true }),
            Some(Err(ReadError::Unreadable { what, id })) => {
                tracing::warn!(what, id, "a text does not open");
                opened.push(Opened { row: stand_in, is_legible: false });
            }
            Some(Err(error)) => return Err(error.into()),
            None => break,
        }
    }
    Ok(opened)
}

/// Reads a page of rows, opens them one after the other, and keeps of each what `keep` makes of it:
/// the start of its texts, but never whole long ones. So a page may read several lists. The room of
/// one is given back before the next is read: requests that hold some and wait for more could all
/// wait for each other.
///
/// # Errors
/// As [`read`] and [`open`].
pub(crate) async fn page<S, T, F>(
    app: &App,
    viewer: &mut Viewer,
    find: impl Fn(Arc<Caller>) -> F,
    keep: impl FnMut(Opened<S::Open>) -> T,
) -> Result<Page<T>, Problem>
where
    S: StandIn,
    F: Future<Output = Result<Page<S>, ReadError>>,
{
    let (Page { items, total, request, next }, _room) = read(viewer, find).await?;
    let items = open(app, viewer, items).await?.into_iter().map(keep).collect();
    Ok(Page { items, total, request, next })
}

/// Reads one row and opens it. Hold the answer with the room. Read everything else before: this
/// room is for the last read of a page.
///
/// # Errors
/// As [`read`] and [`open`]; 404 that names `what` if there is no such row.
pub(crate) async fn one<S, E, F>(
    app: &App,
    viewer: &mut Viewer,
    what: &'static str,
    find: impl Fn(Arc<Caller>) -> F,
) -> Result<(Opened<S::Open>, Room), Problem>
where
    S: StandIn,
    F: Future<Output = Result<Option<S>, E>>,
    ReadError: From<E>,
{
    let (found, room) = read(viewer, find).await?;
    let found = found.ok_or_else(|| Problem::not_found(what))?;
    let opened = open(app, viewer, vec![found]).await?.into_iter().next();
    Ok((opened.ok_or_else(|| Problem::internal("a row was lost"))?, room))
}

fn sealed_as<T>(sentence: &str) -> impl Fn(T, Sealed) -> Result<String, Infallible> {
    move |_, _| Ok(sentence.to_owned())
}

impl StandIn for Todo<Sealed> {
    fn stand_in(self, sentence: &str) -> Todo {
        let Ok(row) = self.try_map_text(sealed_as(sentence));
        row
    }
}

impl StandIn for ListedTodo<Sealed> {
    fn stand_in(self, sentence: &str) -> ListedTodo {
        ListedTodo { todo: self.todo.stand_in(sentence), until: self.until }
    }
}

impl StandIn for Session<Sealed> {
    fn stand_in(self, sentence: &str) -> Session {
        let Ok(row) = self.try_map_text(sealed_as(sentence));
        row
    }
}

impl StandIn for ListedSession<Sealed> {
    fn stand_in(self, sentence: &str) -> ListedSession {
        let Self { session, last_active_at } = self;
        ListedSession { session: session.stand_in(sentence), last_active_at }
    }
}

impl StandIn for Activity<Sealed> {
    fn stand_in(self, sentence: &str) -> Activity {
        let Ok(row) = self.try_map_text(sealed_as(sentence));
        row
    }
}

impl StandIn for LogStep {
    fn stand_in(self, sentence: &str) -> StatusChange {
        let Ok(row) = self.step.try_map_text(sealed_as(sentence));
        row
    }
}
