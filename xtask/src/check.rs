//! `xtask check`: what to run before a commit. It needs no root and takes a few minutes at most: the lints, and the
//! tests but for those that need a machine for themselves, with fewer generated cases.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::command::{cargo, succeeds_on_terminal};
use crate::suite::{self, Summary};

/// Of 50,000 in `xtask test`, or as many as there: proptest's own number, so that no test has more cases here.
const GENERATED_CASES: &str = "256";

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

pub(crate) const DOC_TESTS: [Step; 1] = [Step {
    name: "cargo test --doc",
    arguments: "test --quiet --workspace --doc",
}];

pub(crate) fn run_steps(steps: &[Step], summary: &mut Summary) -> Result<()> {
    for step in steps {
        eprintln!("xtask: {}", step.name);
        summary.check(step.name, succeeds_on_terminal(&mut step.command())?);
    }
    Ok(())
}

/// The look for what is untidy is one of the tests.
pub(crate) fn run() -> Result<ExitCode> {
    let mut summary = Summary::default();
    run_steps(&LINTS, &mut summary)?;
    let mut tests = suite::build()?;
    tests.retain(|binary| !binary.is_end_to_end() && !binary.needs_cluster() && !binary.needs_release());
    summary.add(suite::run(&tests, &[("PROPTEST_CASES", GENERATED_CASES)])?);
    run_steps(&DOC_TESTS, &mut summary)?;
    print!("{summary}");
    Ok(summary.exit_code())
}
