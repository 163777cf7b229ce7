//! The sensor as a part of a node: what it takes from its environment, what it says of the node from within a container,
//! how it is asked, and how it takes other rules.

mod handover;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::document::Document;
use tests::image::{FENCE, place_stand_in};
use tests::intruder::{Intruder, thread_of};
use tests::lines::PATIENCE;
use tests::program::{run, tidewaiter};
use tests::sensor::{Home, Sensor};

const RULE: &str = r#"
[rule]
name = "NAME"
description = "A program that only the tests run."
rule_id = "NAME"
risk_score = 1
severity = "low"
type = "eql"
language = "eql"
query = 'process where event.action == "exec" and process.name == "fence"'
"#;

const BROKEN_RULE: &str = "[rule]\nname = \"broken\"\nquery = 7\n";

fn rule(name: &str) -> String {
    RULE.replace("NAME", name)
}

/// The fence program, where the host can run it.
struct Fence(PathBuf);

impl Fence {
    fn on_host(home: &Home) -> Result<Self> {
        let program = home.path().join(FENCE);
        place_stand_in(&program)?;
        Ok(Self(program))
    }

    fn run(&self, argument: &str) -> Result<()> {
        run(Command::new(&self.0).arg(argument))?;
        Ok(())
    }

    /// The alert of its next run.
    fn alert(&self, sensor: &Sensor) -> Result<Document> {
        sensor.fence(|argument| self.run(argument))
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn ask(home: &Home, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output = home.command(arguments[0])?.args(&arguments[1..]).output()?;
    Ok((output.status.code(), said(&output)))
}

/// Asks until the answer has this exit status; gives what it says.
fn ask_until(home: &Home, arguments: &[&str], status: i32) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (found, said) = ask(home, arguments)?;
        if found == Some(status) {
            return Ok(said);
        }
        ensure!(
            Instant::now() < deadline,
            "`{}`: {found:?}: {said}",
            arguments.join(" ")
        );
    }
}

fn signal(sensor: &Sensor, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(sensor.process_id())?), signal)?)
}

#[test]
fn keys_come_from_the_environment_and_the_links_of_services_do_no_harm() -> Result<()> {
    let home = Home::new()?;
    let fence = Fence::on_host(&home)?;
    let mut command = home.command("run")?;
    command.args(["--format", "json"]).envs([
        ("TIDEWAITER_HOST_NAME", "by-environment"),
        ("TIDEWAITER_NODE_NAME", "node-7"),
        ("TIDEWAITER_PORT", "tcp://10.0.0.1:9090"),
        ("TIDEWAITER_PORT_9090_TCP", "tcp://10.0.0.1:9090"),
        ("TIDEWAITER_SERVICE_HOST", "10.0.0.1"),
        ("TIDEWAITER_HOSTNAME", "misspelt"),
        // The command line counts before it.
        ("TIDEWAITER_FORMAT", "text"),
    ]);
    let sensor = Sensor::start(&mut command)?;
    let alert = fence.alert(&sensor)?;
    assert_eq!(alert.text("host.name"), "by-environment");
    assert_eq!(alert.text("kubernetes.node.name"), "node-7");
    let diagnostics = sensor.diagnostics.so_far().join("\n");
    assert!(
        diagnostics.contains("`TIDEWAITER_HOSTNAME` (did you mean `TIDEWAITER_HOST_NAME`?)"),
        "{diagnostics}"
    );
    assert!(
        !diagnostics.contains("TIDEWAITER_PORT") && !diagnostics.contains("SERVICE_HOST"),
        "{diagnostics}"
    );
    Ok(())
}

#[test]
fn wrong_variables_are_named_with_the_mistakes_of_the_file() -> Result<()> {
    let home = Home::new()?;
    home.set("heartbeat = \"never\"")?;
    let mut command = home.command("run")?;
    command.env("TIDEWAITER_KERNEL_RING_BUFFER_BYTES", "1000");
    let sensor = Sensor::start_without_waiting(&mut command)?;
    sensor.assert_fails(
        2,
        &[
            "tidewaiter.toml:1:13: ",
            "`TIDEWAITER_KERNEL_RING_BUFFER_BYTES`: `1000` is out of range: 65536 to ",
        ],
    )
}

/// Runs a `tidewaiter` as in a pod with another host name, whose `/etc` is not the node's, after these preparations.
fn in_pod(home: &Home, prepare: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new("unshare");
    let script = format!(
        "busybox hostname some-pod && mount -t tmpfs none /etc && echo pod:x:1 >/etc/passwd && {prepare} exec \"$@\""
    );
    command
        .args(["--mount", "--uts", "sh", "-c", &script, "sh"])
        .arg(tidewaiter()?)
        .args(arguments)
        .arg("--config")
        .arg(home.config());
    Ok(command)
}

fn without_right_to_change_namespaces(prepare: &str) -> String {
    format!("{prepare} set -- setpriv --bounding-set -sys_admin --inh-caps -sys_admin \"$@\" &&")
}

