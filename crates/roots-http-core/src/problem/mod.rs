//! Problems (RFC 9457): the one place where errors become statuses and words.
//!
//! A handler returns a bare [`Problem`]. The middleware adds the request's id, writes it as JSON,
//! and logs the cause if the error is the server's.

mod body;
mod convert;
mod kinds;

pub use body::ProblemBody;
pub use kinds::ProblemKind;

use std::borrow::Cow;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use roots_domain::command::{ClaimFate, Refusal};
use roots_domain::model::claim::ClaimToken;
use roots_domain::model::credit::WRITE_COST;
use roots_domain::model::id::{SessionId, TodoId};
use roots_domain::model::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::request::fields::{InvalidField, InvalidFields};
use crate::request::invalid_json::InvalidJson;
use crate::wire::{ACCEPT_PATCH, ACCEPT_POST};

/// The name of the field if a body is wrong as a whole.
const BODY: &str = "body";
/// Seconds in `Retry-After` when a queue is full or a write is in progress.
const BUSY_RETRY_SECONDS: u32 = 1;
/// Seconds in `Retry-After` when the database is unavailable.
const AWAY_RETRY_SECONDS: u32 = 5;
/// Most errors that `detail` names.
const DETAIL_ERRORS_MAX: usize = 3;

/// The reason why a request failed.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: ProblemKind,
    detail: Cow<'static, str>,
    errors: Vec<InvalidField>,
    /// The balance and the cost. Rare fields are boxed, because every result reserves space for a
    /// problem.
    credits: Option<Box<(i64, i64)>>,
    /// Until when a todo is claimed.
    until: Option<Box<Timestamp>>,
    /// The members that a surface has added.
    members: Option<Box<Map<String, Value>>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log, never for the caller.
    cause: Option<Box<str>>,
}

