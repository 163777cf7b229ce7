//! When an engine is asked, and what its events change.

use super::asking::{LONG, claim, complete, failure, id, name, until};
use super::fake::{Answer, Fake, LONG_TIMEOUTS};
use crate::model::{Image, Lookup, LookupFailure};
use crate::watch::{INSPECTIONS_AT_ONCE, Timing};
use serde_json::json;
use std::time::Duration;

#[test]
fn listed_containers_are_known_before_anybody_asks() {
    let fake = Fake::started();
    fake.add(&id('a'), "one");
    fake.add(&id('b'), "two");
    let directory = fake.directory(LONG_TIMEOUTS);
    until("both are inspected", || {
        directory.engines()[0].counters.inspections == 2
    });
    assert_eq!(complete(&directory, &id('a')).name, "one");
    assert_eq!(complete(&directory, &id('b')).name, "two");
    assert_eq!(fake.times_asked(&id('a')), 1);
}

#[test]
fn a_container_nobody_mentioned_is_asked_about_once() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    fake.add(&id('a'), "late");
    for _ in 0..100 {
        directory.get(claim(&id('a')));
    }
    assert_eq!(complete(&directory, &id('a')).name, "late");
    assert_eq!(fake.times_asked(&id('a')), 1);
}

#[test]
fn a_container_the_engine_does_not_know_is_remembered_as_such() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    for _ in 0..100 {
        assert_eq!(failure(&directory, &id('a')), LookupFailure::NotFound);
    }
    assert_eq!(fake.times_asked(&id('a')), 1);
}

#[test]
fn a_failure_is_asked_again_after_its_time() {
    let fake = Fake::started();
    let directory = fake.connected(Timing {
        failure_memory: Duration::ZERO,
        ..LONG_TIMEOUTS
    });
    directory.get(claim(&id('a')));
    until("the first question is answered", || fake.times_asked(&id('a')) > 0);
    fake.add(&id('a'), "late");
    until("it is known", || name(&directory, &id('a')).is_some());
}

#[test]
fn a_creation_event_names_the_container_before_the_answer() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    fake.answer(&id('a'), Answer::Hang);
    fake.emit(
        "create",
        &id('a'),
        json!({ "name": "web", "image": "nginx:1", "team": "x" }),
    );
    until("the event is taken", || name(&directory, &id('a')).is_some());
    let Lookup::Pending(Some(metadata)) = directory.get(claim(&id('a'))) else {
        panic!("not pending");
    };
    assert_eq!(metadata.name, "web");
    assert_eq!(metadata.image, Image::from_reference("nginx:1"));
    assert_eq!(metadata.labels, [("team".to_owned(), "x".to_owned())]);
    assert_eq!(metadata.privileged, None);
}

#[test]
fn a_container_that_is_gone_before_the_answer_keeps_its_name() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    fake.emit("create", &id('a'), json!({ "name": "brief", "image": "nginx" }));
    fake.emit("destroy", &id('a'), json!({}));
    until("the event is taken", || name(&directory, &id('a')).is_some());
    assert_eq!(failure(&directory, &id('a')), LookupFailure::NotFound);
    assert_eq!(name(&directory, &id('a')).as_deref(), Some("brief"));
}

#[test]
fn start_and_rename_need_no_further_question() {
    let fake = Fake::started();
    fake.add(&id('a'), "old");
    let directory = fake.connected(LONG_TIMEOUTS);
    assert_eq!(complete(&directory, &id('a')).started, None);
    fake.emit("start", &id('a'), json!({ "name": "old" }));
    fake.emit("rename", &id('a'), json!({ "name": "new", "oldName": "/old" }));
    until("it is renamed", || name(&directory, &id('a')).as_deref() == Some("new"));
    let started = complete(&directory, &id('a')).started;
    assert_eq!(started, Some(1_700_000_000_000_000_001));
    assert_eq!(fake.times_asked(&id('a')), 1);
}

#[test]
fn an_event_outweighs_an_older_answer() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    fake.answer("/containers/", Answer::Hang);
    fake.emit("create", &id('a'), json!({ "name": "old", "image": "nginx" }));
    until("the question is out", || fake.hanging() == 1);
    fake.emit("rename", &id('a'), json!({ "name": "new" }));
    until("it is renamed", || name(&directory, &id('a')).as_deref() == Some("new"));
    fake.release();
    assert!(matches!(failure(&directory, &id('a')), LookupFailure::NoAnswer(_)));
    assert_eq!(name(&directory, &id('a')).as_deref(), Some("new"));
}

#[test]
fn a_stopped_container_that_starts_is_asked_about() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    fake.add(&id('a'), "restarted");
    fake.emit("start", &id('a'), json!({ "name": "restarted" }));
    until("it is asked about", || fake.times_asked(&id('a')) == 1);
    assert_eq!(complete(&directory, &id('a')).name, "restarted");
}

#[test]
fn only_so_many_questions_are_out_at_a_time() {
    let fake = Fake::started();
    for number in 0..100 {
        fake.add(&format!("{number:064}"), "one of many");
    }
    fake.answer("/containers/0", Answer::Hang);
    let directory = fake.directory(LONG_TIMEOUTS);
    until("all slots are taken", || fake.hanging() == INSPECTIONS_AT_ONCE);
    fake.answer("/containers/0", Answer::Usual);
    assert_eq!(fake.times_asked("/containers/0"), INSPECTIONS_AT_ONCE);
    fake.release();
    until("all have been asked about", || fake.times_asked("/containers/0") == 100);
    complete(&directory, &format!("{:064}", 99));
}

#[test]
fn the_start_waits_until_what_was_listed_is_known_but_not_for_long() {
    let fake = Fake::started();
    for number in 0..50 {
        fake.add(&format!("{number:064}"), "one of many");
    }
    let directory = fake.directory(LONG_TIMEOUTS);
    directory.wait_until_synced(LONG);
    for number in 0..50 {
        let lookup = directory.get(claim(&format!("{number:064}")));
        assert!(matches!(lookup, Lookup::Complete(_)), "{lookup:?}");
    }

    let hanging = Fake::started();
    hanging.answer("/", Answer::Hang);
    hanging
        .directory(LONG_TIMEOUTS)
        .wait_until_synced(Duration::from_millis(1));
    Fake::new().directory(LONG_TIMEOUTS).wait_until_synced(LONG);
}

#[test]
fn an_answer_about_an_older_container_of_the_same_name_is_dropped() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    fake.add("web", "old");
    fake.answer("/containers/web", Answer::Hold);
    fake.emit("create", "web", json!({}));
    until("the question is out", || fake.hanging() == 1);
    fake.emit("destroy", "web", json!({}));
    fake.emit("create", "web", json!({ "name": "event" }));
    until("the new one is known", || {
        name(&directory, "web").as_deref() == Some("event")
    });
    fake.add("web", "new");
    fake.answer("/containers/web", Answer::Usual);
    fake.let_go();
    assert_eq!(complete(&directory, "web").name, "new");
    assert_eq!(fake.times_asked("/containers/web"), 2);
}
