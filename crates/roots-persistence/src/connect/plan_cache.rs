//! Whether a node of a Citus cluster keeps plans.
//!
//! Citus makes a plan for the table of a shard, which PostgreSQL does not know of, so Citus must
//! keep it. From 13.2.1 on it never found the plan again: it made and kept one more for each
//! execution, until the server ran out of memory ([pull request 8824]). Before, it could use the
//! plan of one shard for rows of several (8371). 13.5.0 and 14.3.0 do neither.
//!
//! [pull request 8824]: https://github.com/citusdata/citus/pull/8824

use sea_orm::sqlx::{self, PgConnection};

/// Makes a server plan each statement anew. Citus keeps no plan then.
pub(super) const PLAN_EACH_TIME: (&str, &str) = ("plan_cache_mode", "force_custom_plan");

/// Lets the server of a new connection keep plans, if it is a node that can.
pub(super) async fn use_if_sound(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let version: String =
        sqlx::query_scalar("SELECT citus_version()").fetch_one(&mut *connection).await?;
    if is_sound(&version) {
        // Citus tells the server that a plan for all accounts is costly, unless it can keep it.
        sqlx::query("SET plan_cache_mode = auto").execute(connection).await?;
    }
    Ok(())
}

/// Whether that version, such as `Citus 13.5.0 on x86_64-pc-linux-gnu, …`, keeps plans soundly.
fn is_sound(version: &str) -> bool {
    let numbers = version.strip_prefix("Citus ").unwrap_or_default();
    let mut numbers = numbers.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    match (numbers.next().unwrap_or(0_u32), numbers.next().unwrap_or(0_u32)) {
        (13, minor) => minor >= 5,
        (14, minor) => minor >= 3,
        (major, _) => major > 14,
    }
}

#[cfg(test)]
mod tests {
    use roots_testkit::database::TestDatabase;
    use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

    use super::*;
    use crate::connect::cluster_map::NodeAddress;
    use crate::connect::postgres::{self, PostgresServer, Role};
    use crate::connect::presence::Presence;
    use crate::connect::routes::Routes;

    async fn mode(db: DatabaseConnection) -> String {
        let asked = Statement::from_string(db.get_database_backend(), "SHOW plan_cache_mode");
        let row = db.query_one_raw(asked).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    #[tokio::test]
    async fn a_node_keeps_plans_if_its_version_can() {
        let db = TestDatabase::postgres().await;
        let rest = db.url.split_once('@').unwrap().1;
        let (host, port) = rest.split_once('/').unwrap().0.split_once(':').unwrap();
        let address = NodeAddress { host: host.to_owned(), port: port.parse().unwrap() };
        let (presence, routes) = (Presence::default(), Routes::default());
        let role = Role::Node { address, presence, routes };
        let server = PostgresServer { url: db.url.clone(), role };
        for (version, expected) in [("13.4.0", PLAN_EACH_TIME.1), ("13.5.0", "auto")] {
            db.execute(&format!(
                "CREATE OR REPLACE FUNCTION citus_version() RETURNS TEXT LANGUAGE sql \
                 AS $$ SELECT 'Citus {version} on a stand-in' $$"
            ))
            .await;
            assert_eq!(mode(postgres::readers(&server, 1).await.unwrap()).await, expected);
            assert_eq!(mode(postgres::writer(&server).await.unwrap()).await, expected);
        }
        let coordinator = PostgresServer { role: Role::Coordinator, ..server };
        assert_eq!(mode(postgres::writer(&coordinator).await.unwrap()).await, PLAN_EACH_TIME.1);
    }

    #[test]
    fn plans_are_kept_by_the_versions_that_find_them_again() {
        for sound in ["13.5.0", "13.5", "13.6.1", "13.10.0", "14.3.0", "14.3devel", "15.0.0"] {
            assert!(
                is_sound(&format!("Citus {sound} on x86_64, compiled by gcc 12.2.0")),
                "{sound}"
            );
        }
        for not in ["12.1.12", "13.2.0", "13.2.2", "13.4.0", "14.0.1", "14.2.9", "?", ""] {
            assert!(!is_sound(&format!("Citus {not} on x86_64, compiled by gcc 15.2.0")), "{not}");
        }
    }
}
