//! Accounts, keys, sessions, todos, activities, the ledger, and their counters.

use sea_orm_migration::prelude::*;

use crate::dialect::dialect;

pub(crate) struct FoundingSchema;

impl MigrationName for FoundingSchema {
    fn name(&self) -> &'static str {
        "m0001_founding"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for FoundingSchema {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = dialect(SCHEMA, manager.get_database_backend());
        manager.get_connection().execute_unprepared(&statements).await?;
        Ok(())
    }
}

// Rows of an account are written after the account was loaded and locked, so a foreign key to it
// would check the same again for every row. Foreign keys only link rows within an account. Those of
// frequently written tables are deferred to COMMIT: SQLite then needs no statement journal.
//
// Checks with three or more values use OR: for IN, SQLite builds a temporary table for every row
// that it checks.
const SCHEMA: &str = r"
CREATE TABLE directory (
    one {int} NOT NULL PRIMARY KEY CHECK (one = 1),
    last_account_id {int}
) {strict};
INSERT INTO directory (one) VALUES (1);

CREATE TABLE accounts (
    account_id {int} NOT NULL PRIMARY KEY,
    uid {uid} NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('operator', 'customer')),
    status TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
    balance {int} NOT NULL CHECK (balance >= 0),
    auth_epoch {int} NOT NULL,
    key_epoch {int} NOT NULL,
    last_actor_id {int} NOT NULL,
    last_key_id {int} NOT NULL,
    last_recovery_id {int} NOT NULL,
    last_session_id {int} NOT NULL,
    last_todo_id {int} NOT NULL,
    last_activity_id {int} NOT NULL,
    last_log_id {int} NOT NULL,
    last_ledger_id {int} NOT NULL,
    created_at {int} NOT NULL,
    version {int} NOT NULL
) {strict};

CREATE TABLE actors (
    account_id {int} NOT NULL REFERENCES accounts,
    actor_id {int} NOT NULL,
    uid {uid} NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('agent', 'human')),
    role TEXT NOT NULL CHECK (role IN ('owner', 'member')),
    is_active {small} NOT NULL CHECK (is_active IN (0, 1)),
    key_epoch {int} NOT NULL,
    created_at {int} NOT NULL,
    PRIMARY KEY (account_id, actor_id)
) {by_key};

-- A rotation sets `replaces_key_id`, `grace_seconds` and `first_used_at`: the replaced key stays in
-- force until `grace_seconds` after the first use of this one. `ends_at` is the end of a grace.
-- `is_ended` is 1 once a key has ended for good, which is no matter of time.
CREATE TABLE api_keys (
    account_id {int} NOT NULL,
    key_id {int} NOT NULL,
    actor_id {int} NOT NULL,
    lookup {bytes} NOT NULL,
    prefix TEXT NOT NULL,
    label TEXT,
    created_at {int} NOT NULL,
    last_used {int},
    expires_at {int},
    ends_at {int},
    is_ended {small} NOT NULL DEFAULT 0 CHECK (is_ended IN (0, 1)),
    replaces_key_id {int},
    grace_seconds {int},
    first_used_at {int},
    PRIMARY KEY (account_id, key_id),
    UNIQUE (account_id, lookup),
    CHECK (is_ended = 0 OR ends_at IS NULL),
    FOREIGN KEY (account_id, actor_id) REFERENCES actors
) {by_key};

-- A code stays valid until the first use of the key that a recovery made, `replaced_by_key_id`.
CREATE TABLE recovery_codes (
    account_id {int} NOT NULL REFERENCES accounts,
    recovery_id {int} NOT NULL,
    lookup {bytes} NOT NULL,
    created_at {int} NOT NULL,
    ends_at {int},
    replaced_by_key_id {int},
    PRIMARY KEY (account_id, recovery_id),
    UNIQUE (account_id, lookup)
) {by_key};

-- A row is one key wrapped under another. The account key has id 0 as subject and as holder. API keys
-- and recovery codes have no epochs, and have epoch 0 as holders.
CREATE TABLE key_wraps (
    account_id {int} NOT NULL REFERENCES accounts,
    holder_kind TEXT NOT NULL CHECK (holder_kind = 'api_key' OR holder_kind = 'recovery'
        OR holder_kind = 'account' OR holder_kind = 'actor'),
    holder_id {int} NOT NULL,
    holder_epoch {int} NOT NULL,
    subject_kind TEXT NOT NULL CHECK (subject_kind IN ('account', 'actor')),
    subject_id {int} NOT NULL,
    subject_epoch {int} NOT NULL,
    sealed {bytes} NOT NULL,
    PRIMARY KEY (account_id, holder_kind, holder_id, holder_epoch,
        subject_kind, subject_id, subject_epoch)
) {by_key};

