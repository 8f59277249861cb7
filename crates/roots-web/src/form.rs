//! Forms: reading them, the hidden fields that make their writes safe, and faults at their fields.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use roots_domain::model::etag::EntityTag;
use roots_domain::model::text::LONG_TEXT_MAX_BYTES;
use roots_domain::service::{IdempotentRequest, Preconditions};
use roots_http_core::auth::client_context::ClientContext;
use roots_http_core::middleware::pipeline::{KeptForProblem, OwnBody};
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::fields::{InvalidField, InvalidNoted};
use roots_http_core::request::json::read_whole;
use roots_http_core::request::preconditions::key_in_body;
use roots_http_core::request::query::{Params, pairs_of};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::app::App;
use crate::text;
use crate::viewer::Viewer;

/// The largest form: one of the longest texts, which takes six bytes a byte if it is nothing but
/// line breaks (`%0D%0A`), and 16 KiB for the fields beside it.
const FORM_MAX_BYTES: usize = 6 * LONG_TEXT_MAX_BYTES + 16 * 1024;
/// The largest form that anybody may send without a sign-in: a key, and the path to lead back to.
const OPEN_FORM_MAX_BYTES: usize = 8 * 1024;

/// The field with the tag of the state that the form was made from.
const ETAG: &str = "etag";
/// The field with the idempotency key.
const IDEMPOTENCY_KEY: &str = "idempotency_key";
/// The field that says to whom the form was shown.
const SHOWN_TO: &str = "shown_to";
/// The fields whose content no page repeats.
const SECRETS: [&str; 2] = ["api_key", "recovery_code"];
/// The fields that a page fills in, beside its conditions.
const OF_PAGES: [&str; 3] = ["back", "next", "zone"];

/// Most bytes that the page of an error repeats: one of the longest texts, and the fields beside
/// it.
const REPEATED_MAX_BYTES: usize = LONG_TEXT_MAX_BYTES + 16 * 1024;
/// Most bytes that it repeats to anybody, whether signed in or not.
const REPEATED_TO_ANYBODY_MAX_BYTES: usize = 16 * 1024;
/// What a field takes beside its name and its content.
const FIELD_BYTES: usize = 64;

/// What was typed into a form, to be shown again if it can't be taken.
#[derive(Clone)]
pub(crate) struct Typed {
    /// The path that it was sent to.
    pub(crate) action: String,
    /// The most bytes of it that the page of an error repeats.
    repeated_max_bytes: usize,
    fields: Arc<[(String, Zeroizing<String>)]>,
}

impl Typed {
    /// The content of a field, if it was sent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The fields, to be read one by one.
    pub(crate) fn params(&self) -> Params {
        let plain = |(name, value): &(String, Zeroizing<String>)| (name.clone(), value.to_string());
        let fields = self.fields.iter().filter(|(name, _)| !is_condition(name)).map(plain);
        Params::new("field", fields.collect())
    }

    /// Whether the page of an error may repeat it. Anybody can send a form that becomes many times
    /// as long as a page, so long ones are not repeated.
    fn is_repeated(&self) -> bool {
        let bytes = |(name, value): &(String, Zeroizing<String>)| name.len() + value.len();
        let bytes: usize = self.fields.iter().map(|field| FIELD_BYTES + bytes(field)).sum();
        bytes <= self.repeated_max_bytes
    }

    /// A form that sends the same again. Secrets are to be typed again.
    pub(crate) fn again(&self) -> Markup {
        if !self.is_repeated() {
            return too_long();
        }
        html! {
            form.stack method="post" action=(self.action) {
                @for (name, value) in self.fields.iter() {
                    @if SECRETS.contains(&name.as_str()) {
                        label { span { "Type it again: " (name.replace('_', " ")) }
                            input type="password" name=(name) required autocomplete="off"; }
                    } @else {
                        input type="hidden" name=(name) value=(value.as_str());
                    }
                }
                div.buttons { button.primary { "Try again" } }
            }
        }
    }

