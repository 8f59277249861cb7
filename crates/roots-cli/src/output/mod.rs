//! What the program writes: data on standard output, everything else on standard error.

mod bar;
mod json;
mod shape;
mod table;
mod terminal;
mod text;

pub(crate) use bar::bar;
pub(crate) use json::View;
pub(crate) use shape::{
    ACTIVITY, ACTOR, ACTOR_DEACTIVATED, ACTOR_LIST, ANY, BRIEF, CREDITS, EVENT, IMPORT, KEY_LIST,
    KEY_REVOKED, KEY_SHOWN, LEDGER, RECOVERED, RECOVERY_CODE, SEARCH_RESULTS, SESSION, STATS,
    Shape, TODO, TODO_CLAIMED, TODO_DELETED, TODO_LIST, TODO_LOG, USAGE, USAGE_BY_DAY,
};
pub(crate) use table::Table;
pub(crate) use terminal::{Output, harmless_json, line, shows_data, tell};
pub(crate) use text::{is_hidden, one_line, printable};
