//! The dashboard: what needs a person, and who works on what.

use std::sync::Arc;

use super::access::{ActorScope, Caller};
use super::keyrings::Keyrings;
use super::outcome::ReadError;
use super::sealing::open_text;
use crate::model::activity::Activity;
use crate::model::chart::{LaneSessions, WeekHours};
use crate::model::dashboard::{DashboardRows, DashboardSpans, DashboardTodo, ShownText};
use crate::model::forecast::Forecast;
use crate::model::id::{ActorId, Uid};
use crate::model::sealed::{Field, Sealed};
use crate::model::time::{QuarterHour, Timestamp};
use crate::model::zone::Zone;
use crate::port::clock::Clock;
use crate::port::store::{
    AccountReader, DashboardQuery, DashboardReader, QuarterHourQuery, TimelineQuery,
};

/// Tells what needs a person, and who works on what.
#[derive(Clone)]
pub struct Dashboards {
    /// Reads keys.
    pub accounts: Arc<dyn AccountReader>,
    /// Reads sealed texts.
    pub reader: Arc<dyn DashboardReader>,
    /// Tells the time, by which deadlines are judged.
    pub clock: Arc<dyn Clock>,
}

/// The weeks whose activities are told by the hours of the week.
pub const WEEKS: i64 = 4;

/// The rows of a dashboard with sealed texts; `None` stands for a text that is too long to be read.
pub type SealedDashboard = DashboardRows<Option<Sealed>>;

impl Dashboards {
    /// The rows of a dashboard with sealed texts. Its agents are the first ones, or those after
    /// `agents_after`.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn find(
        &self,
        caller: &Caller,
        scope: ActorScope,
        agents_after: Option<ActorId>,
        zone: Zone,
    ) -> Result<SealedDashboard, ReadError> {
        let actor = caller.choose(scope)?;
        let query = DashboardQuery { by: caller.admission(), actor, agents_after, zone };
        Ok(self.reader.dashboard(&query, self.clock.clone()).await?)
    }

    /// How long the credits of the account last. `None` if nothing was spent lately.
    ///
    /// # Errors
    /// A database error.
    pub async fn forecast(
        &self,
        caller: &Caller,
        zone: &Zone,
    ) -> Result<Option<Forecast>, ReadError> {
        let now = self.clock.now();
        let spans = DashboardSpans::of(now, zone);
        let spending = self.reader.spending(caller.admission(), &spans).await?;
        Ok(Forecast::of(spending, now))
    }

    /// The activities of the last [`WEEKS`] weeks by the hours of the week in that zone.
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn week_hours(
        &self,
        caller: &Caller,
        scope: ActorScope,
        zone: &Zone,
    ) -> Result<WeekHours, ReadError> {
        let last = self.clock.now().quarter_hour();
        let first = QuarterHour((last.0 - WEEKS * 7 * 96 + 1).max(0));
        let query = QuarterHourQuery {
            by: caller.admission(),
            actor: caller.choose(scope)?,
            quarter_hours: (first, last),
        };
        let counts = self.reader.activities_by_quarter_hour(&query).await?;
        Ok(WeekHours::of(counts, zone))
    }

    /// The newest sessions that overlap a range, for a
    /// [`Timeline`](crate::model::chart::Timeline).
    ///
    /// # Errors
    /// The refusal, or a database error.
    pub async fn lane_sessions(
        &self,
        caller: &Caller,
        scope: ActorScope,
        range: (Timestamp, Timestamp),
    ) -> Result<LaneSessions, ReadError> {
        let actor = caller.choose(scope)?;
        let query = TimelineQuery { by: caller.admission(), actor, range };
        Ok(self.reader.lane_sessions(&query).await?)
    }

    /// The same rows with opened texts. One that does not open is
    /// [`Unreadable`](ShownText::Unreadable) and spoils no other.
    ///
    /// # Errors
    /// A database error.
    pub async fn open(
        &self,
        caller: &Caller,
        rows: SealedDashboard,
    ) -> Result<DashboardRows<ShownText>, ReadError> {
        let texts = rows.texts().map(|(actor, text)| (actor, text.iter().collect()));
        let (keys, _) = Keyrings::of_readable(&*self.accounts, caller, texts).await?;
        Ok(opened(&keys, rows))
    }
}

/// The same rows with opened texts.
fn opened(keys: &Keyrings, rows: SealedDashboard) -> DashboardRows<ShownText> {
    let todo = |todo: DashboardTodo<Option<Sealed>>| {
        let row = (todo.uid, ("todo", todo.id.0));
        let title = shown(keys, todo.actor, row, Field::TodoTitle, todo.title.as_ref());
        todo.with_title(title)
    };
    let entry = |entry: Activity<Option<Sealed>>| {
        let (actor, row) = (entry.actor, (entry.uid, ("activity", entry.id.0)));
        let Ok(entry) = entry.try_map_text(|field, text| {
            Ok::<_, std::convert::Infallible>(shown(keys, actor, row, field, text.as_ref()))
        });
        entry
    };
    DashboardRows {
        at: rows.at,
        agents: rows.agents,
        has_more_agents: rows.has_more_agents,
        sessions: rows.sessions,
        waiting: rows.waiting.into_iter().map(entry).collect(),
        todos: rows.todos.into_iter().map(todo).collect(),
        has_more_overdue: rows.has_more_overdue,
        next_up: rows.next_up.into_iter().map(todo).collect(),
        next_due_at: rows.next_due_at,
        latest: rows.latest.into_iter().map(entry).collect(),
        keys: rows.keys,
        has_more_keys: rows.has_more_keys,
        today: rows.today,
        spending: rows.spending,
        counts: rows.counts,
    }
}

fn shown(
    keys: &Keyrings,
    actor: ActorId,
    row: (Uid, (&'static str, i64)),
    field: Field,
    text: Option<&Sealed>,
) -> ShownText {
    let Some(text) = text else { return ShownText::TooLong };
    let Some(keys) = keys.find(actor) else { return ShownText::Unreadable };
    open_text(&**keys, row, field, text).map_or(ShownText::Unreadable, ShownText::Open)
}
