//! Charts as SVG, written by hand. Colours are classes, the numbers stand in a table beside each,
//! and a chart's name says what it shows.

pub(crate) mod ages;
pub(crate) mod balance;
pub(crate) mod columns;
mod frame;
pub(crate) mod lanes;
pub(crate) mod mix;
pub(crate) mod week;
pub(crate) mod year;

pub(crate) use frame::{number, plural, shortened};

#[cfg(test)]
mod tests;
