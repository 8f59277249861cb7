//! What the page of keys and sign-ins shows.

use maud::{Markup, html};
use roots_domain::model::api_key::KeyStatus;
use roots_domain::model::id::{ActorId, KeyId};
use roots_domain::model::page::Page;
use roots_domain::service::keys::KeyEntry;
use roots_domain::service::sign_ins::SignInEntry;

use crate::agents::Agents;
use crate::app::App;
use crate::form::{self, Faults, field};
use crate::text;
use crate::time;
use crate::viewer::Viewer;

/// The field of the API key that authors an act, and its fault.
pub(super) fn own_key(id: &str, faults: &Faults) -> Markup {
    html! {
        div.field {
            label for=(id) { "Your API key, again" }
            input id=(id) type="password" name="api_key" required autocomplete="off"
                spellcheck="false" aria-describedby=[faults.described("api_key")];
            (faults.at("api_key"))
        }
    }
}

/// The table of keys.
pub(super) fn keys(viewer: &Viewer, page: &Page<KeyEntry>) -> Markup {
    html! {
        div.scroll role="region" aria-label="Keys, scrolls sideways" tabindex="0" {
            table {
                thead { tr { th { "Agent" } th { "Key" } th { "Made" } th { "Last used" } th { "Ends" } th { span.vh { "Revoke" } } } }
                tbody { @for entry in &page.items { (key_row(viewer, entry)) } }
            }
        }
    }
}

fn key_row(viewer: &Viewer, entry: &KeyEntry) -> Markup {
    let look = &viewer.look;
    let key = &entry.listed.key;
    html! {
        tr id={ "row-key-" (key.id) } {
            td { (text::line(entry.listed.actor_name.as_str())) }
            td { code { (key.prefix) "…" }
                @if let Some(label) = &key.label { " " (text::line(label.as_str())) } }
            td { (time::when(look, key.created_at)) }
            td { @if let Some(at) = key.last_used { (time::when(look, at)) } @else { "never" } }
            td {
                @match key.status {
                    _ if !entry.is_active => span.tag { "ended" },
                    KeyStatus::InGrace { until } => {
                        span.tag.warn { "rotated, still valid" } " ends " (time::when(look, until))
                    }
                    _ => @match key.expires_at {
                        Some(at) => { (time::when(look, at)) }
                        None => { "when it is revoked" }
                    },
                }
            }
            td {
                @if entry.is_active {
                    details id={ "revoke-" (key.id) } {
                        summary { "Revoke" }
                        (revocation(viewer, key.id, &Faults::default()))
                    }
                }
            }
        }
    }
}

/// The form that revokes a key.
pub(super) fn revocation(viewer: &Viewer, id: KeyId, faults: &Faults) -> Markup {
    html! {
        form.stack method="post" action={ "/access/keys/" (id) "/revoke" } {
            (faults.above())
            (form::shown_to(viewer))
            (own_key(&format!("revoke-key-{id}"), faults))
            button.bad { "Revoke key " (id) }
        }
    }
}

/// The list of sign-ins.
pub(super) fn sign_ins(viewer: &Viewer, entries: &[SignInEntry]) -> Markup {
    let look = &viewer.look;
    html! {
        @if entries.is_empty() { p { "Nobody is signed in." } }
        ul.rows {
            @for entry in entries {
                @let sign_in = &entry.listed.sign_in;
                li id={ "row-sign-in-" (sign_in.id) } data-row="" {
                    span.grow {
                        (text::line(entry.listed.actor_name.as_str())) " "
                        @match &sign_in.label {
                            Some(label) => { (text::line(label.as_str())) }
                            None => { "a browser" }
                        }
                        @if entry.is_callers { " " span.tag.ok { "this one" } }
                        br;
                        span.muted { "signed in " (time::when(look, sign_in.created_at))
                            ", last used " (time::when(look, sign_in.last_used))
                            ", ends " (time::full(look, entry.ends_at)) }
                    }
                    form method="post" action={ "/access/sign-ins/" (sign_in.id) "/end" } {
                        (form::shown_to(viewer))
                        button { "End" span.vh { " sign-in " (sign_in.id) } }
                    }
                }
            }
        }
        form method="post" action="/access/sign-ins/end" {
            (form::shown_to(viewer))
            div.buttons { button { "End all of mine" } }
        }
    }
}

/// What stands in the form of a new key.
#[derive(Default)]
pub(super) struct Filled {
    pub(super) actor: Option<ActorId>,
    pub(super) label: String,
    pub(super) expires: String,
    pub(super) zone: String,
}

/// The form of a new key, for owners.
pub(super) fn new_key(
    (app, viewer): (&App, &Viewer),
    agents: &Agents,
    filled: &Filled,
    faults: &Faults,
) -> Markup {
    let label = html! {
        input #label name="label" maxlength="100" value=(filled.label) autocomplete="off"
            aria-describedby=[faults.described("label")];
    };
    let expires = html! {
        input #expires_at type="datetime-local" name="expires_at" value=(filled.expires)
            aria-describedby=[faults.described("expires_at")];
        p.muted { "In " (filled.zone) ". Empty: it does not expire." }
    };
    html! {
        form.stack method="post" action="/access/keys" {
            (faults.above())
            (form::hidden(app, viewer, None))
            input type="hidden" name="zone" value=(filled.zone);
            (field(faults, "actor_id", "For", &agents.choice("actor_id", "Me", filled.actor)))
            (field(faults, "label", "Label, if any", &label))
            (field(faults, "expires_at", "Expires", &expires))
            (own_key("new-key-own", faults))
            div.buttons { button.primary { "Make the key" } }
        }
    }
}

/// The form that rotates the key that is typed.
pub(super) fn rotation(app: &App, viewer: &Viewer, faults: &Faults) -> Markup {
    html! {
        p { "The key that you type is replaced. It stays valid until the new one is first used; then \
             browsers that signed in with it are signed out." }
        form.stack method="post" action="/access/keys/rotate" {
            (faults.above())
            (form::hidden(app, viewer, None))
            (own_key("rotate-own", faults))
            div.buttons { button { "Rotate it" } }
        }
    }
}

/// The form of a new recovery code.
pub(super) fn recovery_code(app: &App, viewer: &Viewer, faults: &Faults) -> Markup {
    html! {
        p { "It gets the owner a new key when all keys are lost. A new code replaces the old one at \
             once." }
        form.stack method="post" action="/access/recovery-code" {
            (faults.above())
            (form::hidden(app, viewer, None))
            (own_key("code-own", faults))
            div.buttons { button { "Make a new code" } }
        }
    }
}
