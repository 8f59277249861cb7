//! Why a command was refused.

use crate::model::claim::ClaimToken;
use crate::model::id::{AccountId, ActorId, SessionId, TodoId};
use crate::model::import::Origin;
use crate::model::sign_in::SignInEnd;
use crate::model::time::Timestamp;
use crate::model::todo::TodoStatus;

/// Why a command was refused. It changed nothing and cost nothing. Each displays as one sentence
/// for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The API key is malformed, unknown, revoked or expired, or its actor is deactivated. The
    /// error does not say which.
    #[error("The API key is not valid.")]
    KeyNotInForce,
    /// The recovery code is wrong or has ended. The error does not say which.
    #[error("The recovery code is not valid.")]
    CodeNotInForce,
    /// The account may not write.
    #[error("This account is suspended: it is read-only.")]
    Suspended,
    /// A member asks for something that only the owner may do.
    #[error("Only the account's owner may do this: a member reads and writes only its own data.")]
    OwnerOnly,
    /// A key in its grace period can't manage keys.
    #[error("This key was rotated and is in its grace period: it can't manage actors or keys.")]
    KeyInGrace,
    /// The browser key of a sign-in does not admit its bearer any more.
    #[error(transparent)]
    SignInEnded(SignInEnd),
    /// A browser key may not do this.
    #[error("A sign-in can't do this: enter an API key once more.")]
    NeedsApiKey,
    /// The API key that was entered for one act is another actor's.
    #[error("This API key belongs to another actor than the one that is signed in.")]
    OtherActorsKey,
    /// The owner's last key would be ended.
    #[error("This is the last key in force of the account's owner: rotate it instead.")]
    LastOwnerKey,
    /// The recovery code is not the account's.
    #[error("This is not the recovery code of this account.")]
    WrongRecoveryCode,
    /// The last operator's account would be erased.
    #[error("This is the last operator's account: make another one first.")]
    LastOperator,
    /// The owner would be deactivated.
    #[error("The owner of an account can't be deactivated.")]
    OwnerStays,
    /// The `actor_id` is not an actor of the account.
    #[error("There is no actor {0}.")]
    NoSuchActor(ActorId),
    /// A deactivated actor gets no keys.
    #[error("Actor {0} is deactivated: activate it first.")]
    ActorInactive(ActorId),
    /// The actor already has the maximum number of keys.
    #[error("Actor {0} has {limit} valid keys, the maximum: revoke some first.", limit = crate::model::api_key::KEYS_MAX)]
    TooManyKeys(ActorId),
    /// The account already has the maximum number of actors.
    #[error("This account has {limit} actors, deactivated ones included. That is the maximum: activate one of them instead.", limit = crate::model::quota::ACTORS_MAX)]
    TooManyActors,
    /// The account already has the maximum number of keys, none of which has ended.
    #[error("This account has {limit} keys, the maximum, and none of them has ended: revoke some first.", limit = crate::model::quota::ACCOUNT_KEYS_MAX)]
    TooManyAccountKeys,
    /// The actor's key was already renewed the maximum number of times on this day.
    #[error("The key of actor {actor} was renewed {limit} times today (UTC), the maximum: the next renewal is possible from {next_at} on.", limit = crate::model::quota::RENEWALS_PER_DAY_MAX)]
    TooManyRenewals {
        /// The actor that the key belongs to.
        actor: ActorId,
        /// When the next one is possible.
        next_at: Timestamp,
        /// The seconds until then, rounded up.
        wait_seconds: u32,
    },
    /// The new key would already have expired.
    #[error("The expiry must be in the future.")]
    ExpiryNotAhead,
    /// The key was made for an epoch that is no longer the newest.
    #[error("The keys of actor {0} were renewed meanwhile: try again.")]
    KeysRenewed(ActorId),
    /// Only an operator's account may do this.
    #[error("Only an operator's account may do this.")]
    OperatorOnly,
    /// An account can't suspend itself.
    #[error("An account can't suspend itself: another operator's account may.")]
    OwnAccount,
    /// The caller used this idempotency key for another request.
    #[error(
        "This Idempotency-Key was used for a different request in the last 24 hours: use a new one."
    )]
    KeyOfAnotherRequest,
    /// A request with this idempotency key is still being processed.
    #[error("A request with this Idempotency-Key is still in progress: retry shortly.")]
    StillInFlight,
    /// The request was answered before, with a secret that can't be answered again.
    #[error(
        "This was done already. The key or code was shown then, once, and is kept nowhere: if you did not see it, revoke that key or make another code."
    )]
    ShownOnce,
    /// There is no such row, or it is not the caller's.
    #[error("There is no such {0}.")]
    NotFound(&'static str),
    /// The row is in none of the states that the caller requires.
    #[error("The {0} has changed since you read it: read it again, then decide.")]
    HasChanged(&'static str),
    /// The `session_id` is not a session of the actor.
    #[error("There is no session {0}.")]
    NoSuchSession(SessionId),
    /// The session to link to has ended.
    #[error("Session {0} has ended: only an active session can be linked to.")]
    SessionEnded(SessionId),
    /// The session was ended for its silence, and takes no more writes.
    #[error(
        "Session {0} was ended because nothing was written to it for too long: start a new one."
    )]
    SessionIdle(SessionId),
    /// The import is an export of the same account.
    #[error("This is an export of this account: importing it would duplicate everything.")]
    OwnExport,
    /// A row of an import has the id of an earlier row with different content.
    #[error("The {0} was imported before with different content, and is not newer.")]
    Contradicts(Origin),
    /// The rows of a dry run need more memory than it may use.
    #[error(
        "The file has more rows than a dry run can hold. Its last line counts them: importing it costs at most 1 credit for each row."
    )]
    DryRunTooLarge,
    /// A step of a log does not begin at its todo's status.
    #[error("The todo's status is {}, but this log entry starts from {}.", .current.name(), .from.name())]
    StepFromOtherStatus {
        /// The status from which the step begins.
        from: TodoStatus,
        /// The todo's status.
        current: TodoStatus,
    },
    /// The session has already ended.
    #[error("Session {0} has already ended.")]
    AlreadyEnded(SessionId),
    /// An ended session can't be reopened.
    #[error("Session {0} has ended and can't be reopened: start a new one.")]
    CannotReopen(SessionId),
    /// The step between these statuses is not allowed.
    #[error("A todo can't go from {} to {}; it can go to {}.", .from.name(), .to.name(), names(.from.next()))]
    ForbiddenStep {
        /// The current status.
        from: TodoStatus,
        /// The requested status.
        to: TodoStatus,
    },
    /// The todo to claim is done or cancelled.
    #[error("Todo {todo} is {}: only a todo that is open or in progress can be claimed.", .status.name())]
    NotClaimable {
        /// The todo.
        todo: TodoId,
        /// Its status.
        status: TodoStatus,
    },
    /// The todo to claim is held by a claim that lives.
    #[error("Todo {todo} is claimed until {until}: claim another one, or try again then.")]
    ClaimHeld {
        /// The todo.
        todo: TodoId,
        /// Until when that claim lives, if nothing is written meanwhile.
        until: Timestamp,
    },
    /// The write carries the token of a claim that does not stand.
    #[error(
        "Claim {token} of todo {todo} does not stand: {fate}. Stop working on it, or claim it again."
    )]
    ClaimLost {
        /// The todo.
        todo: TodoId,
        /// The token.
        token: ClaimToken,
        /// What happened.
        fate: ClaimFate,
    },
    /// One of several todos that were to be created together is refused, so none was created.
    #[error("Todo at index {index}: {refusal}")]
    OfTodo {
        /// Its place among them, from 0.
        index: usize,
        /// Why it is refused.
        refusal: Box<Self>,
    },
    /// A note without a change of status.
    #[error("A note needs a change of status, and this patch does not change it.")]
    NoteWithoutChange,
    /// The actor already has the maximum number of activity types.
    #[error("An actor may have at most {limit} activity types.", limit = crate::model::activity::ACTIVITY_TYPES_MAX)]
    TooManyActivityTypes,
    /// The balance is below the cost.
    #[error("The balance of {balance} credits does not cover the cost of {cost}.")]
    InsufficientCredits {
        /// The balance.
        balance: i64,
        /// The cost of the write.
        cost: i64,
    },
    /// The balance would exceed the largest possible one.
    #[error("The balance would exceed the largest possible one.")]
    BalanceTooHigh,
    /// There is no such account.
    #[error("There is no account {0}.")]
    NoSuchAccount(AccountId),
    /// The account was already founded: another process was first.
    #[error("Account {0} exists already.")]
    AccountExists(AccountId),
}

