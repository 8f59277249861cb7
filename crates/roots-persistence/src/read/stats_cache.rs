//! A cache of statistics. A client that watches an account asks for the same ones again and again,
//! and a year has many days to add up.

use moka::sync::Cache;
use roots_domain::model::activity::ActivityStats;
use roots_domain::model::work::{CreditStats, TodoStats};
use roots_domain::model::zone::Zone;
use roots_domain::port::store::{ActivityFilter, WorkQuery};

/// The approximate size of the cache in bytes.
const KEPT_BYTES: u64 = 4 << 20;
/// The approximate size of the cache of statistics of todos, and of that of credits, in bytes.
const WORK_KEPT_BYTES: u64 = 1 << 20;
/// Most totals in the cache, of some hundred bytes each.
const TOTALS_MAX: u64 = 4_096;

/// Statistics, and the version of the account at which they were counted. As long as an account has
/// that version, no process has written to it.
#[derive(Debug)]
pub(crate) struct StatsCache {
    stats: Cache<(ActivityFilter, String), (i64, ActivityStats)>,
    totals: Cache<ActivityFilter, (i64, i64)>,
    todos: WorkCache<TodoStats>,
    credits: WorkCache<CreditStats>,
}

/// Statistics by query and by the name of a zone, with their version.
type WorkCache<T> = Cache<(WorkQuery, String), (i64, T)>;

impl StatsCache {
    pub(crate) fn new() -> Self {
        let weigh = |_: &_, (_, stats): &(i64, ActivityStats)| {
            // The entries of both lists, and the overhead of a cache entry.
            let entries = stats.by_day.len() + 4 * stats.by_type.len();
            u32::try_from(512 + 16 * entries).unwrap_or(u32::MAX)
        };
        Self {
            stats: Cache::builder().max_capacity(KEPT_BYTES).weigher(weigh).build(),
            totals: Cache::new(TOTALS_MAX),
            todos: work_cache(|stats: &TodoStats| stats.by_day.len() + stats.by_actor.len()),
            credits: work_cache(|stats: &CreditStats| stats.by_day.len() + stats.by_actor.len()),
        }
    }

    /// The cached statistics of todos.
    pub(super) const fn todos(&self) -> &WorkCache<TodoStats> {
        &self.todos
    }

    /// The cached statistics of credits.
    pub(super) const fn credits(&self) -> &WorkCache<CreditStats> {
        &self.credits
    }

    /// The cached number of activities that a filter selects, with the version at which they were
    /// counted.
    pub(super) fn total(&self, filter: &ActivityFilter) -> Option<(i64, i64)> {
        self.totals.get(filter)
    }

    pub(super) fn remember_total(&self, filter: &ActivityFilter, version: i64, total: i64) {
        if self.total(filter) != Some((version, total)) {
            self.totals.insert(filter.clone(), (version, total));
        }
    }

    pub(super) fn get(
        &self,
        filter: &ActivityFilter,
        zone: &Zone,
        version: Option<i64>,
    ) -> Option<ActivityStats> {
        let (counted_at, stats) = self.stats.get(&key(filter, zone))?;
        (Some(counted_at) == version).then_some(stats)
    }

    pub(super) fn remember(
        &self,
        filter: &ActivityFilter,
        zone: &Zone,
        version: Option<i64>,
        stats: &ActivityStats,
    ) {
        if let Some(version) = version {
            self.stats.insert(key(filter, zone), (version, stats.clone()));
        }
    }
}

/// A cache of statistics that have so many lines.
fn work_cache<T: Clone + Send + Sync + 'static>(lines: fn(&T) -> usize) -> WorkCache<T> {
    let weigh = move |_: &_, (_, stats): &(i64, T)| {
        u32::try_from(512 + 32 * lines(stats)).unwrap_or(u32::MAX)
    };
    Cache::builder().max_capacity(WORK_KEPT_BYTES).weigher(weigh).build()
}

fn key(filter: &ActivityFilter, zone: &Zone) -> (ActivityFilter, String) {
    (filter.clone(), zone.name().to_owned())
}
