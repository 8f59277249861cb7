//! Actors and API keys: no change of keys loses a text, and an ended key is refused.

use std::time::Duration;

use reqwest::Method;
use roots_testkit::app::{ApiResponse, TestApp, send};
use roots_testkit::database::TestDatabase;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::client::assert_ledger_matches;

roots_testkit::on_both! {
    no_change_of_keys_loses_data,
    a_lost_answer_to_a_rotation_locks_nobody_out,
    a_rotated_key_works_until_its_grace_ends,
    a_key_that_ends_stops_writing_at_once_in_every_process,
    a_renewal_by_another_process_is_found_and_retried,
    a_member_manages_its_own_keys_only,
    an_owner_cannot_lock_itself_out,
    a_deactivated_actor_is_refused_and_its_data_stays,
    keys_cost_nothing_and_work_at_balance_0,
    a_suspended_account_may_only_revoke_keys,
    wraps_of_ended_keys_are_deleted_and_last_uses_recorded,
    keys_are_listed_with_their_states,
}

/// A caller with an API key.
pub(crate) struct Holder<'a> {
    pub(crate) app: &'a TestApp,
    pub(crate) key: String,
}

impl Holder<'_> {
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> ApiResponse {
        let request = self
            .app
            .unauthenticated(method, &format!("/api/v1{path}"))
            .header("X-API-Key", &self.key)
            .header("X-Request-Id", "a-test");
        send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> ApiResponse {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> ApiResponse {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> ApiResponse {
        self.call(Method::DELETE, path, None).await
    }

    pub(crate) async fn is_admitted(&self) -> bool {
        match self.get("/whoami").await.status {
            200 => true,
            401 => false,
            other => unreachable!("{other}"),
        }
    }

    /// Writes a text to each field that holds one.
    pub(crate) async fn write(&self, text: &str) {
        self.post("/sessions", json!({ "notes": format!("{text} notes") })).await.expect(201);
        let todo = json!({
            "title": format!("{text} title"), "description": format!("{text} description")
        });
        let todo = self.post("/todos", todo).await.expect(201)["todo_id"].to_string();
        let step = json!({ "status": "done", "note": format!("{text} note") });
        let path = format!("/todos/{todo}");
        self.call(Method::PATCH, &path, Some(step)).await.expect(200);
        let activity = json!({ "description": format!("{text} happened") });
        self.post("/activities", activity).await.expect(201);
    }

    /// Reads the texts that the actor has written, sorted.
    pub(crate) async fn read(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut todos = Vec::new();
        for (list, fields) in [
            ("sessions", &["notes"][..]),
            ("todos", &["title", "description"]),
            ("activities", &["description"]),
        ] {
            let page = self.get(&format!("/{list}?limit=100")).await.expect(200);
            for row in page[list].as_array().unwrap() {
                texts.extend(fields.iter().map(|field| row[*field].as_str().unwrap().to_owned()));
                todos.extend(row["todo_id"].as_i64());
            }
        }
        for todo in todos {
            let log = self.get(&format!("/todos/{todo}/logs")).await.expect(200);
            texts.push(log["logs"][0]["note"].as_str().unwrap().to_owned());
        }
        texts.sort();
        texts
    }
}

/// The texts that [`Holder::write`] writes, sorted.
pub(crate) fn texts_of(written: &[&str]) -> Vec<String> {
    let parts = ["notes", "title", "description", "note", "happened"];
    let each = written.iter().flat_map(|text| parts.map(|part| format!("{text} {part}")));
    let mut texts: Vec<_> = each.collect();
    texts.sort();
    texts
}

pub(crate) fn secret(made: &Value) -> String {
    made["api_key"].as_str().unwrap().to_owned()
}

pub(crate) fn owner(app: &TestApp) -> Holder<'_> {
    Holder { app, key: app.key().to_owned() }
}

/// A member of the account, actor 2, with a key of its own.
pub(crate) async fn member(app: &TestApp) -> Holder<'_> {
    let owner = owner(app);
    let new = json!({ "name": "Member", "actor_type": "agent" });
    let actor = owner.post("/actors", new).await.expect(201)["actor_id"].clone();
    let made = owner.post("/keys", json!({ "actor_id": actor })).await.expect(201);
    Holder { app, key: secret(&made) }
}

