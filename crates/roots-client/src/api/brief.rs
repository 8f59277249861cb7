//! The brief.

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{Brief, BriefQuery};
use crate::operation::Operation;

impl Client {
    /// What an agent has to know when it wakes: the session, todos, what happened since the last
    /// session, and what to do next.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn brief(&self, query: &BriefQuery) -> Result<Brief, Error> {
        self.send(&Call::new(Operation::Brief).with_query(query.query())).await?.json()
    }
}
