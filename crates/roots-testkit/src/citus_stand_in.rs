//! A stand-in for the catalogue of Citus, in a plain PostgreSQL.

use std::fmt::Write;

use roots_domain::model::id::AccountId;

use crate::sql_proxy::SqlProxy;

/// The shards of the stand-in.
const SHARDS: u64 = 8;

/// The statements that make a catalogue with these nodes. Its schema is in the search path of
/// every connection to the database.
pub(crate) fn catalogue(nodes: &[SqlProxy]) -> String {
    let mut sql = String::from(
        "CREATE SCHEMA citus_stand_in; \
         CREATE TABLE citus_stand_in.pg_dist_node (groupid INTEGER, nodename TEXT, \
             nodeport INTEGER, noderole TEXT); \
         CREATE TABLE citus_stand_in.pg_dist_shard (logicalrelid REGCLASS, shardid BIGINT, \
             shardminvalue TEXT, shardmaxvalue TEXT); \
         CREATE TABLE citus_stand_in.pg_dist_placement (shardid BIGINT, shardstate INTEGER, \
             groupid INTEGER); \
         CREATE FUNCTION citus_stand_in.citus_version() RETURNS TEXT LANGUAGE sql \
             AS $$ SELECT 'Citus 13.2.2 on a stand-in' $$; \
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, citus_stand_in', \
             current_database()); END $$; ",
    );
    for (group, node) in (1..).zip(nodes) {
        let port = node.port;
        // Writing to a string does not fail.
        let _ = write!(
            sql,
            "INSERT INTO citus_stand_in.pg_dist_node VALUES ({group}, '127.0.0.1', {port}, 'primary'); "
        );
    }
    for shard in 0..SHARDS {
        let (first, last) = (hash_at(shard), hash_at(shard + 1) - 1);
        let group = shard % nodes.len() as u64 + 1;
        let _ = write!(
            sql,
            "INSERT INTO citus_stand_in.pg_dist_shard \
             VALUES ('accounts'::regclass, {shard}, '{first}', '{last}'); \
             INSERT INTO citus_stand_in.pg_dist_placement VALUES ({shard}, 1, {group}); "
        );
    }
    sql
}

/// The first hash of a shard.
fn hash_at(shard: u64) -> i64 {
    let width = (1_u64 << 32) / SHARDS;
    i64::from(i32::MIN) + (shard * width).cast_signed()
}

/// The statement that moves the shard of an account to a node.
pub(crate) fn moved(account: AccountId, node: usize) -> String {
    let group = node + 1;
    format!(
        "UPDATE citus_stand_in.pg_dist_placement SET groupid = {group} WHERE shardid = \
         (SELECT shardid FROM citus_stand_in.pg_dist_shard WHERE hashint8({account}) \
         BETWEEN CAST(shardminvalue AS INTEGER) AND CAST(shardmaxvalue AS INTEGER))"
    )
}
