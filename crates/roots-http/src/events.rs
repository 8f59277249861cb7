//! `/events`: what happens to the account, told as it happens.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use roots_domain::model::event::{Event, EventAction, EventKind, EventPosition, Resumption};
use roots_domain::model::todo::TodoStatus;
use roots_domain::service::access::Caller;
use roots_domain::service::events::Events;
use serde::Serialize;
use tracing::{Instrument, Span};
use utoipa::openapi::schema::{ObjectBuilder, Ref, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::choice;
use crate::todo_bodies::TodoStatusName;
use roots_http_core::auth::authenticate::{Bearer, StreamBearer};
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, Query, flag};
use roots_http_core::streams::open_stream::{Moment, OpenStream, StreamKind, Turn};
use roots_http_core::streams::sse;
use roots_http_core::wire::LAST_EVENT_ID;

/// The route of events.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(events))
}

/// The name of the event that tells a reader to read everything anew.
const RESET: &str = "reset";
/// The data of a reset, which tells nothing more. Browsers skip events without data.
const NO_DATA: &str = "{}";

choice!(EventKindName, "EventKind", EventKind::ALL.iter().copied().map(EventKind::name));
choice!(EventActionName, "EventAction", EventAction::ALL.iter().copied().map(EventAction::name));

/// An event: the data of a message of the stream.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
struct EventBody {
    /// The id of the message: the row of the ledger and the entry of the audit log up to which
    /// everything is told.
    #[schema(pattern = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$")]
    id: String,
    /// What it is about.
    #[schema(value_type = EventKindName)]
    kind: &'static str,
    /// What was done.
    #[schema(value_type = EventActionName)]
    action: &'static str,
    /// The actor that did it; null if it was not an actor of this account.
    #[schema(required)]
    actor_id: Option<i64>,
    /// The id of what it was done to: of a session, todo, activity, actor, key or account. Null for
    /// credits, imports, the recovery code, and the account itself.
    #[schema(required)]
    subject_id: Option<i64>,
    /// The actor that the subject belongs to.
    #[schema(required)]
    subject_actor_id: Option<i64>,
    /// The number of rows that were written: more than 1 for several new todos, whose ids follow
    /// each other from `subject_id` on, and for imports.
    rows: i64,
    /// The new status of the todo, if it has changed.
    #[schema(required, value_type = Option<TodoStatusName>)]
    status: Option<&'static str>,
    /// The change of the account's balance; null if it did not change.
    #[schema(required)]
    credits: Option<i64>,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<&Event> for EventBody {
    fn from(event: &Event) -> Self {
        Self {
            id: event.position.to_string(),
            kind: event.kind.name(),
            action: event.action.name(),
            actor_id: event.actor.map(|id| id.0),
            subject_id: event.subject,
            subject_actor_id: event.subject_actor.map(|id| id.0),
            rows: event.rows,
            status: event.status.map(TodoStatus::name),
            credits: event.credits,
            created_at: event.at.to_string(),
        }
    }
}

/// A stream of events. This type only describes it.
enum EventStreamBody {}

impl PartialSchema for EventStreamBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .content_media_type(sse::EVENT_STREAM)
            .content_schema(Some(Ref::from_schema_name(EventBody::name())))
            .description(Some("Server-sent events. The data of each message is an `Event`."))
            .into()
    }
}

impl ToSchema for EventStreamBody {
    fn name() -> Cow<'static, str> {
        "EventStream".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((EventBody::name().into_owned(), EventBody::schema()));
        EventBody::schemas(schemas);
    }
}

/// How to tell.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// With `false` the stream ends once everything up to now is told.
    #[param(value_type = Option<bool>, default = true)]
    follow: bool,
}

impl FromParams for EventsQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        Ok(Self { follow: params.take("follow", |text| flag(&text))?.unwrap_or(true) })
    }
}

/// The position after which the reader goes on, if it names one.
struct LastEventId(Option<EventPosition>);

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut given = parts.headers.get_all(LAST_EVENT_ID).iter();
        let (first, None) = (given.next(), given.next()) else {
            return Err(invalid_last_event_id());
        };
        let Some(first) = first else { return Ok(Self(None)) };
        let position = first.to_str().ok().and_then(EventPosition::parse);
        position.map(|position| Self(Some(position))).ok_or_else(invalid_last_event_id)
    }
}

fn invalid_last_event_id() -> Problem {
    Problem::bad_request(
        "The header last-event-id must be the id of an event of this account, such as 118.42.",
    )
}

