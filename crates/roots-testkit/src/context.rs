//! The services over a real store with real keys, and accounts to call them with.

use std::ops::Deref;
use std::sync::Arc;

use roots_crypto::RingLocksmith;
use roots_domain::model::account::{AccountKind, ActorKind};
use roots_domain::model::text::{ActivityText, ActivityType, LongText, Name, Title};
use roots_domain::model::todo::TodoContent;
use roots_domain::port::clock::Clock;
use roots_domain::service::access::Caller;
use roots_domain::service::accounts::{AccountDraft, NewCredentials};
use roots_domain::service::activities::ActivityDraft;
use roots_domain::service::sessions::SessionDraft;
use roots_domain::service::todos::TodoDraft;
use roots_domain::service::{Ports, Services};
use roots_persistence::Store;
use secrecy::SecretString;

use crate::ambient::{RandomUids, TestClock};

/// The services over one store.
#[derive(Clone)]
pub struct TestContext {
    /// The store.
    pub store: Store,
    /// The clock of the store and all services.
    pub clock: Arc<TestClock>,
    /// The services.
    pub services: Services,
}

impl Deref for TestContext {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}

impl TestContext {
    /// The services over `store`, with real keys. `clock` must be the clock of the store.
    #[must_use]
    pub fn new(store: Store, clock: Arc<TestClock>) -> Self {
        let ports = Ports::of(store.clone(), Arc::new(RingLocksmith::default()));
        let services = Services::new(ports, clock.clone(), Arc::new(RandomUids));
        Self { store, clock, services }
    }

    /// The time in `seconds` seconds by its clock, in the API's format.
    #[must_use]
    pub fn clock_in(&self, seconds: i64) -> String {
        self.clock.now().plus_seconds(seconds).to_string()
    }

    /// Creates an account with that many credits.
    pub async fn found(&self, credits: i64) -> NewCredentials {
        self.found_of(AccountKind::Customer, credits).await
    }

    /// Creates an account of that kind with that many credits.
    pub async fn found_of(&self, kind: AccountKind, credits: i64) -> NewCredentials {
        let draft = AccountDraft {
            name: name("Test account"),
            kind,
            owner_name: name("Test agent"),
            owner_kind: ActorKind::Agent,
            credits,
        };
        self.accounts.bootstrap(draft).await.expect("a new account")
    }

    /// Creates an account with that many credits and admits its owner.
    pub async fn caller(&self, credits: i64) -> Caller {
        let credentials = self.found(credits).await;
        self.admit(&credentials).await
    }

    /// Admits the owner of an account.
    pub async fn admit(&self, credentials: &NewCredentials) -> Caller {
        self.bearer(&credentials.api_key).await
    }

    /// Admits the bearer of a key.
    pub async fn bearer(&self, api_key: &SecretString) -> Caller {
        let key = self.access.parse_key(api_key).expect("a key of a known form");
        self.access.admit(&key).await.expect("a key in force")
    }
}

/// A name.
#[must_use]
pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// A title.
#[must_use]
pub fn title(text: &str) -> Title {
    Title::parse(text).expect("a title")
}

/// A long text.
#[must_use]
pub fn long_text(text: &str) -> LongText {
    LongText::parse(text).expect("a long text")
}

/// An activity's type.
#[must_use]
pub fn activity_type(text: &str) -> ActivityType {
    ActivityType::parse(text).expect("an activity type")
}

/// A session to start, with notes.
#[must_use]
pub fn session_draft(notes: &str) -> SessionDraft {
    SessionDraft { actor: None, notes: Some(long_text(notes)) }
}

/// A todo to create, with only a title.
#[must_use]
pub fn todo_draft(text: &str) -> TodoDraft {
    TodoDraft { actor: None, content: TodoContent::titled(title(text)) }
}

/// An activity to log, with only a description.
#[must_use]
pub fn activity_draft(text: &str) -> ActivityDraft {
    ActivityDraft {
        actor: None,
        description: ActivityText::parse(text).expect("an activity's text"),
        activity_type: ActivityType::default(),
        session: None,
        logged_at: None,
    }
}
