mod fake;

use super::session::INSPECTIONS_AT_ONCE;
use super::*;
use crate::container::{Access, ContainerIdentity, Directory, EngineState, Image, Lookup, Metadata, Mount, Runtime};
use fake::{Answer, Fake, IMPATIENT, PATIENT, state_of};
use serde_json::json;

/// Longer than anything takes that a test waits for.
const LONG: Duration = Duration::from_secs(20);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + LONG;
    while !holds() {
        assert!(std::time::Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn container(id: &str) -> ContainerIdentity {
    ContainerIdentity {
        id: id.to_owned(),
        runtime: Some(Runtime::Docker),
        pod_uid: None,
        rootless_owner: None,
        nested_in: None,
    }
}

/// The answer when it is there.
fn settled(directory: &Directory, container: &ContainerIdentity) -> Lookup {
    until("an answer", || !matches!(directory.get(container), Lookup::Pending(_)));
    directory.get(container)
}

#[track_caller]
fn complete(directory: &Directory, id: &str) -> Arc<Metadata> {
    match settled(directory, &container(id)) {
        Lookup::Complete(metadata) => metadata,
        other => panic!("not complete: {other:?}"),
    }
}

#[track_caller]
fn failure(directory: &Directory, id: &str) -> LookupFailure {
    match settled(directory, &container(id)) {
        Lookup::Failed(why, _) => why,
        other => panic!("not failed: {other:?}"),
    }
}

fn name(directory: &Directory, id: &str) -> Option<String> {
    let lookup = directory.get(&container(id));
    lookup.metadata().map(|metadata| metadata.name.clone())
}

#[test]
fn an_answer_is_read_whole() {
    let fake = Fake::started();
    fake.add_as(
        &id('a'),
        json!({
            "Id": id('a'),
            "Name": "/web",
            "Image": "sha256:1234",
            "State": { "Status": "running", "StartedAt": "2026-11-22T00:13:54.973969881Z" },
            "HostConfig": { "Privileged": true },
            "Mounts": [
                { "Type": "volume", "Source": "/var/lib/docker/volumes/v", "Destination": "/v", "RW": true },
                { "Type": "bind", "Source": "/etc", "Destination": "/host", "RW": false },
                { "Type": "bind", "Source": "/var/run/docker.sock", "Destination": "/s", "RW": true },
            ],
            "Config": {
                "Image": "localhost:5000/team/web:1.2",
                "User": "1000:1000",
                "Labels": { "b": "2", "a": "1" },
            },
        }),
    );
    let directory = fake.directory(PATIENT);
    assert_eq!(
        *complete(&directory, &id('a')),
        Metadata {
            runtime: Runtime::Docker,
            name: "web".to_owned(),
            image: Image {
                name: "localhost:5000/team/web".to_owned(),
                tag: Some("1.2".to_owned()),
                digests: vec!["sha256:1234".to_owned()],
            },
            labels: vec![("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned()),],
            cut_labels: 0,
            privileged: Some(true),
            user: Some("1000:1000".to_owned()),
            started: Some(1_795_306_434_973_969_881),
            mounts: vec![
                Mount::new("/var/run/docker.sock", "/s", Access::ReadWrite),
                Mount::new("/etc", "/host", Access::ReadOnly),
            ],
            pod: None,
        }
    );
}

#[test]
fn an_empty_answer_is_no_trouble() {
    let fake = Fake::started();
    fake.add_as(&id('a'), json!({ "Id": id('a') }));
    let directory = fake.directory(PATIENT);
    assert_eq!(complete(&directory, &id('a')).name, "");
}

#[test]
fn listed_containers_are_known_before_anybody_asks() {
    let fake = Fake::started();
    fake.add(&id('a'), "one");
    fake.add(&id('b'), "two");
    let directory = fake.directory(PATIENT);
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
    let directory = fake.connected(PATIENT);
    fake.add(&id('a'), "late");
    for _ in 0..100 {
        directory.get(&container(&id('a')));
    }
    assert_eq!(complete(&directory, &id('a')).name, "late");
    assert_eq!(fake.times_asked(&id('a')), 1);
}

#[test]
fn a_container_the_engine_does_not_know_is_remembered_as_such() {
    let fake = Fake::started();
    let directory = fake.connected(PATIENT);
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
        ..PATIENT
    });
    directory.get(&container(&id('a')));
    until("the first question is answered", || fake.times_asked(&id('a')) > 0);
    fake.add(&id('a'), "late");
    until("it is known", || name(&directory, &id('a')).is_some());
}

#[test]
fn a_container_named_like_an_id_is_not_that_container() {
    let fake = Fake::started();
    let directory = fake.connected(PATIENT);
    fake.add_as(&id('a'), json!({ "Id": id('b'), "Name": format!("/{}", id('a')) }));
    assert_eq!(failure(&directory, &id('a')), LookupFailure::NotFound);
}

#[test]
fn a_creation_event_tells_the_name_while_the_answer_is_awaited() {
    let fake = Fake::started();
    let directory = fake.connected(PATIENT);
    fake.answer(&id('a'), Answer::Hang);
    fake.tell(
        "create",
        &id('a'),
        json!({ "name": "web", "image": "nginx:1", "team": "x" }),
    );
    until("the event is taken", || name(&directory, &id('a')).is_some());
    let Lookup::Pending(Some(metadata)) = directory.get(&container(&id('a'))) else {
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
    let directory = fake.connected(PATIENT);
    fake.tell("create", &id('a'), json!({ "name": "brief", "image": "nginx" }));
    fake.tell("destroy", &id('a'), json!({}));
    until("the event is taken", || name(&directory, &id('a')).is_some());
    assert_eq!(failure(&directory, &id('a')), LookupFailure::NotFound);
    assert_eq!(name(&directory, &id('a')).as_deref(), Some("brief"));
}

#[test]
fn start_and_rename_need_no_further_question() {
    let fake = Fake::started();
    fake.add(&id('a'), "old");
    let directory = fake.connected(PATIENT);
    assert_eq!(complete(&directory, &id('a')).started, None);
    fake.tell("start", &id('a'), json!({ "name": "old" }));
    fake.tell("rename", &id('a'), json!({ "name": "new", "oldName": "/old" }));
    until("it is renamed", || name(&directory, &id('a')).as_deref() == Some("new"));
    let started = complete(&directory, &id('a')).started;
    assert_eq!(started, Some(1_700_000_000_000_000_001));
    assert_eq!(fake.times_asked(&id('a')), 1);
}

#[test]
fn an_event_outweighs_an_older_answer() {
    let fake = Fake::started();
    let directory = fake.connected(PATIENT);
    fake.answer("/containers/", Answer::Hang);
    fake.tell("create", &id('a'), json!({ "name": "old", "image": "nginx" }));
    until("the question is out", || fake.hanging() == 1);
    fake.tell("rename", &id('a'), json!({ "name": "new" }));
    until("it is renamed", || name(&directory, &id('a')).as_deref() == Some("new"));
    fake.release();
    assert!(matches!(failure(&directory, &id('a')), LookupFailure::NoAnswer(_)));
    assert_eq!(name(&directory, &id('a')).as_deref(), Some("new"));
}

#[test]
fn a_stopped_container_that_starts_is_asked_about() {
    let fake = Fake::started();
    let directory = fake.connected(PATIENT);
    fake.add(&id('a'), "restarted");
    fake.tell("start", &id('a'), json!({ "name": "restarted" }));
    until("it is asked about", || fake.times_asked(&id('a')) == 1);
    assert_eq!(complete(&directory, &id('a')).name, "restarted");
}

#[test]
fn an_absent_engine_is_found_when_it_comes() {
    let fake = Fake::new();
    let directory = fake.directory(PATIENT);
    until("it is absent", || {
        matches!(state_of(&directory), EngineState::Absent { .. })
    });
    assert_eq!(failure(&directory, &id('a')), LookupFailure::EngineUnreachable);
    fake.add(&id('a'), "web");
    fake.start();
    until("it is known", || name(&directory, &id('a')).is_some());
    assert!(matches!(state_of(&directory), EngineState::Connected { .. }));
}

#[test]
fn a_hanging_engine_holds_nobody_up() {
    let fake = Fake::started();
    fake.answer("/", Answer::Hang);
    let directory = fake.directory(PATIENT);
    until("it is asked", || fake.hanging() > 0);
    assert_eq!(directory.get(&container(&id('a'))), Lookup::Pending(None));
    assert_eq!(state_of(&directory), EngineState::Connecting);
}

#[test]
fn a_hanging_engine_is_said_to_fail() {
    let fake = Fake::started();
    fake.answer("/", Answer::Hang);
    let directory = fake.directory(IMPATIENT);
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
        ..IMPATIENT
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
        let directory = fake.directory(PATIENT);
        let LookupFailure::NoAnswer(why) = failure(&directory, &id('a')) else {
            panic!("another failure");
        };
        assert!(!why.contains('\u{1b}'), "{why:?}");
        assert_eq!(complete(&directory, &id('b')).name, "good");
        assert!(matches!(state_of(&directory), EngineState::Connected { .. }));
    }
}

#[test]
fn a_container_that_cannot_be_read_says_why() {
    let fake = Fake::started();
    fake.add(&id('a'), "bad");
    fake.answer(&id('a'), Answer::Failure(r#"{"message":"disk on fire"}"#));
    let directory = fake.directory(PATIENT);
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
        let directory = fake.directory(PATIENT);
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
    let directory = fake.connected(PATIENT);
    fake.add(&id('a'), "web");
    fake.tell_raw("}{\n");
    until("it is listed again", || fake.times_asked("/containers/json") == 2);
    assert_eq!(complete(&directory, &id('a')).name, "web");
}

#[test]
fn after_the_events_end_all_is_listed_anew() {
    let fake = Fake::started();
    fake.add(&id('a'), "old");
    let directory = fake.connected(PATIENT);
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
    let directory = fake.connected(PATIENT);
    complete(&directory, &id('a'));
    fake.vanish();
    until("it fails", || {
        matches!(state_of(&directory), EngineState::Failing { .. })
    });
    let EngineState::Failing { since, .. } = state_of(&directory) else {
        panic!("not failing");
    };
    assert_eq!(complete(&directory, &id('a')).name, "web");
    assert_eq!(failure(&directory, &id('b')), LookupFailure::EngineUnreachable);

    fake.forget(&id('a'));
    fake.start();
    until("it is back", || {
        matches!(state_of(&directory), EngineState::Connected { .. })
    });
    fake.until_followed(2);
    assert_eq!(complete(&directory, &id('a')).name, "web");
    assert_eq!(failure(&directory, &id('b')), LookupFailure::NotFound);
    assert!(since <= std::time::SystemTime::now());
}

#[test]
fn only_so_many_questions_are_out_at_a_time() {
    let fake = Fake::started();
    for number in 0..100 {
        fake.add(&format!("{number:064}"), "one of many");
    }
    fake.answer("/containers/0", Answer::Hang);
    let directory = fake.directory(PATIENT);
    until("all slots are taken", || fake.hanging() == INSPECTIONS_AT_ONCE);
    fake.answer("/containers/0", Answer::Usual);
    assert_eq!(fake.times_asked("/containers/0"), INSPECTIONS_AT_ONCE);
    fake.release();
    until("all have been asked about", || fake.times_asked("/containers/0") == 100);
    complete(&directory, &format!("{:064}", 99));
}

#[test]
fn hostile_labels_are_cut_and_counted() {
    let fake = Fake::started();
    let mut labels = serde_json::Map::new();
    for number in 0..1000 {
        labels.insert(format!("label{number:04}"), json!("x"));
    }
    labels.insert("a".to_owned(), json!("\u{1b}]0;owned\u{7}".repeat(100_000)));
    fake.add_as(
        &id('a'),
        json!({ "Id": id('a'), "Name": "/".to_owned() + &"n".repeat(100_000), "Config": { "Labels": labels } }),
    );
    let directory = fake.directory(PATIENT);
    let metadata = complete(&directory, &id('a'));
    assert_eq!(metadata.labels.len(), 64);
    assert_eq!(metadata.labels[0].1.len(), 1024);
    assert_eq!(metadata.name.len(), 512);
    assert_eq!(metadata.cut_labels, 1001 - 64 + 1);
    assert_eq!(directory.engines()[0].counters.cut_labels, metadata.cut_labels);
}

#[test]
fn what_was_claimed_inside_a_container_gets_nothing() {
    let fake = Fake::started();
    fake.add(&id('a'), "victim");
    fake.add(&id('b'), "attacker");
    let directory = fake.connected(PATIENT);
    complete(&directory, &id('a'));
    let attacker = container(&id('b'));
    let claim = ContainerIdentity {
        nested_in: Some(Box::new(attacker.clone())),
        ..container(&id('a'))
    };
    let nobody = Lookup::Failed(LookupFailure::NoEngine, None);
    assert_eq!(directory.get(&claim), nobody);
    assert_eq!(directory.unmask(claim), Some(attacker.clone()));

    let inner = ContainerIdentity {
        nested_in: Some(Box::new(attacker)),
        ..container(&id('c'))
    };
    assert_eq!(directory.unmask(inner.clone()), Some(inner));

    let users_claim = ContainerIdentity {
        rootless_owner: Some(1000),
        ..container(&id('a'))
    };
    assert_eq!(directory.get(&users_claim), nobody);
    assert_eq!(directory.unmask(users_claim), None);
}

#[test]
fn another_runtimes_container_is_not_asked_about() {
    let fake = Fake::started();
    let directory = fake.connected(PATIENT);
    let other = ContainerIdentity {
        runtime: Some(Runtime::CriO),
        ..container(&id('a'))
    };
    let nobody = Lookup::Failed(LookupFailure::NoEngine, None);
    assert_eq!(directory.get(&other), nobody);
    assert_eq!(fake.times_asked(&id('a')), 0);
}

#[test]
fn without_engines_every_answer_is_there_at_once() {
    let directory = Directory::start(Vec::new(), DirectoryOptions::default()).expect("thread");
    let nobody = Lookup::Failed(LookupFailure::NoEngine, None);
    assert_eq!(directory.get(&container(&id('a'))), nobody);
}

#[test]
fn the_engine_is_let_go_when_nobody_asks_any_more() {
    let fake = Fake::started();
    let directory = fake.connected(PATIENT);
    let other = directory.clone();
    drop(directory);
    assert_eq!(failure(&other, &id('a')), LookupFailure::NotFound);
    drop(other);
    fake.until_unfollowed();
}

#[test]
fn the_start_waits_until_what_was_listed_is_known_but_not_for_long() {
    let fake = Fake::started();
    for number in 0..50 {
        fake.add(&format!("{number:064}"), "one of many");
    }
    let directory = fake.directory(PATIENT);
    directory.settle(LONG);
    for number in 0..50 {
        let lookup = directory.get(&container(&format!("{number:064}")));
        assert!(matches!(lookup, Lookup::Complete(_)), "{lookup:?}");
    }

    let hanging = Fake::started();
    hanging.answer("/", Answer::Hang);
    hanging.directory(PATIENT).settle(Duration::from_millis(1));
    Fake::new().directory(PATIENT).settle(LONG);
}

#[test]
fn a_kubernetes_container_of_docker_names_its_pod() {
    let fake = Fake::started();
    let labels = json!({
        "io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "6a1c",
    });
    fake.add_as(
        &id('a'),
        json!({ "Id": id('a'), "Name": "/k8s_web", "Config": { "Labels": labels } }),
    );
    let directory = fake.directory(PATIENT);
    let pod = complete(&directory, &id('a')).pod.clone().expect("a pod");
    assert_eq!(
        (pod.name.as_str(), pod.namespace.as_str(), pod.uid.as_str()),
        ("web-0", "shop", "6a1c")
    );
}

#[test]
fn no_engine_of_any_language_that_hangs_holds_the_watch_up() {
    use crate::container::{DirectoryOptions, EngineKind, EngineSocket};
    for kind in EngineKind::ALL {
        let fake = Fake::started();
        fake.answer("/", Answer::Hang);
        let socket = EngineSocket::of_host(kind, fake.path());
        let directory = Directory::start_with(vec![socket], DirectoryOptions::default(), IMPATIENT).expect("thread");
        until("it fails", || {
            matches!(state_of(&directory), EngineState::Failing { .. })
        });
    }
}
