//! Accounts, the tenants, and their actors.

use super::api_key::KeyEpoch;
use super::credit::{self, BalanceRefusal};
use super::id::{
    AccountId, ActivityId, ActorId, AuditId, KeyId, LedgerId, LogId, RecoveryId, SessionId,
    SignInId, TodoId, Uid,
};
use super::named::named;
use super::page::{Listed, SortKey};
use super::quota::Renewals;
use super::text::Name;
use super::time::Timestamp;

named! {
    /// The kind of an account.
    AccountKind {
        /// It runs the service.
        Operator = "operator",
        /// It uses the service.
        Customer = "customer",
    }
}

named! {
    /// Whether an account may write.
    AccountStatus {
        /// It may write.
        Active = "active",
        /// It may only read, export and revoke keys.
        Suspended = "suspended",
    }
}

named! {
    /// The kind of an actor.
    ActorKind {
        /// A program.
        Agent = "agent",
        /// A person.
        Human = "human",
    }
}

named! {
    /// The role of an actor in its account.
    Role {
        /// It may do everything. An account has one owner.
        Owner = "owner",
        /// It may read and write only its own rows.
        Member = "member",
    }
}

impl Role {
    /// Whether the actor `actor` with this role may read and write rows of `other`: its own rows
    /// or, for the owner, those of any actor of the account.
    #[must_use]
    pub fn reaches(self, actor: ActorId, other: ActorId) -> bool {
        match self {
            Self::Owner => true,
            Self::Member => actor == other,
        }
    }
}

/// The last id of each kind that an account has assigned. An id is never assigned twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastIds {
    /// Actors.
    pub actor: i64,
    /// API keys.
    pub key: i64,
    /// Recovery codes.
    pub recovery: i64,
    /// Sign-ins.
    pub sign_in: i64,
    /// Sessions.
    pub session: i64,
    /// Todos.
    pub todo: i64,
    /// Activities.
    pub activity: i64,
    /// Status changes.
    pub log: i64,
    /// Ledger rows.
    pub ledger: i64,
    /// Entries of the audit log.
    pub audit: i64,
}

macro_rules! last_ids {
    ($($next:ident: $field:ident -> $id:ident),+ $(,)?) => {
        impl LastIds {
            $(
                /// Assigns the next id of its kind.
                #[must_use]
                pub const fn $next(&mut self) -> $id {
                    self.$field += 1;
                    $id(self.$field)
                }
            )+
        }
    };
}

last_ids! {
    next_actor: actor -> ActorId,
    next_key: key -> KeyId,
    next_recovery: recovery -> RecoveryId,
    next_sign_in: sign_in -> SignInId,
    next_session: session -> SessionId,
    next_todo: todo -> TodoId,
    next_activity: activity -> ActivityId,
    next_log: log -> LogId,
    next_ledger: ledger -> LedgerId,
    next_audit: audit -> AuditId,
}

/// An account: the tenant. Only the holder of its lock writes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: AccountKind,
    /// Whether it may write.
    pub status: AccountStatus,
    /// Its credits, never below 0.
    pub balance: i64,
    /// Rises with every write that may end a key: a command accepted under another epoch is checked
    /// again.
    pub auth_epoch: i64,
    /// Rises with every write that ends a sign-in, from 0. Keys are not concerned: looking at pages
    /// makes no agent's key cold.
    pub sign_in_epoch: i64,
    /// The newest epoch of its key.
    pub key_epoch: KeyEpoch,
    /// The ids that it has assigned.
    pub last_ids: LastIds,
    /// The number of its keys, ended ones included.
    pub keys: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Counts its changes, from 1.
    pub version: i64,
}

impl Account {
    /// Takes `cost` from the balance.
    ///
    /// # Errors
    /// [`BalanceRefusal::TooLow`]; the balance is then unchanged.
    pub fn debit(&mut self, cost: i64) -> Result<(), BalanceRefusal> {
        self.balance = credit::debit(self.balance, cost)?;
        Ok(())
    }

    /// Adds `amount` to the balance.
    ///
    /// # Errors
    /// [`BalanceRefusal::TooHigh`]; the balance is then unchanged.
    pub fn grant(&mut self, amount: i64) -> Result<(), BalanceRefusal> {
        self.balance = credit::grant(self.balance, amount)?;
        Ok(())
    }
}

impl Listed for Account {
    fn sort_key(&self) -> SortKey {
        SortKey([0, 0, self.id.0])
    }
}

/// An actor of an account: an agent or a human.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Its id within the account.
    pub id: ActorId,
    /// Its identity.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: ActorKind,
    /// Its role.
    pub role: Role,
    /// Whether its keys are valid.
    pub is_active: bool,
    /// The newest epoch of its key.
    pub key_epoch: KeyEpoch,
    /// How often its key was renewed lately.
    pub renewals: Renewals,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Listed for Actor {
    fn sort_key(&self) -> SortKey {
        SortKey([0, 0, self.id.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_statuses_and_roles_round_trip_by_name_and_unknown_names_are_none() {
        for (kind, text) in
            [(AccountKind::Operator, "operator"), (AccountKind::Customer, "customer")]
        {
            assert_eq!((kind.name(), AccountKind::from_name(text)), (text, Some(kind)));
        }
        for (status, text) in
            [(AccountStatus::Active, "active"), (AccountStatus::Suspended, "suspended")]
        {
            assert_eq!((status.name(), AccountStatus::from_name(text)), (text, Some(status)));
        }
        for (kind, text) in [(ActorKind::Agent, "agent"), (ActorKind::Human, "human")] {
            assert_eq!((kind.name(), ActorKind::from_name(text)), (text, Some(kind)));
        }
        for (role, text) in [(Role::Owner, "owner"), (Role::Member, "member")] {
            assert_eq!((role.name(), Role::from_name(text)), (text, Some(role)));
        }
        for bad in ["", "Owner", "owner "] {
            assert_eq!(Role::from_name(bad), None);
        }
    }

    #[test]
    fn an_owner_reaches_every_actor_and_a_member_only_itself() {
        let (one, other) = (ActorId(1), ActorId(2));
        assert!(Role::Owner.reaches(one, one) && Role::Owner.reaches(one, other));
        assert!(Role::Member.reaches(one, one) && !Role::Member.reaches(one, other));
    }

    #[test]
    fn each_last_id_counts_its_own_table_from_1() {
        let mut ids = LastIds::default();
        assert_eq!((ids.next_todo(), ids.next_todo()), (TodoId(1), TodoId(2)));
        assert_eq!(ids.next_session(), SessionId(1));
        assert_eq!(ids.next_activity(), ActivityId(1));
        assert_eq!(ids.next_log(), LogId(1));
        assert_eq!(ids.next_ledger(), LedgerId(1));
        assert_eq!(ids.next_actor(), ActorId(1));
        assert_eq!(ids.next_key(), KeyId(1));
        assert_eq!(ids.next_recovery(), RecoveryId(1));
        assert_eq!(ids.next_sign_in(), SignInId(1));
        assert_eq!(ids.next_audit(), AuditId(1));
        let expected = LastIds {
            actor: 1,
            key: 1,
            recovery: 1,
            sign_in: 1,
            session: 1,
            todo: 2,
            activity: 1,
            log: 1,
            ledger: 1,
            audit: 1,
        };
        assert_eq!(ids, expected);
    }
}
