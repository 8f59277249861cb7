//! Fills an account through the API, as agents would: with a past, and with what happens now.

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::api::Api;

/// Where the rows of the past come from. Any UUID would do.
const SOURCE: &str = "0195d1a0-0000-7000-8000-000000000001";
/// The kinds of entries, the most frequent first.
const KINDS: [&str; 10] = [
    "edit", "test", "review", "deploy", "research", "question", "docs", "triage", "release", "ops",
];
/// The kinds of the past: the questions of that time are answered.
const PAST_KINDS: [&str; 9] =
    ["edit", "test", "review", "deploy", "research", "docs", "triage", "release", "ops"];
const WORKS: [&str; 8] = [
    "Split the parser into a lexer and a grammar",
    "Find out why the nightly build is slow",
    "Write the guide for new contributors",
    "Add rate limits to the public endpoints",
    "Move the settings into one file",
    "Deploy the docs pages",
    "Check the backup by restoring it",
    "Answer the open questions of the review",
];

/// How much there is to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Nothing: the account is new.
    Empty,
    /// Four agents, half a year of work, a few things that need a person.
    Usual,
    /// Twelve agents, a year of work, hundreds of todos, long and odd texts.
    Crowded,
}

impl Amount {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Empty, Self::Usual, Self::Crowded];

    /// Its name in the paths of pictures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Usual => "usual",
            Self::Crowded => "crowded",
        }
    }

    /// The names of the agents that work beside the owner.
    const fn agents(self) -> &'static [&'static str] {
        match self {
            Self::Empty => &[],
            Self::Usual => &["builder", "docs-agent", "scout"],
            Self::Crowded => &[
                "builder",
                "docs-agent",
                "scout",
                "reviewer",
                "release-train-conductor-for-all-platforms-and-regions",
                "\u{5d0}\u{5d9}\u{5dc}\u{5e0}\u{5d4}",
                "<b>bold</b>",
                "tester-1",
                "tester-2",
                "tester-3",
                "importer",
            ],
        }
    }

    const fn days(self) -> i64 {
        match self {
            Self::Empty => 0,
            Self::Usual => 180,
            Self::Crowded => 364,
        }
    }
}

/// An account to look at.
pub struct Seeded {
    /// Its owner.
    pub owner: Api,
    /// Its agents, with their ids.
    pub agents: Vec<(i64, Api)>,
    /// A todo that is in progress, with a description, a session and steps.
    pub todo: Option<i64>,
    /// An active session with notes, todos and entries.
    pub session: Option<i64>,
    /// An entry in it.
    pub entry: Option<i64>,
}

impl Seeded {
    /// Makes an account on the server at this URL.
    pub async fn new(url: &str, amount: Amount) -> Self {
        let owner = Api::sign_up(url, "Acme", "Ada").await;
        let mut seeded = Self { owner, agents: Vec::new(), todo: None, session: None, entry: None };
        for name in amount.agents() {
            let added = seeded.owner.add_member(name).await;
            seeded.agents.push(added);
        }
        if amount != Amount::Empty {
            seeded.owner.import(past(amount)).await;
            seeded.present(amount).await;
        }
        seeded
    }

    /// What happens now.
    async fn present(&mut self, amount: Amount) {
        for (index, (_, agent)) in self.agents.iter().enumerate() {
            let notes = format!("**Goal**: {}.\n\n- read the code\n- write the tests", work(index));
            let session = agent.post("/sessions", &json!({ "notes": notes })).await;
            let session = session["session_id"].clone();
            let title = work(index);
            let description = "Why: users ask for it.\n\n1. Look at `main.rs`\n2. See <https://example.com/guide>";
            let todo = agent
                .post(
                    "/todos",
                    &json!({
                        "title": title, "description": description, "session_id": session,
                        "priority": index % 4
                    }),
                )
                .await;
            let path = format!("/todos/{}", todo["todo_id"]);
            agent.patch(&path, &json!({ "status": "in_progress", "note": "Taken up" })).await;
            for (step, kind) in KINDS.iter().enumerate().take(5 + index % 3) {
                let said = format!("{} ({} of 5)", work(index + step), step + 1);
                let made = agent.post("/activities", &entry(&said, kind, &session)).await;
                self.entry = self.entry.or(made["activity_id"].as_i64());
            }
            if index == 0 {
                (self.todo, self.session) = (todo["todo_id"].as_i64(), session.as_i64());
            }
            if index == 1 {
                let asked = "Which of the two layouts shall the guide have?";
                agent.post("/activities", &entry(asked, "question", &session)).await;
            }
            if index == 2 {
                // What it left behind needs a person.
                let path = format!("/sessions/{}", session.as_i64().unwrap_or_default());
                agent.patch(&path, &json!({ "status": "ended" })).await;
            }
        }
        let count = if amount == Amount::Crowded { 140 } else { 7 };
        let now = Timestamp::now();
        for index in 0..count {
            let due = (index % 3 == 0).then(|| (now + (index - 2).hours()).to_string());
            let title = match (amount, index) {
                (Amount::Crowded, 0) => format!("A title without blanks: {}", "x".repeat(300)),
                (Amount::Crowded, 1) => "<script>document.title = 'broken'</script>".to_owned(),
                (Amount::Crowded, 2) => {
                    "\u{5db}\u{5d5}\u{5ea}\u{5e8}\u{5ea} \u{202e} abc".to_owned()
                }
                _ => work(usize::try_from(index).unwrap_or_default()).to_owned(),
            };
            let body = json!({ "title": title, "priority": index % 4, "due_at": due });
            self.owner.post("/todos", &body).await;
        }
    }
}

