//! Answered writes survive every end of the server: SIGTERM, SIGKILL and a full disk.

use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use roots_testkit::database::until;
use sea_orm::{ConnectionTrait, DbBackend};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::program::{Api, PROGRAM, Server, WorkFolder, in_time, text, wait_for};

const CALLERS: usize = 8;
/// How many writes are answered before the server gets a signal.
const ENOUGH: usize = 200;

/// Callers that write until a request fails, and the number of answered writes.
struct Load {
    callers: JoinSet<Vec<String>>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    fn start(api: &Api, round: u32) -> Self {
        let answered = Arc::new(AtomicUsize::new(0));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (api, answered) = (api.clone(), Arc::clone(&answered));
            callers.spawn(async move {
                let mut texts = Vec::new();
                for number in 0_u32.. {
                    let text = format!("round {round}: {caller} wrote its number {number}");
                    if !api.log_activity(&text).await {
                        break;
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                    texts.push(text);
                }
                texts
            });
        }
        Self { callers, answered }
    }

    async fn end(self) -> Vec<String> {
        self.callers.join_all().await.concat()
    }
}

/// Sends `signal` to a server while callers write. Returns the texts of the answered writes.
async fn end_under_load(folder: &WorkFolder, signal: Signal, round: u32) -> Vec<String> {
    let mut server = folder.serve();
    let load = Load::start(&server.client(&folder.operator_key()), round);
    let answered = Arc::clone(&load.answered);
    wait_for("enough answers", || (answered.load(Ordering::Relaxed) >= ENOUGH).then_some(()));
    server.signal(signal);
    let status = server.end();
    assert_eq!(status.success(), signal == Signal::SIGTERM, "{status}: {:?}", server.log());
    load.end().await
}

