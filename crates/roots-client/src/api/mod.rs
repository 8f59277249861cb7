//! The operations of the API, one method each.

mod accounts;
mod activities;
mod actors;
mod brief;
mod claims;
mod credits;
mod events;
mod keys;
mod operators;
mod search;
mod service;
mod sessions;
mod todos;
mod transfer;
