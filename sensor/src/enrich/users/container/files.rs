//! Reading a container's files.
//!
//! A file is opened below the container's root, without leaving its file system. Names are bounded; only 0 is called root.

use std::{
    collections::HashSet,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use nix::sys::stat::{FileStat, fstat};

use crate::enrich::below::{self, Mounts};
use crate::enrich::node::ROOT_OF_INIT;
use crate::enrich::users::names::{NamesById, ROOT, entries};
use crate::process::ProcessKey;

/// A larger file is not read.
const FILE_LIMIT: u64 = 1024 * 1024;
/// Users or groups of a file that are looked at.
const NAMES_AT_MOST: usize = 1024;
/// The longest name, as `useradd` has it.
const NAME_LIMIT: usize = 32;

/// Names by id.
#[derive(Debug, Default)]
pub(crate) struct ContainerNames {
    pub users: NamesById,
    pub groups: NamesById,
}

/// The names in the container that this process is in, if it still is and has entered it.
pub(super) fn read(process: ProcessKey) -> Option<ContainerNames> {
    let root = below::open_root(Path::new(&format!("/proc/{}/root", process.pid))).ok()?;
    let is_still_there = procfs::process::Process::new(process.pid as i32)
        .and_then(|found| found.stat())
        .is_ok_and(|stat| stat.starttime == process.start_ticks);
    if !is_still_there || is_root_of_host(&root) {
        return None;
    }
    let names = |path| plausible_names(&text_below(root.as_fd(), path).unwrap_or_default());
    Some(ContainerNames {
        users: names("etc/passwd"),
        groups: names("etc/group"),
    })
}

/// Whether the root is the host's or the sensor's, as for a helper of an engine before it enters the container.
fn is_root_of_host(root: &OwnedFd) -> bool {
    let file = |state: FileStat| (state.st_dev, state.st_ino);
    let Ok(root) = fstat(root).map(file) else { return true };
    let host_roots = ["/", ROOT_OF_INIT].map(|path| nix::sys::stat::stat(path).map(file));
    host_roots.contains(&Ok(root))
}

/// The content of a file below `root` and on its file system.
fn text_below(root: BorrowedFd<'_>, path: &str) -> Option<String> {
    below::find(root, path, Mounts::NotCrossed).ok()?.read(FILE_LIMIT).ok()
}

/// The names that are plausible, of the first users or groups. The first name of an id counts, plausible or not.
fn plausible_names(text: &str) -> NamesById {
    let is_name = |name: &str| {
        (1..=NAME_LIMIT).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-$".contains(c))
            && name != ROOT
    };
    let mut seen = HashSet::new();
    let first = entries(text)
        .filter(|(id, _)| *id != 0 && seen.insert(*id))
        .take(NAMES_AT_MOST);
    let plausible = first.filter(|(_, name)| is_name(name));
    plausible.map(|(id, name)| (id, name.into())).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        os::unix::fs::symlink,
        time::{Duration, Instant},
    };

    use nix::{
        sys::stat::{Mode, SFlag, mknod},
        unistd::mkfifo,
    };

    use super::*;

    /// How long reading may take before it is said to hang, on a machine that is busy with other things too.
    const READ_LIMIT: Duration = Duration::from_secs(60);

    fn text_in(root: &Path) -> Option<String> {
        let root = below::open_root(root).unwrap();
        text_below(root.as_fd(), "etc/passwd")
    }

    /// A container's root whose `etc/passwd` is still to be made, and a file outside it.
    fn container() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::write(folder.path().join("secret"), "outside:x:7\n").unwrap();
        let passwd = root.join("etc/passwd");
        (folder, root, passwd)
    }

    #[test]
    fn a_regular_file_is_read_and_a_link_within_the_container_is_followed() {
        let (_folder, root, passwd) = container();
        assert_eq!(text_in(&root), None);
        fs::write(root.join("real"), "alice:x:1000\n").unwrap();
        symlink("/real", &passwd).unwrap();
        assert_eq!(text_in(&root).as_deref(), Some("alice:x:1000\n"));
    }

    #[test]
    fn nothing_outside_the_container_is_read() {
        let (folder, root, passwd) = container();
        for target in [
            "../../secret".to_owned(),
            folder.path().join("secret").display().to_string(),
            "/proc/self/root/etc/passwd".to_owned(),
        ] {
            symlink(&target, &passwd).unwrap();
            assert_eq!(text_in(&root), None, "{target}");
            fs::remove_file(&passwd).unwrap();
        }
    }

    #[test]
    fn what_is_no_regular_file_or_too_large_is_passed_over_at_once() {
        let begin = Instant::now();
        let (_folder, root, passwd) = container();
        mkfifo(&passwd, Mode::from_bits_truncate(0o644)).unwrap();
        assert_eq!(text_in(&root), None);
        fs::remove_file(&passwd).unwrap();
        fs::create_dir(&passwd).unwrap();
        assert_eq!(text_in(&root), None);
        fs::remove_dir(&passwd).unwrap();
        // `/dev/zero`; only root may make it.
        if mknod(
            &passwd,
            SFlag::S_IFCHR,
            Mode::from_bits_truncate(0o644),
            nix::sys::stat::makedev(1, 5),
        )
        .is_ok()
        {
            assert_eq!(text_in(&root), None);
            fs::remove_file(&passwd).unwrap();
        }
        File::create(&passwd).unwrap().set_len(FILE_LIMIT + 1).unwrap();
        assert_eq!(text_in(&root), None);
        assert!(begin.elapsed() < READ_LIMIT);
    }

    #[test]
    fn a_container_cannot_call_somebody_root_or_use_names_that_mislead() {
        let names = plausible_names(
            "root:x:1000\nalice:x:1001\nb\u{202e}b:x:1002\nb:x:1002\nzero:x:0\n:x:1003\na b:x:1004\nwww-data:x:33\n",
        );
        let mut names: Vec<(u32, String)> = names.into_iter().map(|(id, name)| (id, name.to_string())).collect();
        names.sort();
        assert_eq!(names, [(33, "www-data".to_owned()), (1001, "alice".to_owned())]);
        let long = "x".repeat(NAME_LIMIT + 1);
        assert!(plausible_names(&format!("{long}:x:5")).is_empty());
    }

    #[test]
    fn of_very_many_users_the_first_have_names() {
        let many: String = (1..100_000).map(|id| format!("user{id}:x:{id}\n")).collect();
        let names = plausible_names(&many);
        assert_eq!(names.len(), NAMES_AT_MOST);
        assert_eq!(names.get(&(NAMES_AT_MOST as u32)).map(|name| &**name), Some("user1024"));
    }
}
