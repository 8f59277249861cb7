//! Sign-ins: a reserved id, a browser key bound to it, and one more command.

use secrecy::ExposeSecret;

use super::*;
use crate::command::{NewSignIn, SignInAction};
use crate::model::api_key::{AnyKeyId, ApiKey, KeyStatus, KeyValidity, LookupHash, Wrap};
use crate::model::api_key::{WrapHolder, WrapSubject};
use crate::model::id::SignInId;
use crate::model::sign_in::{SignIn, SignInEnd, Stay};
use crate::port::crypto::{Lookup, LookupKind, MintedKey, MockLocksmith, PresentedKey};
use crate::port::store::{Credentials, KeyAccount, ListedSignIn, MockAccountReader, SignInQuery};
use crate::service::access::Access;
use crate::service::sign_ins::SignIns;

const ID: SignInId = SignInId(7);
const HASH: LookupHash = LookupHash([9; 32]);

fn held(subject: WrapSubject) -> Wrap {
    Wrap { subject, holder: WrapHolder::Browser(ID), sealed: sealed("wrap") }
}

/// Long enough after the first time for a sign-in to lapse.
fn late() -> Timestamp {
    at(100_000)
}

fn late_clock() -> Arc<MockClock> {
    let mut clock = MockClock::new();
    clock.expect_now().returning(late);
    Arc::new(clock)
}

fn sign_in(stay: Stay) -> SignIn {
    SignIn {
        id: ID,
        actor: ME,
        opener: KEY,
        lookup: HASH,
        label: None,
        stay,
        created_at: late(),
        last_used: late(),
        ended: None,
        wraps: vec![held(WrapSubject::Actor(ME, KeyEpoch(3)))],
    }
}

fn service(commands: MockCommandStore, reader: MockAccountReader) -> SignIns {
    SignIns { commands: Arc::new(commands), reader: Arc::new(reader), clock: late_clock() }
}

fn applied(row: AppliedRow) -> Applied {
    Applied { row, cost: 0, balance: LEFT, is_replay: false }
}

#[test]
fn signing_in_reserves_an_id_and_mints_a_browser_key_for_it() {
    let mut commands = MockCommandStore::new();
    let mut order = mockall::Sequence::new();
    let is_reserving = |action: &Action| matches!(action, Action::SignIn(bearer, SignInAction::ReserveId) if bearer.key == KEY);
    let reserve = commands.expect_apply().times(1).in_sequence(&mut order);
    reserve.withf(move |command| is_reserving(&command.action)).returning(|_| {
        let last_ids = LastIds { sign_in: ID.0, ..LastIds::default() };
        Ok(applied(AppliedRow::Account(Box::new(Account { last_ids, ..account() }))))
    });
    let open = commands.expect_apply().times(1).in_sequence(&mut order);
    open.returning(|command| {
        let wraps = sign_in(Stay::Long).wraps;
        let caller = caller();
        let expected = NewSignIn {
            id: ID,
            account_epoch: caller.account.epoch,
            epoch: caller.actor.key_epoch,
            lookup: HASH,
            label: Some(name("Firefox")),
            stay: Stay::Long,
            wraps,
        };
        let action = Action::SignIn(caller.bearer(), SignInAction::Open(expected));
        assert_eq!(command, Command::uncharged(action, late()));
        Ok(applied(AppliedRow::SignIn(sign_in(Stay::Long))))
    });
    let mut keys = MockKeyring::new();
    keys.expect_mint_browser_key().withf(|id| *id == ID).times(1).returning(|_| {
        Ok(MintedKey {
            secret: "roots-browser_1_secret".into(),
            prefix: "roots-browser_1_secret".to_owned(),
            lookup: HASH,
            wraps: sign_in(Stay::Long).wraps,
        })
    });
    let caller = Caller { keys: Arc::new(keys), ..caller() };
    let service = service(commands, MockAccountReader::new());
    let shown = ready(service.sign_in(&caller, Stay::Long, Some(name("Firefox")))).unwrap();
    assert_eq!(shown.browser_key.expose_secret(), "roots-browser_1_secret");
    assert_eq!(shown.ends_at, late().plus_seconds(30 * 86_400));
    assert_eq!(shown.sign_in.id, ID);
}

#[test]
fn signing_out_ends_the_callers_own_sign_in_and_an_api_key_has_none() {
    let mut commands = MockCommandStore::new();
    commands.expect_apply().times(1).returning(|command| {
        let Action::SignIn(bearer, action) = command.action else { panic!("it ends a sign-in") };
        assert_eq!((bearer.sign_in, action), (Some(ID), SignInAction::End(ID)));
        Ok(applied(AppliedRow::Deleted))
    });
    let service = service(commands, MockAccountReader::new());
    let browser = Caller { sign_in: Some(ID), ..caller() };
    assert_eq!(ready(service.sign_out(&browser)), Ok(()));
    let refused = WriteError::Refused(Refusal::NotFound("sign-in"));
    assert_eq!(ready(service.sign_out(&caller())), Err(refused));
}

fn opener(expires_at: Option<Timestamp>) -> ApiKey {
    ApiKey {
        id: KEY,
        actor: ME,
        lookup: HASH,
        prefix: "roots_1_abc".to_owned(),
        label: None,
        created_at: at(1),
        last_used: None,
        expires_at,
        status: KeyStatus::Current,
        succession: None,
        first_used_at: None,
    }
}

