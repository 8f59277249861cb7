//! Work sessions.

use futures_util::Stream;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{
    ListedSession, NewSession, Paging, Session, SessionChange, SessionDeleted, SessionFilter,
    SessionPage,
};
use crate::operation::Operation;
use crate::pages::{page, rows};
use crate::request::{Change, Create, Read};

impl Client {
    /// A page of sessions, latest first unless the filter has an order of its own.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn list_sessions(
        &self,
        filter: &SessionFilter,
        paging: &Paging,
    ) -> Result<SessionPage, Error> {
        page(self, Operation::ListSessions, filter.query(), paging).await
    }

    /// All sessions of the filter, in the order of the list, page by page as they are taken.
    pub fn sessions<'c>(
        &'c self,
        filter: &SessionFilter,
    ) -> impl Stream<Item = Result<ListedSession, Error>> + use<'c> {
        rows::<SessionPage>(self, Operation::ListSessions, filter.query())
    }

    /// Starts a session. Costs 1 credit.
    pub fn start_session(&self, session: &NewSession) -> Create<'_, Session> {
        Create::new(self, Call::new(Operation::StartSession), session)
    }

    /// One session.
    pub fn get_session(&self, id: i64) -> Read<'_, Session> {
        Read::json(self, Call::of_row(Operation::GetSession, id))
    }

    /// Changes a session, or ends it. Costs 1 credit.
    pub fn update_session(&self, id: i64, change: &SessionChange) -> Change<'_, Session> {
        Change::patch(self, Call::of_row(Operation::UpdateSession, id), change)
    }

    /// Deletes a session and unlinks its todos and activities. Costs 1 credit.
    pub fn delete_session(&self, id: i64) -> Change<'_, SessionDeleted> {
        Change::delete(self, Call::of_row(Operation::DeleteSession, id))
    }
}
