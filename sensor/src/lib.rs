//! The agent.

pub mod container;
