//! `/sign-in` and `/sign-out`.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use roots_domain::model::sign_in::{SignInEnd, Stay};
use roots_http_core::auth::client_context::ClientContext;
use roots_http_core::auth::cookie::{CookieMode, browser_label};
use roots_http_core::auth::page_bearer::{NotSignedIn, SignOutBearer, typed_key};
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::fields::{InvalidNoted, one_of};
use roots_http_core::request::query::{FromParams, Params, Query};
use secrecy::SecretString;

use crate::answer::{html, see_other};
use crate::app::App;
use crate::form::{self, Sent, Typed, again};
use crate::layout;
use crate::look::Look;
use crate::query::optional;
use crate::query::own_path;
use crate::viewer::{SIGN_IN_PATH, why_name, without_cookie};

const ENDS: [SignInEnd; 3] = [SignInEnd::KeyRotated, SignInEnd::KeyEnded, SignInEnd::Lapsed];

/// Where to go after signing in, and why one has to.
pub(crate) struct SignInQuery {
    next: Option<String>,
    why: Option<SignInEnd>,
}

impl FromParams for SignInQuery {
    fn from_params(params: &mut Params) -> Result<Self, InvalidNoted> {
        // A path that leads elsewhere is no error of the person who follows the link.
        let next = optional(params, "next", |text| Ok(own_path(text).map(str::to_owned)));
        let why = optional(params, "why", |text| one_of(&ENDS, why_name, text));
        Ok(Self { next: next?.flatten(), why: why? })
    }
}

/// The form. It costs nothing and so counts as a file does: programs with wrong keys at the same
/// address must not keep people from it.
pub(crate) async fn form(
    State(app): State<App>,
    look: Look,
    Query(SignInQuery { next, why }): Query<SignInQuery>,
    request: Request,
) -> Result<Response, Problem> {
    ClientContext::of(request.extensions())?.count_static()?;
    let mode = mode(&app, &request);
    let said = why.map(|why| html! { p.note { (why) } });
    let filled = Filled { next: next.as_deref(), ..Filled::default() };
    Ok(html(page(&look, mode, &filled, said)))
}

fn mode(app: &App, request: &Request) -> CookieMode {
    app.shared.cookies.mode(request.extensions(), request.uri(), request.headers())
}

/// What stands in the form.
#[derive(Default)]
struct Filled<'a> {
    next: Option<&'a str>,
    stay: bool,
    is_wrong: bool,
}

fn page(look: &Look, mode: CookieMode, filled: &Filled<'_>, said: Option<Markup>) -> Markup {
    layout::bare(
        look,
        "Sign in",
        &html! {
            @if let Some(said) = said { (said) }
            @if mode == CookieMode::Dropped {
                p.fault role="alert" {
                    "This page was opened over plain HTTP from another machine. A key that is typed here \
                     could be read on the way, and browsers drop the cookie, so nobody can sign in."
                }
                p { "Put a proxy with TLS in front and name it in " code { "ROOTS_TRUSTED_PROXIES" }
                    ", or call the server on its own machine, through a tunnel for example: " }
                pre { "ssh -L 8080:localhost:8080 server" }
                p { "In a network that you trust, " code { "ROOTS_DASHBOARD=plain" } " allows it." }
            } @else {
                @if mode == CookieMode::Plain {
                    p.note { "This is plain HTTP: anybody on the way can read what you type and see." }
                }
                form.stack method="post" action=(SIGN_IN_PATH) {
                    @if let Some(next) = filled.next { input type="hidden" name="next" value=(next); }
                    div.field {
                        label for="api_key" { "API key" }
                        input #api_key type="password" name="api_key" required autofocus
                            autocomplete="current-password" spellcheck="false"
                            aria-describedby=[filled.is_wrong.then_some("fault-api_key")];
                        @if filled.is_wrong {
                            p.fault #fault-api_key role="alert" {
                                "This is no valid API key. Type it as it was shown, with its \
                                 beginning."
                            }
                        }
                    }
                    label.check {
                        input type="checkbox" name="stay" value="true" checked[filled.stay];
                        "Stay signed in"
                    }
                    div.buttons { button.primary { "Sign in" } }
                }
                p.muted {
                    "The key is used once, to make a sign-in of its own that ends by itself, when you \
                     sign out, or with the key. The key itself is kept nowhere."
                }
            }
        },
    )
}

