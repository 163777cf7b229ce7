//! What is read from an answer, and which engine is asked.

use super::asking::{LONG, claim, complete, docker_container, failure, id};
use super::fake::{Answer, Fake, LONG_TIMEOUTS};
use crate::directory::Directory;
use crate::model::{
    Access, ContainerClaim, ContainerRef, DirectoryOptions, EngineKind, EngineSocket, Image, Lookup, LookupFailure,
    Metadata, Mount, Runtime,
};
use serde_json::json;

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
            "HostConfig": { "Privileged": true, "CgroupParent": "/custom" },
            "Mounts": [
                { "Type": "volume", "Source": "/var/lib/docker/volumes/v", "Destination": "/v", "RW": true },
                { "Type": "bind", "Source": "/etc", "Destination": "/host", "RW": false },
                { "Type": "bind", "Source": "/var/run/docker.sock", "Destination": "/s", "RW": true },
            ],
            "Config": {
                "Image": "localhost:5000/team/web:1.2",
                "User": "1000:1000",
                "Tty": true,
                "OpenStdin": false,
                "Labels": { "b": "2", "a": "1" },
            },
        }),
    );
    let directory = fake.directory(LONG_TIMEOUTS);
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
            terminal_input: Some(false),
            is_build: false,
            user: Some("1000:1000".to_owned()),
            started: Some(1_795_306_434_973_969_881),
            mounts: vec![
                Mount::new("/var/run/docker.sock", "/s", Access::ReadWrite),
                Mount::new("/etc", "/host", Access::ReadOnly),
            ],
            pod: None,
            cgroup: Some(format!("/custom/{}", id('a'))),
        }
    );
}

#[test]
fn an_empty_answer_is_accepted() {
    let fake = Fake::started();
    fake.add_as(&id('a'), json!({ "Id": id('a') }));
    let directory = fake.directory(LONG_TIMEOUTS);
    assert_eq!(complete(&directory, &id('a')).name, "");
}

#[test]
fn a_container_named_like_an_id_is_not_that_container() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    fake.add_as(&id('a'), json!({ "Id": id('b'), "Name": format!("/{}", id('a')) }));
    assert_eq!(failure(&directory, &id('a')), LookupFailure::NotFound);
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
    let directory = fake.directory(LONG_TIMEOUTS);
    let metadata = complete(&directory, &id('a'));
    assert_eq!(metadata.labels.len(), 64);
    assert_eq!(metadata.labels[0].1.len(), 1024);
    assert_eq!(metadata.name.len(), 512);
    assert_eq!(metadata.cut_labels, 1001 - 64 + 1);
    let counters = directory.engines()[0].counters;
    assert_eq!((counters.cut_labels, counters.cut_answers), (metadata.cut_labels, 1));
}

#[test]
fn an_odd_container_takes_nothing_from_the_others() {
    let fake = Fake::started();
    fake.add(&id('a'), "web");
    for odd in [
        json!({"Id": id('b'), "State": {"Status": "stopped"}}),
        json!({"Id": 7}),
        json!({"State": "running"}),
        json!({"Id": "../x"}),
        json!(null),
        json!([[[]]]),
    ] {
        fake.list_also(odd);
    }
    let directory = fake.connected(LONG_TIMEOUTS);
    assert_eq!(complete(&directory, &id('a')).name, "web");
    assert_eq!(directory.engines()[0].counters.cut_answers, 5);
}

#[test]
fn odd_members_cost_themselves_alone() {
    let fake = Fake::started();
    fake.add_as(
        &id('a'),
        json!({
            "Id": id('a'), "Name": "/web", "Image": 7, "State": { "Status": "stopped", "StartedAt": {} },
            "HostConfig": [], "Mounts": { "Type": "bind" },
            "Config": { "Image": "nginx:1", "User": ["root"], "Tty": true, "OpenStdin": "no", "Labels": { "a": "1", "b": 2 } },
        }),
    );
    let directory = fake.directory(LONG_TIMEOUTS);
    let metadata = complete(&directory, &id('a'));
    assert_eq!((metadata.name.as_str(), metadata.image.name.as_str()), ("web", "nginx"));
    assert_eq!(metadata.labels, [("a".to_owned(), "1".to_owned())]);
    assert_eq!(
        (
            metadata.privileged,
            metadata.terminal_input,
            metadata.started,
            metadata.user.as_deref()
        ),
        (None, None, None, None)
    );
}

#[test]
fn a_step_of_a_build_is_known_by_what_the_builder_sets() {
    let of_build = json!({ "Image": "sha256:12", "Entrypoint": null, "Healthcheck": { "Test": ["NONE"] } });
    let by_a_name = json!({ "Image": "web:1", "Entrypoint": null, "Healthcheck": { "Test": ["NONE"] } });
    let with_an_entry_point =
        json!({ "Image": "sha256:12", "Entrypoint": ["/x"], "Healthcheck": { "Test": ["NONE"] } });
    let checked = json!({ "Image": "sha256:12", "Entrypoint": null });
    for (name, config, expected) in [
        ("/vigorous_sutherland", &of_build, true),
        ("/k8s_web_web-0_shop_uid_0", &of_build, false),
        ("/web", &by_a_name, false),
        ("/web", &with_an_entry_point, false),
        ("/web", &checked, false),
    ] {
        let fake = Fake::started();
        fake.add_as(&id('a'), json!({ "Id": id('a'), "Name": name, "Config": config }));
        let metadata = complete(&fake.directory(LONG_TIMEOUTS), &id('a'));
        assert_eq!(metadata.is_build, expected, "{name} {config}");
    }
}

