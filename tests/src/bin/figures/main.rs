//! `xtask bench`: the sensor's figures, each printed with what it was measured from.

mod attacks;
mod containers;
mod latency;
mod lives;
mod observed;
mod rules;
mod sensor;
mod start;
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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["attacks", minutes] => attacks::measure(minutes.parse()?, None),
        ["attacks", minutes, phase] => attacks::measure(minutes.parse()?, Some(phase)),
        ["containers"] => containers::measure(),
        ["latency"] => latency::measure(),
        ["lives"] => lives::measure(),
        ["lives", "--record"] => lives::record(),
        ["lives", minutes] => lives::live(minutes.parse()?),
        ["rules", arguments @ ..] => rules::measure(arguments),
        ["sensor"] => sensor::measure(sensor::WHOLE),
        ["sensor", "--short"] => sensor::measure(sensor::SHORT),
        _ => bail!(
            "usage: figures attacks MINUTES [PHASE]|containers|latency|lives [MINUTES|--record]|rules [instructions|count SET]|sensor [--short]"
        ),
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
