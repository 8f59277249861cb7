//! The nodes of a Citus cluster that hold accounts.
//!
//! Each process connects to each of them by itself. There, all that concerns one account is local:
//! a batch commits on one machine, and the loss of a node harms only its own accounts.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use roots_domain::model::id::AccountId;
use sea_orm::{DatabaseConnection, DbErr};
use tokio::sync::{oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::connect::account_reader::AccountReader;
use crate::connect::cluster_map::{ClusterMap, NodeAddress};
use crate::connect::postgres::Role;
use crate::connect::presence::Presence;
use crate::connect::routes::{Route, Routes};
use crate::connect::shard::Shard;
use crate::connect::source::{OpenError, Source, close};
use crate::node::{Node, NodeContext};

/// Most nodes that a process connects to in its life, those that were removed included.
const NODES_MAX: usize = 256;
/// How often the nodes are pinged.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_millis(1_500);
/// The map is read again after so many looks, and at once when a batch finds that a shard has
/// moved. Until then Citus passes statements on to the shard's new node.
const LOOKS_PER_MAP: u32 = 4;
/// The pause before the map is read because of a batch.
const PAUSE_BEFORE_MAP: Duration = Duration::from_millis(20);

/// The nodes that hold accounts.
pub(crate) struct Cluster {
    /// Filled from the front, and never emptied.
    nodes: Box<[OnceLock<(NodeAddress, Node)>]>,
    routes: Routes,
}

impl Cluster {
    /// Starts the nodes of a map, which leads to at least one.
    pub(crate) async fn start(
        map: ClusterMap,
        source: &Source,
        context: &NodeContext,
    ) -> Result<Arc<Self>, OpenError> {
        let nodes = (0..NODES_MAX).map(|_| OnceLock::new()).collect();
        let cluster = Self { nodes, routes: Routes::default() };
        cluster.follow(map, source, context).await?;
        Ok(Arc::new(cluster))
    }

    /// Starts the nodes that are new, and leads to the shards as that map does.
    async fn follow(
        &self,
        map: ClusterMap,
        source: &Source,
        context: &NodeContext,
    ) -> Result<(), OpenError> {
        let known = self.routes.all();
        let mut routes = Vec::new();
        for place in map.shards {
            let node = self.number(place.node.clone(), source, context).await?;
            // A shard that stays has the texts of its statements already.
            let shard = match known.iter().find(|route| route.place == place) {
                Some(route) => Arc::clone(&route.shard),
                None => Arc::new(Shard::new(place.group, place.parts.clone())),
            };
            routes.push(Route { place, node, shard });
        }
        self.routes.replace(routes);
        Ok(())
    }

    /// The number of the node with that address, which is started if it is new.
    async fn number(
        &self,
        address: NodeAddress,
        source: &Source,
        context: &NodeContext,
    ) -> Result<usize, OpenError> {
        for (number, place) in self.nodes.iter().enumerate() {
            match place.get() {
                Some((known, _)) if *known == address => return Ok(number),
                Some(_) => {}
                None => {
                    let presence = Presence::default();
                    let routes = self.routes.clone();
                    let role = Role::Node { address: address.clone(), presence, routes };
                    let node = Node::start(source.in_role(role), context).await?;
                    tracing::info!(node = %address, "a node of the cluster holds accounts");
                    // Only one task starts nodes.
                    let _ = place.set((address, node));
                    return Ok(number);
                }
            }
        }
        Err(OpenError::TooManyNodes(NODES_MAX))
    }

    /// Says that tables were added or shards were moved: the map is read again.
    pub(crate) fn note_outdated(&self) {
        self.routes.note_outdated();
    }

    /// The number of the node that holds an account.
    pub(crate) fn number_of(&self, account: AccountId) -> usize {
        self.routes.find(account).map_or(0, |(node, _)| node)
    }

    /// Reads the rows of an account. `None` if no node holds it.
    pub(crate) fn account_reader(&self, account: AccountId) -> Option<AccountReader<'_>> {
        let (node, shard) = self.routes.find(account)?;
        Some(self.node(node)?.account_reader(shard))
    }

    /// A node. `None` if no node has that number.
    pub(crate) fn node(&self, number: usize) -> Option<&Node> {
        self.nodes.get(number)?.get().map(|(_, node)| node)
    }

    /// All nodes, with their addresses.
    pub(crate) fn all(&self) -> impl Iterator<Item = &(NodeAddress, Node)> {
        self.nodes.iter().map_while(OnceLock::get)
    }

    /// The nodes that hold accounts now.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &(NodeAddress, Node)> {
        let routes = self.routes.all();
        let serves = move |number: usize| routes.iter().any(|route| route.node == number);
        self.all().enumerate().filter(move |(number, _)| serves(*number)).map(|(_, node)| node)
    }
}

