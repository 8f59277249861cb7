//! The members of a JSON object with their values as they stand.
//!
//! The server judges what the client wrote: of two members of one name none is dropped here, and
//! no text is decoded and written anew.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A name and its value.
pub(crate) type Member<'a> = (String, &'a RawValue);

/// A name that a message gives twice.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is given twice")]
pub(crate) struct Twice(String);

/// The members of the object in this text, in their order; and the fault, if it is no object of
/// JSON. The members before a fault are given too.
pub(crate) fn members(text: &str) -> (Vec<Member<'_>>, Result<(), serde_json::Error>) {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Collect(&mut found).deserialize(&mut reader).and_then(|()| reader.end());
    (found, read)
}

/// The value of the member with this name.
///
/// # Errors
///
/// If there are two.
pub(crate) fn only<'a>(members: &[Member<'a>], name: &str) -> Result<Option<&'a RawValue>, Twice> {
    let mut found = members.iter().filter(|(other, _)| other == name).map(|(_, value)| *value);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Twice(name.to_owned())),
        (value, None) => Ok(value),
    }
}

/// Whether there is a member with this name.
pub(crate) fn has(members: &[Member<'_>], name: &str) -> bool {
    members.iter().any(|(other, _)| other == name)
}

struct Collect<'v, 'a>(&'v mut Vec<Member<'a>>);

impl<'de> DeserializeSeed<'de> for Collect<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(member) = map.next_entry()? {
            self.0.push(member);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Vec<(String, String)>, bool) {
        let (found, read) = members(text);
        let found = found.into_iter().map(|(name, value)| (name, value.get().to_owned()));
        (found.collect(), read.is_ok())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn members_are_given_as_they_stand() {
        assert_eq!(
            shown(r#" {"a" : "\ud800" ,"a":[1.0, 2]} "#),
            (pairs(&[("a", r#""\ud800""#), ("a", "[1.0, 2]")]), true)
        );
        assert_eq!(shown(r#"{"id":5,"b":{"#), (pairs(&[("id", "5")]), false));
        assert_eq!(shown(r#"{"id":5} x"#), (pairs(&[("id", "5")]), false));
        assert_eq!(shown("[]"), (Vec::new(), false));
    }

    #[test]
    fn a_name_given_twice_has_no_value() {
        let (found, _) = members(r#"{"a":1,"b":2,"a":1}"#);
        assert_eq!(only(&found, "b").unwrap().unwrap().get(), "2");
        assert!(only(&found, "c").unwrap().is_none());
        assert_eq!(only(&found, "a").unwrap_err().to_string(), "`a` is given twice");
        assert!(has(&found, "a") && !has(&found, "c"));
    }
}
