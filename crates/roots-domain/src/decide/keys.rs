//! Deciding about actors, keys and recovery codes.
//!
//! Everything that ends a key raises the account's auth epoch, so that commands accepted under an
//! earlier epoch are checked again, in every process. It also deletes the key's wraps, so that the
//! key opens nothing any more. What a key succeeds stays in force until that key is first used: a
//! lost answer locks nobody out. For a recovery, the old code stays valid instead.

use super::working_set::WorkingSet;
use crate::command::{
    Applied, AppliedRow, KeyOrigin, ManageAction, NewActor, NewCode, NewKey, RecoverAction,
    Refusal, RenewedCode, Reservation,
};
use crate::model::account::{Actor, Role};
use crate::model::api_key::{
    ApiKey, KEYS_MAX, KeyEpoch, KeyStatus, RecoveryCode, Succession, Wrap, WrapHolder,
};
use crate::model::audit::{AuditAction, AuditEvent};
use crate::model::bearer::{CodeBearer, KeyBearer};
use crate::model::id::{AccountId, ActorId, KeyId};
use crate::model::quota::{RenewalRefusal, Renewals, may_add_actor, surplus_keys};
use crate::model::time::Timestamp;

/// The epochs of its account's and its actor's keys that a new key opens.
#[derive(Clone, Copy)]
enum Opens {
    InForce,
    NextOfActor,
    NextOfBoth,
}

const fn too_many_renewals(actor: ActorId, refused: RenewalRefusal) -> Refusal {
    let RenewalRefusal { next_at, wait_seconds } = refused;
    Refusal::TooManyRenewals { actor, next_at, wait_seconds }
}

impl WorkingSet {
    pub(super) fn manage(
        &mut self,
        bearer: KeyBearer,
        action: ManageAction,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let account = bearer.account;
        if !action.is_open_to_suspended() {
            self.check_not_suspended(account)?;
        }
        if action.is_owners() && bearer.role != Role::Owner {
            return Err(Refusal::OwnerOnly);
        }
        let shown = self.keys.get((account, bearer.key)).ok_or(Refusal::KeyNotInForce)?.clone();
        if shown.status != KeyStatus::Current {
            return Err(Refusal::KeyInGrace);
        }
        match action {
            ManageAction::ReserveIds(kinds) => self.reserve_ids(account, kinds, at),
            ManageAction::AddActor(new) => {
                let event = AuditEvent::of(AuditAction::ActorAdded, bearer).to_actor(new.id);
                let applied = self.add_actor(bearer, new, at)?;
                self.note(account, event, at);
                Ok(applied)
            }
            ManageAction::PatchActor { id, name, is_active } => {
                let found = self.actors.get((account, id)).ok_or(Refusal::NotFound("actor"))?;
                let before = found.clone();
                let mut actor = before.clone();
                actor.name = name.unwrap_or(actor.name);
                self.set_active(account, &mut actor, is_active)?;
                self.actors.set((account, id), Some(actor.clone()));
                if actor.name != before.name {
                    self.note(
                        account,
                        AuditEvent::of(AuditAction::ActorRenamed, bearer).to_actor(id),
                        at,
                    );
                }
                if actor.is_active != before.is_active {
                    let activated = actor.is_active;
                    let action = if activated {
                        AuditAction::ActorActivated
                    } else {
                        AuditAction::ActorDeactivated
                    };
                    self.note(account, AuditEvent::of(action, bearer).to_actor(id), at);
                }
                self.managed(account, AppliedRow::Actor(actor))
            }
            ManageAction::AddKey { new, origin } => {
                let action = match origin {
                    KeyOrigin::Beside => AuditAction::KeyMade,
                    KeyOrigin::Rotation { .. } => AuditAction::KeyRotated,
                    KeyOrigin::Renewal | KeyOrigin::AccountRenewal { .. } => {
                        AuditAction::KeyRenewed
                    }
                };
                let event = AuditEvent::of(action, bearer).to_key(new.actor, new.id);
                let applied = self.add_key(account, new, origin, &shown, at)?;
                self.note(account, event, at);
                Ok(applied)
            }
            ManageAction::RevokeKey(id) => self.revoke_key(id, bearer, at),
            ManageAction::RenewCode(new) => self.renew_code(new, bearer, at),
            ManageAction::EraseAccount { code } => self.erase_account(account, code, at),
        }
    }