    /// What was typed, to be copied from, and the way to the page that it was typed on: for a form
    /// that can't be sent again as it is.
    pub(crate) fn kept(&self, is_gone: bool) -> Markup {
        let is_typed = |(name, value): &&(String, Zeroizing<String>)| {
            let is_of_page = is_condition(name) || OF_PAGES.contains(&name.as_str());
            !is_of_page && !SECRETS.contains(&name.as_str()) && !value.is_empty()
        };
        html! {
            div.stack {
                @if self.is_repeated() {
                    @for (name, value) in self.fields.iter().filter(is_typed) {
                        label.field { span { "You sent: " (name.replace('_', " ")) }
                            textarea readonly rows="2" dir="auto" { "\n" (value.as_str()) } }
                    }
                } @else { (too_long()) }
                div.buttons { a.button.primary href=(page_of(&self.action, is_gone)) {
                    @if is_gone { "To what is left" } @else { "Open the page again" }
                } }
            }
        }
    }

    /// What was asked for, as a digest: where it was sent, and each field but for secrets, which
    /// allow an act and don't describe it.
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let mut add = |part: &str| {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        };
        add(&self.action);
        let is_said = |name: &str| name != IDEMPOTENCY_KEY && !SECRETS.contains(&name);
        for (name, value) in self.fields.iter().filter(|(name, _)| is_said(name)) {
            add(name);
            add(value);
        }
        digest.finalize().into()
    }
}

/// The path of the page that a form stands on: its row's, or that of the list if the row is gone.
fn page_of(action: &str, is_gone: bool) -> String {
    let mut parts = action.split('/').skip(1);
    let list = parts.next().unwrap_or_default();
    let is_id = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.next().filter(is_id) {
        Some(id) if !is_gone => format!("/{list}/{id}"),
        _ => format!("/{list}"),
    }
}

fn too_long() -> Markup {
    html! {
        p { "What you sent is too long to be shown again here. Go back in your browser: it may still "
            "stand there." }
    }
}

fn is_condition(name: &str) -> bool {
    matches!(name, ETAG | IDEMPOTENCY_KEY | SHOWN_TO)
}

/// A form that a viewer sent.
pub(crate) struct Posted {
    /// The sender.
    pub(crate) viewer: Viewer,
    /// What was typed.
    pub(crate) typed: Typed,
}

impl Posted {
    /// The conditions of a write that makes a row.
    ///
    /// # Errors
    /// As [`Self::idempotent`].
    pub(crate) fn preconditions(&self) -> Result<Preconditions, Problem> {
        let idempotent = Some(self.idempotent()?);
        Ok(Preconditions { if_match: None, idempotent, claim_token: None })
    }

    /// The form as a request that is done once, however often it is sent. Its idempotency key is
    /// the form's together with what was typed. So a double click is one request, and a form that
    /// was edited and sent again, also after "back", is another.
    ///
    /// # Errors
    /// 400: its idempotency key is missing or malformed.
    pub(crate) fn idempotent(&self) -> Result<IdempotentRequest, Problem> {
        let key = self.typed.get(IDEMPOTENCY_KEY).unwrap_or_default();
        let key = key_in_body(key.to_owned()).map_err(|_| incomplete())?;
        let digest = self.typed.digest();
        let key = digest.iter().fold(key, |key, byte| key + &format!("{byte:02x}"));
        Ok(IdempotentRequest { key, request: digest.to_vec() })
    }

    /// The conditions of a write that changes a row: it must be in the state that the form showed.
    ///
    /// # Errors
    /// 400: the form lacks its key or the tag of that state.
    pub(crate) fn preconditions_of_row(&self) -> Result<Preconditions, Problem> {
        let tag = self.tag().ok_or_else(incomplete)?;
        Ok(Preconditions { if_match: Some(vec![tag]), ..self.preconditions()? })
    }

    /// The tag of the state that the form was made from.
    pub(crate) fn tag(&self) -> Option<EntityTag> {
        EntityTag::parse(self.typed.get(ETAG)?)
    }

    /// A problem that the form can't show: its page has a button that sends the form again.
    pub(crate) fn fail(self, problem: Problem) -> Response {
        failed(problem.into_response(), self.typed)
    }
}

/// A browser has one sign-in at a time, and tabs that were opened by the one before. What their
/// forms say is not meant by whom the browser is signed in as now.
fn check_shown_to(viewer: &Viewer, typed: &Typed) -> Result<(), Problem> {
    let shown_to = typed.get(SHOWN_TO).ok_or_else(incomplete)?;
    if shown_to == viewer.mark() {
        return Ok(());
    }
    let name = text::isolated(viewer.bearer.actor.name.as_str());
    Err(Problem::new(
        ProblemKind::Conflict,
        format!(
            "This form was shown to somebody else, so nothing was done. Another key has signed in \
             in this browser meanwhile: you are now {name}."
        ),
    ))
}

