//! Checks in PostgreSQL's catalogue that every tenant's table can be distributed by account.
//! [`roots_testkit::tenant_lint`] checks that every query names the account.

use std::collections::BTreeSet;

use roots_domain::model::account::AccountKind;
use roots_domain::model::page::PageRequest;
use roots_domain::port::store::{EventReader, Verifier};
use roots_testkit::connection::connect;
use roots_testkit::database::TestDatabase;
use roots_testkit::tenant_lint::{self, OVER_ALL_TENANTS, SHARED_TABLES, TENANT};
use sea_orm::{ConnectionTrait, Statement};

const TABLES: &str = "SELECT CAST(c.relname AS TEXT) FROM pg_class c \
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')";

/// The tables of tenants: those with an account column.
async fn tenants_tables(db: &TestDatabase) -> BTreeSet<String> {
    let having = format!(
        "{TABLES} AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid \
            AND a.attname = '{TENANT}' AND a.attnotnull AND a.atttypid = 'bigint'::regtype)"
    );
    db.rows::<(String,)>(&having).await.into_iter().map(|(table,)| table).collect()
}

#[tokio::test]
async fn every_table_has_an_account_except_the_listed_shared_tables() {
    let db = TestDatabase::postgres().await;
    let all: BTreeSet<_> =
        db.rows::<(String,)>(TABLES).await.into_iter().map(|one| one.0).collect();
    let theirs = tenants_tables(&db).await;
    let shared: BTreeSet<_> = all.difference(&theirs).map(String::as_str).collect();
    assert_eq!(shared, BTreeSet::from(SHARED_TABLES));
    assert!(theirs.len() >= 18, "{theirs:?}");
}

/// A distributed table may not have other keys, because PostgreSQL could not enforce them across
/// machines.
#[tokio::test]
async fn every_key_of_a_tenants_table_starts_with_the_account() {
    let db = TestDatabase::postgres().await;
    let theirs = tenants_tables(&db).await;
    // For each constraint: its kind, table and first column. For a foreign key also the table and
    // column that it references, and what a deletion or change there does: nothing or cascade.
    let constraints = "SELECT CAST(k.contype AS TEXT), CAST(c.relname AS TEXT), CAST(a.attname AS TEXT), \
            COALESCE(CAST(f.relname AS TEXT), ''), COALESCE(CAST(fa.attname AS TEXT), ''), \
            CAST(k.confdeltype AS TEXT) || CAST(k.confupdtype AS TEXT) \
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid \
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1] \
        LEFT JOIN pg_class f ON f.oid = k.confrelid \
        LEFT JOIN pg_attribute fa ON fa.attrelid = f.oid AND fa.attnum = k.confkey[1] \
        WHERE k.connamespace = 'public'::regnamespace AND k.contype IN ('p', 'u', 'f', 'x')";
    let (mut primary, mut unique, mut foreign) = (BTreeSet::new(), 0, 0);
    let found = db.rows::<(String, String, String, String, String, String)>(constraints).await;
    for (kind, table, column, target, target_column, acts) in found {
        if !theirs.contains(&table) {
            assert!(kind == "p", "{table} has no other keys");
            continue;
        }
        assert_eq!(column, TENANT, "{kind} of {table}");
        match kind.as_str() {
            "p" => assert!(primary.insert(table)),
            "u" => unique += 1,
            "f" => {
                assert!(theirs.contains(&target), "{table} leads to {target}");
                assert_eq!(target_column, TENANT, "{table} leads to {target}");
                let harmless = ["aa", "ca"].contains(&acts.as_str());
                assert!(harmless, "{table}: a key that holds the account can't be set to NULL");
                foreign += 1;
            }
            other => panic!("{table} has a constraint of the kind {other}"),
        }
    }
    assert_eq!(primary, theirs, "each has a primary key");
    assert!(unique >= 2 && foreign >= 3, "{unique} {foreign}");
    let indexes = "SELECT CAST(t.relname AS TEXT), CAST(i.relname AS TEXT), \
            COALESCE(CAST(a.attname AS TEXT), 'an expression') \
        FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid \
        LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0] \
        WHERE t.relnamespace = 'public'::regnamespace";
    for (table, index, column) in db.rows::<(String, String, String)>(indexes).await {
        assert!(column == TENANT || !theirs.contains(&table), "{index} starts with {column}");
    }
}

/// All machines would have to share a sequence or trigger. Ids come from the account's row, and
/// times and uids from the program. A column that is derived from its own row needs no other
/// machine.
#[tokio::test]
async fn the_schema_has_no_sequences_triggers_functions_or_computed_defaults() {
    let db = TestDatabase::postgres().await;
    let sequences = "SELECT CAST(relname AS TEXT) FROM pg_class \
        WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace";
    assert_eq!(db.rows::<(String,)>(sequences).await, []);
    let triggers = "SELECT CAST(tgname AS TEXT) FROM pg_trigger WHERE NOT tgisinternal";
    assert_eq!(db.rows::<(String,)>(triggers).await, []);
    let functions = "SELECT CAST(proname AS TEXT) FROM pg_proc \
        WHERE pronamespace = 'public'::regnamespace";
    assert_eq!(db.rows::<(String,)>(functions).await, []);
    let volatile = "SELECT CAST(c.relname AS TEXT), pg_get_expr(d.adbin, d.adrelid) \
        FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid \
        JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
        WHERE a.attgenerated = '' AND c.relnamespace = 'public'::regnamespace AND pg_get_expr(d.adbin, d.adrelid) LIKE '%(%'";
    assert_eq!(db.rows::<(String, String)>(volatile).await, []);
}

/// The list of allowed statements has no unused entry.
#[tokio::test]
async fn every_statement_allowed_over_all_tenants_is_in_use() {
    let db = TestDatabase::postgres().await;
    let context = db.context();
    let operator = context.admit(&context.found_of(AccountKind::Operator, 0).await).await;
    context.operators.list(&operator, PageRequest::default()).await.unwrap();
    let ending = context.found(0).await;
    let owner = context.admit(&ending).await;
    context.erasures.erase(&owner, &ending.recovery_code).await.unwrap();
    context.leftovers.work_off().await.unwrap();
    context.key_usage.maintain().await.unwrap();
    context.maintenance.forget_idempotency_records().await.unwrap();
    context.idle_sessions.end_silent(300).await.unwrap();
    db.store.account_states(&[operator.account.id]).await.unwrap();
    db.store.verify().await.unwrap();
    let statements = db.sql_proxy.as_ref().unwrap().statements();
    let made: BTreeSet<_> =
        statements.iter().filter_map(|sql| tenant_lint::over_all(sql)).collect();
    assert_eq!(made, OVER_ALL_TENANTS.iter().map(|(name, _)| *name).collect());
}

/// The lint checks simple and prepared statements.
#[tokio::test]
#[should_panic(
    expected = "todos without account_id: SELECT COUNT(*) FROM todos WHERE todo_id = $1"
)]
async fn a_statement_without_the_account_fails_its_test() {
    let db = TestDatabase::postgres().await;
    let past = connect(&db.sql_proxy.as_ref().unwrap().url).await;
    past.execute_unprepared("SELECT COUNT(*) FROM todos WHERE account_id = 1").await.unwrap();
    let sql = "SELECT COUNT(*) FROM todos WHERE todo_id = $1";
    let asked = Statement::from_sql_and_values(past.get_database_backend(), sql, [1_i64.into()]);
    past.query_one_raw(asked).await.unwrap();
    past.close().await.unwrap();
}
