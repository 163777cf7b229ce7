//! Whoever wants the sensor silent: each of these sabotages has to be told, by whatever is left of it.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::document::Document;
use tests::image::{FENCE, place_stand_in};
use tests::intruder::{Intruder, delete_tail_calls, links, thread_of};
use tests::lines::Lines;
use tests::program::{copy, run, tidewaiter};
use tests::sensor::{Home, Sensor};

mod outputs;
mod resources;

#[test]
fn a_heartbeat_comes_and_what_the_sensor_does_to_try_itself_is_no_event() -> Result<()> {
    let home = home()?;
    let mut command = home.command("events")?;
    let sensor = Sensor::start(&mut command)?;
    let mut beats = 0;
    sensor.wait_for("three heartbeats", |document| {
        beats += usize::from(is_notice(document, "heartbeat"));
        (beats == 3).then_some(())
    })?;
    // Who does as the sensor does is seen.
    run(Command::new(tidewaiter()?).args(["canary", "word", "end-of-the-canary"]))?;
    let imitation = sensor.wait_for("exec of the imitation", |event| {
        (event.text("event.action") == "exec" && event.text("process.args").contains("canary")).then(|| event.clone())
    })?;
    assert!(imitation.text("process.args").contains("word"));
    let own = sensor.process_id().to_string();
    let seen = sensor.output.so_far();
    let children = seen.iter().filter_map(|line| Document::parse(line).ok());
    let children: Vec<_> = children
        .filter(|event| event.text("process.parent.pid") == own)
        .collect();
    assert!(children.is_empty(), "{children:?}");
    let blind = seen.iter().find(|line| line.contains("hook-blind"));
    assert_eq!(blind, None);
    assert!(sensor.stop()?.success());
    Ok(())
}

#[test]
fn a_hook_that_is_detached_is_named() -> Result<()> {
    let home = home()?;
    let sensor = home.run()?;
    wait_for_notice(&sensor, "heartbeat")?;
    let hooks = ["process_fork", "process_exec", "process_exit", "process_signal"];
    let links = links(sensor.process_id())?;
    assert_eq!(links.len(), hooks.len());
    for (link, hook) in links.into_iter().zip(hooks).rev() {
        // Nobody but the sensor can let go of its link: it is made to.
        let mut intruder = Intruder::attach(thread_of(sensor.process_id(), "notices")?)?;
        intruder.close(link)?;
        drop(intruder);
        sensor.wait_for("word of the blind hook", |document| {
            (is_notice(document, "hook-blind") && document.text("tidewaiter.sensor.subject") == hook).then_some(())
        })?;
        sensor.wait_for("alert of the blind hook", |alert| {
            (alert.rule() == "Sensor blind" && alert.text("tidewaiter.sensor.subject") == hook).then_some(())
        })?;
    }
    Ok(())
}

#[test]
fn a_tail_call_cannot_be_taken_away() -> Result<()> {
    let home = home()?;
    let sensor = home.run()?;
    let error = delete_tail_calls(sensor.process_id()).expect_err("the map is frozen");
    assert!(error.to_string().contains("cannot delete the entry"), "{error:#}");
    Ok(())
}

#[test]
fn an_event_thread_that_stands_still_is_told_by_another() -> Result<()> {
    let home = home()?;
    let sensor = home.run()?;
    wait_for_notice(&sensor, "heartbeat")?;
    let intruder = Intruder::attach(thread_of(sensor.process_id(), "events")?)?;
    sensor.wait_for("heartbeat that shows it", |document| {
        let lag: u64 = document.text("tidewaiter.sensor.lag_ms").parse().ok()?;
        (lag > 5_000).then_some(())
    })?;
    wait_for_notice(&sensor, "events-behind")?;
    drop(intruder);
    // The rules see it once they see anything.
    wait_for_alert(&sensor, "Sensor blind")
}

