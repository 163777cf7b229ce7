//! The programs under test and those that stand in for others; each built once for all tests.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, bail};

/// The root of the repository.
pub fn repository() -> PathBuf {
    let own_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    own_folder.parent().unwrap_or(own_folder).to_owned()
}

/// The release build of `tidewaiter`, brought up to date; instead of it, the program that `TIDEWAITER_PROGRAM` names.
pub fn tidewaiter() -> Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    built_once(&PROGRAM, || {
        if let Some(program) = env::var_os("TIDEWAITER_PROGRAM") {
            return Ok(program.into());
        }
        run(cargo_tool("CARGO", "cargo").args(["build", "--quiet", "--release", "--package", "sensor"]))?;
        Ok(target_folder().join("release/tidewaiter"))
    })
}

/// A static program that ends at once.
pub fn stand_in() -> Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    built_once(&PROGRAM, || compile_static("stand_in"))
}

/// Compiles `programs/NAME.rs`, which needs no other crate, so that it runs in any image.
pub fn compile_static(name: &str) -> Result<PathBuf> {
    let program = target_folder().join(name);
    let unfinished = target_folder().join(format!("{name}.{}", std::process::id()));
    let mut rustc = cargo_tool("RUSTC", "rustc");
    rustc.args([
        "--edition",
        "2024",
        "-O",
        "-C",
        "target-feature=+crt-static",
        "-C",
        "strip=symbols",
        "-o",
    ]);
    run(rustc.arg(&unfinished).arg(format!("tests/programs/{name}.rs")))?;
    // Another test run may be using the one that is there.
    fs::rename(&unfinished, &program)?;
    Ok(program)
}

fn built_once(
    program: &'static OnceLock<Result<PathBuf, String>>,
    build: fn() -> Result<PathBuf>,
) -> Result<&'static Path> {
    let result = program.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    result.as_deref().map_err(|error| anyhow!("{error}"))
}

/// A tool that cargo names to what it runs, in the repository.
fn cargo_tool(variable: &str, name: &str) -> Command {
    let mut command = Command::new(env::var_os(variable).unwrap_or_else(|| name.into()));
    command.current_dir(repository());
    command
}

/// Where what is built lies.
pub fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// Copies a program, in a process of its own: a file that this one wrote could still be open in a program that another
/// thread is starting, and the kernel starts no program that is open for writing.
pub fn copy(program: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").arg(program).arg(to))?;
    Ok(())
}

/// Runs to the end; its output, or an error that holds what it said.
pub fn run(command: &mut Command) -> Result<Output> {
    let output = command
        .output()
        .with_context(|| format!("could not start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(output)
}
