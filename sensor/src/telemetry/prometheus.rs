//! How the sensor does, in a file that monitoring reads: Prometheus' text format, as node_exporter's textfile collector
//! takes it. No port is opened.
//!
//! A thread of its own writes, so a slow disk holds nothing up. The file is replaced as a whole; its age tells whether
//! the sensor still runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use container_engines::Directory;
use tracing::{info, warn};

use crate::telemetry::backoff::Backoff;
use crate::telemetry::counts::Snapshot;

mod page;

/// How often the file is written.
const INTERVAL: Duration = Duration::from_secs(10);

/// The sending side of the metrics.
pub struct Metrics {
    snapshots: SyncSender<Snapshot>,
    /// Closed by the thread's end.
    ended: Receiver<()>,
    last_offer: Option<Instant>,
}

impl Metrics {
    /// Starts the thread that writes `path`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(path: PathBuf, directory: Directory) -> io::Result<Metrics> {
        let (snapshots, received) = mpsc::sync_channel::<Snapshot>(1);
        let (end, ended) = mpsc::channel();
        thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            let _end = end;
            let mut backoff = Backoff::new(INTERVAL, INTERVAL);
            for snapshot in received {
                match replace(&path, &page::render(&snapshot, &directory.engines())) {
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
            last_offer: None,
        })
    }

    /// Has what `snapshot` gives written, if it is time. Never waits: while the disk is slow, a turn is left out.
    pub fn offer(&mut self, snapshot: impl FnOnce() -> Snapshot) {
        if self.last_offer.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        self.last_offer = Some(Instant::now());
        let _ = self.snapshots.try_send(snapshot());
    }

    /// Writes the last state unless the disk is behind, waiting at most `time_limit` for it.
    pub fn finish(self, snapshot: Snapshot, time_limit: Duration) {
        let _ = self.snapshots.try_send(snapshot);
        drop(self.snapshots);
        // Nothing is ever sent: this returns when the thread has ended, or at the time limit.
        let _ = self.ended.recv_timeout(time_limit);
    }
}

/// Readers see the old text or the new, never a part.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}
