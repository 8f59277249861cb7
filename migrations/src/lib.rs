//! The schema of Roots: one change a file, each for SQLite and PostgreSQL alike.
//!
//! Whatever a tenant owns has `account_id` first in its primary key, its indexes and its foreign
//! keys, so that it shards by tenant and no query can forget it. Ids are counted per account;
//! only account ids are global. Times are microseconds since 1970, days are days since then: both
//! databases order and compare integers alike. Text that is sealed is bytes.

use sea_orm_migration::prelude::*;

mod m0001_founding;

/// Brings a database to the newest schema.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_founding::Founding)]
    }
}
