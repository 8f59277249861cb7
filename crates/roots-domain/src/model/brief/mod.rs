//! The brief: what an agent has to know when it wakes, in one answer of limited size.
//!
//! [`BriefRows`] are what the database tells, [`Brief::of`] sorts them into lists, and [`fit`]
//! shortens the result until it has the size that was asked for.

mod document;
mod fit;
mod limits;
mod omitted;
mod reader;
mod rows;
mod text;

#[cfg(test)]
mod tests;

pub use document::{Brief, BriefTotals, NextAction, NextTodo};
pub use fit::fit;
pub use limits::TextLimits;
pub use omitted::{BriefActors, BriefList, Omitted, Resource};
pub use reader::{Holder, Reader};
pub use rows::{
    BriefChange, BriefCounts, BriefRows, BriefSessions, COUNTED_MAX, TodoCounts, WAITING_TYPES,
    WaitingSessions, claim_order,
};
pub use text::BriefText;

/// Fewest tokens of a brief.
pub const TOKENS_MIN: u32 = 500;
/// Most tokens of a brief.
pub const TOKENS_MAX: u32 = 8_000;
/// Tokens of a brief if no number is given.
pub const TOKENS_DEFAULT: u32 = 2_000;
/// Bytes of an answer that count as a token.
pub const TOKEN_BYTES: u32 = 4;