async fn no_change_of_keys_loses_data(database: TestDatabase) {
    let app = TestApp::start(database, 1_000).await;
    let mut boss = owner(&app);
    let mut peer = member(&app).await;
    let mut written = vec!["first \u{1f980} é\r\n"];
    boss.write(written[0]).await;
    peer.write(written[0]).await;

    // Rotate the keys of both.
    for holder in [&mut peer, &mut boss] {
        let before = Holder { app: &app, key: holder.key.clone() };
        holder.key = secret(&holder.post("/keys/rotate", json!({})).await.expect(201));
        assert!(before.is_admitted().await, "until the new one is used");
        assert_eq!(holder.read().await, texts_of(&written));
        assert!(!before.is_admitted().await);
        holder.write("rotated").await;
    }
    written.push("rotated");

    // Revoke the keys of the member. The owner makes it a new one.
    let keys = boss.get("/keys?limit=100").await.expect(200);
    for key in keys["keys"].as_array().unwrap() {
        if key["actor_id"] == 2 {
            boss.delete(&format!("/keys/{}", key["key_id"])).await.expect(200);
        }
    }
    assert!(!peer.is_admitted().await);
    peer.key = secret(&boss.post("/keys", json!({ "actor_id": 2 })).await.expect(201));
    assert_eq!(peer.read().await, texts_of(&written));

    // Let a key expire.
    let soon = app.context.clock_in(60);
    let expiring = json!({ "actor_id": 2, "expires_at": soon, "label": "short" });
    peer.key = secret(&boss.post("/keys", expiring).await.expect(201));
    assert_eq!(peer.read().await, texts_of(&written));
    app.context.clock.advance_seconds(60);
    assert!(!peer.is_admitted().await);
    peer.key = secret(&boss.post("/keys", json!({ "actor_id": 2 })).await.expect(201));
    assert_eq!(peer.read().await, texts_of(&written));

    // Renew the key of the member, twice.
    for text in ["renewed", "renewed again"] {
        let before = Holder { app: &app, key: peer.key.clone() };
        let renewed = boss.post("/keys", json!({ "actor_id": 2, "renew": true })).await;
        assert_eq!(renewed.header("cache-control"), Some("no-store"));
        let renewed = renewed.expect(201);
        assert_eq!(renewed.get("recovery_code"), None);
        assert!(!before.is_admitted().await, "a renewal ends the old key at once");
        peer.key = secret(&renewed);
        assert_eq!(peer.read().await, texts_of(&written));
        peer.write(text).await;
        boss.write(text).await;
        written.push(text);
        assert_eq!(peer.read().await, texts_of(&written));
    }

    // Renew the key of the owner, twice. The first answer of each pair is lost.
    for text in ["owner renewed", "owner renewed again"] {
        let renew = json!({ "actor_id": 1, "renew": true });
        let lost = boss.post("/keys", renew.clone()).await.expect(201);
        boss.write(&format!("{text} {}", "meanwhile")).await;
        let renewed = boss.post("/keys", renew).await.expect(201);
        assert_ne!(renewed["recovery_code"], lost["recovery_code"]);
        let before = Holder { app: &app, key: boss.key.clone() };
        assert!(before.is_admitted().await, "until the new one is used");
        assert!(!Holder { app: &app, key: secret(&lost) }.is_admitted().await);
        boss.key = secret(&renewed);
        let read = boss.read().await;
        assert!(texts_of(&written).iter().all(|text| read.contains(text)));
        assert!(!before.is_admitted().await);
        assert_eq!(peer.read().await, texts_of(&written));
        boss.write(text).await;
        peer.write(text).await;
        written.push(text);
        // The account's new key opens the member's key, and can renew it.
        for renew in [false, true] {
            let made = boss.post("/keys", json!({ "actor_id": 2, "renew": renew })).await;
            peer.key = secret(&made.expect(201));
            assert_eq!(peer.read().await, texts_of(&written));
        }
    }
    // Maintenance deletes what ended keys held. All texts can still be read.
    app.context.key_usage.maintain().await.unwrap();
    let other = app.another().await;
    assert_eq!(Holder { app: &other, key: peer.key.clone() }.read().await, texts_of(&written));
    let read = Holder { app: &other, key: boss.key.clone() }.read().await;
    assert!(texts_of(&written).iter().all(|text| read.contains(text)));
    let codes: Vec<(i64,)> = app.database.rows("SELECT COUNT(*) FROM recovery_codes").await;
    assert_eq!(codes, [(1,)], "each renewal replaces the recovery code");
    assert_ledger_matches(&app).await;
}

