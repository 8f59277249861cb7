//! The audit log.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::paging::page;
use super::words::open_words;

open_words! {
    /// What was done.
    AuditAction {
        /// An actor was added.
        ActorAdded = "actor_added",
        /// An actor was renamed.
        ActorRenamed = "actor_renamed",
        /// An actor was deactivated.
        ActorDeactivated = "actor_deactivated",
        /// An actor was activated again.
        ActorActivated = "actor_activated",
        /// A key was made.
        KeyMade = "key_made",
        /// A key was rotated.
        KeyRotated = "key_rotated",
        /// The first use of a key ended those that it replaces.
        KeySucceeded = "key_succeeded",
        /// A key was revoked.
        KeyRevoked = "key_revoked",
        /// A key was renewed after a leak.
        KeyRenewed = "key_renewed",
        /// A person signed in on the pages.
        SignedIn = "signed_in",
        /// A person signed out.
        SignedOut = "signed_out",
        /// Sign-ins of an actor were ended.
        SignInsEnded = "sign_ins_ended",
        /// The recovery code was used.
        RecoveryUsed = "recovery_used",
        /// A new recovery code was made.
        RecoveryCodeRenewed = "recovery_code_renewed",
        /// The owner exported data.
        Exported = "exported",
        /// The owner imported data.
        Imported = "imported",
        /// The server ended a session to which nothing was written for too long.
        SessionIdled = "session_idled",
        /// An operator granted credits.
        CreditsGranted = "credits_granted",
        /// An operator suspended the account.
        AccountSuspended = "account_suspended",
        /// An operator let the account write again.
        AccountResumed = "account_resumed",
    }
}

/// An action on the account. It holds only ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its id, numbered per account, without gaps.
    pub audit_id: i64,
    /// What was done.
    pub action: AuditAction,
    /// The actor that did it; none if it was not an actor of this account.
    pub actor_id: Option<i64>,
    /// The key that the actor used or, on the pages, that opened its sign-in.
    pub key_id: Option<i64>,
    /// The operator's account that did it to this one.
    pub by_account_id: Option<i64>,
    /// In an operator's audit log: the account that it was done to.
    pub subject_account_id: Option<i64>,
    /// The actor that it was done to.
    pub subject_actor_id: Option<i64>,
    /// The key that it was done to.
    pub subject_key_id: Option<i64>,
    /// The session that it was done to.
    pub subject_session_id: Option<i64>,
    /// When it was done.
    pub created_at: DateTime<Utc>,
}

page! {
    /// A page of the audit log, newest first.
    AuditPage { entries: AuditEntry }
}
