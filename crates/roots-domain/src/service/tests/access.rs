//! Which callers are admitted.

use super::*;
use crate::model::api_key::{
    KeyStatus, KeyValidity, LookupHash, Succession, Wrap, WrapHolder, WrapSubject,
};
use crate::model::id::RecoveryId;
use crate::port::crypto::{ActorIdentity, Lookup, LookupKind, MockLocksmith, PresentedKey};
use crate::port::store::{Credentials, MockAccountReader};
use crate::service::access::Access;

const LOOKUP: Lookup =
    Lookup { account: HOME, hash: LookupHash([7; 32]), kind: LookupKind::ApiKey };
const NOT_ADMITTED: ReadError = ReadError::Refused(Refusal::KeyNotInForce);
const PRESENTED: &str = "roots_1_very-secret";

fn presented() -> PresentedKey {
    PresentedKey { lookup: LOOKUP, secret: PRESENTED.as_bytes().to_vec().into() }
}

fn wraps() -> Vec<Wrap> {
    let held_by = |holder| Wrap {
        subject: WrapSubject::Actor(ME, KeyEpoch(3)),
        holder,
        sealed: sealed("wrap"),
    };
    vec![held_by(WrapHolder::ApiKey(KEY)), held_by(WrapHolder::Recovery(RecoveryId(1)))]
}

fn credentials() -> Credentials {
    let key = KeyValidity {
        id: KEY,
        expires_at: None,
        status: KeyStatus::Current,
        succession: None,
        first_used_at: None,
    };
    Credentials { account: key_account(), actor: actor(ME), key, sign_in: None, wraps: wraps() }
}

fn ending(expires_at: Option<Timestamp>, grace: Option<Timestamp>) -> Credentials {
    let found = credentials();
    let status = grace.map_or(KeyStatus::Current, |until| KeyStatus::InGrace { until });
    Credentials { key: KeyValidity { expires_at, status, ..found.key }, ..found }
}

type LookUpResult = Result<Option<Credentials>, StoreError>;

fn access(found: LookUpResult, locksmith: MockLocksmith) -> Access {
    access_looking([found], locksmith)
}

/// Access with these results of its look-ups, one after the other.
fn access_looking(
    looks: impl IntoIterator<Item = LookUpResult>,
    locksmith: MockLocksmith,
) -> Access {
    let mut reader = MockAccountReader::new();
    let mut order = mockall::Sequence::new();
    for found in looks {
        let look = reader.expect_credentials().times(1).in_sequence(&mut order);
        look.withf(|lookup| *lookup == LOOKUP).return_once(|_| found);
    }
    let commands = no_commands();
    Access { locksmith: Arc::new(locksmith), reader: Arc::new(reader), commands, clock: clock() }
}

/// A locksmith that unlocks once, and only with all that the look-up found.
fn unlocking(answer: Result<MockKeyring, CryptoError>) -> MockLocksmith {
    use secrecy::ExposeSecret;
    let mut locksmith = MockLocksmith::new();
    locksmith
        .expect_unlock()
        .times(1)
        .withf(|presented, account, actor, key, held| {
            let home = AccountIdentity { id: HOME, uid: uid(90), epoch: KeyEpoch(2) };
            let me = ActorIdentity { id: ME, uid: uid(91), epoch: KeyEpoch(3) };
            presented.secret.expose_secret() == PRESENTED.as_bytes()
                && (*account, *actor, *key) == (home, me, KEY.into())
                && held == wraps()
        })
        .return_once(|_, _, _, _, _| answer.map(|keys| Arc::new(keys) as _));
    locksmith
}

fn admit(found: Credentials, locksmith: MockLocksmith) -> Result<Caller, ReadError> {
    ready(access(Ok(Some(found)), locksmith).admit(&presented()))
}

#[test]
fn a_malformed_key_is_refused_without_a_lookup() {
    let parse = |answer: Option<PresentedKey>| {
        let mut locksmith = MockLocksmith::new();
        locksmith.expect_parse_key().times(1).return_once(|_| answer);
        let reader = Arc::new(MockAccountReader::new());
        Access { locksmith: Arc::new(locksmith), reader, commands: no_commands(), clock: clock() }
            .parse_key(&PRESENTED.into())
            .map(|key| key.lookup)
    };
    assert_eq!(parse(None), Err(NOT_ADMITTED));
    assert_eq!(parse(Some(presented())), Ok(LOOKUP));
}

