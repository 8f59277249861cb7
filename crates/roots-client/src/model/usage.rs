//! Counts of calls.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// The calls of an account in a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The month: `2026-04`.
    pub period: String,
    /// The number of all calls.
    pub used: i64,
    /// The ten most called endpoints.
    pub top_endpoints: Vec<EndpointCalls>,
}

/// The number of calls of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointCalls {
    /// The route: `/todos/{id}`.
    pub endpoint: String,
    /// The method.
    pub method: String,
    /// The number.
    pub calls: i64,
}

/// An account's calls by day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageHistory {
    /// The month: `2026-04`.
    pub period: String,
    /// The days with calls, ascending.
    pub daily: Vec<DayCalls>,
}

/// The calls of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCalls {
    /// The day.
    pub day: NaiveDate,
    /// The number.
    pub calls: i64,
}
