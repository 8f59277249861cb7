//! Problems (RFC 9457): the one place where errors become statuses and words.
//!
//! What a handler answers is the bare [`Problem`]; the edge gives it the request's id and writes it
//! out, and logs the cause of those that are ours.

use std::borrow::Cow;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use roots_domain::model::credit::WRITE_COST;
use roots_domain::model::id::SessionId;
use roots_domain::model::unit::Refusal;
use roots_domain::port::store::StoreFault;
use roots_domain::usecase::access::AccessError;
use roots_domain::usecase::{ReadError, WriteError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::{BODY_MAX_BYTES, Malformed};
use crate::exports::NDJSON;
use crate::fields::{Fault, Faults};
use crate::imports::ImportBody;

/// Where the kinds of problems are explained, one by one.
pub(crate) const PROBLEMS_PATH: &str = "/docs/problems";
/// The media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What a problem says that is one before anything was done.
const NOTHING_DONE: &str = "Nothing was done";
/// What stands for a field where a body is wrong as a whole.
const BODY: &str = "body";
/// Seconds until a full queue, or a write under way, is worth another try.
const BUSY_RETRY_SECONDS: u32 = 1;
/// Seconds until a database that is away is worth another try.
const AWAY_RETRY_SECONDS: u32 = 5;
/// Most faults that the sentence for people names.
const TOLD_FAULTS_MAX: usize = 3;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $status:ident, $slug:literal, $title:literal, $way_out:literal;)+) => {
        /// The kinds of problems. Each has its paragraph at the address that `type` names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$doc])* $kind),+ }

        impl Kind {
            /// Every kind.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The status it is answered with.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),+ }
            }

            /// Its name in `type`.
            pub(crate) const fn slug(self) -> &'static str {
                match self { $(Self::$kind => $slug),+ }
            }

            /// What it is.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),+ }
            }

            /// How to get out of it.
            pub(crate) const fn way_out(self) -> &'static str {
                match self { $(Self::$kind => $way_out),+ }
            }
        }
    };
}