impl Problem {
    /// A problem of that kind. `detail` says what is wrong in this case.
    pub fn new(kind: ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            credits: None,
            until: None,
            members: None,
            headers: Vec::new(),
            cause: None,
        }
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.headers.push((RETRY_AFTER, seconds.into()));
        self
    }

    fn because(mut self, cause: impl Into<Box<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same problem with another `detail`.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds headers to the answer.
    #[must_use]
    pub fn with_headers(
        mut self,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Adds a member to the JSON form, after those that every problem has (RFC 9457, 3.2).
    #[must_use]
    pub fn with_member(mut self, name: &str, value: &impl Serialize) -> Self {
        // Strings, numbers and lists always serialize.
        let value = serde_json::to_value(value).unwrap_or_default();
        self.members.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    /// The request is malformed.
    #[must_use]
    pub fn bad_request(detail: &'static str) -> Self {
        Self::new(ProblemKind::BadRequest, detail)
    }

    /// A header that the endpoint does not take.
    pub fn misplaced_header(name: &HeaderName) -> Self {
        let detail =
            format!("The header {name} is not supported here: send the request without it.");
        Self::new(ProblemKind::BadRequest, detail)
    }

    /// `If-Match` or `If-None-Match` is neither a list of tags nor `*`.
    pub fn invalid_tags(name: &HeaderName) -> Self {
        let detail = format!(
            "The header {name} must be * or entity tags as ETag gives them, quotes included."
        );
        Self::new(ProblemKind::BadRequest, detail)
    }

    /// `Idempotency-Key` is malformed or was sent twice.
    #[must_use]
    pub fn invalid_idempotency_key() -> Self {
        Self::bad_request(
            "The header idempotency-key must be one of 1 to 255 visible ASCII characters, bare or quoted.",
        )
    }

    /// The error of one field, or of the whole body.
    fn of_field(field: &str, detail: String) -> Self {
        let error = InvalidField { field: field.to_owned(), message: detail.clone() };
        Self { errors: vec![error], ..Self::new(ProblemKind::InvalidBody, detail) }
    }

    /// Errors of the query.
    pub fn invalid_parameters(errors: impl Into<InvalidFields>) -> Self {
        Self::invalid(ProblemKind::InvalidParameters, errors.into())
    }

    /// Errors of the body.
    pub fn invalid_body(errors: impl Into<InvalidFields>) -> Self {
        Self::invalid(ProblemKind::InvalidBody, errors.into())
    }

    fn invalid(kind: ProblemKind, InvalidFields { listed, count }: InvalidFields) -> Self {
        let text: Vec<_> = listed
            .iter()
            .take(DETAIL_ERRORS_MAX)
            .map(|InvalidField { field, message }| format!("{field} {message}"))
            .collect();
        let text = text.join("; ");
        let detail = if count > listed.len() {
            format!(
                "{text}; and more: {count} errors, the first {} of which are listed.",
                listed.len()
            )
        } else if count > DETAIL_ERRORS_MAX {
            match count - DETAIL_ERRORS_MAX {
                1 => format!("{text}; and 1 more error."),
                more => format!("{text}; and {more} more errors."),
            }
        } else if text.ends_with('?') {
            text
        } else {
            text + "."
        };
        Self { errors: listed, ..Self::new(kind, detail) }
    }

    /// No key in force. A `WWW-Authenticate` says how to send one.
    pub fn unauthorized(detail: impl Into<Cow<'static, str>>, was_presented: bool) -> Self {
        let challenge = if was_presented {
            r#"Bearer realm="roots", error="invalid_token""#
        } else {
            r#"Bearer realm="roots""#
        };
        let header = (WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        Self { headers: vec![header], ..Self::new(ProblemKind::Unauthorized, detail) }
    }

    /// No recovery code in force.
    fn wrong_code(detail: String) -> Self {
        let challenge = HeaderValue::from_static(r#"Bearer realm="roots""#);
        let headers = vec![(WWW_AUTHENTICATE, challenge)];
        Self { headers, ..Self::new(ProblemKind::WrongCode, detail) }
    }

    /// Sign-up is closed.
    #[must_use]
    pub fn signup_closed() -> Self {
        Self::new(
            ProblemKind::SignupClosed,
            "Sign-up is closed: ask the operator of this service for an account.",
        )
    }

    /// The request names a host that is not one of the server's.
    #[must_use]
    pub fn foreign_host() -> Self {
        Self::new(
            ProblemKind::ForeignHost,
            "The Host of this request is not a name of this server: its operator lists the names in ROOTS_HOSTS.",
        )
    }

    /// The request comes from a web page that may not call this path.
    #[must_use]
    pub fn foreign_origin() -> Self {
        Self::new(
            ProblemKind::ForeignOrigin,
            "Web pages of this Origin may not call this path: the operator of the server lists those that may in ROOTS_CORS_ORIGINS.",
        )
    }

    /// The caller has no row with that id.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        Self::new(ProblemKind::NotFound, Refusal::NotFound(what).to_string())
    }

    /// No such path.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(ProblemKind::NotFound, "There is no such path.")
    }

    /// The path does not have this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            ProblemKind::MethodNotAllowed,
            "This path does not support this method: see Allow.",
        )
    }

    /// The body did not arrive in time.
    #[must_use]
    pub fn request_timeout() -> Self {
        Self::new(ProblemKind::RequestTimeout, "The body did not arrive in time. Nothing was done.")
    }

    /// The body has more than `most` bytes.
    #[must_use]
    pub fn body_too_large(most: usize) -> Self {
        let detail = format!("The body is larger than {most} bytes.");
        Self::new(ProblemKind::BodyTooLarge, detail)
    }

    /// The body has a wrong media type.
    #[must_use]
    pub fn unsupported_media_type(detail: &'static str, is_patch: bool) -> Self {
        let accepted = if is_patch {
            (ACCEPT_PATCH, "application/json, application/merge-patch+json")
        } else {
            (ACCEPT_POST, "application/json")
        };
        let header = (accepted.0, HeaderValue::from_static(accepted.1));
        Self { headers: vec![header], ..Self::new(ProblemKind::UnsupportedMediaType, detail) }
    }

    /// The maximum of `most` long requests is running for `whose`, an account or the process.
    #[must_use]
    pub fn too_many_at_once(most: u32, what: &str, whose: &str, retry_seconds: u32) -> Self {
        let article = if whose.starts_with('a') { "An" } else { "A" };
        let detail = format!(
            "{article} {whose} may have at most {most} {what} under way at once. Try again in {retry_seconds} s. No setting raises this limit."
        );
        Self::new(ProblemKind::TooManyRequests, detail).retry_after(retry_seconds)
    }

    /// A rate limit is reached: no more than `most` of `what`. `raised_by` is a sentence that names
    /// the setting that raises it.
    #[must_use]
    pub fn too_many_requests(most: u32, what: &str, raised_by: &str, retry_seconds: u32) -> Self {
        let detail =
            format!("The limit is {most} {what}. Try again in {retry_seconds} s. {raised_by}");
        Self::new(ProblemKind::TooManyRequests, detail).retry_after(retry_seconds)
    }

    /// A handler panicked. The message is not repeated: it may hold a text.
    #[must_use]
    pub fn panicked() -> Self {
        Self::internal("the handler panicked")
    }

    /// An error of the server. The cause is for the log.
    pub fn internal(cause: impl Into<Box<str>>) -> Self {
        Self::new(
            ProblemKind::Internal,
            "The server failed; the log has the cause under this request_id.",
        )
        .because(cause)
    }

    /// The request took too long.
    #[must_use]
    pub fn overdue(is_write: bool) -> Self {
        let problem = if is_write {
            Self::new(
                ProblemKind::OutcomeUnknown,
                "This took too long, and it is unknown whether it was done: check before you repeat it.",
            )
        } else {
            Self::new(ProblemKind::Unavailable, "This took too long. Try again shortly.")
        };
        problem.because("the request timed out").retry_after(AWAY_RETRY_SECONDS)
    }

    /// Large answers hold all the memory that they may. Nothing has failed: the problem has no
    /// cause, so that it is not logged as an error and costs little.
    #[must_use]
    pub fn no_room_for_answer() -> Self {
        Self::new(
            ProblemKind::Unavailable,
            "The server is sending too many large answers. Try again shortly, or request fewer rows.",
        )
        .retry_after(BUSY_RETRY_SECONDS)
    }

    /// The queue of waiting reads is full.
    #[must_use]
    pub fn too_many_wait() -> Self {
        Self::new(
            ProblemKind::Unavailable,
            "Too many requests are waiting to read. Try again shortly.",
        )
        .retry_after(BUSY_RETRY_SECONDS)
    }

    /// Other searches took all of the processors' time that searches may take.
    #[must_use]
    pub fn too_many_searches() -> Self {
        Self::new(
            ProblemKind::Unavailable,
            "Other searches are running, of this actor or of others. Try again shortly.",
        )
        .retry_after(BUSY_RETRY_SECONDS)
    }

    /// There are as many streams as there may be. Nothing has failed, so it has no cause.
    #[must_use]
    pub fn too_many_streams(most: usize, whose: &str, retry_seconds: u32) -> Self {
        let detail = format!(
            "The limit is {most} streams {whose} at once. Close one, or try again in {retry_seconds} s."
        );
        Self::new(ProblemKind::Unavailable, detail).retry_after(retry_seconds)
    }

    /// The account's large answers, or pages, were not read in time.
    #[must_use]
    pub fn too_many_large(most: usize, what: &str) -> Self {
        let detail = format!(
            "An account may receive {most} large {what} at a time. Read those to their end, or request fewer rows."
        );
        Self::new(ProblemKind::TooManyRequests, detail).retry_after(BUSY_RETRY_SECONDS)
    }

    /// Large bodies hold all the memory that they may. Clients can cause that at will, so it has no
    /// cause.
    #[must_use]
    pub fn no_room_for_body() -> Self {
        Self::new(
            ProblemKind::Unavailable,
            "The server is receiving too many large bodies. Nothing was done: try again shortly.",
        )
        .retry_after(BUSY_RETRY_SECONDS)
    }

    /// The service shuts down before the answer is complete.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self::new(ProblemKind::Unavailable, "The server is stopping. Try again shortly.")
            .because("the service is being stopped")
            .retry_after(AWAY_RETRY_SECONDS)
    }

    /// The problem for an error status that a library answered.
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::no_such_path(),
            StatusCode::METHOD_NOT_ALLOWED => Self::method_not_allowed(),
            status if status.is_client_error() => Self::bad_request("The request is invalid."),
            status => Self::internal(status.as_str()),
        }
    }

    /// An example of each kind, for the documentation.
    #[must_use]
    pub fn example(kind: ProblemKind) -> Self {
        let error = |field: &str, message: &str| InvalidField {
            field: field.into(),
            message: message.into(),
        };
        match kind {
            ProblemKind::MalformedJson => {
                InvalidJson::Json { what: "ends too early to be JSON,", line: 3, column: 1 }.into()
            }
            ProblemKind::InvalidParameters => {
                Self::invalid_parameters(vec![error("status", "must be one of active, ended")])
            }
            ProblemKind::InvalidBody => Self::invalid_body(vec![
                error("title", "is required"),
                error("prority", "is not a known field: did you mean priority?"),
            ]),
            ProblemKind::InsufficientCredits => {
                Refusal::InsufficientCredits { balance: 0, cost: WRITE_COST }.into()
            }
            ProblemKind::Conflict => Refusal::AlreadyEnded(SessionId(2)).into(),
            ProblemKind::ClaimLost => {
                let fate = ClaimFate::Retaken { standing: ClaimToken(2) };
                Refusal::ClaimLost { todo: TodoId(7), token: ClaimToken(1), fate }.into()
            }
            ProblemKind::NotFound => Self::not_found("session"),
            ProblemKind::StillInFlight => Refusal::StillInFlight.into(),
            ProblemKind::KeyOfAnotherRequest => Refusal::KeyOfAnotherRequest.into(),
            ProblemKind::PreconditionFailed => Refusal::HasChanged("todo").into(),
            ProblemKind::TooManyRequests => Self::too_many_requests(
                1_200,
                "requests a minute of one actor, by all its keys",
                "ROOTS_RATE_LIMIT_PER_MINUTE raises it.",
                1,
            ),
            kind => Self::new(kind, format!("{}.", kind.title())),
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// Every error, field by field.
    #[must_use]
    pub fn errors(&self) -> &[InvalidField] {
        &self.errors
    }

    /// After how many seconds the request may succeed.
    #[must_use]
    pub fn retry_seconds(&self) -> Option<&str> {
        let (_, seconds) = self.headers.iter().find(|(name, _)| *name == RETRY_AFTER)?;
        seconds.to_str().ok()
    }

    /// The status it is answered with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// The URI of its kind.
    #[must_use]
    pub fn uri(&self) -> String {
        self.kind.uri()
    }

    /// What is wrong in this case.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The cause, for the log.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The JSON form that the caller gets.
    #[must_use]
    pub fn body(&self, request_id: &str) -> ProblemBody {
        let Self { kind, detail, errors, credits, until, members, .. } = self;
        ProblemBody {
            uri: kind.uri(),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: detail.clone(),
            request_id: request_id.to_owned(),
            error: detail.clone(),
            errors: if errors.is_empty() { None } else { Some(errors.clone()) },
            balance: credits.as_deref().map(|(balance, _)| *balance),
            cost: credits.as_deref().map(|(_, cost)| *cost),
            until: until.as_deref().map(Timestamp::to_string),
            members: members.as_deref().cloned().unwrap_or_default(),
        }
    }
}

/// Passes the problem to the middleware, which writes it.
impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let mut response = self.status().into_response();
        response.headers_mut().extend(self.headers.drain(..));
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_cause_at_will_has_no_cause_and_so_is_no_error_of_the_log() {
        let problems =
            [Problem::no_room_for_body(), Problem::no_room_for_answer(), Problem::too_many_wait()];
        for problem in problems {
            assert_eq!(problem.cause(), None, "{}", problem.detail());
        }
    }
}
