//! The rules: what a cluster lacks.

use std::collections::BTreeMap;

use super::cluster::{
    Cluster, DIRECTORY, Node, NodeName, NodeState, Placement, Report, TENANT, Table,
};
use super::finding::Finding;

/// The oldest version on which Roots was proved.
const OLDEST: (u32, u32) = (13, 2);
/// A process has up to 3 transactions at a time that span nodes, a migration has 1. This is enough
/// for ten processes, twice, because what a lost node leaves prepared stays until it is recovered.
const PREPARED_MIN: i64 = 64;
/// Milliseconds after which a prepared transaction of a lost node is settled at the latest. Until
/// then it blocks its account.
const RECOVERY_MAX: i64 = 60_000;
/// Milliseconds that a command waits at most for a node that does not answer.
const CONNECTING_MAX: i64 = 5_000;

/// Finds what a cluster lacks, in the order in which to mend it.
pub(super) fn findings(cluster: &Cluster) -> Vec<Finding> {
    let Some(version) = &cluster.extension else {
        return vec![Finding::NoExtension { node: None, database: cluster.database.clone() }];
    };
    let mut found = Vec::new();
    found.extend(of_extension(None, version, cluster));
    if !cluster.is_coordinator {
        found.push(Finding::NotCoordinator);
        return found;
    }
    let coordinator = cluster.nodes.iter().find(|node| node.is_coordinator);
    if coordinator.is_none() {
        found.push(Finding::CoordinatorUnknown);
    }
    let workers = cluster.workers().count();
    if workers == 0 {
        let (role, database) = (cluster.role.clone(), cluster.database.clone());
        found.push(Finding::NoWorkers { role, database });
    }
    found.extend(cluster.nodes.iter().filter_map(|node| of_node(node, cluster)));
    found.extend(apart(cluster));
    found.extend(cluster.nodes.iter().flat_map(of_settings));
    if let Some(coordinator) = coordinator {
        let node = || coordinator.name.clone();
        if coordinator.takes_shards {
            found.push(Finding::CoordinatorTakesShards { node: node() });
        }
        let shards = cluster.shards.on_coordinator;
        if shards > 0 {
            found.push(Finding::ShardsOnCoordinator { node: node(), shards });
        }
    }
    found.extend(of_tables(cluster));
    let shards = cluster.shards.all;
    if cluster.colocation().is_some() && usize::try_from(shards).is_ok_and(|all| all < workers) {
        found.push(Finding::TooFewShards { shards, workers });
    }
    found
}

/// Whether a version of the extension, such as `13.2-1`, is new enough.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST
}

fn of_extension(node: Option<&NodeName>, version: &str, cluster: &Cluster) -> Option<Finding> {
    let (node, database) = (node.cloned(), cluster.database.clone());
    let old = || Finding::OldExtension { node, database, version: version.to_owned() };
    (!is_new_enough(version)).then(old)
}

/// What is wrong with a node itself.
fn of_node(node: &Node, cluster: &Cluster) -> Option<Finding> {
    let name = || node.name.clone();
    if node.state == NodeState::Inactive {
        return Some(Finding::Inactive { node: name() });
    }
    match &node.report {
        Report::Unreachable(cause) => Some(Finding::Unreachable {
            node: name(),
            role: cluster.role.clone(),
            database: cluster.database.clone(),
            cause: cause.clone(),
        }),
        Report::Answered { extension: None, .. } => {
            Some(Finding::NoExtension { node: Some(name()), database: cluster.database.clone() })
        }
        Report::Answered { extension: Some(version), .. }
            if !node.is_coordinator && !is_new_enough(version) =>
        {
            of_extension(Some(&node.name), version, cluster)
        }
        _ if node.state == NodeState::WithoutMetadata => Some(Finding::NoMetadata { node: name() }),
        _ => None,
    }
}

/// The pairs of nodes that do not reach each other, except those with a node that the coordinator
/// does not reach either.
fn apart(cluster: &Cluster) -> impl Iterator<Item = Finding> {
    let is_well = |name: &NodeName| {
        let node = cluster.nodes.iter().find(|node| node.name == *name);
        node.is_some_and(|node| matches!(node.report, Report::Answered { extension: Some(_), .. }))
    };
    let pairs = cluster.apart.iter().filter(move |(from, to)| is_well(from) && is_well(to));
    pairs.map(|(from, to)| Finding::Apart {
        from: from.clone(),
        to: to.clone(),
        role: cluster.role.clone(),
    })
}

