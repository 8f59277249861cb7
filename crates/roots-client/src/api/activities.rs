//! Activities and their statistics.

use futures_util::Stream;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::model::{
    Activity, ActivityDeleted, ActivityFilter, ActivityPage, ActivityStats, NewActivity, Paging,
    StatsFilter,
};
use crate::operation::Operation;
use crate::pages::{page, rows};
use crate::request::{Change, Create, Read};

impl Client {
    /// A page of activities, latest first.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn list_activities(
        &self,
        filter: &ActivityFilter,
        paging: &Paging,
    ) -> Result<ActivityPage, Error> {
        page(self, Operation::ListActivities, filter.query(), paging).await
    }

    /// All activities, latest first, page by page as they are taken.
    pub fn activities<'c>(
        &'c self,
        filter: &ActivityFilter,
    ) -> impl Stream<Item = Result<Activity, Error>> + use<'c> {
        rows::<ActivityPage>(self, Operation::ListActivities, filter.query())
    }

    /// Logs an activity. Costs 1 credit.
    pub fn log_activity(&self, activity: &NewActivity) -> Create<'_, Activity> {
        Create::new(self, Call::new(Operation::LogActivity), activity)
    }

    /// One activity.
    pub fn get_activity(&self, id: i64) -> Read<'_, Activity> {
        Read::json(self, Call::of_row(Operation::GetActivity, id))
    }

    /// Deletes an activity. Costs 1 credit.
    pub fn delete_activity(&self, id: i64) -> Change<'_, ActivityDeleted> {
        Change::delete(self, Call::of_row(Operation::DeleteActivity, id))
    }

    /// Counts activities by type and by day.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub async fn get_activity_stats(&self, filter: &StatsFilter) -> Result<ActivityStats, Error> {
        let call = Call::new(Operation::GetActivityStats).with_query(filter.query());
        self.send(&call).await?.json()
    }
}
