//! Where the values of a JSON text stand, and how to put one in or take one out without touching
//! another byte.
//!
//! Cutting is the exact opposite of inserting. A container that [`nested`] makes holds nothing but
//! one line break and its indentation once its children are cut. A container that had no children,
//! but line breaks, gets one more of them with its first child, and keeps the others.

use jsonc_parser::ast::{Array, Object, Value};
use jsonc_parser::common::{Range, Ranged};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::setup::section::line_break_of;

/// Why a text can't be changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// It is no JSON, not even with comments and trailing commas.
    #[error("{0}")]
    Syntax(String),
    /// It has something of another kind where an entry belongs.
    #[error("{0}")]
    Unfit(String),
}

/// A text and its value.
pub(crate) struct Document<'t> {
    text: &'t str,
    root: Value<'t>,
}

/// An object or an array of a document.
#[derive(Clone, Copy)]
pub(crate) enum Container<'d> {
    /// An object.
    Object(&'d Object<'d>),
    /// An array.
    Array(&'d Array<'d>),
}

/// What is left of a container's inside when its last child is cut.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// It has children, or had none before it got this one.
    Container(String),
    /// Nothing: it was made for the child. This is the text with the empty container.
    Nothing(String),
}

impl<'t> Document<'t> {
    /// Parses JSON, which may have comments and trailing commas.
    pub(crate) fn parse(text: &'t str) -> Result<Self, JsonError> {
        let options = ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let parsed = parse_to_ast(text, &CollectOptions::default(), &options);
        let parsed = parsed.map_err(|error| JsonError::Syntax(error.to_string()))?;
        let empty = || JsonError::Syntax("it is empty; delete it or write `{}`".to_owned());
        Ok(Self { text, root: parsed.value.ok_or_else(empty)? })
    }

    /// The text.
    pub(crate) const fn text(&self) -> &'t str {
        self.text
    }

    /// The outermost object.
    pub(crate) fn root(&self) -> Result<Container<'_>, JsonError> {
        match &self.root {
            Value::Object(object) => Ok(Container::Object(object)),
            _ => Err(JsonError::Unfit("its outermost value is no object".to_owned())),
        }
    }

    /// The text with one more child at the end of the container. `value` is indented by 2 spaces;
    /// the child is indented as the text is.
    pub(crate) fn insert(
        &self,
        container: Container<'_>,
        key: Option<&str>,
        value: &str,
    ) -> String {
        let line_break = line_break_of(self.text);
        let indentation = self.indentation_within(container);
        let value = reindented(value, &self.unit(), &indentation, line_break);
        let key = key.map(|key| format!("\"{key}\": ")).unwrap_or_default();
        let child = format!("{line_break}{indentation}{key}{value}");
        let range = container.range();
        let Some(last) = container.children().last().copied() else {
            let (before, inner) = (&self.text[..=range.start], self.inner(range));
            let one_more = if is_blank(inner) && inner.contains('\n') { line_break } else { "" };
            return [before, &child, one_more, &self.text[range.start + 1..]].concat();
        };
        let comma = comma_after(self.text, last.end);
        let end_of_line = end_of_comments(self.text, comma.unwrap_or(last.end));
        match comma {
            Some(_) => [&self.text[..end_of_line], &child, ",", &self.text[end_of_line..]].concat(),
            None => [
                &self.text[..last.end],
                ",",
                &self.text[last.end..end_of_line],
                &child,
                &self.text[end_of_line..],
            ]
            .concat(),
        }
    }

    /// The text without a child of the container.
    pub(crate) fn cut(&self, container: Container<'_>, index: usize) -> Left {
        let children = container.children();
        let Some(child) = children.get(index).copied() else {
            return Left::Container(self.text.to_owned());
        };
        let previous = index.checked_sub(1).map(|previous| children[previous].end);
        let comma = comma_after(self.text, child.end);
        let after = &self.text[comma.unwrap_or(child.end)..];
        let between = previous.unwrap_or(container.range().start + 1);
        let start = self.start_of_white_space(between, child.start, after);
        let before = match (comma, previous) {
            // The last one goes with the comma before it.
            (None, Some(end)) => {
                let comma = comma_after(self.text, end).unwrap_or(end + 1);
                [&self.text[..comma - 1], &self.text[comma..start]].concat()
            }
            _ => self.text[..start].to_owned(),
        };
        if children.len() > 1 {
            return Left::Container(before + after);
        }
        let open = container.range().start + 1;
        let close = after.len() - (self.text.len() - container.range().end) - 1;
        let inner = [&before[open..], &after[..close]].concat();
        let (before, after) = (&before[..open], &after[close..]);
        match inner.matches('\n').count() {
            1 if is_blank(&inner) => Left::Nothing([before, &inner, after].concat()),
            breaks if breaks > 1 && is_blank(&inner) => {
                let first = inner.find('\n').map_or(0, |at| at + 1);
                Left::Container([before, &inner[first..], after].concat())
            }
            _ => Left::Container([before, &inner, after].concat()),
        }
    }

    fn inner(&self, range: Range) -> &'t str {
        &self.text[range.start + 1..range.end - 1]
    }

    /// How the children of the container are indented.
    fn indentation_within(&self, container: Container<'_>) -> String {
        let starts = container.children();
        let of_child = starts.last().and_then(|child| self.indentation_at(child.start));
        of_child.map_or_else(
            || [self.indentation_of_line(container.range().start), &self.unit()].concat(),
            str::to_owned,
        )
    }

    /// One step of indentation.
    fn unit(&self) -> String {
        let first = match &self.root {
            Value::Object(object) => object.properties.first().map(|one| one.range.start),
            _ => None,
        };
        let unit = first.and_then(|start| self.indentation_at(start));
        unit.filter(|unit| !unit.is_empty()).unwrap_or("  ").to_owned()
    }

    /// The white space before the position, if nothing else is before it in its line.
    fn indentation_at(&self, position: usize) -> Option<&'t str> {
        let line = &self.text[..position];
        let line = line.rfind('\n').map(|at| &line[at + 1..])?;
        is_blank(line).then_some(line)
    }

    /// The white space at the start of the line that the position is in.
    fn indentation_of_line(&self, position: usize) -> &'t str {
        let line = self.text[..position].rfind('\n').map_or(0, |at| at + 1);
        let line = &self.text[line..position];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    /// Where the white space before a child begins. The line break stays that ends a comment,
    /// unless `after` begins with another one.
    fn start_of_white_space(&self, previous: usize, child: usize, after: &str) -> usize {
        let between = self.text[previous..child].trim_end_matches([' ', '\t', '\r', '\n']);
        let has_line_break = after.trim_start_matches([' ', '\t', '\r']).starts_with('\n');
        if ends_in_line_comment(between) && !has_line_break {
            child
        } else {
            previous + between.len()
        }
    }
}

