//! Actors, keys and codes: whatever is done to them, whoever should read all that was written can, and
//! nobody else gets in.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::key::{KEYS_MAX, Succession};
use crate::model::quota::{ACCOUNT_KEYS_MAX, ACTORS_MAX, RENEWALS_PER_DAY_MAX};
use crate::model::unit::{
    CodeBearer, KeyOrigin, Management, NewActor, NewCode, NewKey, RenewedCode, Reservation,
};

const OWNER: ActorId = ActorId(1);
const MEMBER: ActorId = ActorId(2);

/// A database of one account that loads what a batch needs, and no more.
#[derive(Debug, Clone)]
struct Desk {
    account: Account,
    actors: BTreeMap<ActorId, Actor>,
    keys: BTreeMap<KeyId, ApiKey>,
    codes: BTreeMap<RecoveryId, RecoveryCode>,
    wraps: BTreeSet<(WrapHolder, WrapSubject)>,
    at: Timestamp,
}

impl Desk {
    /// An account with an owner and its first key, and a member without one.
    fn new() -> Self {
        let mut books = directory(3);
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
        books.decide(program(found(founded))).unwrap();
        let mut desk = Self {
            account: account(id),
            actors: BTreeMap::new(),
            keys: BTreeMap::new(),
            codes: BTreeMap::new(),
            wraps: BTreeSet::new(),
            at: now(),
        };
        desk.write(books.into_changes());
        let wrap = wrapped(
            WrapHolder::Account(KeyEpoch::FIRST),
            WrapSubject::Actor(MEMBER, KeyEpoch::FIRST),
        );
        desk.manage(KeyId(1), Management::ReserveIds(Reservation::Actor)).unwrap();
        let new = NewActor {
            id: MEMBER,
            uid: uid(52),
            name: name("peer"),
            kind: ActorKind::Agent,
            account_epoch: KeyEpoch::FIRST,
            wraps: vec![wrap],
        };
        desk.manage(KeyId(1), Management::AddActor(new)).unwrap();
        desk
    }

    fn bearer(&self, key: KeyId) -> KeyBearer {
        let actor = self.keys.get(&key).map_or(OWNER, |key| key.actor);
        let auth_epoch = self.account.auth_epoch;
        let role = if actor == OWNER { Role::Owner } else { Role::Member };
        KeyBearer { account: self.account.id, actor, role, key, auth_epoch, ends_at: None }
    }

    fn unit(&self, author: Author, intent: Intent) -> UnitOfWork {
        UnitOfWork { author, at: self.at, ..program(intent) }
    }

    fn load(&self, units: &[UnitOfWork]) -> Books {
        let mut needs = Needs::of(units);
        let mut books = Books::default();
        books.load_account(self.account.clone());
        books.check_again(units, &mut needs);
        books.make_room(units, &mut needs);
        let home = self.account.id;
        if needs.codes.contains(&home) {
            self.codes.values().for_each(|code| books.load_code(home, code.clone()));
        }
        books.follow_codes(&mut needs);
        for key in self.keys.values() {
            let replaces = match key.succession {
                Some(Succession::Rotation { replaces, .. }) => Some(replaces),
                _ => None,
            };
            if needs.keys.contains(&(home, key.id))
                || replaces.is_some_and(|old| needs.keys_replaced.contains(&(home, old)))
                || needs.key_holders.contains(&(home, key.actor)) && !key.has_ended()
            {
                books.load_key(home, key.clone());
            }
        }
        let most = needs.ended_keys.get(&home).map_or(0, |most| usize::try_from(*most).unwrap());
        for key in self.keys.values().filter(|key| key.may_be_forgotten()).take(most) {
            books.load_key(home, key.clone());
        }
        for actor in self.actors.values().filter(|it| needs.actors.contains(&(home, it.id))) {
            books.load_actor(home, actor.clone());
        }
        books
    }

    fn write(&mut self, changes: Changes) {
        for account in changes.accounts_founded.into_iter().chain(changes.accounts_changed) {
            self.account = account;
        }
        self.actors.extend(changes.actors.written().map(|(_, row)| (row.id, row.clone())));
        self.keys.extend(changes.keys.written().map(|(_, row)| (row.id, row.clone())));
        self.codes.extend(changes.codes.written().map(|(_, row)| (row.id, row.clone())));
        for (_, id) in changes.keys.deleted {
            self.keys.remove(&id).unwrap();
        }
        for (_, id) in changes.codes.deleted {
            self.codes.remove(&id).unwrap();
        }
        self.wraps
            .retain(|(holder, _)| !changes.holders_emptied.contains(&(self.account.id, *holder)));
        for (_, wrap) in changes.wraps {
            assert!(self.wraps.insert((wrap.holder, wrap.subject)), "{wrap:?} stands already");
        }
    }

    fn apply(&mut self, unit: UnitOfWork) -> Result<AppliedRow, Refusal> {
        let mut books = self.load(std::slice::from_ref(&unit));
        let answer = books.decide(unit).map(|applied| {
            assert_eq!((applied.cost, applied.balance), (0, self.account.balance));
            applied.row
        });
        self.write(books.into_changes());
        answer
    }