kinds! {
    /// 400: the form of the request.
    BadRequest = BAD_REQUEST, "bad-request", "Bad request",
        "The request itself is not well formed, or has a header that means nothing where it stands: `If-Match` on a list, `Idempotency-Key` on a read. `detail` says which. Nothing was done, but for lines of an import that `detail` may count. Mend it, or leave that header out, and send the request again.";
    /// 400: JSON that can't be read.
    MalformedJson = BAD_REQUEST, "malformed-json", "Malformed JSON",
        "The body is not JSON in UTF-8. `detail` says at which line and column reading stopped; the slip is there or just before: a quote or a bracket that is not closed, a comma too many. Nothing was written. Mend it and send it again, best as a JSON library writes it and not put together by hand.";
    /// 400: the query.
    InvalidParameters = BAD_REQUEST, "invalid-parameters", "Invalid query parameters",
        "`errors` lists every parameter that is unknown, given twice, or has a value outside what it takes. Nothing was read or done, not even by those that are fine. Mend each or leave it out; `/docs` names all that the path takes, with their values.";
    /// 401.
    Unauthorized = UNAUTHORIZED, "unauthorized", "No valid API key",
        "Send the key in X-API-Key, or as Authorization: Bearer. A key that was revoked, has expired or was mistyped is refused alike. If it was rotated, use the one that came of it. Otherwise a member asks the account's owner for a new key, and the owner gets one by the recovery code: `POST /api/v1/recover`.";
    /// 401: a recovery code.
    WrongCode = UNAUTHORIZED, "invalid-recovery-code", "No valid recovery code",
        "A code that was mistyped, has been used, was replaced by a newer one or belongs to another account is refused alike. Use the newest one that you were shown. Where there is none, what is encrypted is lost: nobody else holds its keys.";
    /// 402.
    InsufficientCredits = PAYMENT_REQUIRED, "insufficient-credits", "Insufficient credits",
        "`balance` is what the account has and `cost` what the write costs. Nothing was written. Of an import, `import` says what was written and paid for before: once there are credits, send the file again with `from_line`. Reads go on working; ask whoever runs the service for credits.";
    /// 403: sign-up.
    SignupClosed = FORBIDDEN, "signup-closed", "Sign-up is closed",
        "Accounts are made by whoever runs this service: ask there.";
    /// 403: suspension.
    Suspended = FORBIDDEN, "account-suspended", "The account is suspended",
        "It reads, exports, revokes keys and can be recovered; nothing else of it is written, and nothing was charged. Ask whoever runs the service.";
    /// 403: a member.
    OwnerOnly = FORBIDDEN, "owner-only", "Only the owner may do this",
        "It takes a key of the account's owner. A member reads and writes its own, and rotates and revokes its own keys: leave `actor_id` out.";
    /// 403: grace.
    KeyInGrace = FORBIDDEN, "key-in-grace", "A key in grace manages no keys",
        "This key was rotated, and what it was rotated to has been used: it reads and writes on until its grace is over, and manages no actors and no keys. Use the newer key.";
    /// 403: a customer.
    OperatorOnly = FORBIDDEN, "operator-only", "Only operators may do this",
        "It takes a key of an operator's account. Ask whoever runs the service.";
    /// 403: confirmation.
    WrongRecoveryCode = FORBIDDEN, "wrong-recovery-code", "Not the recovery code of this account",
        "What can't be undone is confirmed by the account's recovery code, the newest. Nothing was done. Without the code, make a new one with a key of the owner.";
    /// 404.
    NotFound = NOT_FOUND, "not-found", "Not found",
        "There is no such path, or nothing of yours has that id. Ids are positive integers, counted per account. Look at the path, which begins with `/api/v1`, and at the id: the list above it shows those that there are. What was deleted does not come back.";
    /// 405.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed",
        "The path exists, the method does not. The header Allow lists those that do: use one of them.";
    /// 408.
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "The request took too long to arrive",
        "The body stopped coming in, or came too slowly. Nothing was done, but for lines of an import that `detail` may count: send it again, with as many bytes as Content-Length announces. Imports and exports go on while their client brings or takes at least 1 KiB/s.";
    /// 409.
    Conflict = CONFLICT, "conflict", "Not possible in this state",
        "What you ask for does not fit the state of what it concerns: a session that has ended, a step between statuses that there is not, a last key that has to stay. `detail` says what stands against it, and which steps there are. Nothing was written. Read it again and decide anew.";
    /// 409: a twin is in flight.
    StillInFlight = CONFLICT, "still-in-flight", "Still being worked on",
        "A request with the same `Idempotency-Key` is being worked on right now. Send yours again, unchanged, after as many seconds as the header Retry-After says: then it is answered as that one was.";
    /// 412.
    PreconditionFailed = PRECONDITION_FAILED, "precondition-failed", "Changed in the meantime",
        "It is no longer in a state that `If-Match` names: somebody has changed it since you read it. Nothing was written. Read it again, decide anew, and send the ETag of what you read.";
    /// 413.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large",
        "A body may have up to 1 MiB; texts have limits of their own, well below that. Nothing was written. Shorten the texts, or write several smaller todos or activities in the place of one. Many rows at once come in by `POST /api/v1/import`, whose body may be of any length; a dry run of one remembers a limited number of rows.";
    /// 415.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type",
        "What was sent is not of the type that is taken here, or does not say so. Nothing was done. Send it in UTF-8, uncompressed, with one Content-Type: `application/json` for most; for PATCH that or `application/merge-patch+json`; for `POST /api/v1/import`, whose body is JSON lines, `application/x-ndjson`. `detail` says which it is here. Where no body is taken, send none.";
    /// 422.
    InvalidBody = UNPROCESSABLE_ENTITY, "invalid-body", "Invalid body",
        "The body can be read, but does not say what can be done: `errors` lists every fault, field by field, and for an unknown field the name that it was probably meant to be. Nothing was written. Mend each of them and send it again; `/docs` names every field that the path takes. Where no body is taken, send none, or `{}`.";
    /// 422: a key that names another request.
    KeyOfAnotherRequest = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The Idempotency-Key names another request",
        "You sent this `Idempotency-Key` with another route, query or body within the last 24 hours, and that write was done. Nothing was written now. Take a new key for a new request; to repeat the old one, send it byte for byte as it was.";
    /// 429.
    TooManyRequests = TOO_MANY_REQUESTS, "too-many-requests", "Too many requests",
        "A limit is reached: `detail` says which. Nothing was done and nothing charged. Try again after as many seconds as the header Retry-After says; before a limit by time is reached, RateLimit tells how many requests are left and RateLimit-Policy what the limit is.";
    /// 500.
    Internal = INTERNAL_SERVER_ERROR, "internal-error", "Internal error",
        "The fault is ours. Whoever runs the service finds its cause in the log, under `request_id`: tell them that. Look whether a write stands before you repeat it; if it had an `Idempotency-Key`, send it again as it was: it is not done or charged twice.";
    /// 500: a stored text.
    Unreadable = INTERNAL_SERVER_ERROR, "unreadable-text", "A stored text can't be read",
        "A stored text is damaged; `detail` says of what. It can still be deleted or overwritten. Whoever runs the service finds more in the log, under `request_id`.";
    /// 503.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "Unavailable for now",
        "The database is away or has more to do than it can, or the service is being stopped. Nothing was done, but for lines of an import that `detail` may count. Try again, unchanged, after as many seconds as the header Retry-After says, and wait longer each time that it is answered so again.";
    /// 503: unknown outcome.
    OutcomeUnknown = SERVICE_UNAVAILABLE, "outcome-unknown", "The outcome is unknown",
        "The write may stand or not. If it had an `Idempotency-Key`, send it again as it was: it is not done or charged twice. Otherwise look whether it stands before you repeat it.";
}