#[test]
fn a_thread_that_dies_ends_the_sensor_with_its_name() -> Result<()> {
    for name in ["events", "alerts", "history", "notices", "users"] {
        let home = home()?;
        let mut sensor = home.run()?;
        let mut intruder = Intruder::attach(thread_of(sensor.process_id(), name)?)?;
        intruder.end()?;
        drop(intruder);
        let status = sensor.wait()?;
        let said = sensor.diagnostics.so_far().join("\n");
        assert_eq!(status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(&format!("thread `{name}`")), "{said}");
    }
    Ok(())
}

#[test]
fn who_is_stopped_says_for_how_long_when_it_goes_on() -> Result<()> {
    let home = home()?;
    let sensor = home.run()?;
    wait_for_notice(&sensor, "heartbeat")?;
    signal(sensor.process_id(), Signal::SIGSTOP)?;
    // It is this long that has to be told.
    thread::sleep(Duration::from_secs(7));
    signal(sensor.process_id(), Signal::SIGCONT)?;
    let notice = wait_for_notice(&sensor, "sensor-stood-still")?;
    assert!(seconds(&notice)? >= 6.0, "{notice:?}");
    wait_for_alert(&sensor, "Sensor interrupted")
}

#[test]
fn the_start_after_a_kill_says_so_and_the_start_after_a_clean_end_does_not() -> Result<()> {
    let home = home()?;
    let first = home.run()?;
    wait_for_notice(&first, "heartbeat")?;
    assert!(first.stop()?.success());
    let second = home.run()?;
    wait_for_notice(&second, "heartbeat")?;
    let unclean = |sensor: &Sensor| {
        sensor
            .output
            .so_far()
            .iter()
            .any(|line| line.contains("sensor-ended-uncleanly"))
    };
    assert!(!unclean(&second));
    second.kill()?;
    // What is told is at least this long.
    thread::sleep(Duration::from_secs(2));
    let third = home.run()?;
    let notice = wait_for_notice(&third, "sensor-ended-uncleanly")?;
    assert!(seconds(&notice)? >= 2.0, "{notice:?}");
    wait_for_alert(&third, "Sensor interrupted")
}

/// As `timeout` does, which sends to the process and then to its group, and who holds Ctrl-C down.
#[test]
fn signals_that_come_at_once_ask_for_one_end() -> Result<()> {
    let home = home()?;
    let sensor = home.run()?;
    wait_for_notice(&sensor, "heartbeat")?;
    signal(sensor.process_id(), Signal::SIGINT)?;
    assert!(sensor.stop()?.success());
    Ok(())
}

#[test]
fn signals_are_heard_while_the_sensor_starts() -> Result<()> {
    let home = home()?;
    // An engine that takes every question and answers none holds the start up.
    let _silent = UnixListener::bind(home.docker_socket())?;
    let mut command = home.command("run")?;
    let mut sensor = start(&mut command, Stdio::null())?;
    await_thread(sensor.process.id(), "signals")?;
    assert_eq!(insist(&mut sensor)?, Some(1));
    Ok(())
}

#[test]
fn a_state_directory_that_is_taken_away_is_told_and_alerts_go_on() -> Result<()> {
    let home = home()?;
    let fence = fence(&home)?;
    let sensor = home.run()?;
    wait_for_notice(&sensor, "heartbeat")?;
    fs::rename(home.state(), home.state().with_extension("away"))?; // In one step, for it is written to.
    sensor.diagnostics.wait_for("word of the state directory", |line| {
        (line.contains("running.json") && line.contains("cannot be written")).then_some(())
    })?;
    still_alerts(&sensor, &fence)
}

#[test]
fn a_state_directory_that_others_may_write_to_is_told_and_its_files_are_the_owners() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let home = home()?;
    fs::set_permissions(home.state(), fs::Permissions::from_mode(0o777))?;
    fs::write(home.state().join("history.redb"), "")?;
    fs::set_permissions(home.state().join("history.redb"), fs::Permissions::from_mode(0o644))?;
    let sensor = home.run()?;
    sensor.diagnostics.wait_for("word of the mode", |line| {
        (line.contains("may write to the state directory") && line.contains("777")).then_some(())
    })?;
    wait_for_notice(&sensor, "heartbeat")?;
    for entry in fs::read_dir(home.state())? {
        let entry = entry?;
        let mode = entry.metadata()?.permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
    }
    Ok(())
}