#[test]
fn an_owner_lists_all_and_a_member_its_own_and_none_whose_time_is_over() {
    for (role, actor) in [(Role::Owner, None), (Role::Member, Some(ME))] {
        let mut reader = MockAccountReader::new();
        reader.expect_sign_ins().times(1).returning(move |query| {
            let by = caller().admission();
            assert_eq!(*query, SignInQuery { by, actor, before: None, most: 51 });
            let listed = |created: i64, expires: Option<i64>| {
                let created_at = late().plus_seconds(created);
                let last_used = created_at;
                let sign_in = SignIn { created_at, last_used, ..sign_in(Stay::Usual) };
                let opener = opener(expires.map(|seconds| late().plus_seconds(seconds)));
                ListedSignIn { sign_in, opener, actor_name: name("me") }
            };
            Ok(vec![
                listed(0, None),
                listed(0, Some(60)),
                listed(0, Some(0)),
                listed(-43_200, None),
            ])
        });
        let actor = Actor { role, ..caller().actor };
        let caller = Caller { actor, sign_in: Some(ID), ..caller() };
        let service = service(MockCommandStore::new(), reader);
        let listed = ready(service.list(&caller, None, 50)).unwrap().items;
        let ends: Vec<_> = listed.iter().map(|entry| entry.ends_at).collect();
        assert_eq!(ends, [late().plus_seconds(43_200), late().plus_seconds(60)]);
        assert!(listed.iter().all(|entry| entry.is_callers));
    }
}

const LOOKUP: Lookup = Lookup { account: HOME, hash: HASH, kind: LookupKind::BrowserKey };

fn credentials(sign_in: SignIn, key: KeyValidity) -> Credentials {
    let Caller { account, account_name, account_kind, actor, auth_epoch, .. } = caller();
    let account = KeyAccount {
        id: account.id,
        uid: account.uid,
        name: account_name,
        kind: account_kind,
        auth_epoch,
        key_epoch: account.epoch,
    };
    let wraps = sign_in.wraps.clone();
    Credentials { account, actor, key, sign_in: Some(sign_in), wraps }
}

fn admit(found: Credentials, unlocks: bool) -> Result<Caller, ReadError> {
    let mut locksmith = MockLocksmith::new();
    locksmith
        .expect_unlock()
        .times(usize::from(unlocks))
        .withf(|_, _, _, key, _| *key == AnyKeyId::Browser(ID))
        .returning(|_, _, _, _, _| Ok(Arc::new(MockKeyring::new()) as _));
    let mut reader = MockAccountReader::new();
    reader.expect_credentials().times(1).return_once(|_| Ok(Some(found)));
    let (locksmith, reader) = (Arc::new(locksmith), Arc::new(reader));
    let commands = Arc::new(MockCommandStore::new());
    let access = Access { locksmith, reader, commands, clock: late_clock() };
    let presented = PresentedKey { lookup: LOOKUP, secret: vec![0].into() };
    ready(access.admit(&presented))
}

#[test]
fn a_browser_key_admits_until_its_end_and_says_why_it_does_not() {
    let key = opener(None).validity();
    let admitted = admit(credentials(sign_in(Stay::Usual), key), true).unwrap();
    assert_eq!((admitted.sign_in, admitted.key), (Some(ID), KEY));
    assert_eq!(admitted.ends_at, Some(late().plus_seconds(43_200)));
    assert_eq!(admitted.bearer().used_key(), AnyKeyId::Browser(ID));
    assert_eq!(admitted.check_api_key(), Err(Refusal::NeedsApiKey));
    let expiring = opener(Some(late().plus_seconds(60))).validity();
    let admitted = admit(credentials(sign_in(Stay::Usual), expiring), true).unwrap();
    assert_eq!(admitted.ends_at, Some(late().plus_seconds(60)));

    let refused = |sign_in, key| admit(credentials(sign_in, key), false).unwrap_err();
    let why = |end| ReadError::Refused(Refusal::SignInEnded(end));
    let expired = opener(Some(late())).validity();
    assert_eq!(refused(sign_in(Stay::Usual), expired), why(SignInEnd::KeyEnded));
    let grace = KeyValidity { status: KeyStatus::InGrace { until: late() }, ..key };
    assert_eq!(refused(sign_in(Stay::Usual), grace), why(SignInEnd::KeyRotated));
    let created_at = late().plus_seconds(-43_200);
    let unused = SignIn { created_at, last_used: created_at, ..sign_in(Stay::Usual) };
    assert_eq!(refused(unused, key), why(SignInEnd::Lapsed));
    let mut inactive = credentials(sign_in(Stay::Usual), key);
    inactive.actor.is_active = false;
    let refused = admit(inactive, false).unwrap_err();
    assert_eq!(refused, ReadError::Refused(Refusal::KeyNotInForce));
}

#[test]
fn an_act_is_authorized_by_an_api_key_of_the_same_actor_alone() {
    let browser = Caller { sign_in: Some(ID), ..caller() };
    assert_eq!(browser.check_same_actor(&caller()), Ok(()));
    assert_eq!(browser.check_same_actor(&browser), Err(Refusal::NeedsApiKey));
    let other = Caller { actor: Actor { id: PEER, ..caller().actor }, ..caller() };
    assert_eq!(browser.check_same_actor(&other), Err(Refusal::OtherActorsKey));
    let account = AccountIdentity { id: AccountId(99), ..caller().account };
    let abroad = Caller { account, ..caller() };
    assert_eq!(browser.check_same_actor(&abroad), Err(Refusal::OtherActorsKey));
}
