//! Credits: the balance and how long it lasts, who spent it, the ledger, and calls by endpoint.

mod cards;
mod page;

pub(crate) use page::show;
