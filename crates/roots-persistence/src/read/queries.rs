//! Queries that are made of others.

/// These columns of a query.
pub(super) fn columns(names: &str, query: &str) -> String {
    format!("SELECT {names} FROM ({query}) AS chosen")
}

/// The first rows of parts that each have their own order and limit.
pub(super) fn first(parts: impl Iterator<Item = String>, order: &str, most: u32) -> String {
    let parts: Vec<_> = parts.map(|part| columns("*", &part)).collect();
    let all = parts.join(" UNION ALL ");
    format!("SELECT * FROM ({all}) AS merged ORDER BY {order} LIMIT {most}")
}
