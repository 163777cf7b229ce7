//! Where the repository and its build results are, and how other programs are run.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::sys::statvfs::statvfs;

/// How much of a failed program's output is shown; the rest stays in the log.
const SHOWN_LOG_LINES: usize = 30;

pub(crate) fn repository() -> PathBuf {
    let own_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    own_folder.parent().unwrap_or(own_folder).to_owned()
}

pub(crate) fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// The cargo that started this program, in the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository());
    command
}

/// What cargo says of the packages of a workspace, as JSON; none of the lock file is changed.
pub(crate) fn cargo_metadata() -> Command {
    let mut cargo = cargo();
    cargo.args(["metadata", "--locked", "--format-version", "1"]);
    cargo
}

/// Builds what users run.
pub(crate) fn build_sensor() -> Command {
    let mut cargo = cargo();
    cargo.args(["build", "--release", "--package", "sensor"]);
    cargo
}

/// What measures, in release mode; what it is to measure is still to be added.
pub(crate) fn figures() -> Command {
    let mut command = cargo();
    command.args("run --quiet --release --package tests --bin figures --".split(' '));
    command
}

/// Fails unless the disk of the build results has so much room, before something large is begun that would run out of it
/// half-way.
pub(crate) fn require_room(purpose: &str, gibibytes: u64) -> Result<()> {
    const GIBIBYTE: u64 = 1 << 30;
    let folder = target_folder();
    fs::create_dir_all(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    let disk = statvfs(&folder).with_context(|| format!("could not look at the disk of `{}`", folder.display()))?;
    let free = disk.blocks_available() * disk.fragment_size();
    if free < gibibytes * GIBIBYTE {
        bail!(
            "{purpose} takes {gibibytes} GiB, and {} MiB are free in `{}`; make room there, or set CARGO_TARGET_DIR to a \
             folder that has it",
            free >> 20,
            folder.display()
        );
    }
    Ok(())
}

/// Runs with the terminal as its own.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    if !succeeds_on_terminal(command)? {
        bail!("{command:?} failed");
    }
    Ok(())
}

/// What a program writes; its complaints are the error if it fails.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command
        .output()
        .with_context(|| format!("could not start `{program}`"))?;
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("what `{program}` writes is not UTF-8"))
}

/// Runs with the output in a log file, the end of which is shown if the program fails.
pub(crate) fn run_logged(log_name: &str, command: &mut Command) -> Result<()> {
    let folder = target_folder();
    fs::create_dir_all(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
    let log = folder.join(log_name);
    let output = File::create(&log).with_context(|| format!("could not create `{}`", log.display()))?;
    let status = command
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()
        .with_context(|| format!("could not start {command:?}"))?;
    if status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    for line in &lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..] {
        eprintln!("{line}");
    }
    bail!(
        "`{}` failed ({status}), with `{}` at the end; the whole output is in `{}`",
        command.get_program().display(),
        lines.last().unwrap_or(&"nothing"),
        log.display()
    )
}

/// Runs with the terminal as its own; whether it went well is the answer.
pub(crate) fn succeeds_on_terminal(command: &mut Command) -> Result<bool> {
    let status = command
        .status()
        .with_context(|| format!("could not start {command:?}"))?;
    Ok(status.success())
}

/// Whether a program can be started and says it is well.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
