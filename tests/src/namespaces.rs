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

/// Whatever folder an engine is given for its data, it also writes to `/run`, `/dev/shm` and `/etc`. The last program
/// ends with this process, if that dies.
const HOLD: &str = "set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs tmpfs /dev/shm
mkdir /run/etc /run/etc-work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc-work overlay /etc
busybox ip link set lo up
echo ready
exec cat";

/// Another engine of this machine may be using a cgroup that is new.
const CGROUPS_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks at what has not ended yet.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub struct Namespaces {
    /// Keeps them while no engine runs.
    holder: Child,
    mount: u64,
    cgroups_before: HashSet<PathBuf>,
}

impl Namespaces {
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
        let mount = mount_namespace(holder.id()).context("the namespaces are gone")?;
        Ok(Self {
            holder,
            mount,
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
        let deadline = Instant::now() + PATIENCE;
        let own = mount_namespace(std::process::id());
        let mut namespaces = HashSet::from([self.mount]);
        loop {
            let members = members(&namespaces);
            if members.is_empty() || Instant::now() > deadline {
                break;
            }
            for process in &members {
                namespaces.extend(mount_namespace(*process).filter(|namespace| Some(*namespace) != own));
                if let Ok(id) = i32::try_from(*process) {
                    let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
                }
            }
            let _ = self.holder.try_wait();
            thread::sleep(POLL_INTERVAL);
        }
        let _ = self.holder.wait();
        let deadline = Instant::now() + CGROUPS_LIMIT;
        while Instant::now() < deadline && cgroup::remove_new(&self.cgroups_before).is_err() {
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        self.end();
    }
}

/// The processes in one of the mount namespaces, and those that descend from them: a container has a mount namespace of
/// its own.
fn members(namespaces: &HashSet<u64>) -> HashSet<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parents: HashMap<u32, u32> = processes
        .filter_map(|process| Some((process, parent(process)?)))
        .collect();
    let is_inside = |process: &&u32| mount_namespace(**process).is_some_and(|one| namespaces.contains(&one));
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

/// A process that has ended has none.
fn mount_namespace(process: u32) -> Option<u64> {
    let file = Path::new("/proc").join(process.to_string()).join("ns/mnt");
    Some(fs::metadata(file).ok()?.ino())
}