async fn a_lost_answer_to_a_rotation_locks_nobody_out(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let boss = owner(&app);
    boss.write("before").await;
    let wraps = async || -> i64 {
        let rows: Vec<(i64,)> = app.database.rows("SELECT COUNT(*) FROM key_wraps").await;
        rows[0].0
    };
    let before = wraps().await;
    let lost = secret(&boss.post("/keys/rotate", json!({})).await.expect(201));
    assert_eq!(boss.read().await, texts_of(&["before"]));
    let made = boss.post("/keys/rotate", json!({ "label": "kept" })).await;
    let made = made.expect(201);
    assert_eq!(wraps().await, before + 2, "the wraps of the first, unused key are deleted");
    assert!(!Holder { app: &app, key: lost }.is_admitted().await);
    assert_eq!(boss.get("/keys").await.expect(200)["total"], 2);
    boss.write("between").await;
    let next = Holder { app: &app, key: secret(&made) };
    assert_eq!(next.read().await, texts_of(&["before", "between"]));
    assert_eq!(wraps().await, before, "the wraps of the old key are deleted");
    assert!(!boss.is_admitted().await);
    assert_eq!(boss.post("/sessions", json!({})).await.status, 401);
    // Key ids are not used again.
    assert_eq!(made["key_id"], 3);
    assert_eq!(next.post("/keys/rotate", json!({})).await.expect(201)["key_id"], 4);
}

async fn a_rotated_key_works_until_its_grace_ends(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let boss = owner(&app);
    let expires_at = app.context.clock_in(10_000);
    let made = boss.post(
        "/keys",
        json!({
            "actor_id": 1, "label": "server", "expires_at": expires_at
        }),
    );
    let old = Holder { app: &app, key: secret(&made.await.expect(201)) };
    let made = old.post("/keys/rotate", json!({ "grace_seconds": 100 })).await.expect(201);
    assert_eq!((&made["label"], &made["expires_at"]), (&json!("server"), &json!(expires_at)));
    let new = Holder { app: &app, key: secret(&made) };
    // The grace period starts with the first use of the new key.
    app.context.clock.advance_seconds(1_000);
    assert!(new.is_admitted().await);
    old.write("in grace").await;
    assert_eq!(new.read().await, texts_of(&["in grace"]));
    for refused in [
        old.post("/keys/rotate", json!({})).await,
        old.delete("/keys/1").await,
        old.post("/keys", json!({ "actor_id": 1 })).await,
        old.post("/actors", json!({ "name": "x", "actor_type": "human" })).await,
    ] {
        assert_eq!(refused.expect(403)["type"], "/docs/problems#key-in-grace");
    }
    app.context.clock.advance_seconds(99);
    assert!(old.is_admitted().await);
    app.context.clock.advance_seconds(1);
    assert!(!old.is_admitted().await);
    assert_eq!(old.post("/sessions", json!({})).await.status, 401);
    assert_eq!(new.read().await, texts_of(&["in grace"]));
    app.context.clock.advance_seconds(10_000);
    assert!(!new.is_admitted().await, "it expires when the old one would have");
    assert!(boss.is_admitted().await);
}

