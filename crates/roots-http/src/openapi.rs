//! The OpenAPI document, gathered from the handlers. What many operations share (errors, headers,
//! security) is added here, so that no handler can forget it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use axum::http::{Method, StatusCode};
use serde_json::json;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Header, InfoBuilder, License, LicenseBuilder, Object,
    ObjectBuilder, OpenApi, Paths, Ref, RefOr, Required, Response, ResponseBuilder, Schema, Server,
};
use utoipa::{PartialSchema, ToSchema};

use crate::import::report::{IMPORT_MEMBER, ImportBody};
use crate::preconditions::{is_idempotent, is_tagged};
use roots_http_core::problem::{Problem, ProblemBody, ProblemKind};
use roots_http_core::schema;
use roots_http_core::wire::{API_PATH, PROBLEM_JSON};

/// The tags whose writes cost credits.
const CHARGED_TAGS: [&str; 3] = ["sessions", "todos", "activities"];
/// The operations that return a document that is the same for everyone and has an entity tag.
const DOCUMENTS: [&str; 2] = ["problems", "openapi"];
/// The operations that no rate limit counts.
const UNLIMITED: [&str; 2] = ["health", "ready"];
/// The headers that tell the state of the rate limits.
const LIMIT_HEADERS: [(&str, Type, &str); 2] = [
    (
        "RateLimit-Policy",
        Type::String,
        "The limits that counted the request, separated by commas: you may make `q` requests at once, and the allowance refills evenly within `w` seconds.",
    ),
    (
        "RateLimit",
        Type::String,
        "The state of each limit: `r` requests are left, and in `t` seconds the allowance is full again.",
    ),
];
const RETRY_AFTER: (&str, Type, &str) =
    ("Retry-After", Type::Integer, "Seconds to wait before the next attempt.");
/// The operations whose body may be left out.
const BODY_OPTIONAL: [&str; 3] = ["startSession", "claimTodo", "rotateKey"];
/// The writes that answer one resource with its entity tag, under another path than its own.
const ANSWERS_TAGGED: [&str; 2] = ["claimTodo", "releaseTodo"];
/// The operations that answer from memory: they never fail with 500 or 503.
const FROM_MEMORY: [&str; 3] = ["health", "problems", "openapi"];
/// The operation whose body has no maximum size; only its lines have one.
const ENDLESS: &str = "import";

/// A type that describes a text with a fixed set of values. It is used only in the document.
macro_rules! choice {
    ($visible:vis $type:ident, $name:literal, $names:expr) => {
        $visible enum $type {}

        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .enum_values(Some($names))
                    .into()
            }
        }

        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    };
}
pub(crate) use choice;

/// Completes what was gathered from the handlers.
pub(crate) fn complete(mut gathered: OpenApi) -> OpenApi {
    gathered.info = InfoBuilder::new()
        .title("Roots")
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(license()))
        .description(Some(
            "Sessions, todos and activities of agents, encrypted at rest. \
             Reads cost nothing. A write costs 1 credit if it succeeds and nothing if it fails.",
        ))
        .build();
    gathered.servers = Some(vec![Server::new("/")]);
    gathered.tags = Some(vec![
        tag(
            "sessions",
            "Sessions record when an agent starts and stops, and its notes. Notes are encrypted at rest.",
        ),
        tag(
            "todos",
            "Todos are tasks, each with a history of its status changes. Title and description are encrypted at rest.",
        ),
        tag(
            "activities",
            "Activities record what was done, with statistics that need no decryption. Descriptions are encrypted at rest.",
        ),
        tag(
            "brief",
            "The brief: what an agent has to know when it wakes, in one answer of limited size. It \
             costs nothing.",
        ),
        tag("events", "Events tell what happens to an account, as it happens. They cost nothing."),
        tag("search", "Search finds words in encrypted texts. It costs nothing."),
        tag(
            "keys",
            "Actors and their API keys. Losing a key loses no data. Everything here costs nothing.",
        ),
        tag("accounts", "Accounts and their credits. Everything here costs nothing."),
        tag(
            "operators",
            "What operators do with accounts. They see names, balances and activity, but no texts. Everything here costs nothing.",
        ),
        tag("service", "The service itself."),
    ]);
    let keys = ["api_key", "bearer"];
    gathered.security = Some(keys.map(|key| SecurityRequirement::new(key, NO_SCOPES)).into());
    for (path, item) in &mut gathered.paths.paths {
        let route = path.strip_prefix(API_PATH);
        let (is_tagged, is_idempotent) =
            (route.is_some_and(is_tagged), route.is_some_and(is_idempotent));
        for (operation, is_write) in operations(item) {
            complete_operation(operation, is_write, is_tagged, is_write && is_idempotent);
        }
    }
    let mut components = ComponentsBuilder::from(gathered.components.unwrap_or_default())
        .schema(ProblemBody::name(), ProblemBody::schema())
        .security_scheme(
            "api_key",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))),
        )
        .security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let mut schemas = Vec::new();
    ProblemBody::schemas(&mut schemas);
    components = components.schemas_from_iter(schemas).schemas_from_iter(schema::all());
    for status in error_statuses(&gathered.paths) {
        components = components.response(response_name(status), error_response(status));
    }
    let mut components = components.build();
    refine_patches(&gathered.paths, &mut components.schemas);
    name_lines(&mut components.schemas);
    describe_import_member(&mut components.schemas);
    gathered.components = Some(components);
    gathered
}

