//! Random histories of an account are exported, imported into a new account and exported again. The
//! seeds are fixed, so each run is the same.

use roots_domain::port::store::Verifier;
use roots_testkit::app::TestApp;
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use serde_json::{Value, json};

use crate::client::balance;
use crate::fuzz::FuzzRng;
use crate::imports::{exported, import, lines, renumbered};

roots_testkit::on_both! { a_random_history_survives_export_and_import }

const HISTORIES: u64 = 3;
/// How many requests make up a history. Some are refused.
const STEPS: usize = 150;
const TEXTS: [&str; 8] = [
    "plain",
    " kept \t as it is\r\n",
    "\u{1}\u{7f}\u{2028}",
    "\u{1f980} e\u{301} \u{200f}",
    "\"quoted\\\"",
    "{\"kind\":\"end\"}",
    "0123456789012345678901234567890",
    "01234567890123456789012345678901",
];
const STATUSES: [&str; 4] = ["open", "in_progress", "done", "cancelled"];
const TIMES: [&str; 5] = [
    "1970-01-01T00:00:00Z",
    "2025-03-30T01:59:59.999999Z",
    "2026-04-09",
    "2026-04-09T14:00:00+05:45",
    "9999-12-31T23:59:59.999999Z",
];

/// A random text, or null.
fn text(rng: &mut FuzzRng) -> Value {
    if rng.is_one_in(5) { Value::Null } else { rng.one_of(&TEXTS).into() }
}

/// A random id. A row with this id may exist.
fn id(rng: &mut FuzzRng) -> usize {
    1 + rng.roll(20)
}

/// A random write of the owner for itself or for the member. The API may refuse it, but not with
/// 5xx.
async fn step(app: &TestApp, rng: &mut FuzzRng) {
    let actor = 1 + rng.roll(2);
    let session = if rng.is_one_in(2) { json!(id(rng)) } else { Value::Null };
    let (status, when) = (rng.one_of(&STATUSES), rng.one_of(&TIMES));
    let answer = match rng.roll(12) {
        0 | 1 => app.post("/sessions", &json!({ "notes": text(rng), "actor_id": actor })).await,
        2 => {
            let end = json!({ "status": "ended", "notes": text(rng) });
            app.patch(&format!("/sessions/{}", id(rng)), &end).await
        }
        3 | 4 => {
            let todo = json!({
                "title": rng.one_of(&TEXTS), "description": text(rng), "priority": rng.roll(4),
                "due_at": when, "session_id": session, "actor_id": actor
            });
            app.post("/todos", &todo).await
        }
        5 | 6 => {
            let change = json!({ "status": status, "note": text(rng) });
            app.patch(&format!("/todos/{}", id(rng)), &change).await
        }
        7 => {
            let change = json!({ "description": text(rng), "session_id": session, "due_at": null });
            app.patch(&format!("/todos/{}", id(rng)), &change).await
        }
        8 | 9 => {
            let activity = json!({
                "description": rng.one_of(&TEXTS), "activity_type": status, "logged_at": when,
                "session_id": session, "actor_id": actor
            });
            app.post("/activities", &activity).await
        }
        10 => {
            let kind = rng.one_of(&["sessions", "todos", "activities"]);
            app.delete(&format!("/{kind}/{}", id(rng))).await
        }
        _ => {
            // The clock advances only here, so many rows have the same time.
            app.context.clock.advance_seconds(i64::try_from(rng.roll(5_000)).unwrap());
            return;
        }
    };
    assert!(answer.status < 500, "{}", answer.text);
}

/// A new account with a member.
async fn account_with_member(app: &TestApp, credits: i64) -> TestApp {
    let account = app.as_another(credits).await;
    let owner = account.context.admit(&account.credentials).await;
    add_member(&account.database, &owner, 2).await;
    account
}

async fn a_random_history_survives_export_and_import(database: TestDatabase) {
    let app = TestApp::start(database, 10).await;
    for seed in 1..=HISTORIES {
        let mut rng = FuzzRng(seed);
        let original = account_with_member(&app, 1_000).await;
        for _ in 0..STEPS {
            step(&original, &mut rng).await;
        }
        let file = exported(&original).await;
        let rows = lines(&file);
        let kinds = ["session", "todo", "todo_log", "activity"];
        assert!(kinds.iter().all(|kind| rows.iter().any(|row| row["kind"] == *kind)), "{seed}");

        let other = account_with_member(&app, 1_000).await;
        let dry_run = import(&other, "?dry_run=true", file.clone()).await.expect(200);
        let report = import(&other, "", file.clone()).await.expect(200);
        let found =
            ["imported", "cost", "faults", "lines"].map(|name| (&report[name], &dry_run[name]));
        assert!(
            found.iter().all(|(report, dry_run)| report == dry_run),
            "{seed}: {dry_run} {report}"
        );
        assert_eq!(
            (&report["faulty"], &report["is_whole"]),
            (&json!(0), &json!(true)),
            "{seed}: {report}"
        );
        let again = exported(&other).await;
        assert_eq!(renumbered(&again), renumbered(&file), "{seed}");
        let stats = "/activities/stats?actor_id=all";
        assert_eq!(other.get(stats).await.expect(200), original.get(stats).await.expect(200));
        let written = rows.iter().filter(|row| kinds.contains(&row["kind"].as_str().unwrap()));
        let cost = i64::try_from(written.count()).unwrap();
        assert_eq!((&report["cost"], balance(&other).await), (&json!(cost), 1_000 - cost));

        // Import parts of the second file that are cut at random lines, and then the whole file.
        let third = account_with_member(&app, 1_000).await;
        for _ in 0..4 {
            let part: Vec<_> = again.lines().take(1 + rng.roll(rows.len())).collect();
            let report = import(&third, "", part.join("\n")).await.expect(200);
            assert_eq!(report["faulty"], 0, "{seed}: {report}");
        }
        import(&third, "", again.clone()).await.expect(200);
        assert_eq!(renumbered(&exported(&third).await), renumbered(&file), "{seed}");
    }
    let (_, errors) = Verifier::verify(&app.context.store).await.unwrap();
    assert_eq!(errors, []);
}
