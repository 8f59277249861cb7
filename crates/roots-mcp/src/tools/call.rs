//! A call of a tool, and its answer.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::MatchedPath;
use roots_domain::model::Invalid;
use roots_domain::service::{IdempotentRequest, Preconditions, Services, WriteError, Written};
use roots_http_core::auth::authenticate::Bearer;
use roots_http_core::middleware::list_permits::Room;
use roots_http_core::problem::Problem;
use roots_http_core::request::fields::InvalidNoted;
use roots_http_core::request::json::{FromMembers, Members, text, validate};
use roots_http_core::request::pagination::{Cursor, RequestedPage};
use roots_http_core::request::preconditions::key_in_body;
use roots_http_core::state::SharedState;
use serde::Serialize;
use serde_json::Value;

use crate::documents::Credited;

/// A call of a tool.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) services: Arc<Services>,
    pub(crate) shared: SharedState,
    pub(crate) bearer: Bearer,
    /// The route, which a cursor belongs to.
    pub(crate) path: MatchedPath,
    /// The arguments as JSON; empty without any.
    pub(crate) arguments: Bytes,
}

/// The answer to a call.
pub(crate) struct Answer {
    /// An object as JSON.
    pub(crate) document: String,
    /// What is reserved for it until it is sent.
    pub(crate) room: Room,
}

impl Call {
    /// Reads the arguments.
    ///
    /// # Errors
    /// Lists every error.
    pub(super) fn read<T: FromMembers>(&self) -> Result<T, Problem> {
        validate(&self.arguments)
    }

    /// The preconditions of a write. The same key with other arguments or another tool is another
    /// request; the order of members and blanks between them make no difference.
    pub(super) fn preconditions(&self, tool: &str, request_id: Option<String>) -> Preconditions {
        let idempotent =
            request_id.map(|key| IdempotentRequest { key, request: self.fingerprint(tool) });
        Preconditions { idempotent, ..Preconditions::default() }
    }

    fn fingerprint(&self, tool: &str) -> Vec<u8> {
        // They were read before, so they are JSON.
        let mut arguments: Value = serde_json::from_slice(&self.arguments).unwrap_or_default();
        arguments.sort_all_objects();
        format!("mcp {tool}\n{arguments}").into_bytes()
    }

    /// The page of a list that starts at a cursor. A cursor belongs to a tool and to all its
    /// arguments but the limits.
    pub(super) fn page(
        &self,
        tool: &str,
        filters: &[(&str, Option<String>)],
        cursor: Option<Cursor>,
    ) -> RequestedPage {
        let tool = ("tool".to_owned(), tool.to_owned());
        let given =
            |(name, value): &(&str, Option<String>)| Some(((*name).to_owned(), value.clone()?));
        let filters = filters.iter().filter_map(given).chain([tool]).collect();
        RequestedPage::of_body(self.path.clone(), filters, cursor)
    }

    /// The answer to a read. It costs nothing, and tells the balance.
    ///
    /// # Errors
    /// The balance can't be read.
    pub(super) async fn answer(
        mut self,
        document: impl Serialize,
        room: Room,
    ) -> Result<Answer, Problem> {
        let accounts = &self.services.accounts;
        let balance =
            self.bearer.read(|caller| async move { accounts.balance(&caller).await }).await?;
        let document = Credited { document, cost: 0, credits_left: balance, replayed: false };
        Ok(Answer { document: json(&document)?, room })
    }

    /// The answer to a write.
    ///
    /// # Errors
    /// What the write failed with.
    pub(super) fn settle<T, D: Serialize>(
        &self,
        outcome: Result<Written<T>, WriteError>,
        document: impl FnOnce(T) -> D,
    ) -> Result<Answer, Problem> {
        let Written { value, cost, balance, is_replay } = self.bearer.checked(outcome)?;
        let document = document(value);
        let document = Credited { document, cost, credits_left: balance, replayed: is_replay };
        Ok(Answer { document: json(&document)?, room: Room::default() })
    }
}

/// Reads the idempotency key of a write.
///
/// # Errors
/// It has another form.
pub(super) fn request_id(members: &mut Members) -> Result<Option<String>, InvalidNoted> {
    members.optional("request_id", text(key_in_body))
}

/// Reads a name that is one of several, for an array or a member.
pub(super) fn name<T: Copy>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl Fn(String) -> Result<T, Invalid> {
    move |given| roots_http_core::request::fields::one_of(all, name, &given)
}

fn json(document: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(document).map_err(|error| Problem::internal(error.to_string()))
}
