//! Several processes share one database. Accounting stays exact, and no writer waits forever.

use roots_domain::command::{Command, Refusal};
use roots_domain::port::store::{AccountReader, ApplyError, CommandStore, StoreError, Verifier};
use roots_persistence::Store;
use roots_testkit::commands::{CommandResult, Issuer};
use roots_testkit::database::TestDatabase;

use crate::random_commands::{self, SeededRng};

roots_testkit::on_both! {
    several_stores_write_the_same_accounts_without_errors_or_deadlocks,
    several_stores_spend_each_credit_of_a_balance_once,
}

/// The number of stores, each with the writers of one process.
fn stores_of(db: &TestDatabase) -> usize {
    if db.is_postgres() { 3 } else { 2 }
}

async fn stores(db: &TestDatabase) -> Vec<Store> {
    let mut stores = vec![db.store.clone()];
    while stores.len() < stores_of(db) {
        stores.push(db.another_store().await);
    }
    stores
}

/// Applies a command. SQLite has no queue for its lock: a store that does not get it within 4 s
/// gives up and reports that nothing was done. The command is then sent again.
async fn apply(store: &Store, is_postgres: bool, command: Command) -> CommandResult {
    loop {
        let answer = store.apply(command.clone()).await;
        let is_away = matches!(answer, Err(ApplyError::Store(StoreError::Unavailable(_))));
        if is_postgres || !is_away {
            return answer;
        }
    }
}

/// A few accounts are hot: every writer of every store uses them half of the time. Batches hold
/// commands of several accounts in any order, which could deadlock.
pub(crate) async fn several_stores_write_the_same_accounts_without_errors_or_deadlocks(
    db: TestDatabase,
) {
    const ACCOUNTS: i64 = 12;
    const HOT: i64 = 2;
    const WRITERS: u64 = 8;
    const WRITES: usize = 40;
    let mut issuers = Vec::new();
    for _ in 0..ACCOUNTS {
        issuers.push(Issuer::new(&db.store, 10_000).await);
    }
    let mut writers = Vec::new();
    let (stores, is_postgres) = (stores(&db).await, db.is_postgres());
    for (number, store) in (0_u64..).zip(stores.iter()) {
        for writer in 0..WRITERS {
            let (store, issuers) = (store.clone(), issuers.clone());
            writers.push(tokio::spawn(async move {
                let mut rng = SeededRng(100 * number + writer);
                let mut applied = vec![0_i64; issuers.len()];
                for _ in 0..WRITES {
                    let among = if rng.below(2) == 0 { HOT } else { ACCOUNTS };
                    let index = usize::try_from(rng.below(among)).unwrap();
                    let command = random_commands::command(&mut rng, &issuers[index], 40);
                    match apply(&store, is_postgres, command).await {
                        Ok(answer) => applied[index] += answer.cost,
                        Err(ApplyError::Refused(_)) => {}
                        Err(ApplyError::Store(error)) => panic!("{error}"),
                    }
                }
                applied
            }));
        }
    }
    let mut paid = vec![0; issuers.len()];
    for writer in writers {
        for (sum, applied) in paid.iter_mut().zip(writer.await.unwrap()) {
            *sum += applied;
        }
    }
    assert!(paid.iter().all(|paid| *paid > 0), "{paid:?}");
    for (issuer, paid) in issuers.iter().zip(paid) {
        let account = db.store.account(issuer.account).await.unwrap().unwrap();
        assert_eq!(account.balance, 10_000 - paid);
    }
    assert_eq!(db.store.verify().await.unwrap(), (12, vec![]));
    if db.is_postgres() {
        // The store recovers from a deadlock, so only PostgreSQL can tell whether there was one.
        for store in stores {
            store.close().await;
        }
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(db.rows::<(i64,)>(sql).await, [(0,)]);
    }
}

pub(crate) async fn several_stores_spend_each_credit_of_a_balance_once(db: TestDatabase) {
    let issuer = Issuer::new(&db.store, 100).await;
    let (mut writers, is_postgres) = (Vec::new(), db.is_postgres());
    for store in stores(&db).await {
        for _ in 0..8 {
            let store = store.clone();
            writers.push(tokio::spawn(async move {
                let mut balances = Vec::new();
                loop {
                    match apply(&store, is_postgres, issuer.create_todo("one")).await {
                        Ok(applied) => balances.push(applied.balance),
                        Err(refused) => return (balances, refused),
                    }
                }
            }));
        }
    }
    let mut balances = Vec::new();
    for writer in writers {
        let (theirs, refused) = writer.await.unwrap();
        balances.extend(theirs);
        let broke = Refusal::InsufficientCredits { balance: 0, cost: 1 };
        assert_eq!(refused, ApplyError::Refused(broke));
    }
    balances.sort_unstable();
    assert_eq!(balances, (0..100).collect::<Vec<_>>());
    let ids = "SELECT COUNT(*), MIN(todo_id), MAX(todo_id) FROM todos";
    assert_eq!(db.rows::<(i64, i64, i64)>(ids).await, [(100, 1, 100)]);
    assert_eq!(db.store.verify().await.unwrap(), (1, vec![]));
}
