//! Actors, keys and codes: whatever is done to them, those that should be able to read all that was
//! written can, and nobody else gets in.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::idempotency::name_of;
use super::*;
use crate::command::{
    KeyOrigin, NewActor, NewCode, NewKey, RecoverAction, RenewedCode, Reservation,
};
use crate::model::api_key::{AnyKeyId, KEYS_MAX, Succession};
use crate::model::bearer::CodeBearer;
use crate::model::id::SignInId;
use crate::model::quota::{ACCOUNT_KEYS_MAX, ACTORS_MAX, RENEWALS_PER_DAY_MAX};
use crate::model::sign_in::SignIn;

mod sign_ins;

const OWNER: ActorId = ActorId(1);
const MEMBER: ActorId = ActorId(2);

/// A database of one account. It loads only the rows that a batch needs.
#[derive(Debug, Clone)]
struct KeysFixture {
    account: Account,
    actors: BTreeMap<ActorId, Actor>,
    keys: BTreeMap<KeyId, ApiKey>,
    codes: BTreeMap<RecoveryId, RecoveryCode>,
    sign_ins: BTreeMap<SignInId, SignIn>,
    wraps: BTreeSet<(WrapHolder, WrapSubject)>,
    at: Timestamp,
}

impl KeysFixture {
    /// An account with an owner and its first key, and a member without one.
    fn new() -> Self {
        let mut working_set = directory(Some(3));
        let id = AccountId(3);
        let keys =
            under(WrapHolder::ApiKey(KeyId(1)), OWNER, KeyEpoch::FIRST, Some(KeyEpoch::FIRST));
        let wraps = keys
            .into_iter()
            .chain([
                wrapped(WrapHolder::Recovery(RecoveryId(1)), WrapSubject::Account(KeyEpoch::FIRST)),
                wrapped(
                    WrapHolder::Account(KeyEpoch::FIRST),
                    WrapSubject::Actor(OWNER, KeyEpoch::FIRST),
                ),
            ])
            .collect();
        let founded = NewAccount { wraps, ..founding(id) };
        working_set.decide(program(found(founded))).unwrap();
        let mut scope = Self {
            account: account(id),
            actors: BTreeMap::new(),
            keys: BTreeMap::new(),
            codes: BTreeMap::new(),
            sign_ins: BTreeMap::new(),
            wraps: BTreeSet::new(),
            at: now(),
        };
        scope.write(working_set.into_write_set());
        let wrap = wrapped(
            WrapHolder::Account(KeyEpoch::FIRST),
            WrapSubject::Actor(MEMBER, KeyEpoch::FIRST),
        );
        scope.manage(KeyId(1), ManageAction::ReserveIds(Reservation::Actor)).unwrap();
        let new = NewActor {
            id: MEMBER,
            uid: uid(52),
            name: name("peer"),
            kind: ActorKind::Agent,
            account_epoch: KeyEpoch::FIRST,
            wraps: vec![wrap],
        };
        scope.manage(KeyId(1), ManageAction::AddActor(new)).unwrap();
        scope
    }

    fn bearer(&self, key: KeyId) -> KeyBearer {
        let actor = self.keys.get(&key).map_or(OWNER, |key| key.actor);
        let auth_epoch = self.account.auth_epoch;
        let role = if actor == OWNER { Role::Owner } else { Role::Member };
        let account = self.account.id;
        KeyBearer { account, actor, role, key, sign_in: None, auth_epoch, ends_at: None }
    }

    fn command(&self, action: Action) -> Command {
        Command::uncharged(action, self.at)
    }

    fn managing(&self, key: KeyId, action: ManageAction) -> Command {
        self.command(Action::Manage(self.bearer(key), action))
    }

    fn starting(&self, key: KeyId) -> Command {
        self.command(Action::Resource(self.bearer(key), start()))
    }

    fn recovering(&self, code: RecoveryId, action: RecoverAction) -> Command {
        self.command(Action::Recover(CodeBearer { account: self.account.id, code }, action))
    }

    fn system(&self, action: SystemAction) -> Command {
        self.command(Action::System(action))
    }

    fn load(&self, commands: &[Command]) -> WorkingSet {
        let mut read_set = ReadSet::of(commands);
        let mut working_set = WorkingSet::default();
        working_set.load_account(self.account.clone());
        working_set.check_again(commands, &mut read_set);
        working_set.make_room(commands, &mut read_set);
        let home = self.account.id;
        if read_set.codes.contains(&home) {
            self.codes.values().for_each(|code| working_set.load_code(home, code.clone()));
        }
        working_set.follow_codes(&mut read_set);
        for key in self.keys.values() {
            let replaces = match key.succession {
                Some(Succession::Rotation { replaces, .. }) => Some(replaces),
                _ => None,
            };
            if read_set.keys.contains(&(home, key.id))
                || replaces.is_some_and(|old| read_set.keys_replaced.contains(&(home, old)))
                || read_set.key_holders.contains(&(home, key.actor)) && !key.has_ended()
            {
                working_set.load_key(home, key.clone());
            }
        }
        let most = read_set.ended_keys.get(&home).map_or(0, |most| usize::try_from(*most).unwrap());
        for key in self.keys.values().filter(|key| key.may_be_forgotten()).take(most) {
            working_set.load_key(home, key.clone());
        }
        for actor in self.actors.values().filter(|it| read_set.actors.contains(&(home, it.id))) {
            working_set.load_actor(home, actor.clone());
        }
        for sign_in in self.sign_ins.values() {
            if read_set.sign_ins.contains(&(home, sign_in.id))
                || read_set.signed_in.contains(&(home, sign_in.actor))
            {
                working_set.load_sign_in(home, sign_in.clone());
            }
        }
        working_set
    }

