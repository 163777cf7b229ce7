//! The time limits of a watch.

use std::time::Duration;

/// How long things take at most, and how long apart they are.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Timing {
    /// The limit of one call. A question about a container that is starting is answered when it
    /// has started, which may take seconds.
    pub(crate) call: Duration,
    /// How often an engine that says nothing is asked whether it lives.
    pub(crate) ping: Duration,
    /// The pause before the first new attempt to reach an engine; it doubles each time.
    pub(crate) first_pause: Duration,
    pub(crate) longest_pause: Duration,
    /// An engine that stayed this long is taken for sound, and the pauses begin anew.
    pub(crate) steady: Duration,
    /// How long a failed question is not asked again.
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
