//! Members of an account, inserted into the database without the API.

use roots_domain::model::api_key::{KeyEpoch, Wrap, WrapHolder, WrapSubject};
use roots_domain::model::id::{AccountId, ActorId, KeyId};
use roots_domain::port::clock::Uids;
use roots_domain::port::crypto::{ActorIdentity, MintedKey, Renewal};
use roots_domain::service::access::Caller;
use secrecy::SecretString;

use crate::ambient::RandomUids;
use crate::database::TestDatabase;

/// Adds a member with that id and no key to an account.
pub async fn put_member(database: &TestDatabase, account: AccountId, id: i64) -> ActorIdentity {
    let actor = ActorIdentity { id: ActorId(id), uid: RandomUids.next(), epoch: KeyEpoch::FIRST };
    let uid = hex(actor.uid.as_bytes());
    let uid = if database.is_postgres() { format!("'{uid}'") } else { format!("x'{uid}'") };
    database
        .execute(&format!(
            "INSERT INTO actors (account_id, actor_id, uid, name, kind, role, is_active, key_epoch, \
                created_at) VALUES ({account}, {id}, {uid}, 'Member {id}', 'agent', 'member', 1, 1, 0)"
        ))
        .await;
    let given = format!("UPDATE accounts SET last_actor_id = {id} WHERE account_id = {account}");
    database.execute(&given).await;
    actor
}

/// Adds a member with that id, and a key with the same id, to the owner's account.
pub async fn add_member(database: &TestDatabase, owner: &Caller, id: i64) -> SecretString {
    let account = owner.account.id;
    let actor = put_member(database, account, id).await;
    let wraps = owner.keys.add_actor(actor).expect("the account's key");
    let keys = owner.keys.for_actor(actor, &wraps).expect("the member's keys");
    let minted = keys.mint_key(KeyId(id)).expect("a key");
    put_wraps(database, owner, &wraps).await;
    put_key(database, owner, id, id, &minted).await;
    database
        .execute(&format!("UPDATE accounts SET last_key_id = {id} WHERE account_id = {account}"))
        .await;
    minted.secret
}

/// Puts a renewal of a member's keys in force.
pub async fn renew_member(database: &TestDatabase, owner: &Caller, id: i64, renewal: &Renewal) {
    put_wraps(database, owner, &renewal.wraps).await;
    let WrapHolder::ApiKey(key) = renewal.key.wraps[0].holder else {
        unreachable!("a key's own wrap is held by it")
    };
    put_key(database, owner, id, key.0, &renewal.key).await;
    database
        .execute(&format!(
            "UPDATE actors SET key_epoch = {} WHERE account_id = {} AND actor_id = {id}",
            renewal.epoch.0, owner.account.id
        ))
        .await;
}

async fn put_key(database: &TestDatabase, owner: &Caller, actor: i64, id: i64, key: &MintedKey) {
    let lookup = bytes(database, &key.lookup.0);
    database
        .execute(&format!(
            "INSERT INTO api_keys (account_id, key_id, actor_id, lookup, prefix, created_at) \
                VALUES ({}, {id}, {actor}, {lookup}, '{}', 0)",
            owner.account.id, key.prefix
        ))
        .await;
    let counted = "UPDATE accounts SET keys = keys + 1 WHERE account_id";
    database.execute(&format!("{counted} = {}", owner.account.id)).await;
    put_wraps(database, owner, &key.wraps).await;
}

async fn put_wraps(database: &TestDatabase, owner: &Caller, wraps: &[Wrap]) {
    for wrap in wraps {
        let (holder_kind, holder_id, holder_epoch) = match wrap.holder {
            WrapHolder::ApiKey(id) => ("api_key", id.0, 0),
            WrapHolder::Browser(_) => unreachable!("it is a column of its sign-in"),
            WrapHolder::Recovery(id) => ("recovery", id.0, 0),
            WrapHolder::Account(epoch) => ("account", 0, epoch.0),
            WrapHolder::Actor(id, epoch) => ("actor", id.0, epoch.0),
        };
        let (subject_kind, subject_id, subject_epoch) = match wrap.subject {
            WrapSubject::Account(epoch) => ("account", 0, epoch.0),
            WrapSubject::Actor(id, epoch) => ("actor", id.0, epoch.0),
        };
        let sealed = bytes(database, &wrap.sealed.0);
        database
            .execute(&format!(
                "INSERT INTO key_wraps VALUES ({}, '{holder_kind}', {holder_id}, {holder_epoch}, \
                    '{subject_kind}', {subject_id}, {subject_epoch}, {sealed})",
                owner.account.id
            ))
            .await;
    }
}

fn bytes(database: &TestDatabase, bytes: &[u8]) -> String {
    let hex = hex(bytes);
    if database.is_postgres() { format!("'\\x{hex}'") } else { format!("x'{hex}'") }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
