//! Table `api_keys`: API keys.

use roots_domain::model::api_key::{ApiKey, KeyStatus, Succession};
use roots_domain::model::id::{AccountId, ActorId, KeyId};
use sea_orm::entity::prelude::*;

use super::{InvalidRow, at, lookup, micros, name};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_keys")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) account_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) key_id: i64,
    pub(crate) actor_id: i64,
    pub(crate) lookup: Vec<u8>,
    pub(crate) prefix: String,
    pub(crate) label: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) last_used: Option<i64>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) ends_at: Option<i64>,
    pub(crate) is_ended: i16,
    pub(crate) succession: Option<String>,
    pub(crate) replaces_key_id: Option<i64>,
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) first_used_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// How a key's succession is stored.
pub(crate) const SUCCESSION_ROTATION: &str = "rotation";
const SUCCESSION_RECOVERY: &str = "recovery";
const SUCCESSION_RENEWAL: &str = "renewal";

impl From<&(AccountId, ApiKey)> for Model {
    fn from((account, key): &(AccountId, ApiKey)) -> Self {
        let (succession, replaces_key_id, grace_seconds) = match key.succession {
            None => (None, None, None),
            Some(Succession::Rotation { replaces, grace_seconds }) => {
                (Some(SUCCESSION_ROTATION), Some(replaces.0), Some(grace_seconds))
            }
            Some(Succession::Recovery) => (Some(SUCCESSION_RECOVERY), None, None),
            Some(Succession::Renewal) => (Some(SUCCESSION_RENEWAL), None, None),
        };
        Self {
            account_id: account.0,
            key_id: key.id.0,
            actor_id: key.actor.0,
            lookup: key.lookup.0.to_vec(),
            prefix: key.prefix.clone(),
            label: key.label.as_ref().map(|label| label.as_str().to_owned()),
            created_at: key.created_at.micros(),
            last_used: micros(key.last_used),
            expires_at: micros(key.expires_at),
            ends_at: match key.status {
                KeyStatus::Current | KeyStatus::Ended => None,
                KeyStatus::InGrace { until } => Some(until.micros()),
            },
            is_ended: key.has_ended().into(),
            succession: succession.map(str::to_owned),
            replaces_key_id,
            grace_seconds,
            first_used_at: micros(key.first_used_at),
        }
    }
}

/// The status of a key. `ends_at` is the end of its grace.
pub(crate) fn key_status(is_ended: i16, ends_at: Option<i64>) -> Result<KeyStatus, InvalidRow> {
    match (is_ended, ends_at) {
        (0, None) => Ok(KeyStatus::Current),
        (0, Some(until)) => Ok(KeyStatus::InGrace { until: at(until) }),
        (1, None) => Ok(KeyStatus::Ended),
        _ => Err(InvalidRow { table: "api_keys", column: "is_ended" }),
    }
}

pub(crate) fn succession(
    kind: Option<&str>,
    replaces: Option<i64>,
    grace_seconds: Option<i64>,
) -> Result<Option<Succession>, InvalidRow> {
    match (kind, replaces, grace_seconds) {
        (None, None, None) => Ok(None),
        (Some(SUCCESSION_ROTATION), Some(key), Some(grace_seconds)) => {
            Ok(Some(Succession::Rotation { replaces: KeyId(key), grace_seconds }))
        }
        (Some(SUCCESSION_RECOVERY), None, None) => Ok(Some(Succession::Recovery)),
        (Some(SUCCESSION_RENEWAL), None, None) => Ok(Some(Succession::Renewal)),
        _ => Err(InvalidRow { table: "api_keys", column: "succession" }),
    }
}

impl TryFrom<Model> for ApiKey {
    type Error = InvalidRow;

    fn try_from(row: Model) -> Result<Self, InvalidRow> {
        let succession =
            succession(row.succession.as_deref(), row.replaces_key_id, row.grace_seconds);
        Ok(Self {
            id: KeyId(row.key_id),
            actor: ActorId(row.actor_id),
            lookup: lookup(row.lookup, "api_keys")?,
            prefix: row.prefix,
            label: row.label.map(|label| name(label, "api_keys", "label")).transpose()?,
            created_at: at(row.created_at),
            last_used: row.last_used.map(at),
            expires_at: row.expires_at.map(at),
            status: key_status(row.is_ended, row.ends_at)?,
            succession: succession?,
            first_used_at: row.first_used_at.map(at),
        })
    }
}
