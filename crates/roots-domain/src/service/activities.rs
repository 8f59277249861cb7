//! Activities and their statistics.

use std::sync::Arc;

use super::access::{ActorScope, Caller};
use super::outcome::{ReadError, WriteError, Written};
use super::sealing::{Opened, Opener, SealedRow, Sealer};
use super::write::Preconditions;
use crate::command::{Applied, AppliedRow, NewActivity, Refusal, ResourceAction};
use crate::model::activity::{Activity, ActivityStats};
use crate::model::id::{ActivityId, ActorId, SessionId};
use crate::model::page::{Page, PageRequest};
use crate::model::sealed::{Field, Sealed};
use crate::model::text::{ActivityText, ActivityType};
use crate::model::time::{TimeRange, Timestamp};
use crate::model::zone::Zone;
use crate::port::clock::{Clock, Uids};
use crate::port::crypto::Keyring;
use crate::port::store::{
    AccountReader, ActivityFilter, ActivityReader, CommandStore, StoreResult,
};

/// Activities: what was done.
#[derive(Clone)]
pub struct Activities {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Reads.
    pub reader: Arc<dyn ActivityReader>,
    /// Reads the keys of the account's other actors.
    pub accounts: Arc<dyn AccountReader>,
    /// Tells the time of a write.
    pub clock: Arc<dyn Clock>,
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

/// An activity to log.
#[derive(Debug, Clone)]
pub struct ActivityDraft {
    /// The actor that the activity will belong to; the caller if absent.
    pub actor: Option<ActorId>,
    /// What happened.
    pub description: ActivityText,
    /// Its category.
    pub activity_type: ActivityType,
    /// The active session to link it to.
    pub session: Option<SessionId>,
    /// When it happened, if not now.
    pub logged_at: Option<Timestamp>,
}

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
        super::sealing::opened(&*self.accounts, caller, found).await
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
        super::sealing::opened_one(&*self.accounts, caller, found).await
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
        let keys = super::sealing::sealing_keys(&*self.accounts, caller, actor).await?;
        let uid = self.uids.next();
        let sealer = Sealer { keys: &keys, row: uid };
        let action = ResourceAction::LogActivity(NewActivity {
            actor,
            uid,
            session: draft.session,
            activity_type: draft.activity_type,
            description: sealer.seal(Field::ActivityDescription, draft.description.as_str())?,
            logged_at: draft.logged_at,
        });
        let applied = self.apply(caller, action, preconditions, "POST /activities").await?;
        let AppliedRow::Activity(activity) = &applied.row else {
            return Err(WriteError::mismatched());
        };
        let named = ("activity", activity.id.0);
        let open = |keys: &dyn Keyring, activity: &Activity<_>| open(keys, activity.clone());
        super::sealing::written(&*self.accounts, caller, activity, named, &applied, open).await
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
        let applied = self.apply(caller, action, preconditions, "DELETE /activities/{id}").await?;
        Ok(Written::of(id, &applied))
    }

    async fn apply(
        &self,
        caller: &Caller,
        action: ResourceAction,
        preconditions: Preconditions,
        endpoint: &'static str,
    ) -> Result<Applied, WriteError> {
        let (commands, accounts) = (&*self.commands, &*self.accounts);
        super::write::apply(
            commands,
            accounts,
            &*self.clock,
            caller,
            action,
            preconditions,
            endpoint,
        )
        .await
    }
}

impl SealedRow for Activity<Sealed> {
    type Open = Activity;

    fn actor(&self) -> ActorId {
        self.actor
    }

    fn texts(&self) -> impl Iterator<Item = &Sealed> {
        Activity::texts(self)
    }

    fn open(self, keys: &dyn Keyring) -> Result<Activity, ReadError> {
        open(keys, self)
    }
}

fn open(keys: &dyn Keyring, activity: Activity<Sealed>) -> Result<Activity, ReadError> {
    let opener = Opener { keys, row: activity.uid, what: "activity", id: activity.id.0 };
    activity.try_map_text(|field, text| opener.open(field, &text))
}
