//! A history that another sensor still has: this one waits for that to end, and goes on with what it leaves.

use std::sync::atomic::Ordering::Relaxed;

use super::History;
use super::change::{Change, TakenOver};
use super::store;

impl History {
    /// Whether another sensor still has the history, so that this one must not be asked.
    pub(crate) fn stands_by(&self) -> bool {
        self.awaited.is_some()
    }

    /// Whether the other sensor has just ended and this is the history now: with the time of the boot clock up to which
    /// events are that one's, or that of one before it, if any ended as it should.
    pub(crate) fn take_over(&mut self) -> Option<TakenOver> {
        let contents = self.awaited.as_ref()?.try_recv().ok()?;
        self.awaited = None;
        self.shared.stands_by.store(false, Relaxed);
        let watched_until_ns = contents.watched_until_ns;
        self.load(contents);
        Some(TakenOver { watched_until_ns })
    }

    /// From now on this sensor holds what comes, so that the other one may leave it all from any moment on.
    pub(crate) fn holds_events(&self) {
        self.shared.is_holding.store(true, Relaxed);
    }

    /// Notes that events up to this time of the boot clock are this sensor's; gives whether another one holds what comes
    /// later.
    pub(crate) fn watched_until(&mut self, boot_ns: i64) -> bool {
        if self.stands_by() {
            return false;
        }
        self.hand_on(Change::WatchedUntil { boot_ns });
        store::is_another_standing_by(&self.directory)
    }
}