impl<'d> Container<'d> {
    /// The value, if it is an object or an array.
    pub(crate) fn of(value: &'d Value<'d>) -> Option<Self> {
        match value {
            Value::Object(object) => Some(Self::Object(object)),
            Value::Array(array) => Some(Self::Array(array)),
            _ => None,
        }
    }

    /// The container at this place of its children.
    pub(crate) fn child(self, index: usize) -> Option<Self> {
        match self {
            Self::Object(object) => Self::of(&object.properties.get(index)?.value),
            Self::Array(array) => Self::of(array.elements.get(index)?),
        }
    }

    fn range(self) -> Range {
        match self {
            Self::Object(object) => object.range,
            Self::Array(array) => array.range,
        }
    }

    /// Where its children are.
    fn children(self) -> Vec<Range> {
        match self {
            Self::Object(object) => object.properties.iter().map(|one| one.range).collect(),
            Self::Array(array) => array.elements.iter().map(Ranged::range).collect(),
        }
    }
}

/// The value within the containers that `path` names, as JSON indented by 2 spaces. With no `key`
/// it is the element of a list.
pub(crate) fn nested(path: &[&str], key: Option<&str>, value: &str) -> String {
    let (open, close) = if path.is_empty() && key.is_none() { ('[', ']') } else { ('{', '}') };
    let (label, inner) = match path {
        [] => (key, value.to_owned()),
        [first, rest @ ..] => (Some(*first), nested(rest, key, value)),
    };
    let label = label.map(|label| format!("\"{label}\": ")).unwrap_or_default();
    format!("{open}\n  {label}{}\n{close}", inner.replace('\n', "\n  "))
}

/// JSON that is indented by 2 spaces, with other indentation and line breaks.
fn reindented(value: &str, unit: &str, indentation: &str, line_break: &str) -> String {
    let mut lines = value.lines().map(|line| {
        let content = line.trim_start_matches(' ');
        let depth = (line.len() - content.len()) / 2;
        unit.repeat(depth) + content
    });
    let first = lines.next().unwrap_or_default();
    lines.fold(first, |text, line| text + line_break + indentation + &line)
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_whitespace())
}

/// The end of the comma that follows, after white space and comments.
fn comma_after(text: &str, position: usize) -> Option<usize> {
    let mut at = position;
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        at += rest.len() - trimmed.len();
        match comment(trimmed) {
            Some(length) => at += length,
            None => return trimmed.starts_with(',').then_some(at + 1),
        }
    }
}

/// The end of the comments that follow in the same line, or the position.
fn end_of_comments(text: &str, position: usize) -> usize {
    let mut end = position;
    loop {
        let rest = &text[end..];
        let trimmed = rest.trim_start_matches([' ', '\t']);
        match comment(trimmed) {
            Some(length) if !trimmed[..length].contains('\n') => {
                end += rest.len() - trimmed.len() + length;
            }
            _ => return end,
        }
    }
}

/// The length of the comment that the text begins with, without its line break.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        let end = text.find('\n').unwrap_or(text.len());
        return Some(text[..end].trim_end_matches('\r').len());
    }
    let inner = text.strip_prefix("/*")?;
    inner.find("*/").map(|end| end + 4)
}

/// Whether a text of white space, commas and comments ends in a comment that needs a line break.
fn ends_in_line_comment(text: &str) -> bool {
    let mut rest = text;
    let mut is_line_comment = false;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if let Some(length) = comment(rest) {
            is_line_comment = rest.starts_with("//");
            rest = &rest[length..];
        } else if let Some(after) = rest.strip_prefix(',') {
            is_line_comment = false;
            rest = after;
        } else {
            return is_line_comment;
        }
    }
}
