//! Where the node's own files are read, which in a container are not those that the sensor sees at `/`.
//!
//! The configured folder (`host_root`) comes first. Else it is the root of the first process, where the sensor sees
//! that of the node (in Kubernetes with `hostPID`). Else it is the sensor's own root, unless the sensor is in a container.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::below::{self, Found, Mounts};
use crate::process::is_in_first;

/// The root of the first process.
pub(super) const ROOT_OF_INIT: &str = "/proc/1/root";
/// Where systems describe themselves. One without is no system, but what holds a pod's namespaces.
pub(super) const RELEASE_FILES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

const RELEASE_LIMIT: u64 = 64 * 1024;

/// The node's root. Cheap to copy.
#[derive(Clone)]
pub(crate) struct NodeRoot {
    root: Option<Arc<OwnedFd>>,
    place: RootPlace,
}

/// Where the node's root is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootPlace {
    Configured(PathBuf),
    /// The root of the first process, which is another one than the sensor's.
    Init,
    Own,
    /// The sensor is in a container and sees nothing of the node.
    Nowhere,
}

impl NodeRoot {
    /// Finds the node's root; `configured` if there is one.
    pub(crate) fn find(configured: Option<&Path>) -> Self {
        let open = |path: &Path| below::open_root(path).ok().map(Arc::new);
        if let Some(path) = configured {
            return NodeRoot {
                root: open(path),
                place: RootPlace::Configured(path.to_owned()),
            };
        }
        let place = match namespace_of_init("mnt") {
            Some(Whose::Another) => RootPlace::Init,
            Some(Whose::Own) if is_in_first("pid") != Some(false) => RootPlace::Own,
            None if ["pid", "uts", "cgroup"]
                .iter()
                .all(|kind| is_in_first(kind) != Some(false)) =>
            {
                RootPlace::Own
            }
            Some(Whose::Own) | None => RootPlace::Nowhere,
        };
        let found = NodeRoot {
            root: match place {
                RootPlace::Own => open(Path::new("/")),
                RootPlace::Init | RootPlace::Configured(_) | RootPlace::Nowhere => None,
            },
            place,
        };
        if found.place != RootPlace::Init {
            return found;
        }
        let roots = first_processes().iter().map(|process| NodeRoot {
            root: open(Path::new(&format!("/proc/{process}/root"))),
            place: RootPlace::Init,
        });
        let is_system = |root: &NodeRoot| root.read_first(&RELEASE_FILES, RELEASE_LIMIT).is_ok();
        roots.into_iter().find(is_system).unwrap_or(NodeRoot {
            root: None,
            place: RootPlace::Nowhere,
        })
    }

    pub(crate) fn place(&self) -> &RootPlace {
        &self.place
    }

    /// Whether there is anything at all.
    pub(crate) fn is_there(&self) -> bool {
        self.root.is_some()
    }

    /// Whether users have names there.
    pub(crate) fn has_users(&self) -> bool {
        self.find_file("etc/passwd").is_ok()
    }

    /// The first of these files that is there, unless it is longer than `limit`.
    pub(super) fn read_first(&self, paths: &[&str], limit: u64) -> io::Result<String> {
        let mut result = Err(io::ErrorKind::NotFound.into());
        for path in paths {
            result = self.find_file(path).and_then(|found| found.read(limit));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// The text of a file if it has changed, and when it did.
    pub(super) fn read_if_changed(
        &self,
        path: &str,
        before: Option<SystemTime>,
        limit: u64,
    ) -> io::Result<(SystemTime, Option<String>)> {
        let found = self.find_file(path)?;
        let changed = found.modified();
        if before == Some(changed) {
            return Ok((changed, None));
        }
        Ok((changed, found.read(limit).ok()))
    }

    fn find_file(&self, path: &str) -> io::Result<Found> {
        let root = self.root.as_ref().ok_or(io::ErrorKind::NotFound)?;
        below::find(root.as_fd(), path, Mounts::Crossed)
    }
}

/// The host's first process and, for where nobody may look at that, its first kernel thread, which none but the first
/// pid namespace has.
pub(super) fn first_processes() -> &'static [u32] {
    if is_in_first("pid") == Some(true) {
        &[1, 2]
    } else {
        &[1]
    }
}

/// Whose namespace the first process is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Own,
    Another,
}

/// `None` where nobody tells: that takes `CAP_SYS_PTRACE` for a process with more rights.
pub(super) fn namespace_of_init(kind: &str) -> Option<Whose> {
    let init = first_processes()
        .iter()
        .find_map(|process| fs::read_link(format!("/proc/{process}/ns/{kind}")).ok())?;
    let own = fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
    Some(if init == own { Whose::Own } else { Whose::Another })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_of_a_node_lead_to_its_own_files_and_never_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("node");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        fs::write(folder.path().join("secret"), "outside").unwrap();
        fs::write(root.join("usr/lib/os-release"), "inside").unwrap();
        let node = NodeRoot::find(Some(&root));
        let read = |path: &str| node.read_first(&[path], 100).ok();
        symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
        symlink("/usr/lib/os-release", root.join("etc/absolute")).unwrap();
        assert_eq!(read("etc/os-release").as_deref(), Some("inside"));
        assert_eq!(read("etc/absolute").as_deref(), Some("inside"));
        for target in [
            "../../secret".to_owned(),
            folder.path().join("secret").display().to_string(),
            "/proc/self/root/etc/passwd".to_owned(),
        ] {
            let _ = fs::remove_file(root.join("etc/out"));
            symlink(&target, root.join("etc/out")).unwrap();
            assert_eq!(read("etc/out"), None, "{target}");
        }
        nix::unistd::mkfifo(&root.join("etc/pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(read("etc/pipe"), None);
        assert!(node.read_first(&["usr/lib/os-release"], 5).is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_has_nothing() {
        let node = NodeRoot::find(Some(Path::new("/nonexistent")));
        assert!(!node.is_there());
        assert!(node.read_first(&["etc/passwd"], 100).is_err());
    }
}