fn work(index: usize) -> &'static str {
    WORKS.get(index % WORKS.len()).copied().unwrap_or_default()
}

fn entry(said: &str, kind: &str, session: &Value) -> Value {
    json!({ "description": said, "activity_type": kind, "session_id": session })
}

/// The file of an export of another server, with the work of the days before.
fn past(amount: Amount) -> String {
    let now = Timestamp::now();
    let names: Vec<&str> = std::iter::once("Ada").chain(amount.agents().iter().copied()).collect();
    let mut lines = vec![json!({ "kind": "export", "format": 1, "source": SOURCE })];
    for (index, name) in names.iter().enumerate() {
        let (kind, role) = if index == 0 { ("human", "owner") } else { ("agent", "member") };
        lines.push(json!({
            "kind": "actor", "actor_id": index + 1, "name": name, "actor_type": kind, "role": role
        }));
    }
    let (mut sessions, mut todos, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    // Numbers that look random and are the same each time.
    let mut state = 12_345_u64;
    let mut below = |limit: usize| -> usize {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % limit
    };
    for days_ago in (1..=amount.days()).rev() {
        let weekend = days_ago % 7 < 2;
        for actor in 2..=names.len() {
            if below(10) < if weekend { 8 } else { 3 } {
                continue;
            }
            let start = now - (days_ago * 24 - i64::try_from(below(9)).unwrap_or_default()).hours();
            let minutes = 20 + i64::try_from(below(200)).unwrap_or_default();
            let id = sessions.len() + 1;
            sessions.push(json!({
                "kind": "session", "session_id": id, "status": "ended", "notes": work(below(8)),
                "started_at": start.to_string(), "ended_at": (start + minutes.minutes()).to_string(),
                "ended_reason": if below(9) == 0 { "idle" } else { "ended" }, "actor_id": actor,
            }));
            for step in 0..=below(5) {
                let at = start + (minutes / 6 * i64::try_from(step).unwrap_or_default()).minutes();
                entries.push(json!({
                    "kind": "activity", "activity_id": entries.len() + 1, "session_id": id,
                    "activity_type": PAST_KINDS[below(9).min(below(9))], "description": work(below(8)),
                    "logged_at": at.to_string(), "actor_id": actor,
                }));
            }
            if below(3) == 0 {
                todos.push((id, actor, start, minutes));
            }
        }
    }
    lines.append(&mut sessions);
    let mut steps = 0;
    for (index, (session, actor, start, minutes)) in todos.into_iter().enumerate() {
        let id = index + 1;
        lines.push(json!({
            "kind": "todo", "todo_id": id, "session_id": session, "title": work(below(8)),
            "status": "done", "first_status": "open", "priority": below(4),
            "created_at": start.to_string(), "actor_id": actor,
        }));
        let end = if below(8) == 0 { "cancelled" } else { "done" };
        for (old, new, after) in [("open", "in_progress", 1), ("in_progress", end, minutes)] {
            steps += 1;
            lines.push(json!({
                "kind": "todo_log", "log_id": steps, "todo_id": id, "old_status": old,
                "new_status": new, "logged_at": (start + after.minutes()).to_string(),
                "actor_id": actor,
            }));
        }
    }
    lines.append(&mut entries);
    let mut text = String::new();
    for line in &lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}
