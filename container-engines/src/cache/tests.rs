use super::*;
use proptest::prelude::*;

const MEMORY: Duration = Duration::from_secs(5);

fn cache() -> Cache {
    Cache::new(MEMORY, Arc::new(Budget::shared_by(1)))
}

fn name(lookup: &Lookup) -> Option<&str> {
    lookup.metadata().map(|metadata| metadata.name.as_str())
}

fn numbered(number: usize) -> String {
    format!("{number:064}")
}

#[test]
fn a_cgroup_is_its_containers_until_that_is_forgotten_or_moved() {
    let mut cache = cache();
    let now = Instant::now();
    let placed = |cgroup: &str| Metadata {
        cgroup: Some(cgroup.to_owned()),
        ..Metadata::named("web")
    };
    cache.complete("a", placed("/one"));
    assert_eq!(cache.in_cgroup("one"), Some("a"));
    cache.complete("a", placed("two"));
    assert_eq!(cache.in_cgroup("/one"), None);
    assert_eq!(cache.in_cgroup("/two"), Some("a"));
    cache.remove("a", now);
    cache.complete("b", placed("two"));
    cache.remove("b", now + KEPT_AFTER_REMOVAL);
    assert_eq!(cache.in_cgroup("/two"), Some("b"), "the next one is there already");
}

#[test]
fn a_failure_is_the_answer_until_its_time_is_over() {
    let begin = Instant::now();
    let mut cache = cache();
    cache.look_up("a", begin);
    cache.fail("a", LookupFailure::NotFound, begin);
    let failed = Lookup::Failed(LookupFailure::NotFound, None);
    let just_before = begin + MEMORY - Duration::from_millis(1);
    assert_eq!(cache.look_up("a", just_before), (failed, Question::NotNeeded));
    let again = cache.look_up("a", begin + MEMORY);
    assert_eq!(again, (Lookup::Pending(None), Question::Ask));
}

#[test]
fn a_failure_takes_nothing_from_what_was_complete() {
    let now = Instant::now();
    let mut cache = cache();
    cache.complete("a", Metadata::named("web"));
    cache.expect("a", None);
    cache.fail("a", LookupFailure::EngineUnreachable, now);
    cache.fail_pending(&LookupFailure::EngineUnreachable, now);
    assert!(matches!(cache.look_up("a", now).0, Lookup::Complete(_)));
}

#[test]
fn an_event_does_not_replace_an_answer() {
    let now = Instant::now();
    let mut cache = cache();
    cache.complete("a", Metadata::named("answer"));
    cache.expect("a", Some(Metadata::named("event")));
    let (lookup, _) = cache.look_up("a", now);
    assert_eq!(lookup.metadata().map(|metadata| metadata.name.as_str()), Some("answer"));
}

#[test]
fn a_removed_container_is_remembered_for_a_while() {
    let begin = Instant::now();
    let mut cache = cache();
    cache.complete("a", Metadata::named("web"));
    cache.remove("a", begin);
    assert!(cache.knows("a"));
    cache.remove("other", begin + KEPT_AFTER_REMOVAL - Duration::from_millis(1));
    assert!(cache.knows("a"));
    cache.remove("other", begin + KEPT_AFTER_REMOVAL);
    assert!(!cache.knows("a"));
}

#[test]
fn those_that_are_gone_make_room_first_and_then_the_least_used() {
    let now = Instant::now();
    let mut cache = cache();
    cache.complete("unused", Metadata::named("unused"));
    for number in 1..CONTAINERS_AT_MOST {
        cache.complete(&numbered(number), Metadata::named("one of many"));
    }
    cache.look_up(&numbered(1), now);
    cache.remove(&numbered(2), now);
    for (new, gone) in [
        ("new", &numbered(2)),
        ("newer", &"unused".to_owned()),
        ("newest", &numbered(3)),
    ] {
        assert!(cache.knows(gone));
        cache.complete(new, Metadata::named(new));
        assert!(cache.knows(new) && !cache.knows(gone), "{new}");
    }
    assert!(cache.knows(&numbered(1)));
    assert_eq!(cache.evicted(), 3);
}

#[test]
fn a_name_that_is_used_again_has_nothing_of_its_predecessor() {
    let begin = Instant::now();
    let mut cache = cache();
    cache.complete("web", Metadata::named("old"));
    cache.remove("web", begin);
    cache.expect("web", None);
    assert_eq!(
        cache.look_up("web", begin),
        (Lookup::Pending(None), Question::NotNeeded)
    );
    cache.complete("web", Metadata::named("new"));
    assert_eq!(name(&cache.look_up("web", begin).0), Some("new"));

    let long_after = begin + KEPT_AFTER_REMOVAL;
    cache.remove("other", long_after);
    assert!(
        cache.is_complete("web"),
        "it still runs when the old one's minute is over"
    );
    assert_eq!(name(&cache.look_up("web", long_after).0), Some("new"));
    cache.remove("web", long_after);
    cache.remove("other", long_after + KEPT_AFTER_REMOVAL - Duration::from_millis(1));
    assert!(cache.knows("web"), "its own minute is not over");
}

