//! Retries with backoff: when to try a failed write again, and how often to report that it fails.

use std::time::{Duration, Instant};

/// A failure that lasts or comes back is reported this often.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// The failures of one destination.
pub(crate) struct Backoff {
    first_pause: Duration,
    longest_pause: Duration,
    failure: Option<Failure>,
    last_report: Option<Instant>,
}

/// Since the last attempt that succeeded.
struct Failure {
    since: Instant,
    pause: Duration,
    retry_at: Instant,
    is_reported: bool,
}

impl Backoff {
    /// No failure yet. The pause after a failed attempt doubles with each further one, up to the longest.
    pub(crate) fn new(first_pause: Duration, longest_pause: Duration) -> Self {
        Backoff {
            first_pause,
            longest_pause,
            failure: None,
            last_report: None,
        }
    }

    /// Notes a failed attempt; gives how long attempts have been failing if that is due to be reported.
    pub(crate) fn failed(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let failure = self.failure.get_or_insert(Failure {
            since: now,
            pause: self.first_pause / 2,
            retry_at: now,
            is_reported: false,
        });
        failure.pause = (failure.pause * 2).min(self.longest_pause);
        failure.retry_at = now + failure.pause;
        if self
            .last_report
            .is_some_and(|last| now.duration_since(last) < REPORT_INTERVAL)
        {
            return None;
        }
        self.last_report = Some(now);
        failure.is_reported = true;
        Some(now.duration_since(failure.since))
    }

    /// How long to wait after the attempt that failed last.
    pub(crate) fn pause(&self) -> Duration {
        self.failure.as_ref().map_or(Duration::ZERO, |failure| failure.pause)
    }

    /// When to try again; `None` if the last attempt succeeded.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.failure.as_ref().map(|failure| failure.retry_at)
    }

    /// Notes an attempt that succeeded; gives how long attempts had been failing if that was reported.
    pub(crate) fn recovered(&mut self) -> Option<Duration> {
        let failure = self.failure.take().filter(|failure| failure.is_reported)?;
        Some(failure.since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_a_failure_is_reported_once() {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(150));
        assert_eq!((backoff.retry_at(), backoff.recovered()), (None, None));
        assert!(backoff.failed().is_some());
        let mut pauses = vec![backoff.pause()];
        for _ in 0..3 {
            assert_eq!(backoff.failed(), None);
            pauses.push(backoff.pause());
        }
        assert_eq!(pauses, [50, 100, 150, 150].map(Duration::from_millis));
        assert!(backoff.retry_at() > Some(Instant::now()));
        assert!(backoff.recovered().is_some());

        assert_eq!(backoff.failed(), None, "it comes back within the minute");
        assert_eq!(backoff.pause(), Duration::from_millis(50));
        assert_eq!(backoff.recovered(), None, "nothing was reported");
    }
}
