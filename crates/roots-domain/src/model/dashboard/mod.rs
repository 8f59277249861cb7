//! The dashboard: whether anything needs a person, and who works on what.
//!
//! [`DashboardRows`] are what the database tells. Everything that is said of them follows from what
//! was written and from the clock, never from what an agent claims about itself.

mod at_work;
mod flips;
mod needs;
mod rows;
mod spans;
mod text;

#[cfg(test)]
mod tests;

pub use at_work::{AgentAtWork, AgentState};
pub use flips::REFRESH_SECONDS;
pub use needs::{LONG_IN_PROGRESS_SECONDS, Need, NeedKind, NeedSubject, SOON_SECONDS};
pub use rows::{
    AgentRow, BUSIEST_MAX, DashboardCounts, DashboardRows, DashboardRules, DashboardTodo,
    ExpiringKey, OpenSession, TodoSession,
};
pub use spans::DashboardSpans;
pub use text::ShownText;
