//! Whether the tests leave the machine as it was: links, mounts, cgroups, settings of the kernel, processes and
//! temporary folders, before and after.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::suite::MARK;

/// What ends may take a moment to be gone.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Held by each test that needs the machine for itself, and kept.
const LOCK: &str = "tidewaiter-end-to-end.lock";

/// Folders of settings that an engine may change, and those in them that change by themselves.
const SETTINGS: [&str; 2] = ["/proc/sys/net", "/proc/sys/kernel"];
const RESTLESS: [&str; 4] = ["/random/", "/ns_last_pid", "/pty/nr", "/nf_conntrack_count"];

/// Beginnings of the names of cgroups that engines and tests make; those of sessions and services come and go.
const CGROUPS: [&str; 7] = [
    "default",
    "docker",
    "k8s.io",
    "kubepods",
    "libpod",
    "tidewaiter",
    "user-54321",
];

/// Beginnings of the names of the tests' temporary folders.
const TEMPORARY: [&str; 2] = ["tidewaiter", ".tmp"];

/// All that is looked at, one a line.
pub(crate) struct Machine(BTreeSet<String>);

impl Machine {
    pub(crate) fn snapshot() -> Self {
        let mut lines = BTreeSet::new();
        lines.extend(names("/sys/class/net").map(|name| format!("link {name}")));
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for (target, kind) in mounts.lines().filter_map(target_and_kind) {
            lines.insert(format!("mount {target} ({kind})"));
            if matches!(kind, "cgroup" | "cgroup2") {
                walk(Path::new(target), &mut |path, is_folder| {
                    if is_folder && is_made_by_tests(path) {
                        lines.insert(format!("cgroup {}", path.display()));
                    }
                });
            }
        }
        for folder in SETTINGS {
            walk(Path::new(folder), &mut |path, is_folder| {
                let name = path.to_string_lossy();
                if is_folder || RESTLESS.iter().any(|restless| name.contains(restless)) {
                    return;
                }
                if let Ok(value) = fs::read_to_string(path) {
                    lines.insert(format!("setting {name} = {}", value.trim_end().escape_debug()));
                }
            });
        }
        lines.extend(marked_processes());
        let temporary = names(env::temp_dir());
        let is_ours = |name: &String| name != LOCK && TEMPORARY.iter().any(|ours| name.starts_with(ours));
        lines.extend(temporary.filter(is_ours).map(|name| format!("temporary {name}")));
        Self(lines)
    }

    /// What is new since then and what is gone, once nothing changes any more.
    pub(crate) fn differences(&self) -> Vec<String> {
        let deadline = Instant::now() + SETTLE_LIMIT;
        loop {
            let differences = self.compare(&Self::snapshot());
            if differences.is_empty() || Instant::now() > deadline {
                return differences;
            }
            sleep(POLL_INTERVAL);
        }
    }

    fn compare(&self, now: &Self) -> Vec<String> {
        let new = now
            .0
            .difference(&self.0)
            .map(|line| format!("new on this machine: {line}"));
        let gone = self
            .0
            .difference(&now.0)
            .map(|line| format!("gone from this machine: {line}"));
        new.chain(gone).collect()
    }
}

fn target_and_kind(mount: &str) -> Option<(&str, &str)> {
    let mut words = mount.split(' ').skip(1);
    Some((words.next()?, words.next()?))
}

fn names(folder: impl AsRef<Path>) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn is_made_by_tests(cgroup: &Path) -> bool {
    let mut names = cgroup.iter().map(|name| name.to_string_lossy());
    names.any(|name| CGROUPS.iter().any(|begin| name.starts_with(begin)))
}

/// Visits all that is below a folder; links are not followed.
fn walk(folder: &Path, visit: &mut impl FnMut(&Path, bool)) {
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            visit(&entry.path(), is_folder);
            if is_folder {
                folders.push(entry.path());
            }
        }
    }
}

/// Processes of this run of the tests that have not ended.
fn marked_processes() -> impl Iterator<Item = String> {
    let mark = format!("{MARK}={}", std::process::id());
    names("/proc").filter_map(move |process| {
        let folder = Path::new("/proc").join(&process);
        let environment = fs::read(folder.join("environ")).ok()?;
        let is_ours = environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes());
        let command = fs::read_to_string(folder.join("comm")).ok()?;
        is_ours.then(|| format!("process {process} ({})", command.trim_end()))
    })
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn what_is_new_and_what_is_gone_is_reported() {
        let before = Machine(["link lo", "link docker0"].map(str::to_owned).into());
        let now = Machine(["link lo", "mount /left (tmpfs)"].map(str::to_owned).into());
        assert_eq!(
            before.compare(&now),
            [
                "new on this machine: mount /left (tmpfs)",
                "gone from this machine: link docker0"
            ]
        );
    }

    #[test]
    fn a_machine_has_links_mounts_and_settings() {
        let now = Machine::snapshot();
        for kind in ["link ", "mount ", "setting "] {
            assert!(now.0.iter().any(|line| line.starts_with(kind)), "{kind}");
        }
    }
}
