//! What an owner reads and writes for another actor, and a member does not.

use insta::assert_snapshot;

use crate::fixture::{ANOTHERS, MockedApi, get, post};

macro_rules! answers {
    ($($name:ident: $ask:expr;)+) => {$(
        #[tokio::test]
        async fn $name() {
            assert_snapshot!($ask.of_the_whole_api().await.told());
        }
    )+};
}

answers! {
    an_owner_reads_a_members_session: get("/api/v1/sessions/9");
    an_owner_creates_a_todo_for_a_member:
        post("/api/v1/todos", r#"{"title": "Tidy up", "actor_id": 2}"#);
    an_owner_names_an_actor_that_there_is_not:
        post("/api/v1/activities", r#"{"description": "Read", "actor_id": 7}"#);
    sessions_of_all_are_listed: get("/api/v1/sessions?actor_id=all&status=active");
    a_members_todos_are_listed: get("/api/v1/todos?actor_id=2&limit=1");
    activities_of_all_are_counted: get("/api/v1/activities/stats?actor_id=all");
    a_member_asks_for_everybodys_todos: get("/api/v1/todos?actor_id=all").by_the_member();
    whose_rows_are_asked_for_is_a_number_or_all: get("/api/v1/sessions?actor_id=ALL");
    a_member_names_another_actor:
        post("/api/v1/sessions", r#"{"actor_id": 1}"#).by_the_member();
}

#[tokio::test]
async fn a_member_names_itself() {
    let router = MockedApi::whole().router();
    for (path, body) in [
        ("/api/v1/sessions", r#"{"actor_id": 2}"#),
        ("/api/v1/todos", r#"{"title": "Tidy up", "actor_id": 2}"#),
        ("/api/v1/activities", r#"{"description": "Read", "actor_id": 2}"#),
    ] {
        let made = post(path, body).by_the_member().of(&router).await;
        assert_eq!((made.status.as_u16(), made.json()["actor_id"].as_i64()), (201, Some(2)));
    }
}

#[tokio::test]
async fn a_member_finds_its_own_rows_alone() {
    let router = MockedApi::whole().router();
    for (path, status) in [
        (format!("/api/v1/sessions/{ANOTHERS}"), 200),
        (format!("/api/v1/todos/{ANOTHERS}"), 200),
        (format!("/api/v1/todos/{ANOTHERS}/logs"), 200),
        (format!("/api/v1/activities/{ANOTHERS}"), 200),
        ("/api/v1/sessions/1".to_owned(), 404),
        ("/api/v1/todos/1".to_owned(), 404),
        ("/api/v1/todos/1/logs".to_owned(), 404),
        ("/api/v1/activities/1".to_owned(), 404),
    ] {
        assert_eq!(get(&path).by_the_member().of(&router).await.status, status, "{path}");
        // Its owner finds them all.
        assert_eq!(get(&path).of(&router).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_actor_is_named_by_a_positive_integer() {
    let router = MockedApi::keyed().router();
    for (value, error) in [
        ("0", "actor_id must be a positive integer"),
        ("-2", "actor_id must be a positive integer"),
        (r#""2""#, "actor_id must be an integer, not a string"),
        ("2.5", "actor_id must be an integer, not a number with a fraction"),
        (r#""all""#, "actor_id must be an integer, not a string"),
    ] {
        for (path, rest) in [
            ("/api/v1/sessions", ""),
            ("/api/v1/todos", r#""title": "x", "#),
            ("/api/v1/activities", r#""description": "x", "#),
        ] {
            let body = format!(r#"{{{rest}"actor_id": {value}}}"#);
            let answer = post(path, &body).of(&router).await;
            assert_eq!((answer.status.as_u16(), answer.errors()), (422, vec![error.to_owned()]));
        }
    }
}

#[tokio::test]
async fn lists_and_figures_take_an_actor_that_is_the_callers_to_ask_for() {
    let router = MockedApi::whole().router();
    for path in ["sessions", "todos", "activities", "activities/stats"] {
        for (actor, owner, member) in [
            ("1", 200, 403),
            ("2", 200, 200),
            // Nobody's: it matches nothing.
            ("7", 200, 403),
            ("all", 200, 403),
            ("0", 400, 400),
            ("-1", 400, 400),
            ("01", 400, 400),
            ("All", 400, 400),
            ("1,2", 400, 400),
            ("", 400, 400),
            ("9223372036854775808", 400, 400),
        ] {
            let ask = || get(&format!("/api/v1/{path}?actor_id={actor}"));
            let told = (ask().of(&router).await, ask().by_the_member().of(&router).await);
            let told = (told.0.status.as_u16(), told.1.status.as_u16());
            assert_eq!(told, (owner, member), "{path} of {actor}");
        }
        let twice = format!("/api/v1/{path}?actor_id=1&actor_id=all");
        assert_eq!(get(&twice).of(&router).await.status, 400);
    }
    for path in ["sessions/1", "todos/1", "todos/1/logs", "activities/1", "credits", "whoami"] {
        let path = format!("/api/v1/{path}?actor_id=1");
        assert_eq!(get(&path).of(&router).await.status, 400, "{path}");
    }
}