/// Pings the nodes of a cluster and follows its map, on a thread of its own: busy requests must not
/// make a node seem away. It ends once the store closes.
pub(crate) fn watch(
    cluster: Arc<Cluster>,
    source: Source,
    context: NodeContext,
) -> Result<oneshot::Receiver<()>, OpenError> {
    let (stopped, end) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(OpenError::Writer)?;
    std::thread::Builder::new()
        .name("roots-cluster".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                look(&cluster, &source, &context, context.closing.clone()).await;
                // If this is the last one that holds the nodes, their connections close here,
                // where there is a runtime.
                drop(cluster);
            });
            let _ = stopped.send(());
        })
        .map_err(OpenError::Writer)?;
    Ok(end)
}

async fn look(
    cluster: &Cluster,
    source: &Source,
    context: &NodeContext,
    mut closing: watch::Receiver<bool>,
) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut catalogue = Catalogue::default();
    let mut number = 0_u32;
    loop {
        let is_outdated = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return,
            _ = looks.tick() => false,
            () = cluster.routes.outdated() => true,
        };
        if is_outdated {
            // Many batches may tell it at once.
            sleep(PAUSE_BEFORE_MAP).await;
        } else {
            join_all(cluster.all().map(|(address, node)| ping(address, node))).await;
            number = number.wrapping_add(1);
        }
        if is_outdated || number % LOOKS_PER_MAP == 1 {
            let Some(map) = catalogue.read(cluster, source).await else {
                tracing::debug!("no node told the map of the cluster");
                continue;
            };
            if let Err(error) = cluster.follow(map, source, context).await {
                tracing::warn!(cause = %error, "a new node of the cluster can't be used");
            }
        }
    }
}

/// The connection by which the map is read.
#[derive(Default)]
struct Catalogue(Option<DatabaseConnection>);

impl Catalogue {
    /// Reads the map from the coordinator, or else from a node that answers: each has a copy.
    /// `None` if none tells it.
    async fn read(&mut self, cluster: &Cluster, source: &Source) -> Option<ClusterMap> {
        if let Ok(Ok(map)) = timeout(ANSWER_WITHIN, self.of_coordinator(source)).await {
            return map;
        }
        self.0 = None;
        let here = cluster.all().map(|(_, node)| node).find(|node| !node.is_degraded())?;
        let read = async {
            let db = here.source().readers(1).await?;
            let map = ClusterMap::read(&db).await;
            close(db).await;
            map
        };
        timeout(ANSWER_WITHIN, read).await.ok()?.ok()?
    }

    async fn of_coordinator(&mut self, source: &Source) -> Result<Option<ClusterMap>, DbErr> {
        if self.0.is_none() {
            self.0 = Some(source.readers(1).await?);
        }
        match &self.0 {
            Some(db) => ClusterMap::read(db).await,
            None => Ok(None),
        }
    }
}

/// Notes whether a node answers.
async fn ping(address: &NodeAddress, node: &Node) {
    let Some(presence) = node.source().presence() else { return };
    let answered = timeout(ANSWER_WITHIN, node.answers()).await;
    let cause = match answered {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("it took too long".to_owned()),
    };
    if presence.note(cause.is_none()) {
        match cause {
            None => tracing::info!(node = %address, "a node of the cluster is back"),
            Some(cause) => tracing::error!(node = %address, cause, "a node of the cluster is away"),
        }
    }
}
