//! Places that are made so that a path does not tell them: programs are seen where they lie, or as hidden.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tests::cgroup::Cgroup;
use tests::document::Document;
use tests::engine::{Container, Engine};
use tests::image::{ORDINARY, place_stand_in};
use tests::program::{compile_static, run, stand_in};
use tests::sensor::{Home, Sensor};

use crate::losses;

const HIDDEN_PLACE: &str = "Program run from memory or a hidden place in a container";
const HIDDEN_PATH: &str = "Program run from a path that cannot be told in a container";

/// A container in which programs may be run from shared memory, with `/hostile`.
fn container(engine: &Engine) -> Result<Container> {
    let options = [
        "--name",
        "web",
        "--tmpfs",
        "/dev/shm:exec",
        "--cap-add",
        "SYS_ADMIN",
        "--security-opt",
    ];
    let options = [&options[..], &["apparmor=unconfined"]].concat();
    let id = engine.run_detached(&options, &["/bin/sleep", "infinity"])?;
    let hostile = compile_static("hostile")?;
    run(engine.docker(&["cp"]).arg(hostile).arg(format!("{id}:/hostile")))?;
    Ok(Container {
        id,
        name: "web".to_owned(),
    })
}

fn alert_on(sensor: &Sensor, rule: &str, name: &str) -> Result<Document> {
    sensor.wait_for(&format!("alert `{rule}` on `{name}`"), |alert| {
        (alert.rule() == rule && alert.text("process.name") == name).then(|| alert.clone())
    })
}

#[test]
fn no_depth_hides_a_program_or_where_it_lies() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = container(&engine)?;
    let sensor = home.run()?;
    let deep_down = |depth: &str, program: &[&str]| {
        let options = [
            "exec",
            "--workdir",
            "/dev/shm",
            &container.id,
            "/hostile",
            "deep-down",
            depth,
        ];
        run(engine.docker(&options).args(program))
    };

    // A deep working directory says nothing of the program.
    run(&mut engine.docker(&[
        "exec",
        &container.id,
        "busybox",
        "cp",
        "/usr/bin/ordinary",
        "/dev/shm/near",
    ]))?;
    deep_down("170", &["/dev/shm/near"])?;
    let alert = alert_on(&sensor, HIDDEN_PLACE, "near")?;
    assert_eq!(alert.text("process.executable"), "/dev/shm/near");
    assert_eq!(
        alert.text("process.working_directory"),
        format!("/dev/shm{}", "/d".repeat(170))
    );
    assert_eq!(alert.text("tidewaiter.process.working_directory_cut"), "");

    // Nor does its own depth say anything else of its place, up to the longest path there can be ..
    for depth in ["170", "2000"] {
        let name = format!("below-{depth}");
        deep_down(depth, &["/usr/bin/ordinary", &name])?;
        let alert = alert_on(&sensor, HIDDEN_PLACE, &name)?;
        let path = format!("/dev/shm{}/{name}", "/d".repeat(depth.parse()?));
        assert_eq!(alert.text("process.executable"), path);
        assert_eq!(alert.text("tidewaiter.process.executable.path_cut"), "false");
    }
    // .. and beyond it.
    deep_down("3000", &["/usr/bin/ordinary", "beyond"])?;
    let alert = alert_on(&sensor, HIDDEN_PLACE, "beyond")?;
    let executable = alert.text("process.executable");
    assert!(
        executable.starts_with("/dev/shm/d/d/") && executable.contains("/.../d/"),
        "{executable}"
    );
    assert_eq!(alert.text("tidewaiter.process.executable.path_cut"), "true");
    alert_on(&sensor, HIDDEN_PATH, "beyond")?;

    // Where no walk comes to an end, that alone is told.
    deep_down("7000", &["/usr/bin/ordinary", "bottomless"])?;
    let alert = alert_on(&sensor, HIDDEN_PATH, "bottomless")?;
    assert!(alert.text("process.executable").starts_with(".../d/"));
    Ok(())
}

