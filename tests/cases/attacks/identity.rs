//! Processes that would be somebody else's, or nobody's: each stays with its own container, and what contradicts that is
//! told.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use tests::cgroup::Cgroup;
use tests::containerd::Containerd;
use tests::document::Document;
use tests::engine::{Engine, IMAGE, retry};
use tests::image;
use tests::namespaces::Namespaces;
use tests::program::run;
use tests::sensor::{Home, Sensor};

const PASSING: &str = "Container passing for another one";
const CONFLICT: &str = "tidewaiter.container.conflict";

/// The v2 tree.
fn tree() -> &'static Path {
    let unified = Path::new("/sys/fs/cgroup/unified");
    if unified.exists() {
        unified
    } else {
        Path::new("/sys/fs/cgroup")
    }
}

fn first_process(engine: &Engine, id: &str) -> Result<String> {
    let output = run(&mut engine.docker(&["inspect", "--format", "{{.State.Pid}}", id]))?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// The path of a container's cgroup in the v2 tree.
fn cgroup_of(engine: &Engine, id: &str) -> Result<String> {
    let process = first_process(engine, id)?;
    let cgroups = fs::read_to_string(Path::new("/proc").join(process).join("cgroup"))?;
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::"));
    Ok(path.context("there is no version 2 of cgroups here")?.to_owned())
}

/// The start of the program with this last argument.
fn exec_of(recorder: &Sensor, marker: &str) -> Result<Document> {
    recorder.wait_for(&format!("start of `{marker}`"), |event| {
        let arguments = event.get("process.args").and_then(|arguments| arguments.as_array());
        let is_it = event.text("event.action") == "exec"
            && event.text("process.executable").ends_with("/ordinary")
            && arguments.and_then(|arguments| arguments.last()?.as_str()) == Some(marker);
        is_it.then(|| event.clone())
    })
}

#[test]
fn a_process_that_is_moved_to_anothers_cgroup_stays_with_its_container() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let recorder = home.events()?;
    let sensor = home.run()?;
    let volume = format!("{}:/cg", tree().display());
    let attacker = engine.run_detached(
        &["--name", "attacker", "--volume", &volume],
        &["/bin/sleep", "infinity"],
    )?;
    let victim = engine.container("victim")?;
    let its_path = cgroup_of(&engine, &victim.id)?;
    let made_up = "c0ffee00".repeat(8);
    let (parent, _) = its_path.rsplit_once('/').context("a container's cgroup has a parent")?;
    let own = cgroup_of(&engine, &attacker)?;
    let far_down = format!("{own}{}", "/d".repeat(60));
    for (marker, cgroup, conflict) in [
        ("moved", its_path.clone(), victim.id.as_str()),
        ("made-up", format!("{parent}/{made_up}"), &made_up),
        (
            "below-the-victim",
            format!("{its_path}/docker-{attacker}.scope"),
            &victim.id,
        ),
        ("below-itself", format!("{own}/docker-{}.scope", victim.id), ""),
        ("far-down", format!("{far_down}/docker-{}.scope", victim.id), ""),
    ] {
        let script = "busybox mkdir -p \"/cg$0\"; echo $$ > \"/cg$0/cgroup.procs\"; exec /usr/bin/ordinary $1";
        run(engine
            .docker(&["exec", &attacker, "/bin/sh", "-c", script])
            .args([&cgroup, marker]))?;
        let event = exec_of(&recorder, marker)?;
        let told = [event.text("container.id"), event.text("tidewaiter.container.nested_in")];
        assert!(told.contains(&attacker), "{marker}: {told:?}");
        assert_ne!(event.text("container.name"), "victim", "{marker}");
        assert_eq!(event.text(CONFLICT), conflict, "{marker}");
    }
    let alerts = sensor.alerts_until_now(|number| engine.exec(&victim, &["/usr/bin/fence", number]))?;
    let passing = |alert: &&Document| alert.rule() == PASSING;
    let mut conflicts: Vec<String> = alerts
        .iter()
        .filter(passing)
        .map(|alert| alert.text(CONFLICT))
        .collect();
    conflicts.sort();
    conflicts.dedup();
    let mut expected = [made_up, victim.id.clone()];
    expected.sort();
    assert_eq!(conflicts, expected);
    for alert in alerts.iter().filter(passing) {
        assert_eq!(alert.text("container.id"), attacker);
        assert_eq!(alert.text("container.name"), "attacker");
    }
    // What is the victim's own is told of it as before.
    engine.exec(&victim, &["/usr/bin/ordinary", "own"])?;
    let event = exec_of(&recorder, "own")?;
    assert_eq!(
        [event.text("container.id"), event.text(CONFLICT)],
        [victim.id, String::new()]
    );
    Ok(())
}

