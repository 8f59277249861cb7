//! Sign-ins: who may sign in, what a sign-in may do, and what ends it.

use super::*;
use crate::command::{NewSignIn, SignInAction};
use crate::model::sign_in::{OpenerEnd, SIGN_INS_MAX, Stay};

const HOUR: i64 = 3_600;

impl KeysFixture {
    fn signing(&self, bearer: KeyBearer, action: SignInAction) -> Command {
        self.command(Action::SignIn(bearer, action))
    }

    fn opening(&self, key: KeyId) -> SignInAction {
        let actor = self.bearer(key).actor;
        let (id, epoch) = (SignInId(self.account.last_ids.sign_in), self.actors[&actor].key_epoch);
        let owners = (actor == OWNER).then_some(self.account.key_epoch);
        SignInAction::Open(NewSignIn {
            id,
            account_epoch: self.account.key_epoch,
            epoch,
            lookup: LookupHash([5; 32]),
            label: None,
            stay: Stay::Usual,
            wraps: under(WrapHolder::Browser(id), actor, epoch, owners),
        })
    }

    /// Signs in with a key.
    pub(super) fn sign_in(&mut self, key: KeyId) -> Result<SignInId, Refusal> {
        self.apply(self.signing(self.bearer(key), SignInAction::ReserveId))?;
        match self.apply(self.signing(self.bearer(key), self.opening(key)))? {
            AppliedRow::SignIn(sign_in) => Ok(sign_in.id),
            other => panic!("{other:?} is no sign-in"),
        }
    }

    /// The bearer of the browser key of a sign-in.
    fn browser(&self, id: SignInId) -> KeyBearer {
        let opener = self.sign_ins.get(&id).map_or(FIRST, |sign_in| sign_in.opener);
        KeyBearer { sign_in: Some(id), ..self.bearer(opener) }
    }

    /// Signs out.
    pub(super) fn sign_out(&mut self, id: SignInId) -> Result<AppliedRow, Refusal> {
        self.apply(self.signing(self.browser(id), SignInAction::End(id)))
    }

    fn starting_on_page(&self, bearer: KeyBearer) -> Command {
        let actor = bearer.actor;
        let action = ResourceAction::StartSession { actor, uid: uid(1), notes: None };
        self.command(Action::Resource(bearer, action))
    }

    /// Starts a session on the pages.
    fn write_by(&mut self, id: SignInId) -> Result<(), Refusal> {
        let bearer = self.browser(id);
        let command = self.starting_on_page(bearer);
        self.load(std::slice::from_ref(&command)).decide(command).map(drop)
    }

    fn maintain(&mut self, used: Vec<(AnyKeyId, Timestamp)>, over: Vec<AnyKeyId>) {
        let account = self.account.id;
        self.apply(self.system(SystemAction::MaintainKeys { account, used, over })).unwrap();
    }

    /// Asserts the invariants of sign-ins.
    pub(super) fn check_sign_ins(&self) {
        for actor in self.actors.values() {
            let theirs = self.sign_ins.values().filter(|sign_in| sign_in.actor == actor.id);
            assert!(theirs.count() <= SIGN_INS_MAX);
        }
        for sign_in in self.sign_ins.values() {
            if sign_in.ended.is_some() {
                assert!(sign_in.wraps.is_empty(), "{sign_in:?} opens nothing any more");
                continue;
            }
            let opener = &self.keys[&sign_in.opener];
            assert!(!opener.has_ended(), "{sign_in:?} ended with {opener:?}");
            let actor = &self.actors[&sign_in.actor];
            assert!(actor.is_active && opener.actor == actor.id);
            if self.is_let_in(opener) {
                let owners = (actor.id == OWNER).then_some(self.account.key_epoch);
                let holder = WrapHolder::Browser(sign_in.id);
                assert_eq!(sign_in.wraps, under(holder, actor.id, actor.key_epoch, owners));
            }
        }
    }
}