#[test]
fn rules_that_are_gone_at_a_reload_are_told_and_the_old_ones_stay() -> Result<()> {
    let home = home()?;
    let fence = fence(&home)?;
    let sensor = home.run()?;
    fs::remove_dir_all(home.rules())?;
    signal(sensor.process_id(), Signal::SIGHUP)?;
    sensor.diagnostics.wait_for("word of the rules", |line| {
        line.contains("the rules stay as they were").then_some(())
    })?;
    still_alerts(&sensor, &fence)
}

#[test]
fn records_that_a_starved_sensor_loses_are_told_among_the_alerts() -> Result<()> {
    let home = home()?;
    let config = fs::read_to_string(home.config())?;
    fs::write(home.config(), format!("{config}[kernel]\nring_buffer_bytes = 65536\n"))?;
    let fence = fence(&home)?;
    let sensor = home.run()?;
    wait_for_notice(&sensor, "heartbeat")?;
    signal(sensor.process_id(), Signal::SIGSTOP)?;
    let script = "i=0; while [ $i -lt 600 ]; do \"$0\" storm; i=$((i + 1)); done";
    let storm = run(Command::new("/bin/sh").args(["-c", script]).arg(&fence));
    signal(sensor.process_id(), Signal::SIGCONT)?;
    storm?;
    let notice = wait_for_notice(&sensor, "records-lost")?;
    let count: u64 = notice.text("tidewaiter.sensor.count").parse()?;
    assert!(count > 0 && !notice.text("event.reason").is_empty(), "{notice:?}");
    sensor.wait_for("heartbeat with the loss", |document| {
        document
            .text("tidewaiter.sensor.records_lost")
            .parse::<u64>()
            .ok()
            .filter(|lost| *lost > 0)
    })?;
    Ok(())
}

#[test]
fn who_goes_for_the_sensor_with_a_tool_is_alerted_on() -> Result<()> {
    let home = home()?;
    let sensor = home.run()?;
    for (tool, arguments) in [
        ("pkill", ["-STOP", "tidewaiter"]),
        ("gdb", ["-p", "tidewaiter"]),
        ("bpftool", ["link", "detach"]),
    ] {
        let stand_in = home.path().join(tool);
        place_stand_in(&stand_in)?;
        run(Command::new(&stand_in).args(arguments))?;
        sensor.wait_for("alert on the tool", |alert| {
            (alert.rule() == "Sensor attacked" && alert.text("process.name") == tool).then_some(())
        })?;
    }
    Ok(())
}

#[test]
fn limits_that_somebody_sets_are_told_and_set_back() -> Result<()> {
    let home = home()?;
    let fence = fence(&home)?;
    let sensor = home.run()?;
    wait_for_notice(&sensor, "heartbeat")?;
    let pid = sensor.process_id().to_string();
    // Soft limits alone: hard ones can be set back only with a right that not every root has.
    run(Command::new("prlimit").args(["--pid", &pid, "--nofile=0:", "--fsize=1:"]))?;
    for limit in ["RLIMIT_NOFILE", "RLIMIT_FSIZE"] {
        sensor.wait_for("notice of the limit", |notice| {
            (is_notice(notice, "limit-changed") && notice.text("tidewaiter.sensor.subject") == limit).then_some(())
        })?;
    }
    wait_for_alert(&sensor, "Sensor signalled")?;
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let is_set_back = |line: &str| line.starts_with("Max open files") && !line.contains(" 0 ");
    ensure!(limits.lines().any(is_set_back), "{limits}");
    still_alerts(&sensor, &fence)
}

