//! Deciding about activities.

use super::admission::Scope;
use super::working_set::{ActivityTypes, WorkingSet};

use crate::command::{AppliedRow, Refusal};

use crate::model::activity::{ACTIVITY_TYPES_MAX, Activity, NewActivity};
use crate::model::id::{AccountId, ActivityId, ActorId, Uid};
use crate::model::sealed::Sealed;
use crate::model::text::ActivityType;

impl WorkingSet {
    pub(super) fn activity(
        &self,
        id: ActivityId,
        scope: &Scope,
    ) -> Result<&Activity<Sealed>, Refusal> {
        let found = self.activities.get((scope.account, id));
        found.filter(|activity| scope.reaches(activity.actor)).ok_or(Refusal::NotFound("activity"))
    }

    pub(super) fn new_activity(
        &self,
        uid: Uid,
        new: NewActivity<Sealed>,
        scope: &Scope,
    ) -> Result<Activity<Sealed>, Refusal> {
        let actor = new.actor.unwrap_or(scope.actor);
        scope.check_reach(actor)?;
        self.check_active_link(new.session, actor, scope)?;
        self.check_activity_type(scope.account, actor, &new.activity_type)?;
        Ok(Activity {
            id: self.next_ids(scope.account)?.next_activity(),
            uid,
            actor,
            session: new.session,
            activity_type: new.activity_type,
            description: new.description,
            logged_at: new.logged_at.unwrap_or(scope.at),
            created_at: scope.at,
            version: 1,
        })
    }

    /// Limits how many activity types an actor has.
    pub(super) fn check_activity_type(
        &self,
        account: AccountId,
        actor: ActorId,
        activity_type: &ActivityType,
    ) -> Result<(), Refusal> {
        let present = self.activity_types.get(&(account, actor));
        let is_new = |present: &ActivityTypes| !present.counts.contains_key(activity_type);
        if present.is_some_and(|it| is_new(it) && it.total >= ACTIVITY_TYPES_MAX) {
            return Err(Refusal::TooManyActivityTypes);
        }
        Ok(())
    }

    /// Adds an activity, which takes the next id.
    pub(super) fn insert_activity(
        &mut self,
        activity: Activity<Sealed>,
        scope: &Scope,
    ) -> Result<AppliedRow, Refusal> {
        let account = scope.account;
        self.last_ids(account)?.activity = activity.id.0;
        let activity_types = self.activity_types.entry((account, activity.actor)).or_default();
        activity_types.move_count(&activity.activity_type, 1);
        self.count_activity(account, &activity, 1);
        self.activities.set((account, activity.id), Some(activity.clone()));
        Ok(AppliedRow::Activity(activity))
    }

    /// Deletes an activity.
    pub(super) fn delete_activity(
        &mut self,
        activity: &Activity<Sealed>,
        scope: &Scope,
    ) -> AppliedRow {
        let account = scope.account;
        if let Some(activity_types) = self.activity_types.get_mut(&(account, activity.actor)) {
            activity_types.move_count(&activity.activity_type, -1);
        }
        self.count_activity(account, activity, -1);
        self.activities.set((account, activity.id), None);
        AppliedRow::Deleted
    }
}
