//! The state of the sensor, in a file that monitoring reads: Prometheus' text format, as node_exporter's textfile collector
//! takes it. No port is opened.
//!
//! A thread of its own writes, so a slow disk holds nothing up. The file is replaced as a whole; its age shows whether
//! the sensor still runs.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use container_engines::Directory;
use tracing::{info, warn};

use crate::sandbox::{self, Role};
use crate::telemetry::backoff::Backoff;
use crate::telemetry::counts::Snapshot;

mod page;

/// The file's mode, but for what the umask takes away.
const FILE_MODE: u32 = 0o666;
/// How often the file is written.
const INTERVAL: Duration = Duration::from_secs(10);

/// The sending side of the metrics.
pub(crate) struct Metrics {
    snapshots: SyncSender<Snapshot>,
    /// Closed by the thread's end.
    ended: Receiver<()>,
    thread: Arc<JoinHandle<()>>,
    last_offer: Option<Instant>,
}

impl Metrics {
    /// Starts the thread that writes `path`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(path: PathBuf, directory: Directory) -> io::Result<Metrics> {
        let (snapshots, received) = mpsc::sync_channel::<Snapshot>(1);
        let (end, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            sandbox::enter(Role::Files);
            let _end = end;
            let mut backoff = Backoff::new(INTERVAL, INTERVAL);
            for snapshot in received {
                match replace(&path, &page::render(snapshot, directory.engines())) {
                    Ok(()) if backoff.recovered().is_some() => {
                        info!("metrics are written to `{}` again", path.display())
                    }
                    Err(error) if backoff.failed().is_some() => warn!(
                        "metrics cannot be written to `{}`: {error}; it is tried again",
                        path.display()
                    ),
                    Ok(()) | Err(_) => {}
                }
            }
        })?;
        Ok(Metrics {
            snapshots,
            ended,
            thread: Arc::new(thread),
            last_offer: None,
        })
    }

    pub(crate) fn thread(&self) -> Arc<JoinHandle<()>> {
        Arc::clone(&self.thread)
    }

    /// Has what `snapshot` gives written, if it is time. Never waits: while the disk is slow, a turn is left out.
    pub(crate) fn offer(&mut self, snapshot: impl FnOnce() -> Snapshot) {
        if self.last_offer.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        self.last_offer = Some(Instant::now());
        let _ = self.snapshots.try_send(snapshot());
    }

    /// Writes the last state unless the disk is behind, waiting at most `time_limit` for it.
    pub(crate) fn finish(self, snapshot: Snapshot, time_limit: Duration) {
        let _ = self.snapshots.try_send(snapshot);
        drop(self.snapshots);
        // Nothing is ever sent: this returns when the thread has ended, or at the time limit.
        let _ = self.ended.recv_timeout(time_limit);
    }
}

/// Readers see the old text or the new, never a part. The directory may be another user's, so the file beside has a
/// name that nobody can foresee, and must not exist yet.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut beside = tempfile::Builder::new()
        .permissions(Permissions::from_mode(FILE_MODE))
        .tempfile_in(directory)?;
    beside.write_all(text.as_bytes())?;
    beside.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_file_alone_is_replaced_and_others_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("tw.prom"), directory.path().join("target"));
        fs::write(&target, "kept").unwrap();
        symlink(&target, &path).unwrap();
        symlink(&target, directory.path().join("tw.prom.new")).unwrap();
        for text in ["old", "new"] {
            replace(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
        fs::write(&target, "").unwrap();
        let mode = |path| fs::symlink_metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&target), "it has the mode of any new file");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }
}
