//! The test binaries of all crates: built once, run as cargo runs them, counted.

mod summary;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command::{cargo, repository};
pub(crate) use summary::Summary;
use summary::Visibility;

/// In the environment of all that a run of the tests starts, so that what outlives it is known.
pub(crate) const MARK: &str = "TEST_RUN_OF_TIDEWAITER";

/// The test binary that needs root, and the machine for itself.
const END_TO_END: &str = "end_to_end";

/// The one whose tests run in a Kubernetes, which [`crate::cluster`] builds.
const CLUSTER: &str = "cluster";

/// The one whose tests try what [`crate::dist`] builds.
const RELEASED: &str = "released";

/// A binary with tests.
pub(crate) struct TestBinary {
    name: String,
    file: PathBuf,
    /// Of its package, where cargo runs it.
    folder: PathBuf,
}

impl TestBinary {
    pub(crate) fn is_end_to_end(&self) -> bool {
        self.name == END_TO_END
    }

    pub(crate) fn needs_release(&self) -> bool {
        self.name == RELEASED
    }

    pub(crate) fn needs_cluster(&self) -> bool {
        self.name == CLUSTER
    }
}

/// Builds the tests of all crates.
pub(crate) fn build() -> Result<Vec<TestBinary>> {
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
pub(crate) fn run(binaries: &[TestBinary], environment: &[(&str, &str)]) -> Result<Summary> {
    let mut summary = Summary::default();
    for TestBinary { name, file, folder } in binaries {
        let mut tests = Command::new(file)
            .arg("--show-output")
            .current_dir(folder)
            .env("CARGO", cargo().get_program())
            .env("CARGO_MANIFEST_DIR", folder)
            // An error is reported by its message; where it was made is noise.
            .env("RUST_LIB_BACKTRACE", "0")
            .envs(environment.iter().copied())
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
            if summary.read_test_output(&line) == Visibility::Visible {
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
