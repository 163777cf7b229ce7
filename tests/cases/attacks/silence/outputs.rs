//! Whoever stops reading what the sensor writes: alerts, events, or its log.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::document::Document;
use tests::lines::Lines;
use tests::program::run;
use tests::sensor::Home;

use super::{Unread, fence, home, insist, is_notice, signal, start, wait_for_notice};

/// More than a stopped reader's pipe and the sensor's own budget hold, with the arguments of [`flood`].
const FLOOD: usize = 400;
/// So many programs with such arguments are more than the budget holds, and wait in the ring buffer.
const PAUSE: usize = 120;

#[test]
fn alerts_that_a_stopped_reader_missed_are_told_when_it_reads_again_and_at_the_end() -> Result<()> {
    let home = home()?;
    let (mut sensor, output) = with_unread_output(&home, "run")?;
    flood(&home)?;
    // Told by another thread while it lasts.
    sensor.diagnostics.wait_for("word of the slow output", |line| {
        line.contains("alerts were not written: the output was too slow")
            .then_some(())
    })?;
    let output = Lines::of(fs::File::from(output));
    output.wait_for("notice of the missed alerts", |line| {
        is_notice(&Document::parse(line).ok()?, "output-refused").then_some(())
    })?;
    signal(sensor.process.id(), Signal::SIGTERM)?;
    let said = sensor.diagnostics.wait_for_end()?;
    assert_eq!(sensor.process.wait()?.code(), Some(1), "{said:?}");
    let last = said.iter().find(|line| line.contains("stopped after"));
    let last = last.with_context(|| format!("no last line: {said:?}"))?;
    assert!(last.contains("more were not written"), "{last}");
    Ok(())
}

#[test]
fn a_reader_of_events_that_pauses_loses_nothing() -> Result<()> {
    let home = home()?;
    let fence = fence(&home)?;
    let (mut sensor, output) = with_unread_output(&home, "events")?;
    for number in 0..PAUSE {
        run(Command::new(&fence).arg(number.to_string()).arg("x".repeat(30_000)))?;
    }
    sensor.diagnostics.wait_for("word of the slow output", |line| {
        line.contains("events wait in the kernel's ring buffer").then_some(())
    })?;
    let output = Lines::of(fs::File::from(output));
    sensor
        .diagnostics
        .wait_for("word that the output is no longer behind", |line| {
            line.contains("has taken all events that waited").then_some(())
        })?;
    signal(sensor.process.id(), Signal::SIGTERM)?;
    let said = sensor.diagnostics.wait_for_end()?.join("\n");
    assert_eq!(sensor.process.wait()?.code(), Some(0), "{said}");
    output.wait_for("notice of the wait", |line| {
        is_notice(&Document::parse(line).ok()?, "output-behind").then_some(())
    })?;
    let written = output.wait_for_end()?;
    let mut execs = written.iter().filter_map(|line| Document::parse(line).ok());
    for number in 0..PAUSE {
        let is_next = |event: Document| {
            event.text("event.action") == "exec" && event.text("process.args").contains(&format!("\"{number}\""))
        };
        ensure!(execs.any(is_next), "exec {number} is missing: {said}");
    }
    let blamed = written.iter().find(|line| line.contains("events-behind"));
    assert_eq!(blamed, None, "it is not the event thread that is slow");
    Ok(())
}

#[test]
fn the_recorder_ends_whatever_its_reader_does() -> Result<()> {
    let home = home()?;
    let config = fs::read_to_string(home.config())?;
    fs::write(
        home.config(),
        format!("{config}[kernel]\nring_buffer_bytes = 1048576\n"),
    )?;
    let (mut sensor, _output) = with_unread_output(&home, "events")?;
    flood(&home)?;
    signal(sensor.process.id(), Signal::SIGTERM)?;
    let said = sensor.diagnostics.wait_for_end()?.join("\n");
    assert_eq!(sensor.process.wait()?.code(), Some(1), "{said}");
    // What the kernel side had no room for, and what waited for the reader.
    for lost in ["forks were lost", "more were not written"] {
        assert!(said.contains(lost), "{lost}: {said}");
    }
    Ok(())
}

#[test]
fn a_stderr_that_nobody_reads_holds_up_neither_alerts_nor_the_end() -> Result<()> {
    let home = home()?;
    let fence = fence(&home)?;
    let (_unread, full) = full_pipe()?;
    let mut command = home.command("run")?;
    command.args(["--format", "json", "--log", "trace"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(full);
    let mut process = command.spawn()?;
    let output = Lines::of(process.stdout.take().context("no output")?);
    let mut sensor = Unread {
        process,
        diagnostics: output.clone(),
    };
    output.wait_for("heartbeat", |line| {
        is_notice(&Document::parse(line).ok()?, "heartbeat").then_some(())
    })?;
    run(Command::new(&fence).arg("while stderr is full"))?;
    output.wait_for("alert", |line| {
        Document::parse(line)
            .ok()?
            .text("process.args")
            .contains("while stderr is full")
            .then_some(())
    })?;
    signal(sensor.process.id(), Signal::SIGTERM)?;
    output.wait_for_end()?;
    assert_eq!(sensor.process.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_stop_that_was_not_clean_is_told_too() -> Result<()> {
    let home = home()?;
    let (mut sensor, _output) = with_unread_output(&home, "run")?;
    flood(&home)?;
    let status = insist(&mut sensor)?;
    assert_eq!(status, Some(1));
    let next = home.run()?;
    wait_for_notice(&next, "sensor-ended-uncleanly")?;
    Ok(())
}

/// A sensor that watches and whose output nobody reads.
fn with_unread_output(home: &Home, command: &str) -> Result<(Unread, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe()?;
    let mut command = home.command(command)?;
    let sensor = start(&mut command, writer.into())?;
    sensor.diagnostics.wait_for("word that the sensor is ready", |line| {
        line.contains("watching").then_some(())
    })?;
    Ok((sensor, reader))
}

/// Raises more alerts than wait for a reader.
fn flood(home: &Home) -> Result<()> {
    let fence = fence(home)?;
    let long = "x".repeat(30_000);
    for _ in 0..FLOOD {
        run(Command::new(&fence).arg(&long))?;
    }
    Ok(())
}

/// A pipe that takes nothing more.
fn full_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe()?;
    let mut other = fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer)))?;
    // Of an open file of its own, so that the sensor's end stays as it is.
    nix::fcntl::fcntl(&other, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    loop {
        match other.write(&[b'x'; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((reader, writer)),
            Err(error) => return Err(error.into()),
        }
    }
}
