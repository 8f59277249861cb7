//! What the tests of Roots share: a database per test on SQLite and on PostgreSQL, a clock and uids
//! that a test controls, and the services to call.
//!
//! Setup that fails panics and says why.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "this crate is for tests, and a test that can't be set up has to fail"
)]

pub mod ambient;
pub mod answer;
pub mod app;
pub mod browser;
pub(crate) mod citus_stand_in;
pub mod cluster;
pub mod commands;
pub mod compare;
pub mod connection;
pub mod connection_settings;
pub mod context;
pub mod database;
pub mod http_writes;
pub mod members;
pub mod postgres;
pub mod program;
pub mod seeded_rng;
pub mod spread_lint;
pub mod sql_proxy;
mod statement_tables;
pub mod tenant_lint;
pub mod time_zones;

/// Runs each test on both databases: `on_both! { first, second }` makes the modules `sqlite` and
/// `postgres`, each with every test. A test is an `async fn(TestDatabase)` next to the macro call.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::database::TestDatabase::sqlite().await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::database::TestDatabase::postgres().await).await;
                }
            )+
        }
    };
}