    fn manage(&mut self, key: KeyId, management: Management) -> Result<AppliedRow, Refusal> {
        let author = Author::Key(self.bearer(key));
        self.apply(self.unit(author, Intent::Manage(Box::new(management))))
    }

    /// Uses a key as a caller does: for the first time it is noted.
    fn use_key(&mut self, id: KeyId) -> Result<AppliedRow, Refusal> {
        let actor = self.bearer(id).actor;
        let intent = Intent::UseKey { account: self.account.id, actor, key: id };
        self.apply(self.unit(Author::Program, intent))
    }

    /// The next key of an actor, with the wraps that the cryptography makes for it.
    fn next_key(&self, actor: ActorId, origin: KeyOrigin) -> NewKey {
        let id = KeyId(self.account.counters.key);
        let (before, account) = (self.actors[&actor].key_epoch, self.account.key_epoch);
        let (epoch, account_epoch) = match origin {
            KeyOrigin::Beside | KeyOrigin::Rotation { .. } | KeyOrigin::Recovery { .. } => {
                (before, account)
            }
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
        NewKey {
            id,
            actor,
            account_epoch,
            epoch,
            lookup: LookupHash([9; 32]),
            prefix: "roots_3_new".into(),
            label: None,
            expires_at: None,
            wraps,
            origin,
        }
    }

    /// Makes a key as `shown` asks for it.
    fn add(&mut self, shown: KeyId, actor: ActorId, what: What) -> Result<KeyId, Refusal> {
        let kinds = match what {
            What::Rotation(_) => Reservation::OwnKey,
            What::Renewal if actor == OWNER => Reservation::AccountRenewal(actor),
            What::Renewal => Reservation::Renewal(actor),
            What::Beside => Reservation::Key,
        };
        self.manage(shown, Management::ReserveIds(kinds))?;
        let code =
            NewCode { id: RecoveryId(self.account.counters.recovery), lookup: LookupHash([8; 32]) };
        let origin = match what {
            What::Beside => KeyOrigin::Beside,
            What::Rotation(grace_seconds) => KeyOrigin::Rotation { grace_seconds },
            What::Renewal if actor == OWNER => KeyOrigin::AccountRenewal { code },
            What::Renewal => KeyOrigin::Renewal,
        };
        let new = self.next_key(actor, origin);
        match self.manage(shown, Management::AddKey(new))? {
            AppliedRow::Key(key) => Ok(key.id),
            other => panic!("{other:?} is no key"),
        }
    }

    fn by_code(&mut self, code: RecoveryId, management: Management) -> Result<AppliedRow, Refusal> {
        let author = Author::Code(CodeBearer { account: self.account.id, code });
        self.apply(self.unit(author, Intent::Manage(Box::new(management))))
    }

    /// Uses a recovery code.
    fn recover(&mut self, by: RecoveryId) -> Result<KeyId, Refusal> {
        self.by_code(by, Management::ReserveIds(Reservation::KeyAndCode))?;
        let new = self.next_recovery(by);
        match self.by_code(by, Management::AddKey(new))? {
            AppliedRow::Key(key) => Ok(key.id),
            other => panic!("{other:?} is no key"),
        }
    }

    /// The key that a recovery code is used for, with the wraps that the cryptography makes for it and
    /// for the code that comes with it.
    fn next_recovery(&self, by: RecoveryId) -> NewKey {
        let counters = self.account.counters;
        let (id, code) = (KeyId(counters.key), RecoveryId(counters.recovery));
        let came_with = self.codes.get(&by).and_then(|code| self.keys.get(&code.comes_with?));
        let renews = came_with
            .is_some_and(|key| key.is_unseen() && key.succession == Some(Succession::Renewal));
        let of = |epoch: KeyEpoch| if renews { epoch.next() } else { epoch };
        let (epoch, account_epoch) =
            (of(self.actors[&OWNER].key_epoch), of(self.account.key_epoch));
        let mut wraps = under(WrapHolder::ApiKey(id), OWNER, epoch, Some(account_epoch));
        wraps.push(wrapped(WrapHolder::Recovery(code), WrapSubject::Account(account_epoch)));
        let code = NewCode { id: code, lookup: LookupHash([7; 32]) };
        NewKey {
            id,
            actor: OWNER,
            account_epoch,
            epoch,
            lookup: LookupHash([9; 32]),
            prefix: "roots_3_new".into(),
            label: None,
            expires_at: None,
            wraps,
            origin: KeyOrigin::Recovery { code },
        }
    }

    /// Makes a recovery code as `shown` asks for it.
    fn renew_code(&mut self, shown: KeyId) -> Result<RecoveryId, Refusal> {
        self.manage(shown, Management::ReserveIds(Reservation::Code))?;
        let (id, account_epoch) =
            (RecoveryId(self.account.counters.recovery), self.account.key_epoch);
        let wraps = vec![wrapped(WrapHolder::Recovery(id), WrapSubject::Account(account_epoch))];
        let code = NewCode { id, lookup: LookupHash([6; 32]) };
        let renewed = RenewedCode { code, account_epoch, wraps };
        self.manage(shown, Management::RenewCode(renewed)).map(|_| id)
    }

    fn code_ids(&self) -> Vec<RecoveryId> {
        self.codes.keys().copied().collect()
    }

    fn is_let_in(&self, key: &ApiKey) -> bool {
        key.in_force(self.at) && self.actors[&key.actor].is_active
    }

    /// What a holder leads to.
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

    /// What must hold whatever was done.
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
            // What a look at it tells of the epochs in force is right.
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
            key.actor == OWNER && self.is_let_in(key) && !key.is_unseen() && key.ends_at.is_none()
        };
        let is_recovered =
            |key: &ApiKey| key.is_unseen() && key.succession == Some(Succession::Recovery);
        let mut owners = self.keys.values();
        assert!(
            owners.any(|key| live(&key) || !key.has_ended() && is_recovered(key)),
            "the owner is locked out"
        );
        // A code that came with no unseen key opens all that there is.
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

/// What a key is asked for.
#[derive(Debug, Clone, Copy)]
enum What {
    Beside,
    Rotation(i64),
    Renewal,
}

fn directory(last: i64) -> Books {
    let mut books = Books::default();
    books.load_directory(Directory { last_account: last, accounts: 0 });
    books
}

fn wrapped(holder: WrapHolder, subject: WrapSubject) -> Wrap {
    Wrap { holder, subject, sealed: sealed("wrap") }
}

/// What an API key holds: its actor's key and, for the owner, the account's.
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
fn a_rotated_key_stays_until_the_new_one_is_used() {
    let mut desk = Desk::new();
    let (labelled, expiry) = (name("server"), at(9 * DAY_SECONDS));
    let first = desk.keys.get_mut(&FIRST).unwrap();
    (first.label, first.expires_at) = (Some(labelled.clone()), Some(expiry));
    let lost = desk.add(FIRST, OWNER, What::Rotation(0)).unwrap();
    let next = desk.add(FIRST, OWNER, What::Rotation(60)).unwrap();
    assert!(!desk.keys.contains_key(&lost), "the unseen one is replaced");
    assert_eq!(desk.use_key(lost), Err(Refusal::KeyNotInForce));
    let made = &desk.keys[&next];
    assert_eq!((made.label.as_ref(), made.expires_at), (Some(&labelled), Some(expiry)));
    let epoch = desk.account.auth_epoch;
    desk.at = desk.at.plus_seconds(1_000);
    desk.use_key(next).unwrap();
    assert_eq!(desk.account.auth_epoch, epoch + 1);
    assert_eq!(desk.keys[&FIRST].ends_at, Some(desk.at.plus_seconds(60)));
    desk.at = desk.at.plus_seconds(59);
    desk.use_key(next).unwrap();
    assert_eq!(desk.account.auth_epoch, epoch + 1, "only the first use tells");
    assert_eq!(desk.add(FIRST, OWNER, What::Rotation(0)), Err(Refusal::KeyInGrace));
    assert_eq!(desk.manage(FIRST, Management::RevokeKey(next)), Err(Refusal::KeyInGrace));
    let author = Author::Key(desk.bearer(FIRST));
    assert!(desk.apply(desk.unit(author, start())).is_ok_and(|row| row != AppliedRow::Deleted));
}

#[test]
fn a_key_in_grace_does_not_outlast_the_one_that_came_after_it() {
    for (first, second, left) in
        [(600, 0, None), (600, 60, Some(60)), (60, 600, Some(60)), (0, 600, None)]
    {
        let mut desk = Desk::new();
        let beside = desk.add(FIRST, OWNER, What::Beside).unwrap();
        let next = desk.add(FIRST, OWNER, What::Rotation(first)).unwrap();
        desk.use_key(next).unwrap();
        let begun = desk.at;
        let last = desk.add(next, OWNER, What::Rotation(second)).unwrap();
        // The rotation alone ends nothing.
        assert_eq!(desk.keys[&FIRST].has_ended(), first == 0);
        desk.use_key(last).unwrap();
        let end = left.map_or(ApiKey::ENDED, |seconds| begun.plus_seconds(seconds));
        assert_eq!(desk.keys[&FIRST].ends_at, Some(end), "{first} {second}");
        assert_eq!(desk.keys[&next].has_ended(), second == 0);
        assert_eq!(desk.keys[&beside].ends_at, None, "it is of another line");
        desk.check();
    }
}

#[test]
fn a_code_outlasts_the_key_that_it_came_with() {
    for way in 0..3 {
        let mut desk = Desk::new();
        let peer = desk.add(FIRST, MEMBER, What::Beside).unwrap();
        let renewed = desk.add(FIRST, OWNER, What::Renewal).unwrap();
        desk.keys.get_mut(&renewed).unwrap().expires_at = Some(desk.at.plus_seconds(60));
        desk.at = desk.at.plus_seconds(60);
        let (account, over) = (desk.account.id, vec![renewed]);
        let sweep = Intent::TendKeys { account, used: Vec::new(), over };
        desk.apply(desk.unit(Author::Program, sweep)).unwrap();
        assert!(desk.keys[&renewed].has_ended());
        let came_with = RecoveryId(2);
        assert_eq!(desk.code_ids(), [FIRST_CODE, came_with]);
        desk.check();
        match way {
            // It recovers, and puts the renewal in force.
            0 => {
                let key = desk.recover(came_with).unwrap();
                assert_eq!(desk.account.key_epoch, KeyEpoch(2));
                desk.check();
                desk.use_key(key).unwrap();
                assert!(!desk.code_ids().contains(&came_with));
            }
            // What is made in its place takes it away, as before.
            1 => {
                let key = desk.add(FIRST, OWNER, What::Renewal).unwrap();
                assert_eq!(desk.code_ids(), [FIRST_CODE, RecoveryId(3)]);
                desk.check();
                desk.use_key(key).unwrap();
                assert_eq!(desk.code_ids(), [RecoveryId(3)]);
            }
            _ => {
                desk.recover(FIRST_CODE).unwrap();
                assert_eq!(desk.account.key_epoch, KeyEpoch::FIRST);
                assert_eq!(desk.code_ids(), [FIRST_CODE, RecoveryId(3)]);
            }
        }
        assert!(!desk.keys[&peer].has_ended());
        desk.check();
    }
}

#[test]
fn an_actor_is_not_held_by_an_account_key_that_is_over() {
    let mut desk = Desk::new();
    let next = desk.add(FIRST, OWNER, What::Renewal).unwrap();
    desk.use_key(next).unwrap();
    desk.manage(next, Management::ReserveIds(Reservation::Actor)).unwrap();
    let new = |account_epoch| {
        let id = ActorId(3);
        let (holder, subject) =
            (WrapHolder::Account(account_epoch), WrapSubject::Actor(id, KeyEpoch::FIRST));
        Management::AddActor(NewActor {
            id,
            uid: uid(53),
            name: name("late"),
            kind: ActorKind::Agent,
            account_epoch,
            wraps: vec![wrapped(holder, subject)],
        })
    };
    let before = format!("{desk:?}");
    assert_eq!(desk.manage(next, new(KeyEpoch::FIRST)), Err(Refusal::KeysRenewed(OWNER)));
    assert_eq!(format!("{desk:?}"), before);
    desk.manage(next, new(KeyEpoch(2))).unwrap();
    desk.check();
}

#[test]
fn a_unit_that_waited_does_not_slip_in_behind_what_ended_its_key() {
    for way in 0..3 {
        let mut desk = Desk::new();
        let key = desk.add(FIRST, MEMBER, What::Beside).unwrap();
        let next = desk.add(key, MEMBER, What::Rotation(0)).unwrap();
        let late = UnitOfWork { charge: None, ..desk.unit(Author::Key(desk.bearer(key)), start()) };
        let boss = Author::Key(desk.bearer(FIRST));
        // By a clock that is ahead, and with the late one's behind.
        desk.at = desk.at.plus_seconds(10);
        let manage = |management| Intent::Manage(Box::new(management));
        let ending = match way {
            0 => desk.unit(boss, manage(Management::RevokeKey(key))),
            1 => {
                let is_active = Some(false);
                desk.unit(
                    boss,
                    manage(Management::PatchActor { id: MEMBER, name: None, is_active }),
                )
            }
            _ => {
                let (account, actor) = (desk.account.id, MEMBER);
                desk.unit(Author::Program, Intent::UseKey { account, actor, key: next })
            }
        };
        let mine = UnitOfWork { charge: None, ..desk.unit(boss, start()) };
        // In the same batch: the late one's auth epoch was right when the batch was loaded.
        let units = [ending.clone(), late.clone(), mine.clone()];
        let mut books = desk.load(&units);
        let answers = units.map(|unit| books.decide(unit).map(drop));
        assert_eq!(answers, [Ok(()), Err(Refusal::KeyNotInForce), Ok(())], "{way}");
        // And in a later one.
        desk.apply(ending).unwrap();
        let mut books = desk.load(std::slice::from_ref(&late));
        assert_eq!(books.decide(late), Err(Refusal::KeyNotInForce), "{way}");
    }
}

#[test]
fn a_key_is_not_made_for_an_epoch_that_is_over() {
    let mut desk = Desk::new();
    desk.manage(FIRST, Management::ReserveIds(Reservation::Key)).unwrap();
    let early = desk.next_key(MEMBER, KeyOrigin::Beside);
    desk.add(FIRST, MEMBER, What::Renewal).unwrap();
    let refused = desk.manage(FIRST, Management::AddKey(early));
    assert_eq!(refused, Err(Refusal::KeysRenewed(MEMBER)));

    let early = desk.next_key(MEMBER, KeyOrigin::Renewal);
    let next = desk.add(FIRST, OWNER, What::Renewal).unwrap();
    desk.use_key(next).unwrap();
    let refused = desk.manage(next, Management::AddKey(early));
    assert_eq!(refused, Err(Refusal::KeysRenewed(MEMBER)));
    desk.check();
}

#[test]
fn each_rule_has_its_refusal() {
    let mut desk = Desk::new();
    let own = desk.add(FIRST, MEMBER, What::Beside).unwrap();
    let patch = |id, is_active| Management::PatchActor { id, name: None, is_active };
    let stranger = ActorId(9);
    for (shown, management, refusal) in [
        (own, Management::ReserveIds(Reservation::Actor), Refusal::OwnerOnly),
        (own, Management::ReserveIds(Reservation::Key), Refusal::OwnerOnly),
        (own, patch(MEMBER, Some(true)), Refusal::OwnerOnly),
        (own, Management::AddKey(desk.next_key(MEMBER, KeyOrigin::Beside)), Refusal::OwnerOnly),
        (own, Management::RevokeKey(FIRST), Refusal::NotFound("key")),
        (FIRST, Management::RevokeKey(KeyId(99)), Refusal::NotFound("key")),
        (FIRST, Management::RevokeKey(FIRST), Refusal::LastOwnerKey),
        (FIRST, patch(OWNER, Some(false)), Refusal::OwnerStays),
        (FIRST, patch(stranger, None), Refusal::NotFound("actor")),
        (
            FIRST,
            Management::AddKey(NewKey {
                actor: stranger,
                ..desk.next_key(MEMBER, KeyOrigin::Beside)
            }),
            Refusal::NoSuchActor(stranger),
        ),
        (
            FIRST,
            Management::AddKey(NewKey {
                expires_at: Some(desk.at),
                ..desk.next_key(MEMBER, KeyOrigin::Beside)
            }),
            Refusal::ExpiryNotAhead,
        ),
    ] {
        let before = desk.clone();
        assert_eq!(desk.manage(shown, management), Err(refusal));
        assert_eq!(format!("{desk:?}"), format!("{before:?}"));
    }
    desk.manage(FIRST, patch(MEMBER, Some(false))).unwrap();
    assert_eq!(desk.add(FIRST, MEMBER, What::Beside), Err(Refusal::ActorInactive(MEMBER)));
    // What is suspended may only revoke.
    desk.account.status = AccountStatus::Suspended;
    assert_eq!(desk.add(FIRST, OWNER, What::Beside), Err(Refusal::Suspended));
    assert!(desk.manage(FIRST, Management::RevokeKey(own)).is_ok());
}

#[test]
fn an_actor_has_so_many_keys_in_force_at_most() {
    let mut desk = Desk::new();
    let own = desk.add(FIRST, MEMBER, What::Beside).unwrap();
    let template = desk.keys[&own].clone();
    let last = KeyId(i64::try_from(KEYS_MAX).unwrap() + 1);
    for id in (3..=last.0).map(KeyId) {
        desk.keys.insert(id, ApiKey { id, ..template.clone() });
    }
    desk.account.counters.key = last.0;
    let full = Err(Refusal::TooManyKeys(MEMBER));
    assert_eq!(desk.add(FIRST, MEMBER, What::Beside), full);
    assert_eq!(desk.add(own, MEMBER, What::Rotation(60)), full, "the old one would stay");
    // The limit is each actor's own, and keeps nobody from rotating or renewing.
    desk.add(FIRST, OWNER, What::Beside).unwrap();
    let next = desk.add(own, MEMBER, What::Rotation(0)).unwrap();
    desk.use_key(next).unwrap();
    assert_eq!(desk.add(FIRST, MEMBER, What::Beside), full);
    // Whatever has ended or expired makes room.
    desk.manage(FIRST, Management::RevokeKey(KeyId(3))).unwrap();
    desk.add(FIRST, MEMBER, What::Beside).unwrap();
    assert_eq!(desk.add(FIRST, MEMBER, What::Beside), full);
    desk.keys.get_mut(&KeyId(4)).unwrap().expires_at = Some(desk.at);
    desk.add(FIRST, MEMBER, What::Beside).unwrap();
    assert_eq!(desk.add(FIRST, MEMBER, What::Beside), full);
    desk.add(FIRST, MEMBER, What::Renewal).unwrap();
    assert_eq!(desk.keys.values().filter(|key| desk.is_let_in(key)).count(), 3);
}

#[test]
fn an_actor_is_renewed_24_times_a_day_and_the_next_is_refused_before_anything_is_made() {
    let mut desk = Desk::new();
    for actor in [MEMBER, OWNER] {
        for _ in 0..RENEWALS_PER_DAY_MAX {
            desk.add(FIRST, actor, What::Renewal).unwrap();
        }
        let before = desk.clone();
        let next_at = (desk.at.day().last_instant()).plus_seconds(1).day().first_instant();
        let wait_seconds = u32::try_from((next_at.micros() - desk.at.micros()) / 1_000_000);
        let wait_seconds = wait_seconds.unwrap();
        let refusal = Refusal::TooManyRenewals { actor, next_at, wait_seconds };
        assert_eq!(desk.add(FIRST, actor, What::Renewal), Err(refusal.clone()));
        let code = NewCode { id: RecoveryId(99), lookup: LookupHash([8; 32]) };
        let origin = match actor {
            OWNER => KeyOrigin::AccountRenewal { code },
            _ => KeyOrigin::Renewal,
        };
        let unreserved = Management::AddKey(desk.next_key(actor, origin));
        assert_eq!(desk.manage(FIRST, unreserved), Err(refusal));
        assert_eq!(format!("{desk:?}"), format!("{before:?}"));
    }
    desk.add(FIRST, MEMBER, What::Beside).unwrap();
    desk.at = desk.at.plus_seconds(DAY_SECONDS);
    desk.add(FIRST, MEMBER, What::Renewal).unwrap();
    desk.add(FIRST, OWNER, What::Renewal).unwrap();
    desk.check();
}

#[test]
fn an_account_has_so_many_actors_at_most() {
    let mut desk = Desk::new();
    desk.account.counters.actor = ACTORS_MAX - 1;
    desk.manage(FIRST, Management::ReserveIds(Reservation::Actor)).unwrap();
    let more = desk.manage(FIRST, Management::ReserveIds(Reservation::Actor));
    assert_eq!(more, Err(Refusal::TooManyActors));
    assert_eq!(desk.account.counters.actor, ACTORS_MAX);
}

#[test]
fn a_full_account_forgets_its_ended_key_with_the_lowest_id_for_a_new_one() {
    let mut desk = Desk::new();
    let keys = [(); 4].map(|()| desk.add(FIRST, MEMBER, What::Beside).unwrap());
    for ended in [keys[2], keys[1]] {
        desk.manage(FIRST, Management::RevokeKey(ended)).unwrap();
    }
    let missing = ACCOUNT_KEYS_MAX - desk.account.keys;
    assert_eq!(desk.account.keys, 5);
    desk.account.keys += missing;
    let kept = |desk: &Desk| {
        assert_eq!(desk.account.keys - missing, i64::try_from(desk.keys.len()).unwrap());
        keys.map(|id| desk.keys.contains_key(&id))
    };
    desk.add(FIRST, MEMBER, What::Beside).unwrap();
    assert_eq!(kept(&desk), [true, false, true, true]);
    let last = desk.add(FIRST, OWNER, What::Beside).unwrap();
    assert_eq!(kept(&desk), [true, false, false, true]);
    let full = Err(Refusal::TooManyAccountKeys);
    assert_eq!(desk.add(FIRST, MEMBER, What::Beside), full);
    assert_eq!(desk.add(keys[0], MEMBER, What::Rotation(60)), full, "the old one would stay");
    // It keeps nobody from rotating, and that leaves no rows behind.
    let mut shown = keys[0];
    for _ in 0..5 {
        let next = desk.add(shown, MEMBER, What::Rotation(0)).unwrap();
        desk.use_key(next).unwrap();
        shown = next;
        kept(&desk);
    }
    assert!(desk.account.keys <= ACCOUNT_KEYS_MAX + 1, "{}", desk.account.keys);
    // Nor from renewing and recovering.
    desk.add(FIRST, MEMBER, What::Renewal).unwrap();
    desk.recover(RecoveryId(1)).unwrap();
    assert!(desk.keys[&last].has_ended());
    kept(&desk);
}

#[test]
fn an_owners_renewal_comes_into_force_with_its_first_use() {
    let mut desk = Desk::new();
    let peer = desk.add(FIRST, MEMBER, What::Beside).unwrap();
    let lost = desk.add(FIRST, OWNER, What::Renewal).unwrap();
    let next = desk.add(FIRST, OWNER, What::Renewal).unwrap();
    assert_eq!(desk.account.key_epoch, KeyEpoch::FIRST);
    assert!(!desk.keys.contains_key(&lost) && desk.codes.len() == 2);
    desk.check();
    desk.use_key(next).unwrap();
    assert_eq!((desk.account.key_epoch, desk.actors[&OWNER].key_epoch), (KeyEpoch(2), KeyEpoch(2)));
    assert!(desk.keys[&FIRST].has_ended() && !desk.keys[&peer].has_ended());
    assert_eq!(desk.codes.values().map(|code| code.comes_with).collect::<Vec<_>>(), [Some(next)]);
    desk.check();
}

const FIRST_CODE: RecoveryId = RecoveryId(1);

#[test]
fn a_recovery_ends_the_owners_keys_at_once_and_the_code_with_its_first_use() {
    let mut desk = Desk::new();
    let peer = desk.add(FIRST, MEMBER, What::Beside).unwrap();
    let rotated = desk.add(FIRST, OWNER, What::Rotation(60)).unwrap();
    let epoch = desk.account.auth_epoch;
    let late = UnitOfWork { charge: None, ..desk.unit(Author::Key(desk.bearer(FIRST)), start()) };
    let lost = desk.recover(FIRST_CODE).unwrap();
    assert_eq!(desk.apply(late), Err(Refusal::KeyNotInForce));
    assert!(desk.keys[&FIRST].has_ended() && desk.keys[&rotated].has_ended());
    assert!(!desk.keys[&peer].has_ended());
    assert_eq!(desk.account.auth_epoch, epoch + 1);
    assert_eq!(desk.code_ids(), [FIRST_CODE, RecoveryId(2)]);
    desk.check();
    // Its answer was lost: the code is good still, and what nobody saw goes.
    let next = desk.recover(FIRST_CODE).unwrap();
    assert!(!desk.keys.contains_key(&lost));
    assert_eq!(desk.code_ids(), [FIRST_CODE, RecoveryId(3)]);
    assert_eq!(desk.use_key(lost), Err(Refusal::KeyNotInForce));
    desk.check();
    desk.use_key(next).unwrap();
    assert_eq!(desk.code_ids(), [RecoveryId(3)]);
    assert_eq!(desk.recover(FIRST_CODE), Err(Refusal::CodeNotInForce));
    desk.check();
    // The code that came with a key which was never used, the key being lost.
    let unused = desk.recover(RecoveryId(3)).unwrap();
    let again = desk.recover(RecoveryId(4)).unwrap();
    assert!(desk.keys[&unused].has_ended());
    assert_eq!(desk.code_ids(), [RecoveryId(4), RecoveryId(5)]);
    desk.use_key(again).unwrap();
    desk.check();
}

#[test]
fn the_code_of_a_renewal_puts_it_in_force() {
    let mut desk = Desk::new();
    let renewed = desk.add(FIRST, OWNER, What::Renewal).unwrap();
    let key = desk.recover(RecoveryId(2)).unwrap();
    assert_eq!((desk.account.key_epoch, desk.actors[&OWNER].key_epoch), (KeyEpoch(2), KeyEpoch(2)));
    assert!(desk.keys[&FIRST].has_ended() && desk.keys[&renewed].has_ended());
    assert_eq!(desk.code_ids(), [RecoveryId(2), RecoveryId(3)]);
    desk.check();
    desk.use_key(key).unwrap();
    desk.check();

    // The one before it does not: the renewal was never seen, and goes.
    let mut desk = Desk::new();
    let renewed = desk.add(FIRST, OWNER, What::Renewal).unwrap();
    desk.recover(FIRST_CODE).unwrap();
    assert_eq!(desk.account.key_epoch, KeyEpoch::FIRST);
    assert!(!desk.keys.contains_key(&renewed));
    assert_eq!(desk.code_ids(), [FIRST_CODE, RecoveryId(3)]);
    desk.check();
}

#[test]
fn a_renewed_code_is_the_only_one_at_once() {
    let mut desk = Desk::new();
    let peer = desk.add(FIRST, MEMBER, What::Beside).unwrap();
    let unseen = desk.add(FIRST, OWNER, What::Renewal).unwrap();
    let code = desk.renew_code(FIRST).unwrap();
    assert_eq!(desk.code_ids(), [code]);
    assert!(!desk.keys.contains_key(&unseen), "its code has ended");
    desk.check();
    assert_eq!(desk.renew_code(peer), Err(Refusal::OwnerOnly));
    for ended in [FIRST_CODE, RecoveryId(2)] {
        assert_eq!(desk.recover(ended), Err(Refusal::CodeNotInForce));
    }
    // One that was made for an epoch that is over.
    let account_epoch = KeyEpoch(9);
    let new = NewCode { id: RecoveryId(9), lookup: LookupHash([6; 32]) };
    let early = RenewedCode { code: new, account_epoch, wraps: Vec::new() };
    let refused = desk.manage(FIRST, Management::RenewCode(early));
    assert_eq!(refused, Err(Refusal::KeysRenewed(OWNER)));
    // What is suspended is recovered, and nothing else.
    desk.account.status = AccountStatus::Suspended;
    assert_eq!(desk.renew_code(FIRST), Err(Refusal::Suspended));
    desk.recover(code).unwrap();
    desk.check();
}

#[test]
fn a_code_recovers_and_does_nothing_else() {
    let mut desk = Desk::new();
    let before = desk.clone();
    let beside = NewKey { origin: KeyOrigin::Beside, ..desk.next_recovery(FIRST_CODE) };
    let members = NewKey { actor: MEMBER, ..desk.next_recovery(FIRST_CODE) };
    for management in [
        Management::ReserveIds(Reservation::Actor),
        Management::ReserveIds(Reservation::Key),
        Management::RevokeKey(FIRST),
        Management::AddKey(beside),
        Management::AddKey(members),
    ] {
        assert_eq!(desk.by_code(FIRST_CODE, management), Err(Refusal::CodeNotInForce));
    }
    let author = Author::Code(CodeBearer { account: desk.account.id, code: FIRST_CODE });
    assert_eq!(desk.apply(desk.unit(author, start())), Err(Refusal::CodeNotInForce));
    let early = NewKey { epoch: KeyEpoch(2), ..desk.next_recovery(FIRST_CODE) };
    let refused = desk.by_code(FIRST_CODE, Management::AddKey(early));
    assert_eq!(refused, Err(Refusal::KeysRenewed(OWNER)));
    // And a key does not recover.
    let by_key = Management::AddKey(desk.next_recovery(FIRST_CODE));
    assert_eq!(desk.manage(FIRST, by_key), Err(Refusal::KeyNotInForce));
    assert_eq!(format!("{desk:?}"), format!("{before:?}"));
}

#[test]
fn the_first_use_of_a_key_that_ends_others_is_noted_once() {
    for (what, replaced) in [(What::Rotation(60), Some(FIRST)), (What::Renewal, None)] {
        let mut desk = Desk::new();
        let key = desk.add(FIRST, OWNER, what).unwrap();
        let (account, actor) = (desk.account.id, OWNER);
        let used = desk.unit(Author::Program, Intent::UseKey { account, actor, key });
        let mut books = desk.load(std::slice::from_ref(&used));
        books.decide(used.clone()).unwrap();
        books.decide(used).unwrap();
        let trail: Vec<_> = books.into_changes().trail.into_iter().map(|(_, it)| it.deed).collect();
        let by_key = Deed::of(Act::KeySucceeded, KeyBearer { key, ..desk.bearer(FIRST) });
        assert_eq!(trail, [Deed { subject_key: replaced, ..by_key.to_actor(OWNER) }]);
    }
    let mut desk = Desk::new();
    let beside = desk.add(FIRST, OWNER, What::Beside).unwrap();
    let given = desk.account.counters.audit;
    desk.use_key(beside).unwrap();
    assert_eq!(desk.account.counters.audit, given);
}

#[test]
fn recoveries_and_new_codes_are_noted() {
    let desk = Desk::new();
    let trail = |author: Author, management: Management| {
        let unit = desk.unit(author, Intent::Manage(Box::new(management)));
        let mut books = desk.load(std::slice::from_ref(&unit));
        books.decide(unit).unwrap();
        books.into_changes().trail.into_iter().map(|(_, entry)| entry.deed).collect::<Vec<_>>()
    };
    let new = desk.next_recovery(FIRST_CODE);
    let made = Deed::of_program(Act::RecoveryUsed).to_key(OWNER, new.id);
    let by_code = Author::Code(CodeBearer { account: desk.account.id, code: FIRST_CODE });
    assert_eq!(trail(by_code, Management::AddKey(new)), [made]);
    let owner = desk.bearer(FIRST);
    let code = NewCode { id: RecoveryId(2), lookup: LookupHash([6; 32]) };
    let account_epoch = desk.account.key_epoch;
    let renewed = RenewedCode { code, account_epoch, wraps: Vec::new() };
    let deed = Deed::of(Act::RecoveryCodeRenewed, owner);
    assert_eq!(trail(Author::Key(owner), Management::RenewCode(renewed)), [deed]);
}

/// Something that may happen to keys; those and the actors are picked from what there is.
#[derive(Debug, Clone)]
enum Step {
    Add(usize, bool, u8, i64),
    Use(usize),
    Revoke(usize, usize),
    Recover(usize),
    RenewCode(usize),
    SetActive(bool),
    Tend,
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any_key = || 0..8_usize;
    let add = (any_key(), any::<bool>(), 0..3_u8, prop_oneof![Just(0_i64), 1..100_i64]);
    let step = prop_oneof![
        6 => add.prop_map(|(shown, owners, what, grace)| Step::Add(shown, owners, what, grace)),
        6 => any_key().prop_map(Step::Use),
        3 => (any_key(), any_key()).prop_map(|(shown, key)| Step::Revoke(shown, key)),
        3 => any_key().prop_map(Step::Recover),
        1 => any_key().prop_map(Step::RenewCode),
        1 => any::<bool>().prop_map(Step::SetActive),
        1 => Just(Step::Tend),
        1 => (1..100_i64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..40)
}

impl Desk {
    /// One of the keys that admit their bearer, which is then used. The owner has one at least, seen or
    /// not.
    fn pick(&mut self, index: usize) -> KeyId {
        let admitted = self.keys.values().filter(|key| self.is_let_in(key)).map(|key| key.id);
        let admitted: Vec<_> = admitted.collect();
        let key = admitted[index % admitted.len()];
        self.use_key(key).unwrap();
        key
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Add(shown, owners, what, grace) => {
                let shown = self.pick(shown);
                let actor = if owners { OWNER } else { MEMBER };
                // Refusals change nothing that matters here.
                let _ = match what {
                    0 => self.add(shown, actor, What::Beside),
                    1 => self.add(shown, self.bearer(shown).actor, What::Rotation(grace)),
                    _ => self.add(shown, actor, What::Renewal),
                };
            }
            Step::Use(key) => drop(self.pick(key)),
            Step::Revoke(shown, key) => {
                let shown = self.pick(shown);
                let all: Vec<_> = self.keys.keys().copied().collect();
                let _ = self.manage(shown, Management::RevokeKey(all[key % all.len()]));
            }
            Step::Recover(code) => {
                let codes = self.code_ids();
                self.recover(codes[code % codes.len()]).unwrap();
            }
            Step::RenewCode(shown) => {
                let shown = self.pick(shown);
                let _ = self.renew_code(shown);
            }
            Step::SetActive(is_active) => {
                let shown = self.pick(0);
                let is_active = Some(is_active);
                let patch = Management::PatchActor { id: MEMBER, name: None, is_active };
                let _ = self.manage(shown, patch);
            }
            Step::Tend => {
                let over = self.keys.keys().copied().collect();
                let used = vec![(FIRST, self.at)];
                let intent = Intent::TendKeys { account: self.account.id, used, over };
                self.apply(self.unit(Author::Program, intent)).unwrap();
            }
            Step::Wait(seconds) => self.at = self.at.plus_seconds(seconds),
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_done_to_keys_nothing_is_lost_and_nobody_is_locked_out(steps in steps()) {
        let mut desk = Desk::new();
        for step in &steps {
            desk.step(step);
            desk.check();
        }
    }
}