fn incomplete() -> Problem {
    Problem::bad_request("The form is incomplete, so nothing was done: open the page again.")
}

impl FromRequest<App> for Posted {
    type Rejection = Response;

    /// The sender is admitted before the body is read. The body of a sender who is refused is read
    /// all the same, so that nothing typed is lost, but only while the client's address may send
    /// requests without a sign-in: reading and repeating a form costs more than refusing it.
    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let refused = match Viewer::from_request_parts(&mut parts, app).await {
            Ok(viewer) => {
                let Sent { typed } = Sent::of(&parts, body, FORM_MAX_BYTES).await?;
                return match check_shown_to(&viewer, &typed) {
                    Ok(()) => Ok(Self { viewer, typed }),
                    Err(problem) => Err(failed(problem.into_response(), typed)),
                };
            }
            Err(refused) => refused,
        };
        let counted =
            ClientContext::of(&parts.extensions).and_then(ClientContext::count_by_address_at_least);
        if counted.is_err() {
            return Err(refused);
        }
        match Sent::of(&parts, body, FORM_MAX_BYTES).await {
            Ok(Sent { typed }) => Err(failed_for_anybody(refused, typed)),
            Err(_) => Err(refused),
        }
    }
}

/// A form.
pub(crate) struct Sent {
    /// What was typed.
    pub(crate) typed: Typed,
}

impl Sent {
    /// Reads a form that anybody sent.
    ///
    /// # Errors
    /// It is too large, does not arrive or is no form.
    pub(crate) async fn of_anybody(parts: &Parts, body: Body) -> Result<Self, Response> {
        Self::of(parts, body, OPEN_FORM_MAX_BYTES).await
    }

    async fn of(parts: &Parts, body: Body, most: usize) -> Result<Self, Response> {
        let bytes = read_whole(parts, body, most).await.map_err(IntoResponse::into_response)?;
        let malformed =
            || Problem::bad_request("The body must be a form in UTF-8.").into_response();
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
        let fields = pairs_of(text).ok_or_else(malformed)?;
        let action = parts.uri.path().to_owned();
        // A browser sends line breaks as CR LF.
        let plain = |(name, value): (String, String)| {
            (name, Zeroizing::new(Zeroizing::new(value).replace("\r\n", "\n")))
        };
        let fields = fields.into_iter().map(plain).collect();
        let typed = Typed { action, repeated_max_bytes: REPEATED_MAX_BYTES, fields };
        KeptForProblem::keep(&parts.extensions, typed.clone());
        Ok(Self { typed })
    }
}

impl<S: Sync> FromRequest<S> for Sent {
    type Rejection = Response;

    /// As [`Self::of_anybody`].
    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        Self::of_anybody(&parts, body).await
    }
}

/// The answer to a form that failed, with what was typed for the page of the error.
pub(crate) fn failed(mut response: Response, typed: Typed) -> Response {
    response.extensions_mut().insert(typed);
    response
}

/// The same for a sender who is perhaps not signed in: less of it is repeated.
pub(crate) fn failed_for_anybody(response: Response, typed: Typed) -> Response {
    failed(response, Typed { repeated_max_bytes: REPEATED_TO_ANYBODY_MAX_BYTES, ..typed })
}

/// The hidden field that every form of a viewer has: done for somebody else, it is refused.
pub(crate) fn shown_to(viewer: &Viewer) -> Markup {
    html! { input type="hidden" name=(SHOWN_TO) value=(viewer.mark()); }
}

/// The hidden fields of a form that is done once: to whom it is shown, a new idempotency key, and
/// the tag of the state that it is made from, if it changes a row.
pub(crate) fn hidden(app: &App, viewer: &Viewer, tag: Option<EntityTag>) -> Markup {
    html! {
        (shown_to(viewer))
        input type="hidden" name=(IDEMPOTENCY_KEY) value=(app.services.uids.next());
        @if let Some(tag) = tag { input type="hidden" name=(ETAG) value=(tag); }
    }
}

