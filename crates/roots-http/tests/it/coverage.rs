//! Every status of every operation in the OpenAPI document, and every problem type, is produced by
//! a case here. One snapshot has a line for each answer: its operation, case, status, problem type
//! and special headers. The whole answers are in the tests of each resource.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use insta::assert_snapshot;
use roots_domain::command::{
    Action, Applied, AppliedRow, ClaimFate, ManageAction, RecoverAction, Refusal, SystemAction,
};
use roots_domain::model::account::AccountKind;
use roots_domain::model::claim::ClaimToken;
use roots_domain::model::id::{AccountId, ActorId, SessionId, TodoId};
use roots_domain::model::todo::TodoStatus;
use roots_domain::port::store::{ApplyError, StoreError};
use roots_http::Signup;
use roots_http_core::auth::rate_limit::RateLimits;
use serde_json::Value;

use crate::description::{Operation, document, fits, operations, resolved};
use crate::fixture::{
    DAMAGED, MockedApi, TestRequest, TestResponse, UNKNOWN_CODE, UNKNOWN_KEY, applied, ask, at,
};

const FILE: &str = r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}
{"kind":"actor","actor_id":1,"name":"docs-agent","actor_type":"agent","role":"owner"}
{"kind":"session","session_id":1,"status":"active","started_at":"2026-04-09","actor_id":1}
"#;
const NDJSON: &str = "application/x-ndjson";

/// A request of an operation, and the API that answers it.
struct Case {
    /// Names the case in the snapshot.
    name: String,
    mocked: MockedApi,
    ask: TestRequest,
    /// Whether the body stops after its first byte.
    is_cut_off: bool,
    /// How often the request is sent; the test checks the last answer.
    times: usize,
}

impl Case {
    fn new(name: impl Into<String>, mocked: MockedApi, ask: TestRequest) -> Self {
        Self { name: name.into(), mocked, ask, is_cut_off: false, times: 1 }
    }

    async fn answer(self) -> TestResponse {
        let router = self.mocked.router();
        if self.is_cut_off {
            return self.ask.cut_off(&router).await;
        }
        for _ in 1..self.times {
            self.ask.clone().of(&router).await;
        }
        self.ask.of(&router).await
    }
}

/// An operation of the OpenAPI document.
struct Described {
    id: String,
    method: &'static str,
    path: String,
    is_charged: bool,
    is_public: bool,
    /// The media type and an example of its body, if it takes one.
    body: Option<(&'static str, String)>,
}

impl Described {
    fn of(document: &Value, Operation { method, path, value }: &Operation) -> Self {
        let tag = value["tags"][0].as_str().unwrap();
        let content = &value["requestBody"]["content"];
        let body = if content[NDJSON].is_object() {
            Some((NDJSON, FILE.to_owned()))
        } else if content.is_object() {
            let schema = resolved(document, &content["application/json"]["schema"]);
            Some(("application/json", schema["example"].to_string()))
        } else {
            None
        };
        Self {
            id: value["operationId"].as_str().unwrap().to_owned(),
            method,
            path: path.clone(),
            is_charged: ["sessions", "todos", "activities"].contains(&tag) && *method != "GET",
            is_public: value["security"].is_array(),
            body,
        }
    }

    fn only_reads(&self) -> bool {
        self.method == "GET" || self.id == "search"
    }

    /// An API whose caller may use every operation.
    fn whole(&self) -> MockedApi {
        MockedApi::whole_of(self.account_kind())
    }

    fn account_kind(&self) -> AccountKind {
        let is_operators = self.path.starts_with("/api/v1/accounts") && self.id != "eraseAccount";
        if is_operators { AccountKind::Operator } else { AccountKind::Customer }
    }

    /// A request for that id, with `rest` after the path.
    fn asked(&self, id: &str, rest: &str) -> TestRequest {
        let asked = ask(self.method, &(self.path.replace("{id}", id) + rest));
        if self.is_public { asked.without_key() } else { asked }
    }