#[test]
fn after_a_removal_the_engine_is_asked_whether_the_name_is_used_again() {
    let begin = Instant::now();
    let mut cache = cache();
    let pending = |question| (Lookup::Pending(None), question);
    cache.complete("web", Metadata::named("old"));
    cache.remove("web", begin);
    assert_eq!(cache.look_up("web", begin), pending(Question::Ask));
    assert_eq!(cache.look_up("web", begin), pending(Question::NotNeeded));
    cache.fail("web", LookupFailure::NotFound, begin);
    assert_eq!(name(&cache.look_up("web", begin).0), Some("old"), "there is no other");

    let later = begin + MEMORY;
    assert_eq!(cache.look_up("web", later), pending(Question::Ask));
    cache.fail("web", LookupFailure::EngineUnreachable, later);
    let failed = Lookup::Failed(LookupFailure::EngineUnreachable, None);
    assert_eq!(
        cache.look_up("web", later),
        (failed, Question::NotNeeded),
        "nobody knows whose it is"
    );
    cache.complete("web", Metadata::named("new"));
    assert!(cache.is_complete("web"));
    cache.remove("other", later + KEPT_AFTER_REMOVAL);
    assert_eq!(name(&cache.look_up("web", later + KEPT_AFTER_REMOVAL).0), Some("new"));
}

#[test]
fn a_random_id_is_never_used_again() {
    let begin = Instant::now();
    let mut cache = cache();
    let id = numbered(7);
    cache.complete(&id, Metadata::named("brief"));
    cache.remove(&id, begin);
    let (lookup, question) = cache.look_up(&id, begin);
    assert_eq!((name(&lookup), question), (Some("brief"), Question::NotNeeded));
}

#[test]
fn an_answer_from_before_the_removal_is_the_removed_containers() {
    let now = Instant::now();
    let mut cache = cache();
    cache.expect("web", None);
    cache.remove("web", now);
    assert_eq!(
        cache.complete_removed("web", Some(Metadata::named("old"))),
        Question::NotNeeded,
        "the last word about it"
    );
    cache.expect("web", None);
    assert_eq!(
        cache.complete_removed("web", Some(Metadata::named("old"))),
        Question::Ask
    );
    assert_eq!(cache.look_up("web", now).0, Lookup::Pending(None), "there is a new one");
}

#[test]
fn an_engine_that_says_much_takes_no_others_room() {
    let budget = Arc::new(Budget::shared_by(2));
    let [mut loud, mut quiet] = [(); 2].map(|()| Cache::new(MEMORY, Arc::clone(&budget)));
    for number in 0..1000 {
        quiet.complete(&numbered(number), Metadata::named("quiet"));
    }
    let large = Metadata {
        labels: vec![("a".repeat(256), "b".repeat(1024)); 64],
        ..Metadata::named("loud")
    };
    for number in 0..CONTAINERS_AT_MOST {
        loud.complete(&numbered(number), large.clone());
    }
    assert!(loud.evicted() > 0 && loud.bytes >= BYTES_AT_MOST / 2);
    for number in 1000..3000 {
        quiet.complete(&numbered(number), Metadata::named("quiet"));
    }
    assert_eq!((quiet.len(), quiet.evicted()), (3000, 0));
    loud.complete("one more", large);
    assert!(budget.taken.load(Ordering::Relaxed) <= BYTES_AT_MOST);
    drop((loud, quiet));
    assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whatever_happens_the_cache_stays_within_its_limit(
        steps in prop::collection::vec((0..10_u8, 0..2 * CONTAINERS_AT_MOST), 0..200),
    ) {
        let now = Instant::now();
        let mut cache = cache();
        for number in 0..CONTAINERS_AT_MOST {
            cache.look_up(&numbered(number), now);
        }
        for (action, number) in steps {
            let id = numbered(number);
            match action {
                0 => drop(cache.look_up(&id, now)),
                1 => cache.expect(&id, Some(Metadata::named("event"))),
                2 => cache.complete(&id, Metadata::named("answer")),
                3 => cache.fail(&id, LookupFailure::NotFound, now),
                4 => cache.remove(&id, now),
                5 => cache.amend(&id, |metadata| metadata.name.push('x')),
                6 => drop(cache.complete_removed(&id, Some(Metadata::named("late")))),
                7 => cache.forget_failures(),
                8 => drop(cache.ask_again(now + MEMORY)),
                _ => cache.remove("other", now + KEPT_AFTER_REMOVAL),
            }
            prop_assert!(cache.entries.len() <= CONTAINERS_AT_MOST);
            prop_assert!(cache.removed.len() <= CONTAINERS_AT_MOST);
        }
        // What is kept for finding the least used one is of entries that are there, so it is bounded as they are.
        let mut uses: Vec<(u64, Arc<str>)> =
            cache.entries.iter().map(|(id, entry)| (entry.last_use, Arc::clone(id))).collect();
        uses.sort_unstable();
        prop_assert_eq!(uses, cache.by_use.clone().into_iter().collect::<Vec<_>>());
        let bytes: usize = cache.entries.values().map(|entry| entry.bytes).sum();
        prop_assert_eq!((cache.bytes, cache.budget.taken.load(Ordering::Relaxed)), (bytes, bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whoever_makes_room_is_the_one_that_was_used_least_recently(
        steps in prop::collection::vec((any::<bool>(), 0..400_usize), 100..400),
    ) {
        let now = Instant::now();
        let mut cache = Cache::new(MEMORY, Arc::new(Budget::shared_by(1)));
        // As many bytes as some 60 of these take.
        let large = Metadata {
            labels: vec![("a".repeat(1024), "b".repeat(1024)); 64],
            ..Metadata::named("large")
        };
        // The least recently used first.
        let mut plain: Vec<usize> = Vec::new();
        for (looks_up, number) in steps {
            let position = plain.iter().position(|used| *used == number);
            match (looks_up, position) {
                (true, Some(position)) => {
                    cache.look_up(&numbered(number), now);
                    let used = plain.remove(position);
                    plain.push(used);
                }
                (false, _) => {
                    cache.complete(&numbered(number), large.clone());
                    if position.is_none() {
                        plain.push(number);
                    }
                }
                (true, None) => {}
            }
            plain.drain(..plain.len() - cache.len());
            prop_assert!(plain.iter().all(|number| cache.knows(&numbered(*number))));
        }
    }
}
