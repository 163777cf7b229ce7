//! Alerts: what a match of a rule becomes on its way out.
//!
//! Made by the sensor and by `replay` alike, from an event document and a match. [`complete`] adds what container
//! engines tell; [`document`] is what leaves, as Elastic has it.

pub mod chain;
pub mod complete;
pub mod document;
pub mod loss;
mod reason;

pub use chain::{ChainLink, chain_from_event};
pub use document::{AMENDMENT, Alert, BUILDING_BLOCK_TYPE, ContainerMetadata};

#[cfg(test)]
pub mod sample;
