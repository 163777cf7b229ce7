//! containerd, with pods over CRI as a kubelet makes them, in both layouts of cgroups, and without Kubernetes.

use std::collections::BTreeSet;

use anyhow::Result;
use tests::containerd::Containerd;
use tests::cri::{ContainerDescription, PodDescription};
use tests::engine::IMAGE;
use tests::program::run;
use tests::sensor::Home;

use super::{ALWAYS_REPORTED, exec_of, fields, home_with_rule_on_metadata, until_an_event};
use crate::INSTALLATION;

const UID: &str = "6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab";
const OTHER_UID: &str = "7b2d4c2f-2a3e-4d4c-8b90-123456789abc";

/// A pod of a Deployment.
fn web(pod: PodDescription) -> PodDescription {
    PodDescription {
        labels: vec![("app", "web".to_owned()), ("pod-template-hash", "7d4b9c6f5".to_owned())],
        annotations: vec![
            ("team.example/owner", "checkout".to_owned()),
            ("team.example/secret", "not for records".to_owned()),
        ],
        ..pod
    }
}

const SLEEPING: ContainerDescription<'static> = ContainerDescription {
    name: "app",
    command: &["/bin/sleep", "infinity"],
    is_privileged: false,
    only_capabilities: None,
    mounts: &[],
    writable: None,
};

