//! Queries of pages. They are read strictly: a wrong one is a 400 page that names the parameter.

use std::fmt::Write;

use roots_domain::model::Invalid;
use roots_domain::model::id::ActorId;
use roots_domain::model::page::PageRequest;
use roots_domain::service::access::ActorScope;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, encoded};

/// Longest path to lead back to.
const OWN_PATH_MAX_BYTES: usize = 2_048;

/// Reads `agent`: the id of an actor. An empty value, which a form sends, is none.
///
/// # Errors
/// It is no id.
pub(crate) fn agent(params: &mut Params) -> Result<Option<ActorId>, InvalidNoted> {
    optional(params, "agent", |text| {
        ActorId::parse(text).ok_or_else(|| Invalid::new("must be the id of an agent"))
    })
}

/// A query that only says how many rows are skipped: `offset`.
pub(crate) struct Skip(pub(crate) i64);

impl FromParams for Skip {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        let offset = optional(params, "offset", PageRequest::parse_offset);
        Ok(Self(offset?.unwrap_or_default()))
    }
}

/// Reads a parameter that a form may send empty.
///
/// # Errors
/// It is invalid.
pub(crate) fn optional<T>(
    params: &mut Params,
    name: &'static str,
    read: impl FnOnce(&str) -> Result<T, Invalid>,
) -> Result<Option<T>, InvalidNoted> {
    let read = |text: String| if text.is_empty() { Ok(None) } else { read(&text).map(Some) };
    Ok(params.take(name, read)?.flatten())
}

/// The actors whose rows a page shows: one that was picked, or else all for an owner and the own
/// ones for a member.
pub(crate) fn scope(agent: Option<ActorId>, is_owner: bool) -> ActorScope {
    match agent {
        Some(actor) => ActorScope::Of(actor),
        None if is_owner => ActorScope::All,
        None => ActorScope::Own,
    }
}

/// A path with the parameters that have a value.
pub(crate) fn link(path: &str, params: &[(&str, Option<String>)]) -> String {
    let mut link = path.to_owned();
    let given = params.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (index, (name, value)) in given.enumerate() {
        let mark = if index == 0 { '?' } else { '&' };
        // Writing to a string never fails.
        let _ = write!(link, "{mark}{name}={}", encoded(value));
    }
    link
}

/// A path of this server that a form or a link brings to lead back to. Anything that a browser
/// could take for another server's is none, nor is what is longer than any path of ours: a page
/// repeats it.
pub(crate) fn own_path(text: &str) -> Option<&str> {
    let is_own = text.len() <= OWN_PATH_MAX_BYTES
        && text.starts_with('/')
        && !text.starts_with("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_own.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_the_parameters_that_have_a_value() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(link("/todos", &[("agent", None), ("q", None)]), "/todos");
        let params = [("agent", some("1")), ("none", None), ("q", some("a b&c=é"))];
        assert_eq!(link("/todos", &params), "/todos?agent=1&q=a%20b%26c%3D%C3%A9");
    }

    #[test]
    fn only_paths_of_this_server_are_led_back_to() {
        for own in ["/", "/todos", "/todos?status=open&agent=1", "/todos/7#x"] {
            assert_eq!(own_path(own), Some(own));
        }
        for other in [
            "",
            "todos",
            "//evil.example",
            "/\\evil.example",
            "\\/evil",
            "https://evil.example",
            "javascript:alert(1)",
            "/a b",
            "/a\nb",
            "/a\tb",
            "/\u{e9}",
        ] {
            assert_eq!(own_path(other), None, "{other:?}");
        }
        let longest = format!("/{}", "\"".repeat(OWN_PATH_MAX_BYTES - 1));
        assert_eq!(own_path(&longest), Some(&*longest));
        assert_eq!(own_path(&(longest + "x")), None);
    }
}
