//! Readers. Every query demands the account; totals come from what is counted as it is written.
//!
//! Each reader of the domain's ports has a file; [`rows`], [`paging`], [`totals`] and [`epoch`]
//! hold what they share.

mod accounts;
mod activities;
pub(crate) mod admission;
mod epoch;
mod idempotency;
mod imports;
mod keys;
mod leftovers;
mod overviews;
mod paging;
mod rows;
mod selection;
mod sessions;
mod stats;
mod stats_by_day;
pub(crate) mod stats_cache;
mod todos;
mod totals;
mod usage;
mod wraps;

#[cfg(test)]
mod tests;
