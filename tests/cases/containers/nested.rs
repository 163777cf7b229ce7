//! A container engine inside a container, as kind's nodes are: the sensor outside sees both.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use tests::containerd::{archives, configuration};
use tests::cri::{ContainerDescription, Kubelet, PodDescription};
use tests::engine::Engine;
use tests::program::run;
use tests::sensor::Home;

use super::exec_of;

const UID: &str = "6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab";

/// What `--privileged` gives, but for a capability that a machine's root may be without.
const ALL_BUT_PRIVILEGED: [&str; 12] = [
    "--cap-add",
    "ALL",
    "--cap-drop",
    "SYS_RESOURCE",
    "--security-opt",
    "seccomp=unconfined",
    "--security-opt",
    "apparmor=unconfined",
    "--security-opt",
    "systempaths=unconfined",
    "--device-cgroup-rule",
    "a *:* rwm",
];

/// Commands that mount the host's cgroup hierarchies anew, so that the node can make cgroups below its own.
fn cgroups_of_its_own() -> Result<String> {
    let mut commands = "busybox umount -l /sys/fs/cgroup; ".to_owned();
    for mount in fs::read_to_string("/proc/self/mounts")?.lines() {
        let mut words = mount.split(' ');
        let (Some(_), Some(target), Some(kind), Some(options)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if !target.starts_with("/sys/fs/cgroup") {
            continue;
        }
        // What is left of the options names the hierarchy.
        let general = ["rw", "ro", "nosuid", "nodev", "noexec", "relatime"];
        let own: Vec<&str> = options
            .split(',')
            .filter(|option| kind == "cgroup" && !general.contains(option))
            .collect();
        let options = match own.as_slice() {
            [name] if name.starts_with("name=") => format!("-o none,{name} "),
            [] => String::new(),
            own => format!("-o {} ", own.join(",")),
        };
        commands += &format!("busybox mkdir -p {target}; busybox mount -t {kind} {options}cgroup {target}; ");
        if kind == "cgroup2" {
            commands += &format!("busybox mkdir {target}/init; echo $$ > {target}/init/cgroup.procs; ");
        }
    }
    Ok(commands)
}

#[test]
fn a_pod_of_an_engine_in_a_container_is_known_from_outside() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    // The node's own files are the host's, so that it has a containerd with all that this needs.
    let node_folder = home.path().join("node");
    fs::create_dir_all(&node_folder)?;
    let socket = node_folder.join("containerd.sock");
    fs::write(node_folder.join("config.toml"), configuration(&node_folder, &socket))?;
    home.configure(&format!(
        "further_engines = [{{engine = \"containerd\", socket = {socket:?}, inside = \"kind-control-plane\"}}]"
    ))?;
    let archives = archives(&node_folder)?;
    let folder = node_folder.to_str().context("the folder's name is not UTF-8")?;
    let at_home = format!("{folder}:{folder}");
    let mut options = vec![
        "--name",
        "kind-control-plane",
        "--cgroupns",
        "private",
        "--volume",
        &at_home,
    ];
    options.extend(
        ["/usr:/usr", "/lib:/lib", "/lib64:/lib64", "/sbin:/sbin"]
            .iter()
            .flat_map(|volume| ["--volume", volume]),
    );
    options.extend(ALL_BUT_PRIVILEGED);
    let start = format!(
        "{}exec /usr/bin/containerd --config {folder}/config.toml 2> {folder}/log",
        cgroups_of_its_own()?
    );
    let node = engine.run_detached(&options, &["/bin/sh", "-c", &start])?;
    let recorder = home.events()?;
    let log = || fs::read_to_string(node_folder.join("log")).unwrap_or_default();
    let connect = || Kubelet::connect(&socket, Path::new("/proc/self/ns/net")).ok();
    let kubelet = tests::engine::retry("the inner engine does not answer", connect).with_context(log)?;
    for archive in archives {
        let archive = archive.to_str().context("the archive's name is not UTF-8")?;
        let import = [
            "--namespace",
            "k8s.io",
            "images",
            "import",
            "--snapshotter",
            "native",
            archive,
        ];
        run(engine
            .docker(&["exec", &node, "/usr/bin/ctr", "--address"])
            .arg(&socket)
            .args(import))?;
    }
    let pod = kubelet
        .run_pod(PodDescription::on_cgroupfs("web-0", UID))
        .with_context(log)?;
    let container = ContainerDescription {
        name: "app",
        command: &["/bin/sleep", "infinity"],
        ..ContainerDescription::default()
    };
    let inner = kubelet.run(&pod, &container)?;
    kubelet.exec(&inner, &["/usr/bin/ordinary"])?;

    let event = exec_of(&recorder, &inner, "/usr/bin/ordinary")?;
    assert_eq!(event.text("tidewaiter.container.nested_in"), node);
    assert_eq!(event.text("container.name"), "app");
    assert_eq!(event.text("orchestrator.resource.name"), "web-0");
    assert_eq!(event.text("orchestrator.resource.id"), UID);
    assert_eq!(event.text("tidewaiter.container.metadata"), "complete");
    for event in recorder.alerts_so_far() {
        assert_eq!(event.text("tidewaiter.container.conflict"), "", "{event}");
    }
    kubelet.remove_all();
    Ok(())
}
