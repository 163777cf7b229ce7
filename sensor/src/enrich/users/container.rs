//! Users and groups of containers, from files in the containers, which may be hostile.
//!
//! One thread takes the requests, and each container's files are read on one more thread, which is abandoned when that
//! takes too long. A file is opened below the container's root and nowhere else, without leaving its file system, and
//! only if it is a regular file of bounded size: never a device, a pipe or a way out. Names are bounded; only 0 is
//! called root.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2},
    sys::stat::{FileStat, Mode, SFlag, fstat},
};

use super::names::{NamesById, ROOT, parse};
use crate::{identity::ContainerIdentity, process::ProcessKey};

/// Requests that are queued; more are counted and dropped.
const QUEUED_AT_MOST: usize = 256;
/// Containers whose names are kept; when there are more, all are dropped and read again.
const CONTAINERS_AT_MOST: usize = 1024;
/// How long reading one container's files may take.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// Threads that may hang in containers' file systems; beyond that, none is started.
const HANGING_AT_MOST: usize = 4;
/// A larger file is not read.
const FILE_LIMIT: u64 = 1024 * 1024;
/// Names of a file that are kept.
const NAMES_AT_MOST: usize = 4096;
/// The longest name, as `useradd` has it.
const NAME_LIMIT: usize = 32;
/// Stack of a thread that reads files.
const STACK_BYTES: usize = 128 * 1024;

/// Names by id.
#[derive(Debug, Default)]
pub(crate) struct ContainerNames {
    pub users: NamesById,
    pub groups: NamesById,
}

type Known = Arc<RwLock<HashMap<String, Arc<ContainerNames>>>>;

/// The names in all containers.
pub(crate) struct ContainerUsers {
    known: Known,
    requests: SyncSender<Request>,
    unread: Arc<AtomicU64>,
    thread: Arc<JoinHandle<()>>,
}

struct Request {
    container: String,
    /// Processes whose root is the container's.
    processes: Vec<ProcessKey>,
}

impl ContainerUsers {
    /// Knows nothing yet.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start() -> io::Result<Self> {
        let (requests, waiting) = sync_channel(QUEUED_AT_MOST);
        let (known, unread) = (Known::default(), Arc::default());
        let (to_fill, to_count) = (Arc::clone(&known), Arc::clone(&unread));
        let thread = thread::Builder::new()
            .name("users".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || serve(&waiting, &to_fill, &to_count))?;
        Ok(ContainerUsers {
            known,
            requests,
            unread,
            thread: Arc::new(thread),
        })
    }

    /// The thread that takes the requests.
    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    /// Has the files of a container read, through the first of these processes that still exists.
    pub(crate) fn request(&self, container: &ContainerIdentity, processes: Vec<ProcessKey>) {
        let request = Request {
            container: container.id.clone(),
            processes,
        };
        if self.requests.try_send(request).is_err() {
            self.unread.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The names of a container, once they are read.
    pub(crate) fn names(&self, container: &ContainerIdentity) -> Option<Arc<ContainerNames>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&container.id).cloned()
    }

    pub(crate) fn unread(&self) -> u64 {
        self.unread.load(Ordering::Relaxed)
    }
}

/// Reads containers' files until the last sender is dropped.
fn serve(requests: &Receiver<Request>, known: &Known, unread: &AtomicU64) {
    let mut hanging = 0;
    for request in requests {
        let read = if hanging < HANGING_AT_MOST {
            read_in_time(request.processes)
        } else {
            Err(TookTooLong)
        };
        match read {
            Ok(Some(names)) => {
                let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
                if known.len() >= CONTAINERS_AT_MOST {
                    known.clear();
                }
                known.insert(request.container, Arc::new(names));
            }
            // The processes were gone or had not entered their container yet; there will be another request.
            Ok(None) => {}
            Err(TookTooLong) => {
                hanging += usize::from(hanging < HANGING_AT_MOST);
                unread.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

struct TookTooLong;

fn read_in_time(processes: Vec<ProcessKey>) -> Result<Option<ContainerNames>, TookTooLong> {
    let (answer, answered) = sync_channel(1);
    let reader = thread::Builder::new()
        .name("users-read".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || answer.send(processes.into_iter().find_map(read)));
    if reader.is_err() {
        return Ok(None);
    }
    answered.recv_timeout(READ_LIMIT).map_err(|_| TookTooLong)
}

fn read(process: ProcessKey) -> Option<ContainerNames> {
    let root = open(
        format!("/proc/{}/root", process.pid).as_str(),
        OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .ok()?;
    let is_still_there = procfs::process::Process::new(process.pid as i32)
        .and_then(|found| found.stat())
        .is_ok_and(|stat| stat.starttime == process.start_ticks);
    if !is_still_there || is_root_of_host(&root) {
        return None;
    }
    let names = |path| bounded(parse(&text_below(root.as_fd(), path).unwrap_or_default()));
    Some(ContainerNames {
        users: names("etc/passwd"),
        groups: names("etc/group"),
    })
}

/// Whether the root is the host's or the sensor's, as for a helper of an engine before it enters the container.
fn is_root_of_host(root: &OwnedFd) -> bool {
    let file = |state: FileStat| (state.st_dev, state.st_ino);
    let Ok(root) = fstat(root).map(file) else { return true };
    let host_roots = ["/", "/proc/1/root"].map(|path| nix::sys::stat::stat(path).map(file));
    host_roots.contains(&Ok(root))
}

/// The content of a regular file below `root`, following only what stays below it and on its file system.
fn text_below(root: BorrowedFd<'_>, path: &str) -> Option<String> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_NO_XDEV);
    let place = openat2(root, path, how).ok()?;
    // Opening a device or a pipe has side effects, so the type is checked first.
    let state = fstat(&place).ok()?;
    let is_regular = SFlag::from_bits_truncate(state.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    if !is_regular || u64::try_from(state.st_size).is_ok_and(|size| size > FILE_LIMIT) {
        return None;
    }
    let file = open(
        format!("/proc/self/fd/{}", place.as_raw_fd()).as_str(),
        OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .ok()?;
    let mut bytes = Vec::new();
    File::from(file).take(FILE_LIMIT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The names that are plausible.
fn bounded(names: NamesById) -> NamesById {
    let is_name = |name: &str| {
        (1..=NAME_LIMIT).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-$".contains(c))
            && name != ROOT
    };
    let plausible = names.into_iter().filter(|(id, name)| *id != 0 && is_name(name));
    plausible.take(NAMES_AT_MOST).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path, time::Instant};

    use nix::{
        sys::stat::{SFlag, mknod},
        unistd::mkfifo,
    };

    use super::*;

    fn text_in(root: &Path) -> Option<String> {
        let root = open(root, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
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
        let names = bounded(parse(
            "root:x:1000\nalice:x:1001\nb\u{202e}b:x:1002\nzero:x:0\n:x:1003\na b:x:1004\nwww-data:x:33\n",
        ));
        let mut names: Vec<(u32, String)> = names.into_iter().map(|(id, name)| (id, name.to_string())).collect();
        names.sort();
        assert_eq!(names, [(33, "www-data".to_owned()), (1001, "alice".to_owned())]);
        let long = "x".repeat(NAME_LIMIT + 1);
        assert!(bounded(parse(&format!("{long}:x:5"))).is_empty());
    }
}
