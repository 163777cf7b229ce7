//! A container engine inside a container, as kind's nodes are: the sensor outside sees both, and one in a pod of the inner
//! engine takes the outer container for its host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use tests::containerd::{archives, configuration};
use tests::cri::{ContainerDescription, Kubelet, PodDescription};
use tests::document::Document;
use tests::engine::{Engine, retry};
use tests::program::{copy, run, tidewaiter};
use tests::sensor::{FENCE_RULE, Home, Sensor};

use super::exec_of;
use crate::{INSTALLATION, SHELL};

const UID: &str = "6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab";
const OTHER_UID: &str = "7b2d4c2f-2a3e-4d4c-8b90-123456789abc";

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

/// A container with a containerd in it.
struct Node {
    id: String,
    kubelet: Kubelet,
}

impl Node {
    /// `folder` is the node's too, under the same name; its own files are the host's, so that it has a containerd with all
    /// that this needs.
    fn start(engine: &Engine, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let socket = socket_in(folder);
        fs::write(folder.join("config.toml"), configuration(folder, &socket))?;
        let archives = archives(folder)?;
        let name = folder.to_str().context("the folder's name is not UTF-8")?;
        let at_home = format!("{name}:{name}");
        let mut options = vec!["--name", NODE, "--cgroupns", "private", "--volume", &at_home];
        options.extend(
            ["/usr:/usr", "/lib:/lib", "/lib64:/lib64", "/sbin:/sbin"]
                .iter()
                .flat_map(|volume| ["--volume", volume]),
        );
        options.extend(ALL_BUT_PRIVILEGED);
        let start = format!(
            "{}exec /usr/bin/containerd --config {name}/config.toml 2> {name}/log",
            cgroups_of_its_own()?
        );
        let id = engine.run_detached(&options, &["/bin/sh", "-c", &start])?;
        let process = run(&mut engine.docker(&["inspect", "--format", "{{.State.Pid}}", &id]))?;
        let process = String::from_utf8(process.stdout)?;
        let network = Path::new("/proc").join(process.trim_end()).join("ns/net");
        let connect = || Kubelet::connect(&socket, &network).ok();
        let kubelet = retry("the inner engine does not answer", connect).with_context(|| log_in(folder))?;
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
                .docker(&["exec", &id, "/usr/bin/ctr", "--address"])
                .arg(&socket)
                .args(import))?;
        }
        Ok(Self { id, kubelet })
    }

    /// Starts the one container of a pod; its id.
    fn run(&self, folder: &Path, pod: PodDescription, container: &ContainerDescription<'_>) -> Result<String> {
        let run = || self.kubelet.run(&self.kubelet.run_pod(pod)?, container);
        run().with_context(|| log_in(folder))
    }
}

const NODE: &str = "kind-control-plane";

fn socket_in(folder: &Path) -> PathBuf {
    folder.join("containerd.sock")
}

fn log_in(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

#[test]
fn a_pod_of_an_engine_in_a_container_is_known_from_outside() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let folder = home.path().join("node");
    let socket = socket_in(&folder);
    home.configure(&format!(
        "further_engines = [{{engine = \"containerd\", socket = {socket:?}, inside = {NODE:?}}}]"
    ))?;
    let node = Node::start(&engine, &folder)?;
    let recorder = home.events()?;
    let container = ContainerDescription {
        name: "app",
        command: &["/bin/sleep", "infinity"],
        ..ContainerDescription::default()
    };
    let inner = node.run(&folder, PodDescription::on_cgroupfs("web-0", UID), &container)?;
    node.kubelet.exec(&inner, &["/usr/bin/ordinary"])?;

    let event = exec_of(&recorder, &inner, "/usr/bin/ordinary")?;
    assert_eq!(event.text("tidewaiter.container.nested_in"), node.id);
    assert_eq!(event.text("container.name"), "app");
    assert_eq!(event.text("orchestrator.resource.name"), "web-0");
    assert_eq!(event.text("orchestrator.resource.id"), UID);
    assert_eq!(event.text("tidewaiter.container.metadata"), "complete");
    for event in recorder.alerts_so_far() {
        assert_eq!(event.text("tidewaiter.container.conflict"), "", "{event}");
    }
    node.kubelet.remove_all();
    Ok(())
}