    fn write(&mut self, write_set: WriteSet) {
        let WriteSet { actors, keys, codes, .. } = &write_set;
        let written = actors.written().count() + keys.written().count() + codes.written().count();
        let deleted = keys.deleted.len() + codes.deleted.len();
        let rises = write_set.accounts_founded.len() + write_set.accounts_changed.len();
        assert!(rises > 0 || written + deleted == 0, "what pages show raises the version");
        for account in write_set.accounts_founded.into_iter().chain(write_set.accounts_changed) {
            self.account = account;
        }
        self.actors.extend(write_set.actors.written().map(|(_, row)| (row.id, row.clone())));
        self.keys.extend(write_set.keys.written().map(|(_, row)| (row.id, row.clone())));
        self.codes.extend(write_set.codes.written().map(|(_, row)| (row.id, row.clone())));
        for (_, id) in &write_set.sign_ins.deleted {
            self.sign_ins.remove(id).unwrap();
        }
        self.sign_ins.extend(write_set.sign_ins.written().map(|(_, row)| (row.id, row.clone())));
        // As a store does with those that were not loaded.
        for sign_in in self.sign_ins.values_mut() {
            let opener = (self.account.id, sign_in.opener);
            if let Some(end) = write_set.openers_ended.get(&opener)
                && sign_in.ended.is_none()
            {
                *sign_in = sign_in.clone().ended_by(*end);
            }
        }
        for (_, id) in write_set.keys.deleted {
            self.keys.remove(&id).unwrap();
        }
        for (_, id) in write_set.codes.deleted {
            self.codes.remove(&id).unwrap();
        }
        self.wraps
            .retain(|(holder, _)| !write_set.holders_emptied.contains(&(self.account.id, *holder)));
        for (_, wrap) in write_set.wraps {
            assert!(self.wraps.insert((wrap.holder, wrap.subject)), "{wrap:?} stands already");
        }
    }

    fn apply(&mut self, command: Command) -> Result<AppliedRow, Refusal> {
        let mut working_set = self.load(std::slice::from_ref(&command));
        let answer = working_set.decide(command).map(|applied| {
            assert_eq!((applied.cost, applied.balance), (0, self.account.balance));
            applied.row
        });
        self.write(working_set.into_write_set());
        answer
    }

    fn manage(&mut self, key: KeyId, action: ManageAction) -> Result<AppliedRow, Refusal> {
        self.apply(self.managing(key, action))
    }

    /// Records the first use of a key.
    fn use_key(&mut self, id: KeyId) -> Result<AppliedRow, Refusal> {
        let actor = self.bearer(id).actor;
        let action = SystemAction::UseKey { account: self.account.id, actor, key: id };
        self.apply(self.system(action))
    }

    /// Adds the next key of an actor, with the wraps that the cryptography makes for it.
    fn next_key(&self, actor: ActorId, origin: KeyOrigin) -> ManageAction {
        let id = KeyId(self.account.last_ids.key);
        let (before, account) = (self.actors[&actor].key_epoch, self.account.key_epoch);
        let (epoch, account_epoch) = match origin {
            KeyOrigin::Beside | KeyOrigin::Rotation { .. } => (before, account),
            KeyOrigin::Renewal => (before.next(), account),
            KeyOrigin::AccountRenewal { .. } => (before.next(), account.next()),
        };
        let owners = (actor == OWNER).then_some(account_epoch);
        let mut wraps = under(WrapHolder::ApiKey(id), actor, epoch, owners);
        if epoch != before {
            let subject = WrapSubject::Actor(actor, epoch);
            wraps.push(wrapped(WrapHolder::Account(account_epoch), subject));
            let former = WrapSubject::Actor(actor, before);
            wraps.push(wrapped(WrapHolder::Actor(actor, epoch), former));
        }
        if let KeyOrigin::AccountRenewal { code } = &origin {
            let former = WrapSubject::Account(account);
            wraps.push(wrapped(WrapHolder::Account(account_epoch), former));
            let subject = WrapSubject::Account(account_epoch);
            wraps.push(wrapped(WrapHolder::Recovery(code.id), subject));
        }
        let new = NewKey {
            id,
            actor,
            account_epoch,
            epoch,
            lookup: LookupHash([9; 32]),
            prefix: "roots_3_new".into(),
            label: None,
            expires_at: None,
            wraps,
        };
        ManageAction::AddKey { new, origin }
    }

    /// Makes a key as `shown` asks for it.
    fn add(&mut self, shown: KeyId, actor: ActorId, what: What) -> Result<KeyId, Refusal> {
        let kinds = match what {
            What::Rotation(_) => Reservation::OwnKey,
            What::Renewal if actor == OWNER => Reservation::AccountRenewal(actor),
            What::Renewal => Reservation::Renewal(actor),
            What::Beside => Reservation::Key,
        };
        self.manage(shown, ManageAction::ReserveIds(kinds))?;
        let code =
            NewCode { id: RecoveryId(self.account.last_ids.recovery), lookup: LookupHash([8; 32]) };
        let origin = match what {
            What::Beside => KeyOrigin::Beside,
            What::Rotation(grace_seconds) => KeyOrigin::Rotation { grace_seconds },
            What::Renewal if actor == OWNER => KeyOrigin::AccountRenewal { code },
            What::Renewal => KeyOrigin::Renewal,
        };
        let new = self.next_key(actor, origin);
        match self.manage(shown, new)? {
            AppliedRow::Key(key) => Ok(key.id),
            other => panic!("{other:?} is no key"),
        }
    }

    fn by_code(&mut self, code: RecoveryId, action: RecoverAction) -> Result<AppliedRow, Refusal> {
        self.apply(self.recovering(code, action))
    }

    /// Uses a recovery code.
    fn recover(&mut self, by: RecoveryId) -> Result<KeyId, Refusal> {
        self.by_code(by, RecoverAction::ReserveIds)?;
        let (new, code) = self.next_recovery(by);
        match self.by_code(by, RecoverAction::AddKey { new, code })? {
            AppliedRow::Key(key) => Ok(key.id),
            other => panic!("{other:?} is no key"),
        }
    }

    /// The key that a recovery makes, and the code that comes with it, each with the wraps that the
    /// cryptography makes for it.
    fn next_recovery(&self, by: RecoveryId) -> (NewKey, NewCode) {
        let last_ids = self.account.last_ids;
        let (id, code) = (KeyId(last_ids.key), RecoveryId(last_ids.recovery));
        let came_with = self.codes.get(&by).and_then(|code| self.keys.get(&code.comes_with?));
        let renews = came_with
            .is_some_and(|key| key.is_unseen() && key.succession == Some(Succession::Renewal));
        let of = |epoch: KeyEpoch| if renews { epoch.next() } else { epoch };
        let (epoch, account_epoch) =
            (of(self.actors[&OWNER].key_epoch), of(self.account.key_epoch));
        let mut wraps = under(WrapHolder::ApiKey(id), OWNER, epoch, Some(account_epoch));
        wraps.push(wrapped(WrapHolder::Recovery(code), WrapSubject::Account(account_epoch)));
        let code = NewCode { id: code, lookup: LookupHash([7; 32]) };
        let new = NewKey {
            id,
            actor: OWNER,
            account_epoch,
            epoch,
            lookup: LookupHash([9; 32]),
            prefix: "roots_3_new".into(),
            label: None,
            expires_at: None,
            wraps,
        };
        (new, code)
    }