#[test]
fn a_key_in_force_admits_its_actor_with_unlocked_keys() {
    let mut keys = MockKeyring::new();
    keys.expect_open().times(1).return_once(|_, _| Ok("opened by its own keys".to_owned()));
    let admitted = admit(credentials(), unlocking(Ok(keys))).unwrap();
    let expected = caller();
    assert_eq!(admitted.account, expected.account);
    assert_eq!(admitted.account_name, expected.account_name);
    assert_eq!(admitted.account_kind, expected.account_kind);
    assert_eq!(admitted.actor, expected.actor);
    assert_eq!(admitted.bearer(), expected.bearer());
    assert_eq!(admitted.ends_at, None);
    let place = TextPlace { field: Field::LogNote, row: uid(1) };
    let opened = admitted.keys.open(place, &damaged());
    assert_eq!(opened.as_deref(), Ok("opened by its own keys"));
}

#[test]
fn a_key_not_in_force_is_not_admitted_and_the_reason_is_not_revealed() {
    let none_of_these = |found: Option<Credentials>| {
        ready(access(Ok(found), MockLocksmith::new()).admit(&presented())).unwrap_err()
    };
    let mut inactive = credentials();
    inactive.actor.is_active = false;
    for (why, found) in [
        ("unknown", None),
        ("expired", Some(ending(Some(now()), None))),
        ("revoked", Some(ending(None, Some(now())))),
        ("revoked long ago", Some(ending(Some(at(9_999)), Some(at(1))))),
        ("of an inactive actor", Some(inactive)),
    ] {
        assert_eq!(none_of_these(found), NOT_ADMITTED, "{why}");
    }
}

#[test]
fn wraps_that_do_not_open_are_a_store_error_that_names_no_secret() {
    for (error, why) in [
        (CryptoError::WrapMissing, "a key wrap is missing"),
        (CryptoError::DoesNotOpen, "a sealed value does not open in its place"),
    ] {
        let looks = [Ok(Some(credentials())), Ok(Some(credentials()))];
        let access = access_looking(looks, unlocking(Err(error)));
        let refused = ready(access.admit(&presented())).unwrap_err();
        let message = format!("key 3 of account 1: {why}");
        assert_eq!(refused, ReadError::Store(StoreError::Broken(message)));
        assert!(!format!("{refused} {refused:?}").contains("secret"));
    }
}

#[test]
fn a_key_that_ended_between_two_reads_is_not_a_store_error() {
    let ended = ending(None, Some(now()));
    for second in [None, Some(ended)] {
        let looks = [Ok(Some(credentials())), Ok(second)];
        let access = access_looking(looks, unlocking(Err(CryptoError::WrapMissing)));
        let refused = ready(access.admit(&presented())).unwrap_err();
        assert_eq!(refused, NOT_ADMITTED);
    }
}

#[test]
fn an_unavailable_database_is_not_taken_for_a_wrong_key() {
    let admitted = ready(access(Err(away()), MockLocksmith::new()).admit(&presented()));
    assert_eq!(admitted.unwrap_err(), ReadError::Store(away()));
}

#[test]
fn a_caller_is_admitted_until_the_first_end_of_its_key() {
    let later = |seconds| Some(now().plus_seconds(seconds));
    for (expires_at, ends_at, expected) in [
        (None, None, None),
        (later(5), None, later(5)),
        (None, later(6), later(6)),
        (later(5), later(6), later(5)),
        (later(6), later(5), later(5)),
    ] {
        let found = ending(expires_at, ends_at);
        let admitted = admit(found, unlocking(Ok(MockKeyring::new()))).unwrap();
        assert_eq!(admitted.ends_at, expected);
    }
}

#[test]
fn an_admitted_caller_is_refused_from_the_instant_its_key_ends() {
    let reader = Arc::new(MockAccountReader::new());
    let locksmith = Arc::new(MockLocksmith::new());
    let access = Access { locksmith, reader, commands: no_commands(), clock: clock() };
    let check = |ends_at| access.check_expiry(&Caller { ends_at, ..caller() });
    assert_eq!(check(None), Ok(()));
    assert_eq!(check(Some(now().plus_seconds(1))), Ok(()));
    assert_eq!(check(Some(now())), Err(NOT_ADMITTED));
    assert_eq!(check(Some(at(1))), Err(NOT_ADMITTED));
}

fn succeeding(succession: Succession) -> Credentials {
    let found = credentials();
    let key = KeyValidity { succession: Some(succession), ..found.key };
    Credentials { key, ..found }
}

/// Access to one key, whose first use gets this answer from the store.
fn access_used(
    found: Credentials,
    locksmith: MockLocksmith,
    answer: Result<AppliedRow, ApplyError>,
) -> (Access, SentCommand) {
    let (commands, sent) = commands(answer);
    (Access { commands, ..access(Ok(Some(found)), locksmith) }, sent)
}

const ROTATION: Succession = Succession::Rotation { replaces: KeyId(2), grace_seconds: 0 };