/// A patch must name a field to change. A `note` alone changes nothing.
fn refine_patches(paths: &Paths, schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let patches =
        paths.paths.values().filter_map(|item| item.patch.as_ref()?.request_body.as_ref());
    for body in patches {
        let RefOr::T(body) = body else { continue };
        for content in body.content.values() {
            let RefOr::T(content) = content else { continue };
            let Some(RefOr::Ref(Ref { ref_location, .. })) = &content.schema else { continue };
            let name = ref_location.rsplit('/').next().unwrap_or_default();
            if let Some(RefOr::T(Schema::Object(patch))) = schemas.get_mut(name) {
                patch.min_properties = Some(1);
            }
        }
    }
    if let Some(RefOr::T(Schema::Object(todo))) = schemas.get_mut("TodoChange") {
        let with_status = json!({"anyOf": [
            {"required": ["status"], "properties": {"status": {}}},
            {"properties": {"note": {"type": "null"}}}
        ]});
        let keywords = [("dependentSchemas", json!({"note": with_status}))];
        todo.extensions = Some(keywords.into_iter().collect());
    }
}

/// Puts `kind` into the schema of each line of an export, so that the lines are a union of plain
/// objects. As gathered, each is a combination of the object and another one that has only the
/// kind, which few client generators can read.
fn name_lines(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let Some(RefOr::T(Schema::OneOf(mut lines))) = schemas.remove("ExportLine") else { return };
    for line in &mut lines.items {
        let RefOr::T(Schema::AllOf(parts)) = line else { continue };
        let [RefOr::Ref(named), RefOr::T(Schema::Object(kind))] = parts.items.as_slice() else {
            continue;
        };
        let name = named.ref_location.rsplit('/').next().unwrap_or_default();
        let Some(RefOr::T(Schema::Object(described))) = schemas.get_mut(name) else { continue };
        let properties = std::mem::take(&mut described.properties);
        described.properties = kind.properties.clone().into_iter().chain(properties).collect();
        described.required.splice(0..0, kind.required.iter().cloned());
        *line = RefOr::Ref(named.clone());
    }
    schemas.insert("ExportLine".to_owned(), RefOr::T(Schema::OneOf(lines)));
}

/// Describes the member that an import adds to the problem that ended it early.
fn describe_import_member(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let problem = schemas.get_mut(&*ProblemBody::name());
    let Some(RefOr::T(Schema::Object(problem))) = problem else { return };
    let mut import = Ref::from_schema_name(ImportBody::name());
    "The result of an import until it ended: rows that it wrote stay and are paid for. Continue\n\
     from its `from_line`."
        .clone_into(&mut import.description);
    problem.properties.insert(IMPORT_MEMBER.to_owned(), RefOr::Ref(import));
}

/// The license of this package.
fn license() -> License {
    let identifier = env!("CARGO_PKG_LICENSE");
    LicenseBuilder::new().name(identifier).identifier(Some(identifier)).build()
}

const NO_SCOPES: [&str; 0] = [];

fn tag(name: &str, description: &str) -> Tag {
    TagBuilder::new().name(name).description(Some(description)).build()
}