#[test]
fn whoever_has_a_key_in_force_may_sign_in() {
    let mut scope = KeysFixture::new();
    let member = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    scope.account.status = AccountStatus::Suspended;
    let of_owner = scope.sign_in(FIRST).unwrap();
    let of_member = scope.sign_in(member).unwrap();
    scope.account.status = AccountStatus::Active;
    // In its grace a key manages no keys, but still opens the pages.
    let next = scope.add(member, MEMBER, What::Rotation(60)).unwrap();
    scope.use_key(next).unwrap();
    assert!(matches!(scope.keys[&member].status, KeyStatus::InGrace { .. }));
    let refused = scope.manage(member, ManageAction::RevokeKey(next));
    assert_eq!(refused, Err(Refusal::KeyInGrace));
    let in_grace = scope.sign_in(member).unwrap();
    assert_eq!([of_owner, of_member, in_grace].map(|id| id.0), [1, 2, 3]);
    for id in [of_owner, of_member, in_grace] {
        assert_eq!(scope.write_by(id), Ok(()));
    }
    scope.check_sign_ins();
    // No key was made.
    assert_eq!(scope.account.keys, i64::try_from(scope.keys.len()).unwrap());
}

#[test]
fn a_browser_key_does_what_its_actor_may_but_manages_no_keys() {
    let mut scope = KeysFixture::new();
    let peer = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    let browser = scope.sign_in(FIRST).unwrap();
    let bearer = scope.browser(browser);
    let code = NewCode { id: RecoveryId(2), lookup: LookupHash([6; 32]) };
    let renewed = RenewedCode { code, account_epoch: KeyEpoch::FIRST, wraps: Vec::new() };
    let patch =
        |is_active| ManageAction::PatchActor { id: MEMBER, name: Some(name("renamed")), is_active };
    let erase = ManageAction::EraseAccount { code: LookupHash([1; 32]) };
    let export = TransferAction::NoteExport { actor: None };
    for action in [
        Action::Manage(bearer, ManageAction::ReserveIds(Reservation::Key)),
        Action::Manage(bearer, ManageAction::ReserveIds(Reservation::OwnKey)),
        Action::Manage(bearer, ManageAction::ReserveIds(Reservation::Code)),
        Action::Manage(bearer, ManageAction::ReserveIds(Reservation::Renewal(MEMBER))),
        Action::Manage(bearer, scope.next_key(OWNER, KeyOrigin::Beside)),
        Action::Manage(bearer, scope.next_key(MEMBER, KeyOrigin::Renewal)),
        Action::Manage(bearer, scope.next_key(OWNER, KeyOrigin::Rotation { grace_seconds: 0 })),
        Action::Manage(bearer, ManageAction::RevokeKey(peer)),
        Action::Manage(bearer, ManageAction::RenewCode(renewed)),
        Action::Manage(bearer, patch(Some(false))),
        Action::Manage(bearer, erase),
        Action::Transfer(bearer, export),
        Action::SignIn(bearer, SignInAction::ReserveId),
        Action::SignIn(bearer, scope.opening(FIRST)),
    ] {
        assert!(action.needs_api_key());
        let before = (scope.account.clone(), scope.sign_ins.clone());
        assert_eq!(scope.apply(scope.command(action)), Err(Refusal::NeedsApiKey));
        assert_eq!((scope.account.clone(), scope.sign_ins.clone()), before);
    }
    for action in [
        Action::Resource(bearer, start()),
        Action::Manage(bearer, ManageAction::ReserveIds(Reservation::Actor)),
        Action::Manage(bearer, patch(Some(true))),
        Action::SignIn(bearer, SignInAction::End(SignInId(99))),
    ] {
        assert!(!action.needs_api_key());
    }
    let applied = scope.apply(scope.command(Action::Manage(bearer, patch(None)))).unwrap();
    assert!(matches!(applied, AppliedRow::Actor(actor) if actor.name == name("renamed")));
}