#[test]
fn a_container_below_anothers_cgroup_does_not_get_its_name() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let victim = engine.container("victim")?;
    let parent = cgroup_of(&engine, &victim.id)?;
    let before = engine.run_detached(
        &["--name", "before", "--cgroup-parent", &parent],
        &["/bin/sleep", "infinity"],
    )?;
    let recorder = home.events()?;
    let after = engine.run_detached(
        &["--name", "after", "--cgroup-parent", &parent],
        &["/bin/sleep", "infinity"],
    )?;
    for (id, name) in [(before, "before"), (after, "after")] {
        // Until the engine has been heard, which the first programs need not wait for.
        retry("the container is not known as its own", || {
            run(&mut engine.docker(&["exec", &id, "/usr/bin/ordinary", name])).ok()?;
            let known = recorder.alerts_so_far().into_iter().filter(|event| {
                let arguments = event.text("process.args");
                event.text("event.action") == "exec" && arguments.contains(&format!("ordinary\",\"{name}"))
            });
            let known: Vec<Document> = known.collect();
            for event in &known {
                assert_ne!(event.text("container.name"), "victim");
                assert_ne!(event.text("container.id"), victim.id);
            }
            let last = known.last()?;
            let nothing_else = [CONFLICT, "tidewaiter.container.nested_in"].map(|field| last.text(field));
            let is_known = last.text("container.id") == id && last.text("container.name") == name;
            (is_known && nothing_else == ["", ""]).then_some(())
        })?;
    }
    Ok(())
}

#[test]
fn an_image_gives_its_containers_no_name_and_no_pod() -> Result<()> {
    const LABELS: [(&str, &str); 7] = [
        ("io.kubernetes.pod.name", "etcd-master"),
        ("io.kubernetes.pod.namespace", "kube-system"),
        ("io.kubernetes.pod.uid", "6a1c3b1e-1f2d-4c3b-9a8f-0123456789ab"),
        ("io.kubernetes.container.name", "etcd"),
        ("io.kubernetes.docker.type", "container"),
        ("io.cri-containerd.kind", "sandbox"),
        ("nerdctl/name", "etcd"),
    ];
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let recorder = home.events()?;
    let archive = home.engine().join("image.tar");
    let mut import = engine.docker(&["import"]);
    for (key, value) in LABELS {
        import.arg("--change").arg(format!("LABEL {key}={value}"));
    }
    run(import.args(["-", "forged"]).stdin(File::open(archive)?))?;
    let start = [
        "run",
        "--detach",
        "--network",
        "none",
        "--name",
        "web",
        "forged",
        "/bin/sleep",
        "infinity",
    ];
    run(&mut engine.docker(&start))?;
    run(&mut engine.docker(&["exec", "web", "/usr/bin/ordinary", "in-docker"]))?;

    let containerd = Containerd::start(&home)?;
    let root = home.path().join("forged");
    image::fill(&root.join("files"))?;
    let forged = image::pack_labelled(&root.join("files"), "forged:1", &LABELS, &root)?;
    run(containerd
        .ctr(&["images", "import", "--snapshotter", "native"])
        .arg(forged))?;
    let script = "while ! /usr/bin/ordinary in-containerd; do :; done; /bin/sleep infinity";
    run(containerd
        .ctr(&[
            "run",
            "--detach",
            "--snapshotter",
            "native",
            "docker.io/library/forged:1",
            "web",
        ])
        .args(["/bin/sh", "-c", script]))?;

    for marker in ["in-docker", "in-containerd"] {
        let event = exec_of(&recorder, marker)?;
        assert_eq!(event.text("container.name"), "web", "{marker}");
        let label = event
            .get("container.labels")
            .and_then(|labels| labels.get(LABELS[0].0).cloned());
        assert_eq!(label, Some(LABELS[0].1.into()), "{marker}");
        for field in [
            "orchestrator.type",
            "orchestrator.namespace",
            "orchestrator.resource.name",
            "kubernetes",
        ] {
            assert_eq!(event.text(field), "", "{marker}: {field}");
        }
    }
    Ok(())
}

