//! The service itself. Nothing here needs a key.

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{Health, Ready};
use crate::operation::Operation;
use crate::request::Read;

impl Client {
    /// Whether the process serves requests, and its version.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn health(&self) -> Result<Health, Error> {
        self.send(&Call::new(Operation::Health)).await?.json()
    }

    /// Whether the database answers and can be written to. If it does not, this is tried again as
    /// any request is: a probe sets [`retry_within`](crate::ClientBuilder::retry_within) to zero.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn ready(&self) -> Result<Ready, Error> {
        self.send(&Call::new(Operation::Ready)).await?.json()
    }

    /// The page that explains each kind of problem, as HTML.
    pub fn problems(&self) -> Read<'_, String> {
        Read::text(self, Call::new(Operation::Problems))
    }

    /// The OpenAPI document of the server.
    pub fn openapi(&self) -> Read<'_, serde_json::Value> {
        Read::json(self, Call::new(Operation::Openapi))
    }
}