#[test]
fn a_sign_in_ends_with_the_key_that_opened_it_in_the_same_write() {
    type End = fn(&mut KeysFixture, KeyId);
    let revoked: End = |scope, key| {
        scope.manage(FIRST, ManageAction::RevokeKey(key)).unwrap();
    };
    let deactivated: End = |scope, _| {
        let is_active = Some(false);
        let patch = ManageAction::PatchActor { id: MEMBER, name: None, is_active };
        scope.manage(FIRST, patch).unwrap();
    };
    let renewed: End = |scope, _| {
        scope.add(FIRST, MEMBER, What::Renewal).unwrap();
    };
    let rotated: End = |scope, key| {
        let next = scope.add(key, MEMBER, What::Rotation(0)).unwrap();
        scope.use_key(next).unwrap();
    };
    let grace_over: End = |scope, key| {
        let next = scope.add(key, MEMBER, What::Rotation(60)).unwrap();
        scope.use_key(next).unwrap();
        scope.at = scope.at.plus_seconds(60);
        scope.maintain(Vec::new(), vec![key.into()]);
    };
    let expired: End = |scope, key| {
        scope.keys.get_mut(&key).unwrap().expires_at = Some(scope.at.plus_seconds(60));
        scope.at = scope.at.plus_seconds(60);
        scope.maintain(Vec::new(), vec![key.into()]);
    };
    for (end, how) in [
        (revoked, OpenerEnd::Ended),
        (deactivated, OpenerEnd::Ended),
        (renewed, OpenerEnd::Ended),
        (rotated, OpenerEnd::Rotated),
        (grace_over, OpenerEnd::Rotated),
        (expired, OpenerEnd::Ended),
    ] {
        let mut scope = KeysFixture::new();
        let key = scope.add(FIRST, MEMBER, What::Beside).unwrap();
        let other = scope.sign_in(FIRST).unwrap();
        let opened = scope.sign_in(key).unwrap();
        assert_eq!(scope.write_by(opened), Ok(()));
        end(&mut scope, key);
        let ended = &scope.sign_ins[&opened];
        assert_eq!((ended.ended, ended.wraps.as_slice()), (Some(how), [].as_slice()));
        assert_eq!(scope.write_by(opened), Err(Refusal::KeyNotInForce));
        assert_eq!(scope.sign_out(opened), Err(Refusal::KeyNotInForce));
        assert_eq!(scope.write_by(other), Ok(()));
        scope.check_sign_ins();
    }
}

#[test]
fn the_owners_sign_ins_end_with_a_recovery_and_a_renewal() {
    let mut scope = KeysFixture::new();
    let opened = scope.sign_in(FIRST).unwrap();
    scope.recover(FIRST_CODE).unwrap();
    assert_eq!(scope.sign_ins[&opened].ended, Some(OpenerEnd::Ended));
    let mut scope = KeysFixture::new();
    let opened = scope.sign_in(FIRST).unwrap();
    let renewed = scope.add(FIRST, OWNER, What::Renewal).unwrap();
    assert_eq!(scope.sign_ins[&opened].ended, None);
    scope.use_key(renewed).unwrap();
    assert_eq!(scope.sign_ins[&opened].ended, Some(OpenerEnd::Ended));
    let opened = scope.sign_in(renewed).unwrap();
    assert_eq!(scope.write_by(opened), Ok(()));
    scope.check_sign_ins();
}

#[test]
fn a_key_in_its_grace_takes_its_sign_ins_along_when_the_grace_is_over() {
    let mut scope = KeysFixture::new();
    let opened = scope.sign_in(FIRST).unwrap();
    let next = scope.add(FIRST, OWNER, What::Rotation(60)).unwrap();
    let before = scope.browser(opened);
    scope.use_key(next).unwrap();
    assert_eq!(scope.write_by(opened), Ok(()));
    scope.at = scope.at.plus_seconds(60);
    // Nothing has swept the key yet, and the bearer was admitted before the rotation.
    let command = scope.starting_on_page(before);
    let refused = scope.load(std::slice::from_ref(&command)).decide(command);
    assert_eq!(refused.map(drop), Err(Refusal::KeyNotInForce));
    let validity = scope.keys[&FIRST].validity();
    let stands = scope.sign_ins[&opened].admits_until(&validity, scope.at);
    assert_eq!(stands, Err(crate::model::sign_in::SignInEnd::KeyRotated));
}