    /// Recovers an account by its code: reserves the ids, or makes a new key for the owner.
    pub(super) fn recover(
        &mut self,
        CodeBearer { account, code }: CodeBearer,
        action: RecoverAction,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let shown = self.codes.get((account, code)).ok_or(Refusal::CodeNotInForce)?.clone();
        match action {
            RecoverAction::ReserveIds => {
                let last_ids = self.last_ids(account)?;
                last_ids.key += 1;
                last_ids.recovery += 1;
                self.account_applied(account)
            }
            RecoverAction::AddKey { new, code } => {
                self.add_recovered_key(account, new, code, &shown, at)
            }
        }
    }

    fn reserve_ids(
        &mut self,
        account: AccountId,
        kinds: Reservation,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if let Reservation::Renewal(of) | Reservation::AccountRenewal(of) = kinds {
            self.validate_renewal(account, of, at)?;
        }
        let last_ids = self.last_ids(account)?;
        match kinds {
            Reservation::Actor => {
                if !may_add_actor(last_ids.actor) {
                    return Err(Refusal::TooManyActors);
                }
                last_ids.actor += 1;
            }
            Reservation::OwnKey | Reservation::Key | Reservation::Renewal(_) => last_ids.key += 1,
            Reservation::Code => last_ids.recovery += 1,
            Reservation::AccountRenewal(_) => {
                last_ids.key += 1;
                last_ids.recovery += 1;
            }
        }
        self.account_applied(account)
    }

    fn add_actor(
        &mut self,
        KeyBearer { account, actor: owner, .. }: KeyBearer,
        new: NewActor,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        self.check_epoch(account, new.account_epoch, owner)?;
        let actor = Actor {
            id: new.id,
            uid: new.uid,
            name: new.name,
            kind: new.kind,
            role: Role::Member,
            is_active: true,
            key_epoch: KeyEpoch::FIRST,
            renewals: Renewals::NONE,
            created_at: at,
        };
        self.actors.set((account, actor.id), Some(actor.clone()));
        self.add_wraps(account, new.wraps);
        self.managed(account, AppliedRow::Actor(actor))
    }

    fn set_active(
        &mut self,
        account: AccountId,
        actor: &mut Actor,
        is_active: Option<bool>,
    ) -> Result<(), Refusal> {
        if is_active == Some(false) {
            if actor.role == Role::Owner {
                return Err(Refusal::OwnerStays);
            }
            if actor.is_active {
                self.end_keys_of(account, actor.id, None);
                self.raise_auth_epoch(account);
            }
        }
        actor.is_active = is_active.unwrap_or(actor.is_active);
        Ok(())
    }

    /// Checks that the epoch of the account's key that a request has used is still in force.
    fn check_epoch(
        &self,
        account: AccountId,
        epoch: KeyEpoch,
        owner: ActorId,
    ) -> Result<(), Refusal> {
        let in_force = self.account(account).ok_or(Refusal::KeyNotInForce)?.key_epoch;
        if epoch == in_force { Ok(()) } else { Err(Refusal::KeysRenewed(owner)) }
    }

    /// Makes a key for the bearer of the key `shown`.
    fn add_key(
        &mut self,
        account: AccountId,
        new: NewKey,
        origin: KeyOrigin,
        shown: &ApiKey,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let opens = match origin {
            KeyOrigin::Beside | KeyOrigin::Rotation { .. } => Opens::InForce,
            KeyOrigin::Renewal => Opens::NextOfActor,
            KeyOrigin::AccountRenewal { .. } => Opens::NextOfBoth,
        };
        let (actor, mut key) = self.validate_key(account, &new, opens, at)?;
        let NewKey { id, actor: of, account_epoch, epoch, .. } = new;
        match origin {
            KeyOrigin::Beside => self.check_room(account, of)?,
            KeyOrigin::Rotation { .. } if of != shown.actor => {
                return Err(Refusal::NoSuchActor(of));
            }
            KeyOrigin::Rotation { grace_seconds } => {
                if grace_seconds > 0 {
                    self.check_room(account, of)?;
                }
                self.remove_unseen(account, |succession| {
                    matches!(succession, Succession::Rotation { replaces, .. } if replaces == shown.id)
                });
                key.label = key.label.or_else(|| shown.label.clone());
                key.expires_at = shown.expires_at;
                key.succession = Some(Succession::Rotation { replaces: shown.id, grace_seconds });
            }
            KeyOrigin::Renewal => {
                let renewals = actor
                    .renewals
                    .with_one_more(at)
                    .map_err(|refused| too_many_renewals(of, refused))?;
                self.end_keys_of(account, of, None);
                let renewed = Actor { key_epoch: epoch, renewals, ..actor };
                self.actors.set((account, of), Some(renewed));
                self.raise_auth_epoch(account);
            }
            KeyOrigin::AccountRenewal { code } => {
                let renewals = actor
                    .renewals
                    .with_one_more(at)
                    .map_err(|refused| too_many_renewals(of, refused))?;
                self.actors.set((account, of), Some(Actor { renewals, ..actor }));
                self.prepare_renewal(account, of, (account_epoch, epoch));
                self.add_code(account, code, Some(id), at);
                key.succession = Some(Succession::Renewal);
            }
        }
        self.insert_key(account, key.clone());
        self.add_wraps(account, new.wraps);
        self.managed(account, AppliedRow::Key(key))
    }

