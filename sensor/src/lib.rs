//! The agent of Tidewaiter, as a library; the binary `tidewaiter` calls it.

pub mod agent;
pub mod alert;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod decode;
pub mod detection;
pub mod enrich;
pub mod history;
pub mod identity;
pub mod kernel;
pub mod output;
pub mod pipeline;
pub mod process;
pub mod record;
pub mod rule_files;
pub mod telemetry;
pub mod text;