#[test]
fn ending_a_sign_in_moves_its_own_epoch_and_leaves_every_key_as_it_is() {
    let mut scope = KeysFixture::new();
    let member = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    let (first, second) = (scope.sign_in(FIRST).unwrap(), scope.sign_in(FIRST).unwrap());
    let of_member = scope.sign_in(member).unwrap();
    let (epoch, keys) = (scope.account.auth_epoch, scope.keys.clone());
    assert_eq!(scope.account.sign_in_epoch, 0);
    scope.sign_out(first).unwrap();
    assert!(!scope.sign_ins.contains_key(&first));
    assert_eq!(scope.sign_out(first), Err(Refusal::KeyNotInForce));
    // A member ends its own, the owner any.
    let by_member = scope.signing(scope.browser(of_member), SignInAction::End(second));
    assert_eq!(scope.apply(by_member), Err(Refusal::NotFound("sign-in")));
    let all = SignInAction::EndAll(OWNER);
    let by_member = scope.signing(scope.browser(of_member), all);
    assert_eq!(scope.apply(by_member), Err(Refusal::OwnerOnly));
    let by_owner = scope.signing(scope.browser(second), SignInAction::End(of_member));
    scope.apply(by_owner).unwrap();
    assert_eq!(scope.sign_ins.keys().copied().collect::<Vec<_>>(), [second]);
    let again = scope.sign_in(FIRST).unwrap();
    let by_owner = scope.signing(scope.browser(again), SignInAction::EndAll(OWNER));
    scope.apply(by_owner).unwrap();
    assert!(scope.sign_ins.is_empty());
    assert_eq!(scope.account.sign_in_epoch, 4);
    assert_eq!((scope.account.auth_epoch, &scope.keys), (epoch, &keys));
    // The last key of the owner is not the last way in, but still its last key.
    scope.sign_in(FIRST).unwrap();
    let revoked = scope.manage(FIRST, ManageAction::RevokeKey(FIRST));
    assert_eq!(revoked, Err(Refusal::LastOwnerKey));
}

#[test]
fn the_sign_in_that_was_unused_for_longest_gives_way() {
    let mut scope = KeysFixture::new();
    let member = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    let of_member = scope.sign_in(member).unwrap();
    let mut made = Vec::new();
    for _ in 0..SIGN_INS_MAX {
        scope.at = scope.at.plus_seconds(1);
        made.push(scope.sign_in(FIRST).unwrap());
    }
    scope.at = scope.at.plus_seconds(1);
    scope.maintain(vec![(made[0].into(), scope.at)], Vec::new());
    scope.sign_in(FIRST).unwrap();
    assert!(scope.sign_ins.contains_key(&made[0]) && !scope.sign_ins.contains_key(&made[1]));
    assert!(scope.sign_ins.contains_key(&of_member));
    // One whose key has ended stands in nobody's way.
    let beside = scope.add(FIRST, OWNER, What::Beside).unwrap();
    let opened = scope.sign_in(beside).unwrap();
    scope.manage(FIRST, ManageAction::RevokeKey(beside)).unwrap();
    scope.sign_in(FIRST).unwrap();
    assert!(!scope.sign_ins.contains_key(&opened));
    assert!(scope.sign_ins.contains_key(&made[3]) && !scope.sign_ins.contains_key(&made[2]));
    scope.check_sign_ins();
}

#[test]
fn a_sign_in_is_swept_when_its_time_is_over_and_not_before() {
    let mut scope = KeysFixture::new();
    let opened = scope.sign_in(FIRST).unwrap();
    let sweep = |scope: &mut KeysFixture| scope.maintain(Vec::new(), vec![opened.into()]);
    scope.at = scope.at.plus_seconds(12 * HOUR - 1);
    sweep(&mut scope);
    assert_eq!(scope.write_by(opened), Ok(()));
    scope.maintain(vec![(opened.into(), scope.at)], Vec::new());
    scope.at = scope.at.plus_seconds(12 * HOUR - 1);
    sweep(&mut scope);
    assert_eq!(scope.write_by(opened), Ok(()));
    scope.at = scope.at.plus_seconds(1);
    assert_eq!(scope.write_by(opened), Err(Refusal::KeyNotInForce));
    sweep(&mut scope);
    assert!(scope.sign_ins.is_empty());
    // Time ends no key, and a late use brings nothing back.
    scope.maintain(vec![(opened.into(), scope.at)], Vec::new());
    assert!(scope.sign_ins.is_empty());
    assert_eq!(scope.account.sign_in_epoch, 0);
}

