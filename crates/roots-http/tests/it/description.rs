//! The OpenAPI document describes exactly what the API serves.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fmt, fs};

use axum::Router;
use roots_domain::model::account::AccountKind;
use roots_http_core::auth::rate_limit::RateLimits;
use serde_json::{Map, Value};

use crate::fixture::{MockedApi, ask};

/// Every route. A new route must be added here.
const ROUTES: &str = "
DELETE /api/v1/accounts/me
DELETE /api/v1/activities/{id}
DELETE /api/v1/actors/{id}
DELETE /api/v1/keys/{id}
DELETE /api/v1/sessions/{id}
DELETE /api/v1/todos/{id}
GET /api/v1/accounts
GET /api/v1/accounts/{id}
GET /api/v1/activities
GET /api/v1/activities/stats
GET /api/v1/activities/{id}
GET /api/v1/actors
GET /api/v1/actors/{id}
GET /api/v1/audit
GET /api/v1/brief
GET /api/v1/credits
GET /api/v1/credits/ledger
GET /api/v1/credits/stats
GET /api/v1/events
GET /api/v1/export
GET /api/v1/keys
GET /api/v1/openapi.json
GET /api/v1/sessions
GET /api/v1/sessions/{id}
GET /api/v1/todos
GET /api/v1/todos/stats
GET /api/v1/todos/{id}
GET /api/v1/todos/{id}/logs
GET /api/v1/usage
GET /api/v1/usage/history
GET /api/v1/whoami
GET /docs/problems
GET /health
GET /ready
PATCH /api/v1/actors/{id}
PATCH /api/v1/sessions/{id}
PATCH /api/v1/todos/{id}
POST /api/v1/accounts/{id}/credits
POST /api/v1/accounts/{id}/resume
POST /api/v1/accounts/{id}/suspend
POST /api/v1/activities
POST /api/v1/actors
POST /api/v1/bootstrap
POST /api/v1/import
POST /api/v1/keys
POST /api/v1/keys/rotate
POST /api/v1/recover
POST /api/v1/recovery-code
POST /api/v1/search
POST /api/v1/sessions
POST /api/v1/todos
POST /api/v1/todos/claim
POST /api/v1/todos/{id}/release
";

/// An API whose caller may use every operation.
fn everything() -> Router {
    MockedApi::whole_of(AccountKind::Operator).router()
}

pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) value: Value,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

pub(crate) fn document() -> Value {
    serde_json::to_value(roots_http::openapi()).unwrap()
}

pub(crate) fn operations() -> Vec<Operation> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let items = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, value)| Operation {
            method: method.to_uppercase().leak(),
            path: path.clone(),
            value: value.clone(),
        })
    });
    items.collect()
}

pub(crate) fn resolved(document: &Value, value: &Value) -> Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap().clone(),
        None => value.clone(),
    }
}

#[test]
fn the_document_is_openapi_3_1_and_lists_every_route() {
    assert_eq!(document()["openapi"], "3.1.0");
    let mut routes: Vec<_> = operations().iter().map(ToString::to_string).collect();
    routes.sort();
    assert_eq!(routes.join("\n"), ROUTES.trim());
}

/// A kind of row: the schemas of its answer, of the answer in a list and of its export line, the
/// schemas of its requests, and what of these is no field of the row or is not exported.
struct RowSchemas {
    answer: &'static str,
    listed: &'static str,
    line: &'static str,
    requests: [&'static str; 2],
    beside: &'static [&'static str],
}

