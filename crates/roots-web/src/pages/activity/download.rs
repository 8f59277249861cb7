//! Activities as CSV.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use roots_domain::model::activity::Activity;
use roots_domain::model::csv::csv_line;
use roots_domain::model::page::{LIMIT_MAX, PageRequest, Start};
use roots_domain::service::activities::ActivitySelection;
use roots_http_core::problem::Problem;
use roots_http_core::request::query::Query;

use super::filter::Filter;
use crate::agents::Agents;
use crate::app::App;
use crate::rows::{self, Opened};
use crate::viewer::Viewer;

/// Most rows of a download, the newest ones: 20 reads of a page. An export has all.
pub(super) const ROWS_MAX: u32 = 20 * LIMIT_MAX;

const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
const ATTACHED: HeaderValue = HeaderValue::from_static("attachment; filename=\"activity.csv\"");
const HEADS: [&str; 6] = ["activity_id", "logged_at", "agent", "session_id", "type", "description"];

/// `GET /activity.csv`: the newest rows that fit the filters, page by page, so that no more than a
/// page of them is held at a time. Each further page counts as a request of its own, and only while
/// the sign-in is in force. A read that fails breaks the download off.
pub(crate) async fn download(
    State(app): State<App>,
    mut viewer: Viewer,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    if filter.search.is_some() {
        return Err(Problem::bad_request("A download has no search: leave out `q`."));
    }
    let selection = filter.selection(&viewer)?;
    let agents = Agents::read(&app, &mut viewer).await?;
    let mut rest = Rest { app, viewer, agents, selection, next: Some(Start::Offset(0)), rows: 0 };
    // The first page decides whether there is an answer at all.
    let mut first = csv_line(HEADS);
    if let Some(page) = rest.read().await? {
        first.push_str(&page);
    }
    let first = stream::iter([Ok::<_, io::Error>(Bytes::from(first))]);
    let others = stream::try_unfold(rest, |mut rest| async move {
        let page = rest.read_on().await.map_err(|_| io::Error::other("a read failed"))?;
        Ok(page.map(|page| (Bytes::from(page), rest)))
    });
    let body = Body::from_stream(stream::StreamExt::chain(first, others));
    Ok(([(CONTENT_TYPE, CSV), (CONTENT_DISPOSITION, ATTACHED)], body).into_response())
}

/// What is still to be read.
struct Rest {
    app: App,
    viewer: Viewer,
    agents: Agents,
    selection: ActivitySelection,
    next: Option<Start>,
    rows: u32,
}

impl Rest {
    /// The lines of a further page, if there is one.
    async fn read_on(&mut self) -> Result<Option<String>, Problem> {
        if self.next.is_some() && self.rows < ROWS_MAX {
            self.viewer.admit_again().await?;
        }
        self.read().await
    }

    /// The lines of the next page, if there is one.
    async fn read(&mut self) -> Result<Option<String>, Problem> {
        let Some(start) = self.next.take().filter(|_| self.rows < ROWS_MAX) else {
            return Ok(None);
        };
        let request = PageRequest { limit: LIMIT_MAX, start };
        let activities = self.app.services.activities.clone();
        let selection = self.selection.clone();
        let find = |caller: std::sync::Arc<_>| {
            let (activities, selection) = (activities.clone(), selection.clone());
            async move { activities.find(&caller, selection, request).await }
        };
        let keep = |item: Opened<Activity>| item.row;
        let found = rows::page(&self.app, &mut self.viewer, find, keep).await?;
        let written = found.items.iter().map(|entry| entry.actor);
        self.agents.learn(&self.app, &mut self.viewer, written.collect()).await?;
        self.rows += LIMIT_MAX;
        self.next = found.next.map(Start::After);
        Ok(Some(found.items.iter().map(|entry| line(&self.agents, entry)).collect()))
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
