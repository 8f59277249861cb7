//! Converts errors of the domain to problems.

use roots_domain::command::Refusal;
use roots_domain::port::store::StoreError;
use roots_domain::service::{ReadError, WriteError};

use super::{AWAY_RETRY_SECONDS, BODY, BUSY_RETRY_SECONDS, Problem, ProblemKind};
use crate::request::fields::InvalidField;
use crate::request::invalid_json::InvalidJson;
use crate::wire::credit_headers;

impl From<InvalidJson> for Problem {
    fn from(invalid: InvalidJson) -> Self {
        match invalid {
            InvalidJson::Json { .. } => {
                Self::new(ProblemKind::MalformedJson, format!("The body {invalid}."))
            }
            InvalidJson::NoObject(_) => {
                let message = invalid.to_string();
                Self::invalid_body(vec![InvalidField { field: BODY.to_owned(), message }])
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let cause = error.to_string();
        let problem = match error {
            // The epoch moved again while the caller was admitted again, or a write had to wait for
            // the keys.
            StoreError::Unavailable(_) | StoreError::EpochMoved => Self::new(
                ProblemKind::Unavailable,
                "The service is temporarily unavailable. Nothing was done: try again shortly.",
            )
            .retry_after(AWAY_RETRY_SECONDS),
            StoreError::Busy => {
                let detail = "The service is busy. Nothing was done: try again shortly.";
                return Self::new(ProblemKind::Unavailable, detail).retry_after(BUSY_RETRY_SECONDS);
            }
            StoreError::OutcomeUnknown(_) => Self::new(
                ProblemKind::OutcomeUnknown,
                "It is unknown whether this was done: check before you repeat it.",
            )
            .retry_after(AWAY_RETRY_SECONDS),
            StoreError::Broken(_) => return Self::internal(cause),
        };
        problem.because(cause)
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Refused(refusal) => refusal.into(),
            ReadError::Store(error) => error.into(),
            ReadError::Unreadable { what, id } => {
                Self::new(ProblemKind::Unreadable, error.to_string())
                    .because(format!("a text of {what} {id} does not open"))
            }
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::EmptyPatch => Self::of_field(BODY, error.to_string()),
            WriteError::Refused(refusal) => refusal.into(),
            WriteError::Store(error) => error.into(),
            WriteError::Seal(error) => Self::internal(error.to_string()),
            WriteError::SavedUnreadable { what, id, cost, balance } => Self {
                headers: credit_headers(cost, balance).into(),
                ..Self::new(ProblemKind::Unreadable, error.to_string())
                    .because(format!("another text of {what} {id} does not open"))
            },
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            // Pages show the last three at the form; the API never meets them.
            Refusal::KeyNotInForce
            | Refusal::SignInEnded(_)
            | Refusal::NeedsApiKey
            | Refusal::OtherActorsKey => Self::unauthorized(detail, true),
            Refusal::CodeNotInForce => Self::wrong_code(detail),
            Refusal::Suspended => Self::new(ProblemKind::Suspended, detail),
            Refusal::OwnerOnly => Self::new(ProblemKind::OwnerOnly, detail),
            Refusal::KeyInGrace => Self::new(ProblemKind::KeyInGrace, detail),
            Refusal::OperatorOnly => Self::new(ProblemKind::OperatorOnly, detail),
            Refusal::WrongRecoveryCode => Self::new(ProblemKind::WrongRecoveryCode, detail),
            Refusal::NotFound(_) | Refusal::NoSuchAccount(_) => {
                Self::new(ProblemKind::NotFound, detail)
            }
            Refusal::KeyOfAnotherRequest => Self::new(ProblemKind::KeyOfAnotherRequest, detail),
            Refusal::StillInFlight => {
                Self::new(ProblemKind::StillInFlight, detail).retry_after(BUSY_RETRY_SECONDS)
            }
            Refusal::HasChanged(_) => Self::new(ProblemKind::PreconditionFailed, detail),
            Refusal::DryRunTooLarge => Self::new(ProblemKind::BodyTooLarge, detail),
            Refusal::OfTodo { index, refusal } => {
                let mut problem = Self { detail: detail.into(), ..Self::from(*refusal) };
                for error in &mut problem.errors {
                    error.field = format!("todos[{index}].{}", error.field);
                }
                problem
            }
            Refusal::NoSuchActor(_) => Self::of_field("actor_id", detail),
            Refusal::ExpiryNotAhead => Self::of_field("expires_at", detail),
            Refusal::NoSuchSession(_) => Self::of_field("session_id", detail),
            Refusal::OwnExport => Self::of_field("source", detail),
            Refusal::Contradicts(_) => Self::of_field("line", detail),
            Refusal::NoteWithoutChange => Self::of_field("note", detail),
            Refusal::TooManyActivityTypes => Self::of_field("activity_type", detail),
            Refusal::ClaimLost { .. } => Self::new(ProblemKind::ClaimLost, detail),
            Refusal::ClaimHeld { until, .. } => {
                Self { until: Some(Box::new(until)), ..Self::new(ProblemKind::Conflict, detail) }
            }
            Refusal::SessionEnded(_)
            | Refusal::SessionIdle(_)
            | Refusal::AlreadyEnded(_)
            | Refusal::CannotReopen(_)
            | Refusal::NotClaimable { .. }
            | Refusal::ForbiddenStep { .. }
            | Refusal::StepFromOtherStatus { .. }
            | Refusal::LastOwnerKey
            | Refusal::LastOperator
            | Refusal::OwnerStays
            | Refusal::ActorInactive(_)
            | Refusal::TooManyKeys(_)
            | Refusal::TooManyActors
            | Refusal::TooManyAccountKeys
            | Refusal::KeysRenewed(_)
            | Refusal::OwnAccount
            | Refusal::ShownOnce
            | Refusal::BalanceTooHigh => Self::new(ProblemKind::Conflict, detail),
            Refusal::TooManyRenewals { wait_seconds, .. } => {
                Self::new(ProblemKind::TooManyRequests, detail).retry_after(wait_seconds)
            }
            // A sign-up uses a reserved id, so this is an error of the server.
            Refusal::AccountExists(_) => Self::internal(detail),
            Refusal::InsufficientCredits { balance, cost } => Self {
                credits: Some(Box::new((balance, cost))),
                ..Self::new(ProblemKind::InsufficientCredits, detail)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use roots_domain::model::id::SessionId;

    use super::*;

    #[test]
    fn the_refusal_of_one_of_many_todos_is_the_problem_of_that_todo_and_names_it() {
        let problem = Problem::from(Refusal::NoSuchSession(SessionId(7)).of_todo(2));
        assert_eq!(problem.kind, ProblemKind::InvalidBody);
        assert_eq!(problem.detail, "Todo at index 2: There is no session 7.");
        let (field, message) = ("todos[2].session_id".to_owned(), "There is no session 7.".into());
        assert_eq!(problem.errors, [InvalidField { field, message }]);

        let problem = Problem::from(Refusal::SessionEnded(SessionId(7)).of_todo(0));
        assert_eq!(problem.kind, ProblemKind::Conflict);
        let detail =
            "Todo at index 0: Session 7 has ended: only an active session can be linked to.";
        assert_eq!(problem.detail, detail);
    }
}
