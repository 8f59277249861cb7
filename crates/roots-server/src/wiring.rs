//! The core, wired to the system's time, the cryptography and a database.

use std::sync::Arc;

use roots_crypto::RingLocksmith;
use roots_domain::service::{Ports, Services};
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
    let ports = Ports::of(store.clone(), Arc::new(RingLocksmith::default()));
    Services::new(ports, Arc::new(SystemClock), Arc::new(TimedUids))
}
