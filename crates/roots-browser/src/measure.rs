//! What a page must not have.

use std::fs;
use std::sync::LazyLock;

use serde_json::Value;

use crate::browser::Browser;
use crate::variable;

/// The program of axe-core.
static AXE: LazyLock<String> = LazyLock::new(|| {
    let path = variable::path(variable::AXE);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
});

/// All rules, also those that axe-core leaves off: experimental ones, and those of the level AAA.
const RUN_AXE: &str = "
    const rules = Object.fromEntries(axe.getRules().map((rule) => [rule.ruleId, { enabled: true }]));
    // Colours move for 120 ms after the theme has changed.
    for (const it of document.getAnimations()) it.finish();
    axe.run(document, { rules, resultTypes: ['violations'] }).then(
        ({ violations }) => done(violations.flatMap(({ id, help, nodes }) => nodes.map((node) =>
            `${id}: ${help}: ${node.target} ${node.html.slice(0, 160)} ${node.failureSummary}`))),
        (error) => done([String(error)]),
    );";

/// What can be pressed and is smaller than 24 by 24 px. Links in sentences are left out, as the
/// standard does (WCAG 2.5.8), and what is there for readers alone.
const SMALL_TARGETS: &str = "
    [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex=\"0\"]')]
        .filter((it) => it.checkVisibility({ visibilityProperty: true }) && !it.closest('.vh, .skip'))
        .filter((it) => !(it.matches('a') && getComputedStyle(it).display === 'inline'))
        .map((it) => [it, (it.closest('label') || it).getBoundingClientRect()])
        .filter(([, box]) => box.width < 24 || box.height < 24)
        .map(([it, box]) => `${it.outerHTML.slice(0, 120)}: ${box.width} x ${box.height}`)";

/// Where the page loaded something from, but for this server.
const OTHER_HOSTS: &str = "
    performance.getEntries().map((it) => it.name)
        .filter((name) => name.includes('://') && !name.startsWith(location.origin))";

/// What reaches beyond the right edge, if the page scrolls sideways.
const SIDEWAYS: &str = "
    (document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
        [...document.body.querySelectorAll('*')]
            .filter((it) => it.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5
                && !it.parentElement.closest('.scroll, .board, pre'))
            .map((it) => it.outerHTML.slice(0, 160)).slice(0, 5)
            .concat(`${document.documentElement.scrollWidth} px`))";

impl Browser {
    /// The violations that axe-core finds, each with its element.
    pub async fn violations(&self) -> Vec<String> {
        if self.value("typeof window.axe").await == "undefined" {
            let put = self.driver.execute(format!("{}; window.axe = axe;", *AXE), vec![]).await;
            put.unwrap_or_else(|error| panic!("axe-core: {error}"));
        }
        strings(&self.answer(RUN_AXE).await)
    }

    /// What can be pressed and is smaller than 24 px.
    pub async fn small_targets(&self) -> Vec<String> {
        strings(&self.value(SMALL_TARGETS).await)
    }

    /// URLs of other hosts that the page has asked for.
    pub async fn other_hosts(&self) -> Vec<String> {
        strings(&self.value(OTHER_HOSTS).await)
    }

    /// Elements that make the page scroll sideways.
    pub async fn sideways(&self) -> Vec<String> {
        strings(&self.value(SIDEWAYS).await)
    }

    /// The errors and warnings on the console since the last call.
    pub async fn console_errors(&self) -> Vec<String> {
        let entries = self.driver.browser_log().await.expect("the console");
        let is_fault = |level: &str| matches!(level, "SEVERE" | "WARNING");
        entries.into_iter().filter(|it| is_fault(&it.level)).map(|it| it.message).collect()
    }

    /// Starts to add up how far the parts of the page shift by themselves.
    pub async fn watch_shifts(&self) {
        let watch = "(window.rootsShift = 0, new PerformanceObserver((list) => {
            for (const it of list.getEntries()) if (!it.hadRecentInput) window.rootsShift += it.value;
        }).observe({ type: 'layout-shift', buffered: true }))";
        self.value(watch).await;
    }

    /// The sum of the shifts, once the last frame is painted.
    pub async fn shifts(&self) -> f64 {
        let two_frames =
            "requestAnimationFrame(() => requestAnimationFrame(() => done(window.rootsShift)))";
        self.answer(two_frames).await.as_f64().unwrap_or(f64::NAN)
    }

    /// The bytes of what the page loaded, uncompressed: `html`, `css`, `script` and `all`.
    pub async fn sizes(&self) -> Value {
        self.value(
            "(() => {
                const size = (it) => it.decodedBodySize;
                const loaded = performance.getEntriesByType('resource');
                const of = (end) => loaded.filter((it) => it.name.endsWith(end)).map(size)
                    .reduce((sum, it) => sum + it, 0);
                const html = size(performance.getEntriesByType('navigation')[0]);
                const all = loaded.filter((it) => it.initiatorType !== 'fetch').map(size)
                    .reduce((sum, it) => sum + it, html);
                return { html, css: of('.css'), script: of('.js'), all };
            })()",
        )
        .await
    }
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().unwrap_or_else(|| panic!("no list: {value}"));
    items.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
}
