//! Who looks at a page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;
use roots_domain::model::account::Role;
use roots_http_core::auth::authenticate::Bearer;

use crate::app::App;
use crate::look::Look;

/// The bearer of a sign-in, and how they want to see the pages.
pub(crate) struct Viewer {
    /// The bearer.
    pub(crate) bearer: Bearer,
    /// How they want to see the pages.
    pub(crate) look: Look,
}

impl Viewer {
    /// Whether they are the owner of their account, who sees all of its agents.
    pub(crate) fn is_owner(&self) -> bool {
        self.bearer.actor.role == Role::Owner
    }
}

impl FromRequestParts<App> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Ok(look) = Look::from_request_parts(parts, app).await;
        let bearer = Bearer::from_request_parts(parts, app).await;
        let bearer = bearer.map_err(axum::response::IntoResponse::into_response)?;
        Ok(Self { bearer, look })
    }
}
