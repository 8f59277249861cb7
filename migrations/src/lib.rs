//! The database schema of Roots: one migration in each file, for SQLite and PostgreSQL.
//!
//! In the tables of a tenant, each key, index and foreign key starts with `account_id`. So the
//! tables can be partitioned by account, and a query without `account_id` is slow enough to be
//! noticed. Each account counts its own ids; only account ids are global. Times are microseconds
//! since 1970, and days are days since 1970, because both databases compare integers in the same
//! way. Sealed texts are bytes.

use sea_orm_migration::prelude::*;

mod dialect;
mod m0001_founding;
mod m0002_keys;
mod m0003_usage;
mod m0004_audit_log;
mod m0005_quarter_hours;
mod m0006_idempotency;
mod m0007_account_lists;
mod m0008_erasures;
mod m0009_imports;
mod m0010_import_reason;
mod m0011_quotas;
mod m0012_deletions;
mod m0013_wraps_by_subject;
mod m0014_installation;
mod m0015_heartbeats;
mod m0016_brief;
mod m0017_sign_ins;
mod m0018_status_since;
mod m0019_counts_of_work;
mod m0020_events;
mod m0021_dashboard;

/// Updates a database to the newest schema.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_founding::FoundingSchema),
            Box::new(m0002_keys::KeySchema),
            Box::new(m0003_usage::UsageSchema),
            Box::new(m0004_audit_log::AuditLog),
            Box::new(m0005_quarter_hours::QuarterHours),
            Box::new(m0006_idempotency::IdempotencySchema),
            Box::new(m0007_account_lists::AccountLists),
            Box::new(m0008_erasures::ErasureSchema),
            Box::new(m0009_imports::ImportSchema),
            Box::new(m0010_import_reason::ImportReason),
            Box::new(m0011_quotas::Quotas),
            Box::new(m0012_deletions::Deletions),
            Box::new(m0013_wraps_by_subject::WrapsBySubject),
            Box::new(m0014_installation::Installation),
            Box::new(m0015_heartbeats::Heartbeats),
            Box::new(m0016_brief::Brief),
            Box::new(m0017_sign_ins::SignIns),
            Box::new(m0018_status_since::StatusSince),
            Box::new(m0019_counts_of_work::CountsOfWork),
            Box::new(m0020_events::Events),
            Box::new(m0021_dashboard::Dashboard),
        ]
    }
}
