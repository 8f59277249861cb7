//! What the bearer of an API key writes of sessions, todos and activities.

use crate::model::activity::NewActivity;
use crate::model::claim::{ClaimToken, LeaseSeconds};
use crate::model::id::{ActivityId, ActorId, SessionId, TodoId, Uid};
use crate::model::sealed::Sealed;
use crate::model::session::SessionPatch;
use crate::model::todo::{NewTodo, NewTodos, Priority, TodoPatch};

/// A write of a session, a todo or an activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceAction {
    /// Start a session.
    StartSession {
        /// The actor that the session will belong to. Its notes are sealed with that actor's keys.
        actor: ActorId,
        /// Its identity.
        uid: Uid,
        /// Its notes.
        notes: Option<Sealed>,
    },
    /// Change a session.
    PatchSession(RowPatch<SessionId, SessionPatch<Resealed>>),
    /// Delete a session. Everything linked to it counts as unlinked from then on.
    DeleteSession(SessionId),
    /// Create a todo.
    CreateTodo {
        /// Its identity.
        uid: Uid,
        /// The rest of it.
        new: NewTodo<Sealed>,
    },
    /// Create several todos, all or none, each with its identity.
    CreateTodos(NewTodos<(Uid, NewTodo<Sealed>)>),
    /// Change a todo; a change of status is logged under the uid given.
    PatchTodo {
        /// The change.
        row: RowPatch<TodoId, TodoPatch<Resealed>>,
        /// The identity of the log row, if the status changes.
        log_uid: Uid,
        /// The claim that must stand, if the caller names one.
        claim_token: Option<ClaimToken>,
    },
    /// Delete a todo and its log.
    DeleteTodo {
        /// The todo.
        id: TodoId,
        /// The claim that must stand, if the caller names one.
        claim_token: Option<ClaimToken>,
    },
    /// Claim a todo: the one that is named, or the next one. If there is none, nothing is done or
    /// charged.
    ClaimTodo(ClaimRequest),
    /// Give up the claim of a todo: it is open again.
    ReleaseTodo {
        /// The todo.
        id: TodoId,
        /// The claim, which must stand.
        claim_token: ClaimToken,
        /// The identity of the log row.
        log_uid: Uid,
    },
    /// Log an activity.
    LogActivity {
        /// Its identity.
        uid: Uid,
        /// The rest of it.
        new: NewActivity<Sealed>,
    },
    /// Delete an activity.
    DeleteActivity(ActivityId),
}

/// A claim to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The actor whose todo it is.
    pub actor: ActorId,
    /// The active session of that actor to link it to.
    pub session: Option<SessionId>,
    /// The todo; the next one if absent.
    pub todo: Option<TodoId>,
    /// The lowest priority of the next one.
    pub min_priority: Priority,
    /// How long the claim lives after the last write.
    pub lease: LeaseSeconds,
    /// The identities of the log rows: that the claim before has lapsed, and that this one begins.
    pub log_uids: [Uid; 2],
    /// The note for the first of them, sealed with the keys of the actor.
    pub lapse_note: Sealed,
}

/// The note of the log row that tells that a claim has lapsed.
pub const LAPSE_NOTE: &str = "claim lapsed";

/// A new text for a row that exists, sealed afresh. Two seals of one text differ, so the command
/// also names the stored ciphertext that was found to hold the same text: if that one still stands,
/// nothing changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// The text.
    pub sealed: Sealed,
    /// The ciphertext that was found to have the same text.
    pub same_as: Option<Sealed>,
}

impl Resealed {
    /// The text for a field that now holds `current`: that one if it is the same text.
    #[must_use]
    pub fn against(self, current: Option<&Sealed>) -> Sealed {
        match self.same_as {
            Some(same) if Some(&same) == current => same,
            _ => self.sealed,
        }
    }
}

/// A patch of a row. Its texts are sealed for one row, so it applies to that row alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPatch<I, P> {
    /// The row's id.
    pub id: I,
    /// The row that the texts were sealed for; `None` if there are none. Another row with that id
    /// counts as not found.
    pub sealed_for: Option<Uid>,
    /// The change.
    pub patch: P,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resealed_text_is_not_written_if_the_ciphertext_it_equals_is_still_stored() {
        let (old, other) = (Sealed(vec![1]), Sealed(vec![2]));
        let new = |same_as: Option<&Sealed>| Resealed {
            sealed: Sealed(vec![9]),
            same_as: same_as.cloned(),
        };
        assert_eq!(new(Some(&old)).against(Some(&old)), old);
        assert_eq!(new(Some(&old)).against(Some(&other)), Sealed(vec![9]));
        assert_eq!(new(Some(&old)).against(None), Sealed(vec![9]));
        assert_eq!(new(None).against(Some(&old)), Sealed(vec![9]));
        assert_eq!(new(None).against(None), Sealed(vec![9]), "nothing there is no text");
    }
}
