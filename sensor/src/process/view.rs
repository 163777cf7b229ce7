//! What this process can see of the host through `/proc`, from the namespaces that it is in.
//!
//! The kernel side reports process ids as the first pid namespace has them, and cgroups from the root of their hierarchy.
//! `/proc` shows both as the namespaces of the reader have them, which in a container are others. What cannot be
//! translated is not read, since it would be about other processes and other cgroups.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The most cgroups that are looked at in search of this process's own.
const CGROUPS_AT_MOST: usize = 100_000;

/// The inode of the v2 tree's root.
const ROOT_CGROUP: u64 = 1;

/// The namespaces that the kernel begins with have fixed inode numbers (`include/linux/proc_ns.h`).
const FIRST_NAMESPACES: [(&str, u32); 5] = [
    ("uts", 0xEFFF_FFFE),
    ("user", 0xEFFF_FFFD),
    ("pid", 0xEFFF_FFFC),
    ("cgroup", 0xEFFF_FFFB),
    ("time", 0xEFFF_FFFA),
];

static VIEW: OnceLock<View> = OnceLock::new();

/// What of `/proc` means what the kernel side means.
#[derive(Debug)]
pub(super) struct View {
    pub(super) has_hosts_pids: bool,
    pub(super) cgroups: CgroupView,
}

/// From where the paths of cgroups in `/proc` begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CgroupView {
    /// The root of the hierarchy.
    Root,
    /// This cgroup of the v2 tree.
    Below(PathBuf),
    /// A cgroup that is not known.
    Unknown,
}

/// Whether the calling thread is in the first namespace of a kind; `None` if the kernel has none of the kind, or does not
/// tell.
pub(crate) fn is_in_first(kind: &str) -> Option<bool> {
    let (_, number) = FIRST_NAMESPACES.iter().find(|(name, _)| *name == kind)?;
    let link = fs::read_link(format!("/proc/thread-self/ns/{kind}")).ok()?;
    Some(link == Path::new(&format!("{kind}:[{number}]")))
}

/// This process as the kernel numbers it, which the kernel side's records bear; `None` if `/proc` does not show it.
pub(crate) fn own_pid() -> Option<u32> {
    // As the namespace of the mount has it, which need not be that of this process.
    let seen: u32 = fs::read_link("/proc/self").ok()?.to_str()?.parse().ok()?;
    let is_own_namespaces = is_in_first("pid") == Some(false) && seen == std::process::id();
    (!is_own_namespaces).then_some(seen)
}

/// Goes to the host's cgroup namespace with this thread and those that it starts, if it may, and finds out what else of
/// the host is to be seen.
pub(crate) fn enter_hosts_view() {
    VIEW.get_or_init(|| View {
        has_hosts_pids: is_in_first("pid") != Some(false),
        cgroups: CgroupView::enter(),
    });
}

/// Whether `/proc` numbers processes as the kernel does, as [`enter_hosts_view`] found it.
pub(crate) fn has_hosts_pids() -> bool {
    view().has_hosts_pids
}

/// As [`enter_hosts_view`] found it; before that, the host's own.
pub(super) fn view() -> &'static View {
    const HOSTS: &View = &View {
        has_hosts_pids: true,
        cgroups: CgroupView::Root,
    };
    VIEW.get().unwrap_or(HOSTS)
}

impl CgroupView {
    /// For the calling thread, after it went to the host's namespace if it may. That takes `CAP_SYS_ADMIN`; with
    /// `CAP_SYS_PTRACE` the host's cgroups can still be seen through its first process.
    pub(crate) fn enter() -> Self {
        if is_in_first("cgroup") != Some(false) || enter_first_namespace() {
            return CgroupView::Root;
        }
        own_root().map_or(CgroupView::Unknown, CgroupView::Below)
    }

    /// The path from the root of the hierarchy; `None` if it cannot be known.
    pub(super) fn resolve(&self, path: &str) -> Option<String> {
        let mut resolved = match self {
            CgroupView::Root => return Some(path.to_owned()),
            CgroupView::Below(root) => root.clone(),
            CgroupView::Unknown => return None,
        };
        for component in path.split('/').filter(|component| !component.is_empty()) {
            match component {
                ".." => drop(resolved.pop()),
                name => resolved.push(name),
            }
        }
        Some(resolved.to_string_lossy().into_owned())
    }
}

/// By the host's first process or, where nobody may look at that, its first kernel thread.
fn enter_first_namespace() -> bool {
    [1, 2].iter().any(|process| {
        let Ok(namespace) = File::open(format!("/proc/{process}/ns/cgroup")) else {
            return false;
        };
        // SAFETY: a system call on a descriptor that is open; it changes this thread's view of cgroups alone.
        let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWCGROUP) };
        result == 0 && is_in_first("cgroup") == Some(true)
    })
}

/// The path of the cgroup that this namespace begins with: that of this process, which is found by its id in a tree that
/// is mounted whole, without what `/proc` has of it.
fn own_root() -> Option<PathBuf> {
    let top = whole_tree()?;
    let own_id = std::process::id().to_string();
    let mut unseen = vec![PathBuf::from("/")];
    for _ in 0..CGROUPS_AT_MOST {
        let path = unseen.pop()?;
        let folder = top.join(path.strip_prefix("/").ok()?);
        let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        if members.lines().any(|id| id == own_id) {
            let seen = fs::read_to_string("/proc/self/cgroup").ok()?;
            let below = seen.lines().find_map(|line| line.strip_prefix("0::"))?;
            let depth = Path::new(below).components().skip(1).count();
            return path.ancestors().nth(depth).map(PathBuf::from);
        }
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        unseen.extend(folders.map(|entry| path.join(entry.file_name())));
    }
    None
}

/// Where the v2 tree is mounted from its root on: here, or for the host's first process.
fn whole_tree() -> Option<PathBuf> {
    [("self", "/"), ("1", "/proc/1/root")]
        .iter()
        .find_map(|(process, root)| {
            let mount = unified_mount(process)?;
            let mount = Path::new(root).join(mount.strip_prefix("/").ok()?);
            let inode = fs::metadata(&mount).ok()?.ino();
            (inode == ROOT_CGROUP).then_some(mount)
        })
}

/// Where a process has the v2 tree mounted.
fn unified_mount(process: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string(format!("/proc/{process}/mountinfo")).ok()?;
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_unified = file_system.split(' ').next() == Some("cgroup2");
        is_unified.then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_told_from_the_root_of_the_hierarchy() {
        let below = CgroupView::Below("/docker/own".into());
        for (path, expected) in [
            ("/", "/docker/own"),
            ("/init.scope", "/docker/own/init.scope"),
            ("/../other/x", "/docker/other/x"),
            ("/../../system.slice", "/system.slice"),
            ("/../..", "/"),
            ("/../../../..", "/"),
        ] {
            assert_eq!(below.resolve(path).as_deref(), Some(expected));
            assert_eq!(CgroupView::Root.resolve(path).as_deref(), Some(path));
            assert_eq!(CgroupView::Unknown.resolve(path), None);
        }
    }

    #[test]
    fn the_calling_thread_is_in_some_namespace_of_each_kind() {
        assert!(is_in_first("user").is_some());
        assert_eq!(is_in_first("nothing"), None);
    }

    proptest! {
        #[test]
        fn whatever_path_there_is_the_result_begins_at_the_root(path in "[./a]{0,40}") {
            let resolved = CgroupView::Below("/docker/own".into()).resolve(&path);
            prop_assert!(resolved.is_some_and(|path| path.starts_with('/') && !path.contains("/../")));
        }
    }
}
