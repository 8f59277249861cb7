//! The structs have the fields that the OpenAPI document describes.

use roots_client::Problem;
use roots_client::model::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::document::{described, document, schema_name};

#[test]
fn examples_are_written_as_they_are_read() {
    let document = document();
    let mut examples = Vec::new();
    for described in described(&document).values() {
        examples.extend(described.request(&document));
        let (_, kind, schema, example) = described.success();
        match (schema, example) {
            (Some(_), Value::String(text)) if kind == "text/event-stream" => {
                examples.push(("Event".to_owned(), event_in(&text)));
            }
            (Some(_), Value::String(line)) => {
                examples.push(("ExportLine".to_owned(), serde_json::from_str(&line).unwrap()));
            }
            (Some(schema), example) => examples.push((schema, example)),
            (None, _) => {}
        }
    }
    for response in document["components"]["responses"].as_object().unwrap().values() {
        let content = &response["content"]["application/problem+json"];
        let schema = schema_name(&content["schema"]).unwrap();
        for example in content["examples"].as_object().unwrap().values() {
            examples.push((schema.clone(), example["value"].clone()));
        }
    }
    assert!(examples.len() > 80, "{} examples", examples.len());
    for (schema, example) in examples {
        assert_eq!(written(&schema, &example), example, "{schema}");
    }
}

/// Examples leave out what is optional, so each field gets a value here.
#[test]
fn every_field_of_the_document_is_kept() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let objects = schemas.iter().filter(|(_, schema)| schema["type"] == "object");
    for (name, schema) in objects {
        let value = sample(schemas, name, schema);
        assert_eq!(written(name, &value), value, "{name}");
    }
}

#[test]
fn every_word_of_the_document_is_known() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        for word in schema["enum"].as_array().into_iter().flatten() {
            assert!(knows(name, word), "{name}: {word}");
        }
    }
}

/// The last event of a stream.
fn event_in(text: &str) -> Value {
    let data = text.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
    serde_json::from_str(data).unwrap()
}

fn knows(schema: &str, word: &Value) -> bool {
    match schema {
        "Action" => !matches!(serde_json::from_value(word.clone()).unwrap(), Action::Other(_)),
        "BriefList" => {
            !matches!(serde_json::from_value(word.clone()).unwrap(), BriefList::Other(_))
        }
        "AccountStatus" => reads::<AccountStatus>(word),
        "AccountType" => reads::<AccountType>(word),
        "ActorType" => reads::<ActorType>(word),
        "Role" => reads::<Role>(word),
        "SearchField" => reads::<SearchField>(word),
        "SearchKind" => reads::<SearchKind>(word),
        "SessionStatus" => reads::<SessionStatus>(word),
        "TodoStatus" => reads::<TodoStatus>(word),
        "AuditAction" => {
            !matches!(serde_json::from_value(word.clone()).unwrap(), AuditAction::Other(_))
        }
        "ReadyStatus" => {
            !matches!(serde_json::from_value(word.clone()).unwrap(), ReadyStatus::Other(_))
        }
        "EndReason" => {
            !matches!(serde_json::from_value(word.clone()).unwrap(), EndReason::Other(_))
        }
        "EventKind" => {
            !matches!(serde_json::from_value(word.clone()).unwrap(), EventKind::Other(_))
        }
        "EventAction" => {
            !matches!(serde_json::from_value(word.clone()).unwrap(), EventAction::Other(_))
        }
        "LedgerReason" => {
            !matches!(serde_json::from_value(word.clone()).unwrap(), LedgerReason::Other(_))
        }
        other => panic!("no enum for {other}"),
    }
}

#[test]
fn words_of_a_newer_server_are_kept() {
    for word in [json!("paused"), json!("")] {
        let action: AuditAction = serde_json::from_value(word.clone()).unwrap();
        assert_eq!(action, AuditAction::Other(word.as_str().unwrap().to_owned()));
        assert_eq!(serde_json::to_value(action).unwrap(), word);
    }
    let line: ExportLine = serde_json::from_value(json!({"kind": "note", "id": 1})).unwrap();
    assert_eq!(line, ExportLine::Unknown);
}