/// A form that is shown again with its fault, as the answer of this status.
pub(crate) fn again(status: StatusCode, mut page: Response) -> Response {
    *page.status_mut() = status;
    // The page shows the fault itself.
    page.extensions_mut().insert(OwnBody);
    page
}

/// A labelled control, and its fault.
pub(crate) fn field(faults: &Faults, name: &str, label: &str, control: &Markup) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            (control)
            (faults.at(name))
        }
    }
}

/// The faults of a form.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    fields: Vec<InvalidField>,
    whole: Option<String>,
}

impl Faults {
    /// The faults that a form can show itself; anything else is for a page of its own.
    ///
    /// # Errors
    /// The problem, if it is none of the form.
    pub(crate) fn of(problem: Problem, names: &[&str]) -> Result<Self, Problem> {
        match problem.kind() {
            ProblemKind::InvalidBody
                if problem.errors().iter().all(|it| names.contains(&it.field.as_str())) =>
            {
                Ok(Self { fields: problem.errors().to_vec(), whole: None })
            }
            ProblemKind::InvalidBody
            | ProblemKind::InsufficientCredits
            | ProblemKind::Suspended
            | ProblemKind::OwnerOnly
            | ProblemKind::Conflict => {
                Ok(Self { fields: Vec::new(), whole: Some(problem.detail().to_owned()) })
            }
            _ => Err(problem),
        }
    }

    /// The fault of the form as a whole.
    pub(crate) fn above(&self) -> Markup {
        html! { @if let Some(text) = &self.whole { p.fault role="alert" { (text) } } }
    }

    /// Whether a field has one.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|fault| fault.field == name)
    }

    /// The faults of a field. The control names them with `aria-describedby`: `fault-` and its
    /// name.
    pub(crate) fn at(&self, name: &str) -> Markup {
        html! {
            @if self.has(name) {
                p.fault id={ "fault-" (name) } {
                    @for fault in self.fields.iter().filter(|fault| fault.field == name) {
                        (sentence(&fault.message)) " "
                    }
                }
            }
        }
    }

    /// The value of `aria-describedby` of a field with a fault.
    pub(crate) fn described(&self, name: &str) -> Option<String> {
        self.has(name).then(|| format!("fault-{name}"))
    }
}

/// The message of a fault continues a sentence that begins with the field's name, or is one.
fn sentence(message: &str) -> String {
    if message.ends_with('.') { message.to_owned() } else { format!("This {message}.") }
}

