//! Spreads the tables over the machines of a Citus cluster, and finds what it lacks.
//!
//! - [`cluster`]: what was read, as plain types; [`catalog`] reads it.
//! - [`rules`]: what is missing, and [`finding`], the words for it.
//! - [`order`]: the order in which foreign keys let tables be spread; [`tables`] spreads them.
//! - [`run`]: both, for the operator.

mod catalog;
mod cluster;
mod finding;
mod order;
mod rules;
mod run;
pub(crate) mod tables;

pub use cluster::NodeName;
pub use finding::Finding;
pub use run::{DistributeError, check_distribution, distribute};