#[test]
fn in_a_pod_events_tell_of_the_node() -> Result<()> {
    let home = Home::new()?;
    let fence = Fence::on_host(&home)?;
    let machine_id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let release = fs::read_to_string("/etc/os-release")?;
    let own_name = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    for (prepare, name) in [
        // By way of the first process's namespace; else the node's name.
        (String::new(), own_name.as_str()),
        (
            without_right_to_change_namespaces("export TIDEWAITER_NODE_NAME=node-7 &&"),
            "node-7",
        ),
    ] {
        let sensor = Sensor::start(&mut in_pod(&home, &prepare, &["run", "--format", "json"])?)?;
        let alert = fence.alert(&sensor)?;
        assert_eq!(alert.text("host.name"), name);
        if machine_id.trim().len() == 32 {
            assert_eq!(alert.text("host.id"), machine_id.trim());
        }
        let platform = alert.text("host.os.platform");
        assert!(
            release.lines().any(|line| line == format!("ID={platform}")),
            "{platform}: {release}"
        );
        assert_eq!(alert.text("user.name"), "root");
        sensor.stop()?;
    }
    Ok(())
}

#[test]
fn a_mounted_root_describes_the_node_and_the_doctor_names_what_is_missing() -> Result<()> {
    let home = Home::new()?;
    let root = home.path().join("node");
    fs::create_dir_all(root.join("etc"))?;
    fs::create_dir_all(root.join("usr/lib"))?;
    fs::write(root.join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n")?;
    fs::write(root.join("usr/lib/os-release"), "NAME=Node\nID=node\n")?;
    symlink("../usr/lib/os-release", root.join("etc/os-release"))?;
    let prepare = without_right_to_change_namespaces("");
    let doctor = in_pod(&home, &prepare, &["doctor"])?
        .env("TIDEWAITER_HOST_ROOT", &root)
        .output()?;
    let text = said(&doctor);
    for part in [
        "`some-pod` is the name of this container",
        "fieldPath: spec.nodeName",
        "the host's users and groups",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    fs::write(root.join("etc/passwd"), "toor:x:0:0\n")?;
    fs::write(root.join("etc/hostname"), "real-node\n")?;
    let fence = Fence::on_host(&home)?;
    let mut command = in_pod(&home, &prepare, &["run", "--format", "json"])?;
    let sensor = Sensor::start(command.env("TIDEWAITER_HOST_ROOT", &root))?;
    let alert = fence.alert(&sensor)?;
    let told = ["host.name", "host.id", "host.os.platform", "user.name"].map(|field| alert.text(field));
    assert_eq!(told, ["real-node", "0123456789abcdef0123456789abcdef", "node", "toor"]);
    Ok(())
}

#[test]
fn a_running_sensor_is_alive_and_ready_and_one_that_hangs_or_has_ended_is_neither() -> Result<()> {
    let home = Home::new()?;
    let (status, said) = ask(&home, &["health"])?;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("no sensor answers"), "{said}");
    let sensor = home.run()?;
    assert!(ask_until(&home, &["health", "--ready"], 0)?.starts_with("ready: watching "));
    let (status, said) = ask(&home, &["health", "--format", "json"])?;
    assert_eq!(status, Some(0), "{said}");
    let answer: serde_json::Value = serde_json::from_str(&said)?;
    assert_eq!(answer["alive"], true, "{said}");
    // A running sensor stays alive whatever becomes of its configuration.
    let config = fs::read_to_string(home.config())?;
    fs::write(home.config(), "learn_for = \"soon\"\n")?;
    let mut command = home.command("health")?;
    let output = command.env("TIDEWAITER_STATE_DIRECTORY", home.state()).output()?;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    fs::write(home.config(), config)?;

    signal(&sensor, Signal::SIGSTOP)?;
    let (status, said) = ask(&home, &["health"])?;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("did not answer"), "{said}");
    signal(&sensor, Signal::SIGCONT)?;
    ask_until(&home, &["health"], 0)?;
    sensor.kill()?;
    let (status, said) = ask(&home, &["health"])?;
    assert_eq!(status, Some(1), "{said}");
    home.run()?.stop()?;
    assert!(!home.state().join("control.sock").exists());
    Ok(())
}

#[test]
fn a_sensor_with_threads_that_hang_is_not_alive_until_they_go_on() -> Result<()> {
    let home = Home::new()?;
    let sensor = home.run()?;
    let attach = |name| Intruder::attach(thread_of(sensor.process_id(), name)?);
    let hanging = ["events", "notices"].map(attach);
    ensure!(hanging.iter().all(Result::is_ok), "they could not be stopped");
    let said = ask_until(&home, &["health"], 1)?;
    assert!(said.contains("last looked at"), "{said}");
    drop(hanging);
    ask_until(&home, &["health", "--ready"], 0)?;
    Ok(())
}

