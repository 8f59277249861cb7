//! Queries of pages. They are read strictly: a wrong one is a 400 page that names the parameter.

use std::fmt::Write;

use roots_domain::model::Invalid;
use roots_domain::model::id::ActorId;
use roots_domain::model::page::PageRequest;
use roots_domain::service::access::ActorScope;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::query::{FromParams, Params, encoded};

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
}