async fn a_key_that_ends_stops_writing_at_once_in_every_process(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let other = app.another().await;
    let peer = member(&app).await;
    let boss = owner(&app);
    let elsewhere = Holder { app: &other, key: peer.key.clone() };
    let with_label = |label: &str| json!({ "actor_id": 2, "label": label });
    // The ways to end a key: revocation, use of its successor, renewal, deactivation of the actor.
    for way in 0..4 {
        let made = boss.post("/keys", with_label("next")).await.expect(201);
        let here = Holder { app: &app, key: secret(&made) };
        let there = Holder { app: &other, key: here.key.clone() };
        there.post("/sessions", json!({})).await.expect(201);
        match way {
            0 => drop(boss.delete(&format!("/keys/{}", made["key_id"])).await.expect(200)),
            1 => {
                let next = here.post("/keys/rotate", json!({})).await.expect(201);
                assert!(Holder { app: &app, key: secret(&next) }.is_admitted().await);
            }
            2 => {
                let renew = json!({ "actor_id": 2, "renew": true });
                drop(boss.post("/keys", renew).await.expect(201));
            }
            _ => drop(boss.delete("/actors/2").await.expect(200)),
        }
        // The other process has the key in its cache, but the store refuses the write.
        assert_eq!(there.post("/sessions", json!({})).await.status, 401, "{way}");
        assert_eq!(
            there.get("/sessions").await.status,
            401,
            "the process has dropped the key from its cache"
        );
        assert_eq!(here.get("/sessions").await.status, 401);
    }
    assert!(!elsewhere.is_admitted().await);

    // A process that caches no keys refuses the first read.
    let forgetful = app.another_remembering(Duration::ZERO).await;
    let made = boss.post("/keys", json!({ "actor_id": 1 })).await.expect(201);
    let reader = Holder { app: &forgetful, key: secret(&made) };
    assert!(reader.is_admitted().await);
    boss.delete(&format!("/keys/{}", made["key_id"])).await.expect(200);
    assert!(!reader.is_admitted().await);
    // Another key that the process has in its cache still works.
    assert_eq!(other.post("/sessions", &json!({})).await.status, 201);
}

/// The other process has an older key of the account in its cache. Its first write gets 409, and
/// the retry succeeds.
async fn a_renewal_by_another_process_is_found_and_retried(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let other = app.another().await;
    let peer = member(&app).await;
    let peer_there = Holder { app: &other, key: peer.key.clone() };
    assert!(peer_there.is_admitted().await);
    let renew = json!({ "actor_id": 1, "renew": true });
    let renewed = owner(&app).post("/keys", renew).await.expect(201);
    let boss = Holder { app: &app, key: secret(&renewed) };
    boss.write("renewed").await;
    let refused = peer_there.post("/keys/rotate", json!({})).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    peer_there.post("/keys/rotate", json!({})).await.expect(201);
}

async fn a_member_manages_its_own_keys_only(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let boss = owner(&app);
    let peer = member(&app).await;
    for (refused, what) in [
        (peer.post("/actors", json!({ "name": "x", "actor_type": "agent" })).await, "add"),
        (peer.call(Method::PATCH, "/actors/2", Some(json!({ "name": "x" }))).await, "rename"),
        (peer.delete("/actors/2").await, "deactivate"),
        (peer.post("/keys", json!({ "actor_id": 2 })).await, "make"),
        (peer.post("/keys", json!({ "actor_id": 2, "renew": true })).await, "renew"),
    ] {
        assert_eq!(refused.expect(403)["type"], "/docs/problems#owner-only", "{what}");
    }
    // A member may list all actors, but only its own keys.
    assert_eq!(peer.get("/actors").await.expect(200)["total"], 2);
    assert_eq!(peer.get("/actors/1").await.expect(200)["role"], "owner");
    let own = peer.get("/keys").await.expect(200);
    assert_eq!((&own["total"], &own["keys"][0]["key_id"]), (&json!(1), &json!(2)));
    assert_eq!(boss.get("/keys").await.expect(200)["total"], 2);
    for path in ["/keys/1", "/keys/99", "/keys/0", "/keys/x"] {
        assert_eq!(peer.delete(path).await.status, 404, "{path}");
    }
    // A member may revoke its last key.
    peer.delete("/keys/2").await.expect(200);
    assert!(!peer.is_admitted().await);
    boss.delete("/keys/2").await.expect(200);
    assert_eq!(boss.delete("/keys/99").await.status, 404);
    for path in ["/actors/99", "/actors/0", "/actors/x"] {
        assert_eq!(boss.get(path).await.status, 404, "{path}");
        assert_eq!(boss.delete(path).await.status, 404, "{path}");
    }
    assert_eq!(boss.post("/keys", json!({ "actor_id": 9 })).await.status, 422);
    let past = json!({ "actor_id": 2, "expires_at": app.context.clock_in(0) });
    assert_eq!(boss.post("/keys", past).await.expect(422)["errors"][0]["field"], "expires_at");
    assert_eq!(boss.call(Method::PATCH, "/actors/2", Some(json!({}))).await.status, 422);
    let renamed = json!({ "name": "Ada", "is_active": true });
    let renamed = boss.call(Method::PATCH, "/actors/2", Some(renamed)).await.expect(200);
    assert_eq!(renamed["name"], "Ada");
    assert_eq!(boss.get("/actors/2").await.expect(200), renamed);
    assert_ledger_matches(&app).await;
}

