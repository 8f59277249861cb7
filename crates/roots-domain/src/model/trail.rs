//! The audit trail: what owners and operators did to an account. Ids and acts only: no names, no
//! texts, nothing of a key.

use super::account::named;
use super::id::{AccountId, ActorId, AuditId, KeyId};
use super::key::{ApiKey, Succession};
use super::page::{Listed, Place};
use super::time::Timestamp;
use super::unit::KeyBearer;

named! {
    /// What was done.
    Act {
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
        /// A key was made to take another's place.
        KeyRotated = "key_rotated",
        /// A key was used for the first time, which ended what it was made to replace.
        KeySucceeded = "key_succeeded",
        /// A key was revoked.
        KeyRevoked = "key_revoked",
        /// An actor's key was renewed: a new epoch begins.
        KeyRenewed = "key_renewed",
        /// The recovery code was used.
        RecoveryUsed = "recovery_used",
        /// A new recovery code took the old one's place.
        RecoveryCodeRenewed = "recovery_code_renewed",
        /// The owner had all that the account has exported, or all that an actor has.
        Exported = "exported",
        /// The owner brought in rows of another account, for an actor or for all of them.
        Imported = "imported",
        /// Credits were given.
        CreditsGranted = "credits_granted",
        /// The account was suspended.
        AccountSuspended = "account_suspended",
        /// The account may write again.
        AccountResumed = "account_resumed",
    }
}

/// An act, who did it, and to what. Ids of actors and keys are of the account whose trail it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deed {
    /// What was done.
    pub act: Act,
    /// The actor that did it; `None` where it was none of the account's.
    pub actor: Option<ActorId>,
    /// The key that it showed.
    pub key: Option<KeyId>,
    /// The operator's account that did it, in the trail of another one.
    pub by_account: Option<AccountId>,
    /// The account that it was done to, in the trail of the operator's.
    pub subject_account: Option<AccountId>,
    /// The actor that it was done to.
    pub subject_actor: Option<ActorId>,
    /// The key that it was done to.
    pub subject_key: Option<KeyId>,
}

impl Deed {
    /// Done by whoever runs the program, to the account itself.
    #[must_use]
    pub const fn of_program(act: Act) -> Self {
        Self {
            act,
            actor: None,
            key: None,
            by_account: None,
            subject_account: None,
            subject_actor: None,
            subject_key: None,
        }
    }

    /// Done by the bearer of a key of the account, to the account itself.
    #[must_use]
    pub const fn of(act: Act, bearer: KeyBearer) -> Self {
        let KeyBearer { actor, key, .. } = bearer;
        Self { actor: Some(actor), key: Some(key), ..Self::of_program(act) }
    }

    /// Done by the first use of a key: to the key that it was rotated from, or to all that its actor
    /// had before.
    #[must_use]
    pub const fn of_succession(key: &ApiKey) -> Self {
        let replaced = match key.succession {
            Some(Succession::Rotation { replaces, .. }) => Some(replaces),
            _ => None,
        };
        let act = Self::of_program(Act::KeySucceeded);
        Self { actor: Some(key.actor), key: Some(key.id), subject_key: replaced, ..act }
            .to_actor(key.actor)
    }

    /// Done by an operator's account, to another one.
    #[must_use]
    pub const fn of_operator(act: Act, operator: AccountId) -> Self {
        Self { by_account: Some(operator), ..Self::of_program(act) }
    }

    /// Done to another account than the one whose trail it stands in.
    #[must_use]
    pub const fn to_account(self, subject: AccountId) -> Self {
        Self { subject_account: Some(subject), ..self }
    }

    /// Done to an actor.
    #[must_use]
    pub const fn to_actor(self, subject: ActorId) -> Self {
        Self { subject_actor: Some(subject), ..self }
    }

    /// Done to a key of an actor.
    #[must_use]
    pub const fn to_key(self, actor: ActorId, subject: KeyId) -> Self {
        Self { subject_key: Some(subject), ..self.to_actor(actor) }
    }
}

/// An entry of the audit trail, which is only ever appended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailEntry {
    /// Its id within the account, without gaps.
    pub id: AuditId,
    /// What was done, by whom and to what.
    pub deed: Deed,
    /// When.
    pub created_at: Timestamp,
}

impl Listed for TrailEntry {
    fn place(&self) -> Place {
        Place([0, 0, self.id.0])
    }
}

#[cfg(test)]
mod tests {
    use super::super::account::Role;
    use super::*;

    #[test]
    fn acts_read_back_by_their_names() {
        for act in Act::ALL {
            assert_eq!(Act::from_name(act.name()), Some(*act));
        }
        assert_eq!(Act::from_name("grant"), None);
    }

    #[test]
    fn a_deed_names_who_did_it_and_to_what() {
        let program = Deed::of_program(Act::CreditsGranted);
        let bearer = KeyBearer {
            account: AccountId(1),
            actor: ActorId(2),
            role: Role::Owner,
            key: KeyId(3),
            auth_epoch: 1,
            ends_at: None,
        };
        let own = Deed::of(Act::KeyRevoked, bearer);
        let by = Deed { actor: Some(ActorId(2)), key: Some(KeyId(3)), ..program };
        assert_eq!(own, Deed { act: Act::KeyRevoked, ..by });
        let to_key = Deed { subject_actor: Some(ActorId(4)), subject_key: Some(KeyId(5)), ..own };
        assert_eq!(own.to_key(ActorId(4), KeyId(5)), to_key);
        assert_eq!(own.to_actor(ActorId(4)), Deed { subject_key: None, ..to_key });
        let by_operator = Deed::of_operator(Act::CreditsGranted, AccountId(6));
        assert_eq!(by_operator, Deed { by_account: Some(AccountId(6)), ..program });
        let at_the_operator = Deed { subject_account: Some(AccountId(7)), ..own };
        assert_eq!(own.to_account(AccountId(7)), at_the_operator);
    }
}
