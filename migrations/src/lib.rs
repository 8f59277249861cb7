//! The schema of Roots: one change a file, each for SQLite and PostgreSQL alike.
//!
//! Each key, index and foreign key of a tenant's tables begins with `account_id`: the tables are
//! prepared to be spread over machines by it, and a query that forgets it is slow at once. Ids are counted per account;
//! only account ids are global. Times are microseconds since 1970, days are days since then: both
//! databases order and compare integers alike. Text that is sealed is bytes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

mod m0001_founding;
mod m0002_keys;
mod m0003_usage;
mod m0004_audit_trail;
mod m0005_quarters;
mod m0006_idempotency;
mod m0007_account_lists;
mod m0008_erasures;
mod m0009_imports;
mod m0010_import_reason;
mod m0011_quotas;
mod m0012_deletions;
mod m0013_wraps_by_subject;

/// Brings a database to the newest schema.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_founding::Founding),
            Box::new(m0002_keys::Keys),
            Box::new(m0003_usage::Usage),
            Box::new(m0004_audit_trail::AuditTrail),
            Box::new(m0005_quarters::Quarters),
            Box::new(m0006_idempotency::Idempotency),
            Box::new(m0007_account_lists::AccountLists),
            Box::new(m0008_erasures::Erasures),
            Box::new(m0009_imports::Imports),
            Box::new(m0010_import_reason::ImportReason),
            Box::new(m0011_quotas::Quotas),
            Box::new(m0012_deletions::Deletions),
            Box::new(m0013_wraps_by_subject::WrapsBySubject),
        ]
    }
}

/// The two databases differ in the names of four types, and in how a table says that it is kept in
/// the order of its primary key.
fn dialect(schema: &str, backend: DbBackend) -> String {
    let words = match backend {
        DbBackend::Postgres => [
            ("{int}", "BIGINT"),
            ("{small}", "SMALLINT"),
            ("{bytes}", "BYTEA"),
            ("{uid}", "UUID"),
            ("{strict}", ""),
            ("{by_key}", ""),
        ],
        _ => [
            ("{int}", "INTEGER"),
            ("{small}", "INTEGER"),
            ("{bytes}", "BLOB"),
            ("{uid}", "BLOB"),
            ("{strict}", "STRICT"),
            ("{by_key}", "STRICT, WITHOUT ROWID"),
        ],
    };
    words.iter().fold(schema.to_owned(), |text, (word, meaning)| text.replace(word, meaning))
}
