//! Claims of todos.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The claim of a todo. It is a lease: a claim that has lapsed still stands until another one is
/// made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Its name: it counts the claims of the todo. Send it as `claim_token`.
    pub token: i64,
    /// The session that it was made for; it may be deleted since.
    pub session_id: Option<i64>,
    /// When it was made.
    pub claimed_at: DateTime<Utc>,
    /// How many seconds it lives after the last write with its token or of its session.
    pub lease_seconds: u32,
}

/// A claim to make.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewClaim {
    /// The active session to link the todo to. Its writes keep the claim alive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<i64>,
    /// The todo to claim: the next one by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub todo_id: Option<i64>,
    /// The lowest priority of the next one, 0 (the default) to 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_priority: Option<u8>,
    /// How many seconds the claim lives after the last write: 60 to 86,400, by default 7,200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u32>,
    /// The actor whose todo to claim: the caller by default. Only an owner may name another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<i64>,
}

/// A claim to give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The token of the claim.
    pub claim_token: i64,
}
