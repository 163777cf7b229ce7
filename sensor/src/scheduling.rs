//! How soon a thread runs that an alert passes through: containers that fill every processor must not be able to hold up
//! what tells of them.
//!
//! Such a thread runs before all that has no real-time class, but only as long as it takes no more than its share of a
//! processor; past that it is one of many, with more weight than others. So whoever makes the sensor work cannot have it
//! stop the host.

use std::io;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// What a thread may use is counted anew after so long. The kernel counts all real-time threads of a processor over the
/// same time, and leaves others a twentieth of it.
const WINDOW: Duration = Duration::from_secs(1);
/// With it a thread gets some ten times what one of a container's gets that is in the same cgroup.
const NICENESS: i32 = -10;
/// The least there is, so that no other real-time thread of the host waits for this one.
const REAL_TIME_PRIORITY: i32 = 1;

/// The precedence of the thread that takes it.
pub(crate) struct Precedence {
    /// The processor time that a window may hold.
    share: Duration,
    /// When the window began, and what the thread had used by then.
    since: Instant,
    used_before: Duration,
    class: Class,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    RealTime,
    /// Until the window ends.
    Exhausted,
    /// For good, as nothing else is permitted.
    Ordinary,
}

impl Precedence {
    /// For the calling thread, whose name the log gives; `percent` of a processor are its share.
    pub(crate) fn take(thread: &str, percent: u32) -> Self {
        // SAFETY: three numbers; 0 stands for the calling thread.
        let is_weighed = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) } == 0;
        let class = match set_scheduler(libc::SCHED_RR, REAL_TIME_PRIORITY) {
            Ok(()) => Class::RealTime,
            Err(error) => {
                let instead = if is_weighed { "a higher weight" } else { "no precedence" };
                tracing::info!(
                    "the thread `{thread}` has {instead}, and is late while programs fill every processor: \
                     a real-time class is refused ({error}); CAP_SYS_NICE permits it"
                );
                Class::Ordinary
            }
        };
        Precedence {
            share: WINDOW * percent / 100,
            since: Instant::now(),
            used_before: processor_time(),
            class,
        }
    }

    /// Sees to it that the thread keeps to its share. To be called whenever it has done something, with the time.
    pub(crate) fn keep_to_share(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        // It cannot have used more than has passed.
        if self.class == Class::Ordinary || elapsed < self.share {
            return;
        }
        let used = processor_time();
        let class = self.class_after(elapsed, used.saturating_sub(self.used_before));
        if elapsed >= WINDOW {
            (self.since, self.used_before) = (now, used);
        }
        if class != self.class {
            self.change_to(class);
        }
    }

    /// What the thread is from now on, having used so much in so much of a window.
    fn class_after(&self, elapsed: Duration, used: Duration) -> Class {
        let windows = elapsed.as_secs_f64().max(WINDOW.as_secs_f64()) / WINDOW.as_secs_f64();
        let is_over = used > self.share.mul_f64(windows);
        match self.class {
            Class::Ordinary => Class::Ordinary,
            Class::RealTime if is_over => Class::Exhausted,
            Class::Exhausted if elapsed < WINDOW => Class::Exhausted,
            Class::RealTime | Class::Exhausted => Class::RealTime,
        }
    }

    fn change_to(&mut self, class: Class) {
        let changed = match class {
            Class::RealTime => set_scheduler(libc::SCHED_RR, REAL_TIME_PRIORITY),
            Class::Exhausted | Class::Ordinary => set_scheduler(libc::SCHED_OTHER, 0),
        };
        // The right to it may be gone since.
        self.class = changed.map_or(Class::Ordinary, |()| class);
    }
}

/// Sets the class of the calling thread; what it starts is ordinary.
fn set_scheduler(policy: i32, priority: i32) -> io::Result<()> {
    // The system call itself, as not every C library has it do anything. The priority is all that the kernel's
    // `sched_param` holds.
    // SAFETY: the priority outlives the call; 0 stands for the calling thread.
    let result = unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            0,
            policy | libc::SCHED_RESET_ON_FORK,
            &raw const priority,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What the calling thread has used.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Duration = WINDOW.checked_div(2).unwrap();

    fn class_after(class: Class, elapsed: Duration, used: Duration) -> Class {
        let precedence = Precedence {
            share: SHARE,
            since: Instant::now(),
            used_before: Duration::ZERO,
            class,
        };
        precedence.class_after(elapsed, used)
    }

    #[test]
    fn the_share_is_what_a_thread_gets_before_others() {
        let (more, less) = (SHARE + Duration::from_millis(1), SHARE - Duration::from_millis(1));
        for (class, elapsed, used, expected) in [
            (Class::RealTime, more, less, Class::RealTime),
            (Class::RealTime, more, more, Class::Exhausted),
            // It goes on as one of many, and what it gets then is not counted.
            (
                Class::Exhausted,
                WINDOW - Duration::from_millis(1),
                WINDOW,
                Class::Exhausted,
            ),
            (Class::Exhausted, WINDOW, WINDOW, Class::RealTime),
            // What it did at once took longer than a window.
            (Class::RealTime, WINDOW * 3, WINDOW * 2, Class::Exhausted),
            (Class::RealTime, WINDOW * 3, WINDOW, Class::RealTime),
            (Class::Ordinary, WINDOW, Duration::ZERO, Class::Ordinary),
        ] {
            assert_eq!(
                class_after(class, elapsed, used),
                expected,
                "{class:?} {elapsed:?} {used:?}"
            );
        }
    }
}