#[test]
fn a_program_on_a_mount_that_was_let_go_is_not_taken_for_one_at_the_root() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = container(&engine)?;
    let sensor = home.run()?;
    let script = "busybox mkdir /m && busybox mount -t tmpfs none /m && cd /m && busybox mkdir -p usr/bin && \
                  busybox cp /usr/bin/ordinary usr/bin/innocent && busybox umount -l /m && exec usr/bin/innocent";
    engine.exec(&container, &["/bin/sh", "-c", script])?;
    let alert = alert_on(&sensor, HIDDEN_PATH, "innocent")?;
    assert_eq!(alert.text("process.executable"), ".../usr/bin/innocent");
    Ok(())
}

#[test]
fn a_name_that_is_too_long_is_told_as_far_as_it_goes_and_marked() -> Result<()> {
    let home = Home::new()?;
    let folder = home.path().join("names");
    fs::create_dir(&folder)?;
    let long_name = compile_static("long_name")?;
    let sensor = Sensor::start(&mut home.command("events")?)?;
    for (bytes, told, mark) in [(255, 255, ""), (256, 256, ".../"), (1000, 256, ".../")] {
        let argument = format!("name-of-{bytes}");
        // The mount goes with its namespace.
        let mut command = Command::new("unshare");
        command.arg("--mount").arg(&long_name).arg(&folder).arg(stand_in()?);
        run(command.args([&bytes.to_string(), &argument]))?;
        let event = sensor.wait_for("exec of the long name", |event| {
            let is_it = event.text("event.action") == "exec" && event.text("process.name").starts_with("nnn");
            (is_it && event.text("process.args").contains(&argument)).then(|| event.clone())
        })?;
        let expected = format!("{}/{mark}{}", folder.display(), "n".repeat(told));
        assert_eq!(event.text("process.executable"), expected);
        let is_cut = event.text("tidewaiter.process.executable.path_cut");
        assert_eq!(is_cut, (!mark.is_empty()).to_string());
    }
    Ok(())
}

#[test]
fn a_container_has_one_share_of_the_ring_buffer_whatever_cgroups_it_makes() -> Result<()> {
    const QUIET: usize = 8;
    const REPEAT: &str = r#"i=0; while [ $i -lt "$2" ]; do "$1" "$3" "$4"; i=$((i + 1)); done"#;
    let home = Home::new()?;
    let program = home.path().join(ORDINARY[0]);
    place_stand_in(&program)?;
    let sensor = losses::start(&home, "events", 262_144)?;
    let top = Cgroup::new("shares")?;
    let noisy = top.path().join(format!("docker-{}.scope", "a1".repeat(32)));
    let quiet = top.path().join(format!("docker-{}.scope", "b2".repeat(32)));
    let children: Vec<PathBuf> = (0..24).map(|number| noisy.join(number.to_string())).collect();
    let folders = || children.iter().chain([&noisy, &quiet]);
    for folder in [&noisy, &quiet].into_iter().chain(&children) {
        fs::create_dir(folder)?;
    }
    let long = "x".repeat(31_000);
    let repeat = |cgroup: &Path, times: usize, mark: &str, argument: &str| {
        let enter = format!(r#"echo $$ > "$0"/cgroup.procs; {REPEAT}"#);
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(enter).arg(cgroup).arg(&program);
        run(shell.args([&times.to_string(), mark, argument]))
    };
    let exec = |event: &Document, mark: &str| {
        let arguments = event.text("process.args");
        event.text("event.action") == "exec" && event.text("process.name") == ORDINARY[0] && arguments.contains(mark)
    };

    // Each has been seen before, as a container is from its start on.
    repeat(&noisy, 1, "begin-noisy", "")?;
    repeat(&quiet, 1, "begin-quiet", "")?;
    sensor.wait_for("exec in the quiet container", |event| {
        exec(event, "begin-quiet").then_some(())
    })?;
    losses::standing_still(&sensor, || {
        for child in &children {
            repeat(child, 20, "noise", &long)?;
        }
        repeat(&quiet, QUIET, "quiet", "")?;
        Ok(())
    })?;
    let (mut seen, mut shortened) = (0, 0);
    sensor.wait_for("every exec of the quiet container", |event| {
        seen += usize::from(exec(event, "quiet"));
        shortened += usize::from(exec(event, "noise") && event.text("tidewaiter.process.shortened") == "over_share");
        (seen == QUIET).then_some(())
    })?;
    assert!(shortened > 0, "no exec of the noisy container was told short");
    for folder in folders() {
        fs::remove_dir(folder)?;
    }
    Ok(())
}
