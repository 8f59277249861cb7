//! The kinds of problems, each with its status and what to do about it.

use axum::http::StatusCode;

use crate::wire::PROBLEMS_PATH;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $status:ident, $slug:literal, $title:literal, $way_out:literal;)+) => {
        /// The kinds of problems. Each has a paragraph on the page that `type` links to.
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

            /// Its title.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),+ }
            }

            /// What to do about it.
            pub const fn way_out(self) -> &'static str {
                match self { $(Self::$kind => $way_out),+ }
            }
        }
    };
}

kinds! {
    /// 400: the request is malformed.
    BadRequest = BAD_REQUEST, "bad-request", "Bad request",
        "The request is malformed, or has a header that this endpoint does not take: `If-Match` on a list, `Idempotency-Key` on a write that does not honour it. `detail` says which. Nothing was changed, except the import lines counted in `detail`. Fix the request, or leave that header out, and send it again.";
    /// 400: JSON that can't be read.
    MalformedJson = BAD_REQUEST, "malformed-json", "Malformed JSON",
        "The body is not JSON in UTF-8. `detail` gives the line and column at which parsing stopped. The mistake is there or just before: an unclosed quote or bracket, or an extra comma. Nothing was written. Fix it and send it again; use a JSON library rather than string concatenation.";
    /// 400: the query is invalid.
    InvalidParameters = BAD_REQUEST, "invalid-parameters", "Invalid query parameters",
        "`errors` lists every query parameter that is unknown, is given twice or has an invalid value. Nothing was read or changed. Fix or remove each of them; `/docs` lists the parameters of each path and their values.";
    /// 401.
    Unauthorized = UNAUTHORIZED, "unauthorized", "Invalid or missing API key",
        "Send the key as `X-API-Key`, or as `Authorization: Bearer`. The answer is the same for a revoked, an expired and a mistyped key. If the key was rotated, use its successor. Otherwise a member asks the account's owner for a new key, and the owner gets one with the account's recovery code.";
    /// 401: a recovery code.
    WrongCode = UNAUTHORIZED, "invalid-recovery-code", "Invalid recovery code",
        "The answer is the same for a code that was mistyped, was used, was replaced by a newer one or belongs to another account. Use the newest code that you were shown. Without one the encrypted data is lost: nobody else holds its keys.";
    /// 402.
    InsufficientCredits = PAYMENT_REQUIRED, "insufficient-credits", "Insufficient credits",
        "`balance` is what the account has and `cost` what the write costs. Nothing was written. For an import, `import` says which lines were written and paid for before that: once there are credits, send the file again with `from_line`. Reads still work. Ask the operator of the service for credits.";
    /// 403: sign-up.
    SignupClosed = FORBIDDEN, "signup-closed", "Sign-up is closed",
        "The operator of this service creates the accounts: ask them for one.";
    /// 403: suspension.
    Suspended = FORBIDDEN, "account-suspended", "The account is suspended",
        "A suspended account can still read, export, revoke keys and be recovered. Other writes are refused, and this one was not charged. Ask the operator of the service.";
    /// 403: a member.
    OwnerOnly = FORBIDDEN, "owner-only", "Only the owner may do this",
        "This needs a key of the account's owner. A member reads and writes its own data, and rotates and revokes its own keys: leave `actor_id` out.";
    /// 403: grace.
    KeyInGrace = FORBIDDEN, "key-in-grace", "A key in its grace period can't manage keys",
        "This key was rotated, and its successor has been used. Until its grace ends it reads and writes data, but manages no actors and no keys. Use the newer key.";
    /// 403: a customer.
    OperatorOnly = FORBIDDEN, "operator-only", "Only operators may do this",
        "This needs a key of an operator's account. Ask the operator of the service.";
    /// 403: confirmation.
    WrongRecoveryCode = FORBIDDEN, "wrong-recovery-code", "Not the recovery code of this account",
        "An irreversible action is confirmed by the account's newest recovery code. Nothing was done. If you do not have the code, create a new one with a key of the owner.";
    /// 403: the name by which the server was called.
    ForeignHost = FORBIDDEN, "foreign-host", "Not a name of this server",
        "The request names a `Host` that this server does not know as its own, so it may come from a web page that misuses a name. Nothing was done. Call the server by one of its names. They are the loopback names, the address that it listens on, and those that its operator lists in the setting `ROOTS_HOSTS`.";
    /// 403: a web page.
    ForeignOrigin = FORBIDDEN, "foreign-origin", "Not an origin that may call",
        "The request comes from a web page of an origin that may not call this path. Nothing was done. The operator of the service lists the origins that may in the setting `ROOTS_CORS_ORIGINS`. Programs that are no web pages send no `Origin`.";
    /// 404.
    NotFound = NOT_FOUND, "not-found", "Not found",
        "The path does not exist, or you have nothing with that id. Ids are positive integers, counted per account. Check the path, which begins with `/api/v1`, and the id: the list endpoint shows the ids that exist. Deleted rows do not come back.";
    /// 405.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed",
        "The path exists, but does not support this method. Use one that the header `Allow` lists.";
    /// 408.
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "The request took too long to arrive",
        "The body stopped arriving, or arrived too slowly. Nothing was changed, except the import lines counted in `detail`. Send the request again, with as many bytes as `Content-Length` announces. Imports and exports continue as long as the client sends or receives at least 1 KiB/s.";
    /// 409.
    Conflict = CONFLICT, "conflict", "The current state does not allow this",
        "The request does not fit the current state: the session has ended, the todo is claimed, there is no such step between these statuses, or the last key must stay. `detail` says what is in the way, and which steps are possible. Nothing was written. Read the row again and decide anew.";
    /// 409: the claim of a todo does not stand.
    ClaimLost = CONFLICT, "claim-lost", "The claim is lost",
        "The write carries a `claim_token`, and that claim of the todo does not stand: its lease ran out and the todo was claimed again, it ended when the todo left `in_progress`, or there was no such claim. `detail` says which. Nothing was written or charged. Stop working on the todo: another worker may have it. Read it, and claim it again if it is free.";
    /// 409: a duplicate is in flight.
    StillInFlight = CONFLICT, "still-in-flight", "Still in progress",
        "A request with the same `Idempotency-Key` is being processed. Send yours again, unchanged, after the seconds in the header `Retry-After`: it then gets the same answer.";
    /// 412.
    PreconditionFailed = PRECONDITION_FAILED, "precondition-failed", "Changed since it was read",
        "The row is no longer in a state that `If-Match` names: it was changed since you read it. Nothing was written. Read it again, decide anew, and send the new ETag.";
    /// 413.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large",
        "A body may have up to 1 MiB; texts have lower limits of their own. Nothing was written. Shorten the texts, or split the request into several todos or activities. To write many rows at once, import them: the body of an import may have any length. Only its dry run is limited, in the number of rows that it remembers.";
    /// 415.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type",
        "The body has the wrong media type, or none. Nothing was done. Send it in UTF-8, uncompressed, with one `Content-Type`: `application/json` for most requests; that or `application/merge-patch+json` for PATCH; `application/x-ndjson` (JSON lines) for imports. `detail` says which one this endpoint takes. Where it takes no body, send none.";
    /// 422.
    InvalidBody = UNPROCESSABLE_ENTITY, "invalid-body", "Invalid body",
        "The body is JSON, but not a valid request: `errors` lists every error, field by field, and suggests a name for an unknown field. Nothing was written. Fix each of them and send it again; `/docs` lists the fields of each request. Where no body is taken, send none, or `{}`.";
    /// 422: a key that names another request.
    KeyOfAnotherRequest = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The Idempotency-Key was used for another request",
        "You sent this `Idempotency-Key` with another route, query or body within the last 24 hours, and that write was done. Nothing was written now. Use a new key for a new request; to repeat the old one, send exactly the same bytes.";
    /// 429.
    TooManyRequests = TOO_MANY_REQUESTS, "too-many-requests", "Too many requests",
        "A limit is reached: `detail` says which. Nothing was done or charged. Try again after the seconds in the header `Retry-After`. For limits per time, `RateLimit` tells beforehand how many requests are left, and `RateLimit-Policy` what the limit is.";
    /// 500.
    Internal = INTERNAL_SERVER_ERROR, "internal-error", "Internal error",
        "The error is on our side. The operator of the service finds its cause in the log by `request_id`: tell them that id. Before you repeat a write, check whether it was done. If it had an `Idempotency-Key`, send it again unchanged: it is not done or charged twice.";
    /// 500: a stored text.
    Unreadable = INTERNAL_SERVER_ERROR, "unreadable-text", "A stored text can't be read",
        "A stored text is damaged; `detail` says which. It can still be deleted or overwritten. The operator of the service finds more in the log by `request_id`.";
    /// 503.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable",
        "The database is down or overloaded, or the service is stopping. Nothing was changed, except the import lines counted in `detail`. Send the request again, unchanged, after the seconds in the header `Retry-After`. If it fails again, wait longer each time.";
    /// 503: unknown outcome.
    OutcomeUnknown = SERVICE_UNAVAILABLE, "outcome-unknown", "The outcome is unknown",
        "The write may have been done or not. If it had an `Idempotency-Key`, send it again unchanged: it is not done or charged twice. Otherwise check whether it was done before you repeat it.";
}

impl ProblemKind {
    /// The URI that identifies it, and where it is explained.
    #[must_use]
    pub fn uri(self) -> String {
        format!("{PROBLEMS_PATH}#{}", self.slug())
    }
}
