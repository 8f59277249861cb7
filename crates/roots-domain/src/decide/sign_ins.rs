//! Deciding about sign-ins: browser keys, which API keys open.
//!
//! What ends a sign-in deletes it with its wraps, and raises the account's sign-in epoch, never its
//! auth epoch: no agent's key is checked again because a person signed out. Each command of a
//! browser key loads its sign-in, so none is decided for one that has ended. What ends an API key
//! ends the sign-ins that it has opened, in the same transaction, loaded or not.

use super::working_set::WorkingSet;
use crate::command::{Applied, AppliedRow, NewSignIn, Refusal, SignInAction};
use crate::model::audit::{AuditAction, AuditEvent};
use crate::model::bearer::KeyBearer;
use crate::model::id::{AccountId, ActorId, KeyId, SignInId};
use crate::model::sign_in::{OpenerEnd, SignIn, give_way};
use crate::model::time::Timestamp;

impl WorkingSet {
    pub(super) fn decide_sign_in(
        &mut self,
        bearer: KeyBearer,
        action: SignInAction,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        match action {
            SignInAction::ReserveId => {
                self.last_ids(bearer.account)?.sign_in += 1;
                self.account_applied(bearer.account)
            }
            SignInAction::Open(new) => self.open_sign_in(bearer, new, at),
            SignInAction::End(id) => self.end_one(bearer, id, at),
            SignInAction::EndAll(actor) => self.end_all(bearer, actor, at),
        }
    }

    fn open_sign_in(
        &mut self,
        bearer: KeyBearer,
        new: NewSignIn,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let KeyBearer { account, actor, key, .. } = bearer;
        let account_epoch = self.account(account).ok_or(Refusal::KeyNotInForce)?.key_epoch;
        let epoch = self.actors.get((account, actor)).ok_or(Refusal::KeyNotInForce)?.key_epoch;
        if (new.account_epoch, new.epoch) != (account_epoch, epoch) {
            return Err(Refusal::KeysRenewed(actor));
        }
        let surplus = give_way(self.sign_ins.of(account).filter(|other| other.actor == actor));
        for id in surplus {
            self.end_sign_in(account, id);
        }
        let sign_in = SignIn {
            id: new.id,
            actor,
            opener: key,
            lookup: new.lookup,
            label: new.label,
            stay: new.stay,
            created_at: at,
            last_used: at,
            ended: None,
            wraps: new.wraps,
        };
        self.sign_ins.set((account, sign_in.id), Some(sign_in.clone()));
        self.note(account, AuditEvent::of(AuditAction::SignedIn, bearer).to_actor(actor), at);
        self.managed(account, AppliedRow::SignIn(sign_in))
    }

    fn end_one(
        &mut self,
        bearer: KeyBearer,
        id: SignInId,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let account = bearer.account;
        let reaches = |sign_in: &&SignIn| bearer.role.reaches(bearer.actor, sign_in.actor);
        let found = self.sign_ins.get((account, id)).filter(reaches);
        let actor = found.ok_or(Refusal::NotFound("sign-in"))?.actor;
        self.end_sign_in(account, id);
        let is_own = bearer.sign_in == Some(id);
        let action = if is_own { AuditAction::SignedOut } else { AuditAction::SignInsEnded };
        self.note(account, AuditEvent::of(action, bearer).to_actor(actor), at);
        self.managed(account, AppliedRow::Deleted)
    }

    fn end_all(
        &mut self,
        bearer: KeyBearer,
        actor: ActorId,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let account = bearer.account;
        if !bearer.role.reaches(bearer.actor, actor) {
            return Err(Refusal::OwnerOnly);
        }
        let theirs = self.sign_ins.of(account).filter(|sign_in| sign_in.actor == actor);
        let theirs: Vec<_> = theirs.map(|sign_in| sign_in.id).collect();
        if !theirs.is_empty() {
            for id in theirs {
                self.end_sign_in(account, id);
            }
            let event = AuditEvent::of(AuditAction::SignInsEnded, bearer).to_actor(actor);
            self.note(account, event, at);
        }
        self.managed(account, AppliedRow::Deleted)
    }

    /// Ends a sign-in by an act.
    fn end_sign_in(&mut self, account: AccountId, id: SignInId) {
        self.sign_ins.set((account, id), None);
        if let Some(account) = self.account_mut(account) {
            account.sign_in_epoch += 1;
        }
    }

    /// Ends the sign-ins that a key has opened, since that key ends. Their rows stay until their
    /// time is over, to say why.
    pub(super) fn end_opened_by(&mut self, account: AccountId, key: KeyId, end: OpenerEnd) {
        let ends = |sign_in: &&SignIn| sign_in.opener == key && sign_in.ended.is_none();
        let ending: Vec<_> = self.sign_ins.of(account).filter(ends).cloned().collect();
        for sign_in in ending {
            self.sign_ins.set((account, sign_in.id), Some(sign_in.ended_by(end)));
        }
        self.write_set.openers_ended.insert((account, key), end);
    }

    /// Records that a sign-in was used. Whether anything was new in that.
    pub(super) fn use_sign_in(&mut self, account: AccountId, id: SignInId, at: Timestamp) -> bool {
        let Some(before) = self.sign_ins.get((account, id)).cloned() else { return false };
        let used = before.clone().used(at);
        let is_new = used != before;
        self.sign_ins.set((account, id), Some(used));
        is_new
    }

    /// Deletes a sign-in if its time is over, and tells whether it was. One that ended with its
    /// opener stays until then.
    pub(super) fn sweep_sign_in(&mut self, account: AccountId, id: SignInId) -> bool {
        let found = self.sign_ins.get((account, id));
        let is_over = found.is_some_and(|sign_in| sign_in.ends_at() <= self.decided_at);
        if is_over {
            self.sign_ins.set((account, id), None);
        }
        is_over
    }
}
