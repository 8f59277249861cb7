//! An account to work in, on a real store and with real keys.

use std::sync::Arc;

use roots_crypto::RingLocksmith;
use roots_domain::model::account::{AccountKind, ActorKind};
use roots_domain::model::text::{ActivityText, ActivityType, LongText, Name, Title};
use roots_domain::model::todo::Priority;
use roots_domain::port::ambient::{Clock, Uids};
use roots_domain::port::keys::Locksmith;
use roots_domain::usecase::access::{Access, Caller};
use roots_domain::usecase::accounts::{AccountDraft, Accounts, NewCredentials};
use roots_domain::usecase::activities::{Activities, ActivityDraft};
use roots_domain::usecase::erasures::Erasures;
use roots_domain::usecase::exports::Exports;
use roots_domain::usecase::imports::Imports;
use roots_domain::usecase::keys::Keys;
use roots_domain::usecase::leftovers::{Leftovers, Turn};
use roots_domain::usecase::operators::Operators;
use roots_domain::usecase::sessions::{SessionDraft, Sessions};
use roots_domain::usecase::todos::{TodoDraft, Todos};
use roots_domain::usecase::upkeep::Upkeep;
use roots_domain::usecase::usage::Usage;
use roots_domain::usecase::uses::{Backlog, Uses};
use roots_persistence::Store;
use secrecy::SecretString;

use crate::ambient::{RandomUids, TestClock};

/// The use cases over one store.
#[derive(Clone)]
pub struct World {
    /// The store.
    pub store: Store,
    /// The clock that they all go by.
    pub clock: Arc<TestClock>,
    /// Admits callers.
    pub access: Access,
    /// Accounts.
    pub accounts: Accounts,
    /// Operators.
    pub operators: Operators,
    /// Actors and keys.
    pub keys: Keys,
    /// When keys were last used.
    pub uses: Uses,
    /// Sessions.
    pub sessions: Sessions,
    /// Todos.
    pub todos: Todos,
    /// Activities.
    pub activities: Activities,
    /// Exports.
    pub exports: Exports,
    /// How often accounts call what.
    pub usage: Usage,
    /// What is done from time to time.
    pub upkeep: Upkeep,
    /// Imports.
    pub imports: Imports,
    /// Erasures.
    pub erasures: Erasures,
    /// What deletions have left.
    pub leftovers: Leftovers,
}

impl World {
    /// The use cases over `store`, with real keys, by the clock that the store decides by.
    #[must_use]
    pub fn new(store: Store, clock: Arc<TestClock>) -> Self {
        let time: Arc<dyn Clock> = clock.clone();
        let uids: Arc<dyn Uids> = Arc::new(RandomUids);
        let locksmith: Arc<dyn Locksmith> = Arc::new(RingLocksmith::default());
        let shared = Arc::new(store.clone());
        let access = Access {
            locksmith: locksmith.clone(),
            reader: shared.clone(),
            units: shared.clone(),
            clock: time.clone(),
        };
        Self {
            store,
            clock,
            exports: Exports { access: access.clone(), reader: shared.clone() },
            access,
            imports: Imports {
                units: shared.clone(),
                accounts: shared.clone(),
                reader: shared.clone(),
                clock: time.clone(),
                uids: uids.clone(),
            },
            erasures: Erasures {
                units: shared.clone(),
                locksmith: locksmith.clone(),
                clock: time.clone(),
            },
            leftovers: Leftovers {
                units: shared.clone(),
                reader: shared.clone(),
                clock: time.clone(),
                turn: Turn::default(),
            },
            keys: Keys {
                units: shared.clone(),
                reader: shared.clone(),
                clock: time.clone(),
                uids: uids.clone(),
            },
            uses: Uses {
                units: shared.clone(),
                reader: shared.clone(),
                clock: time.clone(),
                backlog: Backlog::default(),
            },
            accounts: Accounts {
                units: shared.clone(),
                reader: shared.clone(),
                locksmith,
                clock: time.clone(),
                uids: uids.clone(),
            },
            operators: Operators {
                units: shared.clone(),
                reader: shared.clone(),
                clock: time.clone(),
            },
            sessions: Sessions {
                units: shared.clone(),
                reader: shared.clone(),
                accounts: shared.clone(),
                clock: time.clone(),
                uids: uids.clone(),
            },
            todos: Todos {
                units: shared.clone(),
                reader: shared.clone(),
                accounts: shared.clone(),
                clock: time.clone(),
                uids: uids.clone(),
            },
            upkeep: Upkeep { units: shared.clone(), reader: shared.clone(), clock: time.clone() },
            activities: Activities {
                units: shared.clone(),
                reader: shared.clone(),
                accounts: shared.clone(),
                clock: time.clone(),
                uids,
            },
            usage: Usage {
                units: shared.clone(),
                reader: shared,
                clock: time,
                pending: Arc::default(),
            },
        }
    }

    /// The time that its clock will show in so many seconds, as the API writes it.
    #[must_use]
    pub fn clock_in(&self, seconds: i64) -> String {
        self.clock.now().plus_seconds(seconds).to_string()
    }

    /// Founds an account with that many credits.
    pub async fn found(&self, credits: i64) -> NewCredentials {
        self.found_of(AccountKind::Customer, credits).await
    }

    /// Founds an account for that, with that many credits.
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

    /// Founds an account with that many credits and admits its owner.
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
        let lookup = self.access.recognize(api_key).expect("a key of a known form");
        self.access.admit(api_key, lookup).await.expect("a key in force")
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

/// A todo to create, of a title and nothing else.
#[must_use]
pub fn todo_draft(text: &str) -> TodoDraft {
    TodoDraft {
        actor: None,
        title: title(text),
        description: None,
        session: None,
        priority: Priority::default(),
        due_at: None,
    }
}

/// An activity to log, of a description and nothing else.
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
