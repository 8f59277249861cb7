//! JSON bodies: read completely, then checked field by field.

use std::fmt;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use roots_domain::model::claim::ClaimToken;
use roots_domain::model::id::{AccountId, ActorId, SessionId};
use roots_domain::model::{Invalid, Patch};
use roots_domain::service::access::ActorScope;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{Fields, InvalidField, InvalidNoted};
use super::invalid_json::InvalidJson;
use crate::middleware::large_bodies::BodyPlace;
use crate::problem::Problem;
use crate::wire::{BODY_MAX_BYTES, SMALL_BODY_MAX_BYTES};

/// Longest time that a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// The byte-order mark that some programs put before UTF-8. RFC 8259, 8.1 lets a reader skip it.
pub const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The names of UTF-8 and of its subset ASCII that clients send as a `charset`.
const UTF_8_NAMES: [&str; 9] = [
    "utf-8",
    "utf8",
    "utf_8",
    "csutf8",
    "unicode-1-1-utf-8",
    "us-ascii",
    "ascii",
    "iso646-us",
    "ansi_x3.4-1968",
];

/// The members of a JSON object.
pub type Members = Fields<Value>;

/// The body of a request, parsed as `T`. Unknown fields are refused.
pub struct Json<T>(pub T);

/// A type that can be read from a JSON object.
pub trait FromMembers: Sized {
    /// Reads every member, even after one was invalid.
    ///
    /// # Errors
    /// A member is invalid.
    fn from_members(members: &mut Members) -> Result<Self, InvalidNoted>;
}

/// No fields at all, for writes that take no body, so that no field that was sent goes unnoticed.
/// The body may be absent or an empty object.
pub struct NoFields;

impl FromMembers for NoFields {
    fn from_members(_: &mut Members) -> Result<Self, InvalidNoted> {
        Ok(Self)
    }
}

/// A JSON value, in the detail that fields need.
#[derive(Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Integer(i64),
    /// An integer beyond 64 bits.
    HugeInteger {
        /// The nearest 64-bit integer.
        nearest: i64,
    },
    /// A number that is not whole.
    Fraction,
    /// A string.
    Text(String),
    /// A string that is not text: it has an unpaired surrogate.
    BrokenText,
    /// An array, as JSON text.
    Array(String),
    /// An object, as JSON text.
    Object(String),
}

