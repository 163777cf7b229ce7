//! Looks whether the files of the configuration and of rules have changed, and asks for a reload then.
//!
//! The kernel tells of changes in their folders. What it does not tell of, as on network file systems, a look every minute
//! finds. Changes in a row are one: files are read once nothing has changed for a moment. A mounted ConfigMap changes by
//! its link `..data`, which is renamed; whatever is a link is looked at by what it leads to.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tracing::info;

use super::request::{Cause, ReloadRequest};
use crate::rule_files::{files_below, folders_below};
use crate::sandbox::{self, Role};

/// For how long nothing may have changed before files are read, and how long changes in a row can put that off.
const QUIET: Duration = Duration::from_millis(500);
const AT_LATEST: Duration = Duration::from_secs(5);
/// How often files are looked at that the kernel says nothing of.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// Folders of which the kernel is asked to tell.
const FOLDERS_AT_MOST: usize = 1024;

/// The files that are looked at, and what they were like when they were last read. Cheap to copy.
#[derive(Clone)]
pub(crate) struct Watched(Arc<Mutex<Inner>>);

struct Inner {
    /// Files, and folders of rule files.
    paths: Vec<PathBuf>,
    seen: u64,
}

impl Watched {
    /// To be made before the files are read, so that no change after that is missed.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        let seen = fingerprint(&paths);
        Watched(Arc::new(Mutex::new(Inner { paths, seen })))
    }

    /// Notes that the files are about to be read.
    pub(super) fn note(&self) {
        self.is_changed();
    }

    /// Looks at other files from now on, which have just been read.
    pub(super) fn set_paths(&self, paths: Vec<PathBuf>) {
        let mut inner = self.lock();
        if inner.paths != paths {
            inner.seen = fingerprint(&paths);
            inner.paths = paths;
        }
    }

    /// Whether anything is otherwise than when it was last noted; notes it.
    fn is_changed(&self) -> bool {
        let mut inner = self.lock();
        let seen = fingerprint(&inner.paths);
        std::mem::replace(&mut inner.seen, seen) != seen
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread that asks for a reload at each change, as long as the process runs.
    pub(super) fn start(self, requests: SyncSender<ReloadRequest>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("watch".to_owned()).spawn(move || {
            sandbox::enter(Role::Rules);
            loop {
                let told = tell_of(&self.lock().paths);
                if self.is_changed() {
                    info!("files of the configuration or of rules have changed");
                    // One that waits already reads all there is to read.
                    let _ = requests.try_send(ReloadRequest::new(Cause::Files));
                }
                match told {
                    Ok(told) => wait_for_change(&told),
                    Err(_) => thread::sleep(LOOK_INTERVAL),
                }
            }
        })
    }
}

/// Has the kernel tell of changes in the folders of these paths and below them. One that it cannot tell of is left out.
fn tell_of(paths: &[PathBuf]) -> nix::Result<Inotify> {
    let told = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let mut folders = BTreeSet::new();
    for path in paths {
        // The folder that a missing one will be made in.
        folders.extend(
            path.ancestors()
                .skip(1)
                .find(|folder| folder.is_dir())
                .map(Path::to_owned),
        );
        folders.extend(folders_below(path));
    }
    let changes = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF;
    for folder in folders.iter().take(FOLDERS_AT_MOST) {
        let _ = told.add_watch(folder, changes);
    }
    Ok(told)
}

/// Waits until something has changed and then nothing any more for a moment, or until it is time to look anyway.
fn wait_for_change(told: &Inotify) {
    let has_come = |limit: Duration| {
        let mut descriptors = [PollFd::new(told.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
        poll(&mut descriptors, timeout).is_ok_and(|number| number > 0)
    };
    if !has_come(LOOK_INTERVAL) {
        return;
    }
    let first = Instant::now();
    loop {
        while told.read_events().is_ok_and(|events| !events.is_empty()) {}
        if first.elapsed() >= AT_LATEST || !has_come(QUIET) {
            return;
        }
    }
}

/// What the files are like: which there are, and by what one that was written or replaced differs.
fn fingerprint(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        let files = files_below(path).unwrap_or_default();
        for file in files {
            let state = fs::metadata(&file).map(|state| {
                (
                    [state.dev(), state.ino(), state.size()],
                    [state.mtime(), state.mtime_nsec(), state.ctime(), state.ctime_nsec()],
                )
            });
            (file, state.ok()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::mpsc::{self, Receiver};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    const NOTHING_COMES: Duration = Duration::from_millis(1500);

    fn watch(paths: &[&Path]) -> Receiver<ReloadRequest> {
        let (requests, received) = mpsc::sync_channel(4);
        let watched = Watched::new(paths.iter().map(|path| (*path).to_owned()).collect());
        watched.start(requests).unwrap();
        received
    }

    fn comes(received: &Receiver<ReloadRequest>) {
        assert_eq!(received.recv_timeout(PATIENCE).unwrap().cause, Cause::Files);
    }

    /// As the kubelet lays out a ConfigMap: links by way of `..data`, which leads to a folder of a version.
    fn lay_out(folder: &Path, version: &str, text: &str) {
        let data = folder.join(format!("..{version}"));
        fs::create_dir(&data).unwrap();
        fs::write(data.join("a.toml"), text).unwrap();
        symlink(format!("..{version}"), folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        if !folder.join("a.toml").exists() {
            symlink("..data/a.toml", folder.join("a.toml")).unwrap();
        }
    }

    #[test]
    fn a_config_map_that_changes_is_one_change() {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path(), "1", "one");
        let received = watch(&[folder.path()]);
        lay_out(folder.path(), "2", "two");
        fs::remove_dir_all(folder.path().join("..1")).unwrap();
        comes(&received);
        assert!(received.recv_timeout(NOTHING_COMES).is_err());
    }

    #[test]
    fn files_that_come_go_or_are_written_below_a_folder_are_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules");
        // Not there yet.
        let received = watch(&[&rules]);
        fs::create_dir_all(rules.join("deep")).unwrap();
        fs::write(rules.join("deep/a.toml"), "one").unwrap();
        comes(&received);
        fs::write(rules.join("deep/a.toml"), "two").unwrap();
        comes(&received);
        fs::rename(rules.join("deep/a.toml"), rules.join("b.toml")).unwrap();
        comes(&received);
        fs::remove_file(rules.join("b.toml")).unwrap();
        comes(&received);
    }

    #[test]
    fn what_was_noted_before_it_was_read_and_what_is_no_rule_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let watched = Watched::new(vec![folder.path().to_owned()]);
        fs::write(folder.path().join("notes.txt"), "no rule").unwrap();
        assert!(!watched.is_changed());
        fs::write(folder.path().join("a.toml"), "one").unwrap();
        watched.note();
        assert!(!watched.is_changed());
        fs::write(folder.path().join("a.toml"), "other").unwrap();
        assert!(watched.is_changed());
    }
}
