//! Processes that enter a container from outside, or leave its cgroup, still belong to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use tests::document::Document;
use tests::engine::Engine;
use tests::program::run;
use tests::sensor::{Home, Sensor};

use super::exec_of;

/// The process id of a container's first process.
fn first_process(engine: &Engine, id: &str) -> Result<String> {
    let output = run(&mut engine.docker(&["inspect", "--format", "{{.State.Pid}}", id]))?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

#[test]
fn who_enters_a_containers_namespaces_from_the_host_is_in_the_container() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let before = engine.container("before")?;
    let recorder = home.events()?;
    let after = engine.container("after")?;
    for container in [before, after] {
        let process_id = first_process(&engine, &container.id)?;
        run(Command::new("nsenter").args(["--target", &process_id, "--mount", "--pid", "/usr/bin/ordinary"]))?;
        let event = exec_of(&recorder, &container.id, "/usr/bin/ordinary")?;
        assert_eq!(event.text("tidewaiter.container.identified_by"), "namespace");
        assert_eq!(event.text("container.name"), container.name);
    }
    Ok(())
}

#[test]
fn who_leaves_a_containers_cgroup_is_still_in_the_container() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let recorder = home.events()?;
    let leave = "busybox mkfifo /tmp/go; read line < /tmp/go; /usr/bin/ordinary; sleep infinity";
    let id = engine.run_detached(&["--name", "leaver"], &["/bin/sh", "-c", leave])?;
    let process_id = first_process(&engine, &id)?;
    for root in cgroup_roots() {
        fs::write(root.join("cgroup.procs"), &process_id)?;
    }
    fs::write(Path::new("/proc").join(&process_id).join("root/tmp/go"), "go\n")?;
    let event = exec_of(&recorder, &id, "/usr/bin/ordinary")?;
    assert_eq!(event.text("tidewaiter.container.identified_by"), "namespace");
    assert_eq!(event.text("container.name"), "leaver");
    Ok(())
}

/// The tops of all mounted hierarchies.
fn cgroup_roots() -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let has_processes = |path: &PathBuf| path.join("cgroup.procs").exists();
    if has_processes(&top.to_owned()) {
        return vec![top.to_owned()];
    }
    let entries = fs::read_dir(top).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(has_processes).collect()
}

#[test]
fn what_sets_a_container_up_is_distinguished_from_what_runs_in_it() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let recorder = home.events()?;
    let container = engine.container("workload")?;
    engine.exec(&container, &["/usr/bin/ordinary"])?;
    let event = exec_of(&recorder, &container.id, "/usr/bin/ordinary")?;
    assert_eq!(event.text("tidewaiter.process.runtime_helper"), "");
    assert_eq!(event.text("process.entry_leader.entry_meta.type"), "container");

    // As an engine's helper does: it goes into the container's cgroup with the program that it was started with.
    let process_id = first_process(&engine, &container.id)?;
    let cgroups = fs::read_to_string(Path::new("/proc").join(process_id).join("cgroup"))?;
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::/"));
    let unified = Path::new("/sys/fs/cgroup/unified");
    let root = if unified.exists() {
        unified
    } else {
        Path::new("/sys/fs/cgroup")
    };
    let cgroup = root.join(path.context("there is no version 2 of cgroups here")?);
    run(Command::new("/bin/sh")
        .args(["-c", r#"echo $$ > "$0/cgroup.procs"; (:); :"#])
        .arg(&cgroup))?;
    // The engine's own may be seen too, if they fork while they are in there.
    recorder.wait_for("fork of the helper", |event| {
        let is_helper = event.text("container.id") == container.id
            && event.text("tidewaiter.process.runtime_helper") == "true"
            && event.text("event.action") == "fork"
            && event.text("process.args").contains("cgroup.procs");
        is_helper.then_some(())
    })
}

#[test]
fn what_a_container_was_started_with_is_told_from_what_came_in_later() -> Result<()> {
    const FIRST: &str =
        "/usr/bin/ordinary start; busybox mkfifo /tmp/go; read line < /tmp/go; /usr/bin/ordinary later; :";
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let beside = engine.container("beside")?;
    let of_another = format!("--pid=container:{}", beside.id);
    let namespaces = [&[][..], &["--pid=host"], &[&of_another]];
    let command = ["/bin/sh", "-c", &format!("({FIRST}); exec sleep infinity")];
    let before = home.events()?;
    let ids: Vec<String> = namespaces
        .into_iter()
        .map(|options| engine.run_detached(options, &command))
        .collect::<Result<_>>()?;
    for id in &ids {
        let program = |name: &'static str| {
            move |event: &Document| event.text("container.id") == *id && event.text("process.executable") == name
        };
        assert_eq!(depth_of(&before, program("/bin/sh"))?, "0");
        assert_eq!(depth_of(&before, program("/usr/bin/ordinary"))?, "2");
    }
    assert!(before.stop()?.success());

    // One that starts while they run knows it too.
    let after = home.events()?;
    for id in &ids {
        let with = |argument: &'static str| {
            move |event: &Document| event.text("container.id") == *id && event.text("process.args").contains(argument)
        };
        run(&mut engine.docker(&["exec", id, "/usr/bin/ordinary", "came-in"]))?;
        assert_eq!(depth_of(&after, with("came-in"))?, "");
        run(&mut engine.docker(&["exec", id, "/bin/sh", "-c", "echo > /tmp/go"]))?;
        assert_eq!(depth_of(&after, with("later"))?, "2");
    }
    Ok(())
}

/// How far the first exec that is meant is from its container's start.
fn depth_of(recorder: &Sensor, is_meant: impl Fn(&Document) -> bool) -> Result<String> {
    recorder.wait_for("exec in the container", |event| {
        (event.text("event.action") == "exec" && is_meant(event)).then(|| event.text("tidewaiter.process.start_depth"))
    })
}
