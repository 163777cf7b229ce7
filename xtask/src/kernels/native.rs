//! The running kernel, without a virtual machine: the same file system and scenario, in a mount namespace of its own.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::command::{run_logged, succeeds};

/// Held by each end-to-end test too: a sensor sees all that happens on the machine.
const LOCK: &str = "tidewaiter-end-to-end.lock";

/// In a mount namespace of its own: the file system with the host's devices and `/sys`, and results outside of it.
const ENTER: &str = r#"
set -e
mount --bind "$1" "$1"
cd "$1"
mkdir -p dev sys out
mount --rbind /dev dev
mount --rbind /sys sys
mount --bind "$2" out
exec chroot . /guest/native.sh
"#;

/// Runs the scenario and gives the folder with what the sensor wrote, which is in `folder`.
pub(crate) fn run(root: &Path, folder: &Path) -> Result<PathBuf> {
    let results = folder.join("results");
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("could not empty `{}`", folder.display()))?;
    }
    fs::create_dir_all(&results).with_context(|| format!("could not create `{}`", results.display()))?;
    let alone = File::create(env::temp_dir().join(LOCK))?;
    alone.lock()?;
    run_logged(
        "kernels-native.log",
        Command::new("unshare")
            .args(["--mount", "sh", "-c", ENTER, "sh"])
            .arg(root)
            .arg(&results),
    )?;
    Ok(results)
}

/// The running kernel's version; an error if nothing can be tried on it.
pub(crate) fn release() -> Result<String> {
    ensure!(
        succeeds(Command::new("unshare").args(["--mount", "true"])),
        "root is needed to try the running kernel"
    );
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("could not read the kernel's version")?;
    Ok(release.trim_end().to_owned())
}