impl Value {
    /// Parses a value of well-formed JSON. Its first byte tells its kind.
    fn of(raw: &RawValue) -> Self {
        let raw = raw.get();
        match raw.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => serde_json::from_str(raw).map_or(Self::BrokenText, Self::Text),
            Some(b'[') => Self::Array(raw.to_owned()),
            Some(b'{') => Self::Object(raw.to_owned()),
            _ => Self::number(raw),
        }
    }

    /// Parses a number of well-formed JSON. `2.0` and `2e0` are integers (JSON Schema 2020-12,
    /// 6.1.1). The digits are parsed directly: a float would round large numbers.
    fn number(raw: &str) -> Self {
        let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
        let (sign, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", mantissa),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0').trim_end_matches('0');
        if significant.is_empty() {
            return Self::Integer(0);
        }
        // An exponent beyond 64 bits moves the point past all digits that a body can hold.
        let beyond = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
        let zeros = digits.len() - digits.trim_end_matches('0').len();
        let shift = zeros.cast_signed() as i64 - fraction.len().cast_signed() as i64;
        let exponent = exponent.parse().unwrap_or(beyond).saturating_add(shift);
        let Ok(zeros) = usize::try_from(exponent) else { return Self::Fraction };
        let nearest = if sign.is_empty() { i64::MAX } else { i64::MIN };
        // More than 19 digits never fit 63 bits.
        if significant.len().saturating_add(zeros) > 19 {
            return Self::HugeInteger { nearest };
        }
        let plain = format!("{sign}{significant}{}", "0".repeat(zeros));
        plain.parse().map_or(Self::HugeInteger { nearest }, Self::Integer)
    }

    fn not(&self, wanted: &str) -> Invalid {
        Invalid::new(format!("must be {wanted}, not {}", self.kind()))
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::HugeInteger { .. } => "an integer",
            Self::Fraction => "a number with a fraction",
            Self::Text(_) | Self::BrokenText => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Reads a text with `parse`.
pub fn text<T>(
    parse: impl FnOnce(String) -> Result<T, Invalid>,
) -> impl FnOnce(Value) -> Result<T, Invalid> {
    |value| match value {
        Value::Text(text) => parse(text),
        Value::BrokenText => Err(Invalid::new("must be text without lone surrogates")),
        other => Err(other.not("a string")),
    }
}

/// Reads an integer with `parse`. An integer beyond 64 bits is never replaced by another: if
/// `parse` accepts the nearest one, the size is the error.
pub fn integer<T>(
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
///
/// # Errors
/// It is none.
pub fn boolean(value: Value) -> Result<bool, Invalid> {
    match value {
        Value::Bool(truth) => Ok(truth),
        other => Err(other.not("a boolean")),
    }
}

/// Reads the id of a session to link to.
///
/// # Errors
/// It is none.
pub fn session_id(value: Value) -> Result<SessionId, Invalid> {
    positive(value).map(SessionId)
}

/// Reads the id of the actor that a row will belong to.
///
/// # Errors
/// It is none.
pub fn actor_id(value: Value) -> Result<ActorId, Invalid> {
    positive(value).map(ActorId)
}

/// Reads the actors to select rows of: an id, or `all`.
///
/// # Errors
/// It is neither.
pub fn actor_scope(value: Value) -> Result<ActorScope, Invalid> {
    match value {
        Value::Text(text) if text == "all" => Ok(ActorScope::All),
        Value::Integer(_) => actor_id(value).map(ActorScope::Of),
        _ => Err(Invalid::new("must be a positive integer, or \"all\"")),
    }
}

/// Reads the token of a claim.
///
/// # Errors
/// It is none.
pub fn claim_token(value: Value) -> Result<ClaimToken, Invalid> {
    positive(value).map(ClaimToken)
}

/// Reads the id of an account.
///
/// # Errors
/// It is none.
pub fn account_id(value: Value) -> Result<AccountId, Invalid> {
    positive(value).map(AccountId)
}

/// Reads an object with `read`.
pub fn nested<T>(
    read: impl FnOnce(&mut Members) -> Result<T, InvalidNoted>,
) -> impl FnOnce(Value) -> Result<T, Invalid> {
    |value| match value {
        Value::Object(raw) => {
            let given = object(raw.as_bytes()).map_err(|error| Invalid::new(error.to_string()))?;
            let mut members = Members::new("field", given);
            let read = read(&mut members);
            match (read, members.finish().listed.first()) {
                (Ok(read), None) => Ok(read),
                (_, Some(InvalidField { field, message })) => {
                    Err(Invalid::new(format!("is faulty: {field} {message}")))
                }
                (Err(InvalidNoted), None) => Err(Invalid::new("is faulty")),
            }
        }
        other => Err(other.not("an object")),
    }
}

/// Reads an array, item by item, with `read`.
pub fn array<T>(
    read: impl Fn(Value) -> Result<T, Invalid>,
) -> impl FnOnce(Value) -> Result<Vec<T>, Invalid> {
    move |value| {
        let faulty = |error| Invalid::new(format!("holds an item that {error}"));
        items(&value)?.into_iter().map(|item| read(item).map_err(faulty)).collect()
    }
}

/// The items of an array.
fn items(value: &Value) -> Result<Vec<Value>, Invalid> {
    let Value::Array(raw) = value else { return Err(value.not("an array")) };
    let items: Vec<&RawValue> =
        parse(raw).map_err(|error| Invalid::new(format!("can't be read: it {error}")))?;
    Ok(items.into_iter().map(Value::of).collect())
}

/// Reads an id.
///
/// # Errors
/// It is none.
pub fn positive(value: Value) -> Result<i64, Invalid> {
    integer(|number| {
        if number < 1 {
            return Err(Invalid::new("must be a positive integer"));
        }
        Ok(number)
    })(value)
}

impl Members {
    /// Reads a required field.
    ///
    /// # Errors
    /// It is invalid or missing.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Invalid>,
    ) -> Result<T, InvalidNoted> {
        self.take(name, read)?.ok_or_else(|| self.error(name, "is required"))
    }

    /// Reads an optional field; `null` means the same as absent.
    ///
    /// # Errors
    /// It is invalid.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Invalid>,
    ) -> Result<Option<T>, InvalidNoted> {
        Ok(self.take(name, some(read))?.flatten())
    }

    /// Reads a required array of objects, each with `read`. The errors of all of them are noted,
    /// under names such as `todos[0].title`.
    ///
    /// # Errors
    /// It is missing or no array, or one of its items is invalid.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, InvalidNoted>,
    ) -> Result<Vec<T>, InvalidNoted> {
        let given = self.required(name, |value| items(&value))?;
        let mut all = Ok(Vec::new());
        for (index, item) in given.into_iter().enumerate() {
            let place = format!("{name}[{index}]");
            let Value::Object(raw) = item else {
                all = Err(self.error(&place, item.not("an object").to_string()));
                continue;
            };
            let mut members = match object(raw.as_bytes()) {
                Ok(given) => Self::new("field", given),
                Err(error) => {
                    all = Err(self.error(&place, error.to_string()));
                    continue;
                }
            };
            let read = read(&mut members);
            let errors = members.finish();
            match (read, errors.is_empty(), &mut all) {
                (Ok(read), true, Ok(all)) => all.push(read),
                (Ok(_), true, Err(InvalidNoted)) => {}
                _ => all = Err(self.adopt(&place, errors)),
            }
        }
        all
    }

    /// Reads a field of a merge patch that can't be cleared.
    ///
    /// # Errors
    /// It is invalid or `null`.
    pub fn replacement<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Invalid>,
    ) -> Result<Option<T>, InvalidNoted> {
        self.take(name, |value| match value {
            Value::Null => Err(Invalid::new("can't be emptied: it must not be null")),
            value => read(value),
        })
    }

    /// Reads a field of a merge patch that `null` clears.
    ///
    /// # Errors
    /// It is invalid.
    pub fn patch<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value) -> Result<T, Invalid>,
    ) -> Result<Patch<T>, InvalidNoted> {
        Ok(match self.take(name, some(read))? {
            None => Patch::Keep,
            Some(None) => Patch::Clear,
            Some(Some(value)) => Patch::Set(value),
        })
    }
}

