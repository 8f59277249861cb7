//! Sign-ins: a browser key opens what its API key opens, until one of the two ends, in every
//! process.

use roots_domain::command::Refusal;
use roots_domain::model::account::Role;
use roots_domain::model::audit::AuditAction;
use roots_domain::model::id::{ActorId, SignInId};
use roots_domain::model::page::PageRequest;
use roots_domain::model::sign_in::{SIGN_INS_MAX, SignInEnd, Stay};
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{AccountReader, Discrepancy, Mismatch, Verifier};
use roots_domain::service::access::Caller;
use roots_domain::service::keys::{Grace, KeyDraft};
use roots_domain::service::{Preconditions, ReadError, WriteError};
use roots_testkit::context::{TestContext, name, session_draft};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::add_member;
use secrecy::{ExposeSecret, SecretString};

roots_testkit::on_both! {
    a_browser_key_opens_what_its_actor_wrote_and_is_stored_nowhere,
    after_signing_out_the_cookie_is_unknown_in_every_process,
    revoking_a_key_ends_its_sign_ins_in_the_same_transaction,
    whom_a_rotation_signs_out_is_told_why,
    deactivation_recovery_and_erasure_end_sign_ins,
    a_use_prolongs_a_sign_in_and_what_is_over_is_swept,
    an_owner_sees_and_ends_all_sign_ins_a_member_its_own,
    the_longest_unused_of_an_actor_gives_way,
    verify_finds_a_sign_in_that_outlived_its_key,
}

const TWO: ActorId = ActorId(2);
const HOUR: i64 = 3_600;

async fn sign_in(context: &TestContext, caller: &Caller, stay: Stay) -> (SignInId, SecretString) {
    let label = Some(name("Firefox on Linux"));
    let shown = context.sign_ins.sign_in(caller, stay, label).await.unwrap();
    (shown.sign_in.id, shown.browser_key)
}

async fn admit(context: &TestContext, browser_key: &SecretString) -> Result<Caller, ReadError> {
    let key = context.access.parse_browser_key(browser_key).unwrap();
    context.access.admit(&key).await
}

const UNKNOWN: ReadError = ReadError::Refused(Refusal::KeyNotInForce);
const fn ended(why: SignInEnd) -> ReadError {
    ReadError::Refused(Refusal::SignInEnded(why))
}

async fn start_session(context: &TestContext, caller: &Caller) -> Result<(), WriteError> {
    let draft = session_draft("on a page");
    context.sessions.start(caller, draft, Preconditions::default()).await.map(drop)
}

/// Ids of the sign-ins that open something, and the number of rows.
async fn open(db: &TestDatabase) -> (Vec<i64>, i64) {
    let with_keys = "SELECT sign_in_id FROM sign_ins WHERE actor_key IS NOT NULL \
        OR account_key IS NOT NULL ORDER BY sign_in_id";
    let ids = db.rows::<(i64,)>(with_keys).await.into_iter().map(|(id,)| id).collect();
    (ids, db.rows::<(i64,)>("SELECT COUNT(*) FROM sign_ins").await[0].0)
}

async fn audited(context: &TestContext, caller: &Caller) -> Vec<AuditAction> {
    let page = context.accounts.audit_log(caller, PageRequest::default()).await.unwrap();
    page.items.iter().map(|entry| entry.event.action).collect()
}

async fn is_sound(db: &TestDatabase) -> bool {
    db.store.verify().await.unwrap().1.is_empty()
}

async fn a_browser_key_opens_what_its_actor_wrote_and_is_stored_nowhere(db: TestDatabase) {
    let context = db.context();
    let owner = context.caller(100).await;
    let member = context.bearer(&add_member(&db, &owner, 2).await).await;
    for (caller, notes) in [(&owner, "of the owner"), (&member, "of the member")] {
        let draft = session_draft(notes);
        let written =
            context.sessions.start(caller, draft, Preconditions::default()).await.unwrap();
        let (id, browser_key) = sign_in(&context, caller, Stay::Usual).await;
        let browser = admit(&context, &browser_key).await.unwrap();
        assert_eq!((browser.sign_in, browser.key), (Some(id), caller.key));
        assert_eq!(browser.actor, caller.actor);
        let found = context.sessions.get(&browser, written.value.id).await.unwrap().unwrap();
        assert_eq!(found.notes.as_deref(), Some(notes));
        // It writes as its actor.
        start_session(&context, &browser).await.unwrap();
        // It manages no keys.
        let rotated = context.keys.rotate(&browser, None, Grace::default(), None).await;
        assert_eq!(rotated.map(drop), Err(WriteError::Refused(Refusal::NeedsApiKey)));
        // No column holds it.
        let dump = format!("{:?}", db.dump().await);
        let secret = browser_key.expose_secret().rsplit('_').next().unwrap();
        assert!(!dump.contains(secret));
    }
    // An owner's opens the keys of its members.
    let (_, browser_key) = sign_in(&context, &owner, Stay::Usual).await;
    let browser = admit(&context, &browser_key).await.unwrap();
    assert_eq!(browser.actor.role, Role::Owner);
    let keys = context.keys.keys(&browser, PageRequest::default()).await.unwrap();
    assert_eq!(keys.total, 2, "a browser key is no key of the list");
    assert!(is_sound(&db).await);
}

