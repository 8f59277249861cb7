//! Writes that are named, to be repeated safely.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use roots_domain::model::idempotency::{Idempotency, Mac};
use roots_domain::model::unit::{Applied, Refusal};

use crate::world::{Ask, World, applied, ask, delete, get, patch, post};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";
const NEW_TODO: &str = r#"{"title": "Deploy docs pages"}"#;

fn named(ask: Ask) -> Ask {
    ask.header("idempotency-key", KEY)
}

/// Everything was asked for before.
fn replaying() -> World {
    let mut world = World::keyed();
    world.todos.expect_todo().returning(|_, _| Ok(None));
    world.units.expect_apply().returning(|unit| Ok(Applied { is_replay: true, ..applied(unit) }));
    world
}

#[tokio::test]
async fn what_was_created_before_is_told_again() {
    let router = replaying().router();
    assert_snapshot!(named(post("/api/v1/todos", NEW_TODO)).of(&router).await.told());
}

#[tokio::test]
async fn what_was_changed_before_is_told_again_though_the_row_is_gone() {
    let router = replaying().router();
    let change = patch("/api/v1/todos/1", r#"{"title": "Deploy docs pages"}"#);
    assert_snapshot!(named(change).of(&router).await.told());
}

#[tokio::test]
async fn what_was_deleted_before_is_told_again() {
    let router = replaying().router();
    assert_snapshot!(named(delete("/api/v1/sessions/2")).of(&router).await.told());
}

#[tokio::test]
async fn a_twin_in_flight_is_to_be_asked_for_again() {
    let router = World::refusing(Refusal::StillInFlight).router();
    assert_snapshot!(named(post("/api/v1/todos", NEW_TODO)).of(&router).await.told());
}

#[tokio::test]
async fn a_key_of_another_request_is_refused() {
    let router = World::refusing(Refusal::KeyOfAnotherRequest).router();
    assert_snapshot!(named(post("/api/v1/todos", NEW_TODO)).of(&router).await.told());
}

/// What the store is told of the request's name.
async fn told(ask: Ask) -> Option<Idempotency> {
    let seen = Arc::new(Mutex::new(None));
    let mut world = World::keyed();
    let asked = Arc::clone(&seen);
    world.units.expect_apply().times(1).returning(move |unit| {
        asked.lock().unwrap().clone_from(&unit.conditions.idempotency);
        Ok(applied(unit))
    });
    let answer = ask.of(&world.router()).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    assert_eq!(answer.header("idempotent-replayed"), "");
    seen.lock().unwrap().take()
}

async fn macs(ask: Ask) -> (Mac, Mac) {
    let told = told(ask).await.unwrap();
    assert_eq!(told.before.len(), 1, "the world's keys were renewed once");
    assert_ne!(told.before[0], told.now);
    (told.now.key, told.now.request)
}

#[tokio::test]
async fn a_request_is_its_method_path_and_body_and_its_name_is_bare_or_quoted() {
    assert_eq!(told(post("/api/v1/todos", NEW_TODO)).await, None);
    let quoted = format!("\"{KEY}\"");
    let todo = post("/api/v1/todos", NEW_TODO);
    let (key, request) = macs(named(todo.clone())).await;
    assert_eq!(macs(todo.clone().header("idempotency-key", &quoted)).await, (key, request));
    let (other, same) = macs(todo.header("idempotency-key", "another")).await;
    assert!(other != key && same == request);

    let mut requests = BTreeSet::from([request]);
    for other in [
        post("/api/v1/todos", r#"{"title": "Deploy docs page"}"#),
        post("/api/v1/todos", r#"{"title":"Deploy docs pages"}"#),
        post("/api/v1/sessions", "{}"),
        ask("POST", "/api/v1/sessions"),
        patch("/api/v1/sessions/1", r#"{"status": "active"}"#),
        patch("/api/v1/sessions/2", r#"{"status": "active"}"#),
        delete("/api/v1/sessions/1"),
        delete("/api/v1/todos/1"),
        delete("/api/v1/activities/1"),
        delete("/api/v1/activities/1").json("{}"),
    ] {
        let (same, request) = macs(named(other)).await;
        assert_eq!(same, key);
        assert!(requests.insert(request), "another request");
    }
    // How it is authenticated and what it insists on are no part of it.
    let tied = named(delete("/api/v1/todos/1")).header("if-match", "\"x\"");
    let plain = named(delete("/api/v1/todos/1")).without_key();
    let bearer = plain.header("authorization", &format!("Bearer {}", crate::world::KEY));
    assert_eq!(macs(tied).await, macs(bearer).await);
    // Nor which host it was sent to, where a proxy wrote that out.
    let whole = named(post("http://roots.example/api/v1/todos", NEW_TODO));
    let origin = named(post("/api/v1/todos", NEW_TODO));
    assert_eq!(macs(whole).await, macs(origin).await);
}

#[tokio::test]
async fn a_key_of_another_form_is_refused() {
    let router = World::keyed().router();
    let empty = post("/api/v1/todos", NEW_TODO).header("idempotency-key", "");
    assert_snapshot!(empty.of(&router).await.told());
    let long = "x".repeat(256);
    for key in ["a b", "\"a", "\"\"", &long] {
        for write in [post("/api/v1/todos", NEW_TODO), delete("/api/v1/todos/1")] {
            let refused = write.header("idempotency-key", key).of(&router).await;
            assert_eq!(refused.status, 400, "{key}");
        }
    }
    let twice = named(named(post("/api/v1/todos", NEW_TODO))).of(&router).await;
    assert_eq!(twice.status, 400);
}

#[tokio::test]
async fn a_key_where_it_means_nothing_is_refused() {
    let router = World::bare().router();
    assert_snapshot!(named(get("/api/v1/todos/1")).of(&router).await.told());
    for ask in [
        get("/api/v1/todos"),
        get("/api/v1/todos/1/logs"),
        get("/api/v1/activities/stats"),
        get("/api/v1/whoami"),
        post("/api/v1/bootstrap", crate::world::NEW_ACCOUNT).without_key(),
        get("/health"),
    ] {
        assert_eq!(named(ask).of(&router).await.status, 400);
    }
}

#[tokio::test]
async fn a_body_that_is_no_good_is_refused_whatever_it_is_named() {
    let router = World::keyed().router();
    let faulty = named(post("/api/v1/todos", r#"{"titel": "x"}"#)).of(&router).await;
    assert_eq!(faulty.json()["type"], "/docs/problems#invalid-body");
    let large = "x".repeat(2 * 1024 * 1024);
    let large = named(delete("/api/v1/todos/1")).body(large).of(&router).await;
    assert_eq!(large.status, 413);
}
