//! The page of a secret. It stands there alone, once.

use axum::response::Response;
use maud::{Markup, html};
use secrecy::{ExposeSecret, SecretString};

use crate::answer::html;
use crate::layout::{self, Frame, Section};
use crate::viewer::Viewer;

/// A secret, and what it is.
pub(super) struct Secret<'a> {
    /// What it is called.
    pub(super) label: &'a str,
    /// The id of its element.
    pub(super) id: &'a str,
    /// The secret.
    pub(super) value: &'a SecretString,
}

/// The page that shows secrets.
pub(super) fn page(viewer: &Viewer, title: &str, said: &str, secrets: &[Secret<'_>]) -> Response {
    html(layout::page(
        viewer,
        Frame {
            title,
            section: Section::Access,
            tools: html! {},
            next_change: None,
            content: html! {
                section.card {
                    p { (said) }
                    @for secret in secrets { (shown(secret)) }
                    p { "It is shown only this once. Anybody who has it can read everything that it opens." }
                    div.buttons { a.button.primary href="/access" { "I have kept it" } }
                }
            },
        },
    ))
}

fn shown(Secret { label, id, value }: &Secret<'_>) -> Markup {
    html! {
        div.field {
            h2 { (label) }
            div.secret {
                code id=(id) { (value.expose_secret()) }
                button type="button" hidden data-copy=(id) { "Copy" }
            }
        }
    }
}
