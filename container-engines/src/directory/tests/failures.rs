//! Engines that are away, hang or talk garbage.

use super::asking::{LONG, claim, complete, failure, id, name, until};
use super::fake::{Answer, Fake, LONG_TIMEOUTS, SHORT_TIMEOUTS, state_of};
use crate::directory::Directory;
use crate::model::{DirectoryOptions, EngineKind, EngineSocket, EngineState, Lookup, LookupFailure, Place};
use crate::watch::Timing;
use std::os::unix::fs::MetadataExt as _;
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
fn a_container_that_could_not_be_read_is_asked_about_again_though_nobody_looks_it_up() {
    for answer in [Answer::Failure(r#"{"message":"busy"}"#), Answer::Hang] {
        let fake = Fake::started();
        let host = serde_json::json!({ "CgroupParent": "/docker/other" });
        fake.add_as(
            &id('a'),
            serde_json::json!({ "Id": id('a'), "Name": "/web", "HostConfig": host }),
        );
        fake.answer(&id('a'), answer);
        let directory = fake.directory(Timing {
            ping: Duration::from_millis(20),
            failure_memory: Duration::ZERO,
            ..SHORT_TIMEOUTS
        });
        until("it is asked again", || fake.times_asked(&id('a')) > 1);
        let cgroup = format!("docker/other/{}", id('a'));
        assert_eq!(directory.container_in(&[&cgroup]), None);
        fake.answer(&id('a'), Answer::Usual);
        until("its cgroup is known", || directory.container_in(&[&cgroup]).is_some());
    }
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

#[test]
fn an_endless_answer_ends_at_its_limit_and_takes_nothing_from_others() {
    let endless = [
        ("/version", "{\"Version\": ["),
        ("/version", "x"),
        ("/version", "\"x"),
        ("/version", "  "),
        ("/containers/json", "[{\"Id\": {"),
        ("/containers/json", "[1,"),
    ];
    for (path, text) in endless {
        let fake = Fake::started();
        fake.answer(path, Answer::Endless(text));
        let directory = fake.directory(LONG_TIMEOUTS);
        until("it fails", || {
            matches!(state_of(&directory), EngineState::Failing { .. })
        });
        drop(directory);
    }
    let fake = Fake::started();
    fake.add(&id('a'), "bad");
    fake.add(&id('b'), "good");
    fake.answer(&id('a'), Answer::Endless("{\"Labels\": "));
    let directory = fake.directory(LONG_TIMEOUTS);
    let LookupFailure::NoAnswer(why) = failure(&directory, &id('a')) else {
        panic!("another failure");
    };
    assert!(why.contains("bytes at once"), "{why}");
    assert_eq!(complete(&directory, &id('b')).name, "good");
    assert!(matches!(state_of(&directory), EngineState::Connected));
}

#[test]
fn an_endless_event_ends_the_session() {
    let fake = Fake::started();
    let directory = fake.connected(SHORT_TIMEOUTS);
    fake.emit_raw("{\"Actor\": {\"Attributes\": {\"");
    until("it is given up", || match state_of(&directory) {
        EngineState::Failing { reason } => reason.contains("an event has no end"),
        _ => fake.times_asked("/events") > 1,
    });
}

#[test]
fn an_answer_that_drips_is_given_up_in_time() {
    for path in ["/version", "/containers/json", "/events"] {
        let fake = Fake::started();
        fake.answer(path, Answer::Drip);
        let directory = fake.directory(SHORT_TIMEOUTS);
        until("it fails", || {
            matches!(state_of(&directory), EngineState::Failing { .. })
        });
    }
}

#[test]
fn a_flood_of_events_is_read_slowly_and_said() {
    let fake = Fake::started();
    fake.add(&id('a'), "web");
    fake.answer(
        "/events",
        Answer::Endless("{\"Action\":\"create\",\"Actor\":{\"ID\":\"x\"}}\n"),
    );
    let directory = fake.directory(LONG_TIMEOUTS);
    until("it is read slowly", || directory.engines()[0].counters.pauses > 2);
    assert_eq!(complete(&directory, &id('a')).name, "web");
}

#[test]
fn what_is_no_socket_is_never_opened() {
    let folder = tempfile::TempDir::new().expect("temporary folder");
    let path = folder.path().join("engine.sock");
    for kind in EngineKind::ALL {
        for make in ["mkfifo", "touch", "mkdir"] {
            let made = std::process::Command::new(make).arg(&path).status().expect("a program");
            assert!(made.success());
            let socket = EngineSocket::on_host(kind, &path);
            let error = Directory::probe(&socket, LONG).expect_err("there is no socket");
            assert!(error.to_string().contains("no socket"), "{error}");
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
        }
    }
}

#[test]
fn a_link_to_another_users_engine_is_not_that_users_engine() {
    let fake = Fake::started();
    let folder = tempfile::TempDir::new().expect("temporary folder");
    let path = folder.path().join("engine.sock");
    std::os::unix::fs::symlink(fake.path(), &path).expect("a link");
    let own = std::fs::metadata(fake.path())
        .map(|metadata| metadata.uid())
        .expect("a socket");
    for (user, is_theirs) in [(own, true), (own + 1, false)] {
        let socket = EngineSocket {
            place: Place::User(user),
            ..EngineSocket::on_host(EngineKind::Podman, &path)
        };
        assert_eq!(Directory::probe(&socket, LONG).is_ok(), is_theirs);
    }
}

#[test]
fn what_an_engine_says_cannot_forge_a_line() {
    let fake = Fake::started();
    let forged = r#"{"Version": "1\n2026-11-26 ERROR the rules were unloaded \u001b[2K", "ApiVersion": "\u202e"}"#;
    fake.answer("/version", Answer::Text(forged));
    let socket = EngineSocket::on_host(EngineKind::Docker, fake.path());
    let version = Directory::probe(&socket, LONG).expect("an answer").version.to_string();
    assert_eq!(
        version,
        r"version 1\n2026-11-26 ERROR the rules were unloaded \u{1b}[2K, API \u{202e}"
    );
    fake.answer("/version", Answer::Failure("{\"message\": \"a\\nb\\u0007\"}"));
    let error = Directory::probe(&socket, LONG).expect_err("a failure");
    assert_eq!(error.to_string(), r"answered with status 500: a\nb\u{7}");
}
