//! The time limits of a watch.

use std::time::Duration;

/// Time limits and intervals.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Timing {
    /// The limit of one call. Docker answers questions about a container that is starting once it has started, which
    /// may take seconds.
    pub(crate) call: Duration,
    /// How often the engine is asked whether it is alive.
    pub(crate) ping: Duration,
    /// The pause before the first reconnect; it doubles with each further attempt.
    pub(crate) first_pause: Duration,
    pub(crate) longest_pause: Duration,
    /// A connection that lasted this long resets the backoff.
    pub(crate) steady: Duration,
    /// How long a failed question is not repeated.
    pub(crate) failure_memory: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            call: Duration::from_secs(10),
            ping: Duration::from_secs(30),
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(2),
            steady: Duration::from_secs(10),
            failure_memory: Duration::from_secs(5),
        }
    }
}
