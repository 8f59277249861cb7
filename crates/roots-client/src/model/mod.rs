//! What requests send and answers have, field by field. Fields that are not explained here are
//! explained in the reference of the API.

mod account;
mod activity;
mod actor;
mod audit;
mod brief;
mod claim;
mod credit;
mod event;
mod export_line;
mod import;
mod key;
mod paging;
mod search;
mod service;
mod session;
mod todo;
mod usage;
mod words;
mod work;

pub use account::{
    Account, AccountErased, AccountPage, AccountState, AccountStatus, AccountType, Bootstrapped,
    Erasure, NewAccount, Recovered, Recovery, RecoveryCodeRenewed, Whoami,
};
pub use activity::{
    Activity, ActivityDeleted, ActivityFilter, ActivityPage, ActivityStats, DayCount, NewActivity,
    SessionCounts, StatsFilter, TypeCount,
};
pub use actor::{
    Actor, ActorChange, ActorDeactivated, ActorFilter, ActorPage, ActorType, NewActor, Role,
};
pub use audit::{AuditAction, AuditEntry, AuditPage};
pub use brief::{
    Action, Brief, BriefChange, BriefCounts, BriefList, BriefQuery, BriefSessionCounts, BriefTodo,
    NextAction, NextTodo, Omitted, TodoCounts,
};
pub use claim::{Claim, NewClaim, Release};
pub use credit::{
    CostModel, Credits, CreditsGranted, LedgerEntry, LedgerFilter, LedgerPage, LedgerReason,
    NewCredits,
};
pub use event::{Event, EventAction, EventKind, EventOptions, EventUpdate};
pub use export_line::{
    ActivityLine, ActorLine, Counts, EndLine, ErrorLine, ExportLine, HeaderLine, SessionLine,
    StepLine, TodoLine,
};
pub use import::{
    Import, ImportOptions, ImportedCounts, InvalidField, LineErrors, MissingCounts, MissingLine,
};
pub use key::{Key, KeyPage, KeyRevoked, NewKey, NewKeyShown, Rotation};
pub use paging::{Page, PageStart, Paging};
pub use search::{Search, SearchField, SearchKind, SearchResult, SearchResults};
pub use service::{Health, Ready, ReadyStatus};
pub use session::{
    EndReason, ListedSession, NewSession, Session, SessionChange, SessionDeleted, SessionFilter,
    SessionPage, SessionStatus,
};
pub use todo::{
    ListedTodo, NewTodo, StatusChange, Todo, TodoChange, TodoDeleted, TodoFilter, TodoLog,
    TodoPage, TodoSort, TodoStatus,
};
pub use usage::{DayCalls, EndpointCalls, Usage, UsageHistory};
pub use work::{
    ActorCredits, ActorTodos, CreditStats, DayCredits, DayTodos, TodoStats, WindowFilter,
};

pub(crate) use paging::Query;
