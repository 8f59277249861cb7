//! Activities and their statistics.

use std::sync::Arc;

use super::access::{ActorScope, Caller};
use super::outcome::{ReadError, WriteError, Written};
use super::sealing::{Opened, SealedRow, Sealer, open_text};
use super::write::{Preconditions, Writes};
use crate::command::{AppliedRow, Refusal, ResourceAction};
use crate::model::activity::{Activity, ActivityStats, NewActivity};
use crate::model::id::{ActivityId, ActorId, SessionId};
use crate::model::page::{Page, PageRequest};
use crate::model::sealed::Sealed;
use crate::model::text::{ActivityText, ActivityType};
use crate::model::time::TimeRange;
use crate::model::zone::Zone;
use crate::port::clock::Uids;
use crate::port::crypto::Keyring;
use crate::port::store::{ActivityFilter, ActivityReader, StoreResult};

/// Activities: what was done.
#[derive(Clone)]
pub struct Activities {
    /// Applies writes.
    pub writes: Writes,
    /// Reads.
    pub reader: Arc<dyn ActivityReader>,
    /// Makes the uids of new rows.
    pub uids: Arc<dyn Uids>,
}

/// The filter of activities.
#[derive(Debug, Clone, Default)]
pub struct ActivitySelection {
    /// The actors.
    pub scope: ActorScope,
    /// Only this type.
    pub activity_type: Option<ActivityType>,
    /// Only rows linked to this session.
    pub session: Option<SessionId>,
    /// When they happened.
    pub range: TimeRange,
}

impl ActivitySelection {
    fn of(self, caller: &Caller) -> Result<ActivityFilter, Refusal> {
        Ok(ActivityFilter {
            by: caller.admission(),
            actor: caller.choose(self.scope)?,
            activity_type: self.activity_type,
            session: self.session,
            range: self.range,
        })
    }
}

/// An activity to log, with its text as the caller sent it.
pub type ActivityDraft = NewActivity<ActivityText>;

impl Activities {
    /// A page of activities.
    ///
    /// # Errors
    /// The refusal, a database error, or an unreadable text.
    pub async fn list(
        &self,
        caller: &Caller,
        selection: ActivitySelection,
        page: PageRequest,
    ) -> Opened<Activity> {
        let found = self.find(caller, selection, page).await?;
        super::sealing::opened(&*self.writes.accounts, caller, found).await
    }

    /// The same page with sealed texts.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn find(
        &self,
        caller: &Caller,
        selection: ActivitySelection,
        page: PageRequest,
    ) -> Result<Page<Activity<Sealed>>, ReadError> {
        Ok(self.reader.activities(&selection.of(caller)?, page).await?)
    }

    /// The activity with that id, if the caller may read it.
    ///
    /// # Errors
    /// A database error, or an unreadable text.
    pub async fn get(
        &self,
        caller: &Caller,
        id: ActivityId,
    ) -> Result<Option<Activity>, ReadError> {
        let found = self.find_one(caller, id).await?;
        super::sealing::opened_one(&*self.writes.accounts, caller, found).await
    }

    /// The activity with that id and a sealed text, if the caller may read it.
    ///
    /// # Errors
    /// A database error.
    pub async fn find_one(
        &self,
        caller: &Caller,
        id: ActivityId,
    ) -> StoreResult<Option<Activity<Sealed>>> {
        let found = self.reader.activity(caller.admission(), id).await?;
        Ok(found.filter(|activity| caller.reaches(activity.actor)))
    }

    /// Statistics of activities, by the days of a zone. Opens no text.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn stats(
        &self,
        caller: &Caller,
        selection: ActivitySelection,
        zone: &Zone,
    ) -> Result<ActivityStats, ReadError> {
        Ok(self.reader.activity_stats(&selection.of(caller)?, zone).await?)
    }

    /// Logs an activity.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn log(
        &self,
        caller: &Caller,
        draft: ActivityDraft,
        preconditions: Preconditions,
    ) -> Result<Written<Activity>, WriteError> {
        let actor = draft.actor.unwrap_or(caller.actor.id);
        let keys = super::sealing::sealing_keys(&*self.writes.accounts, caller, actor).await?;
        let uid = self.uids.next();
        let sealer = Sealer { keys: &keys, row: uid };
        let new = draft.try_seal(|field, text| sealer.seal(field, text))?;
        let action = ResourceAction::LogActivity { uid, new };
        let applied = self.writes.apply(caller, action, preconditions, "POST /activities").await?;
        let AppliedRow::Activity(activity) = &applied.row else {
            return Err(WriteError::mismatched());
        };
        self.writes.written(caller, activity, &applied).await
    }

    /// Deletes an activity for good.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn delete(
        &self,
        caller: &Caller,
        id: ActivityId,
        preconditions: Preconditions,
    ) -> Result<Written<ActivityId>, WriteError> {
        let action = ResourceAction::DeleteActivity(id);
        let applied =
            self.writes.apply(caller, action, preconditions, "DELETE /activities/{id}").await?;
        Ok(Written::of(id, &applied))
    }
}

impl SealedRow for Activity<Sealed> {
    type Open = Activity;

    fn named(&self) -> (&'static str, i64) {
        ("activity", self.id.0)
    }

    fn actor(&self) -> ActorId {
        self.actor
    }

    fn texts(&self) -> impl Iterator<Item = &Sealed> {
        Activity::texts(self)
    }

    fn open(self, keys: &dyn Keyring) -> Result<Activity, ReadError> {
        let row = (self.uid, self.named());
        self.try_map_text(|field, text| open_text(keys, row, field, &text))
    }
}
