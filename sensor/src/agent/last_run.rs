//! A file in the state directory that is there while the sensor runs, with when it was last alive: the next start finds
//! it if this run did not end as it should.
//!
//! A thread of its own writes it, for a disk may be slow. It is replaced as a whole, so a crash leaves the old text or
//! the new; what was planted under its name is replaced and not followed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::clock::wall_clock_ns;
use crate::history::HistoryState;
use crate::notice::{self, Notice};
use crate::sandbox::{self, Role};
use crate::telemetry::backoff::Backoff;

const FILE_NAME: &str = "running.json";
/// A longer file is not one of ours.
const MAX_BYTES: u64 = 4096;
/// The longest time between two notes that the sensor is alive.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);

/// What the file says, in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Alive {
    since_ns: i64,
    alive_ns: i64,
}

/// The file of this run.
pub(crate) struct RunFile {
    path: PathBuf,
    notes: SyncSender<i64>,
    ended: Receiver<()>,
    history: HistoryState,
    since_ns: i64,
    thread: Arc<JoinHandle<()>>,
}

/// Where it is noted that the sensor is alive. Never waits.
#[derive(Clone)]
pub(crate) struct AliveNote {
    notes: SyncSender<i64>,
    history: HistoryState,
}

impl AliveNote {
    /// Whether it is this sensor's to put: as long as another one has the state directory, the file is that one's.
    pub(super) fn put(&self) -> bool {
        let is_own = !self.history.stands_by();
        if is_own {
            // While the disk is slow, a note is left out.
            let _ = self.notes.try_send(wall_clock_ns());
        }
        is_own
    }
}

impl RunFile {
    /// Begins this run's file; gives also when the run before was last alive if it did not end as it should, in
    /// nanoseconds since the epoch. The directory is this run's once the history is.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn begin(state_directory: &Path, history: HistoryState) -> io::Result<(Self, Option<i64>)> {
        let path = state_directory.join(FILE_NAME);
        let before = if history.stands_by() { None } else { alive_ns(&path) };
        let (notes, received) = mpsc::sync_channel::<i64>(1);
        let (end, ended) = mpsc::channel();
        let to_write = path.clone();
        let since_ns = wall_clock_ns();
        let thread = thread::Builder::new().name("run-file".to_owned()).spawn(move || {
            sandbox::enter(Role::Files);
            let _end = end;
            let mut backoff = Backoff::new(INTERVAL, INTERVAL);
            for alive_ns in received {
                match write(&to_write, Alive { since_ns, alive_ns }) {
                    Ok(()) => drop(backoff.recovered()),
                    Err(error) if backoff.failed().is_some() => {
                        notice::raise(Notice::StateNotWritten { what: "running" }, None, 1);
                        warn!(
                            "`{}` cannot be written: {error}; the next start may not know how this run ended",
                            to_write.display()
                        );
                    }
                    Err(_) => {}
                }
            }
        })?;
        let file = RunFile {
            path,
            notes,
            ended,
            history,
            since_ns,
            thread: Arc::new(thread),
        };
        file.note().put();
        Ok((file, before))
    }

    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    pub(crate) fn note(&self) -> AliveNote {
        AliveNote {
            notes: self.notes.clone(),
            history: self.history.clone(),
        }
    }

    /// Removes the file, for the run has ended as it should, unless it is already that of the next one, which has had
    /// the directory since the history was closed. No [`AliveNote`] may be left.
    pub(crate) fn end(self, time_limit: Duration) {
        drop(self.notes);
        // Nothing is ever sent: this returns when the thread has ended, or at the time limit.
        let is_written = self.ended.recv_timeout(time_limit) == Err(mpsc::RecvTimeoutError::Disconnected);
        let is_own = || read(&self.path).1.is_none_or(|file| file.since_ns == self.since_ns);
        if is_written && !self.history.stands_by() && is_own() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// When the run that left the file was last alive; if the text is not to be understood, when the file was written.
fn alive_ns(path: &Path) -> Option<i64> {
    let (file, alive) = read(path);
    alive.map(|alive| alive.alive_ns).or_else(|| modified_ns(&file?))
}

/// The file, if there is one, and what it says, if that is to be understood.
fn read(path: &Path) -> (Option<File>, Option<Alive>) {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let Ok(file) = options.open(path) else {
        return (None, None);
    };
    let mut text = String::new();
    let read = (&file).take(MAX_BYTES).read_to_string(&mut text);
    let alive = read.ok().and_then(|_| serde_json::from_str(&text).ok());
    (Some(file), alive)
}

fn modified_ns(file: &File) -> Option<i64> {
    let modified = file.metadata().ok()?.modified().ok()?;
    let since_epoch = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_nanos()).ok()
}

fn write(path: &Path, alive: Alive) -> io::Result<()> {
    let mut beside = tempfile::Builder::new()
        .prefix(".running")
        .tempfile_in(path.parent().unwrap_or(Path::new("")))?;
    beside.write_all(serde_json::to_string(&alive)?.as_bytes())?;
    beside.as_file().sync_data()?;
    beside.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_run_that_ended_as_it_should_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let (file, before) = RunFile::begin(directory.path(), HistoryState::default()).unwrap();
            assert_eq!(before, None);
            file.end(LONG);
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_run_that_did_not_end_is_known_by_when_it_was_last_alive() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        write(
            &path,
            Alive {
                since_ns: 3,
                alive_ns: 7,
            },
        )
        .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (file, before) = RunFile::begin(directory.path(), HistoryState::default()).unwrap();
        assert_eq!(before, Some(7));
        file.end(LONG);
    }

    #[test]
    fn the_file_of_the_next_run_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let (file, _) = RunFile::begin(directory.path(), HistoryState::default()).unwrap();
        while !path.exists() {
            thread::yield_now();
        }
        let of_next = Alive {
            since_ns: 3,
            alive_ns: 7,
        };
        write(&path, of_next).unwrap();
        file.end(LONG);
        assert_eq!(alive_ns(&path), Some(7));
    }

    #[test]
    fn a_damaged_file_tells_by_its_time_and_a_planted_link_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join(FILE_NAME), directory.path().join("target"));
        fs::write(&path, "").unwrap();
        assert!(alive_ns(&path).is_some());
        fs::remove_file(&path).unwrap();
        fs::write(&target, "kept").unwrap();
        symlink(&target, &path).unwrap();
        assert_eq!(alive_ns(&path), None);
        write(
            &path,
            Alive {
                since_ns: 3,
                alive_ns: 7,
            },
        )
        .unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
        assert_eq!(alive_ns(&path), Some(7));
    }
}