/// Starts a server again. All of `texts` must be there, and the balance must match the writes.
async fn assert_all_written(folder: &WorkFolder, texts: &[String]) {
    assert!(texts.len() >= ENOUGH);
    let server = folder.serve();
    let api = server.client(&folder.operator_key());
    let there: HashSet<String> = api.activities().await.into_iter().collect();
    let lost: Vec<_> = texts.iter().filter(|text| !there.contains(*text)).collect();
    assert!(lost.is_empty(), "answered, but not there: {lost:?}");
    // A write without an answer may have been applied. It was charged then.
    let balance = api.read("/api/v1/credits").await["balance"].as_i64().unwrap();
    assert_eq!(balance, 1_000_000 - i64::try_from(there.len()).unwrap());
    server.stop();
    let verified = folder.run(&["verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

async fn a_stop_under_load_loses_no_answered_write(folder: WorkFolder) {
    let texts = end_under_load(&folder, Signal::SIGTERM, 1).await;
    assert_all_written(&folder, &texts).await;
}

async fn a_kill_under_load_loses_no_answered_write(folder: WorkFolder) {
    for round in 1..=2 {
        let texts = end_under_load(&folder, Signal::SIGKILL, round).await;
        assert_all_written(&folder, &texts).await;
    }
}

/// Each caller's last write got no answer, and may have been applied. All writes are sent again
/// with their idempotency keys: each must be applied and charged exactly once.
async fn a_write_repeated_by_its_idempotency_key_after_a_kill_is_applied_once(folder: WorkFolder) {
    let mut server = folder.serve();
    let api = server.client(&folder.operator_key());
    let answered = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (api, answered) = (api.clone(), Arc::clone(&answered));
        callers.spawn(async move {
            let mut asked = Vec::new();
            for number in 0_u32.. {
                let name = format!("{caller}-{number}");
                let found = api.log_named(&name).await;
                asked.push((name, found.is_some()));
                if found.is_none() {
                    break;
                }
                answered.fetch_add(1, Ordering::Relaxed);
            }
            asked
        });
    }
    wait_for("enough answers", || (answered.load(Ordering::Relaxed) >= ENOUGH).then_some(()));
    server.signal(Signal::SIGKILL);
    server.end();
    let asked = callers.join_all().await.concat();
    assert!(asked.iter().any(|(_, was_answered)| !was_answered));

    let server = folder.serve();
    let api = server.client(&folder.operator_key());
    for (name, was_answered) in &asked {
        let is_replay = api.log_named(name).await.unwrap();
        assert!(is_replay || !was_answered, "{name} was answered, and done again");
    }
    let there: HashSet<String> = api.activities().await.into_iter().collect();
    assert_eq!(there.len(), asked.len(), "each stands");
    assert_eq!(api.read("/api/v1/activities?limit=1").await["total"], asked.len(), "and once");
    let balance = api.read("/api/v1/credits").await["balance"].as_i64().unwrap();
    assert_eq!(balance, 1_000_000 - i64::try_from(asked.len()).unwrap());
    server.stop();
    let verified = folder.run(&["verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

/// A process is killed while it sweeps an erased account. The next process sweeps the rest.
async fn a_sweep_that_was_killed_continues_after_a_restart(folder: WorkFolder) {
    const ROWS: i64 = 30_000;
    let (key, code) = folder.bootstrap(&[]);
    let db = folder.database().await;
    let many = format!(
        "WITH RECURSIVE days(day) AS (SELECT 1 UNION ALL SELECT day + 1 FROM days WHERE day < {ROWS}) \
         INSERT INTO usage (account_id, day, route, method, calls) \
         SELECT 1, day, '/todos', 'GET', 1 FROM days"
    );
    db.execute_unprepared(&many).await.unwrap();
    // A trigger forbids deleting one row, so the sweep cannot end before the signal.
    let (stop, go_on) = if db.get_database_backend() == DbBackend::Postgres {
        (
            "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN RAISE EXCEPTION 'stop'; END $$; \
             CREATE TRIGGER stop BEFORE DELETE ON usage FOR EACH ROW \
                WHEN (OLD.day = 20000) EXECUTE FUNCTION stop()",
            "DROP TRIGGER stop ON usage",
        )
    } else {
        (
            "CREATE TRIGGER stop BEFORE DELETE ON usage WHEN OLD.day = 20000 \
                BEGIN SELECT RAISE(ABORT, 'stop'); END",
            "DROP TRIGGER stop",
        )
    };
    db.execute_unprepared(stop).await.unwrap();
    let left = "usage WHERE account_id = 1";

    let mut server = folder.serve();
    server.client(&key).erase(&code).await;
    server.signal(Signal::SIGKILL);
    server.end();
    assert!(folder.count(left).await > 0, "it was killed in the middle of it");
    assert_eq!(folder.count("erasures WHERE swept_at IS NULL").await, 1);
    // The sweep deletes the wraps of API keys and recovery codes first.
    let held = "key_wraps WHERE account_id = 1 AND holder_kind IN ('api_key', 'recovery')";
    assert_eq!(folder.count(held).await, 0);
    db.execute_unprepared(go_on).await.unwrap();
    db.close().await.unwrap();

    let server = folder.serve();
    let is_swept = async || folder.count("erasures WHERE swept_at IS NULL").await == 0;
    until("the rest is swept", is_swept).await;
    for table in
        ["usage", "ledger", "counters", "audit_log", "key_wraps", "api_keys", "actors", "accounts"]
    {
        assert_eq!(folder.count(&format!("{table} WHERE account_id = 1")).await, 0, "{table}");
    }
    server.stop();
    let verified = folder.run(&["verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

/// An import is cut off between two lines. When the whole file is sent again, every row is imported
/// exactly once.
async fn an_import_that_was_cut_off_continues_when_sent_again(folder: WorkFolder) {
    const ROWS: i64 = 5_000;
    let row = |id| {
        let row = json!({
            "kind": "activity", "activity_id": id, "actor_id": 1,
            "description": format!("row {id}"), "logged_at": "2026-04-09T14:00:00Z"
        });
        format!("{row}\n")
    };
    let head = concat!(
        r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}"#,
        "\n",
        r#"{"kind":"actor","actor_id":1,"name":"x","actor_type":"agent","role":"owner"}"#,
        "\n",
    );
    let file = head.to_owned() + &(1..=ROWS).map(row).collect::<String>();
    let there =
        async |api: &Api| api.read("/api/v1/activities?limit=1").await["total"].as_i64().unwrap();

    let mut server = folder.serve();
    let api = server.client(&folder.operator_key());
    // Only half of the file is sent, so the import waits for the rest.
    let sent = file.find(&row(ROWS / 2)).unwrap();
    let head = format!(
        "POST /api/v1/import HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        folder.operator_key(),
        file.len()
    );
    let mut importing = TcpStream::connect(&server.address).await.unwrap();
    importing.write_all(head.as_bytes()).await.unwrap();
    importing.write_all(&file.as_bytes()[..sent]).await.unwrap();
    until("some rows are in", async || there(&api).await >= 200).await;
    server.signal(Signal::SIGKILL);
    server.end();
    let mut answer = Vec::new();
    let _ = in_time("the connection to end", importing.read_to_end(&mut answer)).await;
    assert!(answer.is_empty(), "it was to be cut off: {}", String::from_utf8_lossy(&answer));

    let server = folder.serve();
    let api = server.client(&folder.operator_key());
    let kept = there(&api).await;
    assert!((200..ROWS).contains(&kept), "{kept}");
    assert_eq!(api.import(file.clone()).await, Some((ROWS - kept, kept)));
    assert_eq!(api.import(file).await, Some((0, ROWS)));
    assert_eq!(there(&api).await, ROWS);
    let texts: HashSet<String> = api.activities().await.into_iter().collect();
    assert_eq!(i64::try_from(texts.len()).unwrap(), ROWS);
    server.stop();
    let verified = folder.run(&["verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

mod sqlite {
    use super::WorkFolder;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sweep_that_was_killed_continues_after_a_restart() {
        super::a_sweep_that_was_killed_continues_after_a_restart(WorkFolder::new()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_import_that_was_cut_off_continues_when_sent_again() {
        super::an_import_that_was_cut_off_continues_when_sent_again(WorkFolder::new()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_write_repeated_by_its_idempotency_key_after_a_kill_is_applied_once() {
        super::a_write_repeated_by_its_idempotency_key_after_a_kill_is_applied_once(
            WorkFolder::new(),
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stop_under_load_loses_no_answered_write() {
        super::a_stop_under_load_loses_no_answered_write(WorkFolder::new()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_kill_under_load_loses_no_answered_write() {
        super::a_kill_under_load_loses_no_answered_write(WorkFolder::new()).await;
    }
}

mod postgres {
    use super::WorkFolder;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sweep_that_was_killed_continues_after_a_restart() {
        super::a_sweep_that_was_killed_continues_after_a_restart(WorkFolder::on_postgres().await)
            .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_import_that_was_cut_off_continues_when_sent_again() {
        super::an_import_that_was_cut_off_continues_when_sent_again(
            WorkFolder::on_postgres().await,
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_write_repeated_by_its_idempotency_key_after_a_kill_is_applied_once() {
        super::a_write_repeated_by_its_idempotency_key_after_a_kill_is_applied_once(
            WorkFolder::on_postgres().await,
        )
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stop_under_load_loses_no_answered_write() {
        super::a_stop_under_load_loses_no_answered_write(WorkFolder::on_postgres().await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_kill_under_load_loses_no_answered_write() {
        super::a_kill_under_load_loses_no_answered_write(WorkFolder::on_postgres().await).await;
    }
}

/// A full disk fails a COMMIT. Later writes that are answered 201 must be kept all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_every_answered_write_and_answers_no_other() {
    const BODY_BYTES: usize = 30_000;
    const WRITES_MAX: usize = 100;
    let folder = WorkFolder::new();
    let mut shell = Command::new("/bin/sh");
    // No file may grow beyond 1,600 blocks of 512 bytes. The trap makes the write fail instead of
    // ending the process with a signal.
    shell.args(["-c", "trap '' XFSZ && ulimit -f 1600 && exec \"$0\"", PROGRAM]);
    let mut server = Server::start(folder.prepared(shell));
    let api = server.client(&folder.operator_key());
    let log = async |description: &str| {
        let body = json!({ "description": description });
        api.post("/api/v1/activities", &body).send().await.unwrap().status().as_u16()
    };
    let mut answered = 0;
    let mut is_full = false;
    for _ in 0..WRITES_MAX {
        match log(&"z".repeat(BODY_BYTES)).await {
            201 => answered += 1,
            503 => is_full = true,
            other => panic!("{other}"),
        }
        if is_full {
            break;
        }
    }
    assert!(is_full && answered > 0, "{answered}");
    for _ in 0..10 {
        match log("a little more").await {
            201 => answered += 1,
            503 => {}
            other => panic!("{other}"),
        }
    }
    server.signal(Signal::SIGKILL);
    server.end();
    let server = folder.serve();
    let api = server.client(&folder.operator_key());
    assert_eq!(api.read("/api/v1/activities?limit=1").await["total"], answered);
    assert_eq!(api.read("/api/v1/whoami").await["credits_remaining"], 1_000_000 - answered);
    assert!(api.log_activity("there is room again").await);
    server.stop();
    let proved = folder.run(&["verify"]);
    assert!(proved.status.success(), "{}", text(&proved.stdout));
}
