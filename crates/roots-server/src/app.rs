//! The core, wired to the system's time, the cryptography and a database.

use std::sync::Arc;

use roots_crypto::RingLocksmith;
use roots_domain::port::ambient::{Clock, Uids};
use roots_domain::port::keys::Locksmith;
use roots_domain::usecase::access::Access;
use roots_domain::usecase::accounts::Accounts;
use roots_domain::usecase::activities::Activities;
use roots_domain::usecase::erasures::Erasures;
use roots_domain::usecase::exports::Exports;
use roots_domain::usecase::imports::Imports;
use roots_domain::usecase::keys::Keys;
use roots_domain::usecase::leftovers::{Leftovers, Turn};
use roots_domain::usecase::operators::Operators;
use roots_domain::usecase::sessions::Sessions;
use roots_domain::usecase::todos::Todos;
use roots_domain::usecase::upkeep::Upkeep;
use roots_domain::usecase::usage::Usage;
use roots_domain::usecase::uses::{Backlog, Uses};
use roots_http::Services;
use roots_persistence::{DatabaseUrl, OpenError, Store, Threads};

use crate::ambient::{SystemClock, TimedUids};

/// Opens a database and brings it to the newest schema.
///
/// # Errors
/// It can't be opened or migrated.
pub(crate) async fn open(url: &DatabaseUrl, threads: &Threads) -> Result<Store, OpenError> {
    let store = Store::open_for(url, Arc::new(SystemClock), threads).await?;
    store.migrate().await?;
    Ok(store)
}

/// Everything that the core can do, on that database.
pub(crate) fn services(store: &Store) -> Services {
    let store = Arc::new(store.clone());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let uids: Arc<dyn Uids> = Arc::new(TimedUids);
    let locksmith: Arc<dyn Locksmith> = Arc::new(RingLocksmith::default());
    let access = Access {
        locksmith: Arc::clone(&locksmith),
        reader: store.clone(),
        units: store.clone(),
        clock: Arc::clone(&clock),
    };
    Services {
        exports: Exports { access: access.clone(), reader: store.clone() },
        access,
        sessions: Sessions {
            units: store.clone(),
            reader: store.clone(),
            accounts: store.clone(),
            clock: Arc::clone(&clock),
            uids: Arc::clone(&uids),
        },
        todos: Todos {
            units: store.clone(),
            reader: store.clone(),
            accounts: store.clone(),
            clock: Arc::clone(&clock),
            uids: Arc::clone(&uids),
        },
        activities: Activities {
            units: store.clone(),
            reader: store.clone(),
            accounts: store.clone(),
            clock: Arc::clone(&clock),
            uids: Arc::clone(&uids),
        },
        imports: Imports {
            units: store.clone(),
            accounts: store.clone(),
            reader: store.clone(),
            clock: Arc::clone(&clock),
            uids: Arc::clone(&uids),
        },
        erasures: Erasures {
            units: store.clone(),
            locksmith: Arc::clone(&locksmith),
            clock: Arc::clone(&clock),
        },
        leftovers: Leftovers {
            units: store.clone(),
            reader: store.clone(),
            clock: Arc::clone(&clock),
            turn: Turn::default(),
        },
        keys: Keys {
            units: store.clone(),
            reader: store.clone(),
            clock: Arc::clone(&clock),
            uids: Arc::clone(&uids),
        },
        uses: Uses {
            units: store.clone(),
            reader: store.clone(),
            clock: Arc::clone(&clock),
            backlog: Backlog::default(),
        },
        accounts: Accounts {
            units: store.clone(),
            reader: store.clone(),
            locksmith,
            clock: Arc::clone(&clock),
            uids: Arc::clone(&uids),
        },
        operators: Operators {
            units: store.clone(),
            reader: store.clone(),
            clock: Arc::clone(&clock),
        },
        usage: Usage {
            units: store.clone(),
            reader: store.clone(),
            clock,
            pending: Arc::default(),
        },
        epochs: store.clone(),
        readiness: store,
        uids,
    }
}

/// What is done from time to time on that database.
pub(crate) fn upkeep(store: &Store) -> Upkeep {
    let store = Arc::new(store.clone());
    Upkeep { units: store.clone(), reader: store, clock: Arc::new(SystemClock) }
}