    /// Limits the keys of an actor, so that one command can end them, and of an account, so that it
    /// can keep them. A key that replaces another one without grace is always allowed, so that a
    /// full actor can still rotate.
    fn check_room(&self, account: AccountId, of: ActorId) -> Result<(), Refusal> {
        let in_force = self.keys_of(account, of).filter(|key| key.in_force(self.decided_at));
        if in_force.count() >= KEYS_MAX {
            return Err(Refusal::TooManyKeys(of));
        }
        let keys = self.account(account).ok_or(Refusal::KeyNotInForce)?.keys;
        if surplus_keys(keys + 1) > 0 && self.forgettable(account).is_none() {
            return Err(Refusal::TooManyAccountKeys);
        }
        Ok(())
    }

    /// Checks that an actor may be renewed once more. A missing actor is refused elsewhere.
    fn validate_renewal(
        &self,
        account: AccountId,
        of: ActorId,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let actor = self.actors.get((account, of));
        let Some(actor) = actor else { return Ok(()) };
        actor.renewals.with_one_more(at).map_err(|refused| too_many_renewals(of, refused))?;
        Ok(())
    }

    /// Adds a key. If the account keeps as many as it may, ended keys make room for it.
    fn insert_key(&mut self, account: AccountId, key: ApiKey) {
        self.keys.set((account, key.id), Some(key));
        self.move_keys(account, 1);
        while self.account(account).is_some_and(|account| surplus_keys(account.keys) > 0)
            && let Some(ended) = self.forgettable(account)
        {
            self.remove_key(account, ended);
        }
    }

    /// The loaded ended key with the lowest id that nothing depends on.
    fn forgettable(&self, account: AccountId) -> Option<KeyId> {
        let ended = self.keys.of(account).filter(|key| key.may_be_forgotten());
        ended.map(|key| key.id).min()
    }

    /// The row of a new key and its actor, if the key may be made.
    fn validate_key(
        &self,
        account: AccountId,
        new: &NewKey,
        opens: Opens,
        at: Timestamp,
    ) -> Result<(Actor, ApiKey), Refusal> {
        let of = new.actor;
        let actor = self.actors.get((account, of)).ok_or(Refusal::NoSuchActor(of))?.clone();
        if !actor.is_active {
            return Err(Refusal::ActorInactive(of));
        }
        if new.expires_at.is_some_and(|end| end <= self.decided_at) {
            return Err(Refusal::ExpiryNotAhead);
        }
        let newest = self.account(account).ok_or(Refusal::KeyNotInForce)?.key_epoch;
        let opens = match opens {
            Opens::InForce => (newest, actor.key_epoch),
            Opens::NextOfActor => (newest, actor.key_epoch.next()),
            Opens::NextOfBoth => (newest.next(), actor.key_epoch.next()),
        };
        if (new.account_epoch, new.epoch) != opens {
            return Err(Refusal::KeysRenewed(of));
        }
        let key = ApiKey {
            id: new.id,
            actor: of,
            lookup: new.lookup,
            prefix: new.prefix.clone(),
            label: new.label.clone(),
            created_at: at,
            last_used: None,
            expires_at: new.expires_at,
            status: KeyStatus::Current,
            succession: None,
            first_used_at: None,
        };
        Ok((actor, key))
    }

