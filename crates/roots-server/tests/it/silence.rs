//! A server ends the sessions to which nothing is written, if it is told to.

use roots_testkit::database::until;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::program::{Server, WorkFolder};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_ends_silent_sessions_only_if_a_time_is_set() {
    for folder in [WorkFolder::new(), WorkFolder::on_postgres().await] {
        let server = folder.serve();
        let api = server.client(&folder.operator_key());
        for _ in 0..2 {
            let made = api.post("/api/v1/sessions", &json!({})).send().await.unwrap();
            assert!(made.status().is_success());
        }
        server.stop();
        let db = folder.database().await;
        // The first was silent for ten minutes.
        let silent = "UPDATE session_activity SET last_active_at = last_active_at - 600000000 \
            WHERE session_id = 1";
        db.execute_unprepared(silent).await.unwrap();
        db.close().await.unwrap();

        let server = folder.serve();
        let api = server.client(&folder.operator_key());
        assert_eq!(api.read("/api/v1/sessions/1").await["status"], "active");
        server.stop();

        let mut command = folder.command(&[]);
        command.env("ROOTS_SESSION_IDLE", "5m");
        let server = Server::start(command);
        let api = server.client(&folder.operator_key());
        let reason = async |id: i64| -> Value {
            api.read(&format!("/api/v1/sessions/{id}")).await["ended_reason"].clone()
        };
        until("the silent session is ended", async || reason(1).await == "idle").await;
        assert_eq!(reason(2).await, Value::Null);
        server.stop();
    }
}