async fn an_owner_cannot_lock_itself_out(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let boss = owner(&app);
    assert_eq!(boss.delete("/keys/1").await.status, 409);
    // A rotated key that was never used does not count as another key of the owner. It ends with
    // the key that it was to replace.
    let unseen = boss.post("/keys/rotate", json!({})).await.expect(201);
    assert_eq!(boss.delete("/keys/1").await.status, 409);
    assert_eq!(boss.delete("/actors/1").await.status, 409);
    let inactive = json!({ "is_active": false });
    assert_eq!(boss.call(Method::PATCH, "/actors/1", Some(inactive)).await.status, 409);
    let next = boss.post("/keys", json!({ "actor_id": 1 })).await.expect(201);
    boss.delete("/keys/1").await.expect(200);
    let next = Holder { app: &app, key: secret(&next) };
    assert!(!Holder { app: &app, key: secret(&unseen) }.is_admitted().await);
    assert!(!boss.is_admitted().await && next.is_admitted().await);
    assert_eq!(next.delete("/keys/3").await.status, 409);
    assert_eq!(next.delete("/keys/1").await.expect(200)["status"], "revoked");
}

async fn a_deactivated_actor_is_refused_and_its_data_stays(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let boss = owner(&app);
    let peer = member(&app).await;
    peer.write("mine").await;
    for _ in 0..2 {
        let gone = boss.delete("/actors/2").await.expect(200);
        assert_eq!(gone, json!({ "status": "deactivated", "actor_id": 2 }));
    }
    assert!(!peer.is_admitted().await);
    assert_eq!(boss.post("/keys", json!({ "actor_id": 2 })).await.status, 409);
    assert_eq!(boss.get("/keys").await.expect(200)["keys"][0]["is_active"], false);
    let active = json!({ "is_active": true });
    boss.call(Method::PATCH, "/actors/2", Some(active)).await.expect(200);
    assert!(!peer.is_admitted().await, "its keys have ended");
    let made = boss.post("/keys", json!({ "actor_id": 2 })).await.expect(201);
    assert_eq!(Holder { app: &app, key: secret(&made) }.read().await, texts_of(&["mine"]));
}

async fn keys_cost_nothing_and_work_at_balance_0(database: TestDatabase) {
    let app = TestApp::start(database, 0).await;
    let boss = owner(&app);
    let peer = member(&app).await;
    let rotated = peer.post("/keys/rotate", json!({})).await;
    assert_eq!(rotated.header("x-credits-cost"), None);
    let next = Holder { app: &app, key: secret(&rotated.expect(201)) };
    assert_eq!(next.post("/sessions", json!({})).await.status, 402);
    boss.post("/keys", json!({ "actor_id": 2, "renew": true })).await.expect(201);
    boss.delete("/actors/2").await.expect(200);
    assert_eq!(boss.get("/credits/ledger").await.expect(200)["total"], 0);
}

async fn a_suspended_account_may_only_revoke_keys(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let boss = owner(&app);
    let peer = member(&app).await;
    let rotated = peer.post("/keys/rotate", json!({})).await.expect(201);
    app.database.execute("UPDATE accounts SET status = 'suspended'").await;
    for refused in [
        boss.post("/keys", json!({ "actor_id": 2 })).await,
        boss.post("/keys/rotate", json!({})).await,
        boss.post("/actors", json!({ "name": "x", "actor_type": "agent" })).await,
        boss.delete("/actors/2").await,
    ] {
        assert_eq!(refused.expect(403)["type"], "/docs/problems#account-suspended");
    }
    // The first use of the rotated key, a read, ends the old key.
    assert!(Holder { app: &app, key: secret(&rotated) }.is_admitted().await);
    assert!(!peer.is_admitted().await);
    boss.delete(&format!("/keys/{}", rotated["key_id"])).await.expect(200);
    assert!(!Holder { app: &app, key: secret(&rotated) }.is_admitted().await);
}

