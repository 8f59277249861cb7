//! Parts of the text of statements, and their limits.

use sea_orm::sea_query::{ArrayType, ValueType};
use sea_orm::{IdenStatic, Value};

/// Most values that one statement binds: SQLite takes 32,766 and PostgreSQL 65,535.
pub(super) const VALUES_MAX: usize = 30_000;

pub(super) fn quoted(column: impl IdenStatic) -> String {
    format!("\"{}\"", column.as_str())
}

pub(super) fn listed(parts: impl Iterator<Item = impl AsRef<str>>) -> String {
    let mut list = String::new();
    for part in parts {
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(part.as_ref());
    }
    list
}

/// The parallel arrays among these values, as columns: `c2` if the second value is an array.
pub(super) fn unnested(values: &[Value]) -> String {
    let columns = (1..).zip(values).filter_map(|(number, value)| {
        let Value::Array(of, _) = value else { return None };
        // PostgreSQL's names of the columns' types.
        let of = match of {
            ArrayType::Bool => "boolean",
            ArrayType::SmallInt => "smallint",
            ArrayType::String => "text",
            ArrayType::Bytes => "bytea",
            ArrayType::Uuid => "uuid",
            _ => "bigint",
        };
        Some(format!("UNNEST(${number}::{of}[]) AS c{number}"))
    });
    listed(columns)
}

/// Values as one array.
pub(super) fn array<V: ValueType + Into<Value>>(list: impl IntoIterator<Item = V>) -> Value {
    let list = list.into_iter().map(Into::into).collect();
    Value::Array(V::array_type(), Some(Box::new(list)))
}
