//! The commands of a batch by the shard of their accounts, on a node of a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use roots_domain::command::Command;

use super::batch::{Decisions, Part};
use crate::connect::shard::Shard;
use crate::connect::source::Source;

/// The commands of a batch, in the order of their shards.
pub(super) struct ByShard {
    shards: Vec<OfShard>,
}

struct OfShard {
    shard: Arc<Shard>,
    commands: Vec<Command>,
    /// The place of each command in the batch.
    places: Vec<usize>,
}

impl ByShard {
    /// Groups the commands of a batch. `None` if one is not about accounts of one shard of that
    /// node.
    pub(super) fn of(source: &Source, commands: &[Command]) -> Option<Self> {
        let mut shards = BTreeMap::<_, OfShard>::new();
        for (place, command) in commands.iter().enumerate() {
            let shard = source.shard_of(command.accounts())?;
            let of_shard = shards.entry(shard.number()).or_insert_with(|| OfShard {
                shard,
                commands: Vec::new(),
                places: Vec::new(),
            });
            of_shard.commands.push(command.clone());
            of_shard.places.push(place);
        }
        Some(Self { shards: shards.into_values().collect() })
    }

    /// The batch, to be applied to the tables of the shards.
    pub(super) fn parts(&self) -> Vec<Part<'_>> {
        let parts = self.shards.iter().map(|OfShard { shard, commands, .. }| Part {
            commands,
            shard: Some(Arc::clone(shard)),
        });
        parts.collect()
    }

    /// The replies to the [parts](Self::parts) in the order of the batch.
    pub(super) fn in_order(&self, answers: Decisions) -> Decisions {
        let places = self.shards.iter().flat_map(|of| &of.places);
        let mut in_order: Vec<_> = places.zip(answers).collect();
        in_order.sort_by_key(|(place, _)| **place);
        in_order.into_iter().map(|(_, answer)| answer).collect()
    }
}
