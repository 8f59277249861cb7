//! An owner reaches the keys of every actor of its account, and of no other.

use std::collections::BTreeSet;

use roots_domain::model::id::{ActorId, KeyId};
use roots_domain::model::sealed::{Field, TextPlace};
use roots_domain::port::keys::KeyError;
use roots_domain::port::store::StoreFault;
use roots_domain::usecase::access::Caller;
use roots_domain::usecase::keyrings::Keyrings;
use roots_testkit::database::TestDatabase;
use roots_testkit::members::{add_member, renew_member};
use roots_testkit::units;
use roots_testkit::world::World;

roots_testkit::on_both! {
    an_owner_and_a_member_open_what_the_other_sealed,
    after_a_renewal_the_new_key_seals_and_what_was_before_still_opens,
    an_actor_of_another_account_is_none,
    missing_wraps_are_a_fault_of_the_database,
}

const TWO: ActorId = ActorId(2);
const THREE: ActorId = ActorId(3);

fn place() -> TextPlace {
    TextPlace { field: Field::LogNote, row: units::uid() }
}

async fn keys_of(
    world: &World,
    caller: &Caller,
    actors: impl IntoIterator<Item = ActorId>,
) -> Result<Keyrings, StoreFault> {
    Keyrings::of(&world.store, caller, BTreeSet::from_iter(actors)).await
}

async fn an_owner_and_a_member_open_what_the_other_sealed(db: TestDatabase) {
    let world = db.world();
    let owner = world.caller(0).await;
    let two = world.bearer(&add_member(&db, &owner, 2).await).await;
    let three = world.bearer(&add_member(&db, &owner, 3).await).await;
    let keys = keys_of(&world, &owner, [owner.actor.id, TWO, THREE]).await.unwrap();
    for (member, other) in [(&two, &three), (&three, &two)] {
        let (place, theirs) = (place(), keys.of_row(member.actor.id).unwrap());
        let by_member = member.keys.seal(place, "by the member").unwrap();
        assert_eq!(theirs.open(place, &by_member).as_deref(), Ok("by the member"));
        let by_owner = theirs.seal(place, "by the owner").unwrap();
        assert_eq!(member.keys.open(place, &by_owner).as_deref(), Ok("by the owner"));
        for sealed in [by_member, by_owner] {
            for keyring in [&owner.keys, &other.keys, keys.of_row(other.actor.id).unwrap()] {
                assert_eq!(keyring.open(place, &sealed), Err(KeyError::DoesNotOpen));
            }
        }
    }
}

async fn after_a_renewal_the_new_key_seals_and_what_was_before_still_opens(db: TestDatabase) {
    let world = db.world();
    let owner = world.caller(0).await;
    let member = world.bearer(&add_member(&db, &owner, 2).await).await;
    let place = place();
    let before = member.keys.seal(place, "before").unwrap();
    let keys = keys_of(&world, &owner, [TWO]).await.unwrap();
    let renewal = keys.of_row(TWO).unwrap().renew(KeyId(9)).unwrap();
    renew_member(&db, &owner, 2, &renewal).await;
    // What the owner was about to write for it meanwhile is not lost either.
    let late = keys.of_row(TWO).unwrap().seal(place, "late").unwrap();
    // The owner is the one that was admitted before.
    let keys = keys_of(&world, &owner, [TWO]).await.unwrap();
    let after = keys.of_row(TWO).unwrap().seal(place, "after").unwrap();
    assert_eq!(member.keys.open(place, &after), Err(KeyError::WrapMissing));
    let renewed = world.bearer(&renewal.key.secret).await;
    for keyring in [&renewed.keys, keys.of_row(TWO).unwrap()] {
        assert_eq!(keyring.open(place, &before).as_deref(), Ok("before"));
        assert_eq!(keyring.open(place, &late).as_deref(), Ok("late"));
        assert_eq!(keyring.open(place, &after).as_deref(), Ok("after"));
    }
}

async fn an_actor_of_another_account_is_none(db: TestDatabase) {
    let world = db.world();
    let (owner, stranger) = (world.caller(0).await, world.caller(0).await);
    add_member(&db, &stranger, 2).await;
    let keys = keys_of(&world, &owner, [TWO]).await.unwrap();
    assert!(keys.find(TWO).is_none());
}

async fn missing_wraps_are_a_fault_of_the_database(db: TestDatabase) {
    let world = db.world();
    let owner = world.caller(0).await;
    let member = world.bearer(&add_member(&db, &owner, 2).await).await;
    db.execute("DELETE FROM key_wraps WHERE holder_kind = 'account' AND subject_id = 2").await;
    let fault = keys_of(&world, &owner, [TWO]).await.unwrap_err();
    let told =
        format!("the keys of actor 2 of account {}: a key wrap is missing", owner.account.id);
    assert_eq!(fault, StoreFault::Broken(told));
    let refused = keys_of(&world, &member, [owner.actor.id]).await.unwrap_err();
    assert!(matches!(refused, StoreFault::Broken(cause) if cause.contains("owner")));
}