impl Kind {
    /// The URI that identifies it, and where it is explained.
    pub(crate) fn uri(self) -> String {
        format!("{PROBLEMS_PATH}#{}", self.slug())
    }
}

/// Why a request was not done.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    faults: Vec<Fault>,
    /// The balance and the cost. What few problems have is boxed: each result holds room for one.
    credits: Option<Box<(i64, i64)>>,
    /// How far an import came.
    import: Option<Box<ImportBody>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log, never for the caller.
    cause: Option<Box<str>>,
}

impl Problem {
    fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            faults: Vec::new(),
            credits: None,
            import: None,
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

    /// The request is not well formed.
    pub(crate) fn bad_request(detail: &'static str) -> Self {
        Self::new(Kind::BadRequest, detail)
    }

    /// A header that means nothing where it stands.
    pub(crate) fn misplaced_header(name: &HeaderName) -> Self {
        let detail = format!("The header {name} has no meaning here: send the request without it.");
        Self::new(Kind::BadRequest, detail)
    }

    /// `If-Match` or `If-None-Match` is neither a list of tags nor `*`.
    pub(crate) fn malformed_tags(name: &HeaderName) -> Self {
        let detail = format!(
            "The header {name} must be * or entity tags as ETag gives them, quotes included."
        );
        Self::new(Kind::BadRequest, detail)
    }

    /// `Idempotency-Key` names nothing, or was sent twice.
    pub(crate) fn malformed_idempotency_key() -> Self {
        Self::bad_request(
            "The header idempotency-key must be one of 1 to 255 visible ASCII characters, bare or quoted.",
        )
    }

    /// What is wrong with one field, or with the whole.
    fn of_field(field: &str, detail: String) -> Self {
        let fault = Fault { field: field.to_owned(), message: detail.clone() };
        Self { faults: vec![fault], ..Self::new(Kind::InvalidBody, detail) }
    }

    /// Faults of the query.
    pub(crate) fn invalid_parameters(faults: impl Into<Faults>) -> Self {
        Self::faulty(Kind::InvalidParameters, faults.into())
    }

    /// Faults of the body.
    pub(crate) fn invalid_body(faults: impl Into<Faults>) -> Self {
        Self::faulty(Kind::InvalidBody, faults.into())
    }