async fn wraps_of_ended_keys_are_deleted_and_last_uses_recorded(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let boss = owner(&app);
    let wraps = async |key: i64| -> i64 {
        let sql = format!(
            "SELECT COUNT(*) FROM key_wraps WHERE holder_kind = 'api_key' AND holder_id = {key}"
        );
        app.database.rows::<(i64,)>(&sql).await[0].0
    };
    // The list starts with the newest of the two keys.
    let last_used = async |key: usize| {
        boss.get("/keys").await.expect(200)["keys"][2 - key]["last_used"].clone()
    };
    let expiring = json!({ "actor_id": 1, "expires_at": app.context.clock_in(50) });
    boss.post("/keys", expiring).await.expect(201);
    assert_eq!(last_used(1).await, Value::Null, "maintenance writes it, not the request");
    let used_at = app.context.clock_in(0);
    app.context.key_usage.maintain().await.unwrap();
    assert_eq!(last_used(1).await, json!(used_at));
    assert_eq!(last_used(2).await, Value::Null);
    assert_eq!(wraps(2).await, 2);
    let epoch = "SELECT auth_epoch FROM accounts";
    let before: Vec<(i64,)> = app.database.rows(epoch).await;
    app.context.clock.advance_seconds(50);
    let used_at = app.context.clock_in(0);
    assert!(boss.is_admitted().await);
    app.context.key_usage.maintain().await.unwrap();
    assert_eq!((wraps(1).await, wraps(2).await), (2, 0));
    assert_eq!(last_used(1).await, json!(used_at));
    assert_eq!(app.database.rows::<(i64,)>(epoch).await, before, "no caller is admitted again");
    // The key stays ended for a process whose clock is slow.
    assert_eq!(boss.get("/keys").await.expect(200)["keys"][0]["is_active"], false);
    let ended: Vec<(i64,)> =
        app.database.rows("SELECT CAST(is_ended AS BIGINT) FROM api_keys ORDER BY key_id").await;
    assert_eq!(ended, [(0,), (1,)]);
    app.context.key_usage.maintain().await.unwrap();
    assert_ledger_matches(&app).await;
}

async fn keys_are_listed_with_their_states(database: TestDatabase) {
    let app = TestApp::start(database, 100).await;
    let boss = owner(&app);
    let peer = member(&app).await;
    boss.delete("/keys/2").await.expect(200);
    let labelled = json!({ "actor_id": 2, "label": "laptop \u{1f4bb}" });
    let made = boss.post("/keys", labelled).await.expect(201);
    let page = boss.get("/keys?limit=2").await.expect(200);
    assert_eq!((&page["total"], &page["limit"]), (&json!(3), &json!(2)));
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = boss.get(&format!("/keys?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!((&rest["keys"][0]["key_id"], &rest["next_cursor"]), (&json!(1), &Value::Null));
    assert_eq!(boss.get(&format!("/actors?cursor={cursor}")).await.status, 400, "another list's");
    let entry = |index: usize| {
        let key = &page["keys"][index];
        json!([key["key_id"], key["actor_id"], key["actor_name"], key["label"], key["is_active"]])
    };
    assert_eq!(entry(0), json!([3, 2, "Member", "laptop \u{1f4bb}", true]));
    assert_eq!(entry(1), json!([2, 2, "Member", null, false]));
    assert_eq!(page["keys"][0]["key_prefix"], made["key_prefix"]);
    let listed = page.to_string();
    for secret in
        [app.key(), &peer.key, &secret(&made), app.credentials.recovery_code.expose_secret()]
    {
        assert!(!listed.contains(&secret[20..]), "a list shows no key");
    }
    let actors = boss.get("/actors?limit=1").await.expect(200);
    assert_eq!((&actors["total"], &actors["actors"][0]["actor_id"]), (&json!(2), &json!(2)));
    let whoami = boss.get("/whoami").await.expect(200);
    assert_eq!(whoami["other_actors"], actors["actors"]);
}
