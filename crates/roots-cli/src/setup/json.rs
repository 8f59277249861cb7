//! Entries in a JSON file that belongs to another program. The text is changed in place, so that
//! what others wrote keeps each byte: comments, order, white space and line breaks.

use jsonc_parser::ast::{Array, Object, Value};
use jsonc_parser::common::Ranged;

use crate::setup::json_text::{Container, Document, JsonError, Left, nested};

/// What a program's JSON file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A property, if the object at `path` has none of that name.
    Property {
        /// The names that lead to the object.
        path: &'static [&'static str],
        /// Its name.
        name: &'static str,
        /// Its value: JSON, indented by 2 spaces.
        value: &'static str,
    },
    /// An element of a list of hooks, if none of them runs a command with `known_by` in it.
    Hook {
        /// The names that lead to the list.
        path: &'static [&'static str],
        /// What each command has that does the same, in whatever form.
        known_by: &'static str,
        /// The command by which an entry of ours is known.
        command: &'static str,
        /// The element: JSON, indented by 2 spaces.
        value: &'static str,
    },
}

/// What is left of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// It had no such entry.
    Nothing,
    /// This.
    Text(String),
    /// Nothing: the file was made for the entry.
    WholeFile,
}

/// The text with the entry. An entry that is there already stays as it is.
///
/// # Errors
///
/// See [`JsonError`].
pub(crate) fn add(text: &str, entry: &Entry) -> Result<String, JsonError> {
    let document = Document::parse(text)?;
    let (path, key, value) = entry.parts();
    let mut container = document.root()?;
    for (depth, name) in path.iter().enumerate() {
        let rest = &path[depth + 1..];
        let Some(index) = index_of(object(container, name)?, name)? else {
            let value = nested(rest, key, value);
            return checked(document.insert(container, Some(name), &value));
        };
        let unfit = || JsonError::Unfit(format!("`{name}` is no object and no list"));
        container = container.child(index).ok_or_else(unfit)?;
    }
    let exists = match (*entry, container) {
        (Entry::Property { name, .. }, container) => {
            index_of(object(container, name)?, name)?.is_some()
        }
        (Entry::Hook { known_by, .. }, Container::Array(list)) => {
            list.elements.iter().any(|element| runs(element, known_by))
        }
        (Entry::Hook { path, .. }, Container::Object(_)) => {
            return Err(JsonError::Unfit(format!("`{}` is no list", path.join("."))));
        }
    };
    if exists { Ok(text.to_owned()) } else { checked(document.insert(container, key, value)) }
}

/// A new file with these entries, after those of `base`.
///
/// # Errors
///
/// See [`JsonError`].
pub(crate) fn new_file(base: Option<&str>, entries: &[Entry]) -> Result<String, JsonError> {
    let mut file = base.map(str::to_owned);
    for entry in entries {
        file = Some(if let Some(text) = file {
            add(&text, entry)?
        } else {
            let (path, key, value) = entry.parts();
            nested(path, key, value) + "\n"
        });
    }
    Ok(file.unwrap_or_default())
}

/// The text without the entry, if it is as setup writes it, and without what was made for it.
///
/// # Errors
///
/// See [`JsonError`].
pub(crate) fn remove(text: &str, entry: &Entry) -> Result<Removed, JsonError> {
    let mut text = text.to_owned();
    let mut removed = Removed::Nothing;
    loop {
        let Some(steps) = steps_to(&Document::parse(&text)?, entry)? else { return Ok(removed) };
        let Some(left) = without(&text, &steps)? else { return Ok(Removed::WholeFile) };
        text.clone_from(&left);
        removed = Removed::Text(left);
    }
}

/// Whether the text has the entry, perhaps in another form.
///
/// # Errors
///
/// See [`JsonError`].
pub(crate) fn has(text: &str, entry: &Entry) -> Result<bool, JsonError> {
    Ok(add(text, entry)? == text)
}

impl Entry {
    /// The path, the key and the value.
    const fn parts(&self) -> (&'static [&'static str], Option<&'static str>, &'static str) {
        match *self {
            Self::Property { path, name, value } => (path, Some(name), value),
            Self::Hook { path, value, .. } => (path, None, value),
        }
    }
}

