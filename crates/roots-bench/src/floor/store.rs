//! The store floor on SQLite: prepared statements write the rows of an activity, without a web
//! server, an ORM or encryption.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

/// Activities in a transaction: the server's largest batch.
const BATCH: i64 = 64;
/// The account that the first start creates.
const ACCOUNT: i64 = 1;
const ACTOR: i64 = 1;
const QUARTER_MICROS: i64 = 900_000_000;
const DAY_MICROS: i64 = 86_400_000_000;
/// The time of all activities, in 2025.
const NOW: i64 = 1_750_000_000_000_000;

/// A database with the schema and an account.
pub(crate) struct SqliteFloor {
    db: Connection,
    /// Has the length of a sealed description.
    description: Vec<u8>,
}

impl SqliteFloor {
    /// Opens the file with the server's settings.
    pub(crate) fn open(file: &Path, description_bytes: usize) -> rusqlite::Result<Self> {
        let db = Connection::open(file)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "foreign_keys", "ON")?;
        db.pragma_update(None, "cache_size", -8_192)?;
        db.pragma_update(None, "wal_autocheckpoint", 12_000)?;
        db.pragma_update(None, "secure_delete", "ON")?;
        Ok(Self { db, description: vec![7; description_bytes] })
    }

    /// Writes for `time` and returns the activities per second.
    pub(crate) fn measure(&mut self, time: Duration) -> rusqlite::Result<f64> {
        let begun = Instant::now();
        let mut written = 0.0;
        while begun.elapsed() < time {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            batch(&tx, &self.description)?;
            tx.commit()?;
            written += 64.0;
        }
        Ok(written / begun.elapsed().as_secs_f64())
    }
}

/// Writes the rows that the server writes for a batch of activities of one account.
fn batch(tx: &Transaction, description: &[u8]) -> rusqlite::Result<()> {
    let (activity, ledger, balance): (i64, i64, i64) = tx
        .prepare_cached(
            "UPDATE accounts SET balance = balance - ?2, last_activity_id = last_activity_id + ?2, \
             last_ledger_id = last_ledger_id + ?2, version = version + ?2 WHERE account_id = ?1 \
             RETURNING last_activity_id - ?2, last_ledger_id - ?2, balance + ?2",
        )?
        .query_row(params![ACCOUNT, BATCH], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut activities = tx.prepare_cached(
        "INSERT INTO activities (account_id, activity_id, uid, actor_id, session_id, activity_type, \
         description, logged_at, created_at, version) \
         VALUES (?1, ?2, randomblob(16), ?3, NULL, 'deploy', ?4, ?5, ?5, 1)",
    )?;
    let mut movements = tx.prepare_cached(
        "INSERT INTO ledger (account_id, ledger_id, delta, balance_after, reason, endpoint, \
         actor_id, note, created_at) \
         VALUES (?1, ?2, -1, ?3, 'api_write', 'POST /activities', ?4, NULL, ?5)",
    )?;
    for nth in 1..=BATCH {
        activities.execute(params![ACCOUNT, activity + nth, ACTOR, description, NOW])?;
        movements.execute(params![ACCOUNT, ledger + nth, balance - nth, ACTOR, NOW])?;
    }
    let mut counters = tx.prepare_cached(
        "INSERT INTO counters (account_id, actor_id, subject, label, count) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )?;
    counters.execute(params![ACCOUNT, ACTOR, "activities", "deploy", BATCH])?;
    counters.execute(params![ACCOUNT, 0, "ledger", "api_write", BATCH])?;
    for (table, column, span) in [
        ("activity_quarter_hours", "quarter", QUARTER_MICROS),
        ("activity_daily", "day", DAY_MICROS),
    ] {
        let sql = format!(
            "INSERT INTO {table} (account_id, actor_id, {column}, activity_type, count) \
             VALUES (?1, ?2, ?3, 'deploy', ?4) \
             ON CONFLICT DO UPDATE SET count = count + excluded.count"
        );
        tx.prepare_cached(&sql)?.execute(params![ACCOUNT, ACTOR, NOW / span, BATCH])?;
    }
    Ok(())
}

/// The length of a sealed description in this database.
pub(crate) fn description_bytes(file: &Path) -> rusqlite::Result<usize> {
    let db = Connection::open(file)?;
    let sql = "SELECT length(description) FROM activities LIMIT 1";
    let bytes: u32 = db.query_row(sql, [], |row| row.get(0))?;
    Ok(usize::try_from(bytes).unwrap_or_default())
}
