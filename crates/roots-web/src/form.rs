//! Forms: reading them, the hidden fields that make their writes safe, and faults at their fields.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use roots_domain::model::etag::EntityTag;
use roots_domain::model::text::LONG_TEXT_MAX_BYTES;
use roots_domain::service::{IdempotentRequest, Preconditions};
use roots_http_core::middleware::pipeline::OwnBody;
use roots_http_core::problem::{Problem, ProblemKind};
use roots_http_core::request::fields::{InvalidField, InvalidNoted};
use roots_http_core::request::json::read_whole;
use roots_http_core::request::preconditions::key_in_body;
use roots_http_core::request::query::{Params, pairs_of};
use zeroize::Zeroizing;

use crate::app::App;
use crate::viewer::Viewer;

/// The field with the tag of the state that the form was made from.
const ETAG: &str = "etag";
/// The field with the idempotency key.
const IDEMPOTENCY_KEY: &str = "idempotency_key";
/// The fields whose content no page repeats.
const SECRETS: [&str; 2] = ["api_key", "recovery_code"];

/// Most bytes that the page of an error repeats: one of the longest texts, and the fields beside
/// it.
const REPEATED_MAX_BYTES: usize = LONG_TEXT_MAX_BYTES + 16 * 1024;
/// Most bytes that it repeats to anybody, whether signed in or not.
const REPEATED_TO_ANYBODY_MAX_BYTES: usize = 16 * 1024;
/// Longest path to lead back to.
const OWN_PATH_MAX_BYTES: usize = 2_048;
/// What a field takes beside its name and its content.
const FIELD_BYTES: usize = 64;

/// What was typed into a form, to be shown again if it can't be taken.
#[derive(Clone)]
pub(crate) struct Typed {
    /// The path that it was sent to.
    pub(crate) action: String,
    /// The most bytes of it that the page of an error repeats.
    repeated_max_bytes: usize,
    fields: Vec<(String, Zeroizing<String>)>,
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
    pub(crate) fn is_repeated(&self) -> bool {
        let bytes = |(name, value): &(String, Zeroizing<String>)| name.len() + value.len();
        let bytes: usize = self.fields.iter().map(|field| FIELD_BYTES + bytes(field)).sum();
        bytes <= self.repeated_max_bytes
    }

