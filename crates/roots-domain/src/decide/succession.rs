//! Succession: what the first use of a key ends, and how keys and recovery codes end.

use super::working_set::WorkingSet;
use crate::command::{Applied, Refusal};
use crate::model::api_key::{AnyKeyId, ApiKey, KeyStatus, Succession, WrapHolder};
use crate::model::audit::AuditEvent;
use crate::model::id::{AccountId, ActorId, KeyId, RecoveryId};
use crate::model::sign_in::OpenerEnd;
use crate::model::time::Timestamp;

/// Whether a key with that succession came with a recovery code.
const fn replaces_codes(succession: Succession) -> bool {
    matches!(succession, Succession::Recovery | Succession::Renewal)
}

impl WorkingSet {
    /// Records the first use of a key, which ends the keys that it succeeds. Later uses change
    /// nothing.
    pub(super) fn use_key(
        &mut self,
        account: AccountId,
        actor: ActorId,
        id: KeyId,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if !self.actors.get((account, actor)).is_some_and(|actor| actor.is_active) {
            return Err(Refusal::KeyNotInForce);
        }
        let found = self.keys.get((account, id));
        let key = found.filter(|key| key.actor == actor && key.in_force(self.decided_at));
        let key = key.ok_or(Refusal::KeyNotInForce)?.clone();
        if key.is_unseen() {
            let event = AuditEvent::of_succession(&key);
            self.succeed(account, key, at);
            self.raise_auth_epoch(account);
            self.note(account, event, at);
        }
        self.account_applied(account)
    }

    /// Ends what a key succeeds, now that it was received, and puts in force what came with it.
    pub(super) fn succeed(&mut self, account: AccountId, key: ApiKey, at: Timestamp) {
        match key.succession {
            None => return,
            Some(Succession::Rotation { replaces, grace_seconds }) => {
                self.begin_grace(account, replaces, grace_seconds, at);
            }
            Some(Succession::Recovery | Succession::Renewal) => {
                self.end_keys_of(account, key.actor, Some(key.id));
                for code in self.codes_where(account, |with| with != Some(key.id)) {
                    self.remove_code(account, code);
                }
            }
        }
        if key.succession == Some(Succession::Renewal) {
            if let Some(mut owner) = self.actors.get((account, key.actor)).cloned() {
                owner.key_epoch = owner.key_epoch.next();
                self.actors.set((account, key.actor), Some(owner));
            }
            if let Some(account) = self.account_mut(account) {
                account.key_epoch = account.key_epoch.next();
            }
        }
        self.keys.set((account, key.id), Some(ApiKey { first_used_at: Some(at), ..key }));
    }

    /// Begins the grace of the key that is succeeded, and shortens that of earlier keys in grace:
    /// no key stays valid longer than its successor, so a rotation without grace ends all of them.
    pub(super) fn begin_grace(
        &mut self,
        account: AccountId,
        id: KeyId,
        grace_seconds: i64,
        at: Timestamp,
    ) {
        let end = at.plus_seconds(grace_seconds);
        let mut next = Some(id);
        while let Some(mut key) = next.and_then(|id| self.keys.get((account, id)).cloned()) {
            next = match key.succession {
                // A key always has a higher id than the one it replaces.
                Some(Succession::Rotation { replaces, .. }) if replaces < key.id => Some(replaces),
                _ => None,
            };
            let id = key.id;
            key.status = key.status.in_grace_until(end);
            self.keys.set((account, id), Some(key));
            if grace_seconds == 0 {
                self.end_key(account, id);
            }
        }
    }

    pub(super) fn maintain_keys(
        &mut self,
        account: AccountId,
        used: &[(AnyKeyId, Timestamp)],
        over: &[AnyKeyId],
    ) -> Result<Applied, Refusal> {
        let mut is_shown = false;
        for (key, last) in used {
            is_shown |= match key {
                AnyKeyId::Api(id) => self.note_use(account, *id, *last),
                AnyKeyId::Browser(id) => self.use_sign_in(account, *id, *last),
            };
        }
        for key in over {
            is_shown |= match key {
                AnyKeyId::Api(id) => self.close_key_if_over(account, *id),
                AnyKeyId::Browser(id) => self.sweep_sign_in(account, *id),
            };
        }
        if is_shown {
            self.raise_version(account);
        }
        self.account_applied(account)
    }

    /// Raises the account's version, although nothing of its row changes: a page that shows the
    /// keys has to show them anew. However many commands of a batch do so, it rises by 1.
    fn raise_version(&mut self, account: AccountId) {
        if let Some(account) = self.account_mut(account) {
            account.version += 1;
        }
    }

