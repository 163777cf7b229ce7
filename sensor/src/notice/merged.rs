//! Notices of the same kind and owner become one, with their number: whoever provokes them gets no flood.
//!
//! Pure: it is given times.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::{Notice, Raised};

/// Notices of containers that are kept apart; those of further containers are merged.
const APART_AT_MOST: usize = 64;
/// The same of notices about senders of signals, who are made more easily than containers.
const SENDERS_AT_MOST: usize = 32;

/// Whom a notice concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// The sensor, or the host.
    Sensor,
    /// The outermost container of this id.
    Container(Arc<str>),
    /// Containers that are not told apart: there were too many.
    Several,
}

/// Notices that wait for their turn.
#[derive(Default)]
pub(crate) struct Merged(HashMap<(Notice, Whose), Held>);

struct Held {
    count: u64,
    since_ns: i64,
    until_ns: i64,
    told_at: Option<Instant>,
}

impl Merged {
    /// Adds a notice to those like it.
    pub(crate) fn add(&mut self, raised: Raised) {
        let Raised {
            mut notice,
            mut whose,
            count,
            since_ns,
            until_ns,
        } = raised;
        if notice.sender().is_some() && self.is_one_too_many(&notice, &whose, SENDERS_AT_MOST) {
            notice.forget_sender();
        }
        if whose != Whose::Sensor && notice.sender().is_none() && self.is_one_too_many(&notice, &whose, APART_AT_MOST) {
            whose = Whose::Several;
        }
        let held = self.0.entry((notice, whose)).or_insert(Held {
            count: 0,
            since_ns,
            until_ns,
            told_at: None,
        });
        if held.count == 0 {
            (held.since_ns, held.until_ns) = (since_ns, until_ns);
        }
        held.count = held.count.saturating_add(count);
        held.since_ns = held.since_ns.min(since_ns);
        held.until_ns = held.until_ns.max(until_ns);
    }

    /// Whether a notice would be one more than this many of those that have a sender, or of those that have none.
    fn is_one_too_many(&self, notice: &Notice, whose: &Whose, at_most: usize) -> bool {
        let has_sender = notice.sender().is_some();
        let alike = self
            .0
            .keys()
            .filter(|(other, _)| other.sender().is_some() == has_sender);
        alike.count() >= at_most && !self.0.contains_key(&(notice.clone(), whose.clone()))
    }

    /// Offers each notice whose turn it is to `tell`; one that is not taken stays and is offered again.
    pub(crate) fn tell(&mut self, now: Instant, mut tell: impl FnMut(&Raised) -> bool) {
        self.0.retain(|(notice, whose), held| {
            let is_resting = held
                .told_at
                .is_some_and(|told| now.duration_since(told) < notice.interval());
            if is_resting || held.count == 0 {
                return is_resting;
            }
            let raised = Raised {
                notice: notice.clone(),
                whose: whose.clone(),
                count: held.count,
                since_ns: held.since_ns,
                until_ns: held.until_ns,
            };
            if tell(&raised) {
                held.count = 0;
                held.told_at = Some(now);
            }
            true
        });
    }

    /// Offers all that waits, whatever its turn: nothing will be told any more.
    pub(crate) fn tell_everything(&mut self, tell: impl FnMut(&Raised) -> bool) {
        self.0.values_mut().for_each(|held| held.told_at = None);
        self.tell(Instant::now(), tell);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::time::Duration;

    use super::*;
    use crate::notice::{Origin, Sender};

    fn raised(notice: Notice, container: usize, count: u64) -> Raised {
        Raised {
            notice,
            whose: Whose::Container(container.to_string().into()),
            count,
            since_ns: count as i64,
            until_ns: 2 * count as i64,
        }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_next_together_after_the_interval() {
        let (mut merged, start) = (Merged::default(), Instant::now());
        let interval = Notice::OverShare.interval();
        let told = |merged: &mut Merged, after: Duration, takes: bool| {
            let mut all = Vec::new();
            merged.tell(start + after, |raised| {
                all.push((raised.count, raised.since_ns, raised.until_ns));
                takes
            });
            all
        };
        merged.add(raised(Notice::OverShare, 1, 3));
        assert_eq!(told(&mut merged, Duration::ZERO, false), [(3, 3, 6)], "it is not taken");
        assert_eq!(
            told(&mut merged, Duration::ZERO, true),
            [(3, 3, 6)],
            "so it is offered again"
        );
        merged.add(raised(Notice::OverShare, 1, 4));
        merged.add(raised(Notice::OverShare, 1, 5));
        assert_eq!(told(&mut merged, interval / 2, true), []);
        assert_eq!(told(&mut merged, interval, true), [(9, 4, 10)]);
        assert_eq!(told(&mut merged, 2 * interval, true), []);
        assert!(merged.0.is_empty());
    }

    #[test]
    fn senders_beyond_a_number_are_told_together_and_take_nothing_from_others() {
        let mut merged = Merged::default();
        let signalled = |pid| Notice::Signalled {
            signal: "SIGSTOP",
            origin: Origin::Container,
            sender: Some(Arc::new(Sender {
                pid,
                ..Sender::default()
            })),
        };
        for pid in 0..1000 {
            merged.add(raised(signalled(pid), 1, 1));
        }
        merged.add(raised(Notice::OverShare, 2, 7));
        let mut told = Vec::new();
        merged.tell_everything(|raised| {
            told.push(raised.clone());
            true
        });
        let senders = told.iter().filter(|raised| raised.notice.sender().is_some());
        assert_eq!(senders.count(), SENDERS_AT_MOST);
        let mut forgotten = signalled(0);
        forgotten.forget_sender();
        let others = told.iter().find(|raised| raised.notice == forgotten);
        assert_eq!(others.map(|raised| raised.count), Some(1000 - SENDERS_AT_MOST as u64));
        assert!(told.iter().any(|told| *told == raised(Notice::OverShare, 2, 7)));
    }

    proptest! {
        #[test]
        fn whoever_raises_how_many_all_are_told_and_few_are_kept(counts in prop::collection::vec((0..500_usize, 1..9_u64), 1..800)) {
            let mut merged = Merged::default();
            for (container, count) in &counts {
                merged.add(raised(Notice::OverShare, *container, *count));
            }
            prop_assert!(merged.0.len() <= APART_AT_MOST + 1);
            let mut told = 0;
            merged.tell_everything(|raised| {
                told += raised.count;
                true
            });
            prop_assert_eq!(told, counts.iter().map(|(_, count)| count).sum::<u64>());
        }
    }
}