#[test]
fn a_link_into_nothing_is_named_by_the_check_of_rules() -> Result<()> {
    let home = home()?;
    std::os::unix::fs::symlink("/nowhere/rule.toml", home.rules().join("gone.toml"))?;
    let output = Command::new(tidewaiter()?)
        .args(["rules", "check"])
        .arg(home.rules())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("gone.toml"), "{said}");
    Ok(())
}

#[test]
fn a_sensor_whose_program_was_replaced_still_tries_itself() -> Result<()> {
    let home = home()?;
    let program = home.path().join("tidewaiter");
    copy(tidewaiter()?, &program)?;
    let mut command = Command::new(&program);
    command.args(["run", "--format", "json", "--config"]).arg(home.config());
    let sensor = Sensor::start(&mut command)?;
    fs::remove_file(&program)?;
    let mut beats = 0;
    sensor.wait_for("three heartbeats", |document| {
        beats += usize::from(is_notice(document, "heartbeat"));
        (beats == 3).then_some(())
    })?;
    let lines = [sensor.output.so_far(), sensor.diagnostics.so_far()].concat();
    let troubles = lines
        .iter()
        .filter(|line| line.contains("blind") || line.contains("cannot be tried"));
    assert_eq!(troubles.count(), 0, "{lines:?}");
    Ok(())
}

/// A home with a heartbeat every second.
fn home() -> Result<Home> {
    let home = Home::new()?;
    home.set("heartbeat = \"1s\"")?;
    Ok(home)
}

fn fence(home: &Home) -> Result<PathBuf> {
    let fence = home.path().join(FENCE);
    place_stand_in(&fence)?;
    Ok(fence)
}

fn still_alerts(sensor: &Sensor, fence: &Path) -> Result<()> {
    sensor.fence(|number| {
        run(Command::new(fence).arg(number))?;
        Ok(())
    })?;
    Ok(())
}

fn is_notice(document: &Document, action: &str) -> bool {
    document.is_notice() && document.text("event.action") == action
}

fn wait_for_notice(sensor: &Sensor, action: &str) -> Result<Document> {
    sensor.wait_for(action, |document| is_notice(document, action).then(|| document.clone()))
}

fn wait_for_alert(sensor: &Sensor, rule: &str) -> Result<()> {
    sensor.wait_for(rule, |alert| (alert.rule() == rule).then_some(()))
}

/// How long lasted what a notice tells.
fn seconds(notice: &Document) -> Result<f64> {
    let time = |field: &str| -> Result<jiff::Timestamp> { Ok(notice.text(field).parse()?) };
    Ok(time("event.end")?.duration_since(time("event.start")?).as_secs_f64())
}

fn signal(process: u32, signal: Signal) -> Result<()> {
    kill(Pid::from_raw(i32::try_from(process)?), signal)?;
    Ok(())
}

/// A sensor of which the harness reads one stream; killed when it is dropped.
struct Unread {
    process: Child,
    diagnostics: Lines,
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(command: &mut Command, output: Stdio) -> Result<Unread> {
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped());
    let mut process = command.spawn()?;
    let diagnostics = Lines::of(process.stderr.take().context("no stderr")?);
    Ok(Unread { process, diagnostics })
}

/// Asks the sensor to end until it does; gives its exit status.
fn insist(sensor: &mut Unread) -> Result<Option<i32>> {
    let begin = Instant::now();
    loop {
        signal(sensor.process.id(), Signal::SIGTERM)?;
        thread::sleep(Duration::from_millis(50));
        if let Some(status) = sensor.process.try_wait()? {
            let said = sensor.diagnostics.wait_for_end()?.join("\n");
            ensure!(said.contains("a second signal came"), "{said}");
            return Ok(status.code());
        }
        if begin.elapsed() > Duration::from_secs(60) {
            bail!("it does not end: {:?}", sensor.diagnostics.so_far());
        }
    }
}

fn await_thread(process: u32, name: &str) -> Result<()> {
    let begin = Instant::now();
    while thread_of(process, name).is_err() {
        ensure!(begin.elapsed() < Duration::from_secs(60), "no thread `{name}`");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
