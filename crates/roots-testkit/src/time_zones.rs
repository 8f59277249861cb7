//! Time zones, and when their clocks are moved.

use roots_domain::model::time::Timestamp;

/// The names of all time zones there are.
#[must_use]
pub fn zones() -> Vec<String> {
    jiff::tz::TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
}

/// The instants at which the clock of a zone is moved, from 1970 on, as many as that.
///
/// # Panics
/// There is no such zone.
#[must_use]
pub fn moves(zone: &str, count: usize) -> Vec<Timestamp> {
    let clock = jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone");
    let moves = clock.following(jiff::Timestamp::UNIX_EPOCH).take(count);
    moves.map(|one| Timestamp::from_micros(one.timestamp().as_microsecond())).collect()
}
