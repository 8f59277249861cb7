//! The first paint of a page on a slow line and a slow processor.

use serde_json::{Value, json};

use crate::browser::Browser;

/// From a request to the first byte of its answer, at least.
const LATENCY_MS: u32 = 150;
/// 1.6 Mb/s, in bytes.
const BYTES_PER_SECOND: u32 = 200_000;
/// The processor is so many times slower.
const SLOWER: u32 = 4;

/// What a viewer waited for, and what moved.
#[derive(Debug, Clone, Copy)]
pub struct Paint {
    /// First contentful paint, in ms.
    pub first: f64,
    /// Largest contentful paint, in ms.
    pub largest: f64,
    /// Cumulative layout shift.
    pub shift: f64,
}

/// What Chromium has observed, once it has painted two more frames.
const OBSERVED: &str = "
    const all = {};
    const observe = (type) => new PerformanceObserver((list) => {
        all[type] = (all[type] || []).concat(list.getEntries());
    }).observe({ type, buffered: true });
    ['paint', 'largest-contentful-paint', 'layout-shift'].forEach(observe);
    const told = () => done({
        first: all.paint.find((it) => it.name === 'first-contentful-paint').startTime,
        largest: all['largest-contentful-paint'].at(-1).startTime,
        shift: (all['layout-shift'] || []).reduce((sum, it) => sum + it.value, 0),
    });
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(told, 0)));";

impl Browser {
    /// Opens a URL on a slow line, with an empty cache, and waits until the page is live.
    pub async fn first_paint(&self, url: &str) -> Paint {
        self.open("about:blank").await;
        self.command("Network.enable", json!({})).await;
        self.command("Network.clearBrowserCache", json!({})).await;
        let line = json!({
            "offline": false, "latency": LATENCY_MS,
            "downloadThroughput": BYTES_PER_SECOND, "uploadThroughput": BYTES_PER_SECOND
        });
        self.command("Network.emulateNetworkConditions", line).await;
        self.command("Emulation.setCPUThrottlingRate", json!({ "rate": SLOWER })).await;
        self.open(url).await;
        self.until_live().await;
        let observed = self.answer(OBSERVED).await;
        let number = |name: &str| observed.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        Paint { first: number("first"), largest: number("largest"), shift: number("shift") }
    }
}
