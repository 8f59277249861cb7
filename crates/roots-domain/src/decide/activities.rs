//! Deciding about activities.

use super::admission::Scope;
use super::working_set::{Kinds, WorkingSet};

use crate::command::{AppliedRow, Refusal};

use crate::model::activity::{Activity, KINDS_MAX, NewActivity};
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
        self.check_kind(scope.account, actor, &new.activity_type)?;
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

    /// Adds an activity, which takes the next id.
    pub(super) fn insert_activity(
        &mut self,
        activity: Activity<Sealed>,
        scope: &Scope,
    ) -> Result<AppliedRow, Refusal> {
        let account = scope.account;
        self.last_ids(account)?.activity = activity.id.0;
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
