//! Cgroups: those that a test makes for its own processes, in the v2 tree, and those that engines leave.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
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

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.0
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

/// A cgroup whose processes may have so much memory, removed with the last of them.
pub struct MemoryLimit {
    cgroup: Cgroup,
    limit: PathBuf,
    usage: PathBuf,
}

impl MemoryLimit {
    /// A new cgroup in the hierarchy that bounds memory.
    pub fn new(name: &str, bytes: u64) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/mounts")?;
        let limits = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (root, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
            let has_memory = options.split(',').any(|option| option == "memory");
            match kind {
                "cgroup" if has_memory => Some((root, "memory.limit_in_bytes", "memory.usage_in_bytes")),
                "cgroup2" => {
                    let below = fs::read_to_string(Path::new(root).join("cgroup.subtree_control")).ok()?;
                    below
                        .contains("memory")
                        .then_some((root, "memory.max", "memory.current"))
                }
                _ => None,
            }
        });
        let (root, limit, usage) = limits.context("no cgroup hierarchy bounds memory")?;
        let folder = Path::new(root).join(format!("tidewaiter-{name}-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("could not create `{}`", folder.display()))?;
        let cgroup = Cgroup(folder);
        let limit = Self {
            limit: cgroup.0.join(limit),
            usage: cgroup.0.join(usage),
            cgroup,
        };
        limit.set(bytes)?;
        Ok(limit)
    }

    /// Has them have so much from now on.
    pub fn set(&self, bytes: u64) -> Result<()> {
        fs::write(&self.limit, bytes.to_string()).with_context(|| format!("could not write `{}`", self.limit.display()))
    }

    /// How much they have.
    pub fn usage(&self) -> Result<u64> {
        Ok(fs::read_to_string(&self.usage)?.trim_end().parse()?)
    }

    /// The command with this limit, under the same process id.
    pub fn apply(&self, command: &Command) -> Command {
        let arguments: Vec<&OsStr> = [command.get_program()].into_iter().chain(command.get_args()).collect();
        self.cgroup.shell("exec \"$@\"", &arguments)
    }
}

/// Beginnings of the names of cgroups that engines make: for their containers, and above them. They may stand below the
/// engine's own cgroup.
const OF_ENGINES: [&str; 7] = ["default", "docker", "k8s.io", "kubepods", "libpod", "mine", "shop"];

/// The cgroups that engines have made, in every hierarchy.
pub fn of_engines() -> HashSet<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let roots = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let root = fields.next()?;
        matches!(fields.next(), Some("cgroup" | "cgroup2")).then(|| PathBuf::from(root))
    });
    let mut unseen: Vec<(PathBuf, bool)> = roots.map(|root| (root, false)).collect();
    let mut found = HashSet::new();
    while let Some((folder, is_of_engine)) = unseen.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                let is_of_engine = is_of_engine || OF_ENGINES.iter().any(|begin| name.starts_with(begin));
                unseen.push((entry.path(), is_of_engine));
            }
        }
        if is_of_engine {
            found.insert(folder);
        }
    }
    found
}

/// Removes the cgroups of engines that were not there before; an error if one still has processes.
pub fn remove_new(before: &HashSet<PathBuf>) -> io::Result<()> {
    let mut new: Vec<PathBuf> = of_engines().difference(before).cloned().collect();
    // Those inside others first.
    new.sort_by_key(|folder| Reverse(folder.as_os_str().len()));
    new.iter().try_for_each(fs::remove_dir)
}