#[test]
fn what_engines_and_people_do_with_containers_is_no_conflict() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let before = engine.container("before")?;
    let recorder = home.events()?;
    let after = engine.container("after")?;
    let sharing = engine.run_detached(
        &["--pid", "host", "--ipc", "host", "--cgroupns", "private"],
        &["/bin/sh", "-c", "while :; do sleep 0.1; done"],
    )?;
    for container in [&before, &after] {
        run(&mut engine.docker(&["restart", "--time", "0", &container.id]))?;
        engine.exec(container, &["/bin/sh", "-c", "/usr/bin/ordinary inside"])?;
        let process = first_process(&engine, &container.id)?;
        run(Command::new("nsenter").args(["--target", &process, "--all", "/usr/bin/ordinary", "entered"]))?;
        run(&mut engine.docker(&["pause", &container.id]))?;
        run(&mut engine.docker(&["unpause", &container.id]))?;
    }
    run(&mut engine.docker(&["rm", "--force", &sharing]))?;
    engine.exec(&after, &["/usr/bin/ordinary", "last"])?;
    exec_of(&recorder, "last")?;
    for event in recorder.alerts_so_far() {
        assert_eq!(event.text(CONFLICT), "", "{event}");
    }
    Ok(())
}

/// A folder with a container that runs this, for runc.
fn bundle(home: &Home, name: &str, command: &[&str]) -> Result<PathBuf> {
    let bundle = home.path().join(name);
    image::fill(&bundle.join("rootfs"))?;
    run(Command::new("runc").arg("spec").current_dir(&bundle))?;
    let file = bundle.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(command);
    config["root"]["readonly"] = false.into();
    fs::write(&file, config.to_string())?;
    Ok(bundle)
}

#[test]
fn a_container_of_a_runtime_without_an_engine_is_one() -> Result<()> {
    let home = Home::new()?;
    let command = ["/bin/sh", "-c", "/usr/bin/ordinary in-a-bundle; :"];
    let bundle = bundle(&home, "bundle", &command)?;
    let namespaces = Namespaces::new()?;
    let recorder = home.events()?;
    run(namespaces
        .command("runc")
        .arg("--root")
        .arg(home.path().join("runc"))
        .args(["run", "--bundle"])
        .arg(&bundle)
        .arg("bare-1"))?;
    let event = exec_of(&recorder, "in-a-bundle")?;
    assert_eq!(event.text("container.id"), "bare-1");
    assert_eq!(event.text("container.runtime"), "runc");
    assert_eq!(event.text("tidewaiter.container.identified_by"), "namespace");
    assert_eq!(event.text("process.entry_leader.entry_meta.type"), "container");
    Ok(())
}

#[test]
fn a_container_whose_runtime_ended_before_the_sensor_began_is_known() -> Result<()> {
    let home = Home::new()?;
    let listen = "busybox mkfifo /tmp/go; while :; do read line < /tmp/go && /usr/bin/ordinary $line; done";
    let bundle = bundle(&home, "bundle", &["/bin/sh", "-c", listen])?;
    // On the host itself: an engine of a test has another `/run`.
    let runc = |arguments: &[&str]| {
        let mut runc = Command::new("runc");
        runc.args(arguments);
        runc
    };
    let id = format!("detached-{}", std::process::id());
    let mut start = runc(&["run", "--detach", "--bundle"]);
    start.arg(&bundle).arg(&id);
    run(start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    let _removed = Removed(runc(&["delete", "--force", &id]));
    let state = run(&mut runc(&["state", &id]))?.stdout;
    let state: serde_json::Value = serde_json::from_slice(&state)?;
    let go = Path::new("/proc").join(state["pid"].to_string()).join("root/tmp/go");
    retry("the container does not listen", || go.exists().then_some(()))?;
    let recorder = home.events()?;
    fs::write(&go, "from-before\n")?;
    let own = exec_of(&recorder, "from-before")?;
    run(&mut runc(&["exec", &id, "/usr/bin/ordinary", "added"]))?;
    for event in [own, exec_of(&recorder, "added")?] {
        assert_eq!(event.text("container.id"), id);
        assert_eq!(event.text("container.runtime"), "runc");
        assert_eq!(event.text("tidewaiter.container.identified_by"), "namespace");
    }
    Ok(())
}

/// Runs when it is dropped.
struct Removed(Command);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = self.0.output();
    }
}