    fn faulty(kind: Kind, Faults { listed, count }: Faults) -> Self {
        let told: Vec<_> = listed
            .iter()
            .take(TOLD_FAULTS_MAX)
            .map(|Fault { field, message }| format!("{field} {message}"))
            .collect();
        let told = told.join("; ");
        let detail = if count > listed.len() {
            format!(
                "{told}; and more: {count} faults, the first {} of which are listed.",
                listed.len()
            )
        } else if count > TOLD_FAULTS_MAX {
            format!("{told}; and more: {count} faults in all.")
        } else if told.ends_with('?') {
            told
        } else {
            told + "."
        };
        Self { faults: listed, ..Self::new(kind, detail) }
    }

    /// No key in force. A `WWW-Authenticate` says how to send one.
    pub(crate) fn unauthorized(detail: impl Into<Cow<'static, str>>, was_presented: bool) -> Self {
        let challenge = if was_presented {
            r#"Bearer realm="roots", error="invalid_token""#
        } else {
            r#"Bearer realm="roots""#
        };
        let header = (WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        Self { headers: vec![header], ..Self::new(Kind::Unauthorized, detail) }
    }

    /// No recovery code in force.
    fn wrong_code(detail: String) -> Self {
        let challenge = HeaderValue::from_static(r#"Bearer realm="roots""#);
        let headers = vec![(WWW_AUTHENTICATE, challenge)];
        Self { headers, ..Self::new(Kind::WrongCode, detail) }
    }

    /// Accounts are not made here.
    pub(crate) fn signup_closed() -> Self {
        Self::new(Kind::SignupClosed, "Sign-up is closed: ask whoever runs this service.")
    }

    /// Nothing of the caller's has that id.
    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(Kind::NotFound, Refusal::NotFound(what).to_string())
    }

    /// No such path.
    pub(crate) fn no_such_path() -> Self {
        Self::new(Kind::NotFound, "There is no such path.")
    }

    /// No such method here.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(Kind::MethodNotAllowed, "This path does not take this method: see Allow.")
    }

    /// The body did not come.
    pub(crate) fn request_timeout() -> Self {
        Self::new(Kind::RequestTimeout, "The body did not arrive in time. Nothing was done.")
    }

    /// The body is longer than it may be.
    pub(crate) fn body_too_large() -> Self {
        let detail = format!("The body is larger than {BODY_MAX_BYTES} bytes.");
        Self::new(Kind::BodyTooLarge, detail)
    }

    /// The body is of another type.
    pub(crate) fn unsupported_media_type(detail: &'static str, is_patch: bool) -> Self {
        let accepted = if is_patch {
            (
                HeaderName::from_static("accept-patch"),
                "application/json, application/merge-patch+json",
            )
        } else {
            (HeaderName::from_static("accept-post"), "application/json")
        };
        let header = (accepted.0, HeaderValue::from_static(accepted.1));
        Self { headers: vec![header], ..Self::new(Kind::UnsupportedMediaType, detail) }
    }

    /// The body is no file of JSON lines.
    pub(crate) fn no_json_lines() -> Self {
        let detail = "The body must be application/x-ndjson in UTF-8, uncompressed, and Content-Type must say so.";
        let accepted = (HeaderName::from_static("accept-post"), HeaderValue::from_static(NDJSON));
        Self { headers: vec![accepted], ..Self::new(Kind::UnsupportedMediaType, detail) }
    }

    /// What a file came to that was not read to its end: `line` is the last that is through. The import
    /// goes on with the one after it.
    pub(crate) fn after_line(mut self, line: u64, import: ImportBody) -> Self {
        // Behind the header, which is not written.
        if line > 1 && !import.is_dry_run() {
            let told = self.detail.replace(NOTHING_DONE, "Nothing more was done");
            let goes_on = "send it again, and that is not written or charged twice.";
            self.detail = format!("{told} Up to line {line} the file is in: {goes_on}").into();
        }
        self.headers.extend(import.credit_headers());
        self.import = Some(Box::new(import));
        self
    }

    /// The client of an import brings too little.
    pub(crate) fn import_too_slow() -> Self {
        Self::new(
            Kind::RequestTimeout,
            "The body came at less than 1 KiB/s over a minute. Nothing was done.",
        )
    }

    /// The client of an export takes too little.
    pub(crate) fn export_too_slow() -> Self {
        Self::new(
            Kind::RequestTimeout,
            "The client took less than 1 KiB/s of the export over a minute.",
        )
    }