/// What has become of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimFate {
    /// It lapsed or ended, and the todo was claimed again.
    #[error("claim {standing} stands now")]
    Retaken {
        /// The claim that stands.
        standing: ClaimToken,
    },
    /// It ended, and the todo was not claimed again.
    #[error("it has ended, and the todo is {}", .status.name())]
    Ended {
        /// The status of the todo.
        status: TodoStatus,
    },
    /// There was no such claim yet.
    #[error("there is no such claim yet (claims so far: {count})")]
    NotYet {
        /// How often the todo was claimed.
        count: i64,
    },
}

impl Refusal {
    /// The refusal of a write of several todos because of the one at that index.
    #[must_use]
    pub fn of_todo(self, index: usize) -> Self {
        Self::OfTodo { index, refusal: Box::new(self) }
    }
}

fn names(statuses: &[TodoStatus]) -> String {
    let names: Vec<_> = statuses.iter().map(|status| status.name()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_displays_its_message() {
        let session = SessionId(2);
        let step = |from, to| Refusal::ForbiddenStep { from, to };
        let too_little = Refusal::InsufficientCredits { balance: 0, cost: 1 };
        for (refusal, sentence) in [
            (Refusal::KeyNotInForce, "The API key is not valid."),
            (Refusal::CodeNotInForce, "The recovery code is not valid."),
            (Refusal::Suspended, "This account is suspended: it is read-only."),
            (
                Refusal::OwnerOnly,
                "Only the account's owner may do this: a member reads and writes only its own data.",
            ),
            (
                Refusal::KeyInGrace,
                "This key was rotated and is in its grace period: it can't manage actors or keys.",
            ),
            (
                Refusal::LastOwnerKey,
                "This is the last key in force of the account's owner: rotate it instead.",
            ),
            (Refusal::WrongRecoveryCode, "This is not the recovery code of this account."),
            (Refusal::LastOperator, "This is the last operator's account: make another one first."),
            (Refusal::OwnerStays, "The owner of an account can't be deactivated."),
            (Refusal::NoSuchActor(ActorId(4)), "There is no actor 4."),
            (
                Refusal::OwnExport,
                "This is an export of this account: importing it would duplicate everything.",
            ),
            (
                Refusal::Contradicts(Origin::Todo(crate::model::id::TodoId(7))),
                "The todo 7 was imported before with different content, and is not newer.",
            ),
            (Refusal::ActorInactive(ActorId(4)), "Actor 4 is deactivated: activate it first."),
            (
                Refusal::TooManyKeys(ActorId(4)),
                "Actor 4 has 1000 valid keys, the maximum: revoke some first.",
            ),
            (
                Refusal::DryRunTooLarge,
                "The file has more rows than a dry run can hold. Its last line counts them: importing it costs at most 1 credit for each row.",
            ),
            (Refusal::ExpiryNotAhead, "The expiry must be in the future."),
            (
                Refusal::KeysRenewed(ActorId(4)),
                "The keys of actor 4 were renewed meanwhile: try again.",
            ),
            (Refusal::OperatorOnly, "Only an operator's account may do this."),
            (
                Refusal::OwnAccount,
                "An account can't suspend itself: another operator's account may.",
            ),
            (
                Refusal::KeyOfAnotherRequest,
                "This Idempotency-Key was used for a different request in the last 24 hours: use a new one.",
            ),
            (
                Refusal::StillInFlight,
                "A request with this Idempotency-Key is still in progress: retry shortly.",
            ),
            (
                Refusal::ShownOnce,
                "This was done already. The key or code was shown then, once, and is kept nowhere: if you did not see it, revoke that key or make another code.",
            ),
            (Refusal::NotFound("todo"), "There is no such todo."),
            (
                Refusal::HasChanged("todo"),
                "The todo has changed since you read it: read it again, then decide.",
            ),
            (Refusal::NoSuchSession(session), "There is no session 2."),
            (
                Refusal::SessionEnded(session),
                "Session 2 has ended: only an active session can be linked to.",
            ),
            (Refusal::AlreadyEnded(session), "Session 2 has already ended."),
            (
                Refusal::CannotReopen(session),
                "Session 2 has ended and can't be reopened: start a new one.",
            ),
            (
                step(TodoStatus::Done, TodoStatus::Cancelled),
                "A todo can't go from done to cancelled; it can go to open or in_progress.",
            ),
            (
                step(TodoStatus::Cancelled, TodoStatus::Done),
                "A todo can't go from cancelled to done; it can go to open or in_progress.",
            ),
            (
                Refusal::NoteWithoutChange,
                "A note needs a change of status, and this patch does not change it.",
            ),
            (
                Refusal::SessionEnded(session).of_todo(3),
                "Todo at index 3: Session 2 has ended: only an active session can be linked to.",
            ),
            (Refusal::TooManyActivityTypes, "An actor may have at most 1000 activity types."),
            (too_little, "The balance of 0 credits does not cover the cost of 1."),
            (Refusal::BalanceTooHigh, "The balance would exceed the largest possible one."),
        ] {
            assert_eq!(refusal.to_string(), sentence);
        }
    }

    #[test]
    fn a_refusal_of_an_account_names_it() {
        let account = AccountId(3);
        assert_eq!(Refusal::NoSuchAccount(account).to_string(), "There is no account 3.");
        assert_eq!(Refusal::AccountExists(account).to_string(), "Account 3 exists already.");
    }

    #[test]
    fn every_refusal_of_a_claim_or_an_idle_session_displays_its_message() {
        let lost = |fate| Refusal::ClaimLost { todo: TodoId(7), token: ClaimToken(1), fate };
        for (refusal, sentence) in [
            (
                Refusal::SessionIdle(SessionId(2)),
                "Session 2 was ended because nothing was written to it for too long: start a new one.",
            ),
            (
                Refusal::NotClaimable { todo: TodoId(7), status: TodoStatus::Done },
                "Todo 7 is done: only a todo that is open or in progress can be claimed.",
            ),
            (
                Refusal::ClaimHeld { todo: TodoId(7), until: Timestamp::FIRST },
                "Todo 7 is claimed until 1970-01-01T00:00:00Z: claim another one, or try again then.",
            ),
            (
                lost(ClaimFate::Retaken { standing: ClaimToken(2) }),
                "Claim 1 of todo 7 does not stand: claim 2 stands now. Stop working on it, or claim it again.",
            ),
            (
                lost(ClaimFate::Ended { status: TodoStatus::Open }),
                "Claim 1 of todo 7 does not stand: it has ended, and the todo is open. Stop working on it, or claim it again.",
            ),
            (
                lost(ClaimFate::NotYet { count: 0 }),
                "Claim 1 of todo 7 does not stand: there is no such claim yet (claims so far: 0). Stop working on it, or claim it again.",
            ),
        ] {
            assert_eq!(refusal.to_string(), sentence);
        }
    }

    #[test]
    fn statuses_are_joined_with_commas_and_or() {
        use TodoStatus::{Cancelled, Done, Open};
        assert_eq!(names(&[]), "");
        assert_eq!(names(&[Open]), "open");
        assert_eq!(names(&[Open, Done]), "open or done");
        assert_eq!(names(&[Open, Done, Cancelled]), "open, done or cancelled");
    }
}
