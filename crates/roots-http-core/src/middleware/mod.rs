//! The middleware that every request passes, and the limits on the memory of requests and answers.

mod apply_layer;
pub mod compression;
pub mod cors;
mod drain;
pub mod fair_permits;
pub mod hosts;
pub mod large_bodies;
pub mod large_pages;
pub mod list_permits;
pub mod long_requests;
pub mod memory_budget;
pub mod pipeline;
pub mod progress;
pub mod route_traits;
pub mod searches;
