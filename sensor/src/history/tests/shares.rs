//! Clocks that are set, and containers that make up terms.

use super::super::hand_on::KEPT_ON_DISK_AT_MOST;
use super::*;

const DAY_MS: i64 = 86_400_000;
const WINDOW: Duration = Duration::from_secs(14 * 86_400);

/// The boot clock, which the history itself looks at when it is closed.
fn boot_clock_ms() -> i64 {
    boot_clock_ns() / 1_000_000
}

/// Opens the history of a sensor that starts when the boot clock shows this and the wall clock that.
fn started(directory: &TempDir, boot_ms: i64, wall_ms: i64) -> History {
    let mut history = History::open(directory.path(), WINDOW).unwrap();
    history.follow_boot_clock(boot_ms, wall_ms);
    history
}

fn known(history: &mut History, now_ms: i64) -> usize {
    let observed = (0..50).map(|number| history.observe("rule", &format!("term-{number}"), "", now_ms));
    observed
        .filter(|seen| seen.is_some_and(|seen| seen >= now_ms - 14 * DAY_MS))
        .count()
}

#[test]
fn a_wall_clock_that_is_years_wrong_at_a_start_empties_nothing() {
    for years in [-50_i64, -1, 1, 73] {
        let directory = tempfile::tempdir().unwrap();
        let (right, boot_ms) = (20_000 * DAY_MS, boot_clock_ms());
        let mut history = started(&directory, boot_ms, right);
        assert_eq!(history.rule_first_seen("rule", boot_ms), boot_ms);
        assert_eq!(known(&mut history, boot_ms), 0);
        history.close(LONG);
        let (later_ms, looked_ms) = (boot_ms + 5, boot_ms + 2 * PRUNE_INTERVAL_MS);
        let mut history = started(&directory, later_ms, right + years * 365 * DAY_MS);
        assert!(
            history.rule_first_seen("rule", later_ms) <= later_ms,
            "learning is not begun anew"
        );
        assert_eq!(known(&mut history, looked_ms), 50, "{years} years");
        history.close(LONG);
        let mut history = started(&directory, later_ms, right + DAY_MS);
        assert_eq!(known(&mut history, looked_ms), 50, "after {years} years");
        assert_eq!(history.counts().terms, 50);
    }
}

#[test]
fn time_in_which_no_sensor_ran_counts_up_to_half_of_what_is_kept() {
    for (days_off, expected) in [(3, 3), (7, 7), (30, 7)] {
        let directory = tempfile::tempdir().unwrap();
        let boot_ms = boot_clock_ms();
        let mut history = started(&directory, boot_ms, 20_000 * DAY_MS);
        history.observe("rule", "term", "", boot_ms);
        history.close(LONG);
        let mut history = started(&directory, boot_ms, (20_000 + days_off) * DAY_MS);
        let ago_ms = boot_ms - history.observe("rule", "term", "", boot_ms).unwrap();
        assert!((ago_ms - expected * DAY_MS).abs() < DAY_MS, "{days_off} {ago_ms}");
    }
}

#[test]
fn a_term_of_the_future_on_disk_is_taken_as_seen_now() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = History::open(directory.path(), WINDOW).unwrap();
    history.rule_first_seen("rule", 70_000 * DAY_MS);
    history.observe("rule", "term", "", 70_000 * DAY_MS);
    history.close(LONG);
    let mut history = started(&directory, 1_000, 20_000 * DAY_MS);
    assert_eq!(history.rule_first_seen("rule", 1_000), 1_000);
    assert_eq!(history.observe("rule", "term", "", 1_000), Some(1_000));
}

#[test]
fn a_container_that_makes_up_terms_pushes_out_none_that_another_uses() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(&directory);
    for number in 0..100 {
        history.observe("rule", &format!("shared-{number}"), "attacker", 0);
        history.observe("rule", &format!("shared-{number}"), "victim", 1);
        history.observe("rule", &format!("shared-{number}"), "attacker", 2);
    }
    for number in 0..MAX_TERMS_PER_RULE as i64 + 1_000 {
        history.observe("rule", &format!("made-up-{number}"), "attacker", 3);
    }
    for number in 0..100 {
        assert!(history.last_seen("rule", &format!("shared-{number}")).is_some());
    }
    assert!(history.counts().evicted > 0);
}