    /// Notes the use of a key. Whether anything was new in that.
    fn note_use(&mut self, account: AccountId, id: KeyId, last: Timestamp) -> bool {
        let Some(mut key) = self.keys.get((account, id)).cloned() else { return false };
        let is_new = key.last_used < Some(last);
        key.last_used = key.last_used.max(Some(last));
        self.keys.set((account, id), Some(key));
        is_new
    }

    /// Closes a key that is over, and tells whether it was. A key that expires ends alone: the code
    /// that came with it was shown, and may be all that the owner has.
    fn close_key_if_over(&mut self, account: AccountId, id: KeyId) -> bool {
        let now = self.decided_at;
        let is_over = self.keys.get((account, id)).is_some_and(|key| !key.in_force(now));
        if is_over {
            self.close_key(account, id);
        }
        is_over
    }

    pub(super) fn raise_auth_epoch(&mut self, account: AccountId) {
        if let Some(account) = self.account_mut(account) {
            account.auth_epoch += 1;
        }
    }

    /// The loaded keys of an actor.
    pub(super) fn keys_of(
        &self,
        account: AccountId,
        actor: ActorId,
    ) -> impl Iterator<Item = &ApiKey> {
        self.keys.of(account).filter(move |key| key.actor == actor)
    }

    pub(super) fn end_keys_of(&mut self, account: AccountId, actor: ActorId, but: Option<KeyId>) {
        let keys = self.keys_of(account, actor).map(|key| key.id);
        let ended: Vec<_> = keys.filter(|id| Some(*id) != but).collect();
        for id in ended {
            self.end_key(account, id);
        }
    }

    /// Ends a key for good. If it was never used, what came with it is removed too.
    pub(super) fn end_key(&mut self, account: AccountId, id: KeyId) {
        if self.keys.get((account, id)).is_some_and(ApiKey::is_unseen) {
            for code in self.codes_where(account, |with| with == Some(id)) {
                self.remove_code(account, code);
            }
        }
        self.close_key(account, id);
    }

    /// Ends a key for good, and the sign-ins that it has opened, but nothing that came with it.
    pub(super) fn close_key(&mut self, account: AccountId, id: KeyId) {
        let Some(key) = self.keys.get((account, id)).cloned() else { return };
        if !key.has_ended() {
            self.end_opened_by(account, id, OpenerEnd::of(key.status));
        }
        self.keys.set((account, id), Some(ApiKey { status: KeyStatus::Ended, ..key }));
        self.empty(account, WrapHolder::ApiKey(id));
    }

    /// Unused keys with that kind of succession.
    pub(super) fn unseen(
        &self,
        account: AccountId,
        in_that_way: impl Fn(Succession) -> bool,
    ) -> Vec<KeyId> {
        let unseen = self.keys.of(account).filter(|key| key.is_unseen() && !key.has_ended());
        unseen.filter(|key| key.succession.is_some_and(&in_that_way)).map(|key| key.id).collect()
    }

    /// Removes these keys: another one replaces them.
    pub(super) fn remove_unseen(
        &mut self,
        account: AccountId,
        in_that_way: impl Fn(Succession) -> bool,
    ) {
        for id in self.unseen(account, in_that_way) {
            self.end_key(account, id);
            self.remove_key(account, id);
        }
    }

    /// Removes unused keys and codes that were made to replace codes: others replace them. The code
    /// of an expired key stays.
    pub(super) fn remove_unseen_with_codes(&mut self, account: AccountId) {
        let unseen = self.keys.of(account).filter(|key| key.is_unseen()).map(|key| key.id);
        let unseen: Vec<_> = unseen.collect();
        for code in self.codes_where(account, |with| with.is_some_and(|id| unseen.contains(&id))) {
            self.remove_code(account, code);
        }
        self.remove_unseen(account, replaces_codes);
    }

    pub(super) fn codes_where(
        &self,
        account: AccountId,
        comes: impl Fn(Option<KeyId>) -> bool,
    ) -> Vec<RecoveryId> {
        self.codes.of(account).filter(|code| comes(code.comes_with)).map(|code| code.id).collect()
    }

    pub(super) fn remove_code(&mut self, account: AccountId, id: RecoveryId) {
        self.codes.set((account, id), None);
        self.empty(account, WrapHolder::Recovery(id));
    }

    /// Removes all wraps of a holder, including those that the same batch has added.
    pub(super) fn empty(&mut self, account: AccountId, holder: WrapHolder) {
        self.write_set.wraps.retain(|(of, wrap)| (*of, wrap.holder) != (account, holder));
        self.write_set.holders_emptied.insert((account, holder));
    }

    pub(super) fn remove_key(&mut self, account: AccountId, id: KeyId) {
        self.keys.set((account, id), None);
        self.move_keys(account, -1);
    }

    pub(super) fn move_keys(&mut self, account: AccountId, moved: i64) {
        if let Some(account) = self.account_mut(account) {
            account.keys += moved;
        }
    }
}
