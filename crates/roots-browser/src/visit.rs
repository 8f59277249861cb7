//! Does on pages what a person does there.

use serde_json::Value;
use thirtyfour::{By, Key, WebElement};

use crate::browser::Browser;
use crate::patience::wait_for;

impl Browser {
    /// Opens a URL.
    pub async fn open(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Signs in at the server of this URL with an API key, and waits for the first page.
    pub async fn sign_in(&self, url: &str, key: &str) {
        self.open(&format!("{url}/sign-in")).await;
        self.type_into("#api_key", key).await;
        self.click("main form button").await;
        self.until_there("nav").await;
    }

    /// The path and query of the page.
    pub async fn path(&self) -> String {
        let url = self.driver.current_url().await.expect("a URL");
        url.as_str().splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap_or_default()
    }

    /// Waits until the page has an element, and returns it.
    pub async fn until_there(&self, selector: &str) -> WebElement {
        wait_for(selector, async || self.driver.find(By::Css(selector)).await.ok()).await
    }

    /// Waits until an expression of JavaScript is true in the page. It is false while a page loads.
    pub async fn until(&self, what: &str, expression: &str) {
        wait_for(what, async || {
            let value = self.driver.execute(format!("return !!({expression})"), vec![]).await;
            value.is_ok_and(|value| value.json() == &Value::Bool(true)).then_some(())
        })
        .await;
    }

    /// Waits until the page shows a text, wherever it stands.
    pub async fn until_says(&self, text: &str) {
        let quoted = Value::from(text);
        let what = format!("the page to say {text:?}");
        self.until(&what, &format!("document.body.innerText.includes({quoted})")).await;
    }

    /// Waits until the page no longer shows a text.
    pub async fn until_silent(&self, text: &str) {
        let quoted = Value::from(text);
        let what = format!("the page to say no more {text:?}");
        self.until(&what, &format!("!document.body.innerText.includes({quoted})")).await;
    }

    /// Waits until the page is live: its stream is open.
    pub async fn until_live(&self) {
        self.until("the badge to say Live", "document.querySelector('#live[data-state=live]')")
            .await;
    }

    /// The value of an expression of JavaScript.
    pub async fn value(&self, expression: &str) -> Value {
        let found = self.driver.execute(format!("return ({expression})"), vec![]).await;
        found.unwrap_or_else(|error| panic!("{expression}: {error}")).json().clone()
    }

    /// What a script with a callback answers: `const done = arguments[arguments.length - 1]`.
    pub async fn answer(&self, script: &str) -> Value {
        let body = format!("const done = arguments[arguments.length - 1]; {script}");
        let found = self.driver.execute_async(body, vec![]).await;
        found.unwrap_or_else(|error| panic!("{script:.200}: {error}")).json().clone()
    }

    /// All that the page shows as text.
    pub async fn text(&self) -> String {
        self.value("document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks the element when it is there.
    pub async fn click(&self, selector: &str) {
        wait_for(&format!("a click on {selector}"), async || {
            let element = self.driver.find(By::Css(selector)).await.ok()?;
            element.click().await.ok()
        })
        .await;
    }

    /// Types into the field, in place of what stands there.
    pub async fn type_into(&self, selector: &str, text: &str) {
        let field = self.until_there(selector).await;
        field.clear().await.unwrap_or_else(|error| panic!("{selector}: {error}"));
        field.send_keys(text).await.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Presses keys where the focus is.
    pub async fn press(&self, keys: impl AsRef<str>) {
        // Chromium drops what is typed before the first paint.
        wait_for("the first paint", async || {
            self.value("performance.getEntriesByType('paint').length > 0")
                .await
                .as_bool()
                .filter(|it| *it)
        })
        .await;
        let pressed = self.driver.action_chain().send_keys(keys.as_ref()).perform().await;
        pressed.unwrap_or_else(|error| panic!("keys: {error}"));
    }

    /// Presses keys while another is held.
    pub async fn chord(&self, held: Key, keys: &str) {
        let chain = self.driver.action_chain().key_down(held.clone()).send_keys(keys).key_up(held);
        chain.perform().await.unwrap_or_else(|error| panic!("{keys}: {error}"));
    }

    /// The cookies, with their names, values and traits.
    pub async fn cookies(&self) -> Vec<thirtyfour::Cookie> {
        self.driver.get_all_cookies().await.expect("cookies")
    }
}