async fn after_signing_out_the_cookie_is_unknown_in_every_process(db: TestDatabase) {
    let context = db.context();
    let there = db.another_context().await;
    let owner = context.caller(100).await;
    let (_, first_key) = sign_in(&context, &owner, Stay::Usual).await;
    let (second, second_key) = sign_in(&context, &owner, Stay::Long).await;
    let here = admit(&context, &first_key).await.unwrap();
    let elsewhere = admit(&there, &first_key).await.unwrap();
    context.sign_ins.sign_out(&here).await.unwrap();
    assert_eq!(open(&db).await, (vec![second.0], 1));
    for process in [&context, &there] {
        assert_eq!(admit(process, &first_key).await.unwrap_err(), UNKNOWN);
        assert!(admit(process, &second_key).await.is_ok());
    }
    // A caller that was admitted before writes nothing any more, and ends nothing twice.
    let late = start_session(&there, &elsewhere).await;
    assert_eq!(late, Err(WriteError::Refused(Refusal::KeyNotInForce)));
    let again = there.sign_ins.sign_out(&elsewhere).await;
    assert_eq!(again, Err(WriteError::Refused(Refusal::KeyNotInForce)));
    // No key has become cold: the account's auth epoch stands.
    let account = db.store.account(owner.account.id).await.unwrap().unwrap();
    assert_eq!((account.auth_epoch, account.sign_in_epoch), (owner.auth_epoch, 1));
    let actions = audited(&context, &owner).await;
    assert_eq!(actions, [AuditAction::SignedOut, AuditAction::SignedIn, AuditAction::SignedIn]);
    assert!(is_sound(&db).await);
}

async fn revoking_a_key_ends_its_sign_ins_in_the_same_transaction(db: TestDatabase) {
    let context = db.context();
    let owner = context.caller(100).await;
    let draft = KeyDraft { actor: owner.actor.id, label: None, expires_at: None, renew: false };
    let shown = context.keys.add(&owner, draft, None).await.unwrap().value;
    let second = context.bearer(&shown.api_key).await;
    let (kept, kept_key) = sign_in(&context, &owner, Stay::Usual).await;
    let (_, browser_key) = sign_in(&context, &second, Stay::Usual).await;
    let before = admit(&context, &browser_key).await.unwrap();
    context.keys.revoke(&owner, shown.key.id).await.unwrap();
    // The row stays until its time is over, to say why; it opens nothing.
    assert_eq!(open(&db).await, (vec![kept.0], 2));
    assert_eq!(admit(&context, &browser_key).await.unwrap_err(), ended(SignInEnd::KeyEnded));
    assert!(admit(&context, &kept_key).await.is_ok());
    let late = start_session(&context, &before).await;
    assert_eq!(late, Err(WriteError::Refused(Refusal::KeyNotInForce)));
    let listed = context.sign_ins.list(&owner, None, 100).await;
    // The owner was admitted before a key ended.
    assert!(matches!(listed, Err(ReadError::Store(_))), "{listed:?}");
    assert!(is_sound(&db).await);
}

async fn whom_a_rotation_signs_out_is_told_why(db: TestDatabase) {
    let context = db.context();
    let owner = context.caller(100).await;
    for (grace, wait) in [(0, 0), (60, 60)] {
        let key = add_member(&db, &owner, 2 + grace).await;
        let agent = context.bearer(&key).await;
        let (_, browser_key) = sign_in(&context, &agent, Stay::Usual).await;
        let grace = Grace::parse(grace).unwrap();
        let next = context.keys.rotate(&agent, None, grace, None).await.unwrap().value;
        // Until the new key is used, nothing has ended.
        assert!(admit(&context, &browser_key).await.is_ok());
        context.bearer(&next.api_key).await;
        if wait > 0 {
            let browser = admit(&context, &browser_key).await.unwrap();
            assert_eq!(browser.ends_at, Some(context.clock.now().plus_seconds(wait)));
            context.clock.advance_seconds(wait);
        }
        let told = ended(SignInEnd::KeyRotated);
        assert_eq!(admit(&context, &browser_key).await.unwrap_err(), told);
        // Nor is it otherwise once the old key is swept.
        context.key_usage.maintain().await.unwrap();
        assert_eq!(admit(&context, &browser_key).await.unwrap_err(), told);
    }
    assert_eq!(open(&db).await, (vec![], 2));
    assert!(is_sound(&db).await);
}