/// The way to one entry of ours, as the places of children.
fn steps_to(document: &Document<'_>, entry: &Entry) -> Result<Option<Vec<usize>>, JsonError> {
    let (path, ..) = entry.parts();
    let mut container = document.root()?;
    let mut steps = Vec::new();
    for name in path {
        let Container::Object(object) = container else { return Ok(None) };
        let Some(index) = index_of(object, name)? else { return Ok(None) };
        let Some(child) = container.child(index) else { return Ok(None) };
        steps.push(index);
        container = child;
    }
    let last = match (*entry, container) {
        (Entry::Property { name, value, .. }, Container::Object(object)) => {
            let index = index_of(object, name)?.filter(|index| {
                let range = object.properties[*index].value.range();
                is_same(&document.text()[range.start..range.end], value)
            });
            index.map(|index| vec![index])
        }
        (Entry::Hook { command, .. }, Container::Array(list)) => steps_to_hook(list, command),
        _ => None,
    };
    Ok(last.map(|last| [steps, last].concat()))
}

/// The way to the first hook of ours: to its whole group, if that has no other.
fn steps_to_hook(list: &Array<'_>, command: &str) -> Option<Vec<usize>> {
    list.elements.iter().enumerate().find_map(|(index, element)| {
        if is_command(element, command) {
            return Some(vec![index]);
        }
        let (property, hooks) = hooks_of(element)?;
        let ours = hooks.elements.iter().position(|hook| is_command(hook, command))?;
        if hooks.elements.iter().all(|hook| is_command(hook, command)) {
            return Some(vec![index]);
        }
        Some(vec![index, property, ours])
    })
}

/// Whether the element of a list of hooks runs such a command, itself or in its group.
fn runs(element: &Value<'_>, known_by: &str) -> bool {
    let runs = |hook: &Value<'_>| command_of(hook).is_some_and(|text| text.contains(known_by));
    runs(element) || hooks_of(element).is_some_and(|(_, hooks)| hooks.elements.iter().any(runs))
}

/// The hooks of a group, and which of its properties they are.
fn hooks_of<'d>(group: &'d Value<'d>) -> Option<(usize, &'d Array<'d>)> {
    let Value::Object(group) = group else { return None };
    let index = group.properties.iter().position(|one| one.name.as_str() == "hooks")?;
    match &group.properties[index].value {
        Value::Array(hooks) => Some((index, hooks)),
        _ => None,
    }
}

fn is_command(value: &Value<'_>, command: &str) -> bool {
    command_of(value) == Some(command)
}

fn command_of<'d>(value: &'d Value<'d>) -> Option<&'d str> {
    let Value::Object(object) = value else { return None };
    let property = object.properties.iter().find(|one| one.name.as_str() == "command")?;
    Some(property.value.as_string_lit()?.value.as_ref())
}

fn is_same(text: &str, value: &str) -> bool {
    let parse = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    parse(text).is_some_and(|one| Some(one) == parse(value))
}

/// The text without the child that the steps lead to, and without each container that was made for
/// it. `None` if nothing of the file is left.
fn without(text: &str, steps: &[usize]) -> Result<Option<String>, JsonError> {
    let Some((index, way)) = steps.split_last() else { return Ok(None) };
    let document = Document::parse(text)?;
    let mut container = document.root()?;
    for step in way {
        let gone = || JsonError::Unfit("the entry is gone".to_owned());
        container = container.child(*step).ok_or_else(gone)?;
    }
    match document.cut(container, *index) {
        Left::Container(left) => checked(left).map(Some),
        // Comments beside the root are somebody's.
        Left::Nothing(left) if way.is_empty() => {
            Ok(Some(left).filter(|left| !left.split_ascii_whitespace().eq(["{", "}"])))
        }
        Left::Nothing(_) => without(text, way),
    }
}

/// A text that was changed is still JSON.
fn checked(text: String) -> Result<String, JsonError> {
    Document::parse(&text)?;
    Ok(text)
}

fn object<'d>(container: Container<'d>, name: &str) -> Result<&'d Object<'d>, JsonError> {
    match container {
        Container::Object(object) => Ok(object),
        Container::Array(_) => {
            Err(JsonError::Unfit(format!("a list stands where an object with `{name}` belongs")))
        }
    }
}

