//! `xtask test`: every check and every test, and a summary that hides nothing.
//!
//! A test that cannot run here prints `SKIPPED name: reason` and returns; libtest counts it as passed, so those lines
//! are collected from the tests' own output (`--show-output`) and taken out of that count again.

mod summary;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result};

use crate::command::{cargo, succeeds_on_terminal};
use crate::kernels::{self, Kernel, Outcome, Record};
use summary::{Shown, Summary};

/// Tests that may be skipped in CI: they need Elastic's rule files, whose licence keeps them out of this repository, or
/// kernels from Debian's archive.
const MAY_BE_SKIPPED_IN_CI: [&str; 8] = [
    "elastic_rules_find_what_they_are_about_and_not_what_is_nearly_that",
    "every_rule_is_ok_and_warns_of_what_no_source_produces",
    "the_package_accepts_elastic_queries_as_we_do",
    "the_reference_rules_fire_on_the_same_events_as_ours",
    "the_tool_installation_rule_fires_on_interactive_installs_in_containers_only",
    "the_unusual_process_rule_fires_on_the_first_event_of_each_name",
    "kernel 5.10",
    "kernel newest",
];

pub fn run_everything() -> Result<ExitCode> {
    let mut summary = Summary::default();
    for (name, arguments) in [
        ("cargo fmt", "fmt --all --check"),
        (
            "cargo fmt, kernel side",
            "fmt --manifest-path sensor-ebpf/Cargo.toml --check",
        ),
        ("cargo clippy", "clippy --workspace --all-targets -- --deny warnings"),
    ] {
        eprintln!("xtask: {name}");
        summary.check(name, succeeds_on_terminal(cargo().args(arguments.split(' ')))?);
    }
    eprintln!("xtask: cargo test");
    run_tests(&mut summary)?;
    eprintln!("xtask: other kernels");
    check_kernels(&mut summary)?;

    if std::env::var("CI").is_ok_and(|value| value == "true") {
        summary.fail_skipped_except(&MAY_BE_SKIPPED_IN_CI);
    }
    print!("{summary}");
    Ok(if summary.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The oldest, the newest and the running one; `./dev kernels` has those between.
fn check_kernels(summary: &mut Summary) -> Result<()> {
    for report in kernels::run(&[Kernel::V5_10, Kernel::Newest, Kernel::Native], Record::No)? {
        match report.outcome {
            Outcome::Passed => summary.check(&report.name, true),
            Outcome::Failed => summary.check(&report.name, false),
            Outcome::Skipped(reason) => summary.skip(&report.name, &reason),
        }
    }
    Ok(())
}

fn run_tests(summary: &mut Summary) -> Result<()> {
    let mut tests: Command = cargo();
    tests
        .args(["test", "--workspace", "--no-fail-fast", "--", "--show-output"])
        // An error is told by its message; where it was made is noise.
        .env("RUST_LIB_BACKTRACE", "0")
        .stdout(Stdio::piped());
    let mut child = tests.spawn().context("could not start cargo")?;
    let output = child.stdout.take().context("cargo's output is not connected")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("could not read cargo's output")?;
        let line = String::from_utf8_lossy(&line);
        if summary.read_test_output(&line) == Shown::Yes {
            println!("{line}");
        }
    }
    let status = child.wait().context("could not wait for cargo")?;
    // A test binary that does not compile or dies leaves no line of its own.
    if !status.success() && summary.is_success() {
        summary.check("cargo test", false);
    }
    Ok(())
}
