//! The forms that make, rotate and revoke keys, and the one of the recovery code. Each act is
//! authored by an API key that is typed again.

use axum::extract::State;
use axum::response::Response;
use roots_domain::model::Invalid;
use roots_domain::model::id::{ActorId, KeyId};
use roots_domain::model::text::Name;
use roots_domain::model::zone::{WallClock, Zone};
use roots_domain::service::keys::{Grace, KeyDraft, ShownKey};
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::problem::Problem;

use roots_http_core::request::path::Id;
use secrecy::SecretString;

use super::overview::{self, Filled};
use super::page;
use super::shown_once::{self, Secret};
use super::wrong_key::{at_key, show_again};
use crate::address::Address;
use crate::answer::{self, see_other};
use crate::app::App;
use crate::form::{self, Faults, Posted, again};

use crate::once::done_once;
use crate::query::optional;
use crate::viewer::Viewer;

/// The fields of a new key.
const NAMES: [&str; 4] = ["actor_id", "label", "expires_at", "api_key"];

/// Makes a key and shows it, once.
pub(crate) async fn add(State(app): State<App>, address: Address, mut posted: Posted) -> Response {
    let problem = match try_add(&app, &posted).await {
        Ok(made) => return show(&posted, &made, "New key"),
        Err(problem) => at_key(problem),
    };
    let status = problem.status();
    let faults = match Faults::of(problem, &NAMES) {
        Ok(faults) => faults,
        Err(problem) => return posted.fail(problem),
    };
    let get = |name| posted.typed.get(name).unwrap_or_default();
    let filled = Filled {
        actor: ActorId::parse(get("actor_id")),
        label: get("label").to_owned(),
        expires: get("expires_at").to_owned(),
        zone: get("zone").to_owned(),
    };
    match page::page(&app, &mut posted.viewer, (page::Begin::default(), &address), &filled, &faults)
        .await
    {
        Ok(page) => again(status, answer::html(page)),
        Err(problem) => posted.fail(problem),
    }
}

async fn authorize(posted: &Posted) -> Result<Bearer, Problem> {
    posted.viewer.authorize(posted.typed.get("api_key").unwrap_or_default()).await
}

async fn try_add(app: &App, posted: &Posted) -> Result<ShownKey, Problem> {
    let own = posted.viewer.bearer.actor.id;
    let draft = form::read(&posted.typed, |params| {
        let actor = optional(params, "actor_id", |text| {
            ActorId::parse(text).ok_or_else(|| Invalid::new("must be one of the agents"))
        });
        let label = optional(params, "label", |text| Name::parse(text));
        let expires = optional(params, "expires_at", WallClock::parse);
        let zone = optional(params, "zone", Zone::parse);
        // It is read when the act is authorized.
        params.take("api_key", |_| Ok(()))?;
        let zone = zone?.unwrap_or(Zone::UTC);
        Ok(KeyDraft {
            actor: actor?.unwrap_or(own),
            label: label?,
            expires_at: expires?.map(|clock| zone.instant_of(clock)),
            renew: false,
        })
    })?;
    let once = Some(posted.idempotent()?);
    let author = authorize(posted).await?;
    let keys = &app.services.keys;
    Ok(done_once(app, &author, || keys.add(&author, draft.clone(), once.clone())).await?.value)
}

/// Rotates the key that was typed, and shows the new one, once.
pub(crate) async fn rotate(State(app): State<App>, posted: Posted) -> Response {
    match try_rotate(&app, &posted).await {
        Ok(made) => show(&posted, &made, "Rotated key"),
        Err(problem) => show_again(posted, problem, "Rotate a key", |viewer, faults| {
            overview::rotation(&app, viewer, faults)
        }),
    }
}

async fn try_rotate(app: &App, posted: &Posted) -> Result<ShownKey, Problem> {
    let once = Some(posted.idempotent()?);
    let author = authorize(posted).await?;
    let grace = Grace::default();
    let keys = &app.services.keys;
    Ok(done_once(app, &author, || keys.rotate(&author, None, grace, once.clone())).await?.value)
}

fn show(posted: &Posted, made: &ShownKey, title: &str) -> Response {
    let said = "Give it to its agent, or put it into your password manager.";
    let secret = Secret { label: "API key", id: "api-key", value: &made.api_key };
    shown_once::page(&posted.viewer, title, said, &[secret])
}

/// Revokes a key.
pub(crate) async fn revoke(State(app): State<App>, Id(id): Id<KeyId>, posted: Posted) -> Response {
    match try_revoke(&app, id, &posted).await {
        Ok(()) => see_other("/access"),
        Err(problem) => {
            let form = |viewer: &Viewer, faults: &Faults| overview::revocation(viewer, id, faults);
            show_again(posted, problem, &format!("Revoke key {id}"), form)
        }
    }
}

async fn try_revoke(app: &App, id: KeyId, posted: &Posted) -> Result<(), Problem> {
    let author = authorize(posted).await?;
    author.checked(app.services.keys.revoke(&author, id).await)?;
    Ok(())
}

/// Makes a recovery code and shows it, once.
pub(crate) async fn recovery_code(State(app): State<App>, posted: Posted) -> Response {
    match try_recovery_code(&app, &posted).await {
        Ok(code) => {
            let secret = Secret { label: "Recovery code", id: "code", value: &code };
            let said = "Keep it apart from your keys, where no agent can read it.";
            shown_once::page(&posted.viewer, "New recovery code", said, &[secret])
        }
        Err(problem) => show_again(posted, problem, "Recovery code", |viewer, faults| {
            overview::recovery_code(&app, viewer, faults)
        }),
    }
}

async fn try_recovery_code(app: &App, posted: &Posted) -> Result<SecretString, Problem> {
    let once = Some(posted.idempotent()?);
    let author = authorize(posted).await?;
    let accounts = &app.services.accounts;
    done_once(app, &author, || accounts.renew_code(&author, once.clone())).await
}
