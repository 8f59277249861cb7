//! API keys.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::paging::page;
use crate::secret::{ApiKey, RecoveryCode};
use crate::time::DateOrTime;

/// An API key, without the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its id, numbered per account.
    pub key_id: i64,
    /// The actor that it acts for.
    pub actor_id: i64,
    /// That actor's name.
    pub actor_name: String,
    /// The key's first characters, to tell keys apart.
    pub key_prefix: String,
    /// What it is for.
    pub label: Option<String>,
    /// Whether it is valid.
    pub is_active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last used. The time may lag by some minutes.
    pub last_used: Option<DateTime<Utc>>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
}

page! {
    /// A page of keys, latest first.
    KeyPage { keys: Key }
}

/// A key to make.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewKey {
    /// The actor that it will act for.
    pub actor_id: i64,
    /// What it is for, 1 to 100 characters without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// From when on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateOrTime>,
    /// After a leak: only the new key decrypts what is written from now on, and others end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew: Option<bool>,
}

/// A new key. It is shown only this once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewKeyShown {
    /// Its id, numbered per account.
    pub key_id: i64,
    /// The actor that it acts for.
    pub actor_id: i64,
    /// The key.
    pub api_key: ApiKey,
    /// Its first characters, to tell keys apart.
    pub key_prefix: String,
    /// What it is for.
    pub label: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Only if the owner's own key was renewed: it replaces the earlier code, once the new key is
    /// first used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_code: Option<RecoveryCode>,
}

/// How a key is rotated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rotation {
    /// What the new key is for: what the old one is for, by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How many seconds the old key stays valid after the first use of the new one: 0 to 604,800,
    /// 0 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<u32>,
}

/// A key that was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRevoked {
    /// `revoked`
    pub status: String,
    /// Its id.
    pub key_id: i64,
}