    /// As many long requests are under way as may be. `whose` has no more than `most` of them.
    pub(crate) fn too_many_at_once(most: u32, what: &str, whose: &str, retry_seconds: u32) -> Self {
        let article = if whose.starts_with('a') { "An" } else { "A" };
        let detail = format!(
            "{article} {whose} may have at most {most} {what} under way at once. Try again in {retry_seconds} s. No setting raises this limit."
        );
        Self::new(Kind::TooManyRequests, detail).retry_after(retry_seconds)
    }

    /// A limit on requests is reached. `what` says of what there may be no more than `most`, and
    /// `raised_by`, in a sentence, which setting raises it.
    pub(crate) fn too_many_requests(
        most: u32,
        what: &str,
        raised_by: &str,
        retry_seconds: u32,
    ) -> Self {
        let detail =
            format!("The limit is {most} {what}. Try again in {retry_seconds} s. {raised_by}");
        Self::new(Kind::TooManyRequests, detail).retry_after(retry_seconds)
    }

    /// A handler panicked. What it said is not told: it may hold a text.
    pub(crate) fn panicked() -> Self {
        Self::internal("the handler panicked")
    }

    /// A fault of ours. The cause is for the log.
    pub(crate) fn internal(cause: impl Into<Box<str>>) -> Self {
        Self::new(Kind::Internal, "Something went wrong on our side; the log has it.")
            .because(cause)
    }

    /// The request took longer than it may.
    pub(crate) fn overdue(is_write: bool) -> Self {
        let problem = if is_write {
            Self::new(
                Kind::OutcomeUnknown,
                "This took too long, and it is not known whether it was done: look before you repeat it.",
            )
        } else {
            Self::new(Kind::Unavailable, "This took too long. Try again shortly.")
        };
        problem.because("the request timed out").retry_after(AWAY_RETRY_SECONDS)
    }

    /// Answers that are being sent hold as much memory as they may. Nothing has failed: it has no cause
    /// that would be logged as an error, and costs little.
    pub(crate) fn no_room_for_answer() -> Self {
        Self::new(
            Kind::Unavailable,
            "Too many large answers are being sent just now. Try again shortly, or ask for fewer rows.",
        )
        .retry_after(BUSY_RETRY_SECONDS)
    }

    /// As many requests wait for their turn to read as may.
    pub(crate) fn too_many_wait() -> Self {
        Self::new(Kind::Unavailable, "Too many requests wait to read just now. Try again shortly.")
            .retry_after(BUSY_RETRY_SECONDS)
    }

    /// The account's large answers were not taken in time.
    pub(crate) fn too_many_large(most: usize) -> Self {
        let detail = format!(
            "An account gets {most} large answers at a time. Read those to their end, or ask for fewer rows."
        );
        Self::new(Kind::TooManyRequests, detail).retry_after(BUSY_RETRY_SECONDS)
    }

    /// Bodies that are being read hold as much memory as they may.
    pub(crate) fn no_room_for_body() -> Self {
        Self::new(
            Kind::Unavailable,
            "Too many large bodies are being sent just now. Nothing was done: try again shortly.",
        )
        .because("large bodies hold as much as they may")
        .retry_after(BUSY_RETRY_SECONDS)
    }

    /// The service ends before the answer would.
    pub(crate) fn ending() -> Self {
        Self::new(Kind::Unavailable, "The service is being stopped. Try again shortly.")
            .because("the service is being stopped")
            .retry_after(AWAY_RETRY_SECONDS)
    }

