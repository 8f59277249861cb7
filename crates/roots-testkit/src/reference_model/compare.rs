//! Compares the model with what a store answers.

use std::collections::BTreeMap;

use roots_domain::model::activity::SessionCounts;
use roots_domain::model::credit::Reason;
use roots_domain::model::id::{ActorId, LogId, SessionId};
use roots_domain::model::page::{Listed, Page, PageRequest, Start};
use roots_domain::model::session::{SessionStatus, SessionStatusKind};
use roots_domain::model::text::ActivityType;
use roots_domain::model::time::TimeRange;
use roots_domain::model::todo::{Priority, TodoStatus};
use roots_domain::model::zone::Zone;
use roots_domain::port::store::{
    AccountReader, ActivityFilter, ActivityReader, SessionQuery, SessionReader, TodoQuery,
    TodoReader, Verifier,
};
use roots_persistence::Store;

use super::{ReferenceModel, count, is_of};

/// Comparing with a store.
impl ReferenceModel {
    /// Asks the store for everything in every way, and compares.
    pub async fn compare(&self, store: &Store, actors: &[i64], ranges: &[TimeRange], limit: u32) {
        self.compare_books(store, limit).await;
        let one_by_one = actors.iter().map(|actor| Some(ActorId(*actor)));
        for actor in one_by_one.chain([None]) {
            self.compare_sessions(store, actor, limit).await;
            self.compare_todos(store, actor, limit).await;
            self.compare_activities(store, actor, ranges, limit).await;
        }
        let (_, errors) = store.verify().await.expect("a verification");
        assert_eq!(errors, []);
    }

    /// Compares the balance and the ledger.
    pub async fn compare_books(&self, store: &Store, limit: u32) {
        let id = self.issuer.account;
        let account = store.account(id).await.expect("a read").expect("the account");
        assert_eq!(account.balance, self.balance);
        for reason in [None].into_iter().chain(Reason::ALL.map(Some)) {
            let expected = self.ledger(reason);
            let found = paged("the ledger", count(expected.len()), limit, async |page| {
                store.ledger(id.into(), reason, page).await.expect("a read")
            })
            .await;
            assert_eq!(found, expected, "the ledger of {reason:?}");
        }
    }

    async fn compare_sessions(&self, store: &Store, actor: Option<ActorId>, limit: u32) {
        let account = self.issuer.account;
        for status in [None, Some(SessionStatusKind::Active), Some(SessionStatusKind::Ended)] {
            let expected = self.sessions(actor, status);
            let found = paged("sessions", count(expected.len()), limit, async |page| {
                let query = SessionQuery { by: account.into(), actor, status, page };
                store.sessions(&query).await.expect("a read")
            })
            .await;
            assert_eq!(found, expected, "sessions of {actor:?}, {status:?}");
        }
    }

    async fn compare_todos(&self, store: &Store, actor: Option<ActorId>, limit: u32) {
        let account = self.issuer.account;
        let statuses = [None].into_iter().chain(TodoStatus::ALL.map(Some));
        let levels = [0, 1, 2, 3].map(|level| Priority::parse(level).expect("a priority"));
        for status in statuses {
            for priority in [None].into_iter().chain(levels.map(Some)) {
                for session in self.links() {
                    let query = |page| TodoQuery {
                        by: account.into(),
                        actor,
                        status,
                        priority,
                        session,
                        page,
                    };
                    let expected = self.todos(&query(PageRequest::default()));
                    let what = format!("todos {:?}", query(PageRequest::default()));
                    let found = paged(&what, count(expected.len()), limit, async |page| {
                        store.todos(&query(page)).await.expect("a read")
                    })
                    .await;
                    assert_eq!(found, expected, "{what}");
                }
            }
        }
        for todo in self.todos.values().filter(|todo| is_of(todo.actor, actor)) {
            let log = store
                .todo_log(account.into(), todo.id, LogId(0))
                .await
                .expect("a read")
                .expect("a todo");
            let steps = self.logs.iter().filter(|step| step.todo == todo.id);
            assert_eq!(log.todo, *todo);
            assert_eq!(log.steps, steps.cloned().collect::<Vec<_>>());
        }
    }

