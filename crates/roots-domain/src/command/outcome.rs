//! The result of a committed command, and its idempotency record.

use super::refusal::Refusal;
use crate::model::account::{Account, Actor};
use crate::model::activity::Activity;
use crate::model::api_key::ApiKey;
use crate::model::id::{AccountId, ActorId, Uid};
use crate::model::idempotency::{IdempotencyMacs, oldest_kept};
use crate::model::import::Imported;
use crate::model::sealed::Sealed;
use crate::model::session::Session;
use crate::model::sign_in::SignIn;
use crate::model::time::Timestamp;
use crate::model::todo::Todo;

/// The result of a committed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The row as it is now, sealed.
    pub row: AppliedRow,
    /// The cost of the command.
    pub cost: i64,
    /// The account's balance after the command or, for a replay, now.
    pub balance: i64,
    /// Whether it was done before, and this repeats the earlier answer. Nothing was done or charged
    /// now.
    pub is_replay: bool,
}

/// The row that a committed command wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppliedRow {
    /// A session started or changed.
    Session(Session<Sealed>),
    /// A todo created or changed.
    Todo(Todo<Sealed>),
    /// Several todos created, in the order of the command.
    Todos(Vec<Todo<Sealed>>),
    /// A todo claimed, and until when the claim lives.
    Claimed(Todo<Sealed>, Timestamp),
    /// No todo to claim. Nothing was done.
    NothingToClaim,
    /// An activity logged.
    Activity(Activity<Sealed>),
    /// An actor made or changed.
    Actor(Actor),
    /// A key made or ended.
    Key(ApiKey),
    /// A recovery code made. The record of a new key holds this too: it has been answered with a
    /// secret that is kept nowhere.
    ShownOnce,
    /// A sign-in that began.
    SignIn(SignIn),
    /// The results of imported rows. If credits ran out, the last result is
    /// [`Refusal::InsufficientCredits`], and nothing was done from that row on.
    Imported(Vec<Result<Imported, Refusal>>),
    /// A row deleted.
    Deleted,
    /// An account id taken.
    Reserved(AccountId),
    /// The id of the installation.
    Installation(Uid),
    /// An account that was founded, got credits or ids, was suspended or resumed, or had a key
    /// used.
    Account(Box<Account>),
    /// Calls counted.
    Counted,
    /// How many silent sessions were ended.
    SessionsEnded(u32),
}

/// The answer to an idempotent request, stored together with its write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The actor that asked.
    pub actor: ActorId,
    /// The request.
    pub request: IdempotencyMacs,
    /// The row as the write left it, sealed.
    pub row: AppliedRow,
    /// Its cost.
    pub cost: i64,
    /// When.
    pub created_at: Timestamp,
}

impl IdempotencyRecord {
    /// Whether it has expired, deleted or not.
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
