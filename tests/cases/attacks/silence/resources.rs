//! Whoever takes what the sensor needs: room in the ring buffer, processor time, memory, disk, its engine, file systems.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use tests::cgroup::MemoryLimit;
use tests::engine::Engine;
use tests::lines::PATIENCE;
use tests::program::{compile_static, run, tidewaiter};
use tests::sensor::Sensor;

use super::{fence, home, is_notice, seconds, signal, still_alerts, wait_for_alert, wait_for_notice};

/// What an attacker may do at once; what it starts is counted too.
const BUSY: usize = 64;

#[test]
fn a_container_that_fills_the_ring_buffer_is_named() -> Result<()> {
    let home = home()?;
    let config = fs::read_to_string(home.config())?;
    fs::write(home.config(), format!("{config}[kernel]\nring_buffer_bytes = 131072\n"))?;
    let engine = Engine::start(&home)?;
    let container = engine.container("attacker")?;
    let sensor = home.run()?;
    // So that the kernel side has been told whose the cgroup is.
    sensor.fence(|number| engine.exec(&container, &["fence", number]))?;
    signal(sensor.process_id(), Signal::SIGSTOP)?;
    let script = "i=0; while [ $i -lt 400 ]; do ordinary; i=$((i + 1)); done";
    let storm = engine.exec(&container, &["/bin/sh", "-c", script]);
    signal(sensor.process_id(), Signal::SIGCONT)?;
    storm?;
    // The host's own processes may be over theirs too.
    let told = sensor.wait_for("the container that is over its share", |document| {
        let is_it = is_notice(document, "container-over-share") && document.text("container.id") == container.id;
        is_it.then(|| document.clone())
    })?;
    assert!(told.text("tidewaiter.sensor.count").parse::<u64>()? > 0, "{told:?}");
    wait_for_notice(&sensor, "records-lost")?;
    Ok(())
}

#[test]
fn a_container_with_64_busy_threads_starves_neither_heartbeat_nor_alerts() -> Result<()> {
    let home = home()?;
    let engine = Engine::start(&home)?;
    let other = engine.container("other")?;
    let sensor = home.run()?;
    wait_for_notice(&sensor, "heartbeat")?;
    let busy =
        format!("i=0; while [ $i -lt {BUSY} ]; do (while :; do :; done) & i=$((i + 1)); done; fence all-busy; wait");
    let attacker = engine.run_detached(&[], &["/bin/sh", "-c", &busy])?;
    sensor.wait_for("the attacker's own alert", |alert| {
        (alert.text("container.id") == attacker && alert.text("process.args").contains("all-busy")).then_some(())
    })?;
    let beats = |sensor: &Sensor| {
        let lines = sensor.output.so_far();
        lines.iter().filter(|line| line.contains("\"heartbeat\"")).count()
    };
    let before = beats(&sensor);
    for _ in 0..3 {
        sensor.fence(|number| engine.exec(&other, &["fence", number]))?;
    }
    let deadline = Instant::now() + PATIENCE;
    while beats(&sensor) < before + 3 {
        ensure!(Instant::now() < deadline, "no heartbeats while {BUSY} threads are busy");
        thread::sleep(Duration::from_millis(20));
    }
    run(&mut engine.docker(&["kill", &attacker]))?;
    Ok(())
}

#[test]
fn a_sensor_that_its_memory_limit_kills_says_so_at_the_next_start() -> Result<()> {
    let home = home()?;
    let fence = fence(&home)?;
    let limit = MemoryLimit::new("killed", 128 * 1024 * 1024)?;
    let mut sensor = Sensor::start(&mut limit.apply(home.command("run")?.args(["--format", "json"])))?;
    wait_for_notice(&sensor, "heartbeat")?;
    limit.set(limit.usage()? + 256 * 1024)?;
    let long = "x".repeat(30_000);
    let deadline = Instant::now() + PATIENCE;
    while Path::new(&format!("/proc/{}/exe", sensor.process_id()))
        .read_link()
        .is_ok()
    {
        ensure!(Instant::now() < deadline, "it is not killed");
        run(Command::new(&fence).arg(&long))?;
    }
    let status = sensor.wait()?;
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(libc::SIGKILL),
        "{status}"
    );
    let next = home.run()?;
    let notice = wait_for_notice(&next, "sensor-ended-uncleanly")?;
    assert!(seconds(&notice)? > 0.0, "{notice:?}");
    wait_for_alert(&next, "Sensor interrupted")
}

