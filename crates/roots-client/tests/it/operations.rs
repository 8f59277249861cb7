//! Each operation of the OpenAPI document has a method, which sends and reads its examples.

use std::pin::pin;

use futures_util::TryStreamExt;
use roots_client::model::{
    ActivityFilter, BriefQuery, EventOptions, EventUpdate, ImportOptions, LedgerFilter, Paging,
    SessionFilter, StatsFilter, TodoFilter, WindowFilter,
};
use roots_client::{Client, Error, Operation, Repeat, Tagged};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::document::{Described, described, document};
use crate::server::{KEY, Seen, Server, answer};

const END: &str = r#"{"kind":"end","counts":{"actors":0,"sessions":1,"todos":0,"todo_logs":0,"activities":0},"total":1,"unreadable":0}"#;

#[test]
fn the_table_has_the_operations_of_the_document() {
    let document = document();
    let described = described(&document);
    let mut ids: Vec<_> = Operation::ALL.iter().map(|operation| operation.id()).collect();
    ids.sort_unstable();
    let described_ids: Vec<_> = described.keys().collect();
    assert_eq!(ids, described_ids);
    for operation in Operation::ALL {
        let described = &described[operation.id()];
        let id = operation.id();
        assert_eq!(operation.method().as_str(), described.method, "{id}");
        assert_eq!(operation.path(), described.path, "{id}");
        assert_eq!(operation.takes_api_key(), described.takes_api_key(), "{id}");
        let takes_key = operation.repeat() == Repeat::WithKey;
        assert_eq!(takes_key, described.takes("Idempotency-Key"), "{id}");
        if described.method == "GET" {
            assert_eq!(operation.repeat(), Repeat::Safe, "{id}");
        }
    }
}

#[tokio::test]
async fn each_method_sends_and_reads_the_examples_of_the_document() {
    let document = document();
    let described = described(&document);
    for operation in Operation::ALL {
        let id = operation.id();
        let described = &described[id];
        let (status, kind, _, example) = described.success();
        let body = match example.clone() {
            Value::String(text) if *operation == Operation::Events => text,
            Value::String(line) => format!("{line}\n{END}\n"),
            // The two that have no example: any text and any JSON.
            Value::Null => "{}".to_owned(),
            example => example.to_string(),
        };
        let server =
            Server::start(move |_, _| answer(status, &[("content-type", &kind)], body.clone()))
                .await;
        let request = described.request(&document).map(|(_, example)| example);
        let read = call(*operation, &server.client(), request.clone().unwrap_or_default()).await;
        assert_eq!(read, expected(*operation, example), "{id}");

        let seen = server.seen();
        let [seen] = &seen[..] else { panic!("{id} sent {} requests", seen.len()) };
        assert_eq!(seen.method, operation.method(), "{id}");
        assert_eq!(seen.uri.to_string(), operation.path().replace("{id}", "7"), "{id}");
        if *operation != Operation::Import {
            assert_eq!(seen.json(), request.unwrap_or_default(), "{id}");
        }
        check_headers(id, described, seen);
    }
}

fn expected(operation: Operation, example: Value) -> Value {
    match (operation, example) {
        (Operation::Problems, _) => json!("{}"),
        (Operation::Openapi, _) => json!({}),
        (Operation::Events, Value::String(text)) => {
            let data = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
            serde_json::from_str(data).unwrap()
        }
        (Operation::Export, Value::String(line)) => {
            json!([
                serde_json::from_str::<Value>(&line).unwrap(),
                serde_json::from_str::<Value>(END).unwrap()
            ])
        }
        (_, example) => example,
    }
}

fn check_headers(id: &str, described: &Described, seen: &Seen) {
    let key = described.takes_api_key().then_some(KEY);
    assert_eq!(seen.header("x-api-key"), key, "{id}");
    assert_eq!(
        seen.header("idempotency-key").is_some(),
        described.takes("Idempotency-Key"),
        "{id}"
    );
    let version = concat!("roots-client/", env!("CARGO_PKG_VERSION"));
    assert_eq!(seen.header("user-agent"), Some(version), "{id}");
    let kinds = described.object["requestBody"]["content"].as_object();
    let kind = kinds.and_then(|kinds| kinds.keys().next()).map(String::as_str);
    assert_eq!(seen.header("content-type"), kind, "{id}");
}

