//! Rows as readers see them: without links to deleted sessions.
//!
//! Where more rows were linked to a session than one transaction unlinks, `session_deletions` names
//! it until the last link is gone. Every read of a todo or an activity goes through [`Shown`]. It
//! shows such a row as it will be after unlinking, so that no reader can tell the two apart.

use roots_domain::model::id::{AccountId, SessionId};
use sea_orm::sea_query::{Expr, ExprTrait, Func, SimpleExpr};
use sea_orm::{
    ColumnTrait, EntityTrait, IdenStatic, Iterable, QueryFilter, QuerySelect, QueryTrait, Select,
    Value,
};

use super::{
    accounts, activities, actors, claim_deadlines, counters, idempotency, imports,
    session_activity, session_deletions, sessions, sign_ins, todo_logs, todos,
};

/// Rows as they are shown.
pub(crate) trait Shown: EntityTrait {
    /// Whether rows have a link to a session, in a column `session_id`, and count their changes in
    /// a column `version`.
    const IS_LINKED: bool = false;

    /// The rows of an account, which the caller selects. Use this instead of `find`.
    fn shown(account: AccountId) -> Select<Self> {
        if !Self::IS_LINKED {
            return Self::find();
        }
        let name = Self::default();
        let columns = Self::Column::iter();
        columns.fold(Self::find().select_only(), |rows, column| {
            match instead(column.as_str(), name.table_name(), "$1") {
                Some(text) => {
                    let shown = Expr::cust_with_values(text, [account.0]);
                    rows.expr_as(shown, column.as_str())
                }
                None => rows.column(column),
            }
        })
    }

    /// The columns to select to read the rows of a table with this name in the statement. `account`
    /// is the text that stands for their account.
    fn selected(table: &str, account: &str) -> String {
        if !Self::IS_LINKED {
            return format!("{table}.*");
        }
        let columns = Self::Column::iter().map(|column| {
            let column = column.as_str();
            let text =
                instead(column, table, account).unwrap_or_else(|| format!("{table}.{column}"));
            format!("{text} AS {column}")
        });
        columns.collect::<Vec<_>>().join(", ")
    }
}

impl Shown for todos::Entity {
    const IS_LINKED: bool = true;
}

impl Shown for activities::Entity {
    const IS_LINKED: bool = true;
}

impl Shown for accounts::Entity {}
impl Shown for sessions::Entity {}
impl Shown for claim_deadlines::Entity {}
impl Shown for session_activity::Entity {}
impl Shown for actors::Entity {}
impl Shown for counters::Entity {}
impl Shown for idempotency::Entity {}
impl Shown for imports::Entity {}
impl Shown for sign_ins::Entity {}
impl Shown for todo_logs::Entity {}

/// The expression to read instead of a column if the row may be linked to a deleted session. It
/// names the account, so that a distributed database sees where the row is.
fn instead(column: &str, table: &str, account: &str) -> Option<String> {
    let is_deleted = format!(
        "{table}.session_id IS NOT NULL AND EXISTS (SELECT 1 FROM session_deletions AS gone \
         WHERE gone.account_id = {account} AND gone.session_id = {table}.session_id)"
    );
    match column {
        "session_id" => {
            Some(format!("CASE WHEN {is_deleted} THEN NULL ELSE {table}.session_id END"))
        }
        "version" => Some(format!(
            "CASE WHEN {is_deleted} THEN {table}.version + 1 ELSE {table}.version END"
        )),
        _ => None,
    }
}

/// The `rows` that are linked to a session: none if it is deleted.
pub(crate) fn linked_to<E: Shown>(
    rows: Select<E>,
    column: E::Column,
    account: i64,
    session: SessionId,
) -> Select<E> {
    let deleted = session_deletions::Entity::find_by_id((account, session.0))
        .select_only()
        .expr(Expr::value(1_i32));
    rows.filter(column.eq(session.0)).filter(Expr::exists(deleted.into_query()).not())
}

/// `column = value`. If the rows are `linked` to one session, they are found only by that: SQLite
/// has no statistics here, and would choose an index that matches more columns but far more rows.
pub(crate) fn is<C: ColumnTrait>(
    column: C,
    value: impl Into<Value> + Clone,
    linked: bool,
) -> SimpleExpr {
    if linked {
        // An expression uses no index; the column is never NULL.
        return Func::coalesce([Expr::col(column), Expr::value(value.clone())]).eq(value);
    }
    column.eq(value)
}