fn index_of(object: &Object<'_>, name: &str) -> Result<Option<usize>, JsonError> {
    let mut named =
        object.properties.iter().enumerate().filter(|(_, one)| one.name.as_str() == name);
    let index = named.next().map(|(index, _)| index);
    if named.next().is_some() {
        return Err(JsonError::Unfit(format!("`{name}` stands there twice")));
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MCP: Entry =
        Entry::Property { path: &["servers"], name: "roots", value: "{\n  \"run\": [\"mcp\"]\n}" };
    const START: Entry = Entry::Hook {
        path: &["hooks", "Start"],
        known_by: "roots hook",
        command: "roots hook",
        value: "{\n  \"hooks\": [\n    { \"command\": \"roots hook\" }\n  ]\n}",
    };
    const END: Entry = Entry::Hook {
        path: &["hooks", "End"],
        known_by: "roots hook",
        command: "roots hook",
        value: "{ \"command\": \"roots hook\" }",
    };
    const ALL: [Entry; 3] = [START, END, MCP];

    fn add_all(text: &str) -> String {
        ALL.iter().fold(text.to_owned(), |text, entry| add(&text, entry).unwrap())
    }

    fn remove_all(text: &str) -> Option<String> {
        let mut text = text.to_owned();
        for entry in ALL.iter().rev() {
            match remove(&text, entry).unwrap() {
                Removed::Nothing => {}
                Removed::Text(left) => text = left,
                Removed::WholeFile => return None,
            }
        }
        Some(text)
    }

    #[test]
    fn a_hook_in_another_form_counts_and_is_not_removed() {
        for text in [
            r#"{"hooks": {"Start": [{"command": "/opt/roots hook --deadline-ms 900"}]}}"#,
            r#"{"hooks": {"Start": [{"hooks": [{"command": "cd x && roots hook"}]}]}}"#,
        ] {
            assert!(has(text, &START).unwrap(), "{text}");
            assert_eq!(remove(text, &START).unwrap(), Removed::Nothing, "{text}");
        }
    }

    #[test]
    fn a_new_file_is_indented_and_goes_when_its_entries_go() {
        let text = new_file(None, &ALL).unwrap();
        let expected = r#"{
  "hooks": {
    "Start": [
      {
        "hooks": [
          { "command": "roots hook" }
        ]
      }
    ],
    "End": [
      { "command": "roots hook" }
    ]
  },
  "servers": {
    "roots": {
      "run": ["mcp"]
    }
  }
}
"#;
        assert_eq!(text, expected);
        assert_eq!(remove_all(&text), None);
    }

    #[test]
    fn entries_follow_those_of_others_and_are_indented_like_them() {
        let text = "{\n\t\"url\": \"https://x\", // mine\n\t\"hooks\": {\n\t\t\"Start\": [\n\t\t\t{ \"command\": \"theirs\" }, /* a */ // b\n\t\t],\n\t},\n}\n";
        let added = add(text, &START).unwrap();
        let expected = "{\n\t\"url\": \"https://x\", // mine\n\t\"hooks\": {\n\t\t\"Start\": [\n\t\t\t{ \"command\": \"theirs\" }, /* a */ // b\n\t\t\t{\n\t\t\t\t\"hooks\": [\n\t\t\t\t\t{ \"command\": \"roots hook\" }\n\t\t\t\t]\n\t\t\t},\n\t\t],\n\t},\n}\n";
        assert_eq!(added, expected);
        assert_eq!(remove(&added, &START).unwrap(), Removed::Text(text.to_owned()));
    }

    #[test]
    fn removing_restores_each_byte_of_a_file_that_was_there() {
        for text in [
            "{}",
            "{}\n",
            "{ }",
            "{\n}\n",
            "{\n\n}",
            "{\r\n}\r\n",
            "{ // c\n}",
            "// c\n{\n}\n// d",
            "{\"a\":1}",
            "{\"a\":[1,2],\"hooks\":{\"Start\":[]},\"servers\":{ }}",
            "{\n  \"a\": 1 // c\n}\n",
            "{\n  \"a\": 1, // c\n}\n",
            "{\n  \"a\": 1\n  // c\n}\n",
            "{\n  \"a\": \"//\" /* c */\n}",
            "{\r\n    \"a\": \"\u{1f331}\",\r\n    \"servers\": {\r\n        \"x\": {}\r\n    }\r\n}\r\n",
            "{\n  \"hooks\": {\n    \"Start\": [\n    ],\n    \"End\": [{\"command\": \"x\"}]\n  }\n}\n",
            "{\"servers\": {\n}, \"b\": {}}",
        ] {
            let added = add_all(text);
            assert_ne!(added, text);
            assert_eq!(add_all(&added), added, "{text}");
            assert_eq!(remove_all(&added).as_deref(), Some(text), "{added}");
        }
    }

    #[test]
    fn hooks_of_others_in_our_group_stay() {
        let text = r#"{"hooks": {"Start": [{"hooks": [
  {"command": "theirs"}, {"command": "roots hook"}]}]}}"#;
        assert_eq!(add(text, &START).unwrap(), text);
        let left = r#"{"hooks": {"Start": [{"hooks": [
  {"command": "theirs"}]}]}}"#;
        assert_eq!(remove(text, &START).unwrap(), Removed::Text(left.to_owned()));
    }

    #[test]
    fn a_line_comment_swallows_nothing() {
        let text = "{\"servers\": {\"x\": 1, // c\n\"roots\": {\"run\": [\"mcp\"]}}, \"b\": 2}";
        let Removed::Text(left) = remove(text, &MCP).unwrap() else { panic!("nothing removed") };
        assert_eq!(left, "{\"servers\": {\"x\": 1 // c\n}, \"b\": 2}");
    }

    #[test]
    fn an_entry_in_another_form_is_kept_by_both() {
        let text = "{\"servers\": {\"roots\": {\"url\": \"https://x/mcp\"}}}";
        assert_eq!(add(text, &MCP).unwrap(), text);
        assert_eq!(remove(text, &MCP).unwrap(), Removed::Nothing);
        assert!(has(text, &MCP).unwrap());
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for text in ["", " ", "{", "{\"a\": 1,, }", "{'a': 1}", "{a: 1}", "{} {}", "nope"] {
            assert!(matches!(add(text, &START), Err(JsonError::Syntax(_))), "{text}");
        }
        for text in [
            "[]",
            "1",
            "{\"hooks\": []}",
            "{\"hooks\": 1}",
            "{\"hooks\": {\"Start\": {}}}",
            "{\"hooks\": {\"Start\": null}}",
            "{\"hooks\": {}, \"hooks\": {}}",
        ] {
            assert!(matches!(add(text, &START), Err(JsonError::Unfit(_))), "{text}");
        }
    }

    fn white_space() -> impl Strategy<Value = String> {
        let comment = prop_oneof![Just(""), Just(""), Just("/* , */"), Just("// \" }\n")];
        ("[ \t\n]{0,3}", comment, "[ \n]{0,2}").prop_map(|(a, b, c)| a + b + &c)
    }

    /// A JSON text with comments, of the kind and the containers that the entries go to.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("1".to_owned()),
            Just("\"//\\\" {\"".to_owned()),
            Just("null".to_owned()),
            Just("{ \"command\": \"theirs\" }".to_owned()),
        ];
        let list = container(leaf.clone().boxed(), '[', ']', &[]);
        let hooks = container(list.clone().boxed(), '{', '}', &["Start", "Else", "End"]);
        let servers = container(leaf.clone().boxed(), '{', '}', &["x", "y"]);
        (white_space(), hooks, servers, leaf, any::<[bool; 4]>(), white_space()).prop_map(
            |(before, hooks, servers, leaf, has, after)| {
                let mut members = Vec::new();
                if has[0] {
                    members.push(format!("\"a\":{leaf}"));
                }
                if has[1] {
                    members.push(format!("\"hooks\": {hooks}"));
                }
                if has[2] {
                    members.push(format!("{before}\"servers\"{after}: {servers}"));
                }
                let comma = if has[3] && !members.is_empty() { "," } else { "" };
                format!("{before}{{{after}{}{before}{comma}{after}}}{after}", members.join(",\n"))
            },
        )
    }

    fn container(
        child: BoxedStrategy<String>,
        open: char,
        close: char,
        names: &'static [&'static str],
    ) -> impl Strategy<Value = String> + Clone {
        let children = proptest::collection::vec((white_space(), child, white_space()), 0..4);
        (children, any::<bool>(), white_space())
            .prop_map(move |(children, comma, inner)| {
                let mut members = Vec::new();
                for (index, (before, child, after)) in children.iter().enumerate() {
                    let key = match names.get(index) {
                        Some(name) => format!("\"{name}\":"),
                        None if names.is_empty() => String::new(),
                        None => break,
                    };
                    members.push(format!("{before}{key}{child}{after}"));
                }
                let comma = if comma && !members.is_empty() { "," } else { "" };
                format!("{open}{}{comma}{inner}{close}", members.join(","))
            })
            .boxed()
    }

    /// The text without what setup adds is the text of others, in their order.
    fn is_within(text: &str, added: &str) -> bool {
        let mut rest = added.chars();
        text.chars().all(|one| rest.any(|other| other == one))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_byte_of_others_changes_in_any_file(text in json()) {
            let added = add_all(&text);
            prop_assert!(is_within(&text, &added), "{text}\n{added}");
            prop_assert_eq!(&add_all(&added), &added);
            for entry in ALL {
                prop_assert!(has(&added, &entry).unwrap());
            }
            let removed = remove_all(&added);
            prop_assert_eq!(removed.as_deref(), Some(text.as_str()), "{}", added);
        }
    }
}
