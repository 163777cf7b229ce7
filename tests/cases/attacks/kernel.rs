//! The kernel side is tampered with, and the sensor signalled, by somebody who was given too much: it goes on, and says so.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::document::Document;
use tests::engine::Engine;
use tests::image::{FENCE, place_stand_in};
use tests::intruder::{Intruder, links, thread_of};
use tests::program::{compile_static, run, tidewaiter};
use tests::sensor::{Home, Sensor};

/// More than one record holds, and less than the sensor's limit for all arguments.
const LONG: usize = 30_000;

#[test]
fn who_reaches_the_maps_by_their_ids_cannot_change_what_the_kernel_side_rests_on() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = container_of_the_attacker(&engine)?;
    let sensor = home.run()?;
    let maps = maps_of(&sensor)?;
    assert!(maps.len() > 5, "the sensor's maps: {maps:?}");

    let said = run(engine.docker(&["exec", &container, "/tamper"]).args(&maps))?.stdout;
    let said = String::from_utf8(said)?;
    let mut changed: Vec<&str> = said.lines().filter_map(|line| line.strip_suffix(" changed")).collect();
    changed.sort_unstable();
    // The agent itself goes on writing these. That records do not wake the sensor any more delays nothing for long.
    assert_eq!(changed, ["OWNERS", "WAKE_UP"], "{said}");

    let alert = sensor.fence(|number| {
        run(&mut engine.docker(&["exec", &container, "/usr/bin/fence", number, &"x".repeat(LONG)]))?;
        Ok(())
    })?;
    assert_eq!(alert.text("tidewaiter.process.arguments_complete"), "true");
    told_at_the_end(sensor, "the kernel side was told not to wake the sensor")
}

#[test]
fn a_program_that_somebody_detached_is_attached_again_and_that_is_told() -> Result<()> {
    let home = Home::new()?;
    let sensor = home.run()?;
    let links = links(sensor.process_id())?;
    assert_eq!(links.len(), 4, "fork, exec, exit and signals");

    let mut intruder = Intruder::attach(thread_of(sensor.process_id(), "users")?)?;
    for link in links {
        intruder.close(link)?;
    }
    drop(intruder);
    sensor.wait_for("notice of the detached program", |document| {
        (document.text("event.action") == "hook-blind").then_some(())
    })?;
    let fence = home.path().join(FENCE);
    place_stand_in(&fence)?;
    sensor.fence(|number| {
        run(Command::new(&fence).arg(number))?;
        Ok(())
    })?;
    told_at_the_end(sensor, "a program of the kernel side was not attached any more")
}

#[test]
fn who_stops_the_sensor_by_its_number_from_a_container_is_alerted_on() -> Result<()> {
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = container_of_the_signaller(&engine)?;
    let sensor = home.run()?;
    let script = format!("kill -STOP {0}; kill -CONT {0}", sensor.process_id());
    run(&mut engine.docker(&["exec", &container, "/bin/sh", "-c", &script]))?;
    for signal in ["SIGSTOP", "SIGCONT"] {
        let alert = wait_for_signalled(&sensor, signal)?;
        assert_eq!(alert.text("container.id"), container);
        assert_eq!(alert.text("event.reason"), "from_container");
        assert_eq!(alert.text("process.name"), "sh");
        assert_eq!(alert.text("kibana.alert.severity"), "high");
    }
    Ok(())
}

#[test]
fn who_ends_the_sensor_by_its_number_from_the_host_is_alerted_on_before_it_ends() -> Result<()> {
    let home = Home::new()?;
    let mut sensor = home.run()?;
    let script = format!("kill -TERM {}; :", sensor.process_id());
    run(Command::new("/bin/sh").args(["-c", &script]))?;
    let status = sensor.wait()?;
    assert!(status.success(), "{status}");
    let alert = wait_for_signalled(&sensor, "SIGTERM")?;
    assert_eq!(alert.text("event.reason"), "from_host");
    assert!(alert.text("process.command_line").contains("kill -TERM"));
    Ok(())
}

#[test]
fn a_reload_and_a_stop_by_who_started_it_are_no_attacks() -> Result<()> {
    let home = Home::new()?;
    let fence = home.path().join(FENCE);
    place_stand_in(&fence)?;
    let sensor = home.run()?;
    run(Command::new("/bin/sh").args(["-c", &format!("kill -HUP {}", sensor.process_id())]))?;
    kill(Pid::from_raw(i32::try_from(sensor.process_id())?), Signal::SIGHUP)?;
    for whence in ["from_host", "from_parent"] {
        sensor.wait_for("notice of the reload", |document| {
            let is_it = document.is_notice() && document.text("tidewaiter.sensor.subject") == "SIGHUP";
            (is_it && document.text("event.reason") == whence).then_some(())
        })?;
    }
    sensor.fence(|number| {
        run(Command::new(&fence).arg(number))?;
        Ok(())
    })?;
    let output = sensor.output.clone();
    assert!(sensor.stop()?.success());
    let all = output.wait_for_end()?;
    let documents: Vec<Document> = all.iter().map(|line| Document::parse(line)).collect::<Result<_>>()?;
    let signals = |is_notice: bool| {
        let all = documents
            .iter()
            .filter(move |document| document.is_notice() == is_notice);
        let signals = all.filter(|document| document.text("event.action") == "sensor-signalled");
        signals
            .map(|document| document.text("tidewaiter.sensor.subject"))
            .collect::<Vec<_>>()
    };
    assert_eq!(signals(true), ["SIGHUP", "SIGHUP", "SIGTERM"]);
    assert_eq!(signals(false), [""; 0]);
    Ok(())
}