    /// Makes a recovery code as `shown` asks for it.
    fn renew_code(&mut self, shown: KeyId) -> Result<RecoveryId, Refusal> {
        self.manage(shown, ManageAction::ReserveIds(Reservation::Code))?;
        let (id, account_epoch) =
            (RecoveryId(self.account.last_ids.recovery), self.account.key_epoch);
        let wraps = vec![wrapped(WrapHolder::Recovery(id), WrapSubject::Account(account_epoch))];
        let code = NewCode { id, lookup: LookupHash([6; 32]) };
        let renewed = RenewedCode { code, account_epoch, wraps };
        self.manage(shown, ManageAction::RenewCode(renewed)).map(|_| id)
    }

    fn code_ids(&self) -> Vec<RecoveryId> {
        self.codes.keys().copied().collect()
    }

    fn is_let_in(&self, key: &ApiKey) -> bool {
        key.in_force(self.at) && self.actors[&key.actor].is_active
    }

    /// The keys that a holder opens, directly or through other keys.
    fn reached(&self, from: WrapHolder) -> BTreeSet<WrapSubject> {
        let mut reached = BTreeSet::new();
        let mut holders = vec![from];
        while let Some(holder) = holders.pop() {
            for (_, subject) in self.wraps.iter().filter(|(of, _)| *of == holder) {
                if reached.insert(*subject) {
                    holders.push(match *subject {
                        WrapSubject::Account(epoch) => WrapHolder::Account(epoch),
                        WrapSubject::Actor(id, epoch) => WrapHolder::Actor(id, epoch),
                    });
                }
            }
        }
        reached
    }

    /// Asserts the invariants of keys, codes and wraps.
    fn check(&self) {
        assert_eq!(self.account.keys, i64::try_from(self.keys.len()).unwrap());
        for key in self.keys.values() {
            let reached = self.reached(WrapHolder::ApiKey(key.id));
            if key.has_ended() {
                assert!(reached.is_empty(), "{key:?} opens nothing any more");
                continue;
            }
            if !self.is_let_in(key) {
                continue;
            }
            // Its wraps lead to the epochs in force or, for an unused renewal, to the next ones.
            let renews = key.is_unseen() && key.succession == Some(Succession::Renewal);
            let of = |epoch: KeyEpoch| if renews { epoch.next() } else { epoch };
            for (_, subject) in
                self.wraps.iter().filter(|(of, _)| *of == WrapHolder::ApiKey(key.id))
            {
                let in_force = match *subject {
                    WrapSubject::Account(_) => WrapSubject::Account(of(self.account.key_epoch)),
                    WrapSubject::Actor(id, _) => {
                        WrapSubject::Actor(id, of(self.actors[&id].key_epoch))
                    }
                };
                assert_eq!(*subject, in_force, "{key:?}");
            }
            let of_whom = |actor: &&Actor| key.actor == OWNER || actor.id == key.actor;
            for actor in self.actors.values().filter(of_whom) {
                for subject in all_of(actor) {
                    assert!(reached.contains(&subject), "{key:?} does not read {subject:?}");
                }
            }
            let of_others = |subject: &&WrapSubject| match subject {
                WrapSubject::Account(_) => true,
                WrapSubject::Actor(id, _) => *id != MEMBER,
            };
            if key.actor == MEMBER {
                assert_eq!(reached.iter().find(of_others), None, "{key:?} is a member's");
            }
        }
        let live = |key: &&ApiKey| {
            key.actor == OWNER
                && self.is_let_in(key)
                && !key.is_unseen()
                && key.status == KeyStatus::Current
        };
        let is_recovered =
            |key: &ApiKey| key.is_unseen() && key.succession == Some(Succession::Recovery);
        let mut owners = self.keys.values();
        assert!(
            owners.any(|key| live(&key) || !key.has_ended() && is_recovered(key)),
            "the owner is locked out"
        );
        // The code that did not come with an unused key opens everything.
        let unseen = |id: KeyId| self.keys.get(&id).is_some_and(ApiKey::is_unseen);
        let mut good = self.codes.values().filter(|code| !code.comes_with.is_some_and(unseen));
        let code = good.next().expect("a recovery code");
        assert_eq!(good.next(), None, "one code at a time");
        let reached = self.reached(WrapHolder::Recovery(code.id));
        for actor in self.actors.values() {
            assert!(all_of(actor).iter().all(|subject| reached.contains(subject)));
        }
        for (holder, _) in &self.wraps {
            let is_kept = match holder {
                WrapHolder::ApiKey(id) => self.keys.get(id).is_some_and(|key| !key.has_ended()),
                WrapHolder::Recovery(id) => self.codes.contains_key(id),
                WrapHolder::Account(_) | WrapHolder::Actor(..) => true,
                WrapHolder::Browser(_) => panic!("it is no row of its own"),
            };
            assert!(is_kept, "{holder:?} is gone, and opens still");
        }
    }
}

/// Every key of an actor, of every epoch up to the one in force.
fn all_of(actor: &Actor) -> Vec<WrapSubject> {
    let epochs = 1..=actor.key_epoch.0;
    epochs.map(|epoch| WrapSubject::Actor(actor.id, KeyEpoch(epoch))).collect()
}

/// The reason for making a key.
#[derive(Debug, Clone, Copy)]
enum What {
    Beside,
    Rotation(i64),
    Renewal,
}

fn directory(last: Option<i64>) -> WorkingSet {
    let mut working_set = WorkingSet::default();
    let last_account = last.map(AccountId);
    working_set.load_directory(Directory { last_account, accounts: 0, installation: None });
    working_set
}

fn wrapped(holder: WrapHolder, subject: WrapSubject) -> Wrap {
    Wrap { holder, subject, sealed: sealed("wrap") }
}

