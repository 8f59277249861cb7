//! An owner can use the keys of every actor of its account, and of no other account.

use std::sync::Arc;

use roots_domain::model::id::{ActorId, KeyId, SessionId, TodoId, Uid};
use roots_domain::model::page::PageRequest;
use roots_domain::model::sealed::{Field, TextPlace};
use roots_domain::model::session::SessionStatus;
use roots_domain::model::source_row::{SourceRow, SourceSession};
use roots_domain::model::text::LogNote;
use roots_domain::model::todo::TodoStatus;
use roots_domain::port::clock::Clock;
use roots_domain::port::crypto::{CryptoError, EARLIER_EPOCHS_KEPT};
use roots_domain::port::store::{SessionReader, StoreError};
use roots_domain::service::access::{ActorScope, Caller};
use roots_domain::service::activities::ActivitySelection;
use roots_domain::service::exports::Record;
use roots_domain::service::imports::{ImportMode, RowOutcome};
use roots_domain::service::keyrings::Keyrings;
use roots_domain::service::keys::KeyDraft;
use roots_domain::service::todos::TodoChange;
use roots_domain::service::{IdempotentRequest, Preconditions};
use roots_testkit::commands;
use roots_testkit::context::{self, TestContext, activity_draft, todo_draft};
use roots_testkit::database::TestDatabase;
use roots_testkit::members::{add_member, renew_member};

roots_testkit::on_both! {
    an_owner_and_a_member_open_texts_that_the_other_sealed,
    after_a_renewal_the_new_key_seals_and_earlier_texts_still_open,
    texts_of_every_epoch_open_for_owner_and_member,
    rows_imported_after_a_renewal_are_sealed_under_the_new_epoch,
    an_actor_of_another_account_has_no_keyring,
    missing_wraps_are_a_store_error,
}

const TWO: ActorId = ActorId(2);
const THREE: ActorId = ActorId(3);

fn place() -> TextPlace {
    TextPlace { field: Field::LogNote, row: commands::uid() }
}

async fn keys_of(
    context: &TestContext,
    caller: &Caller,
    actors: impl IntoIterator<Item = ActorId>,
) -> Result<Keyrings, StoreError> {
    let texts = actors.into_iter().map(|actor| (actor, std::iter::empty()));
    Keyrings::of(&context.store, caller, texts).await
}

async fn an_owner_and_a_member_open_texts_that_the_other_sealed(db: TestDatabase) {
    let context = db.context();
    let owner = context.caller(0).await;
    let two = context.bearer(&add_member(&db, &owner, 2).await).await;
    let three = context.bearer(&add_member(&db, &owner, 3).await).await;
    let keys = keys_of(&context, &owner, [owner.actor.id, TWO, THREE]).await.unwrap();
    for (member, other) in [(&two, &three), (&three, &two)] {
        let (place, theirs) = (place(), keys.of_row(member.actor.id).unwrap());
        let by_member = member.keys.seal(place, "by the member").unwrap();
        assert_eq!(theirs.open(place, &by_member).as_deref(), Ok("by the member"));
        let by_owner = theirs.seal(place, "by the owner").unwrap();
        assert_eq!(member.keys.open(place, &by_owner).as_deref(), Ok("by the owner"));
        for sealed in [by_member, by_owner] {
            for keyring in [&owner.keys, &other.keys, keys.of_row(other.actor.id).unwrap()] {
                assert_eq!(keyring.open(place, &sealed), Err(CryptoError::DoesNotOpen));
            }
        }
    }
}

async fn after_a_renewal_the_new_key_seals_and_earlier_texts_still_open(db: TestDatabase) {
    let context = db.context();
    let owner = context.caller(0).await;
    let member = context.bearer(&add_member(&db, &owner, 2).await).await;
    let place = place();
    let before = member.keys.seal(place, "before").unwrap();
    let keys = keys_of(&context, &owner, [TWO]).await.unwrap();
    let renewal = keys.of_row(TWO).unwrap().renew(KeyId(9)).unwrap();
    renew_member(&db, &owner, 2, &renewal).await;
    // A text that the owner seals with the old keyring after the renewal still opens.
    let late = keys.of_row(TWO).unwrap().seal(place, "late").unwrap();
    // This caller was admitted before the renewal.
    let keys = keys_of(&context, &owner, [TWO]).await.unwrap();
    let after = keys.of_row(TWO).unwrap().seal(place, "after").unwrap();
    assert_eq!(member.keys.open(place, &after), Err(CryptoError::WrapMissing));
    let renewed = context.bearer(&renewal.key.secret).await;
    for caller in [&renewed, &owner] {
        let texts = [(TWO, [&before, &late, &after])];
        let keys = Keyrings::of(&context.store, caller, texts).await.unwrap();
        let keyring = keys.of_row(TWO).unwrap();
        assert_eq!(keyring.open(place, &before).as_deref(), Ok("before"));
        assert_eq!(keyring.open(place, &late).as_deref(), Ok("late"));
        assert_eq!(keyring.open(place, &after).as_deref(), Ok("after"));
    }
}

