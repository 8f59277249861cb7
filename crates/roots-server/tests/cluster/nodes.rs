//! The nodes of the cluster, which the caller's commands stop and start.

use std::env;
use std::process::Command;

use roots_testkit::cluster::ClusterNode;

/// A stopped node. It is started when this is dropped.
pub(crate) struct StoppedNode {
    node: ClusterNode,
    is_started: bool,
}

impl StoppedNode {
    /// Stops a node, and returns when it has stopped.
    pub(crate) fn stop(node: &ClusterNode) -> Self {
        run("ROOTS_TEST_CLUSTER_STOP", node);
        Self { node: node.clone(), is_started: false }
    }

    /// Starts it, and returns when it accepts connections.
    pub(crate) fn start(mut self) {
        self.is_started = true;
        run("ROOTS_TEST_CLUSTER_START", &self.node);
    }
}

impl Drop for StoppedNode {
    fn drop(&mut self) {
        if !self.is_started {
            run("ROOTS_TEST_CLUSTER_START", &self.node);
        }
    }
}

/// Runs the shell command in that variable for a node.
fn run(variable: &str, node: &ClusterNode) {
    let command = env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: cargo xtask test --cluster URL --stop COMMAND --start COMMAND"
        )
    });
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).env("ROOTS_NODE_HOST", &node.host);
    let status = shell.env("ROOTS_NODE_PORT", node.port.to_string()).status().unwrap();
    assert!(status.success(), "`{command}` for {}: {status}", node.name());
}