    /// Makes a key for the owner, by the recovery code `shown`. The owner's other keys end at once.
    /// The code stays valid until the new key is used, so that a lost answer locks nobody out.
    fn add_recovered_key(
        &mut self,
        account: AccountId,
        new: NewKey,
        code: NewCode,
        shown: &RecoveryCode,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let came_with = shown.comes_with.and_then(|id| self.keys.get((account, id)));
        let came_with = came_with.filter(|key| key.is_unseen()).cloned();
        let puts_in_force = came_with.as_ref().and_then(|key| key.succession);
        let opens = match puts_in_force {
            Some(Succession::Renewal) => Opens::NextOfBoth,
            _ => Opens::InForce,
        };
        let (owner, mut key) = self.validate_key(account, &new, opens, at)?;
        if owner.role != Role::Owner {
            return Err(Refusal::CodeNotInForce);
        }
        if let Some(came_with) = came_with {
            // The code was shown together with a key, so its holder has seen that key.
            self.succeed(account, came_with, at);
        }
        self.remove_unseen_with_codes(account);
        self.end_keys_of(account, owner.id, None);
        self.add_code(account, code, Some(key.id), at);
        key.succession = Some(Succession::Recovery);
        self.insert_key(account, key.clone());
        self.add_wraps(account, new.wraps);
        self.raise_auth_epoch(account);
        self.note(
            account,
            AuditEvent::of_program(AuditAction::RecoveryUsed).to_key(owner.id, key.id),
            at,
        );
        self.managed(account, AppliedRow::Key(key))
    }

    /// Makes a recovery code that replaces all others. A renewal that was never put in force is
    /// removed together with the code that came with it.
    fn renew_code(
        &mut self,
        new: RenewedCode,
        bearer: KeyBearer,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let account = bearer.account;
        self.check_epoch(account, new.account_epoch, bearer.actor)?;
        self.remove_unseen_with_codes(account);
        for code in self.codes_where(account, |_| true) {
            self.remove_code(account, code);
        }
        self.add_code(account, new.code, None, at);
        self.add_wraps(account, new.wraps);
        self.note(account, AuditEvent::of(AuditAction::RecoveryCodeRenewed, bearer), at);
        self.managed(account, AppliedRow::ShownOnce)
    }

    /// Prepares the next epochs of the account's key and its owner's: removes those that were made
    /// before and never put in force.
    fn prepare_renewal(
        &mut self,
        account: AccountId,
        owner: ActorId,
        (account_epoch, owner_epoch): (KeyEpoch, KeyEpoch),
    ) {
        self.remove_unseen_with_codes(account);
        self.empty(account, WrapHolder::Account(account_epoch));
        self.empty(account, WrapHolder::Actor(owner, owner_epoch));
    }

    fn add_code(
        &mut self,
        account: AccountId,
        NewCode { id, lookup }: NewCode,
        comes_with: Option<KeyId>,
        at: Timestamp,
    ) {
        let code = RecoveryCode { id, lookup, created_at: at, comes_with };
        self.codes.set((account, code.id), Some(code));
    }

    fn revoke_key(
        &mut self,
        id: KeyId,
        bearer: KeyBearer,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let account = bearer.account;
        let is_owner = bearer.role == Role::Owner;
        let found = self.keys.get((account, id));
        let found = found.filter(|key| is_owner || key.actor == bearer.actor);
        let key = found.ok_or(Refusal::NotFound("key"))?;
        if !key.has_ended() {
            // A key whose answer may have been lost does not count as one that the owner can still
            // use.
            let is_live = |other: &&ApiKey| {
                let is_current = other.status == KeyStatus::Current;
                other.in_force(self.decided_at) && is_current && !other.is_unseen()
            };
            let is_owners = is_owner && key.actor == bearer.actor;
            let is_last = self.keys_of(account, key.actor).filter(is_live).all(|it| it.id == id);
            if is_owners && is_last && is_live(&key) {
                return Err(Refusal::LastOwnerKey);
            }
            let event = AuditEvent::of(AuditAction::KeyRevoked, bearer).to_key(key.actor, id);
            self.note(account, event, at);
            self.end_key(account, id);
            let unseen = self.unseen(account, |succession| {
                matches!(succession, Succession::Rotation { replaces, .. } if replaces == id)
            });
            for successor in unseen {
                self.end_key(account, successor);
            }
            self.raise_auth_epoch(account);
        }
        let key = self.keys.get((account, id)).ok_or(Refusal::NotFound("key"))?.clone();
        self.managed(account, AppliedRow::Key(key))
    }

    fn add_wraps(&mut self, account: AccountId, wraps: Vec<Wrap>) {
        self.write_set.wraps.extend(wraps.into_iter().map(|wrap| (account, wrap)));
    }
}
