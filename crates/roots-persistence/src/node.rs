//! A database server with its readers and writer queues.

use std::sync::Arc;

use roots_domain::command::{Applied, Command};
use roots_domain::model::id::AccountId;
use roots_domain::port::clock::Clock;
use roots_domain::port::store::{ApplyError, StoreError, StoreResult};
use tokio::sync::{Mutex, oneshot, watch};

use crate::connect::account_reader::AccountReader;
use crate::connect::presence::Presence;
use crate::connect::reader_pool::ReaderPool;
use crate::connect::readers::Readers;
use crate::connect::shard::Shard;
use crate::connect::source::{OpenError, Source};
use crate::connect::write_health::WriteHealth;
use crate::read::admission::KeyLookups;
use crate::write::connection::Listeners;
use crate::write::in_flight::InFlight;
use crate::write::queue::{self, WriterQueue};
use crate::write::thread;
use crate::write::worker::writer_queue;

/// The threads of a process that work with a store.
#[derive(Clone, Default)]
pub struct Threads {
    /// The number of serving threads, each of which [takes a slot](crate::take_reader_slot).
    pub serving: usize,
    /// Called first on each writer thread.
    pub at_writer: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What all nodes of a store share.
#[derive(Clone)]
pub(crate) struct NodeContext {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) threads: Threads,
    pub(crate) closing: watch::Receiver<bool>,
    pub(crate) in_flight: InFlight,
    pub(crate) listeners: Listeners,
}

/// A database server: the only one, or one of a cluster.
pub(crate) struct Node {
    source: Source,
    readers: Arc<Readers>,
    /// Those of the tables of its shards, on a node of a cluster.
    shard_readers: Option<Readers>,
    key_lookups: KeyLookups,
    queues: Vec<WriterQueue>,
    /// The queue of commands that form a batch by themselves, or that another process blocks.
    blocked_queue: Option<WriterQueue>,
    write_health: WriteHealth,
    stopped: Mutex<Vec<oneshot::Receiver<()>>>,
}

impl Node {
    /// Starts its writers, and connects to it unless it is a node of a cluster.
    pub(crate) async fn start(source: Source, context: &NodeContext) -> Result<Self, OpenError> {
        let write_health = WriteHealth::default();
        let queue = |blocked| {
            let node = source.presence().is_some().then(|| source.clone());
            writer_queue(context.closing.clone(), context.in_flight.clone(), blocked, node)
        };
        let (blocked_queue, its_worker) = source.has_blocked_queue().then(|| queue(None)).unzip();
        let serving = context.threads.serving;
        let (queues, workers): (Vec<_>, Vec<_>) =
            (0..source.writer_queues(serving)).map(|_| queue(blocked_queue.as_ref())).unzip();
        let mut stopped = Vec::new();
        for worker in workers.into_iter().chain(its_worker) {
            let first = context.threads.at_writer.clone();
            let (source, clock) = (source.clone(), context.clock.clone());
            let (listeners, health) = (context.listeners.clone(), write_health.clone());
            stopped.push(thread::start(source, clock, listeners, health, worker, first).await?);
        }
        let readers = Arc::new(Readers::open(&source, serving).await?);
        let shard_readers = match source.shards() {
            Some(shards) => Some(Readers::open(&shards, serving).await?),
            None => None,
        };
        Ok(Self {
            key_lookups: KeyLookups::new(Arc::clone(&readers), source.dialect()),
            source,
            readers,
            shard_readers,
            queues,
            blocked_queue,
            write_health,
            stopped: Mutex::new(stopped),
        })
    }

    /// A node that is only read.
    #[cfg(test)]
    pub(crate) fn reading(readers: Arc<Readers>, source: Source) -> Self {
        Self {
            key_lookups: KeyLookups::new(Arc::clone(&readers), source.dialect()),
            source,
            readers,
            shard_readers: None,
            queues: Vec::new(),
            blocked_queue: None,
            write_health: WriteHealth::default(),
            stopped: Mutex::default(),
        }
    }

    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// The pool of this thread.
    pub(crate) fn readers(&self) -> &ReaderPool {
        self.readers.here()
    }

    /// Reads the rows of an account of a shard that is on this node.
    pub(crate) fn account_reader(&self, shard: Arc<Shard>) -> AccountReader<'_> {
        match &self.shard_readers {
            Some(direct) => AccountReader::of_shard(self.readers(), shard, direct.here()),
            None => AccountReader::of_server(self.readers()),
        }
    }

    #[cfg(test)]
    pub(crate) fn all_readers(&self) -> &Readers {
        &self.readers
    }

    pub(crate) const fn key_lookups(&self) -> &KeyLookups {
        &self.key_lookups
    }

    /// Applies a command. If the node of a cluster is lost meanwhile, the outcome is unknown.
    pub(crate) async fn apply(&self, command: Command) -> Result<Applied, ApplyError> {
        let queue = self.queue_for(&command);
        let Some(presence) = self.source.presence() else { return queue.apply(command).await };
        self.source.check()?;
        tokio::select! {
            biased;
            reply = queue.apply(command) => reply,
            () = presence.lost() => {
                let cause = "the database server was lost".to_owned();
                Err(StoreError::OutcomeUnknown(cause).into())
            }
        }
    }

    /// An account always uses the same queue, so that its commands share batches. Commands without
    /// an account use the first queue.
    fn queue_for(&self, command: &Command) -> &WriterQueue {
        if let Some(blocked_queue) = &self.blocked_queue
            && command.action.is_batch()
        {
            return blocked_queue;
        }
        let queues = &self.queues;
        let queue_of = |account: AccountId| account.0.unsigned_abs() % queues.len() as u64;
        let index = usize::try_from(command.account().map_or(0, queue_of)).unwrap_or(0);
        &queues[index]
    }

    /// Checks that every writer queue has its worker, and that the file is still in its place.
    fn check(&self) -> StoreResult<()> {
        if self.queues.iter().chain(&self.blocked_queue).any(WriterQueue::is_closed) {
            return Err(queue::gone());
        }
        self.source.check()
    }

    /// Checks that it answers, and that a write would succeed.
    pub(crate) async fn ping(&self) -> StoreResult<()> {
        self.check()?;
        self.readers.ping(&self.source).await?;
        self.write_health.check(&self.source).await
    }

    /// Checks that it answers, whatever was known of it. If the last batch failed, it tries whether
    /// the next one would.
    pub(crate) async fn answers(&self) -> StoreResult<()> {
        self.readers.ping(&self.source).await?;
        if self.write_health.is_in_doubt() && !self.source.presence().is_some_and(Presence::is_away)
        {
            // Whether it answers does not depend on it.
            let _ = self.write_health.check(&self.source).await;
        }
        Ok(())
    }

    /// Whether it is known to serve no writes: it is away, or the last batch failed.
    pub(crate) fn is_degraded(&self) -> bool {
        self.check().is_err() || self.write_health.is_in_doubt()
    }

    /// Waits for its writers, which have been told to end, and closes its readers.
    pub(crate) async fn close(&self) {
        for worker in self.stopped.lock().await.drain(..) {
            // An error means that the worker has already stopped.
            let _ = worker.await;
        }
        if let Some(shard_readers) = &self.shard_readers {
            shard_readers.close().await;
        }
        self.readers.close().await;
    }
}
