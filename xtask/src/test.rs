//! `xtask test`: every check and every test, and a summary that hides nothing.
//!
//! A test that cannot run here prints `SKIPPED name: reason` and returns; libtest counts it as passed, so those lines
//! are collected from the tests' own output (`--show-output`) and taken out of that count again.
//!
//! The end-to-end tests mostly wait, one after the other, and an emulated kernel takes one processor: both run beside
//! the checks and the other tests.

mod machine;
mod summary;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use crate::check;
use crate::command::{self, build_sensor, cargo, repository, succeeds_on_terminal};
use crate::kernels::{self, Kernel, Outcome, Record};
use machine::{MARK, Machine};
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

/// The test binary that needs the machine for itself.
const END_TO_END: &str = "end_to_end";

/// A binary with tests.
struct TestBinary {
    name: String,
    file: PathBuf,
    /// Of its package, where cargo runs it.
    folder: PathBuf,
}

pub(crate) fn run_everything() -> Result<ExitCode> {
    let before = Machine::look();
    command::run(&mut build_sensor())?;
    let (end_to_end, others): (Vec<_>, Vec<_>) =
        built_tests()?.into_iter().partition(|binary| binary.name == END_TO_END);
    let lanes: [Box<dyn FnOnce() -> Result<Summary> + Send>; 3] = [
        Box::new(move || {
            let mut summary = run_tests(&others)?;
            for step in check::LINTS {
                eprintln!("xtask: {}", step.name);
                summary.check(step.name, succeeds_on_terminal(&mut step.command())?);
            }
            summary.check(
                "cargo test --doc",
                succeeds_on_terminal(cargo().args(["test", "--quiet", "--workspace", "--doc"]))?,
            );
            Ok(summary)
        }),
        Box::new(move || run_tests(&end_to_end)),
        Box::new(check_kernels),
    ];
    let mut summary = thread::scope(|scope| -> Result<Summary> {
        let lanes = lanes.map(|lane| scope.spawn(lane));
        let mut summary = Summary::default();
        for lane in lanes {
            summary.add(lane.join().map_err(|_| anyhow!("a lane of tests panicked"))??);
        }
        Ok(summary)
    })?;

    let differences = before.differences();
    for difference in &differences {
        println!("{difference}");
    }
    summary.check("the machine is as it was", differences.is_empty());

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
fn check_kernels() -> Result<Summary> {
    let mut summary = Summary::default();
    for report in kernels::run(&[Kernel::V5_10, Kernel::Newest, Kernel::Native], Record::No)? {
        match report.outcome {
            Outcome::Passed => summary.check(&report.name, true),
            Outcome::Failed => summary.check(&report.name, false),
            Outcome::Skipped(reason) => summary.skip(&report.name, &reason),
        }
    }
    Ok(summary)
}

/// Builds the tests of all crates.
fn built_tests() -> Result<Vec<TestBinary>> {
    let output = cargo()
        .args([
            "test",
            "--workspace",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ])
        .stderr(Stdio::inherit())
        .output()
        .context("could not start cargo")?;
    if !output.status.success() {
        bail!("the tests cannot be built");
    }
    let messages = String::from_utf8(output.stdout)?;
    let binaries = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let manifest = PathBuf::from(message["manifest_path"].as_str()?);
        Some(TestBinary {
            name: message["target"]["name"].as_str()?.to_owned(),
            file: message["executable"].as_str()?.into(),
            folder: manifest.parent()?.to_owned(),
        })
        .filter(|_| message["profile"]["test"] == true)
    });
    Ok(binaries.collect())
}

/// Runs tests as cargo does.
fn run_tests(binaries: &[TestBinary]) -> Result<Summary> {
    let mut summary = Summary::default();
    for TestBinary { name, file, folder } in binaries {
        let mut tests = Command::new(file)
            .arg("--show-output")
            .current_dir(folder)
            .env("CARGO", cargo().get_program())
            .env("CARGO_MANIFEST_DIR", folder)
            // An error is told by its message; where it was made is noise.
            .env("RUST_LIB_BACKTRACE", "0")
            .env(MARK, std::process::id().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start `{}`", file.display()))?;
        let output = tests.stdout.take().context("the tests' output is not connected")?;
        println!(
            "xtask: {name} in {}",
            folder.strip_prefix(repository()).unwrap_or(folder).display()
        );
        let failed_before = summary.failures();
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("could not read the tests' output")?;
            let line = String::from_utf8_lossy(&line);
            if summary.read_test_output(&line) == Shown::Yes {
                println!("{line}");
            }
        }
        let status = tests.wait().context("could not wait for the tests")?;
        // One that dies leaves no line of its own.
        if !status.success() && summary.failures() == failed_before {
            summary.check(name, false);
        }
    }
    Ok(summary)
}
