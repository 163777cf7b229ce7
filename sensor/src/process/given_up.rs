//! What owners gave up of their processes for want of room, until it is told.

use std::collections::HashMap;
use std::sync::Arc;

use crate::notice::{self, Notice, Whose};
use crate::telemetry::counts::GivenUp;

/// Owners and kinds that are told apart between two times that it is told; of further ones it is told together.
const APART_AT_MOST: usize = 64;

/// How many of whose processes gave up what.
#[derive(Default)]
pub(super) struct Untold(HashMap<(Whose, GivenUp), u64>);

impl Untold {
    /// Counts one of an owner's, whose name is empty for the host.
    pub(super) fn count(&mut self, owner: &Arc<str>, what: GivenUp) {
        let whose = match &**owner {
            "" => Whose::Sensor,
            _ => Whose::Container(Arc::clone(owner)),
        };
        let mut key = (whose, what);
        if self.0.len() >= APART_AT_MOST && !self.0.contains_key(&key) {
            key.0 = Whose::Several;
        }
        *self.0.entry(key).or_default() += 1;
    }

    /// Raises a notice about each.
    pub(super) fn tell(&mut self) {
        for ((whose, what), count) in self.0.drain() {
            notice::raise_about(Notice::ProcessesGivenUp { what }, whose, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_gives_up_how_much_all_is_counted_and_few_are_kept() {
        let mut untold = Untold::default();
        for container in 0..1000 {
            untold.count(&container.to_string().into(), GivenUp::Ended);
            untold.count(&"".into(), GivenUp::Live);
        }
        assert!(untold.0.len() <= APART_AT_MOST + 1);
        assert_eq!(untold.0.values().sum::<u64>(), 2000);
        assert_eq!(untold.0[&(Whose::Sensor, GivenUp::Live)], 1000);
        assert_eq!(untold.0[&(Whose::Container("0".into()), GivenUp::Ended)], 1);
    }
}