    /// A request that succeeds.
    fn valid(&self) -> TestRequest {
        if self.id == "events" {
            return self.asked("1", "?follow=false");
        }
        self.with_body(self.asked("1", ""))
    }

    fn with_body(&self, ask: TestRequest) -> TestRequest {
        match &self.body {
            Some((media_type, body)) => ask.header("content-type", media_type).body(body.clone()),
            None => ask,
        }
    }

    /// A request with that body, even if the operation takes none.
    fn sending(&self, body: &str) -> TestRequest {
        let media_type =
            self.body.as_ref().map_or("application/json", |(media_type, _)| media_type);
        self.asked("1", "").header("content-type", media_type).body(body)
    }

    /// The valid request, refused by the store.
    fn refused(&self, refusal: Refusal) -> Case {
        let debug = format!("{refusal:?}");
        let name = debug.split(['(', ' ']).next().unwrap().to_owned();
        let mut mocked = self.whole();
        mocked.commands.checkpoint();
        mocked.commands.expect_apply().returning(move |command| match &command.action {
            // These only reserve ids for the command that is refused.
            Action::System(SystemAction::ReserveAccount)
            | Action::Manage(_, ManageAction::ReserveIds(_))
            | Action::Recover(_, RecoverAction::ReserveIds) => Ok(applied(command)),
            _ => Err(ApplyError::Refused(refusal.clone())),
        });
        Case::new(name, mocked, self.valid())
    }

    /// The valid request, where the store fails.
    fn failing(&self, name: &str, error: fn(String) -> StoreError) -> Case {
        Case::new(name, MockedApi::failing(&error("the inside".to_owned())), self.valid())
    }