#[test]
fn an_engine_that_is_tried_out_lists_its_containers() {
    let fake = Fake::started();
    fake.add(&id('a'), "web");
    fake.list_also(json!({"Id": 7}));
    let socket = EngineSocket::on_host(EngineKind::Podman, fake.path());
    let probed = Directory::probe(&socket, LONG).expect("an answer");
    assert_eq!(probed.version.to_string(), "version 20.10.24, API 1.41");
    assert_eq!((probed.containers, probed.cut_answers), (1, 1));
    assert!(probed.failure.is_none());

    fake.answer(&id('a'), Answer::Text(r#"{"Id": 7}"#));
    let probed = Directory::probe(&socket, LONG).expect("an answer");
    assert!(probed.failure.is_some());
    fake.answer("/containers/json", Answer::Text("{}"));
    assert!(Directory::probe(&socket, LONG).is_err());
}

#[test]
fn what_was_claimed_inside_a_container_gets_nothing() {
    let fake = Fake::started();
    fake.add(&id('a'), "victim");
    fake.add(&id('b'), "attacker");
    let directory = fake.connected(LONG_TIMEOUTS);
    complete(&directory, &id('a'));
    let (victim, attacker, other) = (id('a'), id('b'), id('c'));
    let nested = |id| ContainerClaim {
        nested_in: Some(docker_container(&attacker)),
        ..claim(id)
    };
    let nobody = Lookup::Failed(LookupFailure::NoEngine, None);
    assert_eq!(directory.get(nested(&victim)), nobody);
    assert!(directory.refutes(nested(&victim)));
    assert!(!directory.refutes(nested(&other)));

    let of_user = ContainerClaim {
        rootless_owner: Some(1000),
        ..claim(&victim)
    };
    assert_eq!(directory.get(of_user), nobody);
    assert!(directory.refutes(of_user));
    assert!(!directory.refutes(claim(&victim)));
}

#[test]
fn an_engine_says_which_container_is_in_a_cgroup_that_bears_anothers_name() {
    let fake = Fake::started();
    let (victim, other) = (id('a'), id('b'));
    fake.add(&victim, "victim");
    let parent = format!("/docker/{victim}");
    fake.add_as(&other, json!({ "Id": other, "HostConfig": { "CgroupParent": parent } }));
    let directory = fake.connected(LONG_TIMEOUTS);
    complete(&directory, &other);
    complete(&directory, &victim);
    assert!(directory.revision() >= 2, "each answer was something new");
    let cgroup = format!("/docker/{victim}/{other}");
    let deeper = format!("{cgroup}/init");
    let named = directory.container_in(&[&parent, &deeper, &cgroup]);
    assert_eq!(named, Some((2, other, Runtime::Docker)));
    assert_eq!(directory.container_in(&[&parent]), None);
}

#[test]
fn another_runtimes_container_is_not_asked_about() {
    let fake = Fake::started();
    let directory = fake.connected(LONG_TIMEOUTS);
    let id = id('a');
    let other = ContainerClaim {
        container: ContainerRef {
            runtime: Some(Runtime::CriO),
            id: &id,
        },
        ..claim(&id)
    };
    let nobody = Lookup::Failed(LookupFailure::NoEngine, None);
    assert_eq!(directory.get(other), nobody);
    assert_eq!(fake.times_asked(&id), 0);
}

#[test]
fn without_engines_every_answer_is_there_at_once() {
    let directory = Directory::start(Vec::new(), DirectoryOptions::default()).expect("thread");
    let nobody = Lookup::Failed(LookupFailure::NoEngine, None);
    assert_eq!(directory.get(claim(&id('a'))), nobody);
}

#[test]
fn a_kubernetes_container_of_docker_names_its_pod() {
    let fake = Fake::started();
    let labels = json!({
        "io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "6a1c",
    });
    fake.add_as(
        &id('a'),
        json!({ "Id": id('a'), "Name": "/k8s_web_web-0_shop_6a1c_0", "Config": { "Labels": labels } }),
    );
    fake.add_as(
        &id('b'),
        json!({ "Id": id('b'), "Name": "/web", "Config": { "Labels": labels } }),
    );
    let directory = fake.directory(LONG_TIMEOUTS);
    assert_eq!(
        complete(&directory, &id('b')).pod,
        None,
        "an image can have such labels"
    );
    let pod = complete(&directory, &id('a')).pod.clone().expect("a pod");
    assert_eq!(
        (pod.name.as_str(), pod.namespace.as_str(), pod.uid.as_str()),
        ("web-0", "shop", "6a1c")
    );
}