/// The wraps under an API key: of its actor's key and, for the owner, of the account's.
fn under(
    holder: WrapHolder,
    actor: ActorId,
    epoch: KeyEpoch,
    account: Option<KeyEpoch>,
) -> Vec<Wrap> {
    let own = wrapped(holder, WrapSubject::Actor(actor, epoch));
    let accounts = account.map(|epoch| wrapped(holder, WrapSubject::Account(epoch)));
    [own].into_iter().chain(accounts).collect()
}

const FIRST: KeyId = KeyId(1);

#[test]
fn a_key_or_code_that_is_asked_for_again_is_refused_since_no_record_holds_its_secret() {
    let mut scope = KeysFixture::new();
    scope.manage(FIRST, ManageAction::ReserveIds(Reservation::Key)).unwrap();
    scope.manage(FIRST, ManageAction::ReserveIds(Reservation::Code)).unwrap();
    let (id, account_epoch) = (RecoveryId(scope.account.last_ids.recovery), KeyEpoch::FIRST);
    let wraps = vec![wrapped(WrapHolder::Recovery(id), WrapSubject::Account(account_epoch))];
    let code = NewCode { id, lookup: LookupHash([6; 32]) };
    for action in [
        scope.next_key(MEMBER, KeyOrigin::Beside),
        scope.next_key(OWNER, KeyOrigin::Rotation { grace_seconds: 0 }),
        ManageAction::RenewCode(RenewedCode { code, account_epoch, wraps }),
    ] {
        let command = Command { conditions: name_of(7, 1), ..scope.managing(FIRST, action) };
        let mut working_set = scope.load(std::slice::from_ref(&command));
        assert!(!working_set.decide(command.clone()).unwrap().is_replay);
        assert_refused(&mut working_set, command, &Refusal::ShownOnce);
        let kept = working_set.into_write_set().idempotency_records;
        let rows: Vec<_> = kept.into_values().map(|record| record.row).collect();
        assert_eq!(rows, [AppliedRow::ShownOnce]);
    }
}

#[test]
fn a_rotated_key_begins_its_grace_at_the_first_use_of_its_successor() {
    let mut scope = KeysFixture::new();
    let (labelled, expiry) = (name("server"), at(9 * DAY_SECONDS));
    let first = scope.keys.get_mut(&FIRST).unwrap();
    (first.label, first.expires_at) = (Some(labelled.clone()), Some(expiry));
    let lost = scope.add(FIRST, OWNER, What::Rotation(0)).unwrap();
    let next = scope.add(FIRST, OWNER, What::Rotation(60)).unwrap();
    assert!(!scope.keys.contains_key(&lost), "the unseen one is replaced");
    assert_eq!(scope.use_key(lost), Err(Refusal::KeyNotInForce));
    let made = &scope.keys[&next];
    assert_eq!((made.label.as_ref(), made.expires_at), (Some(&labelled), Some(expiry)));
    let epoch = scope.account.auth_epoch;
    scope.at = scope.at.plus_seconds(1_000);
    scope.use_key(next).unwrap();
    assert_eq!(scope.account.auth_epoch, epoch + 1);
    let until = scope.at.plus_seconds(60);
    assert_eq!(scope.keys[&FIRST].status, KeyStatus::InGrace { until });
    scope.at = scope.at.plus_seconds(59);
    scope.use_key(next).unwrap();
    assert_eq!(scope.account.auth_epoch, epoch + 1, "only the first use tells");
    assert_eq!(scope.add(FIRST, OWNER, What::Rotation(0)), Err(Refusal::KeyInGrace));
    assert_eq!(scope.manage(FIRST, ManageAction::RevokeKey(next)), Err(Refusal::KeyInGrace));
    assert!(scope.apply(scope.starting(FIRST)).is_ok_and(|row| row != AppliedRow::Deleted));
}

#[test]
fn a_key_in_grace_ends_no_later_than_its_successor() {
    for (first, second, left) in
        [(600, 0, None), (600, 60, Some(60)), (60, 600, Some(60)), (0, 600, None)]
    {
        let mut scope = KeysFixture::new();
        let beside = scope.add(FIRST, OWNER, What::Beside).unwrap();
        let next = scope.add(FIRST, OWNER, What::Rotation(first)).unwrap();
        scope.use_key(next).unwrap();
        let begun = scope.at;
        let last = scope.add(next, OWNER, What::Rotation(second)).unwrap();
        // The second rotation alone ends nothing.
        assert_eq!(scope.keys[&FIRST].has_ended(), first == 0);
        scope.use_key(last).unwrap();
        let grace = |seconds| KeyStatus::InGrace { until: begun.plus_seconds(seconds) };
        let expected = left.map_or(KeyStatus::Ended, grace);
        assert_eq!(scope.keys[&FIRST].status, expected, "{first} {second}");
        assert_eq!(scope.keys[&next].has_ended(), second == 0);
        let beside = scope.keys[&beside].status;
        assert_eq!(beside, KeyStatus::Current, "it is of another rotation chain");
        scope.check();
    }
}

#[test]
fn a_recovery_code_outlives_the_renewal_key_issued_with_the_code() {
    for way in 0..3 {
        let mut scope = KeysFixture::new();
        let peer = scope.add(FIRST, MEMBER, What::Beside).unwrap();
        let renewed = scope.add(FIRST, OWNER, What::Renewal).unwrap();
        scope.keys.get_mut(&renewed).unwrap().expires_at = Some(scope.at.plus_seconds(60));
        scope.at = scope.at.plus_seconds(60);
        let (account, over) = (scope.account.id, vec![renewed.into()]);
        let sweep = SystemAction::MaintainKeys { account, used: Vec::new(), over };
        scope.apply(scope.system(sweep)).unwrap();
        assert!(scope.keys[&renewed].has_ended());
        let came_with = RecoveryId(2);
        assert_eq!(scope.code_ids(), [FIRST_CODE, came_with]);
        scope.check();
        match way {
            // Recovering by the code of the renewal puts the renewal in force.
            0 => {
                let key = scope.recover(came_with).unwrap();
                assert_eq!(scope.account.key_epoch, KeyEpoch(2));
                scope.check();
                scope.use_key(key).unwrap();
                assert!(!scope.code_ids().contains(&came_with));
            }
            // Another renewal replaces the unused one and its code.
            1 => {
                let key = scope.add(FIRST, OWNER, What::Renewal).unwrap();
                assert_eq!(scope.code_ids(), [FIRST_CODE, RecoveryId(3)]);
                scope.check();
                scope.use_key(key).unwrap();
                assert_eq!(scope.code_ids(), [RecoveryId(3)]);
            }
            _ => {
                scope.recover(FIRST_CODE).unwrap();
                assert_eq!(scope.account.key_epoch, KeyEpoch::FIRST);
                assert_eq!(scope.code_ids(), [FIRST_CODE, RecoveryId(3)]);
            }
        }
        assert!(!scope.keys[&peer].has_ended());
        scope.check();
    }
}