/// The methods that each path has.
pub(crate) fn methods(description: &OpenApi) -> HashMap<String, Vec<Method>> {
    let methods = |item: &PathItem| {
        let operations = [
            (Method::GET, &item.get),
            (Method::HEAD, &item.get),
            (Method::POST, &item.post),
            (Method::PATCH, &item.patch),
            (Method::DELETE, &item.delete),
        ];
        operations.into_iter().filter(|(_, it)| it.is_some()).map(|(method, _)| method).collect()
    };
    description.paths.paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// The operations of a path. The flag says whether it is a write.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let reads = item.get.as_mut().map(|operation| (operation, false));
    let writes = [&mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten();
    reads.into_iter().chain(writes.map(|operation| (operation, true)))
}

fn complete_operation(
    operation: &mut Operation,
    is_write: bool,
    is_tagged: bool,
    is_idempotent: bool,
) {
    let tags = operation.tags.as_deref().unwrap_or_default();
    let is_charged = is_write && tags.iter().any(|tag| CHARGED_TAGS.contains(&tag.as_str()));
    let takes = |name| {
        let mut parameters = operation.parameters.iter().flatten();
        parameters.any(|parameter| matches!(parameter, RefOr::T(one) if one.name == name))
    };
    let (has_path_id, is_list) = (takes("id"), takes("cursor"));
    let names_actor = takes("actor_id");
    let id = operation.operation_id.clone().unwrap_or_default();
    let is_document = DOCUMENTS.contains(&id.as_str());
    let answers_one = is_document || is_tagged && (!is_write || operation.request_body.is_some());
    let is_limited = !UNLIMITED.contains(&id.as_str());
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response {
            let is_created = is_charged && status == "201";
            response.headers.extend(success_headers(is_charged, is_created));
            response.headers.extend(is_idempotent.then(replayed));
            if id == ENDLESS {
                response.headers.extend(CREDIT_HEADERS.into_iter().map(header));
            }
            let is_tagged = ANSWERS_TAGGED.contains(&id.as_str()) && status == "200";
            response.headers.extend((answers_one || is_created || is_tagged).then(etag));
            response.headers.extend(is_list.then(link));
            if is_limited {
                response.headers.extend(LIMIT_HEADERS.into_iter().map(header));
            }
        }
    }
    if is_idempotent {
        let name = "Names the write, to repeat it safely: 1 to 255 visible ASCII characters, bare or \
                    quoted. The same request with the same key within 24 hours is answered as the \
                    first success was, and done and charged once.";
        let parameter = header_parameter("Idempotency-Key", name, schema::IDEMPOTENCY_KEY.into());
        operation.parameters.get_or_insert_default().push(RefOr::T(parameter.build()));
    }
    if is_tagged || is_document {
        tie(operation, is_write);
    }
    if id == "events" {
        let last = "The id of the last event that you have handled.";
        let parameter = header_parameter("Last-Event-ID", last, schema::EVENT_ID.into());
        operation.parameters.get_or_insert_default().push(RefOr::T(parameter.build()));
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        let is_optional = BODY_OPTIONAL.contains(&id.as_str());
        body.required = Some(if is_optional { Required::False } else { Required::True });
    }
    let mut errors = vec![StatusCode::BAD_REQUEST];
    if !FROM_MEMORY.contains(&id.as_str()) {
        errors.extend([StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE]);
    }
    if names_actor {
        errors.push(StatusCode::FORBIDDEN);
    }
    match &mut operation.security {
        // It is gathered as one that anonymous callers may use too, for which client generators
        // would ask for a key.
        Some(requirements) => requirements.clear(),
        None => errors.push(StatusCode::UNAUTHORIZED),
    }
    if is_limited {
        errors.push(StatusCode::TOO_MANY_REQUESTS);
    }
    if has_path_id {
        errors.push(StatusCode::NOT_FOUND);
    }
    // Also if none is taken: a body that is sent anyway is checked.
    if is_write {
        errors.extend([
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ]);
        if id != ENDLESS {
            errors.push(StatusCode::PAYLOAD_TOO_LARGE);
        }
    }
    if is_tagged && is_write {
        errors.push(StatusCode::PRECONDITION_FAILED);
    }
    if is_charged {
        errors.extend([
            StatusCode::PAYMENT_REQUIRED,
            StatusCode::FORBIDDEN,
            StatusCode::CONFLICT,
            StatusCode::UNPROCESSABLE_ENTITY,
        ]);
    }
    let responses = &mut operation.responses.responses;
    // A handler's own description of an error is kept beside the reference.
    for (status, response) in responses.iter_mut() {
        let own = status.parse().ok().filter(|status| is_error(*status));
        if let (Some(status), RefOr::T(Response { description, .. })) = (own, &*response) {
            let mut reference = Ref::from_response_name(response_name(status));
            reference.description.clone_from(description);
            *response = RefOr::Ref(reference);
        }
    }
    for status in errors {
        responses
            .entry(status.as_str().to_owned())
            .or_insert_with(|| RefOr::Ref(Ref::from_response_name(response_name(status))));
    }
}

/// The headers of a write that costs credits.
const CREDIT_HEADERS: [(&str, Type, &str); 2] = [
    ("X-Credits-Cost", Type::Integer, "The credits that the write cost."),
    ("X-Credits-Remaining", Type::Integer, "The account's balance."),
];

