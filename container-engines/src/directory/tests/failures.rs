//! Engines that are away, hang or talk garbage.

use super::asking::{claim, complete, failure, id, name, until};
use super::fake::{Answer, Fake, LONG_TIMEOUTS, SHORT_TIMEOUTS, state_of};
use crate::directory::Directory;
use crate::model::{DirectoryOptions, EngineKind, EngineSocket, EngineState, Lookup, LookupFailure};
use crate::watch::Timing;
use std::time::Duration;

#[test]
fn an_absent_engine_is_found_when_it_comes() {
    let fake = Fake::new();
    let directory = fake.directory(LONG_TIMEOUTS);
    until("it is absent", || matches!(state_of(&directory), EngineState::Absent));
    assert_eq!(failure(&directory, &id('a')), LookupFailure::EngineUnreachable);
    fake.add(&id('a'), "web");
    fake.start();
    until("it is known", || name(&directory, &id('a')).is_some());
    assert!(matches!(state_of(&directory), EngineState::Connected));
}

#[test]
fn a_hanging_engine_holds_nobody_up() {
    let fake = Fake::started();
    fake.answer("/", Answer::Hang);
    let directory = fake.directory(LONG_TIMEOUTS);
    until("it is asked", || fake.hanging() > 0);
    assert_eq!(directory.get(claim(&id('a'))), Lookup::Pending(None));
    assert_eq!(state_of(&directory), EngineState::Connecting);
}

#[test]
fn a_hanging_engine_is_said_to_fail() {
    let fake = Fake::started();
    fake.answer("/", Answer::Hang);
    let directory = fake.directory(SHORT_TIMEOUTS);
    assert_eq!(failure(&directory, &id('a')), LookupFailure::EngineUnreachable);
    until("it fails", || match state_of(&directory) {
        EngineState::Failing { reason, .. } => reason == "no answer within 200 ms",
        _ => false,
    });
}

#[test]
fn an_engine_that_stops_answering_is_found_out() {
    let fake = Fake::started();
    let directory = fake.connected(Timing {
        ping: Duration::from_millis(20),
        ..SHORT_TIMEOUTS
    });
    fake.answer("/", Answer::Hang);
    until("it fails", || {
        matches!(state_of(&directory), EngineState::Failing { .. })
    });
}

#[test]
fn one_container_that_cannot_be_read_takes_nothing_from_the_others() {
    for answer in [
        Answer::Failure(r#"{"message":"disk on fire"}"#),
        Answer::Text("{\"Id\": \u{1b}[31m"),
        Answer::Text(r#"{"Id": 7}"#),
        Answer::Text(""),
        Answer::Break,
    ] {
        let fake = Fake::started();
        fake.add(&id('a'), "bad");
        fake.add(&id('b'), "good");
        fake.answer(&id('a'), answer);
        let directory = fake.directory(LONG_TIMEOUTS);
        let LookupFailure::NoAnswer(why) = failure(&directory, &id('a')) else {
            panic!("another failure");
        };
        assert!(!why.contains('\u{1b}'), "{why:?}");
        assert_eq!(complete(&directory, &id('b')).name, "good");
        assert!(matches!(state_of(&directory), EngineState::Connected));
    }
}

#[test]
fn a_container_that_cannot_be_read_says_why() {
    let fake = Fake::started();
    fake.add(&id('a'), "bad");
    fake.answer(&id('a'), Answer::Failure(r#"{"message":"disk on fire"}"#));
    let directory = fake.directory(LONG_TIMEOUTS);
    let why = failure(&directory, &id('a')).to_string();
    assert!(why.contains("500") && why.contains("disk on fire"), "{why}");
}

#[test]
fn an_engine_that_talks_garbage_fails_and_is_tried_again() {
    for answer in [
        Answer::Text("[{]"),
        Answer::Text(r#"{"Id":"not a list"}"#),
        Answer::Failure("no JSON"),
        Answer::Break,
    ] {
        let fake = Fake::started();
        fake.add(&id('a'), "web");
        fake.answer("/containers/json", answer);
        let directory = fake.directory(LONG_TIMEOUTS);
        until("it fails", || {
            matches!(state_of(&directory), EngineState::Failing { .. })
        });
        fake.answer("/containers/json", Answer::Usual);
        until("it is connected", || name(&directory, &id('a')).is_some());
    }
}

#[test]
fn garbage_among_the_events_leads_to_a_new_listing() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    fake.add(&id('a'), "web");
    fake.emit_raw("}{\n");
    until("it is listed again", || fake.times_asked("/containers/json") == 2);
    assert_eq!(complete(&directory, &id('a')).name, "web");
}

#[test]
fn after_the_events_end_all_is_listed_anew() {
    let fake = Fake::started();
    fake.add(&id('a'), "old");
    let directory = fake.connected(LONG_TIMEOUTS);
    complete(&directory, &id('a'));
    fake.add(&id('a'), "new");
    fake.add(&id('b'), "other");
    fake.end_events();
    until("the new name is known", || {
        name(&directory, &id('a')).as_deref() == Some("new")
    });
    assert_eq!(complete(&directory, &id('b')).name, "other");
}

#[test]
fn what_is_known_stays_known_while_the_engine_is_away() {
    let fake = Fake::started();
    fake.add(&id('a'), "web");
    let directory = fake.connected(LONG_TIMEOUTS);
    complete(&directory, &id('a'));
    fake.vanish();
    until("it fails", || {
        matches!(state_of(&directory), EngineState::Failing { .. })
    });
    assert_eq!(complete(&directory, &id('a')).name, "web");
    assert_eq!(failure(&directory, &id('b')), LookupFailure::EngineUnreachable);

    fake.forget(&id('a'));
    fake.start();
    until("it is back", || matches!(state_of(&directory), EngineState::Connected));
    fake.until_followed(2);
    assert_eq!(complete(&directory, &id('a')).name, "web");
    assert_eq!(failure(&directory, &id('b')), LookupFailure::NotFound);
}

#[test]
fn the_engine_is_let_go_when_nobody_asks_any_more() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    let other = directory.clone();
    drop(directory);
    assert_eq!(failure(&other, &id('a')), LookupFailure::NotFound);
    drop(other);
    fake.until_unfollowed();
}

#[test]
fn no_engine_of_any_language_that_hangs_holds_the_watch_up() {
    for kind in EngineKind::ALL {
        let fake = Fake::started();
        fake.answer("/", Answer::Hang);
        let socket = EngineSocket::on_host(kind, fake.path());
        let directory =
            Directory::start_with(vec![socket], DirectoryOptions::default(), SHORT_TIMEOUTS).expect("thread");
        until("it fails", || {
            matches!(state_of(&directory), EngineState::Failing { .. })
        });
    }
}