/// With the rights that the manifests give it, but for those that an engine of this age knows by the name of the right that
/// they were a part of.
#[test]
fn a_sensor_in_a_pod_of_an_engine_in_a_container_takes_that_for_its_host() -> Result<()> {
    const RIGHTS: [&str; 4] = ["SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_NICE"];
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let folder = home.path().join("node");
    let node = Node::start(&engine, &folder)?;
    // From before the sensor, and there when it starts: a shell that starts others' programs.
    let waiting = "busybox mkfifo /tmp/fences; while read number < /tmp/fences; do fence $number; done";
    let neighbour = ContainerDescription {
        name: "app",
        command: &["/bin/sh", "-c", waiting],
        ..ContainerDescription::default()
    };
    let inner = node.run(&folder, PodDescription::on_cgroupfs("web-0", UID), &neighbour)?;

    for (name, text) in [("out", ""), ("err", ""), ("fence.toml", FENCE_RULE)] {
        fs::write(folder.join(name), text)?;
    }
    copy(tidewaiter()?, &folder.join("tidewaiter"))?;
    let config = format!(
        "rules = [{:?}]\nlearn_for = \"0s\"\nstate_directory = {:?}\n[containers]\ncontainerd_socket = {:?}\n",
        folder.join("fence.toml"),
        folder.join("sensor-state"),
        socket_in(&folder)
    );
    fs::write(folder.join("tidewaiter.toml"), config)?;
    let place = folder.to_str().context("the folder's name is not UTF-8")?;
    let command = format!("exec {place}/tidewaiter run --config {place}/tidewaiter.toml > {place}/out 2> {place}/err");
    let sensor = ContainerDescription {
        name: "tidewaiter",
        command: &["/bin/sh", "-c", &command],
        only_capabilities: Some(&RIGHTS),
        mounts: &[("/usr", "/usr"), ("/lib", "/lib"), ("/lib64", "/lib64")],
        writable: Some(place),
        ..ContainerDescription::default()
    };
    let pod = PodDescription {
        is_among_nodes_processes: true,
        ..PodDescription::on_cgroupfs("tidewaiter-x2x7p", OTHER_UID)
    };
    node.run(&folder, pod, &sensor)?;
    let follow = "tail --pid=$$ -n +1 -f \"$1/err\" >&2 & exec tail -n +1 -f \"$1/out\"";
    let sensor = Sensor::start(Command::new("bash").args(["-c", follow, "follow", place]))?;

    node.kubelet.type_into_shell(&inner, &["apt-get install -y curl"])?;
    let alert = sensor.wait_for("whole alert of the installation", |alert| {
        let is_whole = alert.text("tidewaiter.container.metadata") == "complete";
        (alert.rule() == INSTALLATION && is_whole).then(|| alert.clone())
    })?;
    let told = |alert: &Document, field: &str| format!("{field}: {}", alert.text(field));
    let expected = [
        ("container.id", inner.as_str()),
        ("container.name", "app"),
        ("orchestrator.namespace", "shop"),
        ("orchestrator.resource.name", "web-0"),
        ("process.entry_leader.entry_meta.type", "container"),
        ("process.entry_leader.executable", "/bin/sh"),
        ("process.parent.executable", "/bin/sh"),
        ("tidewaiter.container.nested_in", &node.id),
    ];
    let names = expected.map(|(name, _)| told(&alert, name));
    assert_eq!(names, expected.map(|(name, value)| format!("{name}: {value}")));
    sensor.wait_for("alert of the shell", |alert| {
        (alert.rule() == SHELL && alert.text("container.id") == inner).then_some(())
    })?;

    node.kubelet
        .exec(&inner, &["/bin/sh", "-c", "echo before > /tmp/fences"])?;
    let fence = sensor.wait_for("alert of the fence", |alert| {
        alert.text("process.args").contains("before").then(|| alert.clone())
    })?;
    assert_eq!(fence.text("process.parent.executable"), "/bin/sh");
    assert!(
        fence.text("process.parent.args").contains("while read number"),
        "{fence}"
    );
    assert_eq!(fence.text("tidewaiter.process.start_depth"), "1");
    node.kubelet.remove_all();
    Ok(())
}
