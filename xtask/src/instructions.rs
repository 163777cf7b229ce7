//! What an event costs with each set of rules, in instructions, held against what the repository records.
//!
//! `figures rules instructions` counts them with valgrind, which runs every program on a processor of its own making: so the
//! numbers of one compiler are the same on all machines, and are recorded under its version.

use std::env::consts::ARCH;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::{figures, output_of};
use crate::counts::{Baseline, Counts};
use crate::suite::Summary;

/// In the summary.
pub(crate) const NAME: &str = "instructions of rules";

const BASELINE: Baseline = Baseline {
    file: "tests/src/bin/figures/rules/instructions.txt",
    heading: "# compiler and processor, set of rules and event, instructions: `./dev bench rules --record`",
    growth: 10,
};

/// Counts, and compares where this compiler's numbers are recorded.
pub(crate) fn check(summary: &mut Summary) {
    match compare() {
        Ok(Comparison::None(compiler)) => summary.skip(
            NAME,
            &format!(
                "{} has none of {compiler}; `./dev bench rules --record` writes them",
                BASELINE.file
            ),
        ),
        Ok(Comparison::Grown(grown)) if grown.is_empty() => summary.check(NAME, true),
        Ok(Comparison::Grown(grown)) => summary.fail(
            NAME,
            &format!(
                "more than {} % above {}: {}; make it cheaper, or record it with `./dev bench rules --record`",
                BASELINE.growth,
                BASELINE.file,
                grown.join("; ")
            ),
        ),
        Err(error) => summary.fail(NAME, &format!("{error:#}")),
    }
}

/// Counts, and writes the numbers into the repository.
pub(crate) fn record() -> Result<()> {
    BASELINE.write(&count(&compiler()?)?)
}

enum Comparison {
    /// Nothing is recorded of this compiler.
    None(String),
    Grown(Vec<String>),
}

fn compare() -> Result<Comparison> {
    let compiler = compiler()?;
    if !BASELINE.read()?.knows(&compiler) {
        return Ok(Comparison::None(compiler));
    }
    println!("xtask: counting instructions of rules");
    Ok(Comparison::Grown(BASELINE.grown(&count(&compiler)?)?))
}

fn count(compiler: &str) -> Result<Counts> {
    let output = output_of(figures().args(["rules", "instructions"]))?;
    let counts: Option<Vec<(String, u64)>> = output
        .lines()
        .map(|line| {
            let (what, count) = line.rsplit_once(' ')?;
            Some((what.replace(' ', "/"), count.parse().ok()?))
        })
        .collect();
    let mut measured = Counts::default();
    measured.replace(
        compiler,
        &counts.with_context(|| format!("`figures` printed no numbers:\n{output}"))?,
    );
    Ok(measured)
}

/// The version of the compiler, and for which processor.
fn compiler() -> Result<String> {
    let version = output_of(Command::new("rustc").arg("--version"))?;
    let version = version.split_whitespace().nth(1);
    Ok(format!(
        "{}-{ARCH}",
        version.context("`rustc --version` tells no version")?
    ))
}