    /// For an answer of another's making that is an error.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::no_such_path(),
            StatusCode::METHOD_NOT_ALLOWED => Self::method_not_allowed(),
            status if status.is_client_error() => Self::bad_request("The request can't be served."),
            status => Self::internal(status.as_str()),
        }
    }

    /// One of its kind, to show what it looks like.
    pub(crate) fn example(kind: Kind) -> Self {
        let fault =
            |field: &str, message: &str| Fault { field: field.into(), message: message.into() };
        match kind {
            Kind::MalformedJson => {
                Malformed::Json { what: "ends too early to be JSON,", line: 3, column: 1 }.into()
            }
            Kind::InvalidParameters => {
                Self::invalid_parameters(vec![fault("status", "must be one of active, ended")])
            }
            Kind::InvalidBody => Self::invalid_body(vec![
                fault("title", "is required"),
                fault("prority", "is not a known field: did you mean priority?"),
            ]),
            Kind::InsufficientCredits => {
                Refusal::InsufficientCredits { balance: 0, cost: WRITE_COST }.into()
            }
            Kind::Conflict => Refusal::AlreadyEnded(SessionId(2)).into(),
            Kind::NotFound => Self::not_found("session"),
            Kind::StillInFlight => Refusal::StillInFlight.into(),
            Kind::KeyOfAnotherRequest => Refusal::KeyOfAnotherRequest.into(),
            Kind::PreconditionFailed => Refusal::HasChanged("todo").into(),
            Kind::TooManyRequests => Self::too_many_requests(
                1_200,
                "requests a minute of one actor, by all its keys",
                "ROOTS_RATE_LIMIT_PER_MINUTE raises it.",
                1,
            ),
            kind => Self::new(kind, format!("{}.", kind.title())),
        }
    }

    /// The status it is answered with.
    pub(crate) const fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// The URI of its kind.
    pub(crate) fn uri(&self) -> String {
        self.kind.uri()
    }

    /// What is wrong in this case.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Why, for the log.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// What the caller reads.
    pub(crate) fn body(&self, request_id: &str) -> ProblemBody {
        let Self { kind, detail, faults, credits, import, .. } = self;
        ProblemBody {
            uri: kind.uri(),
            title: kind.title(),
            status: kind.status().as_u16(),
            detail: detail.clone(),
            request_id: request_id.to_owned(),
            error: detail.clone(),
            errors: if faults.is_empty() { None } else { Some(faults.clone()) },
            balance: credits.as_deref().map(|(balance, _)| *balance),
            cost: credits.as_deref().map(|(_, cost)| *cost),
            import: import.as_deref().cloned(),
        }
    }
}

/// Carries itself to the edge, which writes it out.
impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let mut response = self.status().into_response();
        response.headers_mut().extend(self.headers.drain(..));
        response.extensions_mut().insert(self);
        response
    }
}

/// `X-Credits-Cost` and `X-Credits-Remaining`.
pub(crate) fn credit_headers(cost: i64, balance: i64) -> [(HeaderName, HeaderValue); 2] {
    [
        (HeaderName::from_static("x-credits-cost"), cost.into()),
        (HeaderName::from_static("x-credits-remaining"), balance.into()),
    ]
}

/// What went wrong, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Names the kind of problem, and leads to its explanation.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    uri: String,
    /// What kind of problem it is.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong in this case.
    detail: Cow<'static, str>,
    /// The request's name, under which the log has it.
    request_id: String,
    /// The same in one sentence.
    error: Cow<'static, str>,
    /// Every fault, field by field (400 and 422).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    errors: Option<Vec<Fault>>,
    /// What the account has (402).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    balance: Option<i64>,
    /// What the write costs (402).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    cost: Option<i64>,
    /// What an import came to before it ended: what it wrote stands and is paid for. Its `from_line` is
    /// where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    import: Option<ImportBody>,
}

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Json { .. } => {
                Self::new(Kind::MalformedJson, format!("The body {malformed}."))
            }
            Malformed::NoObject(_) => {
                let message = malformed.to_string();
                Self::invalid_body(vec![Fault { field: BODY.to_owned(), message }])
            }
        }
    }
}