async fn deactivation_recovery_and_erasure_end_sign_ins(db: TestDatabase) {
    let context = db.context();
    let credentials = context.found(100).await;
    let owner = context.admit(&credentials).await;
    let member = context.bearer(&add_member(&db, &owner, 2).await).await;
    let (_, members_key) = sign_in(&context, &member, Stay::Usual).await;
    let (_, owners_key) = sign_in(&context, &owner, Stay::Usual).await;
    context.keys.patch_actor(&owner, TWO, None, Some(false)).await.unwrap();
    assert_eq!(admit(&context, &members_key).await.unwrap_err(), ended(SignInEnd::KeyEnded));
    assert!(admit(&context, &owners_key).await.is_ok());
    context.keys.patch_actor(&owner, TWO, None, Some(true)).await.unwrap();
    assert_eq!(admit(&context, &members_key).await.unwrap_err(), ended(SignInEnd::KeyEnded));
    let recovered = context.accounts.recover(&credentials.recovery_code, None).await.unwrap();
    assert_eq!(admit(&context, &owners_key).await.unwrap_err(), ended(SignInEnd::KeyEnded));
    let owner = context.bearer(&recovered.api_key).await;
    let (_, browser_key) = sign_in(&context, &owner, Stay::Long).await;
    assert!(is_sound(&db).await);
    context.erasures.erase(&owner, &recovered.recovery_code).await.unwrap();
    assert_eq!(open(&db).await, (vec![], 0), "in the first transaction");
    assert_eq!(admit(&context, &browser_key).await.unwrap_err(), UNKNOWN);
}

async fn a_use_prolongs_a_sign_in_and_what_is_over_is_swept(db: TestDatabase) {
    let context = db.context();
    let owner = context.caller(100).await;
    let (used, used_key) = sign_in(&context, &owner, Stay::Usual).await;
    let (_, unused_key) = sign_in(&context, &owner, Stay::Usual).await;
    let (long, long_key) = sign_in(&context, &owner, Stay::Long).await;
    context.clock.advance_seconds(11 * HOUR);
    let browser = admit(&context, &used_key).await.unwrap();
    context.key_usage.note(&browser);
    context.key_usage.maintain().await.unwrap();
    // The use of a sign-in is no use of the key that opened it.
    let key_used = "SELECT COUNT(*) FROM api_keys WHERE last_used IS NOT NULL";
    assert_eq!(db.rows::<(i64,)>(key_used).await[0].0, 0);
    context.clock.advance_seconds(HOUR);
    assert!(admit(&context, &used_key).await.is_ok());
    assert_eq!(admit(&context, &unused_key).await.unwrap_err(), ended(SignInEnd::Lapsed));
    context.key_usage.maintain().await.unwrap();
    assert_eq!(open(&db).await, (vec![used.0, long.0], 2));
    assert_eq!(admit(&context, &unused_key).await.unwrap_err(), UNKNOWN);
    // However it is used, it ends after 7 days, or 30.
    for _ in 0..29 * 4 {
        context.clock.advance_seconds(6 * HOUR);
        for key in [&used_key, &long_key] {
            if let Ok(browser) = admit(&context, key).await {
                context.key_usage.note(&browser);
            }
        }
        context.key_usage.flush().await.unwrap();
    }
    context.key_usage.maintain().await.unwrap();
    assert_eq!(open(&db).await, (vec![long.0], 1));
    context.clock.advance_seconds(24 * HOUR);
    assert_eq!(admit(&context, &long_key).await.unwrap_err(), ended(SignInEnd::Lapsed));
    context.key_usage.maintain().await.unwrap();
    assert_eq!(open(&db).await, (vec![], 0));
    let account = db.store.account(owner.account.id).await.unwrap().unwrap();
    assert_eq!(account.auth_epoch, owner.auth_epoch);
    assert!(is_sound(&db).await);
}