#[test]
fn all_rules_together_remember_so_many_bytes_and_no_container_loses_its_share() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(&directory);
    history.observe("quiet", "its only term", "victim", 0);
    let long = "x".repeat(900);
    for number in 0..60_000 {
        history.observe(
            &format!("rule-{}", number % 7),
            &format!("{number}{long}"),
            "attacker",
            1,
        );
    }
    assert!(history.totals.weight() <= MAX_BYTES);
    assert!(history.last_seen("quiet", "its only term").is_some());
    let weights = history.rules.values().map(|terms| terms.by_age.weight());
    assert_eq!(weights.sum::<usize>(), history.totals.weight());
}

/// What the disk holds: the names of the terms, sorted.
fn on_disk(directory: &TempDir) -> Vec<String> {
    let opened = store::open(&Opener::File(directory.path().join(FILE_NAME))).expect("a sound database");
    let mut terms: Vec<String> = opened.contents.terms.into_iter().map(|(_, term, _)| term).collect();
    terms.sort();
    terms
}

#[test]
fn who_holds_a_term_is_known_after_a_restart_so_that_none_pushes_out_anothers() {
    let directory = tempfile::tempdir().unwrap();
    let mut history = open(&directory);
    let flood = |history: &mut History, from: usize| {
        for number in from..from + MAX_TERMS_PER_RULE {
            history.observe("rule", &format!("made-up-{number}"), "attacker", 2 + number as i64);
        }
    };
    for number in 0..100 {
        let (own, shared) = (format!("own-{number}"), format!("shared-{number}"));
        history.observe("rule", &own, "victim", 0);
        history.observe("rule", &own, "", 1);
        history.observe("rule", &shared, "attacker", 0);
        history.observe("rule", &shared, "victim", 1);
        history.observe("rule", &shared, "attacker", 2);
    }
    for round in 0..2 {
        flood(&mut history, round * MAX_TERMS_PER_RULE);
        assert_eq!(history.close(LONG).unsaved, 0);
        history = open(&directory);
    }
    flood(&mut history, 2 * MAX_TERMS_PER_RULE);
    for number in 0..100 {
        assert!(history.last_seen("rule", &format!("own-{number}")).is_some());
        assert!(history.last_seen("rule", &format!("shared-{number}")).is_some());
    }
    let terms = &history.rules["rule"];
    let holders = |name: &str| {
        let term = name.into();
        let mut holders: Vec<&str> = terms.by_age.owners_of(&term).map(AsRef::as_ref).collect();
        holders.sort_unstable();
        holders.join(",")
    };
    assert_eq!(
        (
            holders("own-7"),
            holders(&format!("made-up-{}", 3 * MAX_TERMS_PER_RULE - 1))
        ),
        (",victim".to_owned(), "attacker".to_owned())
    );
    assert!(holders("shared-7").contains("victim"));
}

#[test]
fn a_flood_of_terms_while_the_disk_fails_leaves_on_it_what_is_in_memory() {
    let disk = Disk::new();
    let mut history = disk.open();
    history.rule_first_seen("rule", 0);
    history.observe("quiet", "its only term", "victim", 0);
    history.observe("rule", "of the victim", "victim", 0);
    wait_for_commits(&history, 3);
    disk.is_full.store(true, Relaxed);
    for number in 0..4 * MAX_TERMS_PER_RULE {
        history.observe("rule", &format!("made-up-{number}"), "attacker", 1);
    }
    disk.wait_for_failures(1);
    assert!(history.kept_on_disk > KEPT_ON_DISK_AT_MOST);
    disk.is_full.store(false, Relaxed);
    // Anything that happens once the disk works again.
    let deadline = Instant::now() + LONG;
    while history.kept_on_disk > 0 {
        assert!(Instant::now() < deadline, "{:?}", history.counts());
        history.observe("quiet", "its only term", "victim", 1);
        thread::yield_now();
    }
    let mut known: Vec<String> = history
        .rules
        .values()
        .flat_map(|terms| terms.terms.keys())
        .map(|term| term.to_string())
        .collect();
    known.sort();
    assert_eq!(known.len(), MAX_TERMS_PER_RULE + 1);
    assert_eq!(history.close(LONG).unsaved, 0);
    assert_eq!(on_disk(&disk.directory), known);
    assert!(known.contains(&"its only term".to_owned()) && known.contains(&"of the victim".to_owned()));
    let length = fs::metadata(disk.directory.path().join(FILE_NAME)).unwrap().len();
    assert!(length < 64 << 20, "{length}");
}
