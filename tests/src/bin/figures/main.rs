//! `xtask bench`: the sensor's figures, each printed with what it was measured from.

mod latency;
mod rules;
mod storm;

use std::process::ExitCode;

use anyhow::{Result, bail};

#[global_allocator]
static ALLOCATOR: rules::Counting = rules::Counting;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("latency") => latency::measure(),
        Some("rules") => rules::measure(),
        Some("storm") => storm::measure(),
        _ => bail!("usage: figures latency|rules|storm"),
    }
}
