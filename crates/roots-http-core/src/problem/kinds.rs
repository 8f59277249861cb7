//! The kinds of problems, each with its status and the way out of it.

use axum::http::StatusCode;

use crate::wire::PROBLEMS_PATH;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $status:ident, $slug:literal, $title:literal, $way_out:literal;)+) => {
        /// The kinds of problems. Each has its paragraph at the address that `type` names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemKind { $($(#[$doc])* $kind),+ }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The status it is answered with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),+ }
            }

            /// Its name in `type`.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$kind => $slug),+ }
            }

            /// What it is.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),+ }
            }

            /// How to get out of it.
            pub const fn way_out(self) -> &'static str {
                match self { $(Self::$kind => $way_out),+ }
            }
        }
    };
}

kinds! {
    /// 400: the form of the request.
    BadRequest = BAD_REQUEST, "bad-request", "Bad request",
        "The request itself is not well formed, or has a header that means nothing where it stands: `If-Match` on a list, `Idempotency-Key` on a write that does not honour it. `detail` says which. Nothing was done, but for lines of an import that `detail` may count. Mend it, or leave that header out, and send the request again.";
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
    /// 409: a duplicate is in flight.
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
        "The body can be read, but does not say what can be done: `errors` lists every error, field by field, and for an unknown field the name that it was probably meant to be. Nothing was written. Mend each of them and send it again; `/docs` names every field that the path takes. Where no body is taken, send none, or `{}`.";
    /// 422: a key that names another request.
    KeyOfAnotherRequest = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The Idempotency-Key names another request",
        "You sent this `Idempotency-Key` with another route, query or body within the last 24 hours, and that write was done. Nothing was written now. Take a new key for a new request; to repeat the old one, send it byte for byte as it was.";
    /// 429.
    TooManyRequests = TOO_MANY_REQUESTS, "too-many-requests", "Too many requests",
        "A limit is reached: `detail` says which. Nothing was done and nothing charged. Try again after as many seconds as the header Retry-After says; before a limit by time is reached, RateLimit tells how many requests are left and RateLimit-Policy what the limit is.";
    /// 500.
    Internal = INTERNAL_SERVER_ERROR, "internal-error", "Internal error",
        "The error is on our side. Whoever runs the service finds its cause in the log, under `request_id`: tell them that. Look whether a write stands before you repeat it; if it had an `Idempotency-Key`, send it again as it was: it is not done or charged twice.";
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

impl ProblemKind {
    /// The URI that identifies it, and where it is explained.
    #[must_use]
    pub fn uri(self) -> String {
        format!("{PROBLEMS_PATH}#{}", self.slug())
    }
}
