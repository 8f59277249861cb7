//! The persistence suite: everything runs on SQLite files and on a real PostgreSQL.

#[cfg(test)]
mod accounting;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod brief;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod deletions;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod events;
#[cfg(test)]
mod expiries;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod keyrings;
#[cfg(test)]
mod many_todos;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod paging;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod random_commands;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod resources;
#[cfg(test)]
mod search;
#[cfg(test)]
mod sign_ins;
#[cfg(test)]
mod silence;
#[cfg(test)]
mod tenants;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod work;
