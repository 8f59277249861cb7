//! Translates a schema into the SQL of a database.

use sea_orm_migration::sea_orm::DbBackend;

/// Replaces the placeholders of a schema: the names of four types, and the options of tables, where
/// `{by_key}` stores the rows in the order of the primary key.
pub(crate) fn dialect(schema: &str, backend: DbBackend) -> String {
    let words = match backend {
        DbBackend::Postgres => [
            ("{int}", "BIGINT"),
            ("{small}", "SMALLINT"),
            ("{bytes}", "BYTEA"),
            ("{uid}", "UUID"),
            ("{strict}", ""),
            ("{by_key}", ""),
        ],
        _ => [
            ("{int}", "INTEGER"),
            ("{small}", "INTEGER"),
            ("{bytes}", "BLOB"),
            ("{uid}", "BLOB"),
            ("{strict}", "STRICT"),
            ("{by_key}", "STRICT, WITHOUT ROWID"),
        ],
    };
    words.iter().fold(schema.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
}
