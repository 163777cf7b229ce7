//! Cgroups that a test makes for its own processes, in the v2 tree.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::lines::PATIENCE;

/// A cgroup, removed with the last of its processes.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// A new cgroup below the root of the v2 tree.
    pub fn new(name: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/mounts")?;
        let tree = mounts
            .lines()
            .map(|line| line.split(' '))
            .find_map(|mut fields| Some((fields.nth(1)?, fields.next()?)).filter(|(_, kind)| *kind == "cgroup2"))
            .context("no cgroup2 file system is mounted")?;
        let folder = Path::new(tree.0).join(format!("tidewaiter-{name}-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
        Ok(Self(folder))
    }

    /// A shell in the cgroup that runs `script` with these arguments.
    pub fn shell(&self, script: &str, arguments: &[&OsStr]) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(format!("echo $$ > \"$0\"/cgroup.procs; {script}"))
            .arg(&self.0)
            .args(arguments);
        command
    }
}

impl Drop for Cgroup {
    /// Waits for its last processes, which may still be ending.
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.0).is_err_and(|error| error.kind() == ErrorKind::ResourceBusy)
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(10));
        }
    }
}
