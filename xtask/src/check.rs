//! `xtask check`: what to run before a commit. It needs no root and takes a few minutes at most: the lints, and the
//! tests but for those that need a machine for themselves, with fewer generated cases.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::command::{self, cargo, succeeds_on_terminal};
use crate::tidy;

/// Of 50,000 in `xtask test`.
const GENERATED_CASES: &str = "1000";

/// One call of cargo.
pub(crate) struct Step {
    pub name: &'static str,
    arguments: &'static str,
}

/// What is checked without running anything.
pub(crate) const LINTS: [Step; 4] = [
    Step {
        name: "cargo fmt",
        arguments: "fmt --all --check",
    },
    Step {
        name: "cargo fmt, kernel side",
        arguments: "fmt --manifest-path sensor-ebpf/Cargo.toml --check",
    },
    Step {
        name: "cargo clippy",
        arguments: "clippy --quiet --workspace --all-targets -- --deny warnings",
    },
    Step {
        name: "cargo doc",
        arguments: "doc --quiet --workspace --no-deps --document-private-items",
    },
];

impl Step {
    pub(crate) fn command(&self) -> Command {
        let mut command = cargo();
        command
            .args(self.arguments.split(' '))
            .env("RUSTDOCFLAGS", "--deny warnings");
        command
    }
}

/// Stops at the first step that fails.
pub(crate) fn run() -> Result<ExitCode> {
    for step in &LINTS {
        eprintln!("xtask: {}", step.name);
        if !succeeds_on_terminal(&mut step.command())? {
            return Ok(ExitCode::FAILURE);
        }
    }
    eprintln!("xtask: tidy");
    if tidy::run()? == ExitCode::FAILURE {
        return Ok(ExitCode::FAILURE);
    }
    eprintln!("xtask: cargo test, without the end-to-end tests");
    let mut tests = cargo();
    // With them built, so that nothing is compiled again for `cargo test`.
    tests.args(["test", "--quiet", "--workspace", "--lib", "--bins", "--", "--quiet"]);
    command::run(
        tests
            .env("PROPTEST_CASES", GENERATED_CASES)
            .env("RUST_LIB_BACKTRACE", "0"),
    )?;
    Ok(ExitCode::SUCCESS)
}
