//! JSON bodies: read whole, then judged field by field.

use std::fmt;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use roots_domain::model::id::{AccountId, ActorId, SessionId};
use roots_domain::model::{Invalid, Patch};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::fields::{Fault, Faulty, Fields};
use crate::large_bodies::{BodyPlace, SMALL_BODY_MAX_BYTES};
use crate::problem::Problem;

/// Most bytes of a body.
pub(crate) const BODY_MAX_BYTES: usize = 1024 * 1024;
/// Longest time that a body may take to arrive.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// The members of a JSON object.
pub(crate) type Members = Fields<Value>;

/// What an endpoint reads from its body. Whatever else stands there is refused.
pub(crate) struct Json<T>(pub(crate) T);

/// What can be read from a JSON object.
pub(crate) trait FromMembers: Sized {
    /// Reads every member that there is, also after one was faulty.
    fn from_members(members: &mut Members) -> Result<Self, Faulty>;
}

/// No fields at all: what a write that takes no body reads, so that nothing that was sent passes in
/// silence. It may be missing, or an empty object.
pub(crate) struct NoFields;

impl FromMembers for NoFields {
    fn from_members(_: &mut Members) -> Result<Self, Faulty> {
        Ok(Self)
    }
}

/// A JSON value, as far as any field needs it.
#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// An integer beyond 64 bits.
    HugeInteger {
        /// The nearest that there is.
        nearest: i64,
    },
    /// A number with a fraction or an exponent.
    OtherNumber,
    Text(String),
    /// A string that is no text: it holds half of a pair of surrogates.
    BrokenText,
    Array,
    /// As it is written.
    Object(String),
}

impl Value {
    /// What stands in well-formed JSON, whose first byte tells its kind.
    fn of(raw: &RawValue) -> Self {
        let raw = raw.get();
        match raw.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => serde_json::from_str(raw).map_or(Self::BrokenText, Self::Text),
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object(raw.to_owned()),
            _ if raw.contains(['.', 'e', 'E']) => Self::OtherNumber,
            _ => {
                let nearest = if raw.starts_with('-') { i64::MIN } else { i64::MAX };
                raw.parse().map_or(Self::HugeInteger { nearest }, Self::Integer)
            }
        }
    }

    fn not(&self, wanted: &str) -> Invalid {
        Invalid::new(format!("must be {wanted}, not {}", self.kind()))
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::HugeInteger { .. } => "an integer",
            Self::OtherNumber => "another number",
            Self::Text(_) | Self::BrokenText => "a string",
            Self::Array => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Reads a text by `parse`.
pub(crate) fn text<T>(
    parse: impl FnOnce(String) -> Result<T, Invalid>,
) -> impl FnOnce(Value) -> Result<T, Invalid> {
    |value| match value {
        Value::Text(text) => parse(text),
        Value::BrokenText => Err(Invalid::new("must be text without lone surrogates")),
        other => Err(other.not("a string")),
    }
}

/// Reads an integer by `parse`. One beyond 64 bits is never taken for another: where the rules have
/// nothing against the nearest that there is, its size is the fault.
pub(crate) fn integer<T>(
    parse: impl FnOnce(i64) -> Result<T, Invalid>,
) -> impl FnOnce(Value) -> Result<T, Invalid> {
    |value| match value {
        Value::Integer(number) => parse(number),
        Value::HugeInteger { nearest } => {
            parse(nearest).and_then(|_| Err(Invalid::new("must be an integer of at most 63 bits")))
        }
        other => Err(other.not("an integer")),
    }
}

/// Reads a boolean.
pub(crate) fn boolean(value: Value) -> Result<bool, Invalid> {
    match value {
        Value::Bool(truth) => Ok(truth),
        other => Err(other.not("a boolean")),
    }
}

/// Reads the id of a session to link to.
pub(crate) fn session_id(value: Value) -> Result<SessionId, Invalid> {
    positive(value).map(SessionId)
}

/// Reads the id of the actor whose something is to be.
pub(crate) fn actor_id(value: Value) -> Result<ActorId, Invalid> {
    positive(value).map(ActorId)
}

/// Reads the id of an account.
pub(crate) fn account_id(value: Value) -> Result<AccountId, Invalid> {
    positive(value).map(AccountId)
}

/// Reads an object by `read`.
pub(crate) fn nested<T>(
    read: impl FnOnce(&mut Members) -> Result<T, Faulty>,
) -> impl FnOnce(Value) -> Result<T, Invalid> {
    |value| match value {
        Value::Object(raw) => {
            let given = object(raw.as_bytes()).map_err(|fault| Invalid::new(fault.to_string()))?;
            let mut members = Members::new("field", given);
            let read = read(&mut members);
            match (read, members.finish().listed.first()) {
                (Ok(read), None) => Ok(read),
                (_, Some(Fault { field, message })) => {
                    Err(Invalid::new(format!("is faulty: {field} {message}")))
                }
                (Err(Faulty), None) => Err(Invalid::new("is faulty")),
            }
        }
        other => Err(other.not("an object")),
    }
}

/// Reads an id.
pub(crate) fn positive(value: Value) -> Result<i64, Invalid> {
    integer(|number| {
        if number < 1 {
            return Err(Invalid::new("must be a positive integer"));
        }
        Ok(number)
    })(value)
}

impl Members {
    /// A field that must be there.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Invalid>,
    ) -> Result<T, Faulty> {
        self.take(name, read)?.ok_or_else(|| self.fault(name, "is required"))
    }

    /// A field that may be absent; `null` says the same.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Faulty> {
        Ok(self.take(name, some(read))?.flatten())
    }

    /// A field of a merge patch that can't be emptied.
    pub(crate) fn replacement<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Faulty> {
        self.take(name, |value| match value {
            Value::Null => Err(Invalid::new("can't be emptied: it must not be null")),
            value => read(value),
        })
    }

    /// A field of a merge patch that `null` empties.
    pub(crate) fn patch<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Invalid>,
    ) -> Result<Patch<T>, Faulty> {
        Ok(match self.take(name, some(read))? {
            None => Patch::Keep,
            Some(None) => Patch::Clear,
            Some(Some(value)) => Patch::Set(value),
        })
    }
}