fn reads<T: DeserializeOwned + Serialize>(word: &Value) -> bool {
    serde_json::from_value::<T>(word.clone()).is_ok() && through::<T>(word) == *word
}

/// A value with every field that the schema describes.
fn sample(schemas: &Map<String, Value>, name: &str, schema: &Value) -> Value {
    if let Some(name) = schema_name(schema) {
        return sample(schemas, &name, &schemas[&name]);
    }
    if let Some(first) = ["anyOf", "oneOf", "allOf"].iter().find_map(|of| schema[of].get(0)) {
        return sample(schemas, name, first);
    }
    if let Some(word) = schema["enum"].get(0) {
        return word.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap();
    match (kind, schema["format"].as_str()) {
        ("object", _) => {
            let properties = schema["properties"].as_object().unwrap();
            properties
                .iter()
                .map(|(field, schema)| (field.clone(), sample(schemas, name, schema)))
                .collect()
        }
        ("array", _) => json!([sample(schemas, name, &schema["items"])]),
        ("boolean", _) => json!(true),
        ("integer", _) => json!(1),
        ("string", Some("date-time")) => json!("2026-04-09T10:00:00.123456Z"),
        ("string", Some("date")) => json!("2026-04-09"),
        ("string", Some("uuid")) => json!("01a20168-6075-7067-9520-2321ef75706c"),
        ("string", _) if name == "DateOrTime" => json!("2026-04-09"),
        ("string", _) => json!("x"),
        other => panic!("no sample of {other:?}"),
    }
}

/// What becomes of a value of the schema that is read and written.
#[expect(clippy::too_many_lines, reason = "a line for each schema")]
fn written(schema: &str, value: &Value) -> Value {
    macro_rules! by_name {
        ($($name:ident),+ $(,)?) => {
            match schema {
                $(stringify!($name) => through::<$name>(value),)+
                line if line.ends_with("Line") && value.get("kind").is_some() && value.get("source_id").is_none() => {
                    assert!(value["kind"] != "unknown");
                    through::<ExportLine>(value)
                }
                "MissingLine" => through::<MissingLine>(value),
                other => panic!("no struct for {other}"),
            }
        };
    }
    by_name![
        Account,
        AccountErased,
        AccountPage,
        AccountState,
        Activity,
        ActivityDeleted,
        ActivityPage,
        ActivityStats,
        Actor,
        ActorChange,
        ActorDeactivated,
        ActorCredits,
        ActorPage,
        ActorTodos,
        AuditEntry,
        AuditPage,
        Bootstrapped,
        Brief,
        BriefChange,
        BriefCounts,
        BriefSessionCounts,
        BriefTodo,
        Claim,
        CostModel,
        Counts,
        CreditStats,
        Credits,
        CreditsGranted,
        DayCalls,
        DayCount,
        DayCredits,
        DayTodos,
        EndpointCalls,
        Erasure,
        Event,
        Health,
        Import,
        ImportedCounts,
        InvalidField,
        Key,
        KeyPage,
        KeyRevoked,
        LedgerEntry,
        LedgerPage,
        LineErrors,
        ListedSession,
        ListedTodo,
        MissingCounts,
        NewAccount,
        NewActivity,
        NewActor,
        NewClaim,
        NewCredits,
        NewKey,
        NewKeyShown,
        NewSession,
        NewTodo,
        NextAction,
        NextTodo,
        Omitted,
        Problem,
        Ready,
        Recovered,
        Recovery,
        RecoveryCodeRenewed,
        Release,
        Rotation,
        Search,
        SearchResult,
        SearchResults,
        Session,
        SessionChange,
        SessionCounts,
        SessionDeleted,
        SessionPage,
        StatusChange,
        Todo,
        TodoChange,
        TodoCounts,
        TodoDeleted,
        TodoLog,
        TodoPage,
        TodoStats,
        TypeCount,
        Usage,
        UsageHistory,
        Whoami,
    ]
}

fn through<T: DeserializeOwned + Serialize>(value: &Value) -> Value {
    let read: T = serde_json::from_value(value.clone()).unwrap();
    serde_json::to_value(read).unwrap()
}
