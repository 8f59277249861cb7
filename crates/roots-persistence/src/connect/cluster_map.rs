//! The catalogue of Citus: which node of a cluster holds the rows of an account.
//!
//! Citus divides the tables by a hash of the account's id into shards. Each shard is a range of
//! hashes, and lies on one node.

use std::fmt;

use roots_domain::model::id::AccountId;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

/// The address of a node, by which the other nodes know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeAddress {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Where each shard of the accounts lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClusterMap {
    /// The shards by their hashes. A shard begins after the one before it.
    pub(crate) shards: Vec<ShardPlace>,
}

/// Where a shard lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShardPlace {
    /// Its last hash.
    pub(crate) last: i32,
    pub(crate) node: NodeAddress,
    /// The number of the node in the catalogue.
    pub(crate) group: i32,
    /// The tables, and the number of the part of each that is in this shard.
    pub(crate) parts: Vec<(String, i64)>,
}

/// Whether the database is a part of a Citus cluster and has accounts. The names have no schema, so
/// that tests can put another catalogue into the search path.
const HAS_CATALOGUE: &str =
    "SELECT to_regclass('pg_dist_shard') IS NOT NULL AND to_regclass('accounts') IS NOT NULL";

/// The parts of the tables that are distributed like the accounts. A table that is not distributed
/// by hash has no range of hashes.
const PARTS: &str = "SELECT CAST(s.shardmaxvalue AS INTEGER), CAST(n.nodename AS TEXT), \
    CAST(n.nodeport AS INTEGER), n.groupid, CAST(c.relname AS TEXT), s.shardid \
    FROM pg_dist_partition AS d \
    INNER JOIN pg_dist_partition AS a ON a.colocationid = d.colocationid \
    INNER JOIN pg_class AS c ON c.oid = d.logicalrelid \
    INNER JOIN pg_dist_shard AS s ON s.logicalrelid = d.logicalrelid \
    INNER JOIN pg_dist_placement AS p ON p.shardid = s.shardid \
    INNER JOIN pg_dist_node AS n ON n.groupid = p.groupid \
    WHERE a.logicalrelid = CAST('accounts' AS regclass) AND n.noderole = 'primary' \
    AND p.shardstate = 1 AND s.shardmaxvalue IS NOT NULL ORDER BY 1, 5";

impl ClusterMap {
    /// Reads it; `None` if the tables are not spread.
    pub(crate) async fn read(db: &impl ConnectionTrait) -> Result<Option<Self>, DbErr> {
        let backend = db.get_database_backend();
        if backend != DbBackend::Postgres {
            return Ok(None);
        }
        let asked = Statement::from_string(backend, HAS_CATALOGUE);
        let found = db.query_one_raw(asked).await?;
        if !found.map(|row| row.try_get_by_index::<bool>(0)).transpose()?.unwrap_or(false) {
            return Ok(None);
        }
        let found = db.query_all_raw(Statement::from_string(backend, PARTS)).await?;
        let mut shards: Vec<ShardPlace> = Vec::new();
        for row in &found {
            let part = part(row)?;
            match shards.last_mut() {
                Some(shard) if shard.last == part.last => shard.parts.extend(part.parts),
                _ => shards.push(part),
            }
        }
        Ok((!shards.is_empty()).then_some(Self { shards }))
    }
}

/// A shard of which only one table's part is known.
fn part(row: &QueryResult) -> Result<ShardPlace, DbErr> {
    let port = u16::try_from(row.try_get_by_index::<i32>(2)?);
    let port = port.map_err(|_| DbErr::Type("a node's port".to_owned()))?;
    Ok(ShardPlace {
        last: row.try_get_by_index(0)?,
        node: NodeAddress { host: row.try_get_by_index(1)?, port },
        group: row.try_get_by_index(3)?,
        parts: vec![(row.try_get_by_index(4)?, row.try_get_by_index(5)?)],
    })
}

/// The hash by which Citus finds an account's shard: PostgreSQL's `hashint8`, which may not change,
/// since indexes on disk depend on it.
pub(crate) fn hash(account: AccountId) -> i32 {
    let id = account.0;
    let bytes = id.to_le_bytes();
    let half = |at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (low, high) = (half(0), half(4));
    // So that a number has the same hash as one of a smaller type.
    let key = low ^ if id >= 0 { high } else { !high };
    let seed = 0x9e37_79b9_u32.wrapping_add(4).wrapping_add(3_923_095);
    let [mut a, mut b, mut c] = [seed.wrapping_add(key), seed, seed];
    mix(&mut c, b, 14);
    mix(&mut a, c, 11);
    mix(&mut b, a, 25);
    mix(&mut c, b, 16);
    mix(&mut a, c, 4);
    mix(&mut b, a, 14);
    mix(&mut c, b, 24);
    c.cast_signed()
}

/// A step of Bob Jenkins' final mix, which PostgreSQL's hash functions end with.
const fn mix(into: &mut u32, from: u32, by: u32) {
    *into = (*into ^ from).wrapping_sub(from.rotate_left(by));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    use roots_testkit::database::TestDatabase;

    use super::*;

    #[tokio::test]
    async fn the_hash_of_an_account_is_that_of_postgresql() {
        let db = TestDatabase::postgres().await;
        let mut runner = TestRunner::deterministic();
        let mut ids = vec![0, 1, 2, -1, 1 << 31, 1 << 32, i64::MAX, i64::MIN];
        ids.extend((0..1_000).map(|_| any::<i64>().new_tree(&mut runner).unwrap().current()));
        let values: Vec<_> = ids.iter().map(|id| format!("(CAST('{id}' AS BIGINT))")).collect();
        let asked = format!("SELECT id, hashint8(id) FROM (VALUES {}) AS t (id)", values.join(","));
        let found = db.rows::<(i64, i32)>(&asked).await;
        assert_eq!(found.len(), ids.len());
        for (id, expected) in found {
            assert_eq!(hash(AccountId(id)), expected, "{id}");
        }
    }

    #[tokio::test]
    async fn a_plain_postgresql_has_no_map() {
        let db = TestDatabase::postgres().await;
        assert_eq!(ClusterMap::read(&db.connection().await).await, Ok(None));
    }
}
