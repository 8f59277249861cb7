//! What a committed command left, and what is kept of it.

use super::refusal::Refusal;
use crate::model::account::{Account, Actor};
use crate::model::activity::Activity;
use crate::model::api_key::ApiKey;
use crate::model::id::{AccountId, ActorId, Uid};
use crate::model::idempotency::{IdempotencyMacs, oldest_kept};
use crate::model::import::Imported;
use crate::model::sealed::Sealed;
use crate::model::session::Session;
use crate::model::time::Timestamp;
use crate::model::todo::Todo;

/// What a committed command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The row as it stands now, sealed.
    pub row: AppliedRow,
    /// What the command cost.
    pub cost: i64,
    /// The account's balance: after it, or, for a replay, now.
    pub balance: i64,
    /// Whether it was done before, and this tells again what was answered then. Nothing was done or
    /// charged now.
    pub is_replay: bool,
}

/// The row that a committed command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppliedRow {
    /// A session started or changed.
    Session(Session<Sealed>),
    /// A todo created or changed.
    Todo(Todo<Sealed>),
    /// An activity logged.
    Activity(Activity<Sealed>),
    /// An actor made or changed.
    Actor(Actor),
    /// A key made or ended.
    Key(ApiKey),
    /// Rows that came from elsewhere, and what became of each. Where credits ended, the last outcome
    /// is [`Refusal::InsufficientCredits`], and nothing was done for the rows from there on.
    Imported(Vec<Result<Imported, Refusal>>),
    /// A row deleted.
    Deleted,
    /// An account id taken.
    Reserved(AccountId),
    /// The id of the installation.
    Installation(Uid),
    /// An account founded, given credits or ids, suspended or resumed, or of which a key was used.
    Account(Box<Account>),
    /// Calls counted.
    Counted,
}

/// The answer to an idempotent request, kept with the write that it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The actor that asked.
    pub actor: ActorId,
    /// For what.
    pub request: IdempotencyMacs,
    /// The row as it was left then, sealed as it was.
    pub row: AppliedRow,
    /// What it cost.
    pub cost: i64,
    /// When.
    pub created_at: Timestamp,
}

impl IdempotencyRecord {
    /// Whether it counts no more, swept or not.
    #[must_use]
    pub fn is_expired(&self, at: Timestamp) -> bool {
        self.created_at < oldest_kept(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::idempotency::{KEPT_SECONDS, Mac};

    #[test]
    fn an_idempotency_record_expires_after_a_day() {
        let begun = Timestamp::FIRST.plus_seconds(1_000_000);
        let mac = Mac([7; 32]);
        let kept = IdempotencyRecord {
            actor: ActorId(1),
            request: IdempotencyMacs { key: mac, request: mac },
            row: AppliedRow::Deleted,
            cost: 1,
            created_at: begun,
        };
        assert!(!kept.is_expired(begun));
        assert!(!kept.is_expired(begun.plus_seconds(KEPT_SECONDS)));
        assert!(kept.is_expired(begun.plus_seconds(KEPT_SECONDS + 1)));
        assert!(!kept.is_expired(begun.plus_seconds(-60)), "another process's clock is behind");
        assert_eq!(format!("{mac:?}"), "Mac(…)");
    }
}
