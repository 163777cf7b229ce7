use super::*;
use proptest::prelude::*;

const MEMORY: Duration = Duration::from_secs(5);

fn numbered(number: usize) -> String {
    format!("{number:064}")
}

#[test]
fn a_cgroup_is_its_containers_until_that_is_forgotten_or_moved() {
    let mut cache = Cache::new(Duration::ZERO);
    let now = Instant::now();
    let placed = |cgroup: &str| Metadata {
        cgroup: Some(cgroup.to_owned()),
        ..Metadata::named("web")
    };
    cache.complete("a", placed("/one"), now);
    assert_eq!(cache.in_cgroup("one"), Some("a"));
    cache.complete("a", placed("two"), now);
    assert_eq!(cache.in_cgroup("/one"), None);
    assert_eq!(cache.in_cgroup("/two"), Some("a"));
    cache.remove("a", now);
    cache.complete("b", placed("two"), now);
    cache.remove("b", now + KEPT_AFTER_REMOVAL);
    assert_eq!(cache.in_cgroup("/two"), Some("b"), "the next one is there already");
}

#[test]
fn a_failure_is_the_answer_until_its_time_is_over() {
    let begin = Instant::now();
    let mut cache = Cache::new(MEMORY);
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
    let mut cache = Cache::new(MEMORY);
    cache.complete("a", Metadata::named("web"), now);
    cache.expect("a", None, now);
    cache.fail("a", LookupFailure::EngineUnreachable, now);
    cache.fail_pending(&LookupFailure::EngineUnreachable, now);
    assert!(matches!(cache.look_up("a", now).0, Lookup::Complete(_)));
}

#[test]
fn an_event_does_not_replace_an_answer() {
    let now = Instant::now();
    let mut cache = Cache::new(MEMORY);
    cache.complete("a", Metadata::named("answer"), now);
    cache.expect("a", Some(Metadata::named("event")), now);
    let (lookup, _) = cache.look_up("a", now);
    assert_eq!(lookup.metadata().map(|metadata| metadata.name.as_str()), Some("answer"));
}

#[test]
fn a_removed_container_is_remembered_for_a_while() {
    let begin = Instant::now();
    let mut cache = Cache::new(MEMORY);
    cache.complete("a", Metadata::named("web"), begin);
    cache.remove("a", begin);
    assert!(cache.knows("a"));
    cache.remove("other", begin + KEPT_AFTER_REMOVAL - Duration::from_millis(1));
    assert!(cache.knows("a"));
    cache.remove("other", begin + KEPT_AFTER_REMOVAL);
    assert!(!cache.knows("a"));
}

#[test]
fn those_that_are_gone_make_room_first_and_then_the_least_used() {
    let begin = Instant::now();
    let later = begin + Duration::from_secs(1);
    let mut cache = Cache::new(MEMORY);
    for number in 0..CONTAINERS_AT_MOST {
        cache.complete(&numbered(number), Metadata::named("one of many"), begin);
        cache.look_up(&numbered(number), later);
    }
    cache.complete("unused", Metadata::named("unused"), begin);
    assert_eq!(cache.evicted(), 1);
    let (gone, _): (Vec<_>, Vec<_>) = (0..CONTAINERS_AT_MOST).map(numbered).partition(|id| !cache.knows(id));
    let kept = numbered(usize::from(gone[0] == numbered(0)));
    cache.remove(&kept, later);
    cache.complete("new", Metadata::named("new"), later);
    assert!(cache.knows("unused") && !cache.knows(&kept));
    cache.complete("newer", Metadata::named("newer"), later);
    assert!(cache.knows("new") && !cache.knows("unused"));
    assert_eq!(cache.evicted(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whatever_happens_the_cache_stays_within_its_limit(
        steps in prop::collection::vec((0..6_u8, 0..2 * CONTAINERS_AT_MOST), 0..200),
    ) {
        let now = Instant::now();
        let mut cache = Cache::new(MEMORY);
        for number in 0..CONTAINERS_AT_MOST {
            cache.look_up(&numbered(number), now);
        }
        for (action, number) in steps {
            let id = numbered(number);
            match action {
                0 => drop(cache.look_up(&id, now)),
                1 => cache.expect(&id, Some(Metadata::named("event")), now),
                2 => cache.complete(&id, Metadata::named("answer"), now),
                3 => cache.fail(&id, LookupFailure::NotFound, now),
                4 => cache.remove(&id, now),
                _ => cache.amend(&id, |metadata| metadata.started = Some(1)),
            }
            prop_assert!(cache.entries.len() <= CONTAINERS_AT_MOST);
            prop_assert!(cache.removed.len() <= CONTAINERS_AT_MOST);
        }
    }
}