impl From<StoreFault> for Problem {
    fn from(fault: StoreFault) -> Self {
        let cause = fault.to_string();
        let problem = match fault {
            // It moved again while the caller was admitted anew; or a write had to wait for the keys.
            StoreFault::Unavailable(_) | StoreFault::EpochMoved => Self::new(
                Kind::Unavailable,
                "The service can't do this just now. Nothing was done: try again shortly.",
            )
            .retry_after(AWAY_RETRY_SECONDS),
            StoreFault::Busy => {
                let told = "The service is busy. Nothing was done: try again shortly.";
                return Self::new(Kind::Unavailable, told).retry_after(BUSY_RETRY_SECONDS);
            }
            StoreFault::OutcomeUnknown(_) => Self::new(
                Kind::OutcomeUnknown,
                "It is not known whether this was done: look before you repeat it.",
            )
            .retry_after(AWAY_RETRY_SECONDS),
            StoreFault::Broken(_) => return Self::internal(cause),
        };
        problem.because(cause)
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NotAdmitted => Self::unauthorized(error.to_string(), true),
            AccessError::Store(fault) => fault.into(),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused(refusal) => refusal.into(),
            ReadError::Store(fault) => fault.into(),
            ReadError::Unreadable { what, id } => Self::new(Kind::Unreadable, error.to_string())
                .because(format!("a text of {what} {id} does not open")),
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::EmptyPatch => Self::of_field(BODY, error.to_string()),
            WriteError::Refused(refusal) => refusal.into(),
            WriteError::Store(fault) => fault.into(),
            WriteError::Seal(fault) => Self::internal(fault.to_string()),
            WriteError::SavedUnreadable { what, id, cost, balance } => Self {
                headers: credit_headers(cost, balance).into(),
                ..Self::new(Kind::Unreadable, error.to_string())
                    .because(format!("another text of {what} {id} does not open"))
            },
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            // As when it is found at once: what became of a key is not told.
            Refusal::KeyNotInForce => AccessError::NotAdmitted.into(),
            Refusal::CodeNotInForce => Self::wrong_code(detail),
            Refusal::Suspended => Self::new(Kind::Suspended, detail),
            Refusal::OwnerOnly => Self::new(Kind::OwnerOnly, detail),
            Refusal::KeyInGrace => Self::new(Kind::KeyInGrace, detail),
            Refusal::OperatorOnly => Self::new(Kind::OperatorOnly, detail),
            Refusal::WrongRecoveryCode => Self::new(Kind::WrongRecoveryCode, detail),
            Refusal::NotFound(_) | Refusal::NoSuchAccount(_) => Self::new(Kind::NotFound, detail),
            Refusal::KeyOfAnotherRequest => Self::new(Kind::KeyOfAnotherRequest, detail),
            Refusal::StillInFlight => {
                Self::new(Kind::StillInFlight, detail).retry_after(BUSY_RETRY_SECONDS)
            }
            Refusal::HasChanged(_) => Self::new(Kind::PreconditionFailed, detail),
            Refusal::DryRunTooLarge => Self::new(Kind::BodyTooLarge, detail),
            Refusal::NoSuchActor(_) => Self::of_field("actor_id", detail),
            Refusal::ExpiryNotAhead => Self::of_field("expires_at", detail),
            Refusal::NoSuchSession(_) => Self::of_field("session_id", detail),
            Refusal::OwnExport => Self::of_field("source", detail),
            Refusal::NoteWithoutChange => Self::of_field("note", detail),
            Refusal::TooManyKinds => Self::of_field("activity_type", detail),
            Refusal::SessionEnded(_)
            | Refusal::AlreadyEnded(_)
            | Refusal::CannotReopen(_)
            | Refusal::ForbiddenStep { .. }
            | Refusal::StepFromElsewhere { .. }
            | Refusal::LastOwnerKey
            | Refusal::LastOperator
            | Refusal::OwnerStays
            | Refusal::ActorInactive(_)
            | Refusal::TooManyKeys(_)
            | Refusal::TooManyActors
            | Refusal::TooManyAccountKeys
            | Refusal::KeysRenewed(_)
            | Refusal::OwnAccount
            | Refusal::BalanceTooHigh => Self::new(Kind::Conflict, detail),
            Refusal::TooManyRenewals { wait_seconds, .. } => {
                Self::new(Kind::TooManyRequests, detail).retry_after(wait_seconds)
            }
            // Nobody who signs up chooses an id: it was reserved, and still somebody else has it.
            Refusal::AccountExists(_) => Self::internal(detail),
            Refusal::InsufficientCredits { balance, cost } => Self {
                credits: Some(Box::new((balance, cost))),
                ..Self::new(Kind::InsufficientCredits, detail)
            },
        }
    }
}
