//! Commands about thousands of rows stay within the limits of a statement.

use roots_domain::command::{Action, Command, ManageAction, SystemAction};

use roots_domain::model::account::Role;
use roots_domain::model::id::{ActorId, KeyId};
use roots_domain::port::store::{CommandStore, Verifier};
use roots_testkit::commands::{Issuer, answers, begin_all};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::put_member;

roots_testkit::on_both! {
    an_actor_with_very_many_keys_can_be_deactivated,
    very_many_keys_are_maintained_by_one_command,
}

/// A row has 14 values, so all rows have more values than either database can bind in one
/// statement.
const KEYS: i64 = 5_000;
const MEMBER: i64 = 2;

/// An owner's issuer. Its account has a member with [`KEYS`] keys, more than the rules allow.
async fn with_keys(db: &TestDatabase) -> Issuer {
    let issuer = Issuer::new(&db.store, 100).await;
    let account = issuer.account;
    put_member(db, account, MEMBER).await;
    let (lookup, sealed) = if db.is_postgres() {
        ("decode(lpad(to_hex(i), 64, '0'), 'hex')", "'\\x00'::bytea")
    } else {
        ("randomblob(32)", "x'00'")
    };
    let numbers = format!(
        "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {})",
        KEYS + 1
    );
    db.execute(&format!(
        "{numbers} INSERT INTO api_keys (account_id, key_id, actor_id, lookup, prefix, created_at) \
            SELECT {account}, i, {MEMBER}, {lookup}, 'roots_1_', 0 FROM n"
    ))
    .await;
    db.execute(&format!(
        "{numbers} INSERT INTO key_wraps SELECT {account}, 'api_key', i, 0, 'actor', {MEMBER}, 1, \
            {sealed} FROM n"
    ))
    .await;
    let given = KEYS + 1;
    db.execute(&format!(
        "UPDATE accounts SET last_key_id = {given}, keys = {given} WHERE account_id = {account}"
    ))
    .await;
    issuer
}

/// The number of the member's ended keys, and of the wraps that its keys hold.
async fn ended(db: &TestDatabase) -> (i64, i64) {
    let keys = format!("SELECT COUNT(*) FROM api_keys WHERE actor_id = {MEMBER} AND is_ended = 1");
    let wraps = format!(
        "SELECT COUNT(*) FROM key_wraps WHERE holder_kind = 'api_key' AND subject_id = {MEMBER}"
    );
    (db.rows::<(i64,)>(&keys).await[0].0, db.rows::<(i64,)>(&wraps).await[0].0)
}

/// Applies a command in one batch with two others of its account.
async fn applied_beside_another(db: &TestDatabase, issuer: &Issuer, command: Command) {
    let hold = db.hold(issuer.account).await;
    let calls = begin_all(&db.store, [issuer.start_session(), command, issuer.start_session()]);
    hold.wait_until_blocking().await;
    hold.release().await;
    for answer in answers(calls).await {
        answer.unwrap();
    }
    assert_eq!(ended(db).await, (KEYS, 0));
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}

async fn an_actor_with_very_many_keys_can_be_deactivated(db: TestDatabase) {
    let issuer = with_keys(&db).await;
    assert_eq!(ended(&db).await, (0, KEYS));
    let patch =
        ManageAction::PatchActor { id: ActorId(MEMBER), name: None, is_active: Some(false) };
    let command = Command::uncharged(Action::Manage(issuer.bearer(Role::Owner), patch), issuer.at);
    applied_beside_another(&db, &issuer, command).await;
    let inactive = "SELECT COUNT(*) FROM actors WHERE actor_id = 2 AND is_active = 0";
    assert_eq!(db.rows::<(i64,)>(inactive).await, [(1,)]);
}

async fn very_many_keys_are_maintained_by_one_command(db: TestDatabase) {
    let issuer = with_keys(&db).await;
    db.execute("UPDATE api_keys SET expires_at = 1 WHERE actor_id = 2").await;
    let ids = (2..=KEYS + 1).map(KeyId);
    let action = SystemAction::MaintainKeys {
        account: issuer.account,
        used: ids.clone().map(|id| (id.into(), issuer.at)).collect(),
        over: ids.map(Into::into).collect(),
    };
    let command = Command::uncharged(Action::System(action), issuer.at);
    db.store.apply(command.clone()).await.unwrap();
    applied_beside_another(&db, &issuer, command).await;
}