fn success_headers(is_charged: bool, is_created: bool) -> BTreeMap<String, RefOr<Header>> {
    let id = "The id of the request: the caller's, if it sent a valid one, or a new UUID.";
    let mut headers = vec![("X-Request-Id", Type::String, id)];
    if is_charged {
        headers.extend(CREDIT_HEADERS);
    }
    if is_created {
        headers.push(("Location", Type::String, "The path of the new resource."));
    }
    headers.into_iter().map(header).collect()
}

fn replayed() -> (String, RefOr<Header>) {
    let text = "`true` if this repeats an earlier answer: nothing was done or charged now.";
    header(("Idempotent-Replayed", Type::String, text))
}

fn etag() -> (String, RefOr<Header>) {
    header(("ETag", Type::String, "The resource's current state, for If-None-Match and If-Match."))
}

/// Adds `If-Match` or `If-None-Match` to an operation on one resource.
fn tie(operation: &mut Operation, is_write: bool) {
    let (name, description) = if is_write {
        let only = "Write only if the resource's ETag is listed here. Otherwise 412, and nothing is \
                    changed or charged. `*` matches any state.";
        ("If-Match", only)
    } else {
        let unless = "Answer 304 if the resource's ETag is listed here. `*` matches any state.";
        let mut same = ResponseBuilder::new().description("Not modified.").build();
        same.headers = success_headers(false, false).into_iter().chain([etag()]).collect();
        operation.responses.responses.insert("304".to_owned(), RefOr::T(same));
        ("If-None-Match", unless)
    };
    let example = if is_write { "*" } else { "\"fAXC1S0kB1k\"" };
    let parameter =
        header_parameter(name, description, schema::entity_tags()).example(Some(example.into()));
    operation.parameters.get_or_insert_default().push(RefOr::T(parameter.build()));
}

fn header_parameter(name: &str, description: &str, pattern: String) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))))
}

fn link() -> (String, RefOr<Header>) {
    header(("Link", Type::String, "The next page, with rel=\"next\", where there is one."))
}

fn header((name, kind, description): (&str, Type, &str)) -> (String, RefOr<Header>) {
    let header = HeaderBuilder::new()
        .schema(Some(Object::with_type(kind)))
        .description(Some(description))
        .build();
    (name.to_owned(), RefOr::T(header))
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// The error statuses that operations answer with.
fn error_statuses(paths: &Paths) -> BTreeSet<StatusCode> {
    let items = paths.paths.values();
    let operations = items
        .flat_map(|item| [&item.get, &item.post, &item.patch, &item.delete].into_iter().flatten());
    let statuses = operations.flat_map(|operation| operation.responses.responses.keys());
    statuses.filter_map(|status| status.parse().ok()).filter(|status| is_error(*status)).collect()
}

/// The name of the answers of an error status.
fn response_name(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or_default().replace(' ', "")
}

/// The kinds of problems that only other surfaces answer with.
const ELSEWHERE: [ProblemKind; 2] = [ProblemKind::ForeignHost, ProblemKind::ForeignOrigin];

/// The answer of an error status, with an example of each kind of problem that has it.
fn error_response(status: StatusCode) -> Response {
    let has_it = |kind: &ProblemKind| kind.status() == status && !ELSEWHERE.contains(kind);
    let kinds = || ProblemKind::ALL.iter().copied().filter(has_it);
    let titles: Vec<_> = kinds().map(ProblemKind::title).collect();
    let examples = kinds().map(|kind| {
        let body = serde_json::to_value(
            Problem::example(kind).body("019d728c-2e80-7000-8000-000000000001"),
        );
        (kind.slug(), ExampleBuilder::new().summary(kind.title()).value(body.ok()).build())
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ProblemBody::name())))
        .examples_from_iter(examples)
        .build();
    let mut response = ResponseBuilder::new()
        .description(titles.join(". ") + ".")
        .content(PROBLEM_JSON, content)
        .build();
    let mut headers = vec![("X-Request-Id", Type::String, "The same as `request_id`.")];
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.push(("WWW-Authenticate", Type::String, "How to send a key."));
        }
        StatusCode::CONFLICT => {
            let text = "With `still-in-flight`: seconds to wait before the next attempt.";
            headers.push(("Retry-After", Type::Integer, text));
        }
        StatusCode::TOO_MANY_REQUESTS => {
            headers.push(RETRY_AFTER);
            headers.extend(LIMIT_HEADERS);
        }
        StatusCode::SERVICE_UNAVAILABLE => headers.push(RETRY_AFTER),
        _ => {}
    }
    response.headers = headers.into_iter().map(header).collect();
    response
}
