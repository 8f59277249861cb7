//! Random writes over HTTP, and their comparison with the reference model.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what goes wrong in a test has to fail it")]

use std::collections::BTreeMap;

use reqwest::Method;
use roots_domain::command::{AppliedRow, Command};
use roots_domain::model::id::{AccountId, ActorId, KeyId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::session::SessionWindow;
use roots_domain::model::time::{TimeRange, Timestamp};
use roots_domain::model::todo::TodoStatus;
use roots_domain::port::store::{ActivityFilter, TodoQuery};
use roots_domain::reference_model::ReferenceModel;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::commands::Issuer;
use crate::program::{Api, Server, WorkFolder, text};
use crate::seeded_rng::SeededRng;

/// How many callers write to each account at the same time.
const CALLERS: u64 = 8;
/// How many writes each caller sends.
const WRITES: usize = 40;

/// A charged write, as it is sent over HTTP.
#[derive(Debug, Clone)]
enum Write {
    Start,
    End(i64),
    DeleteSession(i64),
    Create { title: String, priority: i64, session: Option<i64> },
    Step(i64, TodoStatus),
    DeleteTodo(i64),
    Log { kind: &'static str, session: Option<i64> },
    DeleteActivity(i64),
}

/// The description of every activity. [`Issuer`] uses the same.
const DESCRIPTION: &str = "what happened";

impl Write {
    /// A random write. The ids are low, so some rows exist and some have been deleted.
    fn random(rng: &mut SeededRng, caller: u64) -> Self {
        let id = 1 + rng.below(30);
        let session = rng.once_in(3).then(|| 1 + rng.below(4));
        match rng.below(16) {
            0 => Self::Start,
            1 => Self::End(1 + rng.below(4)),
            2 if rng.once_in(3) => Self::DeleteSession(1 + rng.below(4)),
            2..=5 => {
                let title = format!("{caller} wants {}", rng.below(1_000));
                Self::Create { title, priority: rng.below(4), session }
            }
            6..=9 => Self::Step(id, rng.one(&TodoStatus::ALL)),
            10 => Self::DeleteTodo(id),
            11..=14 => Self::Log { kind: rng.one(&["deploy", "review"]), session },
            _ => Self::DeleteActivity(id),
        }
    }

    fn request(&self) -> (Method, String, Option<Value>) {
        let (method, path, body) = match self {
            Self::Start => (Method::POST, "sessions".to_owned(), Some(json!({}))),
            Self::End(id) => {
                (Method::PATCH, format!("sessions/{id}"), Some(json!({ "status": "ended" })))
            }
            Self::DeleteSession(id) => (Method::DELETE, format!("sessions/{id}"), None),
            Self::Create { title, priority, session } => {
                let body = json!({ "title": title, "priority": priority, "session_id": session });
                (Method::POST, "todos".to_owned(), Some(body))
            }
            Self::Step(id, status) => {
                (Method::PATCH, format!("todos/{id}"), Some(json!({ "status": status.name() })))
            }
            Self::DeleteTodo(id) => (Method::DELETE, format!("todos/{id}"), None),
            Self::Log { kind, session } => {
                let body = json!({
                    "description": DESCRIPTION, "activity_type": kind, "session_id": session,
                });
                (Method::POST, "activities".to_owned(), Some(body))
            }
            Self::DeleteActivity(id) => (Method::DELETE, format!("activities/{id}"), None),
        };
        (method, format!("/api/v1/{path}"), body)
    }

    /// The same write as a command for the reference model.
    fn command(&self, issuer: &Issuer) -> Command {
        match self {
            Self::Start => issuer.start_session(),
            Self::End(id) => issuer.end_session(*id),
            Self::DeleteSession(id) => issuer.delete_session(*id),
            Self::Create { title, priority, session } => {
                issuer.create_todo_as(title, *priority, *session)
            }
            Self::Step(id, status) => issuer.step_todo(*id, *status),
            Self::DeleteTodo(id) => issuer.delete_todo(*id),
            Self::Log { kind, session } => issuer.log_activity_as(kind, *session, None),
            Self::DeleteActivity(id) => issuer.delete_activity(*id),
        }
    }
}

/// The answer to an applied write.
struct Done {
    write: Write,
    /// The balance after the write. It orders the writes of an account.
    left: i64,
    body: Value,
    is_replay: bool,
}

/// Sends a write. Returns `None` if a rule of the domain refused it.
async fn ask(api: &Api, write: &Write, name: Option<&str>) -> Option<Done> {
    let (method, path, body) = write.request();
    let mut request = api.ask(method, &path);
    if let Some(body) = body {
        request = request.json(&body);
    }
    if let Some(name) = name {
        request = request.header("Idempotency-Key", name);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    if !status.is_success() {
        let refused = [402, 404, 409, 422].contains(&status.as_u16());
        assert!(refused, "{write:?}: {status} {text}");
        return None;
    }
    let left = headers["x-credits-remaining"].to_str().unwrap().parse().unwrap();
    let body = serde_json::from_str(&text).unwrap();
    let is_replay = headers.contains_key("idempotent-replayed");
    Some(Done { write: write.clone(), left, body, is_replay })
}

/// Sends random writes to random servers. One write in four is sent twice at once, with the same
/// idempotency key.
async fn send_random_writes(servers: Vec<Api>, seed: u64) -> Vec<Done> {
    let mut rng = SeededRng(seed);
    let mut done = Vec::new();
    for number in 0..WRITES {
        let write = Write::random(&mut rng, seed);
        let (api, other) = (rng.one(&servers), rng.one(&servers));
        if rng.once_in(4) {
            let name = format!("{seed}-{number}");
            let duplicates = (ask(&api, &write, Some(&name)), ask(&other, &write, Some(&name)));
            let duplicates: Vec<_> =
                <[_; 2]>::from(tokio::join!(duplicates.0, duplicates.1)).into();
            let duplicates: Vec<_> = duplicates.into_iter().flatten().collect();
            let first = duplicates.iter().filter(|duplicate| !duplicate.is_replay).count();
            assert!(first == 1 || duplicates.is_empty(), "{write:?} was done {first} times");
            assert!(duplicates.windows(2).all(|two| two[0].body == two[1].body), "{write:?}");
            done.extend(duplicates.into_iter().filter(|duplicate| !duplicate.is_replay));
        } else {
            done.extend(ask(&api, &write, None).await);
        }
    }
    done
}

/// Applies the writes of an account to the model, in the order in which they were charged. The
/// model must accept each and produce the same ids, rows and balances.
fn replay(account: i64, credits: i64, mut done: Vec<Done>) -> (ReferenceModel, Issuer) {
    let mut issuer = Issuer {
        account: AccountId(account),
        actor: ActorId(1),
        key: KeyId(1),
        auth_epoch: 0,
        at: Timestamp::FIRST,
    };
    let mut model = issuer.reference_model(credits);
    done.sort_by_key(|one| std::cmp::Reverse(one.left));
    for Done { write, left, body, .. } in done {
        let at = ["ended_at", "updated_at", "created_at", "started_at"];
        let at = at.iter().find_map(|field| body[field].as_str());
        issuer.at = at.map_or(issuer.at, |at| Timestamp::parse(at).unwrap());
        let applied = model.expect(&write.command(&issuer));
        let applied = applied.unwrap_or_else(|refusal| panic!("{write:?} was done: {refusal}"));
        assert_eq!(applied.balance, left, "{write:?}");
        match &applied.row {
            AppliedRow::Session(row) => {
                assert_eq!(body["session_id"], row.id.0, "{write:?}");
                assert_eq!(body["status"], row.status.kind().name(), "{write:?}");
            }
            AppliedRow::Todo(row) => assert_eq!(shown(&body), shown_todo(row), "{write:?}"),
            AppliedRow::Activity(row) => assert_eq!(body["activity_id"], row.id.0, "{write:?}"),
            _ => assert_eq!(body["status"], "deleted", "{write:?}"),
        }
    }
    (model, issuer)
}

/// The fields of a todo that are compared, from an answer of the API.
fn shown(todo: &Value) -> Value {
    let fields = [
        "todo_id",
        "session_id",
        "title",
        "status",
        "priority",
        "created_at",
        "updated_at",
        "status_since",
    ];
    json!(fields.map(|field| (field, todo[field].clone())).into_iter().collect::<BTreeMap<_, _>>())
}

/// The same fields of a todo of the model.
fn shown_todo(row: &roots_domain::model::todo::Todo<roots_domain::model::sealed::Sealed>) -> Value {
    json!({
        "todo_id": row.id.0,
        "session_id": row.content.session.map(|session| session.0),
        "title": text(&row.content.title.0),
        "status": row.status.name(),
        "priority": row.content.priority.level(),
        "created_at": row.created_at.to_string(),
        "updated_at": row.updated_at.to_string(),
        "status_since": row.status_since.to_string(),
    })
}

/// The rows of all pages of a list.
async fn list(api: &Api, path: &str, name: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.read(&format!("/api/v1/{path}?limit=50{cursor}")).await;
        rows.extend(page[name].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else {
            assert_eq!(page["total"], rows.len(), "{path}");
            return rows;
        };
        cursor = format!("&cursor={next}");
    }
}

/// Asserts that a server shows the same rows, statistics and ledger as the model.
async fn assert_agrees_with_model(api: &Api, model: &ReferenceModel, issuer: &Issuer) {
    let (account, actor, page) = (issuer.account, Some(issuer.actor), PageRequest::default());
    let query =
        TodoQuery { by: account.into(), actor, status: None, priority: None, session: None, page };
    let todos: Vec<_> = list(api, "todos", "todos").await.iter().map(shown).collect();
    assert_eq!(todos, model.todos(&query).iter().map(shown_todo).collect::<Vec<_>>());
    let sessions = list(api, "sessions", "sessions").await;
    let sessions = sessions.iter().map(|row| (row["session_id"].clone(), row["status"].clone()));
    let expected = model.sessions(actor, None, SessionWindow::default()).into_iter();
    let expected = expected.map(|row| (json!(row.id.0), json!(row.status.kind().name())));
    assert_eq!(sessions.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let filter = ActivityFilter {
        by: account.into(),
        actor,
        activity_type: None,
        session: None,
        range: TimeRange::default(),
    };
    let activities = list(api, "activities", "activities").await;
    let activities = activities.iter().map(|row| {
        assert_eq!(row["description"], DESCRIPTION);
        (row["activity_id"].clone(), row["activity_type"].clone(), row["session_id"].clone())
    });
    let expected = model.activities(&filter).into_iter().map(|row| {
        let session = row.session.map(|session| session.0);
        (json!(row.id.0), json!(row.activity_type.as_str()), json!(session))
    });
    let expected: Vec<_> = expected.collect();
    assert_eq!(activities.collect::<Vec<_>>(), expected);
    let counted = api.read("/api/v1/activities/stats").await;
    assert_eq!(counted["total_activities"], expected.len(), "{counted}");
    for row in model.todos(&query) {
        let log = api.read(&format!("/api/v1/todos/{}/logs", row.id.0)).await;
        let steps = log["logs"].as_array().unwrap();
        let mut status = json!("open");
        for step in steps {
            assert_eq!(step["old_status"], status, "{log}");
            status = step["new_status"].clone();
        }
        assert_eq!(status, row.status.name(), "{log}");
    }
    let entries = list(api, "credits/ledger", "entries").await;
    let entries = entries.iter().map(|row| {
        let fields = ["ledger_id", "delta", "balance_after", "reason", "related_endpoint"];
        json!(fields.map(|field| row[field].clone()))
    });
    let expected = model.ledger(None).into_iter().map(|row| {
        json!([row.id.0, row.delta, row.balance_after, row.reason.name(), row.endpoint])
    });
    assert_eq!(entries.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let balance = api.read("/api/v1/credits").await;
    assert_eq!(balance["balance"], model.account.balance);
}

/// Writes to two accounts by all servers at the same time, and asserts that each server then shows
/// what the model says, and that nothing else went wrong. Stops the servers, which use a new
/// database.
pub async fn assert_servers_agree(folder: &WorkFolder, servers: Vec<Server>) {
    let operator = folder.operator_key();
    // The second account has fewer credits than its callers send writes.
    let accounts = [(1, 1_000_000, operator), (2, 100, folder.bootstrap(&[]).0)];
    let mut callers = JoinSet::new();
    for (account, _, key) in &accounts {
        let apis: Vec<_> = servers.iter().map(|server| server.client(key)).collect();
        for caller in 0..CALLERS {
            let seed = 1_000 * u64::try_from(*account).unwrap() + caller;
            let (account, apis) = (*account, apis.clone());
            callers.spawn(async move { (account, send_random_writes(apis, seed).await) });
        }
    }
    let mut done = BTreeMap::<i64, Vec<Done>>::new();
    for (account, theirs) in callers.join_all().await {
        done.entry(account).or_default().extend(theirs);
    }
    for (account, credits, key) in &accounts {
        let done = done.remove(account).unwrap();
        assert!(done.len() >= 100.min(usize::try_from(*credits).unwrap()), "{}", done.len());
        let (model, issuer) = replay(*account, *credits, done);
        for server in &servers {
            assert_agrees_with_model(&server.client(key), &model, &issuer).await;
        }
    }
    for server in servers {
        let log = server.stop();
        let errors = log.iter().filter(|line| line["level"] == "ERROR").collect::<Vec<_>>();
        assert!(errors.is_empty(), "{errors:?}");
    }
    let verified = folder.run(&["verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}
