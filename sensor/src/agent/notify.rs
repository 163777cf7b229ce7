//! Notifications to the service manager, where there is one (`NOTIFY_SOCKET`).

use sd_notify::{NotifyState, notify};
use tracing::debug;

/// The sensor watches.
pub(crate) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Rules are being read; [`ready`] has to follow.
pub(crate) fn reloading() {
    // systemd wants the time with it, which is always to be had.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        send(&[NotifyState::Reloading, now]);
    }
}

/// All threads go on with their work.
pub(crate) fn alive() {
    send(&[NotifyState::Watchdog]);
}

pub(crate) fn stopping() {
    send(&[NotifyState::Stopping]);
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = notify(states) {
        debug!("the service manager could not be notified: {error}");
    }
}
