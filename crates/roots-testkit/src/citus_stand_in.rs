//! A stand-in for the catalogue of Citus, in a plain PostgreSQL.

use std::fmt::Write;

use roots_domain::model::id::AccountId;

/// The shards of the stand-in.
const SHARDS: u64 = 8;

/// The statements that make a catalogue with nodes on these ports. Its schema is in the search path
/// of every connection to the database.
pub(crate) fn catalogue(nodes: &[u16]) -> String {
    let mut sql = String::from(
        "CREATE SCHEMA citus_stand_in; \
         CREATE TABLE citus_stand_in.pg_dist_node (groupid INTEGER, nodename TEXT, \
             nodeport INTEGER, noderole TEXT); \
         CREATE TABLE citus_stand_in.pg_dist_shard (logicalrelid REGCLASS, shardid BIGINT, \
             shardminvalue TEXT, shardmaxvalue TEXT); \
         CREATE TABLE citus_stand_in.pg_dist_placement (shardid BIGINT, shardstate INTEGER, \
             groupid INTEGER); \
         CREATE TABLE citus_stand_in.pg_dist_partition (logicalrelid REGCLASS, \
             colocationid INTEGER); \
         INSERT INTO citus_stand_in.pg_dist_partition SELECT attrelid, 1 FROM pg_attribute \
             WHERE attname = 'account_id' AND attrelid IN (SELECT oid FROM pg_class \
                 WHERE relkind = 'r' AND relnamespace = CAST('public' AS regnamespace)); \
         CREATE FUNCTION citus_stand_in.lock_shard_metadata(INTEGER, BIGINT[]) RETURNS VOID \
             LANGUAGE sql AS $$ SELECT $$; \
         CREATE FUNCTION citus_stand_in.citus_version() RETURNS TEXT LANGUAGE sql \
             AS $$ SELECT 'Citus 13.2.2 on a stand-in' $$; \
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, citus_stand_in', \
             current_database()); END $$; ",
    );
    for (group, port) in (1..).zip(nodes) {
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
            "INSERT INTO citus_stand_in.pg_dist_shard SELECT logicalrelid, \
             {shard} + {SHARDS} * ROW_NUMBER() OVER (ORDER BY logicalrelid), '{first}', '{last}' \
             FROM citus_stand_in.pg_dist_partition; \
             INSERT INTO citus_stand_in.pg_dist_placement SELECT shardid, 1, {group} \
             FROM citus_stand_in.pg_dist_shard WHERE shardmaxvalue = '{last}'; "
        );
    }
    sql.push_str(PARTS);
    sql
}

/// The part of a table in a shard is a view of those rows. All nodes have it, as if shards that
/// have moved were never removed.
const PARTS: &str = "DO $$ DECLARE part RECORD; BEGIN \
    FOR part IN SELECT * FROM citus_stand_in.pg_dist_shard LOOP \
        EXECUTE format('CREATE VIEW %I AS SELECT * FROM %s \
            WHERE hashint8(account_id) BETWEEN %s AND %s', \
            part.logicalrelid || '_' || part.shardid, part.logicalrelid, \
            part.shardminvalue, part.shardmaxvalue); \
    END LOOP; END $$;";

/// The first hash of a shard.
fn hash_at(shard: u64) -> i64 {
    let width = (1_u64 << 32) / SHARDS;
    i64::from(i32::MIN) + (shard * width).cast_signed()
}

/// The statement that moves the shard of an account, with its part of each table, to a node.
pub(crate) fn moved(account: AccountId, node: usize) -> String {
    let group = node + 1;
    format!(
        "UPDATE citus_stand_in.pg_dist_placement SET groupid = {group} WHERE shardid IN \
         (SELECT shardid FROM citus_stand_in.pg_dist_shard WHERE hashint8({account}) \
         BETWEEN CAST(shardminvalue AS INTEGER) AND CAST(shardmaxvalue AS INTEGER))"
    )
}

/// Whether a statement uses tables of a shard, such as `sessions_7`.
pub(crate) fn is_on_shard(sql: &str) -> bool {
    let mut words = sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| {
        let number = word.rsplit_once('_').map_or("", |(_, number)| number);
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A statement on the tables of a shard as one on those of all accounts. Others stay as they are.
pub(crate) fn of_all_shards(sql: &str) -> String {
    const ACCOUNTS: &str = "(SELECT * FROM accounts_";
    const END: &str = "))";
    let mut text = String::new();
    let mut rest = sql;
    while let Some((before, shown)) = rest.split_once(ACCOUNTS) {
        let Some((_, after)) = shown.split_once(END) else { break };
        text.push_str(before);
        text.push_str("accounts");
        rest = after;
    }
    text + rest
}
