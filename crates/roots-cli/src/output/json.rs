//! Documents as JSON, whole or with some fields.

use serde::Serialize;
use serde_json::{Map, Value};

use super::shape::Shape;
use super::terminal::{Output, json_text, line};
use crate::error::CliError;

/// How a command shows its answer. It is made before the command does anything, so that a field
/// that does not exist is refused before a write.
pub(crate) struct View<'o> {
    output: &'o Output,
    shape: Shape,
}

impl<'o> View<'o> {
    /// The view of a document of this shape.
    ///
    /// # Errors
    ///
    /// If a field is selected that the document does not have.
    pub(crate) fn new(output: &'o Output, shape: Shape) -> Result<Self, CliError> {
        let unknown = output
            .selection()
            .iter()
            .filter(|_| !shape.fields.is_empty())
            .find(|field| !shape.fields.contains(&field.as_str()));
        match unknown {
            None => Ok(Self { output, shape }),
            Some(field) => Err(CliError::Usage(format!(
                "--json: there is no field {field:?}; the fields are {known}",
                known = shape.fields.join(", ")
            ))),
        }
    }

    /// Writes the document: as JSON if that is wanted, or else as `text` tells it.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub(crate) fn show<T: Serialize>(
        &self,
        document: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        if !self.output.is_json() {
            return line(&text());
        }
        let selection = self.output.selection();
        let json = if selection.is_empty() {
            json_text(document)
        } else {
            let whole = serde_json::to_value(document);
            whole.and_then(|whole| json_text(&selected(whole, self.shape, selection)))
        };
        let json =
            json.map_err(|_| CliError::Failed("the answer can't be written as JSON".to_owned()))?;
        line(&json)
    }
}

/// The document with the selected fields alone. In a list they are those of its rows, and what
/// stands beside the rows stays: how many there are, and where to go on.
fn selected(mut document: Value, shape: Shape, selection: &[String]) -> Value {
    let Some(rows) = shape.rows else { return with_fields(document, selection) };
    if let Some(Value::Array(rows)) = document.get_mut(rows) {
        for row in rows {
            *row = with_fields(row.take(), selection);
        }
    }
    document
}

/// These fields of an object. One that an older server does not know is null.
fn with_fields(object: Value, selection: &[String]) -> Value {
    let Value::Object(mut object) = object else { return object };
    let fields =
        selection.iter().map(|field| (field.clone(), object.remove(field).unwrap_or(Value::Null)));
    Value::Object(fields.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::shape::{TODO, TODO_LIST};
    use super::*;

    fn fields(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_selection_keeps_these_fields_alone() {
        let todo = json!({"todo_id": 7, "title": "t", "status": "open"});
        let selection = fields(&["title", "todo_id", "due_at"]);
        assert_eq!(
            selected(todo, TODO, &selection),
            json!({"title": "t", "todo_id": 7, "due_at": null})
        );
    }

    #[test]
    fn a_selection_of_a_list_is_of_its_rows() {
        let page = json!({"todos": [{"todo_id": 7, "title": "t"}], "total": 233, "limit": 20});
        assert_eq!(
            selected(page, TODO_LIST, &fields(&["title"])),
            json!({"todos": [{"title": "t"}], "total": 233, "limit": 20})
        );
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_known_ones() {
        let output = Output::new(Some(fields(&["todo_id", "titel"])));
        let refused = View::new(&output, TODO).err().unwrap().to_string();
        assert!(refused.contains("\"titel\""), "{refused}");
        assert!(refused.contains("todo_id, session_id, title, "), "{refused}");
        assert!(View::new(&Output::new(None), TODO).is_ok());
    }
}
