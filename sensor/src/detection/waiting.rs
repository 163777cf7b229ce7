//! Events whose container is not fully known, until it is or their time is up.
//!
//! Events of one container leave in the order they came in; those of different containers do not wait for one another.
//! Where there is no room, those of the owner that takes the most leave: the outermost container, so that no container
//! has another's events go on unnamed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::iter;
use std::sync::Arc;
use std::time::Instant;

use container_engines::Lookup;
use rule_engine::Record;

use crate::identity::ContainerIdentity;

/// Events that may wait for an engine's answer, and bytes that they may take.
const WAITING_AT_MOST: usize = 1024;
const WAITING_BYTES: usize = 8 * 1024 * 1024;

/// An event whose container is not fully known.
pub(crate) struct WaitingEvent<Context> {
    /// The event, but for what the engine reports.
    pub(crate) record: Record,
    /// The same for rules, if these look at more than a document holds.
    pub(crate) for_rules: Option<Record>,
    pub(crate) container: Arc<ContainerIdentity>,
    pub(crate) context: Context,
    pub(crate) deadline: Instant,
}

/// Which waiting events leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Those that need not wait any longer.
    Ready,
    /// Those too of the owner whose events take the most, to make room.
    Largest,
    All,
}

pub(crate) struct WaitingEvents<Context> {
    events: VecDeque<WaitingEvent<Context>>,
    bytes: usize,
    /// Bytes of each owner's events.
    owners: HashMap<String, usize>,
    /// How many events each container has.
    containers: HashMap<String, usize>,
}

impl<Context> Default for WaitingEvents<Context> {
    fn default() -> Self {
        WaitingEvents {
            events: VecDeque::new(),
            bytes: 0,
            owners: HashMap::new(),
            containers: HashMap::new(),
        }
    }
}

impl<Context> WaitingEvents<Context> {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Whether there is no room for another event before some have left.
    pub(crate) fn is_full(&self) -> bool {
        self.events.len() >= WAITING_AT_MOST || self.bytes >= WAITING_BYTES
    }

    /// Whether an event of the container waits, so that a later one has to wait behind it.
    pub(crate) fn has_one_of(&self, container: &ContainerIdentity) -> bool {
        self.containers.contains_key(&container.id)
    }

    /// The earliest time of an event that waits, by the boot clock.
    pub(crate) fn oldest_ns(&self) -> Option<i64> {
        let times = self.events.iter();
        times.filter_map(|event| event.record.time()).min()
    }

    pub(crate) fn push(&mut self, event: WaitingEvent<Context>) {
        let records = iter::once(&event.record).chain(&event.for_rules);
        let bytes = records.map(Record::allocated_bytes).sum::<usize>();
        self.bytes += bytes;
        let WaitingEvent { container, .. } = &event;
        *self.owners.entry(container.outermost_id().to_owned()).or_default() += bytes;
        *self.containers.entry(container.id.clone()).or_default() += 1;
        self.events.push_back(event);
    }

    /// Takes out the events that wait no longer at `now`, with what is known of their containers.
    pub(crate) fn take(
        &mut self,
        which: Release,
        now: Instant,
        look_up: impl Fn(&ContainerIdentity) -> Lookup,
    ) -> Vec<(WaitingEvent<Context>, Lookup)> {
        let largest = self.owners.iter().max_by_key(|(_, bytes)| **bytes);
        let largest = largest.map(|(owner, _)| owner.clone()).unwrap_or_default();
        let mut held_back: HashSet<Arc<str>> = HashSet::new();
        let mut taken = Vec::new();
        let events = std::mem::take(self).events;
        for event in events {
            let id = event.container.id.as_str();
            let lookup = look_up(&event.container);
            let is_pending = matches!(lookup, Lookup::Pending(_)) && now < event.deadline;
            let has_to_leave = match which {
                Release::Ready => false,
                Release::Largest => event.container.outermost_id() == largest,
                Release::All => true,
            };
            if !has_to_leave && (is_pending || held_back.contains(id)) {
                held_back.insert(id.into());
                self.push(event);
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
            for_rules: None,
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
    fn a_container_with_too_many_events_makes_room_with_its_own() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut waiting = WaitingEvents::default();
        waiting.push(event(1, 1, later));
        let mut number = 1;
        while !waiting.is_full() {
            number += 1;
            // Containers that the storming one has made count as that one.
            let mut inner = event(2, number, later);
            inner.container = Arc::new(ContainerIdentity {
                id: format!("inner-{number}"),
                nested_in: Some(Box::new((*inner.container).clone())),
                ..(*inner.container).clone()
            });
            waiting.push(inner);
        }
        let pending = |_: &ContainerIdentity| Lookup::Pending(None);
        let taken = numbers(&waiting.take(Release::Largest, start, pending));
        assert_eq!(taken, (2..=number).collect::<Vec<_>>());
        assert!(waiting.has_one_of(&event(1, 0, start).container));
        assert!(!waiting.is_full());
    }

    #[test]
    fn long_events_take_the_room_of_many() {
        let mut waiting = WaitingEvents::default();
        let mut pushed = 0;
        while !waiting.is_full() {
            let mut long = event(1, pushed, Instant::now());
            for _ in 0..31_000 {
                long.record.text(fields::PROCESS_ARGS, "");
            }
            waiting.push(long);
            pushed += 1;
        }
        assert!((2..20).contains(&pushed), "{pushed}");
        assert!(waiting.bytes < 2 * WAITING_BYTES);
        let pending = |_: &ContainerIdentity| Lookup::Pending(None);
        waiting.take(Release::All, Instant::now(), pending);
        assert_eq!(
            (waiting.bytes, waiting.owners.len(), waiting.containers.len()),
            (0, 0, 0)
        );
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
