//! Values of arguments that several commands take.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use interim::{Interval, parse_duration};
use roots_client::model::{ActorFilter, TodoStatus};

/// Reads a status.
pub(crate) fn status() -> impl TypedValueParser<Value = TodoStatus> {
    let words = TodoStatus::ALL.iter().map(|status| status.as_str());
    PossibleValuesParser::new(words).map(|word| {
        let known = TodoStatus::ALL.iter().find(|status| status.as_str() == word);
        known.copied().unwrap_or(TodoStatus::Open)
    })
}

/// Reads an actor's id, or `all`.
pub(crate) fn actor(text: &str) -> Result<ActorFilter, &'static str> {
    match text {
        "all" => Ok(ActorFilter::All),
        id => id.parse().map(ActorFilter::One).map_err(|_| "it is the id of an actor, or `all`"),
    }
}

/// The longest text of a time span, such as `10080 minutes`.
const SPAN_MAX_BYTES: usize = 15;

/// Reads a time span in seconds, or such as `30m`.
pub(crate) fn seconds(text: &str) -> Result<u32, &'static str> {
    // For the parser `tomorrow` is a day, and it panics on some longer texts: it gets only a number
    // with a unit.
    let text = text.trim().to_lowercase();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let has_unit = unit.len() < text.len() && text.len() <= SPAN_MAX_BYTES;
    let has_unit = has_unit && unit.bytes().all(|byte| byte.is_ascii_lowercase());
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => Ok(seconds),
        Err(_) if !has_unit => Err(()),
        Err(_) => match parse_duration(&text) {
            Ok(Interval::Seconds(seconds)) => Ok(i64::from(seconds)),
            Ok(Interval::Days(days)) => Ok(i64::from(days) * 86_400),
            _ => Err(()),
        },
    };
    let seconds = seconds.ok().and_then(|seconds| u32::try_from(seconds).ok());
    seconds.ok_or("it is a time span, such as 30m or 2h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_span_has_a_unit_or_is_in_seconds() {
        for (text, value) in [("90", 90), ("30m", 1800), ("2h", 7200), ("1 day", 86_400)] {
            assert_eq!(seconds(text), Ok(value), "{text}");
        }
        for text in ["", "-5", "tomorrow", "5 years", "30m ago", "2026-12-31 9 AM"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_actor_is_an_id_or_all() {
        assert_eq!(actor("all"), Ok(ActorFilter::All));
        assert_eq!(actor("7"), Ok(ActorFilter::One(7)));
        assert!(actor("bob").is_err());
    }
}