/// Reads `null` as `None`.
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
        validate(&receive(&parts, body).await?).map(Self)
    }
}

/// Reads a whole JSON body, without its byte-order mark. The body may be empty, which shows only at
/// its end if it is sent in chunks.
///
/// # Errors
/// It is too large, has a wrong media type, or does not arrive.
pub async fn receive(parts: &Parts, body: Body) -> Result<Bytes, Problem> {
    let mut bytes = read_whole(parts, body, BODY_MAX_BYTES).await?;
    if !bytes.is_empty() {
        check_media_type(&parts.method, &parts.headers)?;
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes = bytes.slice(BYTE_ORDER_MARK.len()..);
    }
    Ok(bytes)
}

/// Parses a body and checks all its fields.
///
/// # Errors
/// Lists every error.
pub fn validate<T: FromMembers>(bytes: &[u8]) -> Result<T, Problem> {
    let given = if bytes.is_empty() { Vec::new() } else { object(bytes)? };
    let mut members = Members::new("field", given);
    let read = T::from_members(&mut members);
    let errors = members.finish();
    match read {
        Ok(read) if errors.is_empty() => Ok(read),
        _ => Err(Problem::invalid_body(errors)),
    }
}

fn check_media_type(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let is_patch = method == Method::PATCH;
    if is_compressed(headers) {
        return Err(Problem::unsupported_media_type("The body must not be compressed.", is_patch));
    }
    let is_patched = is_patch && is_utf_8_of(headers, "application/merge-patch+json");
    if is_patched || is_utf_8_of(headers, "application/json") {
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

/// Whether the headers say that the body is compressed.
pub fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity")
}

/// Whether the headers say that the body has that media type and is UTF-8.
pub fn is_utf_8_of(headers: &HeaderMap, media_type: &str) -> bool {
    let mut given = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (given.next(), given.next()) else { return false };
    let Ok(text) = only.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let fits = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case(media_type));
    fits && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let charset = value.trim().trim_matches('"');
            UTF_8_NAMES.iter().any(|name| charset.eq_ignore_ascii_case(name))
        }
        _ => true,
    })
}

/// Reads a whole body of any media type and at most `most` bytes.
///
/// # Errors
/// It is too large, or does not arrive.
pub async fn read_whole(parts: &Parts, body: Body, most: usize) -> Result<Bytes, Problem> {
    let announced = parts.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > most as u64) {
        return Err(Problem::body_too_large(most));
    }
    let reading = tokio::time::timeout(BODY_TIMEOUT, collect(&parts.extensions, body, most));
    reading.await.unwrap_or_else(|_| Err(Problem::request_timeout()))
}

/// Collects the body in one buffer: separate chunks would take many times the size of a body that
/// is sent byte by byte.
async fn collect(extensions: &Extensions, body: Body, most: usize) -> Result<Bytes, Problem> {
    let mut body = Limited::new(body, most);
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let is_too_large = error.is::<LengthLimitError>();
            if is_too_large {
                Problem::body_too_large(most)
            } else {
                Problem::bad_request("The body broke off.")
            }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > SMALL_BODY_MAX_BYTES {
            BodyPlace::take(extensions).await?;
            // Reserved pages take no memory until they are written.
            whole.reserve_exact(most.saturating_sub(whole.len()));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

/// The members of a JSON object.
///
/// # Errors
/// It is not JSON, or not an object.
pub fn object(bytes: &[u8]) -> Result<Vec<(String, Value)>, InvalidJson> {
    let text = std::str::from_utf8(bytes).map_err(|_| {
        let read = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let line = read.matches('\n').count() as u64 + 1;
        let column = read.rsplit('\n').next().map_or(0, str::len) + 1;
        InvalidJson::Json { what: "is not UTF-8,", line, column }
    })?;
    if text.starts_with('\u{feff}') {
        let what = "holds a byte-order mark, which no editor shows,";
        return Err(InvalidJson::Json { what, line: 1, column: 1 });
    }
    let raw: &RawValue = parse(text)?;
    if !raw.get().starts_with('{') {
        return Err(InvalidJson::NoObject(Value::of(raw).kind()));
    }
    parse(text).map(|GivenMembers(members)| members)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, InvalidJson> {
    serde_json::from_str(text).map_err(|error| {
        let what = if error.is_eof() {
            "ends too early to be JSON,"
        } else {
            "is not JSON that can be read,"
        };
        InvalidJson::Json { what, line: error.line() as u64, column: error.column() }
    })
}

/// The members of an object in their order, duplicates included.
struct GivenMembers(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for GivenMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = GivenMembers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<GivenMembers, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<_, &RawValue>()? {
            members.push((name, Value::of(value)));
        }
        Ok(GivenMembers(members))
    }
}