CREATE TABLE sessions (
    account_id {int} NOT NULL,
    session_id {int} NOT NULL,
    uid {uid} NOT NULL,
    actor_id {int} NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'ended')),
    notes {bytes},
    started_at {int} NOT NULL,
    ended_at {int},
    version {int} NOT NULL,
    PRIMARY KEY (account_id, session_id)
) {strict};
CREATE INDEX sessions_by_start ON sessions (account_id, actor_id, started_at, session_id);
CREATE INDEX sessions_by_status ON sessions (account_id, actor_id, status, started_at, session_id);

CREATE TABLE todos (
    account_id {int} NOT NULL,
    todo_id {int} NOT NULL,
    uid {uid} NOT NULL,
    actor_id {int} NOT NULL,
    session_id {int},
    title {bytes} NOT NULL,
    description {bytes},
    status TEXT NOT NULL CHECK (status = 'open' OR status = 'in_progress'
        OR status = 'done' OR status = 'cancelled'),
    priority {small} NOT NULL CHECK (priority BETWEEN 0 AND 3),
    due_at {int},
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    version {int} NOT NULL,
    PRIMARY KEY (account_id, todo_id),
    FOREIGN KEY (account_id, session_id) REFERENCES sessions DEFERRABLE INITIALLY DEFERRED
) {strict};
CREATE INDEX todos_by_priority ON todos (account_id, actor_id, priority, created_at, todo_id);
CREATE INDEX todos_by_status
    ON todos (account_id, actor_id, status, priority, created_at, todo_id);
CREATE INDEX todos_by_session ON todos (account_id, session_id, priority, created_at, todo_id)
    WHERE session_id IS NOT NULL;

CREATE TABLE todo_logs (
    account_id {int} NOT NULL,
    todo_id {int} NOT NULL,
    log_id {int} NOT NULL,
    uid {uid} NOT NULL,
    old_status TEXT NOT NULL CHECK (old_status = 'open' OR old_status = 'in_progress'
        OR old_status = 'done' OR old_status = 'cancelled'),
    new_status TEXT NOT NULL CHECK (new_status = 'open' OR new_status = 'in_progress'
        OR new_status = 'done' OR new_status = 'cancelled'),
    note {bytes},
    logged_at {int} NOT NULL,
    PRIMARY KEY (account_id, todo_id, log_id),
    FOREIGN KEY (account_id, todo_id) REFERENCES todos ON DELETE CASCADE
        DEFERRABLE INITIALLY DEFERRED
) {strict};

CREATE TABLE activities (
    account_id {int} NOT NULL,
    activity_id {int} NOT NULL,
    uid {uid} NOT NULL,
    actor_id {int} NOT NULL,
    session_id {int},
    activity_type TEXT NOT NULL,
    description {bytes} NOT NULL,
    logged_at {int} NOT NULL,
    created_at {int} NOT NULL,
    version {int} NOT NULL,
    PRIMARY KEY (account_id, activity_id),
    FOREIGN KEY (account_id, session_id) REFERENCES sessions DEFERRABLE INITIALLY DEFERRED
) {strict};
CREATE INDEX activities_by_time ON activities (account_id, actor_id, logged_at, activity_id);
CREATE INDEX activities_by_type
    ON activities (account_id, actor_id, activity_type, logged_at, activity_id);
CREATE INDEX activities_by_session ON activities (account_id, session_id, logged_at, activity_id)
    WHERE session_id IS NOT NULL;

CREATE TABLE ledger (
    account_id {int} NOT NULL,
    ledger_id {int} NOT NULL,
    delta {int} NOT NULL,
    balance_after {int} NOT NULL CHECK (balance_after >= 0),
    reason TEXT NOT NULL CHECK (reason = 'bootstrap_grant' OR reason = 'operator_grant'
        OR reason = 'api_write'),
    endpoint TEXT,
    actor_id {int},
    note TEXT,
    created_at {int} NOT NULL,
    PRIMARY KEY (account_id, ledger_id)
) {by_key};
-- Nearly all entries are paid writes. The primary key finds them as fast, so they are left out.
CREATE INDEX ledger_by_reason ON ledger (account_id, reason, ledger_id)
    WHERE reason <> 'api_write';

-- Counts that each write updates. Actor 0 is the account itself.
CREATE TABLE counters (
    account_id {int} NOT NULL,
    actor_id {int} NOT NULL,
    subject TEXT NOT NULL CHECK (subject = 'sessions' OR subject = 'todos'
        OR subject = 'activities' OR subject = 'ledger'),
    label TEXT NOT NULL,
    count {int} NOT NULL,
    PRIMARY KEY (account_id, actor_id, subject, label)
) {by_key};

CREATE TABLE activity_daily (
    account_id {int} NOT NULL,
    actor_id {int} NOT NULL,
    day {int} NOT NULL,
    activity_type TEXT NOT NULL,
    count {int} NOT NULL,
    PRIMARY KEY (account_id, actor_id, day, activity_type)
) {by_key};
";
