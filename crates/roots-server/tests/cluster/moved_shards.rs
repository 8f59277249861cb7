//! A shard that is moved to another worker under load.

use std::time::{Duration, Instant};

use roots_testkit::cluster::node_of;

use crate::installation::Installation;
use crate::load::{Load, Repeat, assert_nothing_lost_or_doubled};

const SERVERS: usize = 3;
const CALM: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_moved_under_load_without_a_failure() {
    let mut all = Installation::start(SERVERS).await;
    let load = Load::start(&all, Repeat::UntilDone);
    let account = all.accounts[0].id;
    for mode in ["force_logical", "block_writes"] {
        tokio::time::sleep(CALM).await;
        let from = node_of(&all.folder.database_url(), account).await;
        let to = all.workers().iter().find(|node| **node != from).unwrap();
        let begun = Instant::now();
        all.run_on_coordinator(&format!(
            "SELECT citus_move_shard_placement(get_shard_id_for_distribution_column('accounts', \
             {account}), '{}', {}, '{}', {}, '{mode}')",
            from.host, from.port, to.host, to.port,
        ))
        .await;
        println!("a moved shard ({mode}): {} ms", begun.elapsed().as_millis());
        assert_eq!(node_of(&all.folder.database_url(), account).await, *to);
    }
    tokio::time::sleep(CALM).await;
    let sent = load.end().await;
    let failed: Vec<_> = sent.iter().filter(|one| !one.succeeded()).map(|one| one.status).collect();
    assert!(failed.iter().all(|status| *status == 503), "{failed:?}");
    let slowest = sent.iter().map(|one| one.took).max().unwrap();
    println!(
        "of {} requests {} got 503 and were sent again; the slowest took {} ms",
        sent.len(),
        failed.len(),
        slowest.as_millis(),
    );
    assert_nothing_lost_or_doubled(&all, &sent).await;
    all.end();
}