    async fn compare_activities(
        &self,
        store: &Store,
        actor: Option<ActorId>,
        ranges: &[TimeRange],
        limit: u32,
    ) {
        let account = self.issuer.account;
        let mut kinds: Vec<_> =
            self.activities.values().map(|one| Some(one.activity_type.clone())).collect();
        kinds.sort();
        kinds.dedup();
        kinds.push(None);
        for activity_type in kinds {
            for session in self.links() {
                // By session nothing is kept, and so no range is split: some will do.
                let step = if session.is_some() { 4 } else { 1 };
                for range in ranges.iter().step_by(step) {
                    let activity_type = activity_type.clone();
                    let range = *range;
                    let filter =
                        ActivityFilter { by: account.into(), actor, activity_type, session, range };
                    self.compare_selected(store, &filter, limit).await;
                }
            }
        }
    }

    async fn compare_selected(&self, store: &Store, filter: &ActivityFilter, limit: u32) {
        let expected = self.activities(filter);
        let what = format!("activities {filter:?}");
        let found = paged(&what, count(expected.len()), limit, async |page| {
            store.activities(filter, page).await.expect("a read")
        })
        .await;
        assert_eq!(found, expected, "{what}");

        self.compare_stats(store, filter, "UTC").await;
    }

    /// Compares the statistics of what a filter selects, by the days of a zone.
    pub async fn compare_stats(&self, store: &Store, filter: &ActivityFilter, zone: &str) {
        let clock = jiff::tz::TimeZoneDatabase::bundled().get(zone).expect("a zone");
        let (mut by_type, mut by_day) = (BTreeMap::new(), BTreeMap::new());
        let rows = self.activities(filter);
        for one in &rows {
            let at = jiff::Timestamp::from_microsecond(one.logged_at.micros()).expect("a time");
            let shown = at.to_zoned(clock.clone()).date();
            // Days outside of the years that can be told are of the first and the last.
            let shown = shown.clamp(jiff::civil::date(1970, 1, 1), jiff::civil::date(9999, 12, 31));
            let shown = shown.to_string();
            *by_type.entry(one.activity_type.clone()).or_insert(0) += 1;
            *by_day.entry(shown).or_insert(0) += 1;
        }
        let mut by_type: Vec<(ActivityType, i64)> = by_type.into_iter().collect();
        by_type.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let sessions = self.sessions.values().filter(|one| {
            is_of(one.actor, filter.actor) && filter.session.is_none_or(|is| is == one.id)
        });
        let sessions: Vec<_> = sessions.map(|one| one.status == SessionStatus::Active).collect();
        let sessions = SessionCounts {
            total: count(sessions.len()),
            active: count(sessions.iter().filter(|is_active| **is_active).count()),
        };
        let is = Zone::parse(zone).expect("a zone");
        let stats = store.activity_stats(filter, &is).await.expect("a read");
        let what = format!("{filter:?} by the days of {zone}");
        assert_eq!((stats.total, stats.by_type), (count(rows.len()), by_type), "{what}");
        let days = stats.by_day.into_iter().map(|(day, count)| (day.to_string(), count));
        assert_eq!(days.collect::<Vec<_>>(), by_day.into_iter().collect::<Vec<_>>(), "{what}");
        assert_eq!(stats.sessions, sessions, "{what}");
    }

    /// No link, some of the sessions there are, and one there never was.
    fn links(&self) -> Vec<Option<SessionId>> {
        let some = self.sessions.keys().take(2).map(|id| Some(SessionId(*id)));
        [None, Some(SessionId(self.last.session + 1))].into_iter().chain(some).collect()
    }
}

/// The rows of every page of a list, each of which is asked for by its offset and behind the place
/// where the one before it ended.
async fn paged<T: Listed + Clone + PartialEq + std::fmt::Debug>(
    what: &str,
    total: i64,
    limit: u32,
    mut page: impl AsyncFnMut(PageRequest) -> Page<T>,
) -> Vec<T> {
    let mut rows = Vec::new();
    let mut next = None;
    loop {
        let request = PageRequest::skipping(count(rows.len()), limit);
        let skipping = page(request).await;
        assert_eq!(skipping.total, total, "the total of {what} at {request:?}");
        assert_eq!(skipping.request, request);
        let left = usize::try_from(total).expect("a count") - rows.len();
        let expected = left.min(limit as usize);
        assert_eq!(skipping.items.len(), expected, "a page of {what} at {request:?}");
        let last = skipping.items.last().filter(|_| expected < left);
        assert_eq!(skipping.next, last.map(Listed::sort_key), "what follows {request:?} of {what}");
        if let Some(sort_key) = next {
            let request = PageRequest { limit, start: Start::After(sort_key) };
            let following = page(request).await;
            assert_eq!(
                following,
                Page { items: skipping.items.clone(), request, ..skipping },
                "{what}"
            );
        }
        next = skipping.next;
        rows.extend(skipping.items);
        if next.is_none() {
            return rows;
        }
    }
}
