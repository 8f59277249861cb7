//! All services, built on the ports.

use std::sync::Arc;

use super::access::Access;
use super::accounts::Accounts;
use super::activities::Activities;
use super::brief::Briefs;
use super::dashboard::Dashboards;
use super::erasures::Erasures;
use super::events::Events;
use super::exports::Exports;
use super::idle_sessions::IdleSessions;
use super::imports::Imports;
use super::key_usage::{Backlog, KeyUsage};
use super::keys::Keys;
use super::leftovers::{Leftovers, SingleFlight};
use super::maintenance::Maintenance;
use super::operators::Operators;
use super::search::Search;
use super::sessions::Sessions;
use super::sign_ins::SignIns;
use super::todos::Todos;
use super::usage::Usage;
use super::write::Writes;
use super::write_behind::WriteBehind;
use crate::port::archive::{ArchiveReader, ImportReader};
use crate::port::clock::{Clock, Uids};
use crate::port::crypto::Locksmith;
use crate::port::store::{
    AccountReader, AccountsReader, ActivityReader, AuthEpochs, BriefReader, CommandStore,
    DashboardReader, EventReader, IdempotencyReader, LeftoverReader, Placement, Readiness,
    SearchReader, SessionReader, SilenceReader, TodoReader, UsageReader,
};

/// The ports that the services need.
pub struct Ports {
    /// Applies writes.
    pub commands: Arc<dyn CommandStore>,
    /// Reads accounts, actors and keys.
    pub accounts: Arc<dyn AccountReader>,
    /// Reads accounts for operators.
    pub operators: Arc<dyn AccountsReader>,
    /// Reads sessions.
    pub sessions: Arc<dyn SessionReader>,
    /// Finds silent sessions.
    pub silence: Arc<dyn SilenceReader>,
    /// Reads todos.
    pub todos: Arc<dyn TodoReader>,
    /// Reads activities.
    pub activities: Arc<dyn ActivityReader>,
    /// Reads what a brief tells.
    pub briefs: Arc<dyn BriefReader>,
    /// Reads what a dashboard tells.
    pub dashboards: Arc<dyn DashboardReader>,
    /// Reads texts to search them.
    pub search: Arc<dyn SearchReader>,
    /// Reads rows for exports.
    pub archive: Arc<dyn ArchiveReader>,
    /// Reads what was imported before.
    pub imports: Arc<dyn ImportReader>,
    /// Finds the rest of deletions.
    pub leftovers: Arc<dyn LeftoverReader>,
    /// Reads idempotency records.
    pub idempotency: Arc<dyn IdempotencyReader>,
    /// Reads usage.
    pub usage: Arc<dyn UsageReader>,
    /// Reads what has happened to accounts.
    pub events: Arc<dyn EventReader>,
    /// Tells which accounts share a database server.
    pub placement: Arc<dyn Placement>,
    /// Reports keys that have ended.
    pub epochs: Arc<dyn AuthEpochs>,
    /// Checks whether the database answers.
    pub readiness: Arc<dyn Readiness>,
    /// Makes and opens keys.
    pub locksmith: Arc<dyn Locksmith>,
}

impl Ports {
    /// The ports of a store that implements all of them.
    pub fn of<S>(store: S, locksmith: Arc<dyn Locksmith>) -> Self
    where
        S: CommandStore
            + AccountReader
            + AccountsReader
            + SessionReader
            + SilenceReader
            + TodoReader
            + ActivityReader
            + BriefReader
            + DashboardReader
            + SearchReader
            + ArchiveReader
            + ImportReader
            + LeftoverReader
            + IdempotencyReader
            + UsageReader
            + EventReader
            + Placement
            + AuthEpochs
            + Readiness
            + 'static,
    {
        let store = Arc::new(store);
        Self {
            commands: store.clone(),
            accounts: store.clone(),
            operators: store.clone(),
            sessions: store.clone(),
            silence: store.clone(),
            todos: store.clone(),
            activities: store.clone(),
            briefs: store.clone(),
            dashboards: store.clone(),
            search: store.clone(),
            archive: store.clone(),
            imports: store.clone(),
            leftovers: store.clone(),
            idempotency: store.clone(),
            usage: store.clone(),
            events: store.clone(),
            placement: store.clone(),
            epochs: store.clone(),
            readiness: store,
            locksmith,
        }
    }
}

