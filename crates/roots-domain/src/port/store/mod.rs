//! The ports for the database.

mod accounts;
mod activities;
mod admission;
mod brief;
mod commands;
mod dashboard;
mod events;
mod idempotency;
mod leftovers;
mod operators;
mod placement;
mod readiness;
mod search;
mod sessions;
mod todos;
mod usage;
mod verify;
mod work;

#[cfg(any(test, feature = "mock"))]
pub use self::{
    accounts::MockAccountReader,
    activities::MockActivityReader,
    admission::MockAuthEpochs,
    brief::MockBriefReader,
    commands::MockCommandStore,
    dashboard::MockDashboardReader,
    events::MockEventReader,
    idempotency::MockIdempotencyReader,
    leftovers::MockLeftoverReader,
    operators::MockAccountsReader,
    placement::MockPlacement,
    readiness::MockReadiness,
    search::MockSearchReader,
    sessions::{MockSessionReader, MockSilenceReader},
    todos::MockTodoReader,
    usage::MockUsageReader,
    verify::MockVerifier,
};
pub use accounts::{
    AccountReader, Credentials, HeldActor, KeyAccount, KeyQuery, KeysOver, ListedKey, ListedSignIn,
    Recoverable, SignInQuery,
};
pub use activities::{ActivityFilter, ActivityReader};
pub use admission::{Admission, AuthEpochs, EpochListener};
pub use brief::{BriefQuery, BriefReader, LONG_TEXTS_MAX};
pub use commands::{ApplyError, CommandStore, StoreError, StoreResult};
pub use dashboard::{
    AGENTS_MAX, DashboardQuery, DashboardReader, EXPIRING_KEYS_MAX, IN_PROGRESS_MAX,
    LANE_SESSIONS_MAX, LATEST_MAX, NEXT_UP_MAX, OPEN_SESSIONS_MAX, OVERDUE_MAX, QuarterHourQuery,
    TimelineQuery, WAITING_SESSIONS_MAX,
};
pub use events::{AccountState, EventReader, STATES_MAX};
pub use idempotency::IdempotencyReader;
pub use leftovers::{Leftover, LeftoverReader};
pub use operators::{AccountOverview, AccountsReader};
pub use placement::{Placement, by_server};
pub use readiness::Readiness;
pub use search::{
    ItemFilter, ItemPosition, ItemSource, NOTES_CHUNK_ROWS, SHORT_TEXTS_MAX_BYTES, SealedItem,
    SearchReader,
};
pub use sessions::{SessionQuery, SessionReader, SilenceReader, SilentSessions};
pub use todos::{
    FinishedTodos, LOG_CHUNK_STEPS, OverdueTodos, SessionTodos, TodoLog, TodoQuery, TodoReader,
};
pub use usage::UsageReader;
pub use verify::{Discrepancy, Mismatch, Verifier};
pub use work::WorkQuery;
