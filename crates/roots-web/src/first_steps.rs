//! What a page shows while there is nothing to show: the first request.

use maud::{Markup, html};
use roots_http_core::wire::{API_KEY, API_PATH};

use crate::address::Address;

/// The request that starts a session.
pub(crate) fn start_a_session(Address(address): &Address) -> Markup {
    request(address, "/sessions", r#"{"notes": "Looking around"}"#)
}

/// The request that logs an activity.
pub(crate) fn log_an_activity(Address(address): &Address) -> Markup {
    let body = r#"{"activity_type": "note", "description": "Read the plan"}"#;
    request(address, "/activities", body)
}

fn request(address: &str, path: &str, body: &str) -> Markup {
    html! {
        pre.curl tabindex="0" {
            "curl " (address) (API_PATH) (path) " \\\n  -H '" (API_KEY.as_str())
            ": YOUR_API_KEY' \\\n  -H 'Content-Type: application/json' \\\n  -d '" (body) "'"
        }
        p.muted {
            "Replace YOUR_API_KEY with the API key of the agent. What it writes appears here by itself."
        }
    }
}
