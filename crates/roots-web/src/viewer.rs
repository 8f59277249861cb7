//! The person that looks at a page.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderName, Method};
use axum::response::{IntoResponse, Response};
use roots_domain::model::account::Role;
use roots_domain::model::sign_in::SignInEnd;
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::auth::cookie::CookieMode;
use roots_http_core::auth::page_bearer::{LivePageBearer, NotSignedIn, PageBearer};
use roots_http_core::problem::Problem;
use secrecy::SecretString;

use crate::answer::see_other;
use crate::app::App;
use crate::look::Look;
use crate::query::{link, own_path};

/// The header by which the script asks for a page again. No person did, so it is no use of the
/// sign-in.
pub(crate) const REFRESH: HeaderName = HeaderName::from_static("x-roots-refresh");
/// The path of the page to sign in.
pub(crate) const SIGN_IN_PATH: &str = "/sign-in";

/// The bearer of a sign-in, and how they want to see the pages.
#[derive(Clone)]
pub(crate) struct Viewer {
    /// The bearer.
    pub(crate) bearer: Bearer,
    /// How they want to see the pages.
    pub(crate) look: Look,
    /// Whether the script asks, and no person.
    pub(crate) is_refresh: bool,
    /// Whether the page answers a form. Its address can't be asked for again, and what it shows,
    /// like a new key, is on no other page.
    pub(crate) is_answer: bool,
    /// The account's version before anything else of the page was read, if it was read.
    pub(crate) version: Option<i64>,
}

impl Viewer {
    /// Whether they are the owner of their account, who sees all of its agents.
    pub(crate) fn is_owner(&self) -> bool {
        self.bearer.actor.role == Role::Owner
    }

    /// Names the viewer in a page, the same for all of their sign-ins.
    pub(crate) fn mark(&self) -> String {
        format!("{}-{}", self.bearer.account.id, self.bearer.actor.id)
    }

    /// Admits a further part of a long answer.
    ///
    /// # Errors
    /// As [`PageBearer::admit_again`].
    pub(crate) async fn admit_again(&self) -> Result<(), Problem> {
        PageBearer(self.bearer.clone()).admit_again().await
    }

    /// Authorizes one act by an API key of the same actor that was typed for it: that key authors
    /// the act.
    ///
    /// # Errors
    /// As [`PageBearer::authorize`].
    pub(crate) async fn authorize(&self, typed: &str) -> Result<Bearer, Problem> {
        PageBearer(self.bearer.clone()).authorize(SecretString::from(typed.trim())).await
    }
}

/// The viewer that a request was found to be from, if it came so far: the page of an error then has
/// their frame.
#[derive(Clone, Default)]
pub(crate) struct Found(Arc<OnceLock<Viewer>>);

impl Found {
    /// The viewer, once they are found.
    pub(crate) fn get(&self) -> Option<&Viewer> {
        self.0.get()
    }

    /// Keeps the viewer.
    pub(crate) fn keep(&self, viewer: &Viewer) {
        // A request has one viewer.
        let _ = self.0.set(viewer.clone());
    }
}

impl FromRequestParts<App> for Viewer {
    type Rejection = Response;

    /// Without a sign-in, a page leads to the page to sign in, and from there back. A form is
    /// answered with a page that has what was typed.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Ok(look) = Look::from_request_parts(parts, app).await;
        let is_refresh = parts.headers.contains_key(REFRESH) && parts.method.is_safe();
        let admitted = if is_refresh {
            LivePageBearer::from_request_parts(parts, app)
                .await
                .map(|LivePageBearer(bearer)| bearer)
        } else {
            PageBearer::from_request_parts(parts, app).await
        };
        match admitted {
            Ok(PageBearer(bearer)) => {
                let is_answer = !parts.method.is_safe();
                let viewer = Self { bearer, look, is_refresh, is_answer, version: None };
                if let Some(found) = parts.extensions.get::<Found>() {
                    found.keep(&viewer);
                }
                Ok(viewer)
            }
            Err(NotSignedIn::Refused(problem)) => Err(problem.into_response()),
            Err(NotSignedIn::NoCookie) => Err(not_signed_in(parts, None)),
            // The page that the script opens then is to say why, so the cookie stays until it asks.
            Err(NotSignedIn::Ended(end)) if is_refresh => Err(not_signed_in(parts, end)),
            Err(NotSignedIn::Ended(end)) => {
                let mode = app.shared.cookies.mode(&parts.extensions, &parts.uri, &parts.headers);
                Err(without_cookie(mode, not_signed_in(parts, end)))
            }
        }
    }
}

/// Leads to the page to sign in, which says why and leads back.
fn not_signed_in(parts: &Parts, end: Option<SignInEnd>) -> Response {
    if parts.method != Method::GET && parts.method != Method::HEAD {
        let detail = end.map_or("You are not signed in.".to_owned(), |end| end.to_string());
        return Problem::unauthorized(format!("{detail} Nothing was done."), true).into_response();
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let next = own_path(target).filter(|target| *target != "/").map(str::to_owned);
    let why = end.map(|end| why_name(end).to_owned());
    see_other(&link(SIGN_IN_PATH, &[("next", next), ("why", why)]))
}

/// The name of an end in a link.
pub(crate) const fn why_name(end: SignInEnd) -> &'static str {
    match end {
        SignInEnd::KeyRotated => "rotated",
        SignInEnd::KeyEnded => "ended",
        SignInEnd::Lapsed => "lapsed",
    }
}

/// Removes the cookie of a sign-in that has ended.
pub(crate) fn without_cookie(mode: CookieMode, mut response: Response) -> Response {
    if let Some(cookie) = mode.clear() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