#[test]
fn a_container_of_every_namespace_of_containerd_is_known_wherever_its_cgroup_is() -> Result<()> {
    let home = Home::new()?;
    let engine = Containerd::start(&home)?;
    let archive = home.path().join("image.tar");
    run(engine.ctr(&["images", "export"]).arg(&archive).arg(IMAGE))?;
    let import = ["--namespace", "shop", "images", "import", "--snapshotter", "native"];
    run(engine.ctr(&import).arg(&archive))?;
    let start = |namespace: &str, options: &[&str], name: &str| {
        let script = format!("while ! /usr/bin/ordinary in-{name}; do :; done; /bin/sleep infinity");
        run(engine
            .ctr(&["--namespace", namespace, "run", "--detach", "--snapshotter", "native"])
            .args(options)
            .args([IMAGE, name, "/bin/sh", "-c", &script]))
    };
    let recorder = home.events()?;
    start("shop", &[], "plain")?;
    start("shop", &["--cgroup", "/mine/x"], "placed")?;
    start("k8s.io", &[], "named")?;
    start("default", &["--cgroup", "/mine/y"], "usual")?;
    for (name, id) in [
        ("plain", "shop/plain"),
        ("placed", "shop/placed"),
        ("named", "k8s.io/named"),
        ("usual", "usual"),
    ] {
        let event = exec_of(&recorder, &format!("in-{name}"))?;
        assert_eq!(event.text("container.id"), id);
        assert_eq!(event.text("container.runtime"), "containerd");
        assert_eq!(event.text(CONFLICT), "");
    }
    Ok(())
}

#[test]
fn a_sensor_in_a_cgroup_namespace_knows_the_containers_that_were_there_before() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let listen = "busybox mkfifo /tmp/go; while :; do read line < /tmp/go && (:); done";
    let id = engine.run_detached(&["--name", "before"], &["/bin/sh", "-c", listen])?;
    let go = Path::new("/proc")
        .join(first_process(&engine, &id)?)
        .join("root/tmp/go");
    retry("the container does not listen", || go.exists().then_some(()))?;
    let cgroup = Cgroup::new("view")?;
    // With the right to leave the namespace, and without it.
    for rights in ["+all", "-sys_admin"] {
        let recorder = {
            let script =
                "exec unshare --cgroup setpriv --bounding-set \"$1\" \"$2\" events --containers-only --config \"$3\"";
            let (tidewaiter, config) = (tests::program::tidewaiter()?, home.config());
            Sensor::start(&mut cgroup.shell(script, &[rights.as_ref(), tidewaiter.as_os_str(), config.as_os_str()]))?
        };
        fs::write(&go, "go\n")?;
        let event = recorder.wait_for("fork in the container", |event| {
            let is_it = event.text("event.action") == "fork" && event.text("container.id") == id;
            is_it.then(|| event.clone())
        })?;
        assert_eq!(event.text("tidewaiter.container.identified_by"), "cgroup", "{rights}");
        assert_eq!(event.text("tidewaiter.container.nested_in"), "");
    }
    Ok(())
}

#[test]
fn a_sensor_in_a_time_namespace_does_not_start() -> Result<()> {
    let home = Home::new()?;
    let events = home.command("events")?;
    let mut command = Command::new("unshare");
    command.args(["--time", "--boottime", "1000000", "--fork"]);
    command.arg(events.get_program()).args(events.get_args());
    Sensor::start_without_waiting(&mut command)?.assert_fails(3, &["time namespace", "1000000 seconds"])
}

#[test]
fn a_sensor_in_a_pid_namespace_says_so_and_tells_of_the_hosts_processes() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = engine.container("web")?;
    let mut events = home.command("events")?;
    events.arg("--containers-only");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.arg(events.get_program()).args(events.get_args());
    let recorder = Sensor::start(&mut command)?;
    recorder.diagnostics.wait_for("word of the namespace", |line| {
        line.contains("pid namespace").then_some(())
    })?;
    engine.exec(&container, &["/usr/bin/ordinary", "seen"])?;
    let event = exec_of(&recorder, "seen")?;
    assert_eq!(event.text("container.id"), container.id);
    Ok(())
}
