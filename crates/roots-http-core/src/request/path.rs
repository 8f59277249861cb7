//! Ids in paths.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use roots_domain::model::id::{AccountId, ActivityId, ActorId, KeyId, SessionId, SignInId, TodoId};
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use crate::problem::Problem;
use crate::schema;

/// The `{id}` of a path. If it is not an id, the answer is 404, as for a missing row.
pub struct Id<T>(pub T);

/// A type of id that paths have.
pub trait PathId: Sized {
    /// The name of what has that id.
    const WHAT: &'static str;

    /// Parses the id.
    fn read(text: &str) -> Option<Self>;
}

macro_rules! path_ids {
    ($($id:ident: $what:literal),+) => {$(
        impl PathId for $id {
            const WHAT: &'static str = $what;

            fn read(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        }
    )+};
}

path_ids!(
    AccountId: "account",
    SessionId: "session",
    TodoId: "todo",
    ActivityId: "activity",
    ActorId: "actor",
    KeyId: "key",
    SignInId: "sign-in"
);

impl<T: PathId, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let given = params.as_ref().ok().and_then(|params| {
            params.iter().find_map(|(name, value)| (name == "id").then_some(value))
        });
        given.and_then(T::read).map(Self).ok_or_else(|| Problem::not_found(T::WHAT))
    }
}

impl<T: PathId> IntoParams for Id<T> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let id = ParameterBuilder::new()
            .name("id")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(format!("The id of the {}.", T::WHAT)))
            .schema(Some(schema::id()))
            .build();
        vec![id]
    }
}
