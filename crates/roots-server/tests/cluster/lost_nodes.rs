//! A node that is killed harms its own accounts alone, and nothing that was answered is lost.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use crate::installation::{Installation, SOON};
use crate::load::{Load, Repeat, Sent, assert_nothing_lost_or_doubled};
use crate::nodes::StoppedNode;

const SERVERS: usize = 3;
/// How long `/ready` waits for the coordinator, and some time to answer.
const PING_MAX: Duration = Duration::from_secs(6);
/// How long the load runs before and after a loss, and how long a node is away.
const CALM: Duration = Duration::from_secs(2);
const AWAY: Duration = Duration::from_secs(6);

/// The share of requests that succeeded, and their number.
fn success<'a>(sent: impl Iterator<Item = &'a Sent>) -> (f64, u32) {
    let (mut all, mut succeeded) = (0_u32, 0_u32);
    for one in sent {
        all += 1;
        succeeded += u32::from(one.succeeded());
    }
    assert!(all > 0, "no requests");
    (f64::from(succeeded) / f64::from(all), all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_harms_its_own_accounts_alone_and_loses_nothing() {
    let mut all = Installation::start(SERVERS).await;
    let ready = json!({ "status": "ready" });
    all.until_ready_is(StatusCode::OK, &ready, SOON).await;
    let lost = all.workers()[0].clone();
    let load = Load::start(&all, Repeat::Never);
    tokio::time::sleep(CALM).await;

    let killed = Instant::now();
    let node = StoppedNode::stop(&lost);
    let stopped = Instant::now();
    let degraded = json!({ "status": "degraded", "away": [lost.name()] });
    let told = all.until_ready_is(StatusCode::OK, &degraded, SOON).await;
    tokio::time::sleep(AWAY.saturating_sub(told)).await;
    let starting = Instant::now();
    node.start();
    let started = Instant::now();
    let back = all.until_ready_is(StatusCode::OK, &ready, SOON).await;
    tokio::time::sleep(SOON.saturating_sub(back) + CALM).await;
    let sent = load.end().await;

    let is_lost = |one: &&Sent| all.accounts[one.account].node == lost;
    let of_lost = || sent.iter().filter(is_lost);
    let of_others = || sent.iter().filter(|one| !is_lost(one));
    let unexpected: Vec<_> = sent.iter().map(|one| one.status).collect();
    assert!(unexpected.iter().all(|status| [200, 201, 503].contains(status)), "{unexpected:?}");
    let slowest = of_lost().filter(|one| one.at >= killed && one.at < starting);
    let slowest = slowest.map(|one| one.took).max().unwrap();
    assert!(slowest < SOON, "an account of the lost node waited {slowest:?}");
    let refused = of_lost().filter(|one| one.at >= stopped + SOON && one.at < starting);
    assert!(refused.clone().count() > 0 && refused.clone().all(|one| one.status == 503));
    let after_a_second = stopped + Duration::from_secs(1);
    let others = of_others().filter(|one| one.at >= after_a_second && one.at < starting);
    let (share, count) = success(others);
    assert!(share >= 0.99, "{share} of {count} requests of other accounts succeeded");
    let (well, _) = success(sent.iter().filter(|one| one.at >= started + SOON));
    assert!((well - 1.0).abs() < f64::EPSILON, "{well} of all requests succeeded after the return");
    println!(
        "a killed worker: told after {} ms, its accounts waited {} ms at most; of {count} requests \
         of other accounts {:.2} % succeeded; ready {} ms after its return",
        told.as_millis(),
        slowest.as_millis(),
        share * 100.0,
        back.as_millis(),
    );
    assert_nothing_lost_or_doubled(&all, &sent).await;
    all.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_coordinator_accounts_are_served_and_none_are_made() {
    let mut all = Installation::start(SERVERS).await;
    let ready = json!({ "status": "ready" });
    all.until_ready_is(StatusCode::OK, &ready, SOON).await;
    let load = Load::start(&all, Repeat::Never);
    tokio::time::sleep(CALM).await;

    let node = StoppedNode::stop(all.coordinator());
    let stopped = Instant::now();
    let told = all.until_ready_is(StatusCode::SERVICE_UNAVAILABLE, &json!({}), PING_MAX).await;
    println!("a killed coordinator is told after {} ms", told.as_millis());
    let make = ["bootstrap", "--account-name", "Acme", "--actor-name", "Ada"];
    assert!(!all.folder.run(&make).status.success());
    tokio::time::sleep(AWAY.saturating_sub(stopped.elapsed())).await;
    let starting = Instant::now();
    node.start();
    let started = Instant::now();
    let back = all.until_ready_is(StatusCode::OK, &ready, SOON).await;
    tokio::time::sleep(SOON.saturating_sub(back) + CALM).await;
    let sent = load.end().await;

    let after_a_second = stopped + Duration::from_secs(1);
    let away = sent.iter().filter(|one| one.at >= after_a_second && one.at < starting);
    let (share, count) = success(away);
    assert!(share >= 0.99, "{share} of {count} requests succeeded without the coordinator");
    let (well, _) = success(sent.iter().filter(|one| one.at >= started + SOON));
    assert!((well - 1.0).abs() < f64::EPSILON, "{well} of all requests succeeded after the return");
    println!(
        "of {count} requests meanwhile {:.2} % succeeded; ready {} ms after its return",
        share * 100.0,
        back.as_millis(),
    );
    all.folder.bootstrap(&[]);
    assert_nothing_lost_or_doubled(&all, &sent).await;
    all.end();
}
