//! The schemas of texts in requests. Each describes its rule as far as a schema can: `roots-domain`
//! accepts what the schema accepts, except for what a schema can't count or look up.

use std::borrow::Cow;

use roots_domain::model::page::LIMIT_DEFAULT;
use roots_domain::model::search::SEARCH_MAX_CHARS;
use roots_domain::model::text::{
    ACTIVITY_TYPE_MAX_CHARS, LOG_NOTE_MAX_BYTES, LONG_TEXT_MAX_BYTES, NAME_MAX_CHARS,
    TITLE_MAX_CHARS,
};
use serde_json::Value;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{KnownFormat, Object, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// Any text but NUL.
const TEXT: &str = "^[^\\u0000]*$";
/// No control characters, and at least one character that is not a blank.
const NAME: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*\
                    [^\\u0000-\\u0020\\u007f-\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]\
                    [^\\u0000-\\u001f\\u007f-\\u009f]*$";
/// A cursor: 29 bytes in base64url. The first byte is 1.
const CURSOR: &str = "^A[Q-Za-f][A-Za-z0-9_-]{36}[AEIMQUYcgkosw048]$";
/// A month of the years 1970 to 9999.
const MONTH: &str = "^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])$";
/// The form of the names of time zones.
const TIME_ZONE: &str = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$";

/// The id of an event: a number of the ledger and one of the audit log.
pub const EVENT_ID: &str = r"^(0|[1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,17})$";

/// One to 255 visible ASCII characters, bare, or quoted with backslashes before quotes and
/// backslashes.
pub const IDEMPOTENCY_KEY: &str = r#"^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$"#;

/// The form of a date or a time of the years 1970 to 9999, leap years included.
fn date_or_time() -> String {
    let year = "(19[7-9][0-9]|[2-9][0-9]{3})";
    let leap_year = "(19(7[26]|8[048]|9[26])|[2-9][0-9](0[48]|[2468][048]|[13579][26])\
                     |([2468][048]|[3579][26])00)";
    let day = "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)\
               |02-(0[1-9]|1[0-9]|2[0-8]))";
    let clock = "([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60)([.,][0-9]+)?)?";
    let offset = "([Zz]|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)?";
    format!("^({year}-{day}|{leap_year}-02-29)([Tt ]{clock}{offset})?$")
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// The pattern of `If-Match` and `If-None-Match`: `*`, or a list of entity tags (RFC 9110), which
/// the server makes of ASCII.
#[must_use]
pub fn entity_tags() -> String {
    let tag = "(W/)?\"[!#-~]*\"";
    let commas = "(,[ \\t]*)";
    format!("^(\\*|{commas}*{tag}([ \\t]*{commas}+{tag})*[ \\t]*{commas}*)$")
}

/// A positive integer of 63 bits.
#[must_use]
pub fn id() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(1))
}

/// The maximum number of rows of a page. Numbers above 100 count as 100.
#[must_use]
pub fn limit() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .default(Some(LIMIT_DEFAULT.into()))
        .build()
}

/// The description of a merge patch. The document declares only the media type that every client
/// sends: client generators choose badly between two types.
pub const MERGE_PATCH: &str = "The fields to change: a merge patch (RFC 7396). It may also be sent as \
                                      `application/merge-patch+json`, in the same form.";

/// An example with some members changed.
#[must_use]
pub fn example_with(mut example: Value, changed: Value) -> Value {
    if let (Value::Object(members), Value::Object(changed)) = (&mut example, changed) {
        members.extend(changed);
    }
    example
}

/// Types that are used only in the OpenAPI document, for texts in requests.
macro_rules! schemas {
    ($($name:ident, $described:literal, $schema:expr;)+) => {
        $(
            #[doc = $described]
            pub enum $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    $schema.description(Some($described)).into()
                }
            }

            impl ToSchema for $name {
                fn name() -> Cow<'static, str> {
                    stringify!($name).into()
                }
            }
        )+

        /// All of these schemas: parameters refer to some, which would not be gathered otherwise.
        pub fn all() -> [(Cow<'static, str>, RefOr<Schema>); 13] {
            [$(($name::name(), $name::schema())),+]
        }
    };
}

schemas! {
    Name, "1 to 100 characters, no control characters, not only blanks.",
        text().min_length(Some(1)).max_length(Some(NAME_MAX_CHARS)).pattern(Some(NAME));
    Title, "1 to 500 characters, any but NUL.",
        text().min_length(Some(1)).max_length(Some(TITLE_MAX_CHARS)).pattern(Some(TEXT));
    LongText, "Up to 65,536 bytes of UTF-8, any characters but NUL.",
        text().max_length(Some(LONG_TEXT_MAX_BYTES)).pattern(Some(TEXT));
    ActivityText, "1 to 65,536 bytes of UTF-8, any characters but NUL.",
        text().min_length(Some(1)).max_length(Some(LONG_TEXT_MAX_BYTES)).pattern(Some(TEXT));
    LogNote, "Up to 8,192 bytes of UTF-8, any characters but NUL.",
        text().max_length(Some(LOG_NOTE_MAX_BYTES)).pattern(Some(TEXT));
    SearchText, "1 to 200 characters: 1 to 8 terms, each with a letter or digit.",
        text().min_length(Some(1)).max_length(Some(SEARCH_MAX_CHARS));
    ActivityTypeName, "1 to 50 of the characters a-z, 0-9, `_`, `.` and `-`.",
        text().pattern(Some(format!("^[a-z0-9_.-]{{1,{ACTIVITY_TYPE_MAX_CHARS}}}$")));
    DateOrTime, "An RFC 3339 date or time of the years 1970 to 9999, in UTC unless it names an offset.",
        text().pattern(Some(date_or_time()));
    TimeZone, "The name of a time zone of the IANA database, in any case.",
        text().pattern(Some(TIME_ZONE)).default(Some("UTC".into()));
    Month, "A month of the years 1970 to 9999.",
        text().pattern(Some(MONTH));
    Lines, "JSON objects, one a line (NDJSON).",
        text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
    Cursor, "Where a page starts: the `next_cursor` of the page before it.",
        text().pattern(Some(CURSOR));
    ActorFilter, "The id of an actor, or `all` for every actor of the account.",
        AnyOfBuilder::new().item(id()).item(text().enum_values(Some(["all"])));
}