#[test]
fn an_actor_cannot_be_added_under_an_account_key_of_an_earlier_epoch() {
    let mut scope = KeysFixture::new();
    let next = scope.add(FIRST, OWNER, What::Renewal).unwrap();
    scope.use_key(next).unwrap();
    scope.manage(next, ManageAction::ReserveIds(Reservation::Actor)).unwrap();
    let new = |account_epoch| {
        let id = ActorId(3);
        let (holder, subject) =
            (WrapHolder::Account(account_epoch), WrapSubject::Actor(id, KeyEpoch::FIRST));
        ManageAction::AddActor(NewActor {
            id,
            uid: uid(53),
            name: name("late"),
            kind: ActorKind::Agent,
            account_epoch,
            wraps: vec![wrapped(holder, subject)],
        })
    };
    let before = format!("{scope:?}");
    assert_eq!(scope.manage(next, new(KeyEpoch::FIRST)), Err(Refusal::KeysRenewed(OWNER)));
    assert_eq!(format!("{scope:?}"), before);
    scope.manage(next, new(KeyEpoch(2))).unwrap();
    scope.check();
}

#[test]
fn a_command_decided_after_its_key_ended_is_refused_even_with_an_earlier_time() {
    for way in 0..3 {
        let mut scope = KeysFixture::new();
        let key = scope.add(FIRST, MEMBER, What::Beside).unwrap();
        let next = scope.add(key, MEMBER, What::Rotation(0)).unwrap();
        let late = scope.starting(key);
        // The key is ended by a process whose clock is ahead of the late command's.
        scope.at = scope.at.plus_seconds(10);
        let ending = match way {
            0 => scope.managing(FIRST, ManageAction::RevokeKey(key)),
            1 => {
                let is_active = Some(false);
                let patch = ManageAction::PatchActor { id: MEMBER, name: None, is_active };
                scope.managing(FIRST, patch)
            }
            _ => {
                let (account, actor) = (scope.account.id, MEMBER);
                scope.system(SystemAction::UseKey { account, actor, key: next })
            }
        };
        let mine = scope.starting(FIRST);
        // In the same batch: the auth epoch of the late command was current when it was loaded.
        let commands = [ending.clone(), late.clone(), mine.clone()];
        let mut working_set = scope.load(&commands);
        let answers = commands.map(|command| working_set.decide(command).map(drop));
        assert_eq!(answers, [Ok(()), Err(Refusal::KeyNotInForce), Ok(())], "{way}");
        // In a later batch.
        scope.apply(ending).unwrap();
        let mut working_set = scope.load(std::slice::from_ref(&late));
        assert_eq!(working_set.decide(late), Err(Refusal::KeyNotInForce), "{way}");
    }
}

#[test]
fn a_key_cannot_be_added_for_an_earlier_key_epoch() {
    let mut scope = KeysFixture::new();
    scope.manage(FIRST, ManageAction::ReserveIds(Reservation::Key)).unwrap();
    let early = scope.next_key(MEMBER, KeyOrigin::Beside);
    scope.add(FIRST, MEMBER, What::Renewal).unwrap();
    let refused = scope.manage(FIRST, early);
    assert_eq!(refused, Err(Refusal::KeysRenewed(MEMBER)));

    let early = scope.next_key(MEMBER, KeyOrigin::Renewal);
    let next = scope.add(FIRST, OWNER, What::Renewal).unwrap();
    scope.use_key(next).unwrap();
    let refused = scope.manage(next, early);
    assert_eq!(refused, Err(Refusal::KeysRenewed(MEMBER)));
    scope.check();
}

#[test]
fn each_rule_of_key_management_has_its_refusal() {
    let mut scope = KeysFixture::new();
    let own = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    let patch = |id, is_active| ManageAction::PatchActor { id, name: None, is_active };
    let unknown = ActorId(9);
    let beside = |tune: &dyn Fn(&mut NewKey)| {
        let mut action = scope.next_key(MEMBER, KeyOrigin::Beside);
        if let ManageAction::AddKey { new, .. } = &mut action {
            tune(new);
        }
        action
    };
    for (shown, action, refusal) in [
        (own, ManageAction::ReserveIds(Reservation::Actor), Refusal::OwnerOnly),
        (own, ManageAction::ReserveIds(Reservation::Key), Refusal::OwnerOnly),
        (own, patch(MEMBER, Some(true)), Refusal::OwnerOnly),
        (own, scope.next_key(MEMBER, KeyOrigin::Beside), Refusal::OwnerOnly),
        (own, ManageAction::RevokeKey(FIRST), Refusal::NotFound("key")),
        (FIRST, ManageAction::RevokeKey(KeyId(99)), Refusal::NotFound("key")),
        (FIRST, ManageAction::RevokeKey(FIRST), Refusal::LastOwnerKey),
        (FIRST, patch(OWNER, Some(false)), Refusal::OwnerStays),
        (FIRST, patch(unknown, None), Refusal::NotFound("actor")),
        (FIRST, beside(&|new| new.actor = unknown), Refusal::NoSuchActor(unknown)),
        (FIRST, beside(&|new| new.expires_at = Some(scope.at)), Refusal::ExpiryNotAhead),
    ] {
        let before = scope.clone();
        assert_eq!(scope.manage(shown, action), Err(refusal));
        assert_eq!(format!("{scope:?}"), format!("{before:?}"));
    }
    scope.manage(FIRST, patch(MEMBER, Some(false))).unwrap();
    assert_eq!(scope.add(FIRST, MEMBER, What::Beside), Err(Refusal::ActorInactive(MEMBER)));
    // A suspended account may only revoke keys.
    scope.account.status = AccountStatus::Suspended;
    assert_eq!(scope.add(FIRST, OWNER, What::Beside), Err(Refusal::Suspended));
    assert!(scope.manage(FIRST, ManageAction::RevokeKey(own)).is_ok());
}

