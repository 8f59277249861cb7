//! Which actors' keys a caller can use.

use super::*;
use crate::model::api_key::{Wrap, WrapHolder, WrapSubject};
use crate::port::crypto::{ActorIdentity, Keyring};
use crate::port::store::{HeldActor, MockAccountReader};
use crate::service::keyrings::Keyrings;

fn wraps() -> Vec<Wrap> {
    let holder = WrapHolder::Account(KeyEpoch(2));
    let subject = WrapSubject::Actor(PEER, KeyEpoch(3));
    vec![Wrap { subject, holder, sealed: sealed("wrap") }]
}

/// A reader that is asked once, and only for the peer.
fn holding(found: Result<Vec<HeldActor>, StoreError>) -> MockAccountReader {
    let mut reader = MockAccountReader::new();
    let look = reader.expect_held_actors().times(1);
    look.withf(|account, actors| *account == HOME && *actors == [PEER]).return_once(|_, _| found);
    reader.expect_check().returning(|by| match by.auth_epoch {
        Some(EPOCH) => Ok(()),
        _ => Err(StoreError::EpochMoved),
    });
    reader
}

fn peer() -> HeldActor {
    HeldActor { actor: actor(PEER), wraps: wraps() }
}

/// A caller whose keyring returns `answer` for the peer's.
fn leading(answer: Result<MockKeyring, CryptoError>) -> Caller {
    let mut keys = keyring();
    keys.expect_for_actor()
        .times(1)
        .withf(|actor, held| {
            let peer = ActorIdentity { id: PEER, uid: uid(91), epoch: KeyEpoch(3) };
            *actor == peer && held == wraps()
        })
        .return_once(|_, _| answer.map(|keys| Arc::new(keys) as Arc<dyn Keyring>));
    Caller { keys: Arc::new(keys), ..caller() }
}

fn of(
    reader: &MockAccountReader,
    caller: &Caller,
    actors: impl IntoIterator<Item = ActorId>,
) -> Result<Keyrings, StoreError> {
    let texts = actors.into_iter().map(|actor| (actor, std::iter::empty()));
    ready(Keyrings::of(reader, caller, texts))
}

#[test]
fn a_callers_own_keyring_is_found_without_a_read() {
    let caller = caller();
    for actors in [vec![], vec![ME]] {
        let keys = of(&MockAccountReader::new(), &caller, actors).unwrap();
        assert!(Arc::ptr_eq(keys.find(ME).unwrap(), &caller.keys));
        assert!(keys.find(PEER).is_none());
    }
}

#[test]
fn keyrings_of_other_actors_are_reached_through_the_callers_keyring() {
    let mut theirs = MockKeyring::new();
    theirs.expect_open().times(1).return_once(|_, _| Ok("opened by the peer's keys".to_owned()));
    let caller = leading(Ok(theirs));
    let keys = of(&holding(Ok(vec![peer()])), &caller, [PEER, ME, PEER]).unwrap();
    assert!(Arc::ptr_eq(keys.of_row(ME).unwrap(), &caller.keys));
    let place = TextPlace { field: Field::LogNote, row: uid(1) };
    let opened = keys.of_row(PEER).unwrap().open(place, &damaged());
    assert_eq!(opened.as_deref(), Ok("opened by the peer's keys"));
}

#[test]
fn an_unknown_actor_has_no_keyring_and_its_rows_are_a_store_error() {
    let keys = of(&holding(Ok(Vec::new())), &caller(), [PEER]).unwrap();
    assert!(keys.find(PEER).is_none());
    let gone = StoreError::Broken("actor 2 of account 1 is gone".into());
    assert_eq!(keys.of_row(PEER).unwrap_err(), gone);
}

#[test]
fn wraps_that_do_not_open_are_a_store_error() {
    for (error, why) in [
        (CryptoError::WrapMissing, "a key wrap is missing"),
        (CryptoError::DoesNotOpen, "a sealed value does not open in its place"),
    ] {
        let error = of(&holding(Ok(vec![peer()])), &leading(Err(error)), [PEER]).unwrap_err();
        let message = format!("the keys of actor 2 of account 1: {why}");
        assert_eq!(error, StoreError::Broken(message));
    }
    assert_eq!(of(&holding(Err(away())), &caller(), [PEER]).unwrap_err(), away());
    // A caller that was admitted before the account key was renewed lacks the new key.
    let early = Caller { auth_epoch: EPOCH - 1, ..leading(Err(CryptoError::WrapMissing)) };
    let error = of(&holding(Ok(vec![peer()])), &early, [PEER]).unwrap_err();
    assert_eq!(error, StoreError::EpochMoved);
}

/// A caller whose keyring returns these answers for the peer, one after the other.
fn leading_in_turn(answers: Vec<Result<MockKeyring, CryptoError>>) -> Caller {
    let mut keys = keyring();
    let mut order = mockall::Sequence::new();
    for answer in answers {
        let asked = keys.expect_for_actor().times(1).in_sequence(&mut order);
        asked.return_once(|_, _| answer.map(|keys| Arc::new(keys) as Arc<dyn Keyring>));
    }
    Caller { keys: Arc::new(keys), ..caller() }
}

#[test]
fn an_actor_renewed_between_two_reads_is_read_again() {
    let looking = |times| {
        let mut reader = MockAccountReader::new();
        reader.expect_held_actors().times(times).returning(|_, _| Ok(vec![peer()]));
        reader.expect_check().returning(|_| Ok(()));
        reader
    };
    let ahead = || Err(CryptoError::EpochWentBack);
    let caller = leading_in_turn(vec![ahead(), Ok(MockKeyring::new())]);
    assert!(of(&looking(2), &caller, [PEER]).unwrap().find(PEER).is_some());

    // If the epoch stays behind, the row was set back.
    let caller = leading_in_turn(vec![ahead(), ahead(), ahead()]);
    let error = of(&looking(3), &caller, [PEER]).unwrap_err();
    let why = "a key wrap leads to a later epoch than the one in force";
    assert_eq!(error, StoreError::Broken(format!("the keys of actor 2 of account 1: {why}")));
}
