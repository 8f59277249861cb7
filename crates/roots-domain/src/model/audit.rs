//! The audit log: what owners and operators did to an account. It holds only ids and actions: no
//! names, no texts, no keys.

use super::api_key::{ApiKey, Succession};
use super::bearer::KeyBearer;
use super::id::{AccountId, ActorId, AuditId, KeyId, SessionId};
use super::named::named;
use super::page::{Listed, SortKey};
use super::time::Timestamp;

named! {
    /// What was done.
    AuditAction {
        /// An actor was added.
        ActorAdded = "actor_added",
        /// An actor was renamed.
        ActorRenamed = "actor_renamed",
        /// An actor was deactivated: its keys admit nobody.
        ActorDeactivated = "actor_deactivated",
        /// An actor was activated again.
        ActorActivated = "actor_activated",
        /// A key was made.
        KeyMade = "key_made",
        /// A key was made to replace another one.
        KeyRotated = "key_rotated",
        /// A key was used for the first time, which ended what it was made to replace.
        KeySucceeded = "key_succeeded",
        /// A key was revoked.
        KeyRevoked = "key_revoked",
        /// An actor's key was renewed: a new epoch begins.
        KeyRenewed = "key_renewed",
        /// A person signed in on the pages, with the key that is named.
        SignedIn = "signed_in",
        /// A person signed out. The key is the one that opened the sign-in.
        SignedOut = "signed_out",
        /// Sign-ins of an actor were ended from a list.
        SignInsEnded = "sign_ins_ended",
        /// The recovery code was used.
        RecoveryUsed = "recovery_used",
        /// A new recovery code replaced the old one.
        RecoveryCodeRenewed = "recovery_code_renewed",
        /// The owner exported the account, or one actor's rows.
        Exported = "exported",
        /// The owner imported rows of another account, for one actor or for all of them.
        Imported = "imported",
        /// A silent session was ended.
        SessionIdled = "session_idled",
        /// Credits were given.
        CreditsGranted = "credits_granted",
        /// The account was suspended.
        AccountSuspended = "account_suspended",
        /// The account may write again.
        AccountResumed = "account_resumed",
    }
}

/// An action, its author and its subject. Ids of actors and keys belong to the account whose audit
/// log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditEvent {
    /// What was done.
    pub action: AuditAction,
    /// The actor that did it; `None` if it was not an actor of the account.
    pub actor: Option<ActorId>,
    /// The key that the actor used or, on the pages, the key that opened its sign-in.
    pub key: Option<KeyId>,
    /// The operator's account that did it, in the audit log of another one.
    pub by_account: Option<AccountId>,
    /// In the operator's audit log, the account it was done to.
    pub subject_account: Option<AccountId>,
    /// The actor it was done to.
    pub subject_actor: Option<ActorId>,
    /// The key it was done to.
    pub subject_key: Option<KeyId>,
    /// The session it was done to.
    pub subject_session: Option<SessionId>,
}

impl AuditEvent {
    /// An event of the program's operator, on the account itself.
    #[must_use]
    pub const fn of_program(action: AuditAction) -> Self {
        Self {
            action,
            actor: None,
            key: None,
            by_account: None,
            subject_account: None,
            subject_actor: None,
            subject_key: None,
            subject_session: None,
        }
    }

    /// An event of the bearer of a key of the account, on the account itself.
    #[must_use]
    pub const fn of(action: AuditAction, bearer: KeyBearer) -> Self {
        let KeyBearer { actor, key, .. } = bearer;
        Self { actor: Some(actor), key: Some(key), ..Self::of_program(action) }
    }

    /// An event of the first use of a key, on the key that it was rotated from, or on all earlier
    /// keys of its actor.
    #[must_use]
    pub const fn of_succession(key: &ApiKey) -> Self {
        let replaced = match key.succession {
            Some(Succession::Rotation { replaces, .. }) => Some(replaces),
            _ => None,
        };
        let action = Self::of_program(AuditAction::KeySucceeded);
        Self { actor: Some(key.actor), key: Some(key.id), subject_key: replaced, ..action }
            .to_actor(key.actor)
    }

    /// An event of an operator's account on another account.
    #[must_use]
    pub const fn of_operator(action: AuditAction, operator: AccountId) -> Self {
        Self { by_account: Some(operator), ..Self::of_program(action) }
    }

    /// The same event, on another account than the one whose audit log it is in.
    #[must_use]
    pub const fn to_account(self, subject: AccountId) -> Self {
        Self { subject_account: Some(subject), ..self }
    }

    /// The same event, on an actor.
    #[must_use]
    pub const fn to_actor(self, subject: ActorId) -> Self {
        Self { subject_actor: Some(subject), ..self }
    }

    /// The same event, on a session of an actor.
    #[must_use]
    pub const fn to_session(self, actor: ActorId, subject: SessionId) -> Self {
        Self { subject_session: Some(subject), ..self.to_actor(actor) }
    }

    /// The same event, on a key of an actor.
    #[must_use]
    pub const fn to_key(self, actor: ActorId, subject: KeyId) -> Self {
        Self { subject_key: Some(subject), ..self.to_actor(actor) }
    }
}

/// An entry of the audit log, which is only ever appended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its id within the account, without gaps.
    pub id: AuditId,
    /// What was done, by whom and to what.
    pub event: AuditEvent,
    /// When.
    pub created_at: Timestamp,
}

impl Listed for AuditEntry {
    fn sort_key(&self) -> SortKey {
        SortKey([0, 0, self.id.0])
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::Role;
    use super::*;

    #[test]
    fn audit_actions_round_trip_by_name() {
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::from_name(action.name()), Some(*action));
        }
        assert_eq!(AuditAction::from_name("grant"), None);
    }

    #[test]
    fn an_audit_event_names_its_actor_its_key_and_its_subject() {
        let program = AuditEvent::of_program(AuditAction::CreditsGranted);
        let bearer = KeyBearer {
            account: AccountId(1),
            actor: ActorId(2),
            role: Role::Owner,
            key: KeyId(3),
            sign_in: None,
            auth_epoch: 1,
            ends_at: None,
        };
        let own = AuditEvent::of(AuditAction::KeyRevoked, bearer);
        let by = AuditEvent { actor: Some(ActorId(2)), key: Some(KeyId(3)), ..program };
        assert_eq!(own, AuditEvent { action: AuditAction::KeyRevoked, ..by });
        let to_key =
            AuditEvent { subject_actor: Some(ActorId(4)), subject_key: Some(KeyId(5)), ..own };
        assert_eq!(own.to_key(ActorId(4), KeyId(5)), to_key);
        assert_eq!(own.to_actor(ActorId(4)), AuditEvent { subject_key: None, ..to_key });
        let by_operator = AuditEvent::of_operator(AuditAction::CreditsGranted, AccountId(6));
        assert_eq!(by_operator, AuditEvent { by_account: Some(AccountId(6)), ..program });
        let at_the_operator = AuditEvent { subject_account: Some(AccountId(7)), ..own };
        assert_eq!(own.to_account(AccountId(7)), at_the_operator);
    }
}
