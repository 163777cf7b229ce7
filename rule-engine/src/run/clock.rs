//! What time it is by events, some of whose times may be wrong.
//!
//! An event is compared with others by its own time. What only *time* decides (that a sequence has waited long enough,
//! that a state is of no use any more) goes by this clock, which a single event from the future or the past does not
//! move: it takes two.

/// A step of more than this has to be confirmed by a second event.
const DOUBTFUL_STEP_NS: i64 = 600_000_000_000;

/// The present by the events so far.
#[derive(Debug, Default)]
pub(crate) struct EventClock {
    now_ns: Option<i64>,
    /// The time of the latest event, if it is a doubtful step away.
    doubtful_ns: Option<i64>,
    /// Whether the times are of a clock that nobody sets.
    is_steady: bool,
}

/// When an event was, and what time it is then.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Moment {
    pub time_ns: i64,
    pub now_ns: i64,
}

impl Moment {
    /// Whether the time of an earlier event has proved wrong: it has yet to come.
    pub(crate) fn refutes(self, earlier_ns: i64) -> bool {
        earlier_ns > self.now_ns.saturating_add(DOUBTFUL_STEP_NS)
    }
}

impl EventClock {
    /// Takes in an event; `None` if nothing says when it was. Among events with times of a clock that nobody sets, one
    /// without such a time is as of now.
    pub(crate) fn place(&mut self, steady_ns: Option<i64>, timestamp_ns: Option<i64>) -> Option<Moment> {
        if let Some(time_ns) = steady_ns {
            let now_ns = self.follow(time_ns);
            return Some(Moment { time_ns, now_ns });
        }
        match self.now_ns.filter(|_| self.is_steady) {
            Some(now_ns) => Some(Moment {
                time_ns: now_ns,
                now_ns,
            }),
            None => timestamp_ns.map(|time_ns| Moment {
                time_ns,
                now_ns: self.see(time_ns),
            }),
        }
    }

    /// Takes a time of a clock that nobody sets.
    pub(crate) fn follow(&mut self, time_ns: i64) -> i64 {
        if !self.is_steady {
            (self.is_steady, self.now_ns) = (true, None);
        }
        self.advance_to(time_ns)
    }

    fn see(&mut self, time_ns: i64) -> i64 {
        let is_near = |other_ns: i64| time_ns.abs_diff(other_ns) <= DOUBTFUL_STEP_NS.unsigned_abs();
        let doubtful_ns = self.doubtful_ns.take();
        let now_ns = match self.now_ns {
            None => time_ns,
            Some(now_ns) if is_near(now_ns) => now_ns.max(time_ns),
            Some(_) if doubtful_ns.is_some_and(is_near) => time_ns,
            Some(now_ns) => {
                self.doubtful_ns = Some(time_ns);
                now_ns
            }
        };
        self.now_ns = Some(now_ns);
        now_ns
    }

    /// Takes a time that is not in doubt.
    pub(crate) fn advance_to(&mut self, time_ns: i64) -> i64 {
        self.doubtful_ns = None;
        *self
            .now_ns
            .insert(self.now_ns.map_or(time_ns, |now_ns| now_ns.max(time_ns)))
    }
}

/// The last time of something, and another: one of them is right although the other was from the future.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct LastTwo([Option<i64>; 2]);

impl LastTwo {
    /// Keeps beside this time the one of those before that is nearest to now.
    pub(crate) fn note(&mut self, moment: Moment) {
        let before = self.0.iter().flatten();
        let nearest = before.min_by_key(|at_ns| at_ns.abs_diff(moment.now_ns)).copied();
        self.0 = [Some(moment.time_ns), nearest];
    }

    /// Whether one of them is less than the length of time away, in either direction.
    pub(crate) fn any_within(&self, time_ns: i64, length_ns: i64) -> bool {
        let is_within = |at_ns: &i64| time_ns.abs_diff(*at_ns) < length_ns.unsigned_abs();
        self.0.iter().flatten().any(is_within)
    }

    /// Whether all of them are at least the length of time before this one.
    pub(crate) fn all_before(&self, time_ns: i64, length_ns: i64) -> bool {
        let is_before = |at_ns: &i64| time_ns.saturating_sub(*at_ns) >= length_ns;
        self.0.iter().flatten().all(is_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn one_event_from_another_time_does_not_move_the_clock_and_two_do() {
        let mut clock = EventClock::default();
        let seen: Vec<i64> = [0, 5, 3, 100 * HOUR, 6, -100 * HOUR, 7, 9 * HOUR, 9 * HOUR + 1, 8, 9]
            .map(|time| clock.see(time))
            .into();
        assert_eq!(seen, [0, 5, 5, 5, 6, 6, 7, 7, 9 * HOUR + 1, 9 * HOUR + 1, 9]);
        assert_eq!(clock.advance_to(3 * HOUR), 3 * HOUR);
    }

    #[test]
    fn among_events_of_a_steady_clock_one_without_is_as_of_now() {
        let mut clock = EventClock::default();
        let moment = |time_ns, now_ns| Some(Moment { time_ns, now_ns });
        assert_eq!(clock.place(None, Some(900 * HOUR)), moment(900 * HOUR, 900 * HOUR));
        assert_eq!(clock.place(Some(5), Some(900 * HOUR)), moment(5, 5));
        assert_eq!(clock.place(None, Some(901 * HOUR)), moment(5, 5));
        assert_eq!(clock.place(Some(3), None), moment(3, 5));
        assert_eq!(clock.place(None, None), moment(5, 5));
        assert_eq!(EventClock::default().place(None, None), None);
    }
}