/// A setting that nodes need.
struct Setting {
    name: &'static str,
    is_good: fn(&str) -> bool,
    unit: &'static str,
    wanted: &'static str,
    reason: &'static str,
    needs_restart: bool,
    is_advice: bool,
    /// Which nodes need it: the coordinator, the workers.
    nodes: (bool, bool),
}

fn number(value: &str) -> i64 {
    value.parse().unwrap_or(-1)
}

const SETTINGS: [Setting; 4] = [
    Setting {
        name: "max_prepared_transactions",
        is_good: |value| number(value) >= PREPARED_MIN,
        unit: "",
        wanted: "64 or more (if it is not set, Citus sets it to twice max_connections)",
        reason: "What spans machines is prepared on each of them before it is committed, and is refused where that is not possible.",
        needs_restart: true,
        is_advice: false,
        nodes: (true, true),
    },
    Setting {
        name: "citus.recover_2pc_interval",
        is_good: |value| (1..=RECOVERY_MAX).contains(&number(value)),
        unit: "ms",
        wanted: "5s",
        reason: "What a lost machine has left prepared blocks its accounts for so long.",
        needs_restart: false,
        is_advice: false,
        nodes: (true, true),
    },
    Setting {
        name: "citus.node_connection_timeout",
        is_good: |value| (1..=CONNECTING_MAX).contains(&number(value)),
        unit: "ms",
        wanted: "2s",
        reason: "A command waits so long for a machine that does not answer.",
        needs_restart: false,
        is_advice: false,
        nodes: (true, false),
    },
    Setting {
        name: "wal_level",
        is_good: |value| value == "logical",
        unit: "",
        wanted: "logical",
        reason: "Without it, accounts can't be written while their shard moves to another machine.",
        needs_restart: true,
        is_advice: true,
        nodes: (false, true),
    },
];

/// The settings of a node that are wrong.
fn of_settings(node: &Node) -> Vec<Finding> {
    let Report::Answered { settings, .. } = &node.report else { return Vec::new() };
    let (coordinator, name) = (node.is_coordinator, &node.name);
    let needed = SETTINGS.iter().filter(|setting| match setting.nodes {
        (of_coordinator, _) if coordinator => of_coordinator,
        (_, of_workers) => of_workers,
    });
    needed.filter_map(|setting| wrong(setting, settings, coordinator, name)).collect()
}

fn wrong(
    setting: &Setting,
    settings: &BTreeMap<String, String>,
    coordinator: bool,
    name: &NodeName,
) -> Option<Finding> {
    let value = settings.get(setting.name);
    if value.is_some_and(|value| (setting.is_good)(value)) {
        return None;
    }
    let with_unit = |value: &String| {
        let unit = if number(value) > 0 { setting.unit } else { "" };
        format!("{value}{unit}")
    };
    Some(Finding::Setting {
        node: (!coordinator).then(|| name.clone()),
        name: setting.name,
        value: value.map(with_unit),
        wanted: setting.wanted,
        reason: setting.reason,
        needs_restart: setting.needs_restart,
        is_advice: setting.is_advice,
    })
}

