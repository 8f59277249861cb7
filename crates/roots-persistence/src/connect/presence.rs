//! Whether a node of a cluster answers.

use std::sync::Arc;

use tokio::sync::watch;

/// Whether a node answers, as its monitor has seen it last. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Presence(Arc<watch::Sender<bool>>);

impl Default for Presence {
    /// A node counts as present until its monitor says otherwise.
    fn default() -> Self {
        Self(Arc::new(watch::channel(true).0))
    }
}

impl Presence {
    /// Notes whether the node answers. Returns whether that is new.
    pub(crate) fn note(&self, is_here: bool) -> bool {
        self.0.send_replace(is_here) != is_here
    }

    pub(crate) fn is_away(&self) -> bool {
        !*self.0.borrow()
    }

    /// Waits until the node is away.
    pub(crate) async fn lost(&self) {
        // The sender lives as long as this.
        let _ = self.0.subscribe().wait_for(|is_here| !is_here).await;
    }
}
