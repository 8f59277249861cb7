//! The state of the service.

use serde::{Deserialize, Serialize};

use super::words::open_words;

/// The state of the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`
    pub status: String,
    /// The version of the server.
    pub version: String,
}

open_words! {
    /// Whether the process serves every account.
    ReadyStatus {
        /// It does.
        Ready = "ready",
        /// It does not serve those of the database servers that are away.
        Degraded = "degraded",
    }
}

/// The state of the process and its database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether the process serves every account.
    pub status: ReadyStatus,
    /// The database servers that are away. Requests of the accounts whose rows they hold get 503.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub away: Vec<String>,
}