#[test]
fn an_actor_has_at_most_1000_keys_in_force() {
    let mut scope = KeysFixture::new();
    let own = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    let template = scope.keys[&own].clone();
    let last = KeyId(i64::try_from(KEYS_MAX).unwrap() + 1);
    for id in (3..=last.0).map(KeyId) {
        scope.keys.insert(id, ApiKey { id, ..template.clone() });
    }
    scope.account.last_ids.key = last.0;
    let full = Err(Refusal::TooManyKeys(MEMBER));
    assert_eq!(scope.add(FIRST, MEMBER, What::Beside), full);
    assert_eq!(scope.add(own, MEMBER, What::Rotation(60)), full, "the old one would stay");
    // The limit counts for each actor, and does not apply to rotations and renewals.
    scope.add(FIRST, OWNER, What::Beside).unwrap();
    let next = scope.add(own, MEMBER, What::Rotation(0)).unwrap();
    scope.use_key(next).unwrap();
    assert_eq!(scope.add(FIRST, MEMBER, What::Beside), full);
    // Ended and expired keys make room.
    scope.manage(FIRST, ManageAction::RevokeKey(KeyId(3))).unwrap();
    scope.add(FIRST, MEMBER, What::Beside).unwrap();
    assert_eq!(scope.add(FIRST, MEMBER, What::Beside), full);
    scope.keys.get_mut(&KeyId(4)).unwrap().expires_at = Some(scope.at);
    scope.add(FIRST, MEMBER, What::Beside).unwrap();
    assert_eq!(scope.add(FIRST, MEMBER, What::Beside), full);
    scope.add(FIRST, MEMBER, What::Renewal).unwrap();
    assert_eq!(scope.keys.values().filter(|key| scope.is_let_in(key)).count(), 3);
}

#[test]
fn the_25th_key_renewal_of_an_actor_in_a_day_is_refused_and_changes_nothing() {
    let mut scope = KeysFixture::new();
    for actor in [MEMBER, OWNER] {
        for _ in 0..RENEWALS_PER_DAY_MAX {
            scope.add(FIRST, actor, What::Renewal).unwrap();
        }
        let before = scope.clone();
        let next_at = (scope.at.day().last_instant()).plus_seconds(1).day().first_instant();
        let wait_seconds = u32::try_from((next_at.micros() - scope.at.micros()) / 1_000_000);
        let wait_seconds = wait_seconds.unwrap();
        let refusal = Refusal::TooManyRenewals { actor, next_at, wait_seconds };
        assert_eq!(scope.add(FIRST, actor, What::Renewal), Err(refusal.clone()));
        let code = NewCode { id: RecoveryId(99), lookup: LookupHash([8; 32]) };
        let origin = match actor {
            OWNER => KeyOrigin::AccountRenewal { code },
            _ => KeyOrigin::Renewal,
        };
        let unreserved = scope.next_key(actor, origin);
        assert_eq!(scope.manage(FIRST, unreserved), Err(refusal));
        assert_eq!(format!("{scope:?}"), format!("{before:?}"));
    }
    scope.add(FIRST, MEMBER, What::Beside).unwrap();
    scope.at = scope.at.plus_seconds(DAY_SECONDS);
    scope.add(FIRST, MEMBER, What::Renewal).unwrap();
    scope.add(FIRST, OWNER, What::Renewal).unwrap();
    scope.check();
}

#[test]
fn an_account_has_at_most_10_000_actors() {
    let mut scope = KeysFixture::new();
    scope.account.last_ids.actor = ACTORS_MAX - 1;
    scope.manage(FIRST, ManageAction::ReserveIds(Reservation::Actor)).unwrap();
    let more = scope.manage(FIRST, ManageAction::ReserveIds(Reservation::Actor));
    assert_eq!(more, Err(Refusal::TooManyActors));
    assert_eq!(scope.account.last_ids.actor, ACTORS_MAX);
}

#[test]
fn a_new_key_in_a_full_account_deletes_the_ended_key_with_the_lowest_id() {
    let mut scope = KeysFixture::new();
    let keys = [(); 4].map(|()| scope.add(FIRST, MEMBER, What::Beside).unwrap());
    for ended in [keys[2], keys[1]] {
        scope.manage(FIRST, ManageAction::RevokeKey(ended)).unwrap();
    }
    let missing = ACCOUNT_KEYS_MAX - scope.account.keys;
    assert_eq!(scope.account.keys, 5);
    scope.account.keys += missing;
    let kept = |scope: &KeysFixture| {
        assert_eq!(scope.account.keys - missing, i64::try_from(scope.keys.len()).unwrap());
        keys.map(|id| scope.keys.contains_key(&id))
    };
    scope.add(FIRST, MEMBER, What::Beside).unwrap();
    assert_eq!(kept(&scope), [true, false, true, true]);
    let last = scope.add(FIRST, OWNER, What::Beside).unwrap();
    assert_eq!(kept(&scope), [true, false, false, true]);
    let full = Err(Refusal::TooManyAccountKeys);
    assert_eq!(scope.add(FIRST, MEMBER, What::Beside), full);
    assert_eq!(scope.add(keys[0], MEMBER, What::Rotation(60)), full, "the old one would stay");
    // Rotations are still allowed, and leave no additional rows.
    let mut shown = keys[0];
    for _ in 0..5 {
        let next = scope.add(shown, MEMBER, What::Rotation(0)).unwrap();
        scope.use_key(next).unwrap();
        shown = next;
        kept(&scope);
    }
    assert!(scope.account.keys <= ACCOUNT_KEYS_MAX + 1, "{}", scope.account.keys);
    // So are renewals and recoveries.
    scope.add(FIRST, MEMBER, What::Renewal).unwrap();
    scope.recover(RecoveryId(1)).unwrap();
    assert!(scope.keys[&last].has_ended());
    kept(&scope);
}

#[test]
fn an_owners_renewal_comes_into_force_with_its_first_use() {
    let mut scope = KeysFixture::new();
    let peer = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    let lost = scope.add(FIRST, OWNER, What::Renewal).unwrap();
    let next = scope.add(FIRST, OWNER, What::Renewal).unwrap();
    assert_eq!(scope.account.key_epoch, KeyEpoch::FIRST);
    assert!(!scope.keys.contains_key(&lost) && scope.codes.len() == 2);
    scope.check();
    scope.use_key(next).unwrap();
    assert_eq!(
        (scope.account.key_epoch, scope.actors[&OWNER].key_epoch),
        (KeyEpoch(2), KeyEpoch(2))
    );
    assert!(scope.keys[&FIRST].has_ended() && !scope.keys[&peer].has_ended());
    assert_eq!(scope.codes.values().map(|code| code.comes_with).collect::<Vec<_>>(), [Some(next)]);
    scope.check();
}

