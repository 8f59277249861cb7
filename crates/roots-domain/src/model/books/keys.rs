//! Deciding about actors, keys and recovery codes.
//!
//! Whatever ends a key raises the account's auth epoch, so that every unit that was accepted under
//! the one before is checked again, in whatever process; and it takes the key's wraps, so that the
//! key opens nothing more. What a key is to succeed stays in force until that key is first used: an
//! answer that is lost on the way locks nobody out. Of a recovery that is the code.

use std::collections::BTreeMap;

use super::super::account::{Actor, Role};
use super::super::id::{AccountId, ActorId, KeyId, RecoveryId};
use super::super::key::{ApiKey, KEYS_MAX, KeyEpoch, RecoveryCode, Succession, Wrap, WrapHolder};
use super::super::quota::{Renewals, judge_actors, surplus_keys};
use super::super::time::Timestamp;
use super::super::trail::{Act, Deed};
use super::super::unit::{
    Applied, AppliedRow, Author, CodeBearer, Intent, KeyBearer, KeyOrigin, Management, NewActor,
    NewCode, NewKey, Refusal, RenewedCode, Reservation, UnitOfWork,
};
use super::{Books, Needs};

impl Needs {
    /// What a unit needs of actors, keys and codes.
    pub(super) fn add_keys(&mut self, unit: &UnitOfWork) {
        match (&unit.intent, unit.author) {
            (Intent::UseKey { account, actor, key }, _) => {
                self.keys.insert((*account, *key));
                self.actors.insert((*account, *actor));
                self.key_holders.insert((*account, *actor));
                self.codes.insert(*account);
            }
            (Intent::TendKeys { account, used, over }, _) => {
                let named = used.iter().map(|(key, _)| key).chain(over);
                self.keys.extend(named.map(|key| (*account, *key)));
                if !over.is_empty() {
                    self.codes.insert(*account);
                }
            }
            (Intent::Manage(management), Author::Key(bearer)) => {
                self.keys.insert((bearer.account, bearer.key));
                self.add_management(management, bearer);
            }
            (Intent::Manage(management), Author::Code(CodeBearer { account, .. })) => {
                self.codes.insert(account);
                if let Management::AddKey(new) = &**management {
                    self.actors.insert((account, new.actor));
                    self.key_holders.insert((account, new.actor));
                }
            }
            _ => {}
        }
    }

    fn add_management(&mut self, management: &Management, bearer: KeyBearer) {
        let account = bearer.account;
        match management {
            Management::ReserveIds(Reservation::Renewal(of) | Reservation::AccountRenewal(of)) => {
                self.actors.insert((account, *of));
            }
            Management::ReserveIds(_) | Management::AddActor(_) => {}
            Management::PatchActor { id, is_active, .. } => {
                self.actors.insert((account, *id));
                if *is_active == Some(false) {
                    self.key_holders.insert((account, *id));
                }
            }
            Management::AddKey(new) => {
                self.actors.insert((account, new.actor));
                match new.origin {
                    KeyOrigin::Recovery { .. } => {}
                    KeyOrigin::Rotation { grace_seconds } => {
                        self.keys_replaced.insert((account, bearer.key));
                        if grace_seconds > 0 {
                            self.key_holders.insert((account, new.actor));
                        }
                    }
                    KeyOrigin::Beside | KeyOrigin::Renewal => {
                        self.key_holders.insert((account, new.actor));
                    }
                    KeyOrigin::AccountRenewal { .. } => {
                        self.key_holders.insert((account, new.actor));
                        self.codes.insert(account);
                    }
                }
            }
            Management::RevokeKey(key) => {
                self.keys.insert((account, *key));
                self.keys_replaced.insert((account, *key));
                if bearer.role == Role::Owner {
                    self.key_holders.insert((account, bearer.actor));
                    self.codes.insert(account);
                }
            }
            Management::RenewCode(_) => {
                self.key_holders.insert((account, bearer.actor));
                self.codes.insert(account);
            }
        }
    }
}

/// Which epochs of the keys of its account and of its actor a new key opens.
#[derive(Clone, Copy)]
enum Opens {
    InForce,
    NextOfActor,
    NextOfBoth,
}

/// Whether a key that succeeds others in that way came with a recovery code.
const fn replaces_codes(succession: Succession) -> bool {
    matches!(succession, Succession::Recovery | Succession::Renewal)
}

