//! Imports as text.

use std::path::Path;

use roots_client::model::{Import, ImportedCounts, LineErrors};

use crate::output::one_line;

/// What an import did, or would do.
pub(super) fn whole(import: &Import) -> String {
    let mut lines = counts(import);
    if import.dry_run {
        lines.push(match (import.is_covered, import.balance) {
            (Some(true), Some(balance)) => {
                format!("It would cost {} of {balance} credits.", import.cost)
            }
            (_, Some(balance)) => format!(
                "It would cost {} credits, and there are {balance}: the import would stop early.",
                import.cost
            ),
            (_, None) => format!("It would cost {} credits.", import.cost),
        });
    } else {
        lines.push(cost(import));
    }
    if !import.is_whole {
        lines.push("The file is not a whole export.".to_owned());
    }
    lines.extend(faults(import));
    lines.join("\n")
}

/// What an import did until it ended, and how to go on.
pub(super) fn ended(import: &Import, file: &Path) -> String {
    let mut lines = vec![format!("The import ended after line {}.", import.lines)];
    lines.extend(counts(import));
    lines.push(cost(import));
    lines.extend(faults(import));
    if let Some(line) = import.from_line.filter(|_| !import.dry_run) {
        lines.push(format!(
            "Go on later: roots import {file} --from-line {line}",
            file = file.display()
        ));
    }
    lines.join("\n")
}

fn counts(import: &Import) -> Vec<String> {
    let ImportedCounts { sessions, todos, todo_logs, activities } = &import.imported;
    let done = if import.dry_run { "Would import" } else { "Imported" };
    let mut lines = vec![format!(
        "{done}: sessions {sessions}, todos {todos}, entries of their logs {todo_logs}, activities \
         {activities}"
    )];
    if import.already_imported > 0 {
        lines.push(format!(
            "Imported before: {already}, of which {updated} {are} updated and {unchanged} \
             unchanged",
            already = import.already_imported,
            updated = import.updated,
            are = if import.dry_run { "would be" } else { "are" },
            unchanged = import.unchanged
        ));
    }
    if let Some(missing) = &import.missing
        && missing.sessions + missing.todos + missing.activities > 0
    {
        let end = match (import.dry_run, import.deleted) {
            (false, 0) => "; --delete-missing deletes them".to_owned(),
            (false, deleted) => format!("; {deleted} are deleted"),
            (true, _) => String::new(),
        };
        lines.push(format!(
            "No longer in the file: sessions {sessions}, todos {todos}, activities \
             {activities}{end}",
            sessions = missing.sessions,
            todos = missing.todos,
            activities = missing.activities
        ));
    }
    lines
}

fn cost(import: &Import) -> String {
    let left = import.balance.map(|balance| format!("; {balance} are left")).unwrap_or_default();
    format!("It cost {cost} credits{left}.", cost = import.cost)
}

/// The lines with errors.
fn faults(import: &Import) -> Vec<String> {
    if import.faulty == 0 {
        return Vec::new();
    }
    let listed = import.faults.len();
    let mut lines = vec![format!("Lines with errors: {listed} of {}", import.faulty)];
    lines.extend(import.faults.iter().map(fault));
    lines
}

fn fault(fault: &LineErrors) -> String {
    let errors = fault
        .errors
        .iter()
        .map(|error| format!("{field} {message}", field = error.field, message = error.message));
    let errors = errors.collect::<Vec<_>>().join("; ");
    format!("  line {line}: {errors}", line = fault.line, errors = one_line(&errors))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn import(dry_run: bool, more: Value) -> Import {
        let mut document = json!({
            "dry_run": dry_run, "lines": 8,
            "imported": {"sessions": 1, "todos": 2, "todo_logs": 3, "activities": 4},
            "already_imported": 0, "updated": 0, "unchanged": 0, "deleted": 0, "faulty": 0,
            "faults": [], "is_whole": true, "cost": 10, "balance": 90,
        });
        let (Value::Object(document_fields), Value::Object(more)) = (&mut document, more) else {
            panic!("two objects")
        };
        document_fields.extend(more);
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn an_import_ends_with_its_counts() {
        insta::assert_snapshot!(whole(&import(false, json!({}))), @"");
        let second = json!({
            "already_imported": 7, "updated": 2, "unchanged": 4, "is_whole": false,
            "missing": {"sessions": 0, "todos": 1, "activities": 0, "rows": []},
            "faulty": 120,
            "faults": [{"line": 3, "errors": [
                {"field": "title", "message": "must not be\nempty"},
                {"field": "priority", "message": "must be 0 to 3"},
            ]}],
        });
        insta::assert_snapshot!(whole(&import(false, second)), @"");
    }

    #[test]
    fn a_dry_run_says_whether_the_credits_suffice() {
        insta::assert_snapshot!(whole(&import(true, json!({"is_covered": true}))), @"");
        let poor = import(true, json!({"is_covered": false, "balance": 3}));
        insta::assert_snapshot!(whole(&poor), @"");
    }

    #[test]
    fn an_import_that_ended_says_how_to_go_on() {
        let stopped = import(false, json!({"from_line": 6, "lines": 5, "balance": 0}));
        insta::assert_snapshot!(ended(&stopped, Path::new("roots.jsonl")), @"");
    }
}