const FIRST_CODE: RecoveryId = RecoveryId(1);

#[test]
fn a_recovery_ends_the_owners_keys_at_once_and_the_old_code_at_first_use() {
    let mut scope = KeysFixture::new();
    let peer = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    let rotated = scope.add(FIRST, OWNER, What::Rotation(60)).unwrap();
    let epoch = scope.account.auth_epoch;
    let late = scope.starting(FIRST);
    let lost = scope.recover(FIRST_CODE).unwrap();
    assert_eq!(scope.apply(late), Err(Refusal::KeyNotInForce));
    assert!(scope.keys[&FIRST].has_ended() && scope.keys[&rotated].has_ended());
    assert!(!scope.keys[&peer].has_ended());
    assert_eq!(scope.account.auth_epoch, epoch + 1);
    assert_eq!(scope.code_ids(), [FIRST_CODE, RecoveryId(2)]);
    scope.check();
    // The answer was lost: the code is still valid, and recovering again replaces the unseen key.
    let next = scope.recover(FIRST_CODE).unwrap();
    assert!(!scope.keys.contains_key(&lost));
    assert_eq!(scope.code_ids(), [FIRST_CODE, RecoveryId(3)]);
    assert_eq!(scope.use_key(lost), Err(Refusal::KeyNotInForce));
    scope.check();
    scope.use_key(next).unwrap();
    assert_eq!(scope.code_ids(), [RecoveryId(3)]);
    assert_eq!(scope.recover(FIRST_CODE), Err(Refusal::CodeNotInForce));
    scope.check();
    // Recovers by the code that came with a key that was lost before its first use.
    let unused = scope.recover(RecoveryId(3)).unwrap();
    let again = scope.recover(RecoveryId(4)).unwrap();
    assert!(scope.keys[&unused].has_ended());
    assert_eq!(scope.code_ids(), [RecoveryId(4), RecoveryId(5)]);
    scope.use_key(again).unwrap();
    scope.check();
}

#[test]
fn recovering_with_the_code_of_a_renewal_puts_the_renewal_in_force() {
    let mut scope = KeysFixture::new();
    let renewed = scope.add(FIRST, OWNER, What::Renewal).unwrap();
    let key = scope.recover(RecoveryId(2)).unwrap();
    assert_eq!(
        (scope.account.key_epoch, scope.actors[&OWNER].key_epoch),
        (KeyEpoch(2), KeyEpoch(2))
    );
    assert!(scope.keys[&FIRST].has_ended() && scope.keys[&renewed].has_ended());
    assert_eq!(scope.code_ids(), [RecoveryId(2), RecoveryId(3)]);
    scope.check();
    scope.use_key(key).unwrap();
    scope.check();

    // The earlier code does not put the renewal in force, but removes the unused renewal.
    let mut scope = KeysFixture::new();
    let renewed = scope.add(FIRST, OWNER, What::Renewal).unwrap();
    scope.recover(FIRST_CODE).unwrap();
    assert_eq!(scope.account.key_epoch, KeyEpoch::FIRST);
    assert!(!scope.keys.contains_key(&renewed));
    assert_eq!(scope.code_ids(), [FIRST_CODE, RecoveryId(3)]);
    scope.check();
}

#[test]
fn renewing_the_recovery_code_ends_all_other_codes_at_once() {
    let mut scope = KeysFixture::new();
    let peer = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    let unseen = scope.add(FIRST, OWNER, What::Renewal).unwrap();
    let code = scope.renew_code(FIRST).unwrap();
    assert_eq!(scope.code_ids(), [code]);
    assert!(!scope.keys.contains_key(&unseen), "its code has ended");
    scope.check();
    assert_eq!(scope.renew_code(peer), Err(Refusal::OwnerOnly));
    for ended in [FIRST_CODE, RecoveryId(2)] {
        assert_eq!(scope.recover(ended), Err(Refusal::CodeNotInForce));
    }
    // A code that was made for an epoch that is no longer in force.
    let account_epoch = KeyEpoch(9);
    let new = NewCode { id: RecoveryId(9), lookup: LookupHash([6; 32]) };
    let early = RenewedCode { code: new, account_epoch, wraps: Vec::new() };
    let refused = scope.manage(FIRST, ManageAction::RenewCode(early));
    assert_eq!(refused, Err(Refusal::KeysRenewed(OWNER)));
    // A suspended account can be recovered, but its code can't be renewed.
    scope.account.status = AccountStatus::Suspended;
    assert_eq!(scope.renew_code(FIRST), Err(Refusal::Suspended));
    scope.recover(code).unwrap();
    scope.check();
}

#[test]
fn a_recovery_code_makes_keys_only_for_the_owner_and_the_current_epochs() {
    let mut scope = KeysFixture::new();
    let before = scope.clone();
    let (key, code) = scope.next_recovery(FIRST_CODE);
    let members = NewKey { actor: MEMBER, ..key.clone() };
    let early = NewKey { epoch: KeyEpoch(2), ..key };
    for (new, refusal) in [(members, Refusal::CodeNotInForce), (early, Refusal::KeysRenewed(OWNER))]
    {
        let action = RecoverAction::AddKey { new, code: code.clone() };
        assert_eq!(scope.by_code(FIRST_CODE, action), Err(refusal));
    }
    assert_eq!(format!("{scope:?}"), format!("{before:?}"));
}