    /// A form that sends the same again. Secrets are to be typed again.
    pub(crate) fn again(&self) -> Markup {
        if !self.is_repeated() {
            return html! { p { "It is too long to be shown again here. Go back in your browser: what you \
            typed may still stand there." } };
        }
        html! {
            form.stack method="post" action=(self.action) {
                @for (name, value) in &self.fields {
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
}

fn is_condition(name: &str) -> bool {
    matches!(name, ETAG | IDEMPOTENCY_KEY)
}

/// A form that a viewer sent.
pub(crate) struct Posted {
    /// The sender.
    pub(crate) viewer: Viewer,
    /// What was typed.
    pub(crate) typed: Typed,
    /// The identity of the request, for idempotency.
    request: Vec<u8>,
}

impl Posted {
    /// The conditions that its hidden fields state.
    ///
    /// # Errors
    /// 400: one of them is malformed.
    pub(crate) fn preconditions(&self) -> Result<Preconditions, Problem> {
        let malformed = || Problem::bad_request("The form is incomplete: open its page again.");
        let tag = |text: &str| EntityTag::parse(text).ok_or_else(malformed);
        let if_match = self.typed.get(ETAG).map(tag).transpose()?.map(|tag| vec![tag]);
        let key = self.typed.get(IDEMPOTENCY_KEY).ok_or_else(malformed)?;
        let key = key_in_body(key.to_owned()).map_err(|_| malformed())?;
        let idempotent = Some(IdempotentRequest { key, request: self.request.clone() });
        Ok(Preconditions { if_match, idempotent, claim_token: None })
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

impl FromRequest<App> for Posted {
    type Rejection = Response;

    /// The body comes first, so that whatever is refused then loses nothing typed.
    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Sent { typed, request } = Sent::of(&parts, body).await?;
        match Viewer::from_request_parts(&mut parts, app).await {
            Ok(viewer) => Ok(Self { viewer, typed, request }),
            Err(refused) => Err(failed_for_anybody(refused, typed)),
        }
    }
}

/// A form that anybody sent.
pub(crate) struct Sent {
    /// What was typed.
    pub(crate) typed: Typed,
    request: Vec<u8>,
}

impl Sent {
    /// Reads a form.
    ///
    /// # Errors
    /// It is too large, does not arrive or is no form.
    pub(crate) async fn of(parts: &Parts, body: Body) -> Result<Self, Response> {
        let bytes = read_whole(parts, body).await.map_err(IntoResponse::into_response)?;
        let malformed =
            || Problem::bad_request("The body must be a form in UTF-8.").into_response();
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
        let fields = pairs_of(text).ok_or_else(malformed)?;
        let action = parts.uri.path().to_owned();
        let request = [b"POST\n", action.as_bytes(), b"\n", &bytes].concat();
        // A browser sends line breaks as CR LF.
        let plain = |(name, value): (String, String)| {
            (name, Zeroizing::new(Zeroizing::new(value).replace("\r\n", "\n")))
        };
        let fields = fields.into_iter().map(plain).collect();
        let typed = Typed { action, repeated_max_bytes: REPEATED_MAX_BYTES, fields };
        Ok(Self { typed, request })
    }
}

impl<S: Sync> FromRequest<S> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        Self::of(&parts, body).await
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

/// The hidden fields of a form: a new idempotency key, and the tag of the state that it is made
/// from, if it changes a row.
pub(crate) fn hidden(app: &App, tag: Option<EntityTag>) -> Markup {
    html! {
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

/// A path of this server that a form or a link brings to lead back to. Anything that a browser
/// could take for another server's is none, nor is what is longer than any path of ours: a page
/// repeats it.
pub(crate) fn own_path(text: &str) -> Option<&str> {
    let is_own = text.len() <= OWN_PATH_MAX_BYTES
        && text.starts_with('/')
        && !text.starts_with("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_own.then_some(text)
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

/// The message of a fault continues a sentence that begins with the field's name.
fn sentence(message: &str) -> String {
    format!("This {message}.")
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
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_led_back_to() {
        for own in ["/", "/todos", "/todos?status=open&agent=1", "/todos/7#x"] {
            assert_eq!(own_path(own), Some(own));
        }
        for other in [
            "",
            "todos",
            "//evil.example",
            "/\\evil.example",
            "\\/evil",
            "https://evil.example",
            "javascript:alert(1)",
            "/a b",
            "/a\nb",
            "/a\tb",
            "/\u{e9}",
        ] {
            assert_eq!(own_path(other), None, "{other:?}");
        }
        let longest = format!("/{}", "\"".repeat(OWN_PATH_MAX_BYTES - 1));
        assert_eq!(own_path(&longest), Some(&*longest));
        assert_eq!(own_path(&(longest + "x")), None);
    }

    /// The page of an error of a form, if its sender is known and if not.
    fn repeated(fields: &[(&str, &str)]) -> [String; 2] {
        let field = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), Zeroizing::new((*value).to_owned()))
        };
        let typed = Typed {
            action: "/todos".to_owned(),
            repeated_max_bytes: REPEATED_MAX_BYTES,
            fields: fields.iter().map(field).collect(),
        };
        [failed, failed_for_anybody].map(|failed| {
            let response = failed(StatusCode::OK.into_response(), typed.clone());
            response.extensions().get::<Typed>().unwrap().again().into_string()
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

    #[test]
    fn what_is_sent_again_repeats_no_secret() {
        let field = |name: &str, value: &str| (name.to_owned(), Zeroizing::new(value.to_owned()));
        let fields = vec![field("title", "a\"<b>"), field("api_key", "roots_1_secret")];
        let (action, repeated_max_bytes) = ("/todos".to_owned(), REPEATED_MAX_BYTES);
        let again = Typed { action, repeated_max_bytes, fields }.again().into_string();
        assert!(again.contains("value=\"a&quot;&lt;b&gt;\""), "{again}");
        assert!(again.contains("type=\"password\" name=\"api_key\"") && !again.contains("secret"));
    }
}