/// The tables that are not where they should be.
fn of_tables(cluster: &Cluster) -> Vec<Finding> {
    let ours = |table: &&Table| table.is_tenants || table.name == DIRECTORY;
    let mut ours = cluster.tables.iter().filter(ours).peekable();
    if ours.peek().is_none() {
        return vec![Finding::NoTables];
    }
    let group = cluster.colocation();
    ours.filter_map(|table| {
        let name = || table.name.clone();
        match &table.placement {
            Placement::Plain => Some(Finding::NotSpread { table: name() }),
            Placement::Local if !table.is_tenants => None,
            Placement::Distributed { column, colocation }
                if table.is_tenants && column == TENANT && Some(*colocation) == group =>
            {
                table.has_local_rows.then(|| Finding::CopyLeft { table: name() })
            }
            _ => Some(Finding::SpreadOtherwise { table: name() }),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::cluster::Shards;
    use super::*;

    fn name(port: i32) -> NodeName {
        NodeName { host: "db".to_owned(), port }
    }

    fn node(port: i32) -> Node {
        let settings = [
            ("max_prepared_transactions", "200"),
            ("citus.recover_2pc_interval", "5000"),
            ("citus.node_connection_timeout", "2000"),
            ("wal_level", "logical"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Node {
            name: name(port),
            is_coordinator: port == 1,
            state: NodeState::Ready,
            takes_shards: port != 1,
            report: Report::Answered { extension: Some("13.2-1".to_owned()), settings },
        }
    }

    fn table(name: &str, placement: Placement) -> Table {
        let is_tenants = name != DIRECTORY && name != "seaql_migrations";
        Table { name: name.to_owned(), is_tenants, placement, has_local_rows: false }
    }

    fn spread(name: &str) -> Table {
        table(name, Placement::Distributed { column: TENANT.to_owned(), colocation: 7 })
    }

    fn whole() -> Cluster {
        Cluster {
            role: "roots".to_owned(),
            database: "main".to_owned(),
            extension: Some("13.2-1".to_owned()),
            is_coordinator: true,
            nodes: vec![node(1), node(2), node(3)],
            tables: vec![
                spread("accounts"),
                table(DIRECTORY, Placement::Local),
                table("seaql_migrations", Placement::Plain),
                spread("todos"),
            ],
            shards: Shards { all: 32, on_coordinator: 0 },
            apart: Vec::new(),
        }
    }

    /// What is found after a change.
    fn after(change: impl FnOnce(&mut Cluster)) -> Vec<String> {
        let mut cluster = whole();
        change(&mut cluster);
        findings(&cluster).iter().map(ToString::to_string).collect()
    }

    fn only(change: impl FnOnce(&mut Cluster)) -> String {
        let mut found = after(change);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    fn set(node: &mut Node, name: &str, value: &str) {
        let Report::Answered { settings, .. } = &mut node.report else { panic!("no report") };
        settings.insert(name.to_owned(), value.to_owned());
    }

    #[test]
    fn a_whole_cluster_lacks_nothing() {
        assert_eq!(after(|_| ()), [""; 0]);
    }

    #[test]
    fn versions_from_13_2_on_are_new_enough() {
        let judged = ["13.2-1", "13.10-2", "14.0-1", "13.1-1", "12.9-1", "?"].map(is_new_enough);
        assert_eq!(judged, [true, true, true, false, false, false]);
    }

    #[test]
    fn a_missing_or_old_extension_is_told_with_its_machine() {
        assert_eq!(
            only(|cluster| cluster.extension = None),
            "The coordinator has no extension citus in the database main. As a superuser, in psql on that database of that machine: CREATE EXTENSION citus;"
        );
        let missing = only(|cluster| {
            let Report::Answered { extension, .. } = &mut cluster.nodes[1].report else {
                panic!("no report")
            };
            *extension = None;
        });
        assert!(missing.starts_with("Node db:2 has no extension citus"), "{missing}");
        let old = only(|cluster| {
            let Report::Answered { extension, .. } = &mut cluster.nodes[2].report else {
                panic!("no report")
            };
            *extension = Some("12.1-1".to_owned());
        });
        assert!(
            old.starts_with("Node db:3 has the extension citus 12.1-1 in the database main, and Roots needs 13.2 or newer."),
            "{old}"
        );
        let found = findings(&Cluster { extension: Some("13.1-1".to_owned()), ..whole() });
        assert!(matches!(found[..], [Finding::OldExtension { node: None, .. }]), "{found:?}");
    }

    #[test]
    fn a_url_that_leads_to_a_worker_is_told() {
        assert_eq!(
            only(|cluster| cluster.is_coordinator = false),
            "ROOTS_DATABASE_URL leads to a worker. Set it to the address of the coordinator."
        );
    }

    #[test]
    fn missing_nodes_are_told_with_the_statements_that_add_them() {
        let found = after(|cluster| {
            cluster.nodes.clear();
            cluster.tables.clear();
            cluster.shards = Shards::default();
        });
        assert_eq!(
            found,
            [
                "The workers do not know the coordinator. As a superuser, in psql on the coordinator's database: SELECT citus_set_coordinator_host('NAME', 5432); with the name and the port by which the workers and Roots reach it.",
                "The coordinator has no workers. As a superuser, in psql on each worker: CREATE ROLE roots LOGIN; CREATE DATABASE main OWNER roots; and, in that database: CREATE EXTENSION citus; Then as a superuser, in psql on the coordinator's database, for each worker: SELECT citus_add_node('NAME', 5432); with the name by which the nodes and Roots reach it.",
                "The database has no tables yet. Run: roots-server distribute",
            ]
        );
    }

    #[test]
    fn a_node_that_can_t_be_used_is_told_once() {
        assert_eq!(
            only(|cluster| {
                cluster.nodes[1].state = NodeState::Inactive;
                cluster.nodes[1].report = Report::None;
            }),
            "Node db:2 is inactive. As a superuser, in psql on the coordinator's database: SELECT citus_activate_node('db', 2);"
        );
        let lost = only(|cluster| {
            cluster.nodes[2].report = Report::Unreachable("failed to connect".to_owned());
            cluster.apart = vec![(name(1), name(3)), (name(3), name(2))];
        });
        assert!(
            lost.starts_with("Node db:3 can't be reached by the coordinator as roots in the database main (failed to connect)."),
            "{lost}"
        );
        assert_eq!(
            only(|cluster| cluster.nodes[1].state = NodeState::WithoutMetadata),
            "Node db:2 does not know where all shards are. As a superuser, in psql on the coordinator's database: SELECT start_metadata_sync_to_all_nodes();"
        );
        let apart = only(|cluster| cluster.apart = vec![(name(2), name(3))]);
        assert!(apart.starts_with("Node db:2 does not reach node db:3 as roots."), "{apart}");
    }

    #[test]
    fn a_coordinator_with_shards_is_told() {
        let found = after(|cluster| {
            cluster.nodes[0].takes_shards = true;
            cluster.shards.on_coordinator = 4;
        });
        assert_eq!(
            found,
            [
                "The coordinator may be given shards, and its loss would then harm all accounts at once. As a superuser, in psql on the coordinator's database: SELECT citus_set_node_property('db', 1, 'shouldhaveshards', false);",
                "The coordinator holds 4 shards of accounts. As a superuser, in psql on the coordinator's database: SELECT citus_drain_node('db', 1);",
            ]
        );
    }

    #[test]
    fn tables_that_are_not_spread_or_spread_otherwise_are_told() {
        assert_eq!(
            only(|cluster| cluster.tables.push(table("votes", Placement::Plain))),
            "The table votes is not spread. Stop all Roots processes and run: roots-server distribute"
        );
        let other = |column: &str, colocation| Placement::Distributed {
            column: column.to_owned(),
            colocation,
        };
        for otherwise in [
            table("votes", other(TENANT, 8)),
            table("votes", other("todo_id", 7)),
            table("votes", Placement::Reference),
            table("votes", Placement::Local),
            table(DIRECTORY, Placement::Reference),
            table(DIRECTORY, other("one", 9)),
        ] {
            let said = only(|cluster| {
                cluster.tables.retain(|table| table.name != otherwise.name);
                cluster.tables.push(otherwise);
            });
            assert!(said.contains(" is spread in another way than Roots needs."), "{said}");
        }
        let copy = only(|cluster| cluster.tables[0].has_local_rows = true);
        assert!(copy.starts_with("The coordinator still has a copy of the rows"), "{copy}");
    }

    #[test]
    fn there_is_a_shard_for_each_worker() {
        let few = only(|cluster| cluster.shards.all = 1);
        assert!(few.starts_with("There are 1 shards for 2 workers"), "{few}");
        assert_eq!(after(|cluster| cluster.shards.all = 2), [""; 0]);
    }

    #[test]
    fn settings_are_judged_by_what_their_node_needs() {
        for (node, name, bad, good) in [
            (1, "max_prepared_transactions", &["0", "63"][..], "64"),
            (0, "max_prepared_transactions", &["0"], "64"),
            (2, "citus.recover_2pc_interval", &["-1", "0", "60001"], "60000"),
            (0, "citus.node_connection_timeout", &["30000"], "5000"),
            (2, "wal_level", &["replica"], "logical"),
        ] {
            for value in bad {
                let said = only(|cluster| set(&mut cluster.nodes[node], name, value));
                assert!(said.contains(&format!(" has {name} = {value}")), "{said}");
            }
            assert_eq!(after(|cluster| set(&mut cluster.nodes[node], name, good)), [""; 0]);
        }
        for (node, name, value) in
            [(1, "citus.node_connection_timeout", "30000"), (0, "wal_level", "replica")]
        {
            assert_eq!(after(|cluster| set(&mut cluster.nodes[node], name, value)), [""; 0]);
        }
        assert_eq!(
            only(|cluster| set(&mut cluster.nodes[1], "max_prepared_transactions", "8")),
            "Node db:2 has max_prepared_transactions = 8. What spans machines is prepared on each of them before it is committed, and is refused where that is not possible. Set it to 64 or more (if it is not set, Citus sets it to twice max_connections) in postgresql.conf there and restart PostgreSQL."
        );
        assert_eq!(
            only(|cluster| set(&mut cluster.nodes[0], "citus.node_connection_timeout", "30000")),
            "The coordinator has citus.node_connection_timeout = 30000ms. A command waits so long for a machine that does not answer. Set it to 2s in postgresql.conf there and reload PostgreSQL."
        );
    }

    #[test]
    fn only_the_level_of_the_log_is_advice() {
        let mut cluster = whole();
        set(&mut cluster.nodes[1], "wal_level", "replica");
        set(&mut cluster.nodes[1], "max_prepared_transactions", "8");
        let advice: Vec<_> = findings(&cluster).iter().map(Finding::is_advice).collect();
        assert_eq!(advice, [false, true]);
    }
}
