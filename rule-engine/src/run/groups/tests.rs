use proptest::prelude::*;

use super::*;

/// A state of a certain size, that is over or not.
#[derive(Default)]
struct Sized {
    bytes: usize,
    is_over: bool,
}

impl Remembered for Sized {
    fn heap_bytes(&self) -> usize {
        self.bytes
    }
}

const ROOM: Room = Room {
    keys: 100,
    bytes: usize::MAX,
};

fn key(name: &str, number: usize) -> Key {
    Key::of(&(name, number))
}

/// Groups with a count of what they gave up.
struct Run {
    groups: Groups<Sized>,
    evicted: u64,
}

impl Run {
    fn new(room: Room) -> Run {
        Run {
            groups: Groups::new(room),
            evicted: 0,
        }
    }

    fn use_key(&mut self, key: Key, owner: &str) {
        self.grow(key, owner, 0);
    }

    fn grow(&mut self, key: Key, owner: &str, bytes: usize) {
        let (is_over, evicted) = (|state: &Sized| state.is_over, &mut self.evicted);
        let change = |state: &mut Sized| state.bytes += bytes;
        self.groups
            .use_state(key, owner, Sized::default, change, is_over, evicted);
    }

    fn kept(&self, name: &str, numbers: std::ops::Range<usize>) -> usize {
        numbers
            .filter(|number| self.groups.get(key(name, *number)).is_some())
            .count()
    }
}

#[test]
fn an_owner_with_many_keys_pushes_out_its_own() {
    let mut run = Run::new(ROOM);
    (0..10).for_each(|number| run.use_key(key("quiet", number), "quiet"));
    (0..10_000).for_each(|number| run.use_key(key("noisy", number), "noisy"));
    (0..30).for_each(|number| run.use_key(key("late", number), "late"));
    assert_eq!(run.groups.len(), 100);
    let kept = (
        run.kept("quiet", 0..10),
        run.kept("late", 0..30),
        run.kept("noisy", 9_940..10_000),
    );
    assert_eq!(kept, (10, 30, 60));
    assert_eq!(run.evicted, 10_040 - 100);
}

#[test]
fn a_key_that_another_owner_touches_stays_whoever_used_it_last() {
    for attacker_first in [false, true] {
        for again in [false, true] {
            let mut run = Run::new(ROOM);
            if attacker_first {
                run.use_key(key("shared", 0), "attacker");
            }
            run.use_key(key("shared", 0), "victim");
            if !attacker_first || again {
                run.use_key(key("shared", 0), "attacker");
            }
            (0..100_000).for_each(|number| run.use_key(key("own", number), "attacker"));
            assert!(run.groups.get(key("shared", 0)).is_some(), "{attacker_first} {again}");
            assert_eq!(run.groups.len(), 100);
        }
    }
}

#[test]
fn what_one_owner_keeps_fresh_stays_no_longer_in_the_name_of_another() {
    let mut run = Run::new(ROOM);
    // The victim used these long ago; whatever the attacker does with them, the victim's newer ones stay.
    (0..60).for_each(|number| run.use_key(key("old", number), "victim"));
    (0..40).for_each(|number| run.use_key(key("new", number), "victim"));
    for _ in 0..10 {
        (0..60).for_each(|number| run.use_key(key("old", number), "attacker"));
    }
    assert_eq!(run.kept("new", 0..40), 40);
}

#[test]
fn what_is_over_goes_before_what_is_not() {
    let mut run = Run::new(Room {
        keys: 10,
        bytes: usize::MAX,
    });
    for number in 0..30 {
        let make = || Sized {
            bytes: 0,
            is_over: number < 20,
        };
        let is_over = |state: &Sized| state.is_over;
        run.groups
            .use_state(key("one", number), "one", make, |_| (), is_over, &mut run.evicted);
    }
    assert_eq!((run.groups.len(), run.evicted), (10, 0));
}

#[test]
fn a_state_that_is_larger_than_all_room_is_given_up() {
    let mut run = Run::new(Room { keys: 10, bytes: 6_144 });
    run.grow(key("one", 0), "one", 1_000);
    run.grow(key("one", 1), "one", 5_000);
    assert_eq!((run.groups.len(), run.groups.bytes, run.evicted), (0, 0, 2));
}

/// A use of a key by an owner, which makes it so much larger.
#[derive(Clone, Debug)]
struct Use {
    owner: usize,
    key: usize,
    bytes: usize,
}

fn uses() -> impl Strategy<Value = Vec<Use>> {
    let one = (0..4_usize, 0..40_usize, 0..300_usize).prop_map(|(owner, key, bytes)| Use { owner, key, bytes });
    prop::collection::vec(one, 0..200)
}

const TIGHT: Room = Room {
    keys: 24,
    // With room for what the owners take.
    bytes: 24 * (Groups::<Sized>::STATE_BYTES + Groups::<Sized>::HOLD_BYTES + 200) + 8_192,
};

proptest! {
    #[test]
    fn all_that_is_remembered_fits_the_room(uses in uses()) {
        let mut run = Run::new(TIGHT);
        for Use { owner, key: number, bytes } in uses {
            run.grow(key("shared", number), &owner.to_string(), bytes);
            let groups = &run.groups;
            prop_assert!(groups.users.count() <= TIGHT.keys && groups.bytes() <= TIGHT.bytes);
            let all: usize = groups.states.values().map(|shared| Groups::<Sized>::STATE_BYTES + shared.state.bytes).sum();
            prop_assert_eq!(all, groups.bytes);
            let holders: usize = groups.states.values().map(|shared| shared.users).sum();
            prop_assert_eq!(holders, groups.users.count());
        }
    }

    /// With keys of its own and with shared ones, all of a fixed size.
    #[test]
    fn an_owner_below_its_fair_share_loses_nothing(
        uses in prop::collection::vec((0..4_usize, 0..40_usize, any::<bool>()), 0..300),
        quiet in 0..4_usize,
    ) {
        let mut run = Run::new(TIGHT);
        let mut used = std::collections::HashSet::new();
        for (owner, number, is_shared) in uses {
            // Four owners have room for six keys each: three of its own for the quiet one, and three that all use.
            let number = if is_shared || owner == quiet { number % 3 } else { number };
            let name = if is_shared { "shared".to_owned() } else { owner.to_string() };
            if owner == quiet {
                used.insert((name.clone(), number));
            }
            run.use_key(key(&name, number), &owner.to_string());
            for (name, number) in &used {
                prop_assert!(run.groups.get(key(name, *number)).is_some(), "{} {}", name, number);
            }
        }
    }
}
