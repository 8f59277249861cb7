//! Charts on phones.

use roots_browser::browser::Width;
use roots_browser::seed::Amount;
use serde_json::json;

use crate::visit::Visit;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_phone_names_stay_beside_their_bars_and_the_year_is_its_last_26_weeks() {
    let visit = Visit::to(Amount::Usual).await;
    visit.browser.set_width(Width::Phone).await;
    visit.open("/").await;
    visit.browser.until_there("#today .beside").await;
    // However far the bars are scrolled, the names are on the page.
    let names = "(() => { const bars = document.querySelector('#today .chart');
        return [0, -9999, 9999].map((left) => {
            bars.scrollLeft = left;
            const names = document.querySelector('#today .beside > svg').getBoundingClientRect();
            const box = bars.getBoundingClientRect();
            return names.left >= 0 && names.right <= box.left + 1 && box.right <= innerWidth;
        }); })()";
    assert_eq!(visit.browser.value(names).await, json!([true, true, true]));
    // 26 columns of days fit between the edges of the year, and nothing of it scrolls.
    let year = "(() => { const year = document.querySelector('#year .chart');
        const cells = year.querySelector('svg').getBoundingClientRect();
        const box = year.getBoundingClientRect();
        return [Math.round(box.width / cells.width * 53), Math.abs(cells.right - box.right) < 2,
            getComputedStyle(year).overflowX, document.querySelector('#year .phone').offsetHeight > 0]; })()";
    assert_eq!(visit.browser.value(year).await, json!([26, true, "hidden", true]));
    visit.browser.set_width(Width::Wide).await;
    let whole = "document.querySelector('#year .phone').offsetHeight > 0";
    assert_eq!(visit.browser.value(whole).await, json!(false));
    visit.end().await;
}
