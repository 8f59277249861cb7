//! The way from an account to its shard on a cluster.

use std::sync::{Arc, PoisonError, RwLock};

use roots_domain::model::id::AccountId;
use tokio::sync::Notify;

use super::cluster_map::{NodeAddress, ShardPlace, hash};
use super::shard::Shard;

/// A shard and the number of its node in this process.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) place: ShardPlace,
    pub(crate) node: usize,
    pub(crate) shard: Arc<Shard>,
}

/// The shards by their hashes, as the map told last. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    by_hash: Arc<RwLock<Arc<[Route]>>>,
    outdated: Arc<Notify>,
}

impl Routes {
    /// All of them.
    pub(crate) fn all(&self) -> Arc<[Route]> {
        Arc::clone(&self.by_hash.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces them by those of another map.
    pub(crate) fn replace(&self, routes: Vec<Route>) {
        *self.by_hash.write().unwrap_or_else(PoisonError::into_inner) = routes.into();
    }

    /// Says that a shard was not where a route leads.
    pub(crate) fn note_outdated(&self) {
        self.outdated.notify_one();
    }

    /// Waits until a route is known to be outdated.
    pub(crate) async fn outdated(&self) {
        self.outdated.notified().await;
    }

    /// The node and the shard of an account. `None` if no node holds it.
    pub(crate) fn find(&self, account: AccountId) -> Option<(usize, Arc<Shard>)> {
        let routes = self.all();
        let route = at(&routes, account)?;
        Some((route.node, Arc::clone(&route.shard)))
    }

    /// The shard of all these accounts, if it is one on that node.
    pub(crate) fn shard_on(
        &self,
        node: &NodeAddress,
        mut accounts: impl Iterator<Item = AccountId>,
    ) -> Option<Arc<Shard>> {
        let routes = self.all();
        let first = at(&routes, accounts.next()?)?;
        let is_same = |account| at(&routes, account).is_some_and(|one| std::ptr::eq(one, first));
        (first.place.node == *node && accounts.all(is_same)).then(|| Arc::clone(&first.shard))
    }
}

fn at(routes: &[Route], account: AccountId) -> Option<&Route> {
    let hash = hash(account);
    routes.get(routes.partition_point(|route| route.place.last < hash))
}
