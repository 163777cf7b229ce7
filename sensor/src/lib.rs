//! The agent of Tidewaiter, as a library; the binary `tidewaiter` calls its [`main`].
//!
//! The order of the modules is in `xtask/src/tidy/rooms.rs`.

mod agent;
mod alert;
#[cfg(test)]
mod allocated;
mod cli;
mod clock;
mod commands;
mod config;
mod control;
mod decode;
mod detection;
mod enrich;
mod event;
mod history;
mod identity;
mod kernel;
mod notice;
mod outputs;
mod pipeline;
mod process;
mod record;
mod rule_files;
mod sandbox;
mod scheduling;
mod telemetry;
mod text;

pub use commands::main;

/// The command line's definition, for manual pages and completions.
#[doc(hidden)]
pub fn command_line() -> clap::Command {
    <cli::CommandLine as clap::CommandFactory>::command()
}

/// What the fuzz targets call.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::decode::{Decoder, KernelEvent};
    pub use crate::identity::identify;
    pub use crate::process::ProcessTable;
}
