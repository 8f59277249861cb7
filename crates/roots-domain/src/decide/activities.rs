//! Deciding about activities.

use super::admission::Scope;
use super::working_set::{Kinds, WorkingSet};

use crate::command::{AppliedRow, NewActivity, Refusal};

use crate::model::activity::{Activity, KINDS_MAX};
use crate::model::id::{AccountId, ActivityId, ActorId};
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
        new: NewActivity,
        scope: &Scope,
    ) -> Result<Activity<Sealed>, Refusal> {
        scope.check_reach(new.actor)?;
        self.check_active_link(new.session, new.actor, scope)?;
        self.check_kind(scope.account, new.actor, &new.activity_type)?;
        Ok(Activity {
            id: ActivityId(0),
            uid: new.uid,
            actor: new.actor,
            session: new.session,
            activity_type: new.activity_type,
            description: new.description,
            logged_at: new.logged_at.unwrap_or(scope.at),
            created_at: scope.at,
            version: 1,
        })
    }

    /// Limits how many kinds of activity an actor has.
    pub(super) fn check_kind(
        &self,
        account: AccountId,
        actor: ActorId,
        kind: &ActivityType,
    ) -> Result<(), Refusal> {
        let kinds = self.kinds.get(&(account, actor));
        let is_new = |kinds: &Kinds| !kinds.counts.contains_key(kind);
        if kinds.is_some_and(|kinds| is_new(kinds) && kinds.total >= KINDS_MAX) {
            return Err(Refusal::TooManyKinds);
        }
        Ok(())
    }

    /// Gives a new activity its id.
    pub(super) fn insert_activity(
        &mut self,
        mut activity: Activity<Sealed>,
        scope: &Scope,
    ) -> Result<AppliedRow, Refusal> {
        let account = scope.account;
        activity.id = self.last_ids(account)?.next_activity();
        let kinds = self.kinds.entry((account, activity.actor)).or_default();
        kinds.move_count(&activity.activity_type, 1);
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
        if let Some(kinds) = self.kinds.get_mut(&(account, activity.actor)) {
            kinds.move_count(&activity.activity_type, -1);
        }
        self.count_activity(account, activity, -1);
        self.activities.set((account, activity.id), None);
        AppliedRow::Deleted
    }
}