/// A member has more epochs than a keyring keeps. The account and its owner have four.
async fn texts_of_every_epoch_open_for_owner_and_member(db: TestDatabase) {
    let context = db.context();
    let credentials = context.found(1_000).await;
    let mut owner = context.admit(&credentials).await;
    let mut owners_key = credentials.api_key;
    let mut members_key = add_member(&db, &owner, 2).await;
    let mut written = Vec::new();
    let renewals = i64::try_from(EARLIER_EPOCHS_KEPT).unwrap() + 6;
    for epoch in 0..renewals {
        let keys = Keyrings::in_force(&db.store, &owner, TWO).await.unwrap();
        let renewal = keys.of_row(TWO).unwrap().renew(KeyId(10 + epoch)).unwrap();
        renew_member(&db, &owner, 2, &renewal).await;
        members_key = renewal.key.secret;
        let member = context.bearer(&members_key).await;
        if epoch % 10 == 0 {
            let text = format!("member in {epoch}");
            let draft = activity_draft(&text);
            context.activities.log(&member, draft, Preconditions::default()).await.unwrap();
            written.push(text);
            let todo =
                context.todos.create(&member, todo_draft("t"), Preconditions::default()).await;
            let note = LogNote::parse(format!("begun in {epoch}")).unwrap();
            let status = Some(TodoStatus::InProgress);
            let change = TodoChange { status, note: Some(note), ..TodoChange::EMPTY };
            let id = todo.unwrap().value.id;
            context.todos.patch(&member, id, change, Preconditions::default()).await.unwrap();
        }
    }
    let given = "UPDATE accounts SET last_key_id = 500";
    db.execute(given).await;
    // Renews the keys of the account and its owner three times. The member's epoch stays.
    for epoch in 0..3 {
        let text = format!("owner in {epoch}");
        let draft = activity_draft(&text);
        context.activities.log(&owner, draft, Preconditions::default()).await.unwrap();
        written.push(text);
        let actor = owner.actor.id;
        let draft = KeyDraft { actor, label: None, expires_at: None, renew: true };
        let made = context.keys.add(&owner, draft, None).await.unwrap().value;
        owner = context.bearer(&made.api_key).await;
        owners_key = made.api_key;
    }
    let member = context.bearer(&members_key).await;
    written.sort();
    let of = async |caller: &Caller, scope| {
        let selection = ActivitySelection { scope, ..ActivitySelection::default() };
        let page = PageRequest::skipping(0, 100);
        let found = context.activities.list(caller, selection, page).await.unwrap().items;
        let mut texts: Vec<_> = found.into_iter().map(|activity| activity.description).collect();
        texts.sort();
        texts
    };
    // The second pass also uses what the keyrings kept from the first.
    for _ in 0..2 {
        assert_eq!(of(&owner, ActorScope::All).await, written);
        let own = |text: &String| text.starts_with("member");
        let (members, owners): (Vec<_>, Vec<_>) = written.iter().cloned().partition(own);
        assert_eq!(of(&member, ActorScope::Own).await, members);
        assert_eq!(of(&owner, ActorScope::Own).await, owners);
        for caller in [&owner, &member] {
            let log = context.todos.log_after(caller, TodoId(1), None).await.unwrap().unwrap();
            let mut steps = context.accounts.opening(caller, log.steps).await.unwrap();
            assert_eq!(steps.next().unwrap().unwrap().note.as_deref(), Some("begun in 0"));
        }
    }
    // The patch is compared with a text of an early epoch. The same request is replayed after a
    // renewal.
    let idempotent = || IdempotentRequest { key: "once".into(), request: b"the same".to_vec() };
    let preconditions =
        || Preconditions { idempotent: Some(idempotent()), ..Preconditions::default() };
    let change = |title| TodoChange { title: Some(context::title(title)), ..TodoChange::EMPTY };
    let first =
        context.todos.patch(&member, TodoId(1), change("new"), preconditions()).await.unwrap();
    let keys = Keyrings::in_force(&db.store, &owner, TWO).await.unwrap();
    let renewal = keys.of_row(TWO).unwrap().renew(KeyId(400)).unwrap();
    renew_member(&db, &owner, 2, &renewal).await;
    let renewed = context.bearer(&renewal.key.secret).await;
    let again =
        context.todos.patch(&renewed, TodoId(1), change("new"), preconditions()).await.unwrap();
    assert_eq!((again.is_replay, again.value), (true, first.value));

    let members = written.len() - 3;
    let bearers = [(owner, owners_key, written.len()), (renewed, renewal.key.secret, members)];
    for (caller, key, count) in bearers {
        let lookup = context.access.parse_key(&key).unwrap().lookup;
        let mut export = context.exports.begin(Arc::new(caller), lookup, None).await.unwrap();
        let (mut opened, mut steps) = (0, 0);
        while let Some(records) = export.next().await.unwrap() {
            for record in records {
                match record {
                    Record::Activity(activity) => {
                        opened += usize::from(activity.description.is_ok());
                    }
                    Record::Step(_, step) => steps += usize::from(matches!(step.note, Some(Ok(_)))),
                    Record::Todo(todo, _) => assert!(todo.content.title.is_ok()),
                    _ => {}
                }
            }
        }
        assert_eq!((opened, steps), (count, members));
    }
}

