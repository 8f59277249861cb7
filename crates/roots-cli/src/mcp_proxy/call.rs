//! A call of a tool in the text of a message, and where something can be filled in.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::mcp_proxy::members::{has, members, only};
use crate::mcp_proxy::tools::{TakesSession, Tool};

/// The arguments of a call that gives none.
pub(crate) const EMPTY: &str = "{}";

/// A call of a tool that is known.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Which.
    pub(crate) tool: &'static Tool,
    /// Where its arguments stand in the text.
    pub(crate) arguments: Range<usize>,
    /// Where the name of the write can be put.
    pub(crate) name: Option<Gap>,
    /// Where a session can be put.
    pub(crate) sessions: Vec<Gap>,
}

/// The beginning of an object, where members can be put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    /// Where.
    pub(crate) at: usize,
    /// Whether members follow.
    pub(crate) is_followed: bool,
}

impl Call {
    /// The call whose arguments stand here in the text. Without any, they are made empty.
    pub(crate) fn new(tool: &'static Tool, text: &mut String, mut place: Range<usize>) -> Self {
        if text.get(place.clone()) == Some("null") {
            text.replace_range(place.clone(), EMPTY);
            place.end = place.start + EMPTY.len();
        }
        let arguments = text.get(place.clone()).unwrap_or_default();
        let mut call = Self { tool, arguments: place.clone(), name: None, sessions: Vec::new() };
        // What is no object is refused by the server.
        let (found, Ok(())) = members(arguments) else { return call };
        let gap = Gap { at: place.start + 1, is_followed: !found.is_empty() };
        call.name = (tool.writes && !has(&found, "request_id")).then_some(gap);
        let names = |name| has(&found, name);
        call.sessions = match tool.session {
            TakesSession::Own if !names("session_id") => vec![gap],
            // With an actor, the brief is one of all its sessions.
            TakesSession::OwnIfListed if !names("session_id") && !names("actor_id") => vec![gap],
            TakesSession::OfEachTodo => match only(&found, "todos") {
                Ok(Some(todos)) => gaps(todos, place.start + start(arguments, todos.get())),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        call
    }
}

/// Where a session can be put into these todos, which begin here in the text.
fn gaps(todos: &RawValue, at: usize) -> Vec<Gap> {
    let items: Vec<&RawValue> = serde_json::from_str(todos.get()).unwrap_or_default();
    let gap = |item: &&RawValue| {
        let (found, Ok(())) = members(item.get()) else { return None };
        let at = at + start(todos.get(), item.get()) + 1;
        (!has(&found, "session_id")).then_some(Gap { at, is_followed: !found.is_empty() })
    };
    items.iter().filter_map(gap).collect()
}

/// Where a part of a text begins in it.
pub(crate) fn start(whole: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(whole.as_ptr().addr())
}

/// The value as this type.
pub(crate) fn value<T: DeserializeOwned>(raw: &RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}
