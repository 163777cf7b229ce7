//! Sends canaries and judges what came back of them. Never waits: it is looked after again and again.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tracing::warn;

use crate::clock::boot_clock_ns;
use crate::notice::Notice;
use crate::pipeline::{Canary, Progress};

/// What a canary does has to come through within this time.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Canaries that are sent in a row while records are being lost, before the next one has to wait for its turn.
const ATTEMPTS: u32 = 3;

/// Sends a canary at each interval.
pub(super) struct Canaries {
    canary: Canary,
    progress: Progress,
    interval: Duration,
    state: State,
    attempts: u32,
}

enum State {
    Resting {
        until: Instant,
    },
    Flying {
        child: Child,
        since: Instant,
        lost_before: u64,
    },
    /// The child has ended: its records are in the ring buffer, or lost.
    Landed {
        at_ns: i64,
        since: Instant,
        lost_before: u64,
    },
}

impl Canaries {
    pub(super) fn new(canary: Canary, progress: Progress, interval: Duration) -> Self {
        Canaries {
            canary,
            progress,
            interval,
            state: State::Resting { until: Instant::now() },
            attempts: 0,
        }
    }

    /// Goes on as far as it can; gives what is to be told.
    pub(super) fn look(&mut self) -> Vec<Notice> {
        let now = Instant::now();
        match &mut self.state {
            State::Resting { until } => {
                if now >= *until && self.progress.has_begun() {
                    return self.send(now);
                }
                Vec::new()
            }
            State::Flying {
                child,
                since,
                lost_before,
            } => {
                let (since, lost_before) = (*since, *lost_before);
                match child.try_wait() {
                    Ok(None) if since.elapsed() < TIME_LIMIT => Vec::new(),
                    Ok(None) => {
                        // It is stopped, or the host has no time for it.
                        let _ = child.kill();
                        let _ = child.wait();
                        self.rest(now);
                        vec![Notice::Behind]
                    }
                    Ok(Some(_)) | Err(_) => {
                        self.state = State::Landed {
                            at_ns: boot_clock_ns(),
                            since,
                            lost_before,
                        };
                        self.judge(now)
                    }
                }
            }
            State::Landed { .. } => self.judge(now),
        }
    }

    fn judge(&mut self, now: Instant) -> Vec<Notice> {
        let State::Landed {
            at_ns,
            since,
            lost_before,
        } = self.state
        else {
            return Vec::new();
        };
        let blind = self.canary.seen().blind();
        if blind.is_empty() {
            self.attempts = 0;
            self.rest(now);
            return Vec::new();
        }
        if self.progress.handled_until_ns() < at_ns {
            if since.elapsed() < TIME_LIMIT {
                return Vec::new();
            }
            self.rest(now);
            // That is told as what it is.
            if self.progress.waits_for_output() {
                return Vec::new();
            }
            return vec![Notice::Behind];
        }
        // Lost records are told of anyway, and may be what is missing.
        if self.progress.counted().counts.lost.total() > lost_before && self.attempts < ATTEMPTS {
            self.attempts += 1;
            return self.send(now);
        }
        self.attempts = 0;
        self.rest(now);
        blind.into_iter().map(|hook| Notice::HookBlind { hook }).collect()
    }

    fn rest(&mut self, now: Instant) {
        self.state = State::Resting {
            until: now + self.interval,
        };
    }

    fn send(&mut self, now: Instant) -> Vec<Notice> {
        let lost_before = self.progress.counted().counts.lost.total();
        match self.start() {
            Ok(child) => {
                self.state = State::Flying {
                    child,
                    since: now,
                    lost_before,
                };
                Vec::new()
            }
            Err(error) => {
                warn!("the hooks cannot be tried: the sensor cannot start itself: {error}");
                self.rest(now);
                vec![Notice::HooksUntried]
            }
        }
    }

    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new("/proc/self/exe");
        command.args(self.canary.begin()?).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn()
    }
}

impl Drop for Canaries {
    fn drop(&mut self) {
        if let State::Flying { child, .. } = &mut self.state {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
