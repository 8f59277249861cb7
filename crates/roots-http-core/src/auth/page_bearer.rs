//! Authentication of pages: the browser key in a cookie, and API keys that are typed into a form.

use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::Extensions;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use roots_domain::command::Refusal;
use roots_domain::model::sign_in::SignInEnd;
use roots_domain::port::crypto::PresentedKey;
use roots_domain::service::ReadError;
use secrecy::SecretString;

use super::authenticate::{Bearer, NotAdmitted};
use super::client_context::ClientContext;
use crate::problem::Problem;
use crate::state::SharedState;

/// The bearer of a browser key in force. The request counts against the allowance of its sign-in,
/// not against those of its actor and its account, and as a use of the sign-in.
///
/// Browser keys are not remembered: each request looks its key up. So a sign-in that has ended is
/// shut with the next request, in every process, without making any API key cold.
#[derive(Clone)]
pub struct PageBearer(pub Bearer);

/// The same for a request that no person made: a live refresh, or a stream. It is no use of the
/// sign-in, which ends although its page stays open.
#[derive(Clone)]
pub struct LivePageBearer(pub PageBearer);

/// The bearer of a browser key in force that signs out. That counts as nothing: a sign-in ends once,
/// and a person who has used up the allowance, or whose browser has, can still leave.
pub struct SignOutBearer(pub Bearer);

impl Deref for PageBearer {
    type Target = Bearer;

    fn deref(&self) -> &Bearer {
        &self.0
    }
}

impl Deref for LivePageBearer {
    type Target = PageBearer;

    fn deref(&self) -> &PageBearer {
        &self.0
    }
}

/// Why a request to a page has no bearer.
#[derive(Debug)]
pub enum NotSignedIn {
    /// It has no cookie.
    NoCookie,
    /// The browser key in its cookie is not in force, and why, if that is known.
    Ended(Option<SignInEnd>),
    /// It could not be told, or a limit is reached.
    Refused(Problem),
}

impl From<Problem> for NotSignedIn {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

/// As a problem, for what is no page.
impl IntoResponse for NotSignedIn {
    fn into_response(self) -> Response {
        let problem = match self {
            Self::NoCookie => Problem::unauthorized("You are not signed in.", false),
            Self::Ended(Some(end)) => Refusal::SignInEnded(end).into(),
            Self::Ended(None) => Problem::unauthorized("Your sign-in has ended.", true),
            Self::Refused(problem) => problem,
        };
        problem.into_response()
    }
}

impl From<NotAdmitted> for NotSignedIn {
    fn from(error: NotAdmitted) -> Self {
        match error {
            NotAdmitted::Limited(problem) => Self::Refused(problem),
            NotAdmitted::Refused(ReadError::Refused(Refusal::SignInEnded(end))) => {
                Self::Ended(Some(end))
            }
            NotAdmitted::Refused(ReadError::Refused(Refusal::KeyNotInForce)) => Self::Ended(None),
            NotAdmitted::Refused(error) => Self::Refused(error.into()),
        }
    }
}

/// Reads the cookie of a request and admits its bearer. What is wrong counts by address.
///
/// A key that was valid lately counts before it is looked up, so that a request beyond the allowance
/// costs no statement. Any other is counted by address until it is found valid.
async fn signed_in(parts: &mut Parts, state: SharedState) -> Result<PageBearer, NotSignedIn> {
    let (client, key) = browser_key(parts, &state)?;
    let lookup = key.lookup;
    let was_good = state.callers.was_good(&lookup);
    if was_good {
        client.count_of_sign_in(lookup)?;
    }
    let bearer = Bearer::admit(key, client.clone(), state).await?;
    if !was_good {
        client.count_of_sign_in(lookup)?;
    }
    Ok(PageBearer(bearer))
}

/// The client of a request, and the browser key in its cookie. A request without one counts by
/// address.
fn browser_key(
    parts: &mut Parts,
    state: &SharedState,
) -> Result<(ClientContext, PresentedKey), NotSignedIn> {
    let client = ClientContext::of(&parts.extensions)?.clone();
    let mode = state.cookies.mode(&parts.extensions, &parts.uri, &parts.headers);
    let Some(text) = mode.take(&mut parts.headers) else {
        // What is only read is answered with the way to sign in, which costs nothing.
        let is_read = parts.method.is_safe();
        if is_read { client.count_static() } else { client.count_unauthenticated() }?;
        return Err(NotSignedIn::NoCookie);
    };
    let Ok(key) = state.access.parse_browser_key(&text) else {
        client.count_unauthenticated()?;
        return Err(NotSignedIn::Ended(None));
    };
    Ok((client, key))
}

impl<S: Send + Sync> FromRequestParts<S> for PageBearer
where
    SharedState: FromRef<S>,
{
    type Rejection = NotSignedIn;

    async fn from_request_parts(parts: &mut Parts, from: &S) -> Result<Self, NotSignedIn> {
        let bearer = signed_in(parts, SharedState::from_ref(from)).await?;
        bearer.note_use();
        Ok(bearer)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for LivePageBearer
where
    SharedState: FromRef<S>,
{
    type Rejection = NotSignedIn;

    async fn from_request_parts(parts: &mut Parts, from: &S) -> Result<Self, NotSignedIn> {
        signed_in(parts, SharedState::from_ref(from)).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignOutBearer
where
    SharedState: FromRef<S>,
{
    type Rejection = NotSignedIn;

    async fn from_request_parts(parts: &mut Parts, from: &S) -> Result<Self, NotSignedIn> {
        let state = SharedState::from_ref(from);
        let (client, key) = browser_key(parts, &state)?;
        Ok(Self(Bearer::admit(key, client, state).await?))
    }
}

impl PageBearer {
    /// Admits a further part of a long answer: looks up whether the sign-in is still in force, and
    /// counts as one more request.
    ///
    /// # Errors
    /// 401 if the sign-in has ended; 429 if it has reached its limit.
    pub async fn admit_again(&self) -> Result<(), Problem> {
        self.0.count_of_sign_in_again()?;
        self.0.check_again().await
    }

    /// Authorizes one act by an API key of the same actor that was typed for it. The returned
    /// bearer does the act, which is then recorded as that key's. Counts as a change of keys.
    ///
    /// # Errors
    /// 401 for a wrong key, which counts by address, and for a key of another actor; 429 if a limit
    /// is reached.
    pub async fn authorize(&self, text: SecretString) -> Result<Bearer, Problem> {
        let typed = self.0.typed(text).await?;
        self.check_same_actor(&typed).map_err(ReadError::from)?;
        typed.count_noted()?;
        Ok(typed)
    }
}

/// The bearer of an API key that was typed to sign in with. It counts against the limit on the
/// sign-ins of its actor, and against no other if the key is right: looking throttles no agent.
///
/// # Errors
/// 401 for a wrong key, which counts by address; 429 if a limit is reached.
pub async fn typed_key(
    state: &SharedState,
    extensions: &Extensions,
    text: SecretString,
) -> Result<Bearer, Problem> {
    let client = ClientContext::of(extensions)?.clone();
    let bearer = Bearer::of_text(text, client.clone(), SharedState::clone(state)).await?;
    client.count_sign_in(&bearer)?;
    Ok(bearer)
}
