//! Checks that take a tool of their own: shell scripts, dependencies, the oldest compiler, fuzz targets.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::command::{self, cargo, repository, target_folder};
use crate::setup;

/// The newest that build with the workspace's `rust-version`.
const CARGO_DENY_VERSION: &str = "0.20.2";
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// Every script of the repository that a shell reads.
pub(crate) fn shellcheck() -> Result<()> {
    setup::for_shellcheck()?;
    let scripts = tracked(&[
        "dev",
        ".ci/run",
        ".githooks/*",
        "*.sh",
        "packaging/debian/*",
        "deploy/kind/try",
    ])?;
    // Below that it asks for quotes where no name has a blank.
    let mut shellcheck = Command::new("shellcheck");
    shellcheck.current_dir(repository()).args(["--severity", "warning"]);
    command::run(shellcheck.args(scripts))
}

/// Licences, advisories and duplicates of all dependencies: `deny.toml`.
pub(crate) fn deny() -> Result<()> {
    setup::cargo_tool("cargo-deny", CARGO_DENY_VERSION)?;
    for manifest in ["Cargo.toml", "sensor-ebpf/Cargo.toml"] {
        command::run(cargo().args([
            "deny",
            "--manifest-path",
            manifest,
            "--all-features",
            "--config",
            "deny.toml",
            "check",
        ]))?;
    }
    Ok(())
}

/// That the workspace builds with the oldest compiler that it names, and with the versions in its lock file.
pub(crate) fn msrv() -> Result<()> {
    let manifest = std::fs::read_to_string(repository().join("Cargo.toml"))?;
    let wanted = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let wanted = wanted.context("the workspace names no `rust-version`")?;
    let output = cargo().arg("--version").output()?;
    let active = String::from_utf8(output.stdout)?;
    ensure!(
        active.starts_with(&format!("cargo {wanted}.")),
        "this is to be run with Rust {wanted}, such as `rustup run {wanted} ./dev msrv`; the active one is {active}"
    );
    setup::for_building()?;
    command::run(cargo().args(["check", "--workspace", "--all-targets", "--locked"]))
}

/// Each fuzz target for so long. New inputs are kept in `fuzz/corpus`, one that fails in `fuzz/artifacts`.
pub(crate) fn fuzz(each: Duration) -> Result<()> {
    setup::for_building()?;
    setup::cargo_tool("cargo-fuzz", CARGO_FUZZ_VERSION)?;
    for target in tracked(&["fuzz/fuzz_targets/*.rs"])? {
        let name = target
            .trim_start_matches("fuzz/fuzz_targets/")
            .trim_end_matches(".rs")
            .to_owned();
        if name == "common" {
            continue;
        }
        let corpus = repository().join("fuzz/corpus").join(&name);
        std::fs::create_dir_all(&corpus).with_context(|| format!("could not create `{}`", corpus.display()))?;
        let mut fuzz = cargo();
        // A stable compiler instruments too; the sanitizers alone need a nightly one, and there is little unsafe code.
        fuzz.args(["fuzz", "run", "--sanitizer", "none", &name])
            .arg(corpus)
            .args(Some(repository().join("fuzz/seeds").join(&name)).filter(|seeds| seeds.is_dir()))
            .arg("--")
            .arg(format!("-max_total_time={}", each.as_secs()))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", target_folder().join("fuzz"));
        command::run(&mut fuzz)?;
    }
    Ok(())
}

/// Files of the repository by their patterns.
fn tracked(patterns: &[&str]) -> Result<Vec<String>> {
    let output = Command::new("git")
        .current_dir(repository())
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "--"])
        .args(patterns)
        .output()
        .context("could not start git")?;
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}
