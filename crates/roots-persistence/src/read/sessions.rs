//! Reads sessions.

use async_trait::async_trait;
use roots_domain::model::id::SessionId;
use roots_domain::model::page::Page;
use roots_domain::model::sealed::Sealed;
use roots_domain::model::session::Session;
use roots_domain::port::store::{Admission, SessionQuery, SessionReader, StoreResult};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::paging::of_actor;
use super::rows::ById;
use super::totals::{counters_of, sum};
use crate::store::Store;
use crate::table::{counters, sessions};

#[async_trait]
impl SessionReader for Store {
    async fn session(&self, by: Admission, id: SessionId) -> StoreResult<Option<Session<Sealed>>> {
        use sessions::Column::{AccountId, SessionId};
        static BY_ID: ById = ById::new();
        self.by_id::<sessions::Entity, _>(&BY_ID, [AccountId, SessionId], by, id.0).await
    }

    async fn sessions(&self, query: &SessionQuery) -> StoreResult<Page<Session<Sealed>>> {
        use sessions::Column::{AccountId, ActorId, SessionId, StartedAt, Status};
        let mut rows = sessions::Entity::find().filter(AccountId.eq(query.by.account.0));
        let mut counts = counters_of(query.by.account, query.actor, counters::SUBJECT_SESSIONS);
        if let Some(status) = query.status {
            rows = rows.filter(Status.eq(status.name()));
            counts = counts.filter(counters::Column::Label.eq(status.name()));
        }
        let total = sum(counts, counters::Column::Count);
        let rows = of_actor(rows, ActorId, query.actor, false);
        self.page(query.by, rows, [StartedAt, SessionId], total, query.page).await
    }
}
