//! Readers. Every query needs the account. Totals come from stored counters.
//!
//! Each reader port of the domain has a file; [`rows`], [`paging`], [`totals`],
//! [`directory`] and [`epoch`] have the shared parts.

mod accounts;
mod activities;
pub(crate) mod admission;
mod brief;
mod brief_statements;
mod dashboard;
mod dashboard_statements;
mod directory;
mod epoch;
mod events;
mod idempotency;
mod imports;
mod keys;
mod leftovers;
mod overviews;
mod paging;
mod queries;
mod rows;
mod search;
mod selection;
mod sessions;
mod sign_ins;
mod stats;
mod stats_by_day;
pub(crate) mod stats_cache;
mod todos;
mod totals;
mod usage;
mod work;
mod wraps;

#[cfg(test)]
mod tests;