#[test]
fn a_flood_of_signals_is_merged_and_other_alerts_still_come() -> Result<()> {
    /// `SIGURG`, which does nothing to the sensor.
    const HARMLESS: &str = "23";
    const TIMES: u64 = 1_000_000;
    let home = Home::new()?;
    let engine = Engine::start(&home)?;
    let container = container_of_the_signaller(&engine)?;
    let fence = home.path().join(FENCE);
    place_stand_in(&fence)?;
    let sensor = home.run()?;
    let number = sensor.process_id().to_string();
    let times = TIMES.to_string();
    let flood = ["exec", &container, "/signaller", &number, HARMLESS, &times];
    let begun = Instant::now();
    let mut flooding = engine.docker(&flood).spawn()?;
    wait_for_signalled(&sensor, "SIGURG")?;
    sensor.fence(|number| {
        run(Command::new(&fence).arg(number))?;
        Ok(())
    })?;
    assert!(flooding.wait()?.success());
    let output = sensor.output.clone();
    assert!(sensor.stop()?.success());
    let all = output.wait_for_end()?;
    let mut counts = Vec::new();
    for line in &all {
        let document = Document::parse(line)?;
        assert_ne!(
            document.text("event.action"),
            "records-lost",
            "{}",
            document.text("message")
        );
        if document.is_notice() && document.text("tidewaiter.sensor.subject") == "SIGURG" {
            assert_eq!(document.text("container.id"), container);
            counts.push(document.text("tidewaiter.sensor.count").parse::<u64>()?);
        }
    }
    // At once, and then one each ten seconds, however long it takes.
    let at_most = 2 + begun.elapsed().as_secs() / 10;
    assert!(counts.len() as u64 <= at_most, "{counts:?}");
    assert!((TIMES / 2..=TIMES).contains(&counts.iter().sum()), "{counts:?}");
    Ok(())
}

#[test]
fn who_holds_the_sensor_with_a_debugger_is_alerted_on() -> Result<()> {
    for hold in [Intruder::attach, Intruder::seize] {
        let home = Home::new()?;
        // Not started by who is to hold it.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "\"$@\"; :", "sh"]).arg(tidewaiter()?);
        command.args(["run", "--format", "json", "--config"]).arg(home.config());
        let shell = Sensor::start(&mut command)?;
        let sensor = child_of(shell.process_id())?;
        drop(hold(thread_of(sensor, "users")?)?);
        shell.wait_for("alert of the debugger", |alert| {
            let is_it = alert.rule() == "Sensor signalled" && alert.text("event.action") == "sensor-traced";
            is_it.then_some(())
        })?;
        kill(Pid::from_raw(i32::try_from(sensor)?), Signal::SIGTERM)?;
        shell.output.wait_for_end()?;
    }
    Ok(())
}

/// A process's only child.
fn child_of(process: u32) -> Result<u32> {
    let children = run(Command::new("pgrep").args(["--parent", &process.to_string()]))?;
    Ok(String::from_utf8(children.stdout)?.trim().parse()?)
}

fn wait_for_signalled(sensor: &Sensor, signal: &str) -> Result<Document> {
    sensor.wait_for(signal, |alert| {
        let is_it = alert.rule() == "Sensor signalled" && alert.text("tidewaiter.sensor.subject") == signal;
        is_it.then(|| alert.clone())
    })
}

/// A container that sees the host's processes and holds a program that signals them; its id.
fn container_of_the_signaller(engine: &Engine) -> Result<String> {
    let program = compile_static("signaller")?;
    let volume = format!("{}:/signaller:ro", program.display());
    engine.run_detached(&["--pid", "host", "--volume", &volume], &["/bin/sleep", "infinity"])
}

/// A container that holds the attacker's program; its id.
fn container_of_the_attacker(engine: &Engine) -> Result<String> {
    let program = compile_static("tamper")?;
    let volume = format!("{}:/tamper:ro", program.display());
    let options = ["--cap-add", "SYS_ADMIN", "--volume", &volume];
    engine.run_detached(&options, &["/bin/sleep", "infinity"])
}

/// The ids of the sensor's maps.
fn maps_of(sensor: &Sensor) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", sensor.process_id()))? {
        // A descriptor that was closed meanwhile is no map's.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let id = text.lines().find_map(|line| line.strip_prefix("map_id:"));
        found.extend(id.map(|id| id.trim().to_owned()));
    }
    Ok(found)
}

fn told_at_the_end(sensor: Sensor, what: &str) -> Result<()> {
    let diagnostics = sensor.diagnostics.clone();
    assert!(sensor.stop()?.success());
    let said = diagnostics.so_far();
    let line = said.iter().rev().find(|line| line.contains(what));
    line.with_context(|| format!("`{what}` is not in what the sensor said: {said:?}"))?;
    Ok(())
}
