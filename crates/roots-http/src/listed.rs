//! Rows with what only lists show of them.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A row with more fields, as one flat JSON object. `M` names and describes that object.
#[derive(Serialize)]
pub(crate) struct Listed<R, M> {
    #[serde(flatten)]
    pub(crate) row: R,
    #[serde(flatten)]
    pub(crate) more: M,
}

impl<R: PartialSchema, M: PartialSchema> PartialSchema for Listed<R, M> {
    /// One object: client generators read `allOf` in different ways.
    fn schema() -> RefOr<Schema> {
        let (row, more) = (R::schema(), M::schema());
        let RefOr::T(Schema::Object(mut listed)) = row else { return more };
        let RefOr::T(Schema::Object(more)) = more else { return more };
        listed.description = more.description;
        listed.required.extend(more.required);
        listed.properties.extend(more.properties);
        Schema::Object(listed).into()
    }
}

impl<R: ToSchema, M: ToSchema> ToSchema for Listed<R, M> {
    fn name() -> Cow<'static, str> {
        M::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        R::schemas(schemas);
        M::schemas(schemas);
    }
}