#[test]
fn a_state_directory_without_room_is_told_and_alerts_go_on() -> Result<()> {
    let home = home()?;
    let fence = fence(&home)?;
    let sensor = on_disk_of_its_own(home.state(), "size=16m", &home.config())?;
    let sensor = Sensor::start(&mut { sensor })?;
    wait_for_notice(&sensor, "heartbeat")?;
    let inside = Path::new("/proc")
        .join(sensor.process_id().to_string())
        .join("root")
        .join(home.state().strip_prefix("/")?);
    fill_disk(&inside.join("filler"))?;
    let told = sensor.wait_for("word of the disk", |document| {
        let is_told =
            is_notice(document, "state-not-written") && document.text("tidewaiter.sensor.subject") == "running";
        is_told.then(|| document.clone())
    })?;
    assert!(told.text("message").contains("state directory"), "{told:?}");
    still_alerts(&sensor, &fence)
}

#[test]
fn a_state_directory_that_is_read_only_is_named_at_the_start() -> Result<()> {
    let home = home()?;
    let mut command = on_disk_of_its_own(home.state(), "ro", &home.config())?;
    Sensor::start_without_waiting(&mut command)?.assert_fails(3, &["state directory", "cannot be written"])
}

#[test]
fn an_engine_that_is_replaced_by_one_that_never_answers_is_told() -> Result<()> {
    let home = home()?;
    let mut engine = Engine::start(&home)?;
    let listener = engine.listener()?;
    let sensor = home.run()?;
    engine.crash()?;
    let socket = home.docker_socket();
    if let Err(error) = fs::remove_file(&socket) {
        ensure!(error.kind() == ErrorKind::NotFound, "{error}");
    }
    let _silent = UnixListener::bind(&socket)?;
    let notice = wait_for_notice(&sensor, "engine-failing")?;
    let socket = socket.display().to_string();
    assert!(notice.text("tidewaiter.sensor.subject").contains(&socket), "{notice:?}");
    let alert = sensor.fence(|number| listener.run_fence(number))?;
    assert_eq!(alert.text("container.id"), listener.id);
    Ok(())
}

#[test]
fn a_file_system_that_never_answers_holds_up_neither_start_nor_alerts_nor_other_containers_names() -> Result<()> {
    let home = home()?;
    let engine = Engine::start(&home)?;
    let healthy = engine.container("healthy")?;
    with_dead_mount(&engine)?;
    let sensor = home.run()?;
    let alert = sensor.fence(|number| engine.exec(&healthy, &["fence", number]))?;
    assert_eq!(alert.text("user.name"), "root", "{alert:?}");
    // Another one that dies while the sensor watches.
    with_dead_mount(&engine)?;
    sensor.fence(|number| engine.exec(&healthy, &["fence", number]))?;
    assert!(sensor.stop()?.success());
    Ok(())
}

/// A container that runs a program of a file system that never answers any more, and whose `/etc` is on it; its id.
fn with_dead_mount(engine: &Engine) -> Result<String> {
    let program = compile_static("dead_mount")?;
    let mount = format!("{}:/dead_mount:ro", program.display());
    let mounts = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined"];
    let device = ["--device", "/dev/fuse", "--volume", &mount];
    let options = [&mounts[..], &device].concat();
    let container = engine.run_detached(&options, &["/dead_mount", "/etc"])?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let logs = run(&mut engine.docker(&["logs", &container]))?;
        if logs.stdout.starts_with(b"dead") {
            return Ok(container);
        }
        if Instant::now() > deadline {
            bail!("it does not mount: {}", String::from_utf8_lossy(&logs.stderr));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The sensor with a small disk for its state, in a mount namespace of its own.
fn on_disk_of_its_own(state: PathBuf, options: &str, config: &Path) -> Result<Command> {
    let mut command = Command::new("unshare");
    let small_disk = format!("mount -t tmpfs -o {options} none \"$0\" && exec \"$@\"");
    command
        .args(["--mount", "sh", "-c", &small_disk])
        .arg(state)
        .arg(tidewaiter()?);
    command.args(["run", "--format", "json", "--config"]).arg(config);
    Ok(command)
}

fn fill_disk(path: &Path) -> Result<()> {
    let mut file = File::create(path).context("no file on the disk")?;
    loop {
        match file.write_all(&[0; 4096]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            Err(error) => bail!("could not fill the disk: {error}"),
        }
    }
}
