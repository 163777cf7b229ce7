//! How much of their arguments the owners of processes may have looked at. Rules look at each argument, in the thread
//! that others' events wait for, so who starts programs with ever so many has the later ones told short.
//!
//! (What an owner may send of arguments longer than the limit is up to the kernel side, which counts bytes alone.)

use std::collections::HashMap;

use ahash::RandomState;

/// What an argument costs beside its bytes: rules take some 300 ns for it, and 20 ns for a byte.
const ARGUMENT: u64 = 16;
/// Arguments that cost no more are not counted: the rest of an exec takes longer.
const FREE: u64 = 4096;
/// What an owner has after a while without any, some 80 ms: enough for as many bytes as one exec can have.
pub(super) const AT_ONCE: u64 = 4 * 1024 * 1024;
/// What it gains, some 20 ms.
const PER_SECOND: u64 = 1024 * 1024;
/// From so many owners on, those are forgotten that have all there is to have.
const OWNERS: usize = 256;

/// By the outermost container, or the host.
pub(super) struct Allowances {
    at_once: u64,
    by_owner: HashMap<Box<str>, Allowance, RandomState>,
}

/// What an owner had left at a time, in nanoseconds since boot.
struct Allowance {
    left: u64,
    time_ns: u64,
}

impl Allowances {
    pub(super) fn new(at_once: u64) -> Self {
        Allowances {
            at_once,
            by_owner: HashMap::default(),
        }
    }

    /// Whether rules may look at all of these arguments, each ended by a zero byte; then the owner has paid for them.
    pub(super) fn permit(&mut self, owner: &str, arguments: &[u8], time_ns: u64) -> bool {
        let count = memchr::memchr_iter(0, arguments).count() as u64;
        let cost = arguments.len() as u64 + count * ARGUMENT;
        if cost <= FREE {
            return true;
        }
        let at_once = self.at_once;
        let allowance = self.of(owner, time_ns);
        let left = allowance.at(time_ns).min(at_once);
        let is_permitted = cost <= left;
        if is_permitted {
            allowance.left = left - cost;
            allowance.time_ns = allowance.time_ns.max(time_ns);
        }
        is_permitted
    }

    fn of(&mut self, owner: &str, time_ns: u64) -> &mut Allowance {
        let left = self.at_once;
        if self.by_owner.len() >= OWNERS {
            self.by_owner.retain(|_, allowance| allowance.at(time_ns) < left);
        }
        let new = Allowance { left, time_ns };
        self.by_owner.entry(owner.into()).or_insert(new)
    }
}

impl Allowance {
    /// With what has been gained by then.
    fn at(&self, time_ns: u64) -> u64 {
        let passed_ms = time_ns.saturating_sub(self.time_ns) / 1_000_000;
        let gained = passed_ms.saturating_mul(PER_SECOND) / 1000;
        self.left.saturating_add(gained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn arguments(count: usize, letters: usize) -> Vec<u8> {
        [vec![b'x'; letters], vec![0]].concat().repeat(count)
    }

    #[test]
    fn what_an_owner_has_looked_at_is_bounded_by_arguments_and_by_bytes() {
        for (count, letters) in [(16_000, 1), (31_000, 0), (10_000, 2), (1, 31_000), (16, 125_000)] {
            let arguments = arguments(count, letters);
            let cost = arguments.len() as u64 + count as u64 * ARGUMENT;
            let mut allowances = Allowances::new(AT_ONCE);
            while allowances.permit("container", &arguments, 0) {}
            let times = (1..=10_000).map(|millisecond| millisecond * SECOND / 1000);
            let permitted = times.filter(|time| allowances.permit("container", &arguments, *time));
            let looked_at = permitted.count() as u64 * cost;
            // What was left before is less than one more.
            let gained = 10 * PER_SECOND;
            assert!(
                (gained - cost..gained + cost).contains(&looked_at),
                "{count} {letters}: {looked_at}"
            );
        }
    }

    #[test]
    fn ordinary_programs_are_free() {
        let ordinary = arguments(40, 30);
        let mut allowances = Allowances::new(AT_ONCE);
        assert!((0..1_000_000).all(|_| allowances.permit("container", &ordinary, 0)));
    }

    #[test]
    fn the_longest_that_an_exec_can_have_are_looked_at_once_in_a_while() {
        let longest = arguments(2 * 1024 * 1024 / 32, 31);
        let mut allowances = Allowances::new(AT_ONCE);
        assert!(allowances.permit("container", &longest, SECOND));
        assert!(!allowances.permit("container", &longest, 2 * SECOND));
        assert!(allowances.permit("container", &longest, 6 * SECOND));
    }

    #[test]
    fn an_owner_pays_for_itself_alone_and_is_not_forgotten_while_it_owes() {
        let many = arguments(16_000, 1);
        let mut allowances = Allowances::new(AT_ONCE);
        while allowances.permit("storms", &many, SECOND) {}
        for owner in 0..10 * OWNERS {
            // Late enough for those before to have all again, and too soon for the one that storms.
            let time = SECOND + owner as u64 * SECOND / 2000;
            assert!(allowances.permit(&owner.to_string(), &many, time), "{owner}");
        }
        assert!(allowances.by_owner.len() <= 3 * OWNERS, "{}", allowances.by_owner.len());
        assert!(allowances.by_owner.contains_key("storms"));
    }
}