#[test]
fn a_pods_container_is_known_with_its_pod_in_both_layouts_of_cgroups() -> Result<()> {
    let home = Home::new()?;
    home.configure(r#"pod_annotations = ["team.example/owner"]"#)?;
    home.configure(r#"cluster_name = "production""#)?;
    home.configure(r#"node_name = "node-7""#)?;
    let engine = Containerd::start(&home)?;
    let kubelet = engine.kubelet()?;
    let before = kubelet.run_pod(web(PodDescription::on_cgroupfs("web-7d4b9c6f5-x2x7p", UID)))?;
    let id_before = kubelet.run(&before, &SLEEPING)?;
    let recorder = home.events()?;
    let after = kubelet.run_pod(web(PodDescription::on_systemd("web-7d4b9c6f5-zzzzz", OTHER_UID)))?;
    let id_after = kubelet.run(&after, &SLEEPING)?;

    let (image, tag) = IMAGE.rsplit_once(':').expect("the image has a tag");
    for (id, pod) in [(id_before, before), (id_after, after)] {
        kubelet.exec(&id, &["/usr/bin/ordinary"])?;
        let event = exec_of(&recorder, &id, "/usr/bin/ordinary")?;
        let pod = &pod.description;
        let expected = [
            ("container.name", "app"),
            ("container.runtime", "containerd"),
            ("container.image.name", image),
            ("container.image.tag", tag),
            ("container.security_context.privileged", "false"),
            ("orchestrator.cluster.name", "production"),
            ("orchestrator.namespace", "shop"),
            ("orchestrator.resource.annotation", "team.example/owner:checkout"),
            ("orchestrator.resource.id", &pod.uid),
            (
                "orchestrator.resource.label",
                r#"["app:web","pod-template-hash:7d4b9c6f5"]"#,
            ),
            ("orchestrator.resource.name", &pod.name),
            ("orchestrator.resource.parent.type", "Deployment"),
            ("orchestrator.resource.type", "pod"),
            ("orchestrator.type", "kubernetes"),
            ("tidewaiter.container.metadata", "complete"),
            ("tidewaiter.container.user", "0:0"),
        ];
        let names = expected.map(|(name, _)| name);
        assert_eq!(
            fields(&event, &names),
            expected.map(|(name, value)| format!("{name}: {value}"))
        );
        let kubernetes = event.get("kubernetes").expect("kubernetes");
        for (key, value) in [
            ("node.name", "node-7"),
            ("namespace", "shop"),
            ("pod.name", &pod.name),
            ("pod.uid", &pod.uid),
            ("container.name", "app"),
            ("deployment.name", "web"),
            ("labels.app", "web"),
            ("annotations.team.example/owner", "checkout"),
        ] {
            assert_eq!(kubernetes[key], value, "{key}");
        }
        assert!(event.text("container.image.hash.all").contains("sha256:"));
        // The pod is in the node's network.
        assert_eq!(event.text("orchestrator.resource.ip"), "");
    }
    Ok(())
}

#[test]
fn a_containers_first_process_bears_its_name() -> Result<()> {
    let home = Home::new()?;
    let engine = Containerd::start(&home)?;
    let kubelet = engine.kubelet()?;
    let recorder = home.events()?;
    let pod = kubelet.run_pod(PodDescription::on_cgroupfs("job", UID))?;
    let mut missing = BTreeSet::new();
    for number in 0..20 {
        let container = ContainerDescription {
            name: &format!("job-{number}"),
            command: &["/usr/bin/ordinary"],
            ..SLEEPING
        };
        missing.insert(format!("complete job-{number} of job"));
        kubelet.run(&pod, &container)?;
    }
    recorder.wait_for("complete first event of each container", |event| {
        if event.text("event.action") == "exec" && event.text("process.executable") == "/usr/bin/ordinary" {
            let text = |field| event.text(field);
            missing.remove(&format!(
                "{} {} of {}",
                text("tidewaiter.container.metadata"),
                text("container.name"),
                text("orchestrator.resource.name"),
            ));
        }
        missing.is_empty().then_some(())
    })
}

#[test]
fn a_shell_in_a_pod_is_interactive_with_a_terminal_and_not_without() -> Result<()> {
    let home = home_with_rule_on_metadata()?;
    let engine = Containerd::start(&home)?;
    let kubelet = engine.kubelet()?;
    let pod = kubelet.run_pod(PodDescription::on_cgroupfs("web", UID))?;
    let id = kubelet.run(&pod, &SLEEPING)?;
    let sensor = home.run()?;

    kubelet.exec(&id, &["/bin/sh", "-c", "apt-get install -y wget; :"])?;
    kubelet.type_into_shell(&id, &["apt-get install -y curl"])?;

    let alerts = sensor.alerts_until_now(|number| kubelet.exec(&id, &["/usr/bin/fence", number]))?;
    let of_rule: Vec<String> = alerts
        .iter()
        .filter(|alert| alert.rule() == INSTALLATION)
        .map(|alert| {
            format!(
                "{} in {}",
                alert.text("process.args"),
                alert.text("kubernetes.pod.name")
            )
        })
        .collect();
    assert_eq!(of_rule, [r#"["apt-get","install","-y","curl"] in web"#]);
    Ok(())
}

#[test]
fn privileges_and_host_paths_of_a_pods_container_are_reported() -> Result<()> {
    let home = Home::new()?;
    let engine = Containerd::start(&home)?;
    let kubelet = engine.kubelet()?;
    let recorder = home.events()?;
    let pod = kubelet.run_pod(PodDescription::on_cgroupfs("agent", UID))?;
    let container = ContainerDescription {
        is_privileged: true,
        mounts: &[("/etc", "/host/etc"), ("/run", "/host/run")],
        ..SLEEPING
    };
    let id = kubelet.run(&pod, &container)?;
    kubelet.exec(&id, &["/usr/bin/ordinary"])?;
    let event = exec_of(&recorder, &id, "/usr/bin/ordinary")?;
    assert_eq!(event.text("container.security_context.privileged"), "true");
    assert_eq!(
        event.text("tidewaiter.container.mounts"),
        r#"["/run:/host/run:ro","/etc:/host/etc:ro"]"#
    );
    assert_eq!(event.text("tidewaiter.container.engine_socket"), "true");
    Ok(())
}

#[test]
fn over_cri_alone_a_container_is_known_as_well() -> Result<()> {
    let home = Home::new()?;
    // CRI-O speaks nothing else, and this engine speaks it too.
    home.configure(&format!(
        "further_engines = [{{engine = \"cri-o\", socket = {:?}}}]",
        home.containerd_socket()
    ))?;
    let config = std::fs::read_to_string(home.config())?;
    let without_own = config.lines().filter(|line| !line.starts_with("containerd_socket"));
    let without_own: Vec<&str> = without_own.chain(["containerd_socket = \"\""]).collect();
    std::fs::write(home.config(), without_own.join("\n"))?;
    let engine = Containerd::start(&home)?;
    let kubelet = engine.kubelet()?;
    let pod = kubelet.run_pod(web(PodDescription::on_cgroupfs("web-7d4b9c6f5-x2x7p", UID)))?;
    let container = ContainerDescription {
        mounts: &[("/etc", "/host/etc")],
        ..SLEEPING
    };
    let before = kubelet.run(&pod, &container)?;
    let recorder = home.events()?;
    kubelet.exec(&before, &["/usr/bin/ordinary"])?;
    let event = exec_of(&recorder, &before, "/usr/bin/ordinary")?;
    assert_eq!(
        fields(&event, &ALWAYS_REPORTED)[1..],
        [
            "container.name: app",
            "container.image.name: registry.example/tools/end-to-end",
            "tidewaiter.container.metadata: complete",
        ]
    );
    assert_eq!(event.text("tidewaiter.container.mounts"), "/etc:/host/etc:ro");
    assert_eq!(event.text("container.security_context.privileged"), "false");
    assert_eq!(event.get("kubernetes").expect("kubernetes")["deployment.name"], "web");

    // One that no listing has shown is asked about when it is seen.
    let after = kubelet.run(
        &pod,
        &ContainerDescription {
            name: "late",
            ..SLEEPING
        },
    )?;
    until_an_event(
        &recorder,
        |command| kubelet.exec(&after, command),
        |event| event.text("container.id") == after && event.text("container.name") == "late",
    )
}

#[test]
fn a_container_without_kubernetes_is_known_by_its_name() -> Result<()> {
    let home = Home::new()?;
    let engine = Containerd::start(&home)?;
    let recorder = home.events()?;
    run(engine
        .ctr(&[
            "run",
            "--detach",
            "--snapshotter",
            "native",
            "--label",
            "team=checkout",
            IMAGE,
            "my-web.1",
        ])
        .args(["/bin/sh", "-c", "/usr/bin/ordinary; sleep infinity"]))?;
    let event = exec_of(&recorder, "my-web.1", "/usr/bin/ordinary")?;
    assert_eq!(
        fields(&event, &ALWAYS_REPORTED),
        [
            "container.id: my-web.1",
            "container.name: my-web.1",
            "container.image.name: registry.example/tools/end-to-end",
            "tidewaiter.container.metadata: complete",
        ]
    );
    assert_eq!(event.get("container.labels").expect("labels")["team"], "checkout");
    Ok(())
}
