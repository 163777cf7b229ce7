//! Engines that say what nobody expects: it costs what it is about, and nothing else.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tests::attack::peak_mib;
use tests::document::Document;
use tests::engine::{Engine, retry};
use tests::hostile_engine::HostileEngine;
use tests::podman::{Owner, Podman};
use tests::program::run;
use tests::sensor::{Home, Sensor};

/// What the sensor may take in memory, as under any attack.
const PEAK_AT_MOST_MIB: f64 = 96.0;
/// What the thread that talks to engines may take of a processor, once they have said what they may at once.
const PROCESSOR_SHARE: f64 = 0.5;
/// What one of them may say at once.
const AT_ONCE_BYTES: u64 = 32 * 1024 * 1024;

/// What the thread that talks to the engines has taken of a processor.
fn processor_time(sensor: &Sensor) -> Result<Duration> {
    for task in fs::read_dir(format!("/proc/{}/task", sensor.process_id()))? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim() == "engines" {
            let times = fs::read_to_string(task.join("schedstat"))?;
            let running = times.split(' ').next().context("no time")?;
            return Ok(Duration::from_nanos(running.parse()?));
        }
    }
    bail!("no thread talks to the engines")
}

/// Starts a container and waits until an alert bears its name.
fn is_named(sensor: &Sensor, engine: &Engine, name: &str) -> Result<()> {
    let container = engine.container(name)?;
    let begun = Instant::now();
    let first = sensor.fence(|number| engine.exec(&container, &["/usr/bin/fence", number]))?;
    assert_eq!(first.text("container.id"), container.id);
    let its_name = |alert: &Document| {
        let is_its = alert.text("container.id") == container.id;
        (is_its && alert.text("container.name") == name).then_some(())
    };
    // At once, or as an amendment.
    sensor.wait_for("alert with the container's name", its_name)?;
    println!("{name} was known after {:?}", begun.elapsed());
    Ok(())
}

#[test]
fn hostile_engines_cost_little_and_hold_nobody_up() -> Result<()> {
    let home = Home::new()?;
    let hostile = HostileEngine::start_all(home.path())?;
    home.configure(&HostileEngine::configuration(&hostile))?;
    let engine = Engine::start(&home)?;
    let sensor = home.run()?;
    // While they say as much as they may at once.
    is_named(&sensor, &engine, "early")?;
    let said = || hostile.iter().map(HostileEngine::said).sum::<u64>();
    retry("the hostile engines are not listened to", || {
        (said() > AT_ONCE_BYTES && hostile.iter().all(|engine| engine.said() > 0)).then_some(())
    })?;

    let (begun, taken) = (Instant::now(), processor_time(&sensor)?);
    for number in 0..3 {
        is_named(&sensor, &engine, &format!("late{number}"))?;
    }
    let share = (processor_time(&sensor)? - taken).as_secs_f64() / begun.elapsed().as_secs_f64();
    let peak = peak_mib(sensor.process_id())?;
    println!("{peak:.1} MiB, {:.0} % of a processor after {taken:?}", share * 100.0);
    assert!(peak <= PEAK_AT_MOST_MIB, "{peak:.1} MiB were resident");
    assert!(share < PROCESSOR_SHARE, "{:.0} % of a processor", share * 100.0);
    Ok(())
}

#[test]
fn a_container_in_an_odd_state_takes_nothing_from_the_others() -> Result<()> {
    let home = Home::new()?;
    let podman = Podman::start(&home.engine().join("podman"), &home.podman_socket(), Owner::Root)?;
    let odd = podman.run_detached(&["--name", "odd"], &["/bin/sleep", "infinity"])?;
    // Its monitor ends first, so nobody cleans up, and its exit is only noted.
    let pids = run(&mut podman.podman(&["inspect", "--format", "{{.State.ConmonPid}} {{.State.Pid}}", &odd]))?.stdout;
    let pids = String::from_utf8(pids)?;
    run(podman.beside("kill").arg("-9").args(pids.split_whitespace()))?;
    let note = format!("printf 137 > /run/libpod/exits/{odd}");
    run(podman.beside("sh").args(["-c", &note]))?;
    let web = podman.run_detached(&["--name", "web"], &["/bin/sleep", "infinity"])?;

    let sensor = home.run()?;
    let alert = sensor.fence(|number| {
        run(&mut podman.podman(&["exec", &web, "/usr/bin/fence", number]))?;
        Ok(())
    })?;
    assert_eq!(alert.text("container.name"), "web");
    let output = home.command("doctor")?.output()?;
    let said = String::from_utf8(output.stdout)?;
    assert!(said.contains("2 containers"), "{said}");

    // The state is one that clients for Docker do not know.
    let mut connection = UnixStream::connect(home.podman_socket())?;
    connection.write_all(b"GET /containers/json?all=true HTTP/1.0\r\n\r\n")?;
    let mut listed = String::new();
    connection.read_to_string(&mut listed)?;
    assert!(listed.contains(r#""State":"stopped""#), "{listed}");
    Ok(())
}
