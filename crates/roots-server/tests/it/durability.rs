//! What was answered with success is there, however the server ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::program::{Api, Home, text, wait_for};

const CALLERS: usize = 8;
/// How many writes are answered before the server is told to end.
const ENOUGH: usize = 200;

/// Callers that write until they are not answered any more, and what was answered.
struct Load {
    callers: JoinSet<Vec<String>>,
    answered: Arc<AtomicUsize>,
}

impl Load {
    fn start(api: &Api, round: u32) -> Self {
        let answered = Arc::new(AtomicUsize::new(0));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (api, answered) = (api.clone(), Arc::clone(&answered));
            callers.spawn(async move {
                let mut texts = Vec::new();
                for number in 0_u32.. {
                    let text = format!("round {round}: {caller} wrote its number {number}");
                    if !api.log_activity(&text).await {
                        break;
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                    texts.push(text);
                }
                texts
            });
        }
        Self { callers, answered }
    }

    async fn end(self) -> Vec<String> {
        self.callers.join_all().await.concat()
    }
}

/// Ends a server by `signal` while callers write, and answers what they were told is written.
async fn end_under_load(home: &Home, signal: &str, round: u32) -> Vec<String> {
    let mut server = home.serve();
    let load = Load::start(&server.client(&home.operator_key()), round);
    let answered = Arc::clone(&load.answered);
    wait_for("enough answers", || (answered.load(Ordering::Relaxed) >= ENOUGH).then_some(()));
    server.signal(signal);
    let status = server.end();
    assert_eq!(status.success(), signal == "TERM", "{status}: {:?}", server.log());
    load.end().await
}

/// Starts again: all of `texts` are there, and the books add up.
async fn all_is_there(home: &Home, texts: &[String]) {
    assert!(texts.len() >= ENOUGH);
    let server = home.serve();
    let api = server.client(&home.operator_key());
    let there: HashSet<String> = api.activities().await.into_iter().collect();
    let lost: Vec<_> = texts.iter().filter(|text| !there.contains(*text)).collect();
    assert!(lost.is_empty(), "answered, but not there: {lost:?}");
    // A write that was not answered may stand, but then it was paid for.
    let balance = api.read("/api/v1/credits").await["balance"].as_i64().unwrap();
    assert_eq!(balance, 1_000_000 - i64::try_from(there.len()).unwrap());
    server.stop();
    let verified = home.run(&["verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_what_is_in_flight_end() {
    let home = Home::new();
    let texts = end_under_load(&home, "TERM", 1).await;
    all_is_there(&home, &texts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_that_was_answered() {
    let home = Home::new();
    for round in 1..=2 {
        let texts = end_under_load(&home, "KILL", round).await;
        all_is_there(&home, &texts).await;
    }
}