impl Books {
    /// Adds the keys that codes came with, once the codes are loaded: those that have expired are
    /// not among the keys that a unit names.
    pub fn follow_codes(&self, needs: &mut Needs) {
        for ((account, _), row) in &self.codes.0 {
            let key = row.now.as_ref().and_then(|code| code.comes_with);
            needs.keys.extend(key.map(|key| (*account, key)));
        }
    }

    /// Adds ended keys of the accounts that keep as many as they may, once the accounts are loaded: they
    /// make room for the keys that the units make, and for some that were let in beyond.
    pub fn make_room<'a>(
        &self,
        units: impl IntoIterator<Item = &'a UnitOfWork>,
        needs: &mut Needs,
    ) {
        let mut adding = BTreeMap::<AccountId, i64>::new();
        for unit in units {
            if let Intent::Manage(management) = &unit.intent
                && matches!(**management, Management::AddKey(_))
                && let Some(account) = unit.account()
            {
                *adding.entry(account).or_default() += 1;
            }
        }
        for (account, new) in adding {
            let Some(account) = self.account(account) else { continue };
            let surplus = surplus_keys(account.keys + new).min(2 * new);
            if let Ok(surplus @ 1..) = u64::try_from(surplus) {
                needs.ended_keys.insert(account.id, surplus);
            }
        }
    }

    pub(super) fn manage(
        &mut self,
        management: Management,
        bearer: KeyBearer,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let account = bearer.account;
        if management.is_owners() && bearer.role != Role::Owner {
            return Err(Refusal::OwnerOnly);
        }
        let shown = self.keys.get((account, bearer.key)).ok_or(Refusal::KeyNotInForce)?.clone();
        if shown.ends_at.is_some() {
            return Err(Refusal::KeyInGrace);
        }
        match management {
            Management::ReserveIds(kinds) => self.reserve_ids(account, kinds, at),
            Management::AddActor(new) => {
                let deed = Deed::of(Act::ActorAdded, bearer).to_actor(new.id);
                let applied = self.add_actor(bearer, new, at)?;
                self.note(account, deed, at);
                Ok(applied)
            }
            Management::PatchActor { id, name, is_active } => {
                let found = self.actors.get((account, id)).ok_or(Refusal::NotFound("actor"))?;
                let before = found.clone();
                let mut actor = before.clone();
                actor.name = name.unwrap_or(actor.name);
                self.set_active(account, &mut actor, is_active)?;
                self.actors.set((account, id), Some(actor.clone()));
                if actor.name != before.name {
                    self.note(account, Deed::of(Act::ActorRenamed, bearer).to_actor(id), at);
                }
                if actor.is_active != before.is_active {
                    let activated = actor.is_active;
                    let act = if activated { Act::ActorActivated } else { Act::ActorDeactivated };
                    self.note(account, Deed::of(act, bearer).to_actor(id), at);
                }
                self.managed(account, AppliedRow::Actor(actor))
            }
            Management::AddKey(new) => {
                let act = match new.origin {
                    KeyOrigin::Beside => Act::KeyMade,
                    KeyOrigin::Rotation { .. } => Act::KeyRotated,
                    KeyOrigin::Renewal | KeyOrigin::AccountRenewal { .. } => Act::KeyRenewed,
                    // It takes the code.
                    KeyOrigin::Recovery { .. } => return Err(Refusal::KeyNotInForce),
                };
                let deed = Deed::of(act, bearer).to_key(new.actor, new.id);
                let applied = self.add_key(account, new, &shown, at)?;
                self.note(account, deed, at);
                Ok(applied)
            }
            Management::RevokeKey(id) => self.revoke_key(id, bearer, at),
            Management::RenewCode(new) => self.renew_code(new, bearer, at),
        }
    }

    /// What the bearer of a recovery code may do: recover, and nothing else.
    pub(super) fn manage_by_code(
        &mut self,
        management: Management,
        bearer: CodeBearer,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let shown = self.codes.get((bearer.account, bearer.code));
        let shown = shown.ok_or(Refusal::CodeNotInForce)?.clone();
        match management {
            Management::ReserveIds(kinds @ Reservation::KeyAndCode) => {
                self.reserve_ids(bearer.account, kinds, at)
            }
            Management::AddKey(new) => self.recover(bearer.account, new, &shown, at),
            _ => Err(Refusal::CodeNotInForce),
        }
    }

    fn reserve_ids(
        &mut self,
        account: AccountId,
        kinds: Reservation,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        if let Reservation::Renewal(of) | Reservation::AccountRenewal(of) = kinds {
            self.judge_renewal(account, of, at)?;
        }
        let counters = &mut self.account_mut(account).ok_or(Refusal::KeyNotInForce)?.counters;
        match kinds {
            Reservation::Actor => {
                judge_actors(counters.actor)?;
                counters.actor += 1;
            }
            Reservation::OwnKey | Reservation::Key | Reservation::Renewal(_) => counters.key += 1,
            Reservation::Code => counters.recovery += 1,
            Reservation::KeyAndCode | Reservation::AccountRenewal(_) => {
                counters.key += 1;
                counters.recovery += 1;
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

    /// That what its owner wrapped or is to open with the account's key is of the epoch in force.
    fn check_epoch(
        &self,
        account: AccountId,
        epoch: KeyEpoch,
        owner: ActorId,
    ) -> Result<(), Refusal> {
        let in_force = self.account(account).ok_or(Refusal::KeyNotInForce)?.key_epoch;
        if epoch == in_force { Ok(()) } else { Err(Refusal::KeysRenewed(owner)) }
    }

    /// Makes a key for one who showed the key `shown`.
    fn add_key(
        &mut self,
        account: AccountId,
        new: NewKey,
        shown: &ApiKey,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let opens = match new.origin {
            KeyOrigin::Beside | KeyOrigin::Rotation { .. } | KeyOrigin::Recovery { .. } => {
                Opens::InForce
            }
            KeyOrigin::Renewal => Opens::NextOfActor,
            KeyOrigin::AccountRenewal { .. } => Opens::NextOfBoth,
        };
        let (actor, mut key) = self.judge_key(account, &new, opens, at)?;
        let NewKey { id, actor: of, account_epoch, epoch, origin, .. } = new;
        match origin {
            KeyOrigin::Beside => self.check_room(account, of)?,
            KeyOrigin::Recovery { .. } => return Err(Refusal::KeyNotInForce),
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
                let renewals = actor.renewals.with_one_more(of, at)?;
                self.end_keys_of(account, of, None);
                let renewed = Actor { key_epoch: epoch, renewals, ..actor };
                self.actors.set((account, of), Some(renewed));
                self.raise_auth_epoch(account);
            }
            KeyOrigin::AccountRenewal { code } => {
                let renewals = actor.renewals.with_one_more(of, at)?;
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

    /// An actor's keys stay few enough to be ended by one unit, and an account's few enough to be kept. One
    /// that takes the place of another without grace is always let in, so that nobody who is full is kept
    /// from rotating.
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

    /// That an actor may be renewed once more. One that there is not is for others to refuse.
    fn judge_renewal(&self, account: AccountId, of: ActorId, at: Timestamp) -> Result<(), Refusal> {
        let actor = self.actors.get((account, of));
        actor.map_or(Ok(()), |actor| actor.renewals.with_one_more(of, at).map(drop))
    }

    /// Adds a key. Where the account keeps as many as it may, ended ones make room for it.
    fn insert_key(&mut self, account: AccountId, key: ApiKey) {
        self.keys.set((account, key.id), Some(key));
        self.move_keys(account, 1);
        while self.account(account).is_some_and(|account| surplus_keys(account.keys) > 0)
            && let Some(ended) = self.forgettable(account)
        {
            self.remove_key(account, ended);
        }
    }

    fn remove_key(&mut self, account: AccountId, id: KeyId) {
        self.keys.set((account, id), None);
        self.move_keys(account, -1);
    }

    fn move_keys(&mut self, account: AccountId, moved: i64) {
        if let Some(account) = self.account_mut(account) {
            account.keys += moved;
        }
    }

    /// The ended key with the lowest id that nothing rests on, of those that are loaded.
    fn forgettable(&self, account: AccountId) -> Option<KeyId> {
        let ended = self.keys.of(account).filter(|key| key.may_be_forgotten());
        ended.map(|key| key.id).min()
    }

    /// The row of a new key, and its actor, if it may be made.
    fn judge_key(
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
            ends_at: None,
            succession: None,
            first_used_at: None,
        };
        Ok((actor, key))
    }

    /// Makes a key for the owner, who showed the code `shown`. The owner's other keys end at once;
    /// the code stays until the new key is used, so that an answer that is lost locks nobody out.
    fn recover(
        &mut self,
        account: AccountId,
        new: NewKey,
        shown: &RecoveryCode,
        at: Timestamp,
    ) -> Result<Applied, Refusal> {
        let KeyOrigin::Recovery { code } = new.origin.clone() else {
            return Err(Refusal::CodeNotInForce);
        };
        let came_with = shown.comes_with.and_then(|id| self.keys.get((account, id)));
        let came_with = came_with.filter(|key| key.is_unseen()).cloned();
        let puts_in_force = came_with.as_ref().and_then(|key| key.succession);
        let opens = match puts_in_force {
            Some(Succession::Renewal) => Opens::NextOfBoth,
            _ => Opens::InForce,
        };
        let (owner, mut key) = self.judge_key(account, &new, opens, at)?;
        if owner.role != Role::Owner {
            return Err(Refusal::CodeNotInForce);
        }
        if let Some(came_with) = came_with {
            // Whoever has the code has seen the key that was shown with it.
            self.succeed(account, came_with, at);
        }
        self.remove_unseen_with_codes(account);
        self.end_keys_of(account, owner.id, None);
        self.add_code(account, code, Some(key.id), at);
        key.succession = Some(Succession::Recovery);
        self.insert_key(account, key.clone());
        self.add_wraps(account, new.wraps);
        self.raise_auth_epoch(account);
        self.note(account, Deed::of_program(Act::RecoveryUsed).to_key(owner.id, key.id), at);
        self.managed(account, AppliedRow::Key(key))
    }

    /// Makes a recovery code in the place of all others. A renewal that was never put in force goes
    /// with the code that came with it.
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
        self.note(account, Deed::of(Act::RecoveryCodeRenewed, bearer), at);
        self.account_applied(account)
    }

    /// Makes way for the next epochs of the account's key and its owner's: those that were made before
    /// and never put in force go.
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
            // A key that nobody may ever have got is not one to go on with.
            let is_live = |other: &&ApiKey| {
                other.in_force(self.decided_at) && other.ends_at.is_none() && !other.is_unseen()
            };
            let is_owners = is_owner && key.actor == bearer.actor;
            let is_last = self.keys_of(account, key.actor).filter(is_live).all(|it| it.id == id);
            if is_owners && is_last && is_live(&key) {
                return Err(Refusal::LastOwnerKey);
            }
            let deed = Deed::of(Act::KeyRevoked, bearer).to_key(key.actor, id);
            self.note(account, deed, at);
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

    /// The first use of a key that succeeds others ends them. Later uses change nothing.
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
            let deed = Deed::of_succession(&key);
            self.succeed(account, key, at);
            self.raise_auth_epoch(account);
            self.note(account, deed, at);
        }
        self.account_applied(account)
    }

    /// Ends what a key succeeds, now that it is seen, and puts in force what it came with.
    fn succeed(&mut self, account: AccountId, key: ApiKey, at: Timestamp) {
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

    /// Of the key that is succeeded, and of those before it that are in their grace still: none is
    /// good for longer than the one that came after it, so that a rotation without a grace ends all.
    fn begin_grace(&mut self, account: AccountId, id: KeyId, grace_seconds: i64, at: Timestamp) {
        let end = at.plus_seconds(grace_seconds);
        let mut next = Some(id);
        while let Some(mut key) = next.and_then(|id| self.keys.get((account, id)).cloned()) {
            next = match key.succession {
                // A key is always younger than what it replaces.
                Some(Succession::Rotation { replaces, .. }) if replaces < key.id => Some(replaces),
                _ => None,
            };
            if grace_seconds == 0 {
                self.end_key(account, key.id);
            } else {
                key.ends_at = Some(key.ends_at.map_or(end, |before| before.min(end)));
                self.keys.set((account, key.id), Some(key));
            }
        }
    }

    pub(super) fn tend_keys(
        &mut self,
        account: AccountId,
        used: &[(KeyId, Timestamp)],
        over: &[KeyId],
    ) -> Result<Applied, Refusal> {
        for (id, last) in used {
            if let Some(mut key) = self.keys.get((account, *id)).cloned() {
                key.last_used = key.last_used.max(Some(*last));
                self.keys.set((account, *id), Some(key));
            }
        }
        for id in over {
            // By itself a key ends alone: a code that came with it was shown, and may be all that its
            // owner has kept.
            let now = self.decided_at;
            if self.keys.get((account, *id)).is_some_and(|key| !key.in_force(now)) {
                self.close_key(account, *id);
            }
        }
        self.account_applied(account)
    }

    fn managed(&self, account: AccountId, row: AppliedRow) -> Result<Applied, Refusal> {
        let balance = self.account(account).ok_or(Refusal::KeyNotInForce)?.balance;
        Ok(Applied { row, cost: 0, balance, is_replay: false })
    }

    fn raise_auth_epoch(&mut self, account: AccountId) {
        if let Some(account) = self.account_mut(account) {
            account.auth_epoch += 1;
        }
    }

    /// The keys of an actor, as far as they are loaded.
    fn keys_of(&self, account: AccountId, actor: ActorId) -> impl Iterator<Item = &ApiKey> {
        self.keys.of(account).filter(move |key| key.actor == actor)
    }

    fn end_keys_of(&mut self, account: AccountId, actor: ActorId, but: Option<KeyId>) {
        let keys = self.keys_of(account, actor).map(|key| key.id);
        let ended: Vec<_> = keys.filter(|id| Some(*id) != but).collect();
        for id in ended {
            self.end_key(account, id);
        }
    }

    /// Ends a key for good. What comes with one that was never used goes with it.
    fn end_key(&mut self, account: AccountId, id: KeyId) {
        if self.keys.get((account, id)).is_some_and(ApiKey::is_unseen) {
            for code in self.codes_where(account, |with| with == Some(id)) {
                self.remove_code(account, code);
            }
        }
        self.close_key(account, id);
    }

    /// Ends a key for good, and nothing that came with it.
    fn close_key(&mut self, account: AccountId, id: KeyId) {
        let Some(key) = self.keys.get((account, id)).cloned() else { return };
        self.keys.set((account, id), Some(ApiKey { ends_at: Some(ApiKey::ENDED), ..key }));
        self.empty(account, WrapHolder::ApiKey(id));
    }

    /// Keys that were never used and are to succeed others in that way.
    fn unseen(&self, account: AccountId, in_that_way: impl Fn(Succession) -> bool) -> Vec<KeyId> {
        let unseen = self.keys.of(account).filter(|key| key.is_unseen() && !key.has_ended());
        unseen.filter(|key| key.succession.is_some_and(&in_that_way)).map(|key| key.id).collect()
    }

    /// Removes such keys: another one takes their place.
    fn remove_unseen(&mut self, account: AccountId, in_that_way: impl Fn(Succession) -> bool) {
        for id in self.unseen(account, in_that_way) {
            self.end_key(account, id);
            self.remove_key(account, id);
        }
    }

    /// Removes what was made to replace codes and was never used: another takes its place. Of a key
    /// that has expired the code is left.
    fn remove_unseen_with_codes(&mut self, account: AccountId) {
        let unseen = self.keys.of(account).filter(|key| key.is_unseen()).map(|key| key.id);
        let unseen: Vec<_> = unseen.collect();
        for code in self.codes_where(account, |with| with.is_some_and(|id| unseen.contains(&id))) {
            self.remove_code(account, code);
        }
        self.remove_unseen(account, replaces_codes);
    }

    fn codes_where(
        &self,
        account: AccountId,
        comes: impl Fn(Option<KeyId>) -> bool,
    ) -> Vec<RecoveryId> {
        self.codes.of(account).filter(|code| comes(code.comes_with)).map(|code| code.id).collect()
    }

    fn remove_code(&mut self, account: AccountId, id: RecoveryId) {
        self.codes.set((account, id), None);
        self.empty(account, WrapHolder::Recovery(id));
    }

    fn add_wraps(&mut self, account: AccountId, wraps: Vec<Wrap>) {
        self.changes.wraps.extend(wraps.into_iter().map(|wrap| (account, wrap)));
    }

    /// Takes all that a holder opens, what batch-mates gave it included.
    fn empty(&mut self, account: AccountId, holder: WrapHolder) {
        self.changes.wraps.retain(|(of, wrap)| (*of, wrap.holder) != (account, holder));
        self.changes.holders_emptied.insert((account, holder));
    }
}