/// Reads a form's fields with `from`: all of them, even after one was invalid.
///
/// # Errors
/// 422 that lists every fault.
pub(crate) fn read<T>(
    typed: &Typed,
    from: impl FnOnce(&mut Params) -> Result<T, InvalidNoted>,
) -> Result<T, Problem> {
    let mut params = typed.params();
    let read = from(&mut params);
    let errors = params.finish();
    match read {
        Ok(read) if errors.is_empty() => Ok(read),
        _ => Err(Problem::invalid_body(errors)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use axum::Router;
    use axum::body::to_bytes;
    use axum::http::Method;
    use axum::routing::post;
    use roots_domain::model::id::Uid;
    use roots_domain::port::clock::MockUids;
    use roots_http_core::middleware::route_traits::RouteTraits;
    use roots_http_core::settings::HttpSettings;
    use roots_http_core::surface::{Surface, router};
    use tower::ServiceExt;

    use super::*;
    use crate::problem_page;

    /// The page of the error of a handler that reads a form and then does `then`.
    async fn page_of_error<F>(then: fn() -> F) -> (StatusCode, String)
    where
        F: Future<Output = StatusCode> + Send + 'static,
    {
        let handler = post(move |_: Sent| then());
        let methods = vec![Method::POST];
        let write_problem = Some(problem_page::write as _);
        let traits = RouteTraits { methods, write_problem, ..RouteTraits::default() };
        let surface = Surface {
            routes: Router::new().route("/todos", handler),
            traits: HashMap::from([("/todos".to_owned(), traits)]),
            no_such_page: None,
        };
        let mut uids = MockUids::new();
        uids.expect_next().returning(|| Uid::NIL);
        let pages = router([surface], &HttpSettings::default(), Arc::new(uids));
        let request = Request::post("/todos").body(Body::from("title=Kept+%26+shown")).unwrap();
        let response = pages.oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.into()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_form_that_takes_too_long_or_panics_loses_nothing_typed() {
        let panics = || async { std::hint::black_box(None::<StatusCode>).unwrap() };
        for (status, page) in
            [page_of_error(std::future::pending).await, page_of_error(panics).await]
        {
            assert!(status.is_server_error(), "{status}");
            assert!(page.contains(r#"name="title" value="Kept &amp; shown""#), "{page}");
        }
    }

    /// The page of an error of a form, if its sender is known and if not.
    fn repeated(fields: &[(&str, &str)]) -> [String; 2] {
        let typed = typed("/todos", fields);
        [failed, failed_for_anybody].map(|failed| {
            let response = failed(StatusCode::OK.into_response(), typed.clone());
            let typed = response.extensions().get::<Typed>().unwrap();
            let [again, kept] = [typed.again(), typed.kept(false)].map(Markup::into_string);
            assert_eq!(again.contains("Go back"), kept.contains("Go back"));
            again
        })
    }

    #[test]
    fn no_more_is_repeated_than_a_form_may_have() {
        let (title, longest) = ("x".repeat(2_000), "\"".repeat(LONG_TEXT_MAX_BYTES));
        let key = "0".repeat(36);
        let todo = |text| [("idempotency_key", &*key), ("title", &*title), ("description", text)];
        let [known, anybody] = repeated(&todo(&longest));
        assert!(known.contains(&"&quot;".repeat(LONG_TEXT_MAX_BYTES)));
        assert!(anybody.len() < 1_000 && anybody.contains("Go back"), "{}", anybody.len());
        let [known, anybody] = repeated(&todo("short"));
        assert!(known.contains("short") && known == anybody);
        let too_long = format!("{longest}{}", "x".repeat(20_000));
        let many = vec![("\"", "\""); 100_000];
        for fields in [&todo(&too_long)[..], &many] {
            let both = repeated(fields).map(|page| page.len() < 1_000 && page.contains("Go back"));
            assert_eq!(both, [true, true]);
        }
    }

    fn typed(action: &str, fields: &[(&str, &str)]) -> Typed {
        let field = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), Zeroizing::new((*value).to_owned()))
        };
        let (action, repeated_max_bytes) = (action.to_owned(), REPEATED_MAX_BYTES);
        Typed { action, repeated_max_bytes, fields: fields.iter().map(field).collect() }
    }

    #[test]
    fn what_is_sent_again_repeats_no_secret() {
        let typed = typed("/todos", &[("title", "a\"<b>"), ("api_key", "roots_1_secret")]);
        let again = typed.again().into_string();
        assert!(again.contains("value=\"a&quot;&lt;b&gt;\""), "{again}");
        assert!(again.contains("type=\"password\" name=\"api_key\"") && !again.contains("secret"));
        let kept = typed.kept(false).into_string();
        assert!(kept.contains("a&quot;&lt;b&gt;</textarea>") && !kept.contains("secret"), "{kept}");
    }

    #[test]
    fn what_can_not_be_sent_again_leads_to_the_page_of_its_row_or_its_list() {
        for (action, page, list) in [
            ("/todos/7/status", "/todos/7", "/todos"),
            ("/todos/7", "/todos/7", "/todos"),
            ("/todos", "/todos", "/todos"),
            ("/access/keys/3/revoke", "/access", "/access"),
            ("/sessions/1/end", "/sessions/1", "/sessions"),
        ] {
            assert_eq!((&*page_of(action, false), &*page_of(action, true)), (page, list));
        }
    }

    #[test]
    fn a_digest_tells_apart_what_is_said_and_not_how_it_is_allowed() {
        let of = |fields: &[(&str, &str)]| typed("/todos", fields).digest();
        let said = of(&[("title", "a"), ("note", "b")]);
        assert_eq!(said, of(&[("idempotency_key", "k"), ("title", "a"), ("note", "b")]));
        assert_eq!(said, of(&[("title", "a"), ("api_key", "x"), ("note", "b")]));
        assert_ne!(said, of(&[("title", "an"), ("ote", "b")]));
        assert_ne!(said, of(&[("title", "a"), ("note", "b"), ("etag", "x-1")]));
        assert_ne!(said, typed("/todos/1", &[("title", "a"), ("note", "b")]).digest());
    }
}
