//! Reads how far accounts have come, and the rows of a ledger or an audit log between two of them.

use async_trait::async_trait;
use roots_domain::model::audit::AuditEntry;
use roots_domain::model::credit::LedgerEntry;
use roots_domain::model::event::EventPosition;
use roots_domain::model::id::{AccountId, AuditId, LedgerId};
use roots_domain::port::store::{
    AccountState, Admission, EventReader, STATES_MAX, StoreError, StoreResult,
};
use sea_orm::sea_query::ArrayType;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, QueryTrait, Statement, Value,
};

use super::epoch::{AUTH_EPOCH, auth_epoch_of, expect_epoch};
use crate::errors::of_read;
use crate::store::Store;
use crate::table::{InvalidRow, audit_log, ledger};

/// The states of accounts. Their ids are one value, so that the text is always the same.
const STATES: &str = "SELECT account_id, version, auth_epoch, sign_in_epoch, last_ledger_id, \
                      last_audit_id FROM accounts WHERE ";
const ANY_OF_ARRAY: &str = "account_id = ANY($1)";
const ANY_OF_JSON: &str = "account_id IN (SELECT value FROM json_each($1))";

fn states_of(backend: DbBackend, accounts: &[AccountId]) -> Statement {
    let ids = accounts.iter().map(|account| account.0);
    let (condition, ids) = if backend == DbBackend::Postgres {
        let ids = ids.map(Value::from).collect();
        (ANY_OF_ARRAY, Value::Array(ArrayType::BigInt, Some(Box::new(ids))))
    } else {
        let ids: Vec<_> = ids.map(|id| id.to_string()).collect();
        (ANY_OF_JSON, format!("[{}]", ids.join(",")).into())
    };
    Statement::from_sql_and_values(backend, format!("{STATES}{condition}"), [ids])
}

fn state(row: &QueryResult) -> Result<AccountState, DbErr> {
    Ok(AccountState {
        account: AccountId(row.try_get_by_index(0)?),
        version: row.try_get_by_index(1)?,
        auth_epoch: row.try_get_by_index(2)?,
        sign_in_epoch: row.try_get_by_index(3)?,
        position: EventPosition {
            ledger: LedgerId(row.try_get_by_index(4)?),
            audit: AuditId(row.try_get_by_index(5)?),
        },
    })
}

impl Store {
    /// The rows of a log between two ids, by id. The log has no gaps, so at least one is there
    /// unless the account is gone, and it tells the auth epoch.
    async fn log_between<E, T>(
        &self,
        by: Admission,
        [account, id]: [E::Column; 2],
        (after, until): (i64, i64),
    ) -> StoreResult<Vec<T>>
    where
        E: EntityTrait,
        T: TryFrom<E::Model, Error = InvalidRow>,
    {
        let rows = E::find()
            .filter(account.eq(by.account.0))
            .filter(id.gt(after))
            .filter(id.lte(until))
            .order_by_asc(id)
            .expr_as(auth_epoch_of(by.account), AUTH_EPOCH);
        let db = &self.readers(by.account);
        let asked = rows.build(db.get_database_backend());
        let found = db.query_all_raw(asked).await.map_err(of_read)?;
        let first = found.first().ok_or(StoreError::EpochMoved)?;
        expect_epoch(by, first.try_get("", AUTH_EPOCH).map_err(of_read)?)?;
        let row = |row| Ok(T::try_from(E::Model::from_query_result(row, "").map_err(of_read)?)?);
        found.iter().map(row).collect()
    }
}

#[async_trait]
impl EventReader for Store {
    async fn account_states(&self, accounts: &[AccountId]) -> StoreResult<Vec<AccountState>> {
        if accounts.len() > STATES_MAX {
            let cause = format!("{} accounts are too many for one statement", accounts.len());
            return Err(StoreError::Broken(cause));
        }
        let Some(first) = accounts.first() else { return Ok(Vec::new()) };
        let node = self.node_of(*first);
        let asked = states_of(node.source().dialect().backend(), accounts);
        let found = if node.source().dialect().is_citus() {
            // Within a transaction, Citus reads all shards of the node by one connection.
            let tx = node.readers().begin().await.map_err(of_read)?;
            let found = tx.query_all_raw(asked).await.map_err(of_read)?;
            tx.commit().await.map_err(of_read)?;
            found
        } else {
            node.readers().query_all_raw(asked).await.map_err(of_read)?
        };
        found.iter().map(state).collect::<Result<_, _>>().map_err(of_read)
    }

    async fn ledger_between(
        &self,
        by: Admission,
        after: LedgerId,
        until: LedgerId,
    ) -> StoreResult<Vec<LedgerEntry>> {
        use ledger::Column::{AccountId, LedgerId};
        self.log_between::<ledger::Entity, _>(by, [AccountId, LedgerId], (after.0, until.0)).await
    }

    async fn audit_between(
        &self,
        by: Admission,
        after: AuditId,
        until: AuditId,
    ) -> StoreResult<Vec<AuditEntry>> {
        use audit_log::Column::{AccountId, AuditId};
        self.log_between::<audit_log::Entity, _>(by, [AccountId, AuditId], (after.0, until.0)).await
    }
}