#[test]
fn the_first_use_of_a_key_is_recorded_before_its_bearer_is_admitted() {
    let after = Account { auth_epoch: EPOCH + 1, ..account() };
    let answer = Ok(AppliedRow::Account(Box::new(after)));
    let unlock = unlocking(Ok(MockKeyring::new()));
    let (access, sent) = access_used(succeeding(ROTATION), unlock, answer);
    let admitted = ready(access.admit(&presented())).unwrap();
    assert_eq!(admitted.auth_epoch, EPOCH + 1);
    let command = sent.command();
    let action = SystemAction::UseKey { account: HOME, actor: ME, key: KEY };
    assert_eq!(command, Command::uncharged(Action::System(action), now()));

    // Later uses are not recorded.
    let mut seen = succeeding(ROTATION);
    seen.key.first_used_at = Some(at(2));
    let admitted = admit(seen, unlocking(Ok(MockKeyring::new()))).unwrap();
    assert_eq!(admitted.auth_epoch, EPOCH);
}

/// An owner's key with wraps for these epochs of its account and of the owner.
fn opening(found: Credentials, account: i32, actor: i32) -> Credentials {
    let subjects =
        [WrapSubject::Account(KeyEpoch(account)), WrapSubject::Actor(ME, KeyEpoch(actor))];
    let wrap = |subject| Wrap { subject, holder: WrapHolder::ApiKey(KEY), sealed: sealed("wrap") };
    Credentials { wraps: subjects.map(wrap).into(), ..found }
}

/// The key was first used between two reads: here of the account and of the key.
#[test]
fn credentials_read_across_a_change_of_epoch_are_read_again() {
    let mut used = opening(succeeding(Succession::Renewal), 3, 4);
    used.key.first_used_at = Some(at(2));
    used.actor.key_epoch = KeyEpoch(4);
    let torn = used.clone();
    used.account.key_epoch = KeyEpoch(3);
    // Here the first use was between the reads of the key and of the actor.
    let mut half = opening(succeeding(Succession::Renewal), 3, 4);
    half.actor.key_epoch = KeyEpoch(4);
    for torn in [torn, half] {
        let mut locksmith = MockLocksmith::new();
        let unlock = locksmith.expect_unlock().times(1);
        unlock
            .withf(|_, account, actor, _, _| (account.epoch.0, actor.epoch.0) == (3, 4))
            .return_once(|_, _, _, _, _| Ok(Arc::new(MockKeyring::new())));
        let looks = [Ok(Some(torn.clone())), Ok(Some(used.clone()))];
        let access = access_looking(looks, locksmith);
        let admitted = ready(access.admit(&presented())).unwrap();
        assert_eq!(admitted.account.epoch, KeyEpoch(3));

        // If every read is inconsistent, nobody is admitted.
        let looks = [(); 3].map(|()| Ok(Some(torn.clone())));
        let access = access_looking(looks, MockLocksmith::new());
        let refused = ready(access.admit(&presented())).unwrap_err();
        assert!(matches!(refused, ReadError::Store(StoreError::Broken(_))), "{refused:?}");
    }
}

#[test]
fn an_owners_renewal_is_unlocked_in_the_epochs_its_first_use_puts_in_force() {
    let mut locksmith = MockLocksmith::new();
    locksmith
        .expect_unlock()
        .times(1)
        .withf(|_, account, actor, _, _| (account.epoch, actor.epoch) == (KeyEpoch(3), KeyEpoch(4)))
        .return_once(|_, _, _, _, _| Ok(Arc::new(MockKeyring::new())));
    let answer = Ok(AppliedRow::Account(Box::new(account())));
    let found = opening(succeeding(Succession::Renewal), 3, 4);
    let (access, _) = access_used(found, locksmith, answer);
    let admitted = ready(access.admit(&presented())).unwrap();
    assert_eq!((admitted.account.epoch, admitted.actor.key_epoch), (KeyEpoch(3), KeyEpoch(4)));
}

#[test]
fn a_key_that_does_not_open_its_wraps_ends_no_other_key() {
    let looks = [Ok(Some(succeeding(ROTATION))), Ok(Some(succeeding(ROTATION)))];
    // The store must not get a command.
    let access = access_looking(looks, unlocking(Err(CryptoError::WrapMissing)));
    let refused = ready(access.admit(&presented())).unwrap_err();
    assert!(matches!(refused, ReadError::Store(StoreError::Broken(_))), "{refused:?}");
}

#[test]
fn a_key_whose_first_use_is_not_recorded_is_not_admitted() {
    for (answer, expected) in [
        (ApplyError::Refused(Refusal::KeyNotInForce), NOT_ADMITTED),
        (ApplyError::Store(away()), ReadError::Store(away())),
    ] {
        let unlock = unlocking(Ok(MockKeyring::new()));
        let (access, _) = access_used(succeeding(ROTATION), unlock, Err(answer));
        assert_eq!(ready(access.admit(&presented())).unwrap_err(), expected);
    }
}