/// The import begins with the keys of the actor whose rows it adds. They are renewed between the
/// rows.
async fn rows_imported_after_a_renewal_are_sealed_under_the_new_epoch(db: TestDatabase) {
    let context = db.context();
    let owner = Arc::new(context.caller(100).await);
    add_member(&db, &owner, 2).await;
    let begun = context.imports.begin(owner.clone(), Uid::NIL, Some(TWO), ImportMode::Write).await;
    let mut import = begun.unwrap();
    let mut epochs = Vec::new();
    for id in 1..=4 {
        if id % 2 == 0 {
            let draft = KeyDraft { actor: TWO, label: None, expires_at: None, renew: true };
            context.keys.add(&owner, draft, None).await.unwrap();
        }
        let row = SourceRow::Session(SourceSession {
            id: SessionId(id),
            actor: ActorId(7),
            status: SessionStatus::Active,
            notes: Some(context::long_text("imported")),
            started_at: context.clock.now(),
        });
        let outcomes = import.rows(vec![row]).await.unwrap().outcomes;
        assert_eq!(outcomes, [Ok(RowOutcome::Added)], "row {id} is new");
        let found = db.store.session(owner.account.id.into(), SessionId(id)).await.unwrap();
        epochs.push(owner.keys.epoch_of(&found.unwrap().notes.unwrap()).unwrap().0);
    }
    assert_eq!(epochs, [1, 2, 2, 3]);
}

async fn an_actor_of_another_account_has_no_keyring(db: TestDatabase) {
    let context = db.context();
    let (owner, outsider) = (context.caller(0).await, context.caller(0).await);
    add_member(&db, &outsider, 2).await;
    let keys = keys_of(&context, &owner, [TWO]).await.unwrap();
    assert!(keys.find(TWO).is_none());
}

async fn missing_wraps_are_a_store_error(db: TestDatabase) {
    let context = db.context();
    let owner = context.caller(0).await;
    let member = context.bearer(&add_member(&db, &owner, 2).await).await;
    db.execute("DELETE FROM key_wraps WHERE holder_kind = 'account' AND subject_id = 2").await;
    let error = keys_of(&context, &owner, [TWO]).await.unwrap_err();
    let message =
        format!("the keys of actor 2 of account {}: a key wrap is missing", owner.account.id);
    assert_eq!(error, StoreError::Broken(message));
    let refused = keys_of(&context, &member, [owner.actor.id]).await.unwrap_err();
    assert!(matches!(refused, StoreError::Broken(cause) if cause.contains("owner")));
}