#[test]
fn a_sign_in_under_keys_that_were_renewed_meanwhile_is_refused() {
    let mut scope = KeysFixture::new();
    let member = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    scope.apply(scope.signing(scope.bearer(member), SignInAction::ReserveId)).unwrap();
    let SignInAction::Open(new) = scope.opening(member) else { panic!("it opens") };
    let later = NewSignIn { epoch: new.epoch.next(), ..new.clone() };
    let opening = scope.signing(scope.bearer(member), SignInAction::Open(later));
    assert_eq!(scope.apply(opening), Err(Refusal::KeysRenewed(MEMBER)));
    let command = scope.signing(scope.bearer(member), SignInAction::Open(new));
    scope.add(FIRST, MEMBER, What::Renewal).unwrap();
    assert_eq!(scope.apply(command), Err(Refusal::KeyNotInForce));
}

#[test]
fn signing_in_and_out_is_audited_with_the_key_that_opened_it() {
    let mut scope = KeysFixture::new();
    let audit_log = |scope: &mut KeysFixture, command: Command| {
        let mut working_set = scope.load(std::slice::from_ref(&command));
        working_set.decide(command).unwrap();
        let write_set = working_set.into_write_set();
        let log: Vec<_> = write_set.audit_log.iter().map(|(_, entry)| entry.event).collect();
        scope.write(write_set);
        log
    };
    scope.apply(scope.signing(scope.bearer(FIRST), SignInAction::ReserveId)).unwrap();
    let by = |action| AuditEvent::of(action, scope.bearer(FIRST)).to_actor(OWNER);
    let (signed_in, out, ended) =
        (by(AuditAction::SignedIn), by(AuditAction::SignedOut), by(AuditAction::SignInsEnded));
    let open = scope.signing(scope.bearer(FIRST), scope.opening(FIRST));
    assert_eq!(audit_log(&mut scope, open), [signed_in]);
    let sign_out = scope.signing(scope.browser(SignInId(1)), SignInAction::End(SignInId(1)));
    assert_eq!(audit_log(&mut scope, sign_out), [out]);
    let [first, second] = [(); 2].map(|()| scope.sign_in(FIRST).unwrap());
    let end = scope.signing(scope.browser(first), SignInAction::End(second));
    assert_eq!(audit_log(&mut scope, end), [ended]);
    let end_all = |scope: &KeysFixture, bearer| scope.signing(bearer, SignInAction::EndAll(OWNER));
    let all = end_all(&scope, scope.browser(first));
    assert_eq!(audit_log(&mut scope, all), [ended]);
    // There is nothing to end, so nothing to note.
    let none = end_all(&scope, scope.bearer(FIRST));
    assert_eq!(audit_log(&mut scope, none), []);
}

#[test]
fn in_one_batch_a_sign_in_ends_with_its_key_and_a_key_that_ended_opens_none() {
    let mut scope = KeysFixture::new();
    let key = scope.add(FIRST, MEMBER, What::Beside).unwrap();
    scope.apply(scope.signing(scope.bearer(key), SignInAction::ReserveId)).unwrap();
    let open = scope.signing(scope.bearer(key), scope.opening(key));
    let revoke = scope.managing(FIRST, ManageAction::RevokeKey(key));
    let batch = [open.clone(), revoke.clone(), open];
    let mut working_set = scope.load(&batch);
    let answers: Vec<_> = batch.into_iter().map(|one| working_set.decide(one).map(drop)).collect();
    assert_eq!(answers, [Ok(()), Ok(()), Err(Refusal::KeyNotInForce)]);
    scope.write(working_set.into_write_set());
    assert_eq!(scope.sign_ins[&SignInId(1)].ended, Some(OpenerEnd::Ended));
    scope.check_sign_ins();
}