/// All services.
#[derive(Clone)]
pub struct Services {
    /// Admits callers.
    pub access: Access,
    /// Work sessions.
    pub sessions: Sessions,
    /// Todos and their logs.
    pub todos: Todos,
    /// Activities and their statistics.
    pub activities: Activities,
    /// What an agent has to know when it wakes.
    pub briefs: Briefs,
    /// What needs a person, and who works on what.
    pub dashboards: Dashboards,
    /// Search in their texts.
    pub search: Search,
    /// Accounts and their credits.
    pub accounts: Accounts,
    /// The operations of operators.
    pub operators: Operators,
    /// Actors and keys.
    pub keys: Keys,
    /// Sign-ins on the pages.
    pub sign_ins: SignIns,
    /// When keys were last used.
    pub key_usage: KeyUsage,
    /// Counts the calls of accounts.
    pub usage: Usage,
    /// What has happened to accounts.
    pub events: Events,
    /// Exports.
    pub exports: Exports,
    /// Imports.
    pub imports: Imports,
    /// Erasures.
    pub erasures: Erasures,
    /// Does the rest of deletions.
    pub leftovers: Leftovers,
    /// Ends silent sessions.
    pub idle_sessions: IdleSessions,
    /// Deletes expired records at intervals.
    pub maintenance: Maintenance,
    /// Tells which accounts share a database server.
    pub placement: Arc<dyn Placement>,
    /// Reports keys that have ended.
    pub epochs: Arc<dyn AuthEpochs>,
    /// Checks whether the database answers.
    pub readiness: Arc<dyn Readiness>,
    /// Makes ids for requests that bring none.
    pub uids: Arc<dyn Uids>,
}

impl Services {
    /// All services, with this clock and these uids.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "it names each port of each service once")]
    pub fn new(ports: Ports, clock: Arc<dyn Clock>, uids: Arc<dyn Uids>) -> Self {
        let Ports { commands, accounts, locksmith, .. } = ports;
        let access = Access {
            locksmith: locksmith.clone(),
            reader: accounts.clone(),
            commands: commands.clone(),
            clock: clock.clone(),
        };
        let writes =
            Writes { commands: commands.clone(), accounts: accounts.clone(), clock: clock.clone() };
        Self {
            events: Events { reader: ports.events },
            exports: Exports { access: access.clone(), reader: ports.archive },
            access,
            briefs: Briefs {
                accounts: accounts.clone(),
                reader: ports.briefs,
                clock: clock.clone(),
            },
            dashboards: Dashboards {
                accounts: accounts.clone(),
                reader: ports.dashboards,
                clock: clock.clone(),
            },
            search: Search {
                accounts: accounts.clone(),
                reader: ports.search,
                sessions: ports.sessions.clone(),
                todos: ports.todos.clone(),
                activities: ports.activities.clone(),
            },
            sessions: Sessions {
                writes: writes.clone(),
                reader: ports.sessions,
                uids: uids.clone(),
            },
            todos: Todos { writes: writes.clone(), reader: ports.todos, uids: uids.clone() },
            activities: Activities {
                writes: writes.clone(),
                reader: ports.activities,
                uids: uids.clone(),
            },
            operators: Operators {
                commands: commands.clone(),
                reader: ports.operators,
                accounts: accounts.clone(),
                clock: clock.clone(),
            },
            keys: Keys {
                commands: commands.clone(),
                reader: accounts.clone(),
                clock: clock.clone(),
                uids: uids.clone(),
            },
            sign_ins: SignIns {
                commands: commands.clone(),
                reader: accounts.clone(),
                clock: clock.clone(),
            },
            key_usage: KeyUsage {
                commands: commands.clone(),
                reader: accounts.clone(),
                clock: clock.clone(),
                backlog: Backlog::default(),
            },
            usage: Usage {
                commands: commands.clone(),
                reader: ports.usage,
                placement: ports.placement.clone(),
                clock: clock.clone(),
                pending: WriteBehind::default(),
            },
            imports: Imports {
                commands: commands.clone(),
                accounts: accounts.clone(),
                reader: ports.imports,
                clock: clock.clone(),
                uids: uids.clone(),
            },
            erasures: Erasures {
                commands: commands.clone(),
                locksmith: locksmith.clone(),
                clock: clock.clone(),
            },
            leftovers: Leftovers {
                commands: commands.clone(),
                reader: ports.leftovers,
                clock: clock.clone(),
                single_flight: SingleFlight::default(),
            },
            idle_sessions: IdleSessions {
                commands: commands.clone(),
                reader: ports.silence,
                clock: clock.clone(),
            },
            maintenance: Maintenance {
                commands: commands.clone(),
                reader: ports.idempotency,
                clock: clock.clone(),
            },
            accounts: Accounts { commands, reader: accounts, locksmith, clock, uids: uids.clone() },
            placement: ports.placement,
            epochs: ports.epochs,
            readiness: ports.readiness,
            uids,
        }
    }
}