#[test]
fn the_first_use_of_a_key_that_ends_others_is_audited_once() {
    for (what, replaced) in [(What::Rotation(60), Some(FIRST)), (What::Renewal, None)] {
        let mut scope = KeysFixture::new();
        let key = scope.add(FIRST, OWNER, what).unwrap();
        let (account, actor) = (scope.account.id, OWNER);
        let used = scope.system(SystemAction::UseKey { account, actor, key });
        let mut working_set = scope.load(std::slice::from_ref(&used));
        working_set.decide(used.clone()).unwrap();
        working_set.decide(used).unwrap();
        let audit_log: Vec<_> =
            working_set.into_write_set().audit_log.into_iter().map(|(_, it)| it.event).collect();
        let by_key =
            AuditEvent::of(AuditAction::KeySucceeded, KeyBearer { key, ..scope.bearer(FIRST) });
        assert_eq!(audit_log, [AuditEvent { subject_key: replaced, ..by_key.to_actor(OWNER) }]);
    }
    let mut scope = KeysFixture::new();
    let beside = scope.add(FIRST, OWNER, What::Beside).unwrap();
    let given = scope.account.last_ids.audit;
    scope.use_key(beside).unwrap();
    assert_eq!(scope.account.last_ids.audit, given);
}

#[test]
fn recoveries_and_renewed_codes_are_audited() {
    let scope = KeysFixture::new();
    let audit_log = |command: Command| {
        let mut working_set = scope.load(std::slice::from_ref(&command));
        working_set.decide(command).unwrap();
        working_set
            .into_write_set()
            .audit_log
            .into_iter()
            .map(|(_, entry)| entry.event)
            .collect::<Vec<_>>()
    };
    let (new, code) = scope.next_recovery(FIRST_CODE);
    let made = AuditEvent::of_program(AuditAction::RecoveryUsed).to_key(OWNER, new.id);
    let recovery = scope.recovering(FIRST_CODE, RecoverAction::AddKey { new, code });
    assert_eq!(audit_log(recovery), [made]);
    let code = NewCode { id: RecoveryId(2), lookup: LookupHash([6; 32]) };
    let account_epoch = scope.account.key_epoch;
    let renewed = RenewedCode { code, account_epoch, wraps: Vec::new() };
    let event = AuditEvent::of(AuditAction::RecoveryCodeRenewed, scope.bearer(FIRST));
    assert_eq!(audit_log(scope.managing(FIRST, ManageAction::RenewCode(renewed))), [event]);
}

/// A random action. Its numbers choose among the existing keys and actors.
#[derive(Debug, Clone)]
enum KeyEvent {
    Add(usize, bool, u8, i64),
    Use(usize),
    Revoke(usize, usize),
    Recover(usize),
    RenewCode(usize),
    SetActive(bool),
    Maintain,
    Wait(i64),
    SignIn(usize),
    SignOut(usize),
}

fn steps() -> impl Strategy<Value = Vec<KeyEvent>> {
    let any_key = || 0..8_usize;
    let add = (any_key(), any::<bool>(), 0..3_u8, prop_oneof![Just(0_i64), 1..100_i64]);
    let step = prop_oneof![
        6 => add.prop_map(|(shown, owners, what, grace)| KeyEvent::Add(shown, owners, what, grace)),
        6 => any_key().prop_map(KeyEvent::Use),
        3 => (any_key(), any_key()).prop_map(|(shown, key)| KeyEvent::Revoke(shown, key)),
        3 => any_key().prop_map(KeyEvent::Recover),
        1 => any_key().prop_map(KeyEvent::RenewCode),
        1 => any::<bool>().prop_map(KeyEvent::SetActive),
        1 => Just(KeyEvent::Maintain),
        1 => (1..100_i64).prop_map(KeyEvent::Wait),
        1 => (1..200_000_i64).prop_map(KeyEvent::Wait),
        4 => any_key().prop_map(KeyEvent::SignIn),
        1 => any_key().prop_map(KeyEvent::SignOut),
    ];
    proptest::collection::vec(step, 1..40)
}

impl KeysFixture {
    /// Chooses a key that admits its bearer, and uses it. The owner has at least one.
    fn pick(&mut self, index: usize) -> KeyId {
        let admitted = self.keys.values().filter(|key| self.is_let_in(key)).map(|key| key.id);
        let admitted: Vec<_> = admitted.collect();
        let key = admitted[index % admitted.len()];
        self.use_key(key).unwrap();
        key
    }

    fn step(&mut self, step: &KeyEvent) {
        match *step {
            KeyEvent::Add(shown, owners, what, grace) => {
                let shown = self.pick(shown);
                let actor = if owners { OWNER } else { MEMBER };
                // A refusal is fine: it changes nothing that this test checks.
                let _ = match what {
                    0 => self.add(shown, actor, What::Beside),
                    1 => self.add(shown, self.bearer(shown).actor, What::Rotation(grace)),
                    _ => self.add(shown, actor, What::Renewal),
                };
            }
            KeyEvent::Use(key) => drop(self.pick(key)),
            KeyEvent::Revoke(shown, key) => {
                let shown = self.pick(shown);
                let all: Vec<_> = self.keys.keys().copied().collect();
                let _ = self.manage(shown, ManageAction::RevokeKey(all[key % all.len()]));
            }
            KeyEvent::Recover(code) => {
                let codes = self.code_ids();
                self.recover(codes[code % codes.len()]).unwrap();
            }
            KeyEvent::RenewCode(shown) => {
                let shown = self.pick(shown);
                let _ = self.renew_code(shown);
            }
            KeyEvent::SetActive(is_active) => {
                let shown = self.pick(0);
                let is_active = Some(is_active);
                let patch = ManageAction::PatchActor { id: MEMBER, name: None, is_active };
                let _ = self.manage(shown, patch);
            }
            KeyEvent::Maintain => {
                let keys = self.keys.keys().copied().map(AnyKeyId::from);
                let sign_ins = self.sign_ins.keys().copied().map(AnyKeyId::from);
                let over = keys.chain(sign_ins).collect();
                let used = vec![(FIRST.into(), self.at)];
                let action = SystemAction::MaintainKeys { account: self.account.id, used, over };
                self.apply(self.system(action)).unwrap();
            }
            KeyEvent::Wait(seconds) => self.at = self.at.plus_seconds(seconds),
            KeyEvent::SignIn(key) => {
                let key = self.pick(key);
                self.sign_in(key).unwrap();
            }
            KeyEvent::SignOut(index) => {
                let standing: Vec<_> = self.sign_ins.keys().copied().collect();
                if !standing.is_empty() {
                    let id = standing[index % standing.len()];
                    // Its time may be over, or its key has ended.
                    let _ = self.sign_out(id);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn random_key_management_loses_no_key_and_locks_no_actor_out(steps in steps()) {
        let mut scope = KeysFixture::new();
        for step in &steps {
            scope.step(step);
            scope.check();
            scope.check_sign_ins();
        }
    }
}
