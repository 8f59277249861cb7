//! The state of the service.

use serde::{Deserialize, Serialize};

/// The state of the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`
    pub status: String,
    /// The version of the server.
    pub version: String,
}

/// The state of the process and its database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// `ready`
    pub status: String,
}