/// The client is held to the same schemas by its own tests.
#[test]
fn each_field_that_can_be_set_is_shown_listed_and_exported() {
    let document = document();
    let fields = |schema: &str| -> BTreeSet<String> {
        let fields = &document["components"]["schemas"][schema]["properties"];
        fields.as_object().unwrap_or_else(|| panic!("{schema}")).keys().cloned().collect()
    };
    let todo = RowSchemas {
        answer: "Todo",
        listed: "ListedTodo",
        line: "TodoLine",
        requests: ["NewTodo", "TodoChange"],
        // The note stands in the log, and `status_since` follows from it. A claim ends with the
        // move to another server.
        beside: &["note", "claim_token", "claim", "status_since"],
    };
    let session = RowSchemas {
        answer: "Session",
        listed: "ListedSession",
        line: "SessionLine",
        requests: ["NewSession", "SessionChange"],
        // It follows from the times.
        beside: &["duration_seconds"],
    };
    let activity = RowSchemas {
        answer: "Activity",
        listed: "Activity",
        line: "ActivityLine",
        requests: ["NewActivity", "NewActivity"],
        beside: &[],
    };
    for row in [todo, session, activity] {
        let lacks = |wanted: &str, found: &str| -> Vec<String> {
            let (wanted, found) = (fields(wanted), fields(found));
            let lacking = wanted.difference(&found).cloned();
            lacking.filter(|field| !row.beside.contains(&field.as_str())).collect()
        };
        for request in row.requests {
            assert_eq!(lacks(request, row.answer), [""; 0], "{} lacks them", row.answer);
        }
        for shown in [row.listed, row.line] {
            assert_eq!(lacks(row.answer, shown), [""; 0], "{shown} lacks them");
        }
    }
}

/// The methods of a router that add routes without a description.
const ADDERS: [&str; 5] = ["route", "route_service", "nest", "nest_service", "merge"];

/// Which of these methods a source text calls.
fn adders(source: &str) -> Vec<&'static str> {
    let is_called =
        |name: &&str| [".", "::"].iter().any(|access| source.contains(&format!("{access}{name}(")));
    ADDERS.into_iter().filter(is_called).collect()
}

#[test]
fn only_the_router_module_adds_routes_and_only_described_ones_and_pages() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut paths = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { paths.push(path) }
        }
    }
    for path in paths {
        let mut source = fs::read_to_string(&path).unwrap();
        if path.ends_with("router.rs") {
            let begin = source.find("\nfn routes(").unwrap();
            let end = begin + source[begin..].find("\n}\n").unwrap();
            let composer: String = source.drain(begin..end).collect();
            assert_eq!(adders(&composer), ["merge"]);
            let undescribed: Vec<_> = composer.split("OpenApiRouter::from(").skip(1).collect();
            assert_eq!(undescribed.len(), 1);
            assert!(undescribed[0].starts_with("meta::docs())"));
        }
        if path.ends_with("meta/mod.rs") {
            let begin = source.find("\npub(crate) fn docs(").unwrap();
            let end = begin + source[begin..].find("\n}\n").unwrap();
            let pages: String = source.drain(begin..end).collect();
            assert_eq!(adders(&pages), ["route"]);
            assert!(!pages.contains("/api"));
        }
        assert_eq!(adders(&source), [""; 0], "{}", path.display());
    }
}

#[test]
fn the_recovery_code_is_described_with_its_use() {
    let schemas = &document()["components"]["schemas"];
    let description = &schemas["Bootstrapped"]["properties"]["recovery_code"]["description"];
    assert!(description.as_str().unwrap().contains("`POST /recover`"), "{description}");
}

#[tokio::test]
async fn every_described_operation_is_served_and_every_served_method_described() {
    let router = everything();
    for Operation { method, path, .. } in operations() {
        let path = path.replace("{id}", "1");
        let answer = ask(method, &path).of(&router).await;
        assert!(
            ![404, 405].contains(&answer.status.as_u16()),
            "{method} {path}: {}",
            answer.status
        );
    }
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let described: BTreeSet<_> =
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        let answer = ask("OPTIONS", &path.replace("{id}", "1")).of(&router).await;
        let allow = answer.header("allow").split(',').filter(|method| *method != "HEAD");
        assert_eq!(allow.map(str::to_owned).collect::<BTreeSet<_>>(), described, "{path}");
    }
}

#[tokio::test]
async fn every_query_takes_exactly_the_described_parameters() {
    let router = everything();
    for Operation { method, path, value } in operations() {
        let parameters = value["parameters"].as_array().cloned().unwrap_or_default();
        let in_query = parameters.iter().filter(|parameter| parameter["in"] == "query");
        let described: Vec<_> =
            in_query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
        let path = format!("{}?qqqqqqqq=1", path.replace("{id}", "1"));
        let error = ask(method, &path).of(&router).await.errors().concat();
        assert_eq!(known(&error), described, "{method} {path}");
    }
}