#[test]
fn where_nobody_answers_health_says_what_the_host_lacks() -> Result<()> {
    let home = Home::new()?;
    let mut command = Command::new("setpriv");
    let removed = "-bpf,-perfmon,-sys_admin";
    command
        .args(["--bounding-set", removed, "--inh-caps", removed])
        .arg(tidewaiter()?)
        .args(["health", "--ready", "--config"])
        .arg(home.config());
    let output = command.output()?;
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("CAP_BPF") && text.contains("capabilities: {add: [BPF"),
        "{text}"
    );
    Ok(())
}

/// Lays files out as the kubelet does for a ConfigMap: links by way of `..data`, which leads to a folder of a version.
fn lay_out(folder: &Path, version: u32, files: &[(&str, &str)]) -> Result<()> {
    let data = folder.join(format!("..{version}"));
    fs::create_dir_all(&data)?;
    for (name, text) in files {
        fs::write(data.join(name), text)?;
    }
    symlink(format!("..{version}"), folder.join("..data_tmp"))?;
    fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    for (name, _) in files {
        if fs::symlink_metadata(folder.join(name)).is_err() {
            symlink(format!("..data/{name}"), folder.join(name))?;
        }
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?.path();
        if fs::metadata(&entry).is_err() {
            fs::remove_file(&entry)?;
        }
    }
    if version > 1 {
        fs::remove_dir_all(folder.join(format!("..{}", version - 1)))?;
    }
    Ok(())
}

#[test]
fn a_config_map_is_taken_when_it_changes_and_a_wrong_one_leaves_the_rules_that_run() -> Result<()> {
    let home = Home::new()?;
    let fence = Fence::on_host(&home)?;
    let folder = home.path().join("config-map");
    fs::create_dir(&folder)?;
    let config = |heartbeat: &str| -> Result<String> {
        let config = fs::read_to_string(home.config())?;
        let rules = format!("rules = [{:?}, {folder:?}]", home.rules());
        let others = config.lines().filter(|line| !line.starts_with("rules"));
        let others: Vec<&str> = others.collect();
        Ok(format!("heartbeat = {heartbeat:?}\n{rules}\n{}\n", others.join("\n")))
    };
    lay_out(&folder, 1, &[("config", &config("1m")?), ("one.toml", &rule("one"))])?;
    let mut command = Command::new(tidewaiter()?);
    command
        .args(["run", "--format", "json", "--config"])
        .arg(folder.join("config"));
    let sensor = Sensor::start(&mut command)?;
    // A program that ran before other rules were taken was not looked at by them.
    let alerts_of = |name: &str| -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !sensor.alerts_so_far().iter().any(|alert| alert.rule() == name) {
            ensure!(Instant::now() < deadline, "no alert of `{name}`");
            fence.alert(&sensor)?;
        }
        Ok(())
    };
    alerts_of("one")?;

    lay_out(
        &folder,
        2,
        &[
            ("config", &config("2m")?),
            ("one.toml", &rule("one")),
            ("two.toml", &rule("two")),
        ],
    )?;
    sensor.diagnostics.wait_for("the key that waits", |line| {
        line.contains("heartbeat changed in the configuration").then_some(())
    })?;
    ask_until(&home, &["health", "--ready"], 0)?;
    alerts_of("two")?;

    // The rule that ran is broken now: it goes on, and what is new beside it waits.
    lay_out(
        &folder,
        3,
        &[
            ("config", &config("2m")?),
            ("one.toml", &rule("one")),
            ("two.toml", BROKEN_RULE),
            ("three.toml", &rule("three")),
        ],
    )?;
    let said = ask_until(&home, &["health", "--ready"], 1)?;
    assert!(
        said.contains("two.toml") && said.contains("the rules stay as they were"),
        "{said}"
    );
    assert_eq!(ask(&home, &["health"])?.0, Some(0));
    let (status, said) = ask(&home, &["reload"])?;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("two.toml"), "{said}");
    let before = sensor.alerts_so_far().len();
    fence.alert(&sensor)?;
    fence.alert(&sensor)?;
    let after = &sensor.alerts_so_far()[before..];
    assert!(
        after.iter().any(|alert| alert.rule() == "two"),
        "the rule that ran does not any more"
    );
    assert!(
        after.iter().all(|alert| alert.rule() != "three"),
        "half of a wrong set is taken"
    );

    lay_out(
        &folder,
        4,
        &[
            ("config", "heartbeat = 7\n"),
            ("one.toml", &rule("one")),
            ("two.toml", &rule("two")),
        ],
    )?;
    sensor.diagnostics.wait_for("word about the configuration", |line| {
        (line.contains("the rules stay as they were") && line.contains("config:1:13")).then_some(())
    })?;
    lay_out(
        &folder,
        5,
        &[
            ("config", &config("2m")?),
            ("one.toml", &rule("one")),
            ("three.toml", &rule("three")),
        ],
    )?;
    ask_until(&home, &["health", "--ready"], 0)?;
    alerts_of("three")?;
    let (status, said) = ask(&home, &["reload"])?;
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.starts_with("watching with ") && said.contains("heartbeat changed"),
        "{said}"
    );
    Ok(())
}
