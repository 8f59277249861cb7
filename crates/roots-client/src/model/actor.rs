//! Actors of an account.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::paging::page;
use super::words::words;

words! {
    /// What an actor is.
    ActorType {
        /// A program.
        Agent = "agent",
        /// A person.
        Human = "human",
    }
}

words! {
    /// What an actor is in its account.
    Role {
        /// It may do everything in the account.
        Owner = "owner",
        /// It has its own rows and keys.
        Member = "member",
    }
}

/// The actors that own the rows to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "IdOrAll", into = "IdOrAll")]
pub enum ActorFilter {
    /// Those of the actor with this id. Only the owner may name another than itself.
    One(i64),
    /// Those of every actor of the account. Only the owner may ask for them.
    All,
}

/// An [`ActorFilter`] on the wire.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum IdOrAll {
    Id(i64),
    All(AllActors),
}

/// Every actor of the account.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AllActors {
    All,
}

impl From<IdOrAll> for ActorFilter {
    fn from(given: IdOrAll) -> Self {
        match given {
            IdOrAll::Id(id) => Self::One(id),
            IdOrAll::All(AllActors::All) => Self::All,
        }
    }
}

impl From<ActorFilter> for IdOrAll {
    fn from(filter: ActorFilter) -> Self {
        match filter {
            ActorFilter::One(id) => Self::Id(id),
            ActorFilter::All => Self::All(AllActors::All),
        }
    }
}

impl fmt::Display for ActorFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(id) => id.fmt(f),
            Self::All => f.write_str("all"),
        }
    }
}

/// An actor of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Its id, numbered per account.
    pub actor_id: i64,
    /// Its name.
    pub name: String,
    /// What it is.
    pub actor_type: ActorType,
    /// What it is in the account.
    pub role: Role,
    /// Whether its keys are valid.
    pub is_active: bool,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

page! {
    /// A page of actors, latest first.
    ActorPage { actors: Actor }
}

/// An actor to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewActor {
    /// Its name, 1 to 100 characters without control characters.
    pub name: String,
    /// What it is.
    pub actor_type: ActorType,
}

/// A change to an actor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ActorChange {
    /// The new name, 1 to 100 characters without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `false` ends its keys for good. `true` lets it have new keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_active: Option<bool>,
}

/// An actor that was deactivated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorDeactivated {
    /// `deactivated`
    pub status: String,
    /// Its id.
    pub actor_id: i64,
}
