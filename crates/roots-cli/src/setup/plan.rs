//! What a setup would change, and the change itself.

use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::setup::disk;
use crate::setup::error::SetupError;
use crate::setup::json::{self, Removed};
use crate::setup::json_text::JsonError;
use crate::setup::program::{Content, Places, Program, Scope, Target};
use crate::setup::section::{self, BrokenMarks, MARKDOWN, TOML};

/// What to do with a program's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Add what is missing, and renew what is old.
    Add,
    /// Take out what was added.
    Remove,
}

/// The changes of a setup. Making one changes nothing.
#[derive(Debug)]
pub(crate) struct Plan {
    changes: Vec<Change>,
}

/// The change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The file.
    pub(crate) path: PathBuf,
    /// What it is for the reader of `--check`.
    pub(crate) state: State,
    before: Option<String>,
    after: Option<String>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It has nothing of ours.
    Missing,
    /// It has some of it, or an older form.
    Old,
}

impl Plan {
    /// Works out the changes. All files are read, and none is written.
    ///
    /// # Errors
    ///
    /// See [`SetupError`].
    pub(crate) fn new(
        program: Program,
        scope: Scope,
        places: &Places,
        action: Action,
    ) -> Result<Self, SetupError> {
        let mut changes = Vec::new();
        for target in program.targets(scope, places)? {
            // A user's own files may be links to anywhere. Those of a project are written by
            // others.
            if scope == Scope::Project {
                disk::check_inside(&target.path, &places.project)?;
            }
            changes.extend(change(&target, action)?);
        }
        for change in &changes {
            disk::check_writable(&change.path)?;
        }
        Ok(Self { changes })
    }

    /// The files that change.
    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The changes as a unified diff.
    pub(crate) fn diff(&self) -> String {
        self.changes.iter().map(Change::diff).collect()
    }

    /// Writes the files.
    ///
    /// # Errors
    ///
    /// See [`SetupError`]. Files before the one that fails are written.
    pub(crate) fn apply(&self) -> Result<(), SetupError> {
        for (index, change) in self.changes.iter().enumerate() {
            change.apply().map_err(|error| {
                let written = self.changes[..index].iter().map(|one| one.path.clone()).collect();
                if index == 0 {
                    error
                } else {
                    SetupError::Halfway { written, source: Box::new(error) }
                }
            })?;
        }
        Ok(())
    }
}

impl Change {
    fn diff(&self) -> String {
        let (before, after) = (self.before.as_deref(), self.after.as_deref());
        let name = |text: Option<&str>| match text {
            Some(_) => self.path.display().to_string(),
            None => "/dev/null".to_owned(),
        };
        let diff = TextDiff::from_lines(before.unwrap_or_default(), after.unwrap_or_default());
        diff.unified_diff().header(&name(before), &name(after)).to_string()
    }

    fn apply(&self) -> Result<(), SetupError> {
        match (&self.before, &self.after) {
            (before, Some(after)) => disk::write(&self.path, before.as_deref(), after),
            (Some(before), None) => disk::delete(&self.path, before),
            (None, None) => Ok(()),
        }
    }
}

/// The change of a file, if there is one.
fn change(target: &Target, action: Action) -> Result<Option<Change>, SetupError> {
    let path = target.path.as_path();
    let before = disk::read(path)?;
    // Windows marks the start of a text. The mark is no part of any format.
    let text = before.as_deref().map(|text| text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text));
    let fault = |fault: Fault| fault.at(path, &target.content);
    let after = match (text, action) {
        (None, Action::Add) => Some(created(&target.content).map_err(fault)?),
        (None, Action::Remove) => return Ok(None),
        (Some(text), Action::Add) => Some(added(text, &target.content).map_err(fault)?),
        (Some(text), Action::Remove) => removed(text, &target.content).map_err(fault)?,
    };
    if after.as_deref() == text {
        return Ok(None);
    }
    let has_mark = before.as_deref().is_some_and(|text| text.starts_with(BYTE_ORDER_MARK));
    let after = after.map(|text| if has_mark { format!("{BYTE_ORDER_MARK}{text}") } else { text });
    let has_some = text.is_some_and(|text| has_some(text, &target.content));
    let state = if has_some { State::Old } else { State::Missing };
    Ok(Some(Change { path: path.to_owned(), state, before, after }))
}

