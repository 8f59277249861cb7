//! What charts show, without a drawing: bars of a timeline, levels of a year, columns of a week.

mod ages;
mod columns;
mod curve;
mod lanes;
mod mix;
mod week;
mod year;

pub use ages::{AGE_BOUNDS_SECONDS, Ages};
pub use columns::{DayColumn, columns};
pub use curve::{Curve, curve};
pub use lanes::{Bar, Lane, LaneSession, LaneSessions, LaneSpan, MERGE_BELOW, Timeline, WIDTH};
pub use mix::{MIX_MAX, Mix, mix};
pub use week::WeekHours;
pub use year::{LEVELS, WEEKS, Year, YearMonth};
