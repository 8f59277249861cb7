//! Rows as PostgreSQL takes them best: an array a column. However many there are, the statement has one
//! text, which is parsed and planned once, and few values to bind.

use sea_orm::sea_query::{
    Alias, ArrayType, Expr, ExprTrait, Func, InsertStatement, OnConflict, Query, SelectStatement,
    Value,
};
use sea_orm::{ColumnTrait, EntityTrait, Iterable, ModelTrait};

/// What the arrays are called together.
const GIVEN: &str = "given";

/// A statement that inserts rows.
pub(super) fn insert<M: ModelTrait>(
    rows: &[M],
    where_one_stands: Option<&OnConflict>,
) -> InsertStatement {
    type Column<M> = <<M as ModelTrait>::Entity as EntityTrait>::Column;
    let mut arrays = Query::select();
    let mut selected = Query::select();
    for (number, column) in Column::<M>::iter().enumerate() {
        let values: Vec<_> = rows.iter().map(|row| row.get(column)).collect();
        let name = format!("c{number}");
        let value = Expr::col((GIVEN, Alias::new(&name)));
        if column.def().is_null() {
            // Arrays of the library hold no NULL, so that which there are is told beside them.
            let are_null = values.iter().map(|value| Value::from(*value == value.as_null()));
            let null = format!("n{number}");
            add_array(&mut arrays, are_null.collect(), &null);
            let is_null = Expr::col((GIVEN, Alias::new(null)));
            selected.expr(Expr::case(is_null, Expr::cust("NULL")).finally(value));
        } else {
            selected.expr(value);
        }
        let filled =
            |value: Value| if value == value.as_null() { value.dummy_value() } else { value };
        add_array(&mut arrays, values.into_iter().map(filled).collect(), &name);
    }
    selected.from_subquery(arrays, GIVEN);
    let mut insert = Query::insert();
    insert.into_table(M::Entity::default()).columns(Column::<M>::iter());
    // It takes as many columns as are named.
    let _ = insert.select_from(selected);
    if let Some(overwrite) = where_one_stands {
        insert.on_conflict(overwrite.clone());
    }
    insert
}

fn add_array(arrays: &mut SelectStatement, values: Vec<Value>, name: &str) {
    let of = values.first().map_or(ArrayType::BigInt, Value::array_type);
    let cast = match of {
        ArrayType::Bool => "BOOLEAN[]",
        ArrayType::SmallInt => "SMALLINT[]",
        ArrayType::String => "TEXT[]",
        ArrayType::Bytes => "BYTEA[]",
        ArrayType::Uuid => "UUID[]",
        _ => "BIGINT[]",
    };
    let array = Expr::value(Value::Array(of, Some(Box::new(values)))).cast_as(cast);
    arrays.expr_as(Func::cust("UNNEST").arg(array), Alias::new(name));
}