#[tokio::test]
async fn every_body_takes_exactly_the_described_fields() {
    let (document, router) = (document(), everything());
    let mut bodies = 0;
    for Operation { method, path, value } in operations() {
        // The fields of an import depend on the kind of each line.
        let content = &value["requestBody"]["content"]["application/json"];
        if content.is_null() {
            continue;
        }
        let mut media_types = vec!["application/json"];
        let description = value["requestBody"]["description"].as_str().unwrap_or_default();
        media_types.extend(
            description
                .contains("`application/merge-patch+json`")
                .then_some("application/merge-patch+json"),
        );
        for media_type in media_types {
            bodies += 1;
            let schema = resolved(&document, &content["schema"]);
            assert_eq!(schema["additionalProperties"], false, "{method} {path}");
            let properties: Vec<_> =
                schema["properties"].as_object().unwrap().keys().cloned().collect();
            let send = |body: String| {
                let path = path.replace("{id}", "1");
                ask(method, &path).header("content-type", media_type).body(body)
            };
            let errors = send(r#"{"qqqqqqqq": 1}"#.into()).of(&router).await.errors();
            assert_eq!(known(errors.last().unwrap()), properties, "{method} {path}");

            let required: Vec<_> = schema["required"].as_array().cloned().unwrap_or_default();
            let missing: Vec<_> =
                errors.iter().filter(|error| error.ends_with("is required")).collect();
            let expected: Vec<_> = required
                .iter()
                .map(|name| format!("{} is required", name.as_str().unwrap()))
                .collect();
            assert_eq!(missing, expected.iter().collect::<Vec<_>>(), "{method} {path}");

            let example = schema["example"].clone();
            assert!(example.is_object(), "{method} {path} has no example");
            let answer = send(example.to_string()).of(&router).await;
            assert!(answer.status.is_success(), "{method} {path}: {}", answer.body);
        }
    }
    assert_eq!(bodies, 19);
}

/// The names that an error suggests.
fn known(error: &str) -> Vec<String> {
    let offered = error.split_once(": there are ").map_or("none here", |(_, names)| names);
    if offered == "none here" {
        Vec::new()
    } else {
        offered.split(", ").map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn answers_match_their_schemas_and_examples() {
    let mut api = MockedApi::whole_of(AccountKind::Operator);
    // Answers have rate-limit headers only if there are limits.
    api.settings.limits = RateLimits::default();
    let (document, router) = (document(), api.router());
    for Operation { method, path, value } in operations() {
        let responses = value["responses"].as_object().unwrap();
        let (status, success) =
            responses.iter().find(|(status, _)| status.starts_with('2')).unwrap();
        let content = &success["content"]["application/json"];
        if path.ends_with("openapi.json") || content.is_null() {
            continue;
        }
        let schema = &content["schema"];
        let example = &content["example"];
        fits(&document, schema, example, &format!("example of {method} {path}"));

        let mut request = ask(method, &path.replace("{id}", "1"));
        let sent = &value["requestBody"]["content"]["application/json"]["schema"];
        if !sent.is_null() {
            request = request.json(&resolved(&document, sent)["example"].to_string());
        }
        if value["requestBody"]["content"]["application/x-ndjson"].is_object() {
            let header =
                r#"{"kind":"export","format":1,"source":"019d728c-2e80-7000-8000-0000000000aa"}"#;
            request = request.header("content-type", "application/x-ndjson").body(header);
        }
        let answer = request.of(&router).await;
        assert_eq!(answer.status.as_str(), status, "{method} {path}");
        fits(&document, schema, &answer.json(), &format!("answer of {method} {path}"));
        // A single page has no `Link`, and a request without a replay has no `Idempotent-Replayed`.
        let headers = success["headers"].as_object().unwrap().keys();
        for header in
            headers.filter(|header| !["Link", "Idempotent-Replayed"].contains(&header.as_str()))
        {
            assert!(
                !answer.header(&header.to_lowercase()).is_empty(),
                "{header} of {method} {path}"
            );
        }
    }
}

#[test]
fn errors_are_described_as_problems() {
    let document = document();
    for Operation { method, path, value } in operations() {
        for (status, response) in value["responses"].as_object().unwrap() {
            if status.starts_with('2') || status == "304" {
                continue;
            }
            let response = resolved(&document, response);
            let headers = response["headers"].as_object().unwrap();
            let is_priced = headers.keys().any(|name| name.starts_with("X-Credits-"));
            assert!(!is_priced, "{method} {path}: what fails costs nothing");
            let content = &response["content"]["application/problem+json"];
            for (kind, example) in content["examples"].as_object().unwrap() {
                fits(&document, &content["schema"], &example["value"], kind);
                assert_eq!(example["value"]["status"].to_string(), *status, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn each_problem_type_links_to_its_explanation() {
    let page = ask("GET", "/docs/problems").of_the_whole_api().await.body;
    let document = document();
    let mut kinds = 0;
    for response in document["components"]["responses"].as_object().unwrap().values() {
        for example in response["content"]["application/problem+json"]["examples"]
            .as_object()
            .unwrap()
            .values()
        {
            let uri = example["value"]["type"].as_str().unwrap();
            let slug = uri.strip_prefix("/docs/problems#").unwrap();
            assert!(page.contains(&format!("<h2 id=\"{slug}\">")), "{slug}");
            kinds += 1;
        }
    }
    assert!(kinds >= 20);
}

/// Checks that a value fits a schema: its type, its enum values, and its members in the order of
/// the schema. The schemas of the document use nothing else.
pub(crate) fn fits(document: &Value, schema: &Value, value: &Value, what: &str) {
    let schema = resolved(document, schema);
    // A reference that may be null.
    if let Some(choices) = schema["oneOf"].as_array() {
        let mut choices = choices.iter().filter(|one| (one["type"] == "null") == value.is_null());
        let choice = choices.next();
        assert!(choice.is_some(), "{what}: {value} is none of them");
        return fits(document, choice.unwrap(), value, what);
    }
    let types: Vec<_> = match &schema["type"] {
        Value::Array(types) => types.iter().map(|one| one.as_str().unwrap()).collect(),
        one => vec![one.as_str().unwrap()],
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(types.contains(&actual), "{what}: {value} is none of {types:?}");
    if let Some(names) = schema["enum"].as_array() {
        assert!(names.contains(value), "{what}: {value} is none of {names:?}");
    }
    if let Value::Array(items) = value {
        for item in items {
            fits(document, &schema["items"], item, what);
        }
    }
    if let Value::Object(members) = value {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let given: Vec<_> = members.keys().collect();
        let in_order: Vec<_> =
            properties.keys().filter(|name| members.contains_key(*name)).collect();
        assert_eq!(given, in_order, "{what}");
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(members.contains_key(required.as_str().unwrap()), "{what}: {required}");
        }
        for (name, member) in members {
            fits(document, &properties[name], member, what);
        }
    }
}

/// Collects the references in a value.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_resolves_and_every_component_is_used() {
    let document = document();
    let mut referred = BTreeSet::new();
    references(&document, &mut referred);
    let kinds = document["components"].as_object().unwrap().iter();
    let components: BTreeSet<_> = kinds
        .filter(|(kind, _)| *kind != "securitySchemes")
        .flat_map(|(kind, all)| all.as_object().unwrap().keys().map(move |name| (kind, name)))
        .map(|(kind, name)| format!("#/components/{kind}/{name}"))
        .collect();
    assert_eq!(referred, components.iter().map(String::as_str).collect());
}

#[test]
fn the_document_names_the_license() {
    assert_eq!(document()["info"]["license"]["identifier"], "MIT OR Apache-2.0");
}

#[test]
fn the_schema_of_a_patch_needs_at_least_one_field() {
    let document = document();
    for name in ["TodoChange", "SessionChange", "ActorChange"] {
        assert_eq!(document["components"]["schemas"][name]["minProperties"], 1, "{name}");
    }
}

#[test]
fn header_parameters_are_described_with_patterns() {
    for Operation { method, path, value } in operations() {
        for parameter in value["parameters"].as_array().into_iter().flatten() {
            let is_tagged = path.starts_with("/api/v1/") && !path.ends_with("openapi.json");
            if parameter["in"] == "header" && is_tagged {
                let pattern = &parameter["schema"]["pattern"];
                assert!(pattern.is_string(), "{method} {path}: {}", parameter["name"]);
            }
        }
    }
}
