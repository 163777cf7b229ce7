//! Where the engines of tests run: mount and network namespaces of their own. What an engine mounts, the links that it
//! makes and removes and the settings of its network end with them, and so do its processes, all at once.
//!
//! The sensor under test stays outside, as on any host.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cgroup;
use crate::lines::PATIENCE;

/// Whatever folder an engine is given for its data, it also writes to these. The last program ends with this process, if
/// that dies.
const HOLD: &str = "set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /dev/shm
for folder in etc var/lib; do
    mkdir -p /run/changes/$folder /run/overlay/$folder
    mount -t overlay -o lowerdir=/$folder,upperdir=/run/changes/$folder,workdir=/run/overlay/$folder overlay /$folder
done
busybox ip link set lo up
echo ready
exec cat";

/// Another engine of this machine may be using a cgroup that is new.
const CGROUPS_LIMIT: Duration = Duration::from_secs(20);
/// Between two looks at what has not ended yet.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A mount and a network namespace, and all processes in them.
pub struct Namespaces {
    /// Keeps them while no engine runs.
    holder: Child,
    own: HashSet<u64>,
    cgroups_before: HashSet<PathBuf>,
}

impl Namespaces {
    /// New namespaces without a process but the one that keeps them.
    pub fn new() -> Result<Self> {
        let cgroups_before = cgroup::of_engines();
        let mut holder = Command::new("unshare")
            .args(["--mount", "--net", "sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start `unshare`")?;
        let output = holder.stdout.take().context("the output is not connected")?;
        let mut ready = String::new();
        BufReader::new(output).read_line(&mut ready)?;
        ensure!(ready == "ready\n", "an engine cannot have namespaces of its own here");
        let own = of_process(holder.id()).collect();
        Ok(Self {
            holder,
            own,
            cgroups_before,
        })
    }

    /// A command in these namespaces, with the working directory `/`.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let holder = self.holder.id().to_string();
        command.args(["--target", &holder, "--mount", "--net", "--", program]);
        command
    }

    /// The file of the network namespace.
    pub fn network(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    /// Ends all processes in here and removes the cgroups that they leave.
    pub fn end(&mut self) {
        end_members(self.own.clone(), || {
            let _ = self.holder.try_wait();
        });
        let _ = self.holder.wait();
        remove_cgroups(&self.cgroups_before);
    }
}

/// As [`Namespaces::end`] of the namespaces that a process is in and this one is not, whose holder is gone.
pub(crate) fn end_abandoned(process: u32, cgroups_before: &HashSet<PathBuf>) {
    let outside: HashSet<u64> = of_process(std::process::id()).collect();
    let own = of_process(process).filter(|namespace| !outside.contains(namespace));
    end_members(own.collect(), || ());
    remove_cgroups(cgroups_before);
}

fn end_members(mut namespaces: HashSet<u64>, mut reap: impl FnMut()) {
    let deadline = Instant::now() + PATIENCE;
    let outside: HashSet<u64> = of_process(std::process::id()).collect();
    loop {
        let members = members(&namespaces);
        if members.is_empty() || Instant::now() > deadline {
            return;
        }
        for process in &members {
            namespaces.extend(of_process(*process).filter(|namespace| !outside.contains(namespace)));
            if let Ok(id) = i32::try_from(*process) {
                let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
            }
        }
        reap();
        thread::sleep(POLL_INTERVAL);
    }
}

fn remove_cgroups(before: &HashSet<PathBuf>) {
    let deadline = Instant::now() + CGROUPS_LIMIT;
    while Instant::now() < deadline && cgroup::remove_new(before).is_err() {
        thread::sleep(POLL_INTERVAL);
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        self.end();
    }
}

/// The processes in one of the namespaces, and those that descend from them: a container has namespaces of its own.
fn members(namespaces: &HashSet<u64>) -> HashSet<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parents: HashMap<u32, u32> = processes
        .filter_map(|process| Some((process, parent(process)?)))
        .collect();
    let is_inside = |process: &&u32| of_process(**process).any(|namespace| namespaces.contains(&namespace));
    let mut members: HashSet<u32> = parents.keys().filter(is_inside).copied().collect();
    loop {
        let is_child = |(process, parent): &(&u32, &u32)| members.contains(*parent) && !members.contains(*process);
        let children: Vec<u32> = parents.iter().filter(is_child).map(|(process, _)| *process).collect();
        if children.is_empty() {
            return members;
        }
        members.extend(children);
    }
}

fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).ok()?;
    // The name before it may hold anything, parentheses too.
    let (_, behind_name) = stat.rsplit_once(") ")?;
    behind_name.split(' ').nth(1)?.parse().ok()
}

/// The mount namespace of a process that has not ended.
pub(crate) fn mount_namespace(process: u32) -> Option<u64> {
    of_process(process).next()
}

/// The mount and the network namespace of a process; a user's engine leaves the first one. One that has ended has none.
fn of_process(process: u32) -> impl Iterator<Item = u64> {
    let folder = Path::new("/proc").join(process.to_string()).join("ns");
    let files = ["mnt", "net"].map(|kind| folder.join(kind));
    files
        .into_iter()
        .filter_map(|file| Some(fs::metadata(file).ok()?.ino()))
}
