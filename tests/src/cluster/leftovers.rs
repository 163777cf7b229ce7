//! A cluster whose keeper was killed: its processes bear the keeper's environment, and are ended with their namespaces.

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::{FOLDER_PREFIX, PROGRAMS};
use crate::cgroup;
use crate::namespaces::{end_abandoned, mount_namespace};

/// Another process of this program that keeps a cluster.
pub fn keeper() -> Option<u32> {
    let own = fs::read_link("/proc/self/exe").ok()?;
    let is_another = |process: &u32| {
        *process != std::process::id()
            && fs::read_link(folder(*process).join("exe")).is_ok_and(|program| program.parent() == own.parent())
            && mount_namespace(*process) == mount_namespace(std::process::id())
    };
    marked().find(is_another)
}

/// Ends all that bears the mark and is in namespaces of its own, and removes their folders. Not while there is a keeper.
pub fn end_leftovers() {
    let outside = mount_namespace(std::process::id());
    let is_inside = |process: &u32| mount_namespace(*process).is_some_and(|own| Some(own) != outside);
    while let Some(process) = marked().find(is_inside) {
        let cgroups = cgroup::of_engines().into_iter();
        let of_others = cgroups.filter(|folder| !folder.iter().any(|name| name == "kubepods"));
        end_abandoned(process, &of_others.collect());
    }
    for entry in fs::read_dir(env::temp_dir()).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn marked() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mark = format!("{PROGRAMS}=");
    processes.filter(move |process| {
        let environment = fs::read(folder(*process).join("environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable.starts_with(mark.as_bytes()))
    })
}

fn folder(process: u32) -> PathBuf {
    Path::new("/proc").join(process.to_string())
}
