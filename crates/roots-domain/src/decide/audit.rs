//! Entries of the audit log.

use super::working_set::WorkingSet;

use crate::command::{Applied, Operator, Refusal};

use crate::model::audit::{AuditAction, AuditEntry, AuditEvent};
use crate::model::bearer::KeyBearer;
use crate::model::id::{AccountId, ActorId};
use crate::model::time::Timestamp;

impl WorkingSet {
    /// Appends an event to an account's audit log.
    pub(super) fn note(&mut self, account: AccountId, event: AuditEvent, at: Timestamp) {
        let Some(of) = self.account_mut(account) else {
            return;
        };
        let entry = AuditEntry { id: of.last_ids.next_audit(), event, created_at: at };
        self.write_set.audit_log.push((account, entry));
    }

    /// Notes an owner's export or import, which may be of one actor only.
    pub(super) fn note_of_owner(
        &mut self,
        action: AuditAction,
        actor: Option<ActorId>,
        bearer: KeyBearer,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let event = AuditEvent { subject_actor: actor, ..AuditEvent::of(action, bearer) };
        self.note(bearer.account, event, at);
        self.account_applied(bearer.account)
    }

    /// Notes an operator's action in both audit logs: in its own with the actor that acted, in the
    /// other account's with the operator's account. The command line has no account.
    pub(super) fn note_of_operator(
        &mut self,
        action: AuditAction,
        subject: AccountId,
        operator: Operator,
        at: Timestamp,
    ) {
        let Some(operator) = operator.bearer() else {
            return self.note(subject, AuditEvent::of_program(action), at);
        };
        if subject != operator.account {
            self.note(subject, AuditEvent::of_operator(action, operator.account), at);
        }
        let event = AuditEvent::of(action, operator).to_account(subject);
        self.note(operator.account, event, at);
    }
}