    /// The cases that must answer that status.
    fn cases(&self, status: u16) -> Vec<Case> {
        let whole = |name: &str, ask| Case::new(name, self.whole(), ask);
        let mut cases: Vec<Case> =
            self.refusals(status).into_iter().map(|refusal| self.refused(refusal)).collect();
        let takes_lines = self.body.as_ref().is_some_and(|(media_type, _)| *media_type == NDJSON);
        let parses_json = self.method != "GET" && !takes_lines;
        match status {
            200 | 201 => cases.push(whole("valid", self.valid())),
            204 => {
                let mut mocked = self.whole();
                mocked.commands.checkpoint();
                let row = AppliedRow::NothingToClaim;
                let nothing = Applied { row, cost: 0, balance: 99, is_replay: false };
                mocked.commands.expect_apply().returning(move |_| Ok(nothing.clone()));
                cases.push(Case::new("nothing to claim", mocked, self.valid()));
            }
            304 => cases.push(whole("any etag", self.valid().header("if-none-match", "*"))),
            400 => {
                let unknown = self.with_body(self.asked("1", "?qqqqqqqq=1"));
                cases.push(whole("unknown parameter", unknown));
                // The header is malformed, or the operation does not support it.
                let header = if self.only_reads() { "if-match" } else { "idempotency-key" };
                cases.push(whole(header, self.valid().header(header, "a b")));
                if parses_json {
                    cases.push(whole("truncated JSON", self.sending("{\"")));
                }
            }
            401 if self.id == "recover" => {
                let wrong = format!(r#"{{"recovery_code": "{UNKNOWN_CODE}"}}"#);
                cases.push(whole("unknown code", self.sending(&wrong)));
            }
            401 => {
                cases.push(whole("no key", self.valid().without_key()));
                let wrong = self.valid().without_key().header("x-api-key", UNKNOWN_KEY);
                cases.push(whole("unknown key", wrong));
            }
            403 => cases.extend(self.forbidden()),
            404 if self.id == "brief" => {
                cases.push(whole("unknown session", self.asked("1", "?session_id=7")));
            }
            404 if !self.path.contains("{id}") => {}
            404 if self.method == "GET" => cases.push(whole("unknown id", self.asked("7", ""))),
            404 => cases.push(whole("malformed id", self.with_body(self.asked("x", "")))),
            408 => {
                let stalled = whole("stalled body", self.sending(""));
                cases.push(Case { is_cut_off: true, ..stalled });
            }
            412 => cases.iter_mut().for_each(|case| {
                case.ask = case.ask.clone().header("if-match", "\"gone\"");
            }),
            413 => {
                cases.push(whole("body over 1 MiB", self.sending(&" ".repeat(1024 * 1024 + 1))));
            }
            415 => {
                let sent = if self.body.is_some() { self.valid() } else { self.sending("{}") };
                cases.push(whole("no media type", sent.without("content-type")));
            }
            422 if parses_json => {
                cases.push(whole("unknown field", self.sending(r#"{"qqqqqqqq": 1}"#)));
            }
            422 if takes_lines => cases.push(whole("no header line", self.sending("{}"))),
            429 => {
                let mut mocked = self.whole();
                mocked.settings.limits = RateLimits {
                    requests_per_minute: NonZeroU32::new(1),
                    signups_per_hour: NonZeroU32::new(1),
                    recovers_per_hour: NonZeroU32::new(1),
                    ..RateLimits::OFF
                };
                // These need no key, so only the limit of 60 per address applies.
                let by_address = ["problems", "openapi"].contains(&self.id.as_str());
                let times = if by_address { 61 } else { 2 };
                cases.push(Case { times, ..Case::new("over the limit", mocked, self.valid()) });
            }
            500 => {
                cases.push(self.failing("failed statement", StoreError::Broken));
                let shows_text = ["getSession", "getTodo", "getActivity"];
                if shows_text.contains(&self.id.as_str()) {
                    cases.push(whole("unreadable text", self.asked(&DAMAGED.to_string(), "")));
                }
            }
            503 => {
                cases.push(self.failing("no database", StoreError::Unavailable));
                if self.method != "GET" {
                    cases.push(self.failing("full queue", |_| StoreError::Busy));
                    cases.push(self.failing("unanswered COMMIT", StoreError::OutcomeUnknown));
                }
            }
            _ => {}
        }
        cases
    }

    /// A caller that may not use the operation, or not for the rows that it selects.
    fn forbidden(&self) -> Option<Case> {
        let by_the_member =
            |ask: TestRequest| Some(Case::new("a member", self.whole(), ask.by_the_member()));
        match self.id.as_str() {
            "bootstrap" => {
                let mut mocked = self.whole();
                mocked.signup = Signup::Closed;
                Some(Case::new("closed sign-up", mocked, self.valid()))
            }
            "listAudit" | "import" => by_the_member(self.valid()),
            "search" => by_the_member(self.sending(r#"{"q": "docs", "actor_id": "all"}"#)),
            "listSessions" | "listTodos" | "listActivities" | "getActivityStats"
            | "getTodoStats" | "getCreditStats" | "export" | "brief" => {
                by_the_member(self.asked("1", "?actor_id=1"))
            }
            _ if self.account_kind() == AccountKind::Operator => {
                Some(Case::new("a customer", MockedApi::whole(), self.valid()))
            }
            _ => None,
        }
    }

    /// The refusals of the store that are answered with that status.
    fn refusals(&self, status: u16) -> Vec<Refusal> {
        let (session, actor) = (SessionId(1), ActorId(2));
        let mut refusals = match (self.id.as_str(), status) {
            ("startSession" | "createTodo" | "claimTodo" | "logActivity", 403) => {
                vec![Refusal::OwnerOnly]
            }
            ("startSession", 422) => vec![Refusal::NoSuchActor(actor)],
            ("createTodo" | "logActivity", 409) => vec![Refusal::SessionEnded(session)],
            ("logActivity", 422) => vec![
                Refusal::NoSuchActor(actor),
                Refusal::NoSuchSession(session),
                Refusal::TooManyActivityTypes,
            ],
            ("updateSession", 409) => {
                vec![
                    Refusal::AlreadyEnded(session),
                    Refusal::CannotReopen(session),
                    Refusal::SessionIdle(session),
                ]
            }
            ("updateActor" | "deactivateActor", 409) => vec![Refusal::OwnerStays],
            ("updateActor" | "deactivateActor", 404) => vec![Refusal::NotFound("actor")],
            ("addKey", 409) => vec![
                Refusal::ActorInactive(actor),
                Refusal::KeysRenewed(actor),
                Refusal::TooManyKeys(actor),
                Refusal::TooManyAccountKeys,
            ],
            ("addKey", 429) => vec![Refusal::TooManyRenewals {
                actor,
                next_at: at("2026-04-10T00:00:00Z"),
                wait_seconds: 36_000,
            }],
            ("addActor", 409) => vec![Refusal::TooManyActors, Refusal::KeysRenewed(ActorId(1))],
            ("addKey", 422) => vec![Refusal::NoSuchActor(actor), Refusal::ExpiryNotAhead],
            ("rotateKey", 409) => vec![Refusal::KeysRenewed(actor), Refusal::TooManyKeys(actor)],
            ("revokeKey", 404) => vec![Refusal::NotFound("key")],
            ("revokeKey", 409) => vec![Refusal::LastOwnerKey],
            ("renewRecoveryCode" | "recover", 409) => vec![Refusal::KeysRenewed(ActorId(1))],
            ("recover", 401) => vec![Refusal::CodeNotInForce],
            ("eraseAccount", 403) => {
                vec![Refusal::OwnerOnly, Refusal::WrongRecoveryCode, Refusal::Suspended]
            }
            ("eraseAccount", 409) => vec![Refusal::LastOperator],
            ("import", 402) => vec![Refusal::InsufficientCredits { balance: 0, cost: 1 }],
            ("import" | "grantCredits" | "suspendAccount" | "resumeAccount", 403) => {
                vec![Refusal::Suspended]
            }
            ("grantCredits" | "suspendAccount" | "resumeAccount", 404) => {
                vec![Refusal::NoSuchAccount(AccountId(9))]
            }
            ("grantCredits", 409) => vec![Refusal::BalanceTooHigh, Refusal::StillInFlight],
            ("grantCredits", 422) => vec![Refusal::KeyOfAnotherRequest],
            ("suspendAccount", 409) => vec![Refusal::OwnAccount],
            _ => refusals_of_todos(&self.id, status),
        };
        refusals.extend(match (self.id.as_str(), status) {
            ("revokeKey", 403) => vec![Refusal::KeyInGrace],
            ("rotateKey", 403) => vec![Refusal::KeyInGrace, Refusal::Suspended],
            (
                "addActor" | "updateActor" | "deactivateActor" | "addKey" | "renewRecoveryCode",
                403,
            ) => vec![Refusal::OwnerOnly, Refusal::KeyInGrace, Refusal::Suspended],
            _ => Vec::new(),
        });
        if !self.is_public && !self.only_reads() && status == 401 {
            refusals.push(Refusal::KeyNotInForce);
        }
        if self.is_charged {
            let what = match self.path.split('/').nth(3) {
                Some("sessions") => "session",
                Some("todos") => "todo",
                _ => "activity",
            };
            refusals.extend(match status {
                402 => Some(Refusal::InsufficientCredits { balance: 0, cost: 1 }),
                403 => Some(Refusal::Suspended),
                404 => Some(Refusal::NotFound(what)),
                409 => Some(Refusal::StillInFlight),
                412 => Some(Refusal::HasChanged(what)),
                422 => Some(Refusal::KeyOfAnotherRequest),
                _ => None,
            });
        }
        refusals
    }
}

/// The line of an answer in the snapshot. It has the headers of [`TestResponse::summary`].
fn line(operation: &str, case: &str, answer: &TestResponse) -> String {
    let summary = answer.summary();
    let head = summary.split("\n\n").next().unwrap_or_default();
    let headers: Vec<_> = head.lines().skip(1).collect();
    let mut line = format!("{operation}, {case}: {}", answer.status.as_u16());
    if let Some(kind) = problem_type(answer) {
        line = format!("{line} {}", kind.trim_start_matches("/docs/problems#"));
    }
    if headers.is_empty() { line } else { format!("{line} [{}]", headers.join("; ")) }
}

fn problem_type(answer: &TestResponse) -> Option<String> {
    let is_problem = answer.header("content-type") == "application/problem+json";
    is_problem.then(|| answer.json()["type"].as_str().unwrap().to_owned())
}

/// Checks that a JSON answer fits the schema of its response.
fn check_schema(document: &Value, response: &Value, answer: &TestResponse, what: &str) {
    let media_type = answer.header("content-type");
    if ["application/json", "application/problem+json"].contains(&media_type) {
        let schema = &response["content"][media_type]["schema"];
        assert!(schema.is_object(), "{what}: {media_type} is not described");
        fits(document, schema, &answer.json(), what);
    }
}

/// What the core refuses of todos with that status.
fn refusals_of_todos(operation: &str, status: u16) -> Vec<Refusal> {
    let (session, todo, actor) = (SessionId(1), TodoId(1), ActorId(2));
    let lost = |fate| Refusal::ClaimLost { todo, token: ClaimToken(1), fate };
    match (operation, status) {
        ("claimTodo", 409) => vec![
            Refusal::SessionEnded(session),
            Refusal::SessionIdle(session),
            Refusal::ClaimHeld { todo, until: at("2026-04-09T16:01:00Z") },
            Refusal::NotClaimable { todo, status: TodoStatus::Done },
        ],
        ("deleteTodo", 409) => vec![lost(ClaimFate::Retaken { standing: ClaimToken(2) })],
        ("releaseTodo", 409) => vec![lost(ClaimFate::Ended { status: TodoStatus::Open })],
        ("createTodo" | "claimTodo", 422) => {
            vec![Refusal::NoSuchActor(actor), Refusal::NoSuchSession(session)]
        }
        ("updateTodo", 409) => {
            let (from, to) = (TodoStatus::Done, TodoStatus::Cancelled);
            vec![Refusal::ForbiddenStep { from, to }, lost(ClaimFate::NotYet { count: 0 })]
        }
        ("updateTodo", 422) => {
            vec![Refusal::NoSuchSession(session), Refusal::NoteWithoutChange]
        }
        _ => Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn every_described_status_and_problem_type_is_answered() {
    let document = document();
    let (mut kinds, mut missed, mut lines) = (BTreeSet::new(), Vec::new(), Vec::new());
    for operation in operations() {
        let described = Described::of(&document, &operation);
        for (status, response) in operation.value["responses"].as_object().unwrap() {
            let response = resolved(&document, response);
            let cases = described.cases(status.parse().unwrap());
            if cases.is_empty() {
                missed.push(format!("no case answers {status} of {operation}"));
            }
            for case in cases {
                let name = case.name.clone();
                let mut answer = case.answer().await;
                if answer.status.as_str() != status {
                    let mismatch = format!("{} instead of {status} of {operation}", answer.status);
                    missed.push(format!("{mismatch}, {name}: {}", answer.body));
                    continue;
                }
                let is_document = described.id == "openapi" && answer.status.is_success();
                if !is_document {
                    let what = format!("{status} of {operation}, {name}");
                    check_schema(&document, &response, &answer, &what);
                }
                if ["openapi", "problems"].contains(&described.id.as_str()) {
                    // It is a hash of the whole document, so it changes with every text in it.
                    answer.headers.remove("etag");
                }
                kinds.extend(problem_type(&answer));
                lines.push(line(&described.id, &name, &answer));
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new());
    assert_snapshot!("answers", lines.join("\n"));
    let responses = document["components"]["responses"].as_object().unwrap().values();
    let examples = responses.flat_map(|response| {
        response["content"]["application/problem+json"]["examples"].as_object().unwrap().values()
    });
    let described: BTreeSet<_> =
        examples.map(|example| example["value"]["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, described);
    // No operation has this answer, because OpenAPI describes only the methods of a path.
    let other = ask("PUT", "/api/v1/todos").of_the_whole_api().await;
    assert_eq!(problem_type(&other).as_deref(), Some("/docs/problems#method-not-allowed"));
}
