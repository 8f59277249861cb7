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

/// How much of each text of a row is kept where a page lists rows, in characters. A page shows one
/// less, and so can tell that there is more.
pub(crate) const KEPT_CHARS: usize = 1_001;

/// A row that can be shown although its texts do not open.
pub(crate) trait StandIn: SealedRow + Clone {
    /// The row with this sentence in place of each of its texts.
    fn stand_in(self, sentence: &str) -> Self::Open;
    /// The row with the start of each of its texts, [`KEPT_CHARS`] characters.
    fn cut(row: Self::Open) -> Self::Open;
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
    open_each(app, viewer, rows, |row| row).await
}

/// The same, one after the other, of each of which no more is held than what `keep` makes of it.
async fn open_each<S: StandIn, T>(
    app: &App,
    viewer: &Viewer,
    rows: Vec<S>,
    mut keep: impl FnMut(Opened<S::Open>) -> T,
) -> Result<Vec<T>, Problem> {
    let stand_in = |row: &S| {
        let (what, id) = row.named();
        row.clone().stand_in(&format!("[A text of {what} {id} can't be read: it is damaged.]"))
    };
    let stand_ins: Vec<_> = rows.iter().map(stand_in).collect();
    let mut opening = app.services.accounts.opening(&viewer.bearer, rows).await?;
    let mut kept = Vec::with_capacity(stand_ins.len());
    for stand_in in stand_ins {
        match opening.next() {
            Some(Ok(row)) => kept.push(keep(Opened { row, is_legible: true })),
            Some(Err(ReadError::Unreadable { what, id })) => {
                tracing::warn!(what, id, "a text does not open");
                kept.push(keep(Opened { row: stand_in, is_legible: false }));
            }
            Some(Err(error)) => return Err(error.into()),
            None => break,
        }
    }
    Ok(kept)
}

/// Reads a page of rows, opens them one after the other, and keeps of each what `keep` makes of it,
/// which gets no more than the start of its texts. So a page may read several lists. The room of
/// one is given back before the next is read: requests that hold some and wait for more could all
/// wait for each other.
///
/// # Errors
/// As [`read`] and [`open`].
pub(crate) async fn page<S, T, F>(
    app: &App,
    viewer: &mut Viewer,
    find: impl Fn(Arc<Caller>) -> F,
    mut keep: impl FnMut(Opened<S::Open>) -> T,
) -> Result<Page<T>, Problem>
where
    S: StandIn,
    F: Future<Output = Result<Page<S>, ReadError>>,
{
    let (Page { items, total, request, next }, _room) = read(viewer, find).await?;
    let cut = |Opened { row, is_legible }| keep(Opened { row: S::cut(row), is_legible });
    let items = open_each(app, viewer, items, cut).await?;
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

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is one of the functions that map the texts of a row"
)]
fn start<T>(_: T, mut text: String) -> Result<String, Infallible> {
    if let Some((end, _)) = text.char_indices().nth(KEPT_CHARS) {
        text.truncate(end);
        text.shrink_to_fit();
    }
    Ok(text)
}

impl StandIn for Todo<Sealed> {
    fn stand_in(self, sentence: &str) -> Todo {
        let Ok(row) = self.try_map_text(sealed_as(sentence));
        row
    }

    fn cut(row: Todo) -> Todo {
        let Ok(row) = row.try_map_text(start);
        row
    }
}

impl StandIn for ListedTodo<Sealed> {
    fn stand_in(self, sentence: &str) -> ListedTodo {
        ListedTodo { todo: self.todo.stand_in(sentence), until: self.until }
    }

    fn cut(row: ListedTodo) -> ListedTodo {
        ListedTodo { todo: Todo::<Sealed>::cut(row.todo), until: row.until }
    }
}

impl StandIn for Session<Sealed> {
    fn stand_in(self, sentence: &str) -> Session {
        let Ok(row) = self.try_map_text(sealed_as(sentence));
        row
    }

    fn cut(row: Session) -> Session {
        let Ok(row) = row.try_map_text(start);
        row
    }
}

impl StandIn for ListedSession<Sealed> {
    fn stand_in(self, sentence: &str) -> ListedSession {
        let Self { session, last_active_at } = self;
        ListedSession { session: session.stand_in(sentence), last_active_at }
    }

    fn cut(row: ListedSession) -> ListedSession {
        let ListedSession { session, last_active_at } = row;
        ListedSession { session: Session::<Sealed>::cut(session), last_active_at }
    }
}

impl StandIn for Activity<Sealed> {
    fn stand_in(self, sentence: &str) -> Activity {
        let Ok(row) = self.try_map_text(sealed_as(sentence));
        row
    }

    fn cut(row: Activity) -> Activity {
        let Ok(row) = row.try_map_text(start);
        row
    }
}

impl StandIn for LogStep {
    fn stand_in(self, sentence: &str) -> StatusChange {
        let Ok(row) = self.step.try_map_text(sealed_as(sentence));
        row
    }

    fn cut(row: StatusChange) -> StatusChange {
        let Ok(row) = row.try_map_text(start);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_the_start_of_each_text() {
        let cut = |text: String| start((), text).unwrap();
        let short = "é".repeat(KEPT_CHARS);
        assert_eq!(cut(short.clone()), short);
        let long = cut(short.clone() + &"x".repeat(64 * 1024));
        assert_eq!((&long, long.capacity() < 2 * short.len()), (&short, true));
    }
}
