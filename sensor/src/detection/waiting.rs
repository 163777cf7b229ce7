//! Events whose container is not fully known, until it is or their time is up.
//!
//! Events of one container leave in the order they came in; those of different containers do not wait for one another.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use container_engines::Lookup;
use rule_engine::Record;

use crate::identity::ContainerIdentity;

/// Events that may wait for an engine's answer; when more come, all go on without it.
const WAITING_AT_MOST: usize = 1024;

/// An event whose container is not fully known.
pub(crate) struct WaitingEvent<Context> {
    /// The event, but for what the engine reports.
    pub(crate) record: Record,
    pub(crate) container: Arc<ContainerIdentity>,
    pub(crate) context: Context,
    pub(crate) deadline: Instant,
}

/// Which waiting events leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    Ready,
    All,
}

pub(crate) struct WaitingEvents<Context> {
    events: VecDeque<WaitingEvent<Context>>,
}

impl<Context> Default for WaitingEvents<Context> {
    fn default() -> Self {
        WaitingEvents {
            events: VecDeque::new(),
        }
    }
}

impl<Context> WaitingEvents<Context> {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether there is no room for another event before some have left.
    pub(crate) fn is_full(&self) -> bool {
        self.events.len() >= WAITING_AT_MOST
    }

    /// Whether an event of the container waits, so that a later one has to wait behind it.
    pub(crate) fn has_one_of(&self, container: &ContainerIdentity) -> bool {
        self.events.iter().any(|event| *event.container == *container)
    }

    /// The earliest time of an event that waits, by the boot clock.
    pub(crate) fn oldest_ns(&self) -> Option<i64> {
        let times = self.events.iter();
        times.filter_map(|event| event.record.time()).min()
    }

    pub(crate) fn push(&mut self, event: WaitingEvent<Context>) {
        self.events.push_back(event);
    }

    /// Takes out the events that wait no longer at `now`, with what is known of their containers.
    pub(crate) fn take(
        &mut self,
        which: Release,
        now: Instant,
        look_up: impl Fn(&ContainerIdentity) -> Lookup,
    ) -> Vec<(WaitingEvent<Context>, Lookup)> {
        let mut held_back: HashSet<Arc<str>> = HashSet::new();
        let mut taken = Vec::new();
        for event in std::mem::take(&mut self.events) {
            let id = event.container.id.as_str();
            let lookup = look_up(&event.container);
            let may_wait = matches!(lookup, Lookup::Pending(_)) && now < event.deadline || held_back.contains(id);
            if which == Release::Ready && may_wait {
                held_back.insert(id.into());
                self.events.push_back(event);
            } else {
                taken.push((event, lookup));
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use container_engines::LookupFailure;
    use proptest::prelude::*;
    use rule_engine::fields;
    use std::time::Duration;

    fn event(container: u8, number: i64, deadline: Instant) -> WaitingEvent<()> {
        let mut record = Record::new();
        record.long(fields::PROCESS_PID, number);
        WaitingEvent {
            record,
            container: Arc::new(ContainerIdentity {
                id: container.to_string(),
                runtime: None,
                pod_uid: None,
                rootless_owner: None,
                nested_in: None,
            }),
            context: (),
            deadline,
        }
    }

    fn numbers(taken: &[(WaitingEvent<()>, Lookup)]) -> Vec<i64> {
        let number = |(event, _): &(WaitingEvent<()>, Lookup)| event.record.first_long(fields::PROCESS_PID);
        taken.iter().filter_map(number).collect()
    }

    proptest! {
        #[test]
        fn events_keep_their_containers_order_and_hold_no_others_up(
            containers in prop::collection::vec(0..4u8, 0..40),
            known in prop::collection::vec(any::<bool>(), 4),
        ) {
            let start = Instant::now();
            let deadline = start + Duration::from_millis(250);
            let mut waiting = WaitingEvents::default();
            for (number, container) in (0..).zip(&containers) {
                waiting.push(event(*container, number, deadline));
            }
            let look_up = |container: &ContainerIdentity| match known[container.id.parse::<usize>().expect("a number")] {
                true => Lookup::Failed(LookupFailure::NotFound, None),
                false => Lookup::Pending(None),
            };
            let expected = |is_known: bool| -> Vec<i64> {
                (0..).zip(&containers).filter(|(_, container)| known[usize::from(**container)] == is_known).map(|(number, _)| number).collect()
            };
            prop_assert_eq!(numbers(&waiting.take(Release::Ready, start, look_up)), expected(true));
            prop_assert_eq!(numbers(&waiting.take(Release::Ready, deadline, look_up)), expected(false));
            prop_assert!(waiting.is_empty());
        }
    }

    #[test]
    fn a_later_event_waits_behind_an_earlier_one_of_its_container() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut waiting = WaitingEvents::default();
        waiting.push(event(1, 1, later));
        // As it would be if the first one's record had been filled before the answer came.
        waiting.push(event(1, 2, start));
        let pending = |_: &ContainerIdentity| Lookup::Pending(None);
        assert_eq!(numbers(&waiting.take(Release::Ready, start, pending)), [0_i64; 0]);
        assert!(waiting.has_one_of(&event(1, 0, start).container));
        assert_eq!(numbers(&waiting.take(Release::All, start, pending)), [1, 2]);
    }

    #[test]
    fn there_is_room_for_so_many_events_and_no_more() {
        let mut waiting = WaitingEvents::default();
        for number in 0..WAITING_AT_MOST as i64 {
            assert!(!waiting.is_full());
            waiting.push(event(1, number, Instant::now()));
        }
        assert!(waiting.is_full());
    }
}
