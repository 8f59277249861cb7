//! Activities as CSV.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Response;
use roots_domain::model::activity::Activity;
use roots_domain::model::csv::csv_line;
use roots_domain::model::page::{LIMIT_MAX, Page, PageRequest, Start};
use roots_domain::model::sealed::Sealed;
use roots_domain::service::ReadError;
use roots_domain::service::access::Caller;
use roots_domain::service::activities::ActivitySelection;
use roots_http_core::middleware::list_permits::{AnswerChunks, FoundRows, Room};
use roots_http_core::problem::Problem;
use roots_http_core::request::query::Query;

use super::filter::Filter;
use crate::agents::Agents;
use crate::app::App;
use crate::rows::{self, Opened};
use crate::viewer::Viewer;

/// Size of a chunk; its last row may exceed it.
const CHUNK_BYTES: usize = 64 * 1024;
/// Most rows of a download, the newest ones: 20 reads of a page. An export has all.
pub(super) const ROWS_MAX: u32 = 20 * LIMIT_MAX;

const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
const ATTACHED: HeaderValue = HeaderValue::from_static("attachment; filename=\"activity.csv\"");
const HEADS: [&str; 6] = ["activity_id", "logged_at", "agent", "session_id", "type", "description"];

/// `GET /activity.csv`: the newest rows that fit the filters, page by page. It is a large answer if
/// it has more than a page or its rows are long: it holds no more than a page at a time, within the
/// memory of large answers, until that is sent. Each further page counts as a request of its own,
/// and only while the sign-in is in force. A read that fails breaks the download off.
pub(crate) async fn download(
    State(app): State<App>,
    mut viewer: Viewer,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    if filter.search.is_some() {
        return Err(Problem::bad_request("A download has no search: leave out `q`."));
    }
    let selection = filter.selection(&viewer)?;
    let mut agents = Agents::read(&app, &mut viewer).await?;
    agents.choose(&app, &mut viewer, filter.agent).await?;
    let start = PageRequest { limit: LIMIT_MAX, start: Start::Offset(0) };
    let find = |caller| find(&app, caller, &selection, start);
    // The first page decides whether there is an answer at all.
    let (FoundPage(first), room) = rows::read(&mut viewer, find).await?;
    let (chunk, rows, next) = (csv_line(HEADS), VecDeque::new(), None);
    let mut csv = Csv { app, viewer, agents, selection, chunk, rows, next, left: ROWS_MAX };
    csv.add(first).await?;
    let mut response = room.stream(csv).await?;
    response.headers_mut().insert(CONTENT_TYPE, CSV);
    response.headers_mut().insert(CONTENT_DISPOSITION, ATTACHED);
    Ok(response)
}

/// A page of a download. Others may follow it.
struct FoundPage(Page<Activity<Sealed>>);

impl FoundRows for FoundPage {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn sealed_bytes(&self) -> usize {
        self.0.sealed_bytes()
    }

    fn goes_on(&self) -> bool {
        self.0.next.is_some()
    }
}

async fn find(
    app: &App,
    caller: Arc<Caller>,
    selection: &ActivitySelection,
    request: PageRequest,
) -> Result<FoundPage, ReadError> {
    app.services.activities.find(&caller, selection.clone(), request).await.map(FoundPage)
}

/// A download that is being sent.
struct Csv {
    app: App,
    viewer: Viewer,
    agents: Agents,
    selection: ActivitySelection,
    /// The beginning of the next chunk.
    chunk: String,
    /// The rest of the page.
    rows: VecDeque<Activity>,
    /// Where the next page starts.
    next: Option<Start>,
    /// How many rows it may still read.
    left: u32,
}

impl Csv {
    /// Takes a page that was read.
    async fn add(&mut self, page: Page<Activity<Sealed>>) -> Result<(), Problem> {
        self.left = self.left.saturating_sub(LIMIT_MAX);
        self.next = page.next.map(Start::After).filter(|_| self.left > 0);
        let opened = rows::open(&self.app, &self.viewer, page.items).await?;
        self.rows.extend(opened.into_iter().map(|Opened { row, .. }| row));
        let authors = self.rows.iter().map(|row| row.actor).collect();
        self.agents.learn(&self.app, &mut self.viewer, authors).await
    }

    /// Reads the next page.
    async fn read_on(&mut self, start: Start, room: &Room) -> Result<(), Problem> {
        self.viewer.admit_again().await?;
        let request = PageRequest { limit: LIMIT_MAX, start };
        let (app, selection) = (&self.app, &self.selection);
        let find = |caller| find(app, caller, selection, request);
        let (FoundPage(page), _turn) = self.viewer.bearer.read_rows_on(room, find).await?;
        self.add(page).await
    }
}

impl AnswerChunks for Csv {
    async fn next(&mut self, room: &Room) -> Option<Result<Bytes, Problem>> {
        while self.rows.is_empty()
            && let Some(start) = self.next.take()
        {
            if let Err(problem) = self.read_on(start, room).await {
                return Some(Err(problem));
            }
        }
        let mut chunk = std::mem::take(&mut self.chunk);
        while chunk.len() < CHUNK_BYTES
            && let Some(row) = self.rows.pop_front()
        {
            chunk.push_str(&line(&self.agents, &row));
        }
        (!chunk.is_empty()).then(|| Ok(chunk.into()))
    }
}

fn line(agents: &Agents, entry: &Activity) -> String {
    let session = entry.session.map(|id| id.to_string()).unwrap_or_default();
    csv_line([
        entry.id.to_string().as_str(),
        entry.logged_at.to_string().as_str(),
        agents.plain_name(entry.actor).as_str(),
        session.as_str(),
        entry.activity_type.as_str(),
        entry.description.as_str(),
    ])
}