/// Events
///
/// What happens to the account, as it happens: server-sent events (`text/event-stream`), the oldest
/// first. Every write that costs credits is one event, an import is one for each batch of rows, and
/// changes of actors, keys and the account are one each. What an act brings about besides, such as
/// the links that end with a session, is told by the event of that act. An owner is told of
/// everything, a member of what concerns its own rows and keys.
///
/// Without `Last-Event-ID` the stream begins now. With it, the stream goes on behind that event,
/// and misses and repeats none. If more than 10,000 rows would have to be read for that, or the
/// account never had that event, it begins with an event of the name `reset` instead: read what you
/// need anew, and go on. A comment comes each 15 s. The stream ends with its key, and otherwise
/// after 1 hour at most; open it again. An actor may have 10 streams open. Costs nothing, and is no
/// use of the key.
#[utoipa::path(
    get, path = "/api/v1/events", operation_id = "events", tag = "events",
    params(EventsQuery),
    responses(
        (status = 200, description = "The events, until the stream ends.", content_type = "text/event-stream", body = EventStreamBody, example = json!(concat!(
            "retry: 2000\n\nid: 117.42\n\nid: 118.42\ndata: {\"id\":\"118.42\",\"kind\":\"todo\",",
            "\"action\":\"updated\",\"actor_id\":2,\"subject_id\":7,\"subject_actor_id\":2,\"rows\":1,",
            "\"status\":\"done\",\"credits\":-1,\"created_at\":\"2026-04-09T10:00:00Z\"}\n\n",
        ))),
        (status = 503, description = "The actor has 10 streams open, or the account or the server has as many as it may; or the database can't be reached.")
    )
)]
async fn events(
    State(app): State<App>,
    method: Method,
    StreamBearer(mut bearer): StreamBearer,
    Query(query): Query<EventsQuery>,
    LastEventId(last): LastEventId,
) -> Result<Response, Problem> {
    if method == Method::HEAD {
        return Ok(sse::headers().into_response());
    }
    let events = app.services.events.clone();
    let begin = |caller: Arc<Caller>| {
        let events = &events;
        async move { events.resume(&caller, last).await }
    };
    let (resumption, reached) = bearer.read(begin).await?;
    let telling = Telling {
        stream: OpenStream::open(&bearer, StreamKind::Api)?,
        bearer,
        events,
        resumption: Some(resumption),
        position: resumption.position(),
        reached,
        follows: query.follow,
        sent: resumption.position(),
    };
    let span = Span::current();
    Ok(sse::answer(stream::unfold(telling, move |mut telling| {
        let next = async {
            let piece = telling.next().await?;
            Some((piece, telling))
        };
        next.instrument(span.clone())
    })))
}

/// A stream that tells events.
struct Telling {
    stream: OpenStream,
    bearer: Bearer,
    events: Events,
    /// Where it begins, until that is told.
    resumption: Option<Resumption>,
    /// Up to where it has read.
    position: EventPosition,
    /// Up to where the account is known to have come.
    reached: EventPosition,
    /// Whether it waits for more.
    follows: bool,
    /// The last id that was sent.
    sent: EventPosition,
}

impl Telling {
    /// The next piece of text. It is asked for when the client has taken those before, so a slow
    /// client makes the server read later, and not hold more.
    async fn next(&mut self) -> Option<String> {
        if let Some(resumption) = self.resumption.take() {
            return Some(opening(resumption));
        }
        loop {
            if !self.position.reaches(self.reached) {
                match self.read().await {
                    Turn::Taken(text) if text.is_empty() => continue,
                    Turn::Taken(text) => return Some(text),
                    Turn::Comment if self.sent == self.position => return Some(sse::comment()),
                    Turn::Comment => {}
                    Turn::Over => return None,
                }
            } else if self.follows {
                match self.stream.next().await? {
                    Moment::Moved(state) => {
                        self.reached = state.position;
                        continue;
                    }
                    Moment::Comment if self.sent == self.position => return Some(sse::comment()),
                    Moment::Comment => {}
                }
            } else if self.sent == self.position {
                return None;
            }
            // What the reader is not told of moves its position too: else it is read again.
            self.sent = self.position;
            return Some(sse::id_alone(self.position));
        }
    }

    /// The events of a few rows. If they can't be read, it is over: the client comes back.
    async fn read(&mut self) -> Turn<String> {
        let (events, after, until) = (&self.events, self.position, self.reached);
        let next = |caller: Arc<Caller>| async move { events.next(&caller, after, until).await };
        let chunk = match self.stream.read(&mut self.bearer, next).await {
            Ok(Turn::Taken(chunk)) => chunk,
            Ok(Turn::Comment) => return Turn::Comment,
            Ok(Turn::Over) => return Turn::Over,
            Err(problem) => {
                tracing::info!(cause = problem.cause().unwrap_or_default(), "a stream ended early");
                return Turn::Over;
            }
        };
        self.position = chunk.position;
        let mut text = String::new();
        for event in &chunk.events {
            // Strings and numbers always serialize.
            let data = serde_json::to_string(&EventBody::from(event)).unwrap_or_default();
            sse::write_event(&mut text, Some(&event.position), None, &data);
            self.sent = event.position;
        }
        Turn::Taken(text)
    }
}

/// What a stream begins with: its position, so that a client that is cut off before the first event
/// goes on from there.
fn opening(resumption: Resumption) -> String {
    let mut text = sse::opening();
    match resumption {
        Resumption::From(position) => text += &sse::id_alone(position),
        Resumption::Reset(position) => {
            sse::write_event(&mut text, Some(&position), Some(RESET), NO_DATA);
        }
    }
    text
}
