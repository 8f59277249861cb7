//! Times in requests: a date or an instant.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A date, or an instant in UTC. A date alone is the instant at which that day begins; in `until`
/// it is the whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DateOrTime {
    /// A date.
    Date(NaiveDate),
    /// An instant.
    Time(DateTime<Utc>),
}

impl From<NaiveDate> for DateOrTime {
    fn from(date: NaiveDate) -> Self {
        Self::Date(date)
    }
}

impl From<DateTime<Utc>> for DateOrTime {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Time(time)
    }
}

impl fmt::Display for DateOrTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => date.fmt(f),
            Self::Time(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        }
    }
}

impl FromStr for DateOrTime {
    type Err = chrono::ParseError;

    /// Reads `2026-04-09`, or an RFC 3339 time of any offset.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(date) => Ok(Self::Date(date)),
            Err(_) => DateTime::parse_from_rfc3339(text).map(|time| Self::Time(time.to_utc())),
        }
    }
}

impl Serialize for DateOrTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DateOrTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_written_as_they_are_read() {
        for text in ["2026-04-09", "2026-04-09T10:00:00Z", "2026-04-09T10:00:00.500Z"] {
            assert_eq!(text.parse::<DateOrTime>().unwrap().to_string(), text);
        }
        let east = "2026-04-09T15:45:00+05:45".parse::<DateOrTime>().unwrap();
        assert_eq!(east.to_string(), "2026-04-09T10:00:00Z");
        assert!("01/12/2026".parse::<DateOrTime>().is_err());
    }
}