/// Reads `null` as nothing.
fn some<T>(
    read: impl FnOnce(Value) -> Result<T, Invalid>,
) -> impl FnOnce(Value) -> Result<Option<T>, Invalid> {
    |value| match value {
        Value::Null => Ok(None),
        value => read(value).map(Some),
    }
}

impl<T: FromMembers, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        judge(&receive(&parts, body).await?).map(Self)
    }
}

/// Reads a JSON body whole. It may be missing, which one that is sent in chunks shows only at its end.
pub(crate) async fn receive(parts: &Parts, body: Body) -> Result<Bytes, Problem> {
    let bytes = read_whole(parts, body).await?;
    if !bytes.is_empty() {
        check_media_type(&parts.method, &parts.headers)?;
    }
    Ok(bytes)
}

/// Judges a body, all its fields at once.
pub(crate) fn judge<T: FromMembers>(bytes: &[u8]) -> Result<T, Problem> {
    let given = if bytes.is_empty() { Vec::new() } else { object(bytes)? };
    let mut members = Members::new("field", given);
    let read = T::from_members(&mut members);
    let faults = members.finish();
    match read {
        Ok(read) if faults.is_empty() => Ok(read),
        _ => Err(Problem::invalid_body(faults)),
    }
}

fn check_media_type(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let is_patch = method == Method::PATCH;
    let encoded = headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity");
    if encoded {
        return Err(Problem::unsupported_media_type("The body must not be compressed.", is_patch));
    }
    let mut given = headers.get_all(CONTENT_TYPE).iter();
    let fits = match (given.next(), given.next()) {
        (Some(only), None) => only.to_str().is_ok_and(|text| is_json(text, is_patch)),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Problem::unsupported_media_type(
        if is_patch {
            "The body must be application/json or application/merge-patch+json in UTF-8, and Content-Type must say so."
        } else {
            "The body must be application/json in UTF-8, and Content-Type must say so."
        },
        is_patch,
    ))
}

fn is_json(content_type: &str, is_patch: bool) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let fits = essence.eq_ignore_ascii_case("application/json")
        || is_patch && essence.eq_ignore_ascii_case("application/merge-patch+json");
    fits && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    })
}

async fn read_whole(parts: &Parts, body: Body) -> Result<Bytes, Problem> {
    let announced = parts.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > BODY_MAX_BYTES as u64) {
        return Err(Problem::body_too_large());
    }
    let reading = tokio::time::timeout(BODY_TIMEOUT, collect(&parts.extensions, body));
    reading.await.unwrap_or_else(|_| Err(Problem::request_timeout()))
}

/// Copies what comes into one piece: chunks kept as they came would hold many times the bytes of a body
/// that is sent byte by byte.
async fn collect(extensions: &Extensions, body: Body) -> Result<Bytes, Problem> {
    let mut body = Limited::new(body, BODY_MAX_BYTES);
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|fault| {
            let is_too_large = fault.is::<LengthLimitError>();
            if is_too_large {
                Problem::body_too_large()
            } else {
                Problem::bad_request("The body broke off.")
            }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > SMALL_BODY_MAX_BYTES {
            BodyPlace::take(extensions).await?;
            // What is not written to takes no memory.
            whole.reserve_exact(BODY_MAX_BYTES - whole.len());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

/// What is wrong with the form of JSON. It displays as the end of a sentence whose subject is the JSON,
/// and tells by line and column alone: a parser's own words may repeat the text.
#[derive(Debug)]
pub(crate) enum Malformed {
    /// It can't be read.
    Json { what: &'static str, line: u64, column: usize },
    /// It is something else.
    NoObject(&'static str),
}

impl Malformed {
    /// The same, where the JSON is a line by itself: that one.
    pub(crate) fn at_line(self, number: u64) -> Self {
        match self {
            Self::Json { what, column, .. } => Self::Json { what, line: number, column },
            other @ Self::NoObject(_) => other,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { what, line, column } => {
                // What ends with a line ends at column 0 of the next one, where people count from 1.
                write!(f, "{what} at line {line}, column {}", (*column).max(1))
            }
            Self::NoObject(kind) => write!(f, "must be a JSON object, not {kind}"),
        }
    }
}

/// The members of a JSON object.
pub(crate) fn object(bytes: &[u8]) -> Result<Vec<(String, Value)>, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| {
        let read = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let line = read.matches('\n').count() as u64 + 1;
        let column = read.rsplit('\n').next().map_or(0, str::len) + 1;
        Malformed::Json { what: "is not UTF-8,", line, column }
    })?;
    let raw: &RawValue = parse(text)?;
    if !raw.get().starts_with('{') {
        return Err(Malformed::NoObject(Value::of(raw).kind()));
    }
    parse(text).map(|Given(members)| members)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|fault| {
        let what = if fault.is_eof() {
            "ends too early to be JSON,"
        } else {
            "is not JSON that can be read,"
        };
        Malformed::Json { what, line: fault.line() as u64, column: fault.column() }
    })
}

/// The members of an object in their order, duplicates included.
struct Given(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<_, &RawValue>()? {
            members.push((name, Value::of(value)));
        }
        Ok(Given(members))
    }
}
