//! The order in which tables are spread: a distributed table may only refer to another one.

use super::cluster::FIRST_TABLE;

/// The tables in an order in which each comes after those that its foreign keys lead to. `accounts`
/// is first, since the others are colocated with it. A key is a table and the one that it leads to.
///
/// Tables in a circle come last, by name. The database then refuses them and says why.
pub(super) fn in_order(mut left: Vec<String>, keys: &[(String, String)]) -> Vec<String> {
    left.sort_by_key(|table| (table != FIRST_TABLE, table.clone()));
    let mut ordered: Vec<String> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |table: &String| {
            let leads_to_one_left =
                |(from, to): &(String, String)| from == table && to != table && left.contains(to);
            keys.iter().any(leads_to_one_left)
        };
        let next = left.iter().position(|table| !waits(table)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(tables: &[&str], keys: &[(&str, &str)]) -> Vec<String> {
        let keys: Vec<_> = keys.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        in_order(tables.iter().map(|table| (*table).to_owned()).collect(), &keys)
    }

    #[test]
    fn a_table_comes_after_those_that_its_foreign_keys_lead_to() {
        let tables = ["actors", "a_log", "todos", "accounts", "b_keys"];
        let keys = [("a_log", "todos"), ("todos", "accounts"), ("b_keys", "actors")];
        assert_eq!(ordered(&tables, &keys), ["accounts", "actors", "b_keys", "todos", "a_log"]);
    }

    #[test]
    fn keys_to_the_same_table_or_to_one_that_is_spread_already_do_not_wait() {
        let keys = [("todos", "todos"), ("todos", "sessions")];
        assert_eq!(ordered(&["todos"], &keys), ["todos"]);
    }

    #[test]
    fn tables_in_a_circle_are_all_named() {
        let keys = [("b", "c"), ("c", "b")];
        assert_eq!(ordered(&["c", "b", "a"], &keys), ["a", "b", "c"]);
    }
}
