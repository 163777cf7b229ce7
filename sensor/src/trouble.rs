//! Writing that fails, for a while or again and again: when to try anew, and how often to tell of it.

use std::time::{Duration, Instant};

/// How often trouble is told of, lasting or coming back.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What is known of the trouble with one destination.
pub struct Trouble {
    first_pause: Duration,
    longest_pause: Duration,
    present: Option<Present>,
    last_told: Option<Instant>,
}

struct Present {
    since: Instant,
    pause: Duration,
    retry_at: Instant,
    is_told: bool,
}

impl Trouble {
    /// None yet. The pause after a failed attempt is doubled at each failure that follows.
    pub fn new(first_pause: Duration, longest_pause: Duration) -> Self {
        Trouble {
            first_pause,
            longest_pause,
            present: None,
            last_told: None,
        }
    }

    /// Notes a failed attempt; gives how long there has been trouble if it is time to tell of it.
    pub fn failed(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let present = self.present.get_or_insert(Present {
            since: now,
            pause: self.first_pause / 2,
            retry_at: now,
            is_told: false,
        });
        present.pause = (present.pause * 2).min(self.longest_pause);
        present.retry_at = now + present.pause;
        if self.last_told.is_some_and(|told| now.duration_since(told) < TOLD_EVERY) {
            return None;
        }
        self.last_told = Some(now);
        present.is_told = true;
        Some(now.duration_since(present.since))
    }

    /// How long to wait after the last attempt failed.
    pub fn pause(&self) -> Duration {
        self.present.as_ref().map_or(Duration::ZERO, |present| present.pause)
    }

    /// When to try again; `None` while there is no trouble.
    pub fn retry_at(&self) -> Option<Instant> {
        self.present.as_ref().map(|present| present.retry_at)
    }

    /// Notes that an attempt succeeded; gives how long there was trouble if it was told of.
    pub fn ended(&mut self) -> Option<Duration> {
        let present = self.present.take().filter(|present| present.is_told)?;
        Some(present.since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_trouble_is_told_of_once() {
        let mut trouble = Trouble::new(Duration::from_millis(50), Duration::from_millis(150));
        assert_eq!((trouble.retry_at(), trouble.ended()), (None, None));
        assert!(trouble.failed().is_some());
        let mut pauses = vec![trouble.pause()];
        for _ in 0..3 {
            assert_eq!(trouble.failed(), None);
            pauses.push(trouble.pause());
        }
        assert_eq!(pauses, [50, 100, 150, 150].map(Duration::from_millis));
        assert!(trouble.retry_at() > Some(Instant::now()));
        assert!(trouble.ended().is_some());

        assert_eq!(trouble.failed(), None, "it comes back within the minute");
        assert_eq!(trouble.pause(), Duration::from_millis(50));
        assert_eq!(trouble.ended(), None, "nobody was told");
    }
}