/// Calls the method of an operation about the row with the id 7, with `body` if it takes one, and
/// writes down what it answers.
async fn call(operation: Operation, client: &Client, body: Value) -> Value {
    let first = &Paging::default();
    match operation {
        Operation::Health => plain(client.health().await),
        Operation::Ready => plain(client.ready().await),
        Operation::Problems => tagged(client.problems().await),
        Operation::ListSessions => {
            plain(client.list_sessions(&SessionFilter::default(), first).await)
        }
        Operation::StartSession => tagged(client.start_session(&typed(body)).await),
        Operation::GetSession => tagged(client.get_session(7).await),
        Operation::DeleteSession => tagged(client.delete_session(7).await),
        Operation::UpdateSession => tagged(client.update_session(7, &typed(body)).await),
        Operation::ListTodos => plain(client.list_todos(&TodoFilter::default(), first).await),
        Operation::CreateTodo => tagged(client.create_todo(&typed(body)).await),
        Operation::GetTodoStats => plain(client.get_todo_stats(&WindowFilter::default()).await),
        Operation::GetTodo => tagged(client.get_todo(7).await),
        Operation::DeleteTodo => tagged(client.delete_todo(7).await),
        Operation::UpdateTodo => tagged(client.update_todo(7, &typed(body)).await),
        Operation::GetTodoLogs => plain(client.get_todo_logs(7).await),
        Operation::ClaimTodo => {
            tagged(client.claim_todo(&typed(body)).await.map(|claimed| claimed.unwrap()))
        }
        Operation::ReleaseTodo => tagged(client.release_todo(7, &typed(body)).await),
        Operation::ListActivities => {
            plain(client.list_activities(&ActivityFilter::default(), first).await)
        }
        Operation::LogActivity => tagged(client.log_activity(&typed(body)).await),
        Operation::GetActivityStats => {
            plain(client.get_activity_stats(&StatsFilter::default()).await)
        }
        Operation::GetActivity => tagged(client.get_activity(7).await),
        Operation::DeleteActivity => tagged(client.delete_activity(7).await),
        Operation::Brief => plain(client.brief(&BriefQuery::default()).await),
        Operation::Search => plain(client.search(&typed(body)).await),
        Operation::ListActors => plain(client.list_actors(first).await),
        Operation::AddActor => plain(client.add_actor(&typed(body)).await),
        Operation::GetActor => plain(client.get_actor(7).await),
        Operation::DeactivateActor => plain(client.deactivate_actor(7).await),
        Operation::UpdateActor => plain(client.update_actor(7, &typed(body)).await),
        Operation::ListKeys => plain(client.list_keys(first).await),
        Operation::AddKey => plain(client.add_key(&typed(body)).await),
        Operation::RotateKey => plain(client.rotate_key(&typed(body)).await),
        Operation::RevokeKey => plain(client.revoke_key(7).await),
        Operation::Whoami => plain(client.whoami().await),
        Operation::GetCredits => plain(client.get_credits().await),
        Operation::GetCreditStats => plain(client.get_credit_stats(&WindowFilter::default()).await),
        Operation::ListLedger => plain(client.list_ledger(&LedgerFilter::default(), first).await),
        Operation::RenewRecoveryCode => plain(client.renew_recovery_code().await),
        Operation::Events => {
            let mut updates = pin!(client.events(&EventOptions::default()));
            match updates.try_next().await.unwrap().unwrap() {
                EventUpdate::Event(event) => plain(Ok(event)),
                other => panic!("{other:?}"),
            }
        }
        Operation::ListAudit => plain(client.list_audit(first).await),
        Operation::ListAccounts => plain(client.list_accounts(first).await),
        Operation::GetAccount => plain(client.get_account(7).await),
        Operation::GrantCredits => plain(client.grant_credits(7, &typed(body)).await),
        Operation::SuspendAccount => plain(client.suspend_account(7).await),
        Operation::ResumeAccount => plain(client.resume_account(7).await),
        Operation::GetUsage => plain(client.get_usage(None).await),
        Operation::GetUsageHistory => plain(client.get_usage_history(None).await),
        Operation::Bootstrap => plain(client.bootstrap(&typed(body)).await),
        Operation::Recover => plain(client.recover(&typed(body)).await),
        Operation::Export => {
            let lines = pin!(client.export(None).await.unwrap());
            let lines: Vec<_> = lines.map_ok(|line| line.line).try_collect().await.unwrap();
            plain(Ok(lines))
        }
        Operation::Import => {
            plain(client.import_from(&ImportOptions::default(), &b"{}\n"[..]).await)
        }
        Operation::EraseAccount => plain(client.erase_account(&typed(body)).await),
        Operation::Openapi => tagged(client.openapi().await),
        other => panic!("{other:?} has no method"),
    }
}

fn typed<T: DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}

fn plain(answer: Result<impl Serialize, Error>) -> Value {
    serde_json::to_value(answer.unwrap()).unwrap()
}

fn tagged<T: Serialize>(answer: Result<Tagged<T>, Error>) -> Value {
    plain(answer.map(|answer| answer.value))
}