/// Signs in, and leads to where one wanted to go. The sign-in that the browser had before ends,
/// also that of another actor: its cookie is overwritten, so nobody could end it there any more. A
/// wrong key shows the form again, sets no cookie and ends nothing.
pub(crate) async fn sign_in(State(app): State<App>, look: Look, request: Request) -> Response {
    let mode = mode(&app, &request);
    if mode == CookieMode::Dropped {
        return again(StatusCode::FORBIDDEN, html(page(&look, mode, &Filled::default(), None)));
    }
    let (mut parts, body) = request.into_parts();
    let typed = match Sent::of_anybody(&parts, body).await {
        Ok(Sent { typed }) => typed,
        Err(response) => return response,
    };
    let next = typed.get("next").and_then(own_path).map(str::to_owned);
    let problem = match attempt(&app, &parts, mode, &typed).await {
        Ok(cookie) => {
            end_former(&app, &mut parts).await;
            let mut response = see_other(next.as_deref().unwrap_or("/"));
            response.headers_mut().append(SET_COOKIE, cookie);
            return response;
        }
        Err(problem) => problem,
    };
    match problem.kind() {
        ProblemKind::Unauthorized => {
            let stay = typed.get("stay").is_some();
            let filled = Filled { next: next.as_deref(), stay, is_wrong: true };
            let page = page(&look, mode, &filled, None);
            again(StatusCode::UNAUTHORIZED, html(page))
        }
        _ => form::failed_for_anybody(problem.into_response(), typed),
    }
}

async fn attempt(
    app: &App,
    parts: &Parts,
    mode: CookieMode,
    typed: &Typed,
) -> Result<axum::http::HeaderValue, Problem> {
    let key = typed.get("api_key").unwrap_or_default().trim();
    let bearer = typed_key(&app.shared, &parts.extensions, SecretString::from(key)).await?;
    let stay = if typed.get("stay").is_some() { Stay::Long } else { Stay::Usual };
    let label = browser_label(&parts.headers);
    let shown = bearer.checked(app.services.sign_ins.sign_in(&bearer, stay, label).await)?;
    mode.set(&shown.browser_key, stay)
        .ok_or_else(|| Problem::internal("the cookie of a sign-in can't be set"))
}

/// Ends the sign-in whose cookie came with the form. The new one stands, whatever becomes of that:
/// the former ends by itself, and the list of sign-ins can end it.
async fn end_former(app: &App, parts: &mut Parts) {
    let Ok(SignOutBearer(former)) = SignOutBearer::from_request_parts(parts, app).await else {
        return;
    };
    let ended = app.services.sign_ins.sign_out(&former).await;
    if let Err(problem) = former.checked(ended) {
        let cause = problem.cause().unwrap_or_default();
        tracing::warn!(cause, "a former sign-in did not end: {}", problem.detail());
    }
}

/// Ends the sign-in and removes its cookie. Signing out twice is no error. It works when the
/// sign-in's allowance is used up, and uses none of it.
pub(crate) async fn sign_out(State(app): State<App>, request: Request) -> Response {
    let mode = mode(&app, &request);
    let (mut parts, _) = request.into_parts();
    match SignOutBearer::from_request_parts(&mut parts, &app).await {
        Ok(SignOutBearer(bearer)) => {
            let ended = app.services.sign_ins.sign_out(&bearer).await;
            if let Err(problem) = bearer.checked(ended) {
                return problem.into_response();
            }
        }
        Err(NotSignedIn::Refused(problem)) => return problem.into_response(),
        Err(NotSignedIn::NoCookie | NotSignedIn::Ended(_)) => {}
    }
    without_cookie(mode, see_other(SIGN_IN_PATH))
}
