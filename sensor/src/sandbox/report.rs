//! What this process can still do, as the kernel tells.

use std::fs;

use caps::Capability;
use serde::{Deserialize, Serialize};

use super::files;
use super::mode::Mode;
use super::state::{PLAN, entered};

/// The state of a process, its threads in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) pid: u32,
    /// The configured mode; `None` for a process that is no running sensor.
    pub(crate) mode: Option<String>,
    /// Of the kernel's Landlock; `None` where there is none.
    pub(crate) landlock_version: Option<u32>,
    /// Effective user and group.
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// Where files can be written as far as mounts are concerned.
    pub(crate) writable_mounts: Vec<String>,
    /// What a program could get that has capabilities of its own; nothing is got so where there are no new privileges.
    pub(crate) bounding: Vec<String>,
    pub(crate) threads: Vec<ThreadReport>,
}

/// What a thread can still do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ThreadReport {
    pub(crate) name: String,
    pub(crate) role: Option<String>,
    pub(crate) capabilities: Vec<String>,
    /// `off`, `strict` or `filter`.
    pub(crate) seccomp: String,
    /// `None` where the kernel does not tell.
    pub(crate) seccomp_filters: Option<u32>,
    pub(crate) no_new_privileges: bool,
    pub(crate) landlock: bool,
}

/// Looks at this process.
pub(crate) fn report() -> Report {
    let own = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let pid = std::process::id();
    let mut tasks: Vec<u32> = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    tasks.sort_unstable();
    let threads = tasks.into_iter().filter_map(|task| {
        let status = fs::read_to_string(format!("/proc/self/task/{task}/status")).ok()?;
        Some(ThreadReport::read(&status, task == pid))
    });
    Report {
        pid,
        mode: PLAN.get().map(|plan| plan.mode.name().to_owned()),
        landlock_version: PLAN.get().map_or_else(files::version, |plan| plan.landlock_version),
        user: second_number(&own, "Uid:"),
        group: second_number(&own, "Gid:"),
        writable_mounts: writable_mounts(&mounts),
        bounding: names(value(&own, "CapBnd:")),
        threads: threads.collect(),
    }
}

impl ThreadReport {
    fn read(status: &str, is_first: bool) -> Self {
        let name = value(status, "Name:").unwrap_or_default().to_owned();
        let found = {
            let entered = entered();
            let own = if is_first { "main" } else { name.as_str() };
            // What a thread has started is named after it.
            let starter = own.split('-').next().unwrap_or_default();
            entered.get(own).or_else(|| entered.get(starter)).copied()
        };
        ThreadReport {
            name,
            role: found.map(|entered| entered.role.name().to_owned()),
            capabilities: names(value(status, "CapPrm:")),
            seccomp: match value(status, "Seccomp:") {
                Some("1") => "strict",
                Some("2") => "filter",
                _ => "off",
            }
            .to_owned(),
            seccomp_filters: value(status, "Seccomp_filters:").and_then(|number| number.parse().ok()),
            no_new_privileges: value(status, "NoNewPrivs:") == Some("1"),
            landlock: found.is_some_and(|entered| entered.has_landlock),
        }
    }
}

fn value<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}

/// The effective one of the ids in such a line.
fn second_number(status: &str, key: &str) -> u32 {
    let ids = value(status, key).unwrap_or_default();
    let id = ids.split_whitespace().nth(1);
    id.and_then(|id| id.parse().ok()).unwrap_or(u32::MAX)
}

/// Capabilities by the names of the kernel, in the order of their numbers; one without a name by its number.
fn names(mask: Option<&str>) -> Vec<String> {
    let mask = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    let known = caps::all();
    let name = |index: u8| {
        let found = known.iter().find(|one: &&Capability| one.index() == index);
        found.map_or_else(|| format!("CAP_{index}"), ToString::to_string)
    };
    (0..64).filter(|index| mask & (1 << index) != 0).map(name).collect()
}

/// The places of mounts that are not read-only, but for those of the kernel's own that hold no files.
fn writable_mounts(mounts: &str) -> Vec<String> {
    let writable = mounts.lines().filter_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut words = mount.split(' ').skip(4);
        let (place, options) = (words.next()?, words.next()?);
        let mut after = file_system.split(' ');
        let (kind, _source, of_system) = (after.next()?, after.next()?, after.next()?);
        let is_read_only = |options: &str| options.split(',').any(|option| option == "ro");
        let has_no_files = ["mqueue", "devpts", "autofs", "nsfs"].contains(&kind);
        (!has_no_files && !is_read_only(options) && !is_read_only(of_system)).then(|| place.to_owned())
    });
    writable.collect()
}

impl Report {
    /// The mode as it was configured, if the process knows it.
    pub(crate) fn mode(&self) -> Option<Mode> {
        let name = self.mode.as_deref()?;
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }
}
