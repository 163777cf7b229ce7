mod answers;
mod asking;
mod events;
mod failures;
mod fake;

use super::*;
use crate::model::{EngineKind, Metadata};

#[test]
fn questions_beyond_the_limit_are_refused_and_counted() {
    let socket = EngineSocket::on_host(EngineKind::Docker, "/nowhere");
    let (requests, _unread) = mpsc::channel(REQUESTS_AT_MOST);
    let link = Link {
        engine: Arc::new(Engine::new(
            socket,
            Duration::from_secs(600),
            &Arc::new(Budget::shared_by(1)),
        )),
        requests,
    };
    for number in 0..REQUESTS_AT_MOST {
        assert_eq!(link.get(&number.to_string()), Lookup::Pending(None));
    }
    let refused = Lookup::Failed(LookupFailure::TooManyQuestions, None);
    assert_eq!(link.get("one more"), refused);
    assert_eq!(link.get("one more"), refused);
    assert_eq!(link.engine.status().counters.refused_questions, 1);
}

/// A directory of engines that nobody talks to; each test says what they know.
fn directory(sockets: &[EngineSocket]) -> (Directory, Vec<mpsc::Receiver<String>>) {
    let budget = Arc::new(Budget::shared_by(sockets.len()));
    let (links, unread) = sockets
        .iter()
        .map(|socket| {
            let (requests, unread) = mpsc::channel(REQUESTS_AT_MOST);
            let engine = Arc::new(Engine::new(socket.clone(), Duration::from_secs(600), &budget));
            (Link { engine, requests }, unread)
        })
        .unzip::<_, _, Vec<_>, Vec<_>>();
    let directory = Directory {
        links: links.into(),
        thread: Arc::new(std::thread::spawn(|| {})),
        host_container: Arc::default(),
    };
    (directory, unread)
}

fn container(id: &str) -> ContainerRef<'_> {
    ContainerRef { id, runtime: None }
}

fn claim(id: &str) -> ContainerClaim<'_> {
    ContainerClaim {
        container: container(id),
        rootless_owner: None,
        nested_in: None,
    }
}

fn name(directory: &Directory, claim: ContainerClaim<'_>) -> Option<String> {
    directory.get(claim).metadata().map(|metadata| metadata.name.clone())
}

fn in_place(kind: EngineKind, place: Place) -> EngineSocket {
    EngineSocket {
        place,
        ..EngineSocket::on_host(kind, "/nowhere")
    }
}

#[test]
fn of_several_engines_the_one_that_knows_the_container_answers() {
    let sockets = EngineKind::ALL.map(|kind| EngineSocket::on_host(kind, "/nowhere"));
    let (directory, _unread) = directory(&sockets);
    directory.links[2].engine.complete("a", Metadata::named("web"));
    directory.links[0].engine.expect("a", None);
    directory.links[0].engine.fail("a", LookupFailure::NotFound);
    assert_eq!(name(&directory, claim("a")).as_deref(), Some("web"));

    for link in directory.links.iter() {
        link.engine.expect("b", None);
        link.engine.fail("b", LookupFailure::NotFound);
    }
    assert_eq!(directory.get(claim("b")), Lookup::Failed(LookupFailure::NotFound, None));
    directory.links[3].engine.expect("c", None);
    assert_eq!(directory.get(claim("c")), Lookup::Pending(None));
}

#[test]
fn an_engine_inside_a_container_counts_only_for_what_is_nested_there() {
    let sockets = [
        in_place(EngineKind::Docker, Place::Host),
        in_place(EngineKind::Containerd, Place::Inside("kind-node".to_owned())),
    ];
    let (directory, _unread) = directory(&sockets);
    directory.links[0].engine.complete("node", Metadata::named("kind-node"));
    directory.links[0]
        .engine
        .complete("other", Metadata::named("other-node"));
    directory.links[1].engine.complete("inner", Metadata::named("web"));
    let nested_in = |outer| ContainerClaim {
        nested_in: Some(container(outer)),
        ..claim("inner")
    };
    assert_eq!(name(&directory, nested_in("node")).as_deref(), Some("web"));
    assert_eq!(
        name(&directory, nested_in("kind-node")).as_deref(),
        Some("web"),
        "by its id"
    );
    assert_eq!(name(&directory, nested_in("other")), None);
    let rootless = ContainerClaim {
        rootless_owner: Some(1000),
        ..claim("inner")
    };
    assert_eq!(name(&directory, rootless), None);
    assert!(!directory.refutes(nested_in("node")));
}

#[test]
fn the_engines_of_a_host_that_is_a_container_count_for_what_is_nested_there_alone() {
    let (directory, _unread) = directory(&[in_place(EngineKind::Containerd, Place::Host)]);
    directory.links[0].engine.complete("inner", Metadata::named("web"));
    let nested_in = |outer| ContainerClaim {
        nested_in: Some(container(outer)),
        ..claim("inner")
    };
    assert!(directory.refutes(nested_in("node")), "before that is known");
    directory.place_inside("node");
    assert_eq!(name(&directory, nested_in("node")).as_deref(), Some("web"));
    assert_eq!(name(&directory, nested_in("other")), None);
    assert_eq!(name(&directory, claim("inner")), None);
    assert!(!directory.refutes(nested_in("node")));
    assert!(!directory.refutes(nested_in("other")), "it may be another one's");
    assert_eq!(directory.revision(), 0);
}

#[test]
fn only_what_this_hosts_engines_say_is_a_reason_to_think_again() {
    let sockets = [
        in_place(EngineKind::Docker, Place::Host),
        in_place(EngineKind::Podman, Place::User(1000)),
    ];
    let (directory, _unread) = directory(&sockets);
    directory.links[1].engine.complete("a", Metadata::named("mine"));
    assert_eq!(directory.revision(), 0);
    directory.links[0].engine.complete("a", Metadata::named("web"));
    assert_eq!(directory.revision(), 1);
}

#[test]
fn a_users_engine_counts_only_for_that_user() {
    let sockets = [
        in_place(EngineKind::Podman, Place::Host),
        in_place(EngineKind::Podman, Place::User(1000)),
    ];
    let (directory, _unread) = directory(&sockets);
    directory.links[1].engine.complete("a", Metadata::named("mine"));
    let of_user = |user| ContainerClaim {
        rootless_owner: Some(user),
        ..claim("a")
    };
    assert_eq!(name(&directory, of_user(1000)).as_deref(), Some("mine"));
    assert_eq!(name(&directory, of_user(1001)), None);
    assert_eq!(name(&directory, claim("a")), None);
    assert!(!directory.refutes(of_user(1000)));
}
