//! Callers that write and read until they are told to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use roots_testkit::program::Api;
use serde_json::json;
use tokio::task::JoinSet;

use crate::installation::Installation;

const CALLERS_PER_ACCOUNT: usize = 2;
/// Between two requests of a caller.
const PAUSE: Duration = Duration::from_millis(5);
/// One request in so many is a read.
const READ_EVERY: usize = 4;

/// Whether a write that got 503 is sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Never,
    UntilDone,
}

/// A request and its answer.
pub(crate) struct Sent {
    /// The number of the account.
    pub(crate) account: usize,
    /// The description and idempotency key of a write.
    pub(crate) name: Option<String>,
    pub(crate) at: Instant,
    pub(crate) took: Duration,
    pub(crate) status: u16,
}

impl Sent {
    pub(crate) fn succeeded(&self) -> bool {
        [200, 201].contains(&self.status)
    }
}

/// Callers of all accounts, each of which uses all servers in turn.
pub(crate) struct Load {
    callers: JoinSet<Vec<Sent>>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    pub(crate) fn start(all: &Installation, repeat: Repeat) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for (number, account) in all.accounts.iter().enumerate() {
            for caller in 0..CALLERS_PER_ACCOUNT {
                let (servers, is_over) = (all.clients(account), Arc::clone(&is_over));
                callers.spawn(call(servers, number, caller, repeat, is_over));
            }
        }
        Self { callers, is_over }
    }

    /// Stops the callers and returns what they sent.
    pub(crate) async fn end(self) -> Vec<Sent> {
        self.is_over.store(true, Ordering::Relaxed);
        self.callers.join_all().await.into_iter().flatten().collect()
    }
}

async fn call(
    servers: Vec<Api>,
    account: usize,
    caller: usize,
    repeat: Repeat,
    is_over: Arc<AtomicBool>,
) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut number = 0;
    let mut is_open = false;
    let mut turn = caller;
    while is_open || !is_over.load(Ordering::Relaxed) {
        turn += 1;
        let api = &servers[turn % servers.len()];
        let is_read = turn.is_multiple_of(READ_EVERY);
        let name = (!is_read).then(|| format!("{account}-{caller}-{number}"));
        let request = match &name {
            Some(name) => api
                .post("/api/v1/activities", &json!({ "description": name }))
                .header("Idempotency-Key", name),
            None => api.get("/api/v1/credits"),
        };
        let at = Instant::now();
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        answer.bytes().await.unwrap();
        sent.push(Sent { account, name, at, took: at.elapsed(), status });
        if !is_read {
            is_open = status == 503 && repeat == Repeat::UntilDone;
            number += usize::from(!is_open);
        }
        tokio::time::sleep(PAUSE).await;
    }
    sent
}

/// Asserts that each write that was answered 2xx is there once, and each other at most once.
pub(crate) async fn assert_nothing_lost_or_doubled(all: &Installation, sent: &[Sent]) {
    for (number, account) in all.accounts.iter().enumerate() {
        let mut rows = BTreeMap::<String, usize>::new();
        for description in all.servers[0].client(&account.key).activities().await {
            *rows.entry(description).or_default() += 1;
        }
        for one in sent.iter().filter(|one| one.account == number) {
            let Some(name) = &one.name else { continue };
            let count = rows.get(name).copied().unwrap_or(0);
            let (id, status) = (account.id, one.status);
            assert!(
                count == 1 || count == 0 && !one.succeeded(),
                "account {id}, {name}: {status}, {count} rows"
            );
        }
    }
}
