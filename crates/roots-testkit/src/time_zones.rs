//! Time zones, and when their clocks change.

use roots_domain::model::time::Timestamp;

/// The names of all time zones.
#[must_use]
pub fn zones() -> Vec<String> {
    jiff::tz::TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

/// The first `count` instants since 1970 at which the clock of a zone changes.
///
/// # Panics
///
/// Panics if the zone does not exist.
#[must_use]
pub fn moves(zone: &str, count: usize) -> Vec<Timestamp> {
    let clock = jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone");
    let moves = clock.following(jiff::Timestamp::UNIX_EPOCH).take(count);
    moves.map(|one| Timestamp::from_micros(one.timestamp().as_microsecond())).collect()
}