const BYTE_ORDER_MARK: char = '\u{feff}';

fn created(content: &Content) -> Result<String, Fault> {
    match content {
        Content::Json { base, entries } => Ok(json::new_file(*base, entries)?),
        Content::Toml { body, .. } => Ok(section::new_file(TOML, "", body)),
        Content::Markdown { header, body } => Ok(section::new_file(MARKDOWN, header, body)),
    }
}

fn added(text: &str, content: &Content) -> Result<String, Fault> {
    match content {
        Content::Json { entries, .. } => {
            let mut text = text.to_owned();
            for entry in entries {
                text = json::add(&text, entry)?;
            }
            Ok(text)
        }
        Content::Toml { table, body } => {
            let of_others = section::without_section(text, TOML)?;
            let of_others = parsed(of_others.as_deref().unwrap_or(text))?;
            if of_others.get(table[0]).and_then(|above| above.get(table[1])).is_some() {
                // The user's own entry does the same, or means to do something else.
                return Ok(text.to_owned());
            }
            let added = section::with_section(text, TOML, body)?;
            let reason = "has no room for another table";
            parsed(&added).map_err(|_| Fault::Unfit(format!("`{}` {reason}", table[0])))?;
            Ok(added)
        }
        Content::Markdown { body, .. } => Ok(section::with_section(text, MARKDOWN, body)?),
    }
}

/// What is left of the text, or `None` if setup made the file.
fn removed(text: &str, content: &Content) -> Result<Option<String>, Fault> {
    let (marks, header) = match content {
        Content::Json { base, entries } => {
            let mut text = text.to_owned();
            let mut has_changed = false;
            for entry in entries.iter().rev() {
                match json::remove(&text, entry)? {
                    Removed::Nothing => {}
                    Removed::Text(left) => (text, has_changed) = (left, true),
                    Removed::WholeFile => return Ok(None),
                }
            }
            return Ok(Some(text).filter(|text| !has_changed || Some(text.as_str()) != *base));
        }
        Content::Toml { .. } => {
            parsed(text)?;
            (TOML, "")
        }
        Content::Markdown { header, .. } => (MARKDOWN, *header),
    };
    let Some(left) = section::without_section(text, marks)? else {
        return Ok(Some(text.to_owned()));
    };
    // A file that was there and empty has no line break at its end.
    let is_ours = left == header.strip_suffix('\n').unwrap_or(header) && text.ends_with('\n');
    Ok(Some(left).filter(|_| !is_ours))
}

/// Whether the text has any of what the file gets.
fn has_some(text: &str, content: &Content) -> bool {
    match content {
        Content::Json { entries, .. } => {
            entries.iter().any(|entry| json::has(text, entry).unwrap_or(false))
        }
        Content::Toml { .. } => section::without_section(text, TOML) != Ok(None),
        Content::Markdown { .. } => section::without_section(text, MARKDOWN) != Ok(None),
    }
}

fn parsed(text: &str) -> Result<toml::Table, Fault> {
    toml::from_str(text).map_err(|error: toml::de::Error| Fault::Syntax(error.to_string()))
}

/// What is wrong with a text.
enum Fault {
    Syntax(String),
    Unfit(String),
}

impl Fault {
    fn at(self, path: &Path, content: &Content) -> SetupError {
        let path = path.to_owned();
        let format = match content {
            Content::Json { .. } => "JSON",
            Content::Toml { .. } => "TOML",
            Content::Markdown { .. } => "Markdown",
        };
        match self {
            Self::Syntax(reason) => SetupError::Unreadable { path, format, reason },
            Self::Unfit(reason) => SetupError::Unfit { path, reason },
        }
    }
}

impl From<JsonError> for Fault {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Syntax(reason) => Self::Syntax(reason),
            JsonError::Unfit(reason) => Self::Unfit(reason),
        }
    }
}

impl From<BrokenMarks> for Fault {
    fn from(error: BrokenMarks) -> Self {
        Self::Unfit(error.to_string())
    }
}