async fn an_owner_sees_and_ends_all_sign_ins_a_member_its_own(db: TestDatabase) {
    let context = db.context();
    let owner = context.caller(100).await;
    let member = context.bearer(&add_member(&db, &owner, 2).await).await;
    let (first, first_key) = sign_in(&context, &owner, Stay::Usual).await;
    let (second, second_key) = sign_in(&context, &member, Stay::Long).await;
    let owner = admit(&context, &first_key).await.unwrap();
    let member = admit(&context, &second_key).await.unwrap();
    let listed = context.sign_ins.list(&owner, None, 100).await.unwrap().items;
    let shown = listed.iter().map(|entry| {
        let sign_in = &entry.listed.sign_in;
        (sign_in.id, sign_in.actor, sign_in.stay, entry.is_callers)
    });
    let expected = [(second, TWO, Stay::Long, false), (first, owner.actor.id, Stay::Usual, true)];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert_eq!(listed[0].listed.actor_name, name("Member 2"));
    assert_eq!(listed[1].listed.sign_in.label, Some(name("Firefox on Linux")));
    assert_eq!(listed[1].listed.opener.id, owner.key);
    assert_eq!(Some(listed[1].ends_at), owner.ends_at);
    let latest = context.sign_ins.list(&owner, None, 1).await.unwrap();
    assert_eq!((&latest.items[..], latest.next), (&listed[..1], Some(second)));
    let last = context.sign_ins.list(&owner, latest.next, 1).await.unwrap();
    assert_eq!((&last.items[..], last.next), (&listed[1..], None));
    let own = context.sign_ins.list(&member, None, 100).await.unwrap().items;
    assert_eq!(own.iter().map(|entry| entry.listed.sign_in.id).collect::<Vec<_>>(), [second]);
    let refused = context.sign_ins.end(&member, first).await;
    assert_eq!(refused, Err(WriteError::Refused(Refusal::NotFound("sign-in"))));
    let refused = context.sign_ins.end_all_of(&member, owner.actor.id).await;
    assert_eq!(refused, Err(WriteError::Refused(Refusal::OwnerOnly)));
    context.sign_ins.end(&owner, second).await.unwrap();
    assert_eq!(admit(&context, &second_key).await.unwrap_err(), UNKNOWN);
    context.sign_ins.end_all(&owner).await.unwrap();
    assert_eq!(admit(&context, &first_key).await.unwrap_err(), UNKNOWN);
    assert_eq!(open(&db).await, (vec![], 0));
    // Of another account nothing is seen.
    let stranger = context.caller(0).await;
    assert_eq!(context.sign_ins.list(&stranger, None, 100).await.unwrap().items, []);
}

async fn the_longest_unused_of_an_actor_gives_way(db: TestDatabase) {
    let context = db.context();
    let owner = context.caller(100).await;
    let member = context.bearer(&add_member(&db, &owner, 2).await).await;
    let (of_member, _) = sign_in(&context, &member, Stay::Usual).await;
    let mut keys = Vec::new();
    for _ in 0..=SIGN_INS_MAX {
        context.clock.advance_seconds(1);
        keys.push(sign_in(&context, &owner, Stay::Usual).await.1);
    }
    let rows = i64::try_from(SIGN_INS_MAX).unwrap() + 1;
    let (open, all) = open(&db).await;
    assert_eq!((open.len(), all), (SIGN_INS_MAX + 1, rows));
    assert!(open.contains(&of_member.0));
    assert_eq!(admit(&context, &keys[0]).await.unwrap_err(), UNKNOWN);
    assert!(admit(&context, &keys[1]).await.is_ok());
    assert!(is_sound(&db).await);
}

async fn verify_finds_a_sign_in_that_outlived_its_key(db: TestDatabase) {
    let context = db.context();
    let owner = context.caller(100).await;
    let (id, _) = sign_in(&context, &owner, Stay::Usual).await;
    let account = Some(owner.account.id);
    let found = |mismatch| (1, vec![Discrepancy { account, mismatch }]);
    db.execute("UPDATE api_keys SET is_ended = 1").await;
    assert_eq!(db.store.verify().await.unwrap(), found(Mismatch::SignIn(id)));
    db.execute("UPDATE api_keys SET is_ended = 0").await;
    db.execute("UPDATE accounts SET last_sign_in_id = 0").await;
    let beyond = Mismatch::IdNotGiven { table: "sign_ins", given: 0, found: id.0 };
    assert_eq!(db.store.verify().await.unwrap(), found(beyond));
}
