//! The host or the user lacks something, or what was typed or configured is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;
use tests::program::{copy, tidewaiter};
use tests::sensor::{Home, Sensor};

const NOBODY: &str = "65534";

/// A copy that every user can start.
fn public_copy(folder: &Path) -> Result<PathBuf> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    let public = folder.join("tidewaiter");
    copy(tidewaiter()?, &public)?;
    Ok(public)
}

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .arg(program);
    command
}

#[test]
fn without_root_it_says_so() -> Result<()> {
    let folder = TempDir::new()?;
    let mut command = as_nobody(&public_copy(folder.path())?);
    Sensor::start_without_waiting(command.arg("run"))?.assert_fails(3, &["root"])
}

#[test]
fn without_root_the_doctor_says_what_to_do() -> Result<()> {
    let folder = TempDir::new()?;
    let output = as_nobody(&public_copy(folder.path())?).arg("doctor").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("root"), "{text}");
    Ok(())
}

#[test]
fn as_root_the_doctor_finds_nothing_that_is_required() -> Result<()> {
    let output = Command::new(tidewaiter()?).arg("doctor").output()?;
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}

#[test]
fn without_the_capabilities_it_names_them() -> Result<()> {
    let home = Home::new()?;
    let mut command = Command::new("setpriv");
    let removed = "-bpf,-perfmon,-sys_admin";
    command
        .args(["--bounding-set", removed, "--inh-caps", removed])
        .arg(tidewaiter()?);
    command.arg("run").arg("--config").arg(home.config());
    Sensor::start_without_waiting(&mut command)?.assert_fails(3, &["CAP_BPF", "CAP_PERFMON"])
}

#[test]
fn without_type_information_of_the_kernel_it_says_so() -> Result<()> {
    let home = Home::new()?;
    let mut command = Command::new("unshare");
    let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
    command.args(["--mount", "sh", "-c", hide, "sh"]).arg(tidewaiter()?);
    command.arg("run").arg("--config").arg(home.config());
    Sensor::start_without_waiting(&mut command)?.assert_fails(3, &["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"])
}

#[test]
fn all_mistakes_of_a_configuration_are_named_with_their_lines() -> Result<()> {
    let home = Home::new()?;
    fs::write(
        home.config(),
        "learn_for = \"soon\"\nstate_dir = \"/tmp\"\n[kernel]\nring_buffer_bytes = 1000\n",
    )?;
    let sensor = Sensor::start_without_waiting(&mut home.command("run")?)?;
    sensor.assert_fails(2, &["state_dir", "tidewaiter.toml:2:1: "])?;
    fs::write(
        home.config(),
        "learn_for = \"soon\"\n[kernel]\nring_buffer_bytes = 1000\n",
    )?;
    let sensor = Sensor::start_without_waiting(&mut home.command("run")?)?;
    sensor.assert_fails(2, &["tidewaiter.toml:1:13: ", "tidewaiter.toml:3:21: "])
}

#[test]
fn a_configuration_that_is_not_there_is_named() -> Result<()> {
    let mut command = Command::new(tidewaiter()?);
    command.args(["run", "--config", "/nonexistent/tidewaiter.toml"]);
    Sensor::start_without_waiting(&mut command)?.assert_fails(2, &["/nonexistent/tidewaiter.toml"])
}

#[test]
fn an_unknown_option_is_a_usage_error() -> Result<()> {
    let mut command = Command::new(tidewaiter()?);
    command.args(["run", "--verbosely"]);
    Sensor::start_without_waiting(&mut command)?.assert_fails(2, &["--verbosely"])
}
