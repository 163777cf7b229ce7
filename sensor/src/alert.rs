//! Alerts: what a match of a rule becomes on its way out.
//!
//! Made by the sensor and by `replay` alike, from an event document and a match. [`complete`] adds what container
//! engines report, [`growing`] what else is new; [`document`] is what leaves, as Elastic has it.

pub(crate) mod chain;
pub(crate) mod complete;
pub(crate) mod document;
mod event;
pub(crate) mod growing;
pub(crate) mod held_back;
pub(crate) mod loss;
mod reason;
pub(crate) mod suppressed;

pub(crate) use chain::{ChainLink, chain_from_event, chain_of};
pub(crate) use document::{ALERT_ID, AMENDMENT, Alert, BUILDING_BLOCK_TYPE};
pub(crate) use event::{SharedEvent, owner};

#[cfg(test)]
pub(crate) mod sample;
