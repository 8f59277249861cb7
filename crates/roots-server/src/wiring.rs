//! Wires the domain to the system's clock, the cryptography and a database.

use std::sync::Arc;

use roots_crypto::RingLocksmith;
use roots_domain::service::{Ports, Services};
use roots_persistence::{DatabaseUrl, OpenError, Store, Threads};

use crate::ambient::{SystemClock, TimedUids};

/// Opens and migrates a database.
///
/// # Errors
/// It can't be opened or migrated.
pub(crate) async fn open(url: &DatabaseUrl, threads: &Threads) -> Result<Store, OpenError> {
    let store = Store::open_for(url, Arc::new(SystemClock), threads).await?;
    store.migrate().await?;
    Ok(store)
}

/// All services, on that database.
pub(crate) fn services(store: &Store) -> Services {
    let ports = Ports::of(store.clone(), Arc::new(RingLocksmith::default()));
    Services::new(ports, Arc::new(SystemClock), Arc::new(TimedUids))
}
